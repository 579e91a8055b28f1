//! Requantization by the inner loops: what a channel has in common is worked out once, and results only saturate to int8.
//!
//! `floor((acc · m / 2^16 + 2^(s−1)) / 2^s) + zero_point` is `floor((floor(acc · m / 2^16) + addend) / 2^s)` with
//! `addend = zero_point · 2^s + 2^(s−1) = floor((2 · zero_point + 1) · 2^s / 2)` for `s ≥ 1`. Nothing overflows: the product is below `2^30` in
//! magnitude, and the addend lies in `−2^30 ..= 2^30 − 2^22` for every `s ≤ 23`. With smaller shifts the sum is moved to the left
//! first. Activation ranges that are not the whole of int8 are left to a pass of their own; few layers have them.

use core::mem::offset_of;

use tinyhero_common::channels::{Channel, Channels};
use tinyhero_common::requantize::ActivationRange;

use crate::kernel::offsets::assert_words;

/// `2 · zero_point + 1`.
pub fn twice_and_one(zero_point: i8) -> i32 {
    2 * i32::from(zero_point) + 1
}

/// Whether the inner loops can read the table of a layer of that many channels: it is whole and begins at a whole word.
pub fn is_readable(table: Channels<'_>, channels: usize) -> bool {
    let (biases, _, shifts) = table.parts();
    biases.as_ptr().cast::<i32>().is_aligned() && shifts.len() == channels
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

assert_words!(Rescaled: bias, multiplier, addend, shift);

impl Rescaled {
    /// For a channel whose sums are `left_shift` bits further left than the true ones, and then exceed them by `excess`.
    pub fn new(channel: Channel, zero_point: i8, excess: i32) -> Self {
        let shift = i32::from(channel.rescale.shift).max(1);
        Self {
            bias: channel.bias.wrapping_shl(left_shift(channel)).wrapping_sub(excess),
            multiplier: i32::from(channel.rescale.multiplier) << 16,
            addend: twice_and_one(zero_point).wrapping_shl(shift as u32) >> 1,
            shift,
        }
    }
}

/// How far sums must be moved to the left so that a shift of at least 1 remains: `max(1 − s, 0)`. What a validated model sums up
/// fits 32 bits even then.
pub fn left_shift(channel: Channel) -> u32 {
    (1 - i32::from(channel.rescale.shift)).max(0) as u32
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

// The inner loops move on five pointers at once.
const _: () = assert!(
    offset_of!(Destination, outputs) == 0
        && offset_of!(Destination, biases) == 8
        && offset_of!(Destination, multipliers) == 12
        && offset_of!(Destination, shifts) == 16
);
