//! The equations of `docs/arithmetic.md`, carried out slowly, in 64 bits, as they are written.
//!
//! Numbers in brackets are those of the equations. Nothing here is shared with the code under test except plain data types.

mod recurrence;
mod resize;
mod softmax;
mod window;

pub use recurrence::{
    argument, gru, half, hyperbolic_tangent, lstm, reset_state, sigmoid, sigmoid_entry,
};
pub use resize::resized;
pub use softmax::{Terms, power_of_two_fraction};
pub use window::{
    Image, Place, average, convolution, depthwise, grouped, maximum, mean, transposed,
};

use tinyhero_common::input::InputMap;
use tinyhero_common::operator::{AddJob, ConcatenateJob, MultiplyJob};
use tinyhero_common::requantize::{ActivationRange, Rescale};

/// `floor(numerator / denominator)` for a positive denominator: the remainder is never negative.
pub fn floor_divide(numerator: i64, denominator: i64) -> i64 {
    let quotient = numerator.checked_div(denominator).unwrap_or(0);
    let remainder = numerator.checked_rem(denominator).unwrap_or(0);
    if remainder < 0 { quotient.wrapping_sub(1) } else { quotient }
}

/// `2^exponent`; 0 for exponents that no equation has.
pub fn power_of_two(exponent: i32) -> i64 {
    match u32::try_from(exponent) {
        Ok(exponent) => 1i64.checked_shl(exponent).unwrap_or(0),
        Err(_) => 0,
    }
}

/// `clamp(value, min, max)`.
pub fn clamp(value: i64, range: ActivationRange) -> i64 {
    if value > i64::from(range.max) {
        i64::from(range.max)
    } else if value < i64::from(range.min) {
        i64::from(range.min)
    } else {
        value
    }
}

/// (1): a raw sample becomes an activation.
pub fn input(raw: i64, map: InputMap) -> i64 {
    let scaled = raw.wrapping_mul(i64::from(map.multiplier)).wrapping_add(i64::from(map.offset));
    clamp(floor_divide(scaled, power_of_two(i32::from(map.shift))), ActivationRange::FULL)
}

/// (2): an accumulator becomes an activation.
pub fn requantize(
    accumulator: i64,
    rescale: Rescale,
    zero_point: i8,
    activation: ActivationRange,
) -> i64 {
    let shift = i32::from(rescale.shift);
    let numerator = accumulator
        .wrapping_mul(i64::from(rescale.multiplier))
        .wrapping_add(power_of_two(15 + shift));
    let rounded = floor_divide(numerator, power_of_two(16 + shift));
    clamp(i64::from(zero_point).wrapping_add(rounded), activation)
}

/// The largest `|accumulator|` that a channel's rescaling admits, the right-hand side of the overflow bound of (2).
pub fn accumulator_limit(rescale: Rescale) -> i64 {
    let shift = i32::from(rescale.shift);
    let whole = power_of_two(31) - 1;
    if shift >= 1 { whole } else { floor_divide(whole, power_of_two(1 - shift)) }
}

/// (5): the accumulator of one output of a fully connected layer, bias left out.
pub fn fully_connected(weights: &[i8], input: &[i8]) -> i64 {
    let mut sum = 0i64;
    for (&weight, &value) in weights.iter().zip(input) {
        sum = sum.wrapping_add(i64::from(weight).wrapping_mul(i64::from(value)));
    }
    sum
}

/// (8): one element of a sum.
pub fn add(job: &AddJob, first: i8, second: i8) -> i64 {
    let first = i64::from(first) - i64::from(job.input_zero_point);
    let second = i64::from(second) - i64::from(job.other_zero_point);
    let shift = i32::from(job.rescale.shift);
    let numerator = first
        .wrapping_mul(i64::from(job.rescale.multiplier))
        .wrapping_add(second.wrapping_mul(i64::from(job.rescale.other_multiplier)))
        .wrapping_add(power_of_two(shift - 1));
    let rounded = floor_divide(numerator, power_of_two(shift));
    clamp(i64::from(job.output_zero_point).wrapping_add(rounded), job.activation)
}

/// (11): the entry of a value, `q mod 256` from the beginning of the table.
pub fn table(entries: &[u8], value: i8) -> i64 {
    let place = i64::from(value).rem_euclid(256);
    let entry = usize::try_from(place).ok().and_then(|place| entries.get(place));
    i64::from(entry.copied().unwrap_or(0).cast_signed())
}

/// (13): one element of a product.
pub fn multiply(job: &MultiplyJob, first: i8, second: i8) -> i64 {
    let first = i64::from(first) - i64::from(job.input_zero_point);
    let second = i64::from(second) - i64::from(job.other_zero_point);
    requantize(first.wrapping_mul(second), job.rescale, job.output_zero_point, job.activation)
}

/// (14): one element of two tensors side by side, that with `channel` of their pixel.
pub fn concatenate(job: &ConcatenateJob, first: &[i8], second: &[i8], channel: usize) -> i64 {
    let (value, zero_point, rescale) = match channel.checked_sub(first.len()) {
        None => (first.get(channel), job.input_zero_point, job.rescale),
        Some(place) => (second.get(place), job.other_zero_point, job.other_rescale),
    };
    let distance = i64::from(value.copied().unwrap_or(0)) - i64::from(zero_point);
    requantize(distance, rescale, job.output_zero_point, job.activation)
}

/// (10): the lowest index whose value no other value exceeds; 0 if there are no values.
pub fn argmax(values: &[i8]) -> usize {
    let wins = |candidate: &i8| values.iter().all(|other| other <= candidate);
    values.iter().position(wins).unwrap_or(0)
}

/// Bit `bit` of a packed row, counted from the least significant bit of the first byte.
pub fn packed_bit(packed: &[u8], bit: usize) -> i64 {
    i64::from(packed.get(bit / 8).is_some_and(|byte| byte & (1 << (bit % 8)) != 0))
}

/// Weight `index` of a packed row: its field's bits, one by one, less `2^(bits−1)`.
pub fn unpacked_weight(packed: &[u8], bits: usize, index: usize) -> i64 {
    let mut field = 0i64;
    for bit in 0..bits {
        field = field.wrapping_add(packed_bit(packed, index * bits + bit) << bit);
    }
    field.wrapping_sub(1 << (bits - 1))
}

/// Writes a row's weights bit by bit; the bits behind the last weight become zero.
pub fn pack(weights: &[i8], bits: usize, packed: &mut [u8]) {
    packed.fill(0);
    for (index, &weight) in weights.iter().enumerate() {
        let field = i64::from(weight).wrapping_add(1 << (bits - 1));
        for bit in 0..bits {
            let place = index * bits + bit;
            if field & (1 << bit) != 0
                && let Some(byte) = packed.get_mut(place / 8)
            {
                *byte |= 1 << (place % 8);
            }
        }
    }
}
