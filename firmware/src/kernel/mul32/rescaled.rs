//! Requantization by the inner loops: what a channel has in common is worked out once, and results only saturate to int8.
//!
//! `floor((acc · m / 2^16 + 2^(s−1)) / 2^s) + zero_point` is `floor((floor(acc · m / 2^16) + addend) / 2^s)` with
//! `addend = zero_point · 2^s + 2^(s−1) = floor((2 · zero_point + 1) · 2^s / 2)` for `s ≥ 1`. Nothing overflows: the product is below `2^30` in
//! magnitude, and the addend lies in `−2^30 ..= 2^30 − 2^22` for every `s ≤ 23`. Smaller shifts, which few layers have, and the
//! activation ranges that are not the whole of int8, are left to plain code.

use tinyhero_common::kernel::{Channel, Channels};
use tinyhero_common::requantize::ActivationRange;

/// `2 · zero_point + 1`.
pub fn twice_and_one(zero_point: i8) -> i32 {
    2 * i32::from(zero_point) + 1
}

/// Whether the inner loops can rescale a layer of that many channels: all are there, their shifts are at least 1, and the table
/// begins at a whole word.
pub fn is_fast(table: Channels<'_>, channels: usize) -> bool {
    let (biases, _, shifts) = table.parts();
    biases.as_ptr().cast::<i32>().is_aligned()
        && shifts.len() == channels
        && shifts.iter().all(|&shift| shift.cast_signed() >= 1)
}

/// Cuts off what saturating to int8 has left outside a layer's range.
pub fn clamp(activation: ActivationRange, output: &mut [i8]) {
    if activation != ActivationRange::FULL {
        for value in output {
            *value = activation.saturate(i32::from(*value));
        }
    }
}

/// One channel's way from sums to activations, as the inner loops read it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Rescaled {
    bias: i32,
    /// `m · 2^16`.
    multiplier: i32,
    addend: i32,
    /// `s`, at least 1.
    shift: i32,
}

impl Rescaled {
    /// For a channel whose shift is at least 1 and whose sums exceed the true ones by `excess`.
    pub fn new(channel: Channel, zero_point: i8, excess: i32) -> Self {
        let shift = i32::from(channel.rescale.shift);
        Self {
            bias: channel.bias.wrapping_sub(excess),
            multiplier: i32::from(channel.rescale.multiplier) << 16,
            addend: twice_and_one(zero_point).wrapping_shl(shift as u32) >> 1,
            shift,
        }
    }
}

/// Where the sums of two pixels go, as the inner loops read it.
#[repr(C)]
pub struct Destination {
    /// The next output of either pixel.
    pub outputs: [*mut i8; 2],
    /// The next bias, at a whole word.
    pub biases: *const i32,
    /// The next multiplier, at a whole halfword.
    pub multipliers: *const i16,
    /// The next shift.
    pub shifts: *const u8,
    /// What is subtracted from every sum of either pixel.
    pub corrections: [i32; 2],
    /// `twice_and_one` of the zero point.
    pub twice_and_one: i32,
}
