//! Softmax over the channels of each pixel, equation (9).
//!
//! `p_i = e^(x_i − max) / Σ e^(x_j − max)`, computed as powers of two: `e^x = 2^(x · log2 e)`. The whole part of the
//! exponent is a shift, the fraction a cubic. The result has scale 1/256 and zero point −128.

use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::ActivationRange;

described! {
    /// Probabilities over the channels of each pixel, scale 1/256, zero point −128.
    pub struct Softmax {
        /// `scale_in · log2(e) · 2^20`, in `1 ..= 2^24 − 1`.
        pub exponent_multiplier: u32,
    }
}

/// A softmax over the channels of each pixel, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxJob {
    /// Number of channels.
    pub channels: usize,
    /// `scale_in · log2(e) · 2^20`.
    pub exponent_multiplier: u32,
}

/// Largest number of channels, so that twice the sum of the terms fits 32 bits.
const MAX_CHANNELS: u16 = (1 << 14) - 1;

impl Rules for Softmax {
    type Job<'a> = SoftmaxJob;

    const NAME: &'static str = "softmax";
    // Rounded probabilities tie more often than the values they come from.
    const LABEL_FROM_INPUT: bool = true;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        let output = tensors.output;
        require(tensors.input().shape == output.shape, Reason::ShapeMismatch)?;
        require(output.shape.channels <= MAX_CHANNELS, Reason::Shape)?;
        require(output.zero_point == i8::MIN, Reason::Quantization)?;
        let valid = (1..1 << 24).contains(&self.exponent_multiplier);
        require(valid, Reason::Rescale)?;
        // The kernels do not cut off.
        require(tensors.activation == ActivationRange::FULL, Reason::Activation)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<SoftmaxJob> {
        Some(SoftmaxJob {
            channels: usize::from(tensors.output.shape.channels),
            exponent_multiplier: self.exponent_multiplier,
        })
    }
}

/// Bits of the exponent behind the point.
const FRACTION_BITS: u32 = 20;

/// `2^(−fraction / 2^16) · 2^16`, for `fraction` in `0 ..= 2^16 − 1`.
///
/// The cubic through (0, 1) and (1, 1/2) whose largest error is smallest; error at most `1.0e-4`. The result lies in
/// `2^15 ..= 2^16` and falls, save for single units of rounding; it never rises over eight steps of the fraction.
pub const fn power_of_two_fraction(fraction: u32) -> u32 {
    let cubic = (2_596u32.wrapping_mul(fraction)) >> 16;
    let square = ((15_158u32.wrapping_sub(cubic)).wrapping_mul(fraction)) >> 16;
    let linear = ((45_330u32.wrapping_sub(square)).wrapping_mul(fraction)) >> 16;
    65_536u32.wrapping_sub(linear)
}

/// `e^(−distance · scale)` in 1/2^16 for a distance of `0 ..= 255` steps below the maximum.
fn exponential(distance: u32, exponent_multiplier: u32) -> u32 {
    let exponent = distance.wrapping_mul(exponent_multiplier);
    let whole = exponent >> FRACTION_BITS;
    let fraction = (exponent & ((1 << FRACTION_BITS) - 1)) >> (FRACTION_BITS - 16);
    power_of_two_fraction(fraction).checked_shr(whole).unwrap_or(0)
}

pub(crate) fn softmax(job: &SoftmaxJob, input: &[i8], output: &mut [i8]) {
    let mut inputs = input;
    let mut outputs = output;
    while let Some((pixel, rest)) = inputs.split_at_checked(job.channels) {
        let Some((probabilities, tail)) = outputs.split_at_mut_checked(job.channels) else {
            return;
        };
        if pixel.is_empty() {
            return;
        }
        softmax_pixel(job.exponent_multiplier, pixel, probabilities);
        inputs = rest;
        outputs = tail;
    }
}

fn softmax_pixel(exponent_multiplier: u32, input: &[i8], output: &mut [i8]) {
    let maximum = input.iter().fold(i8::MIN, |maximum, &value| maximum.max(value));
    let term = |value: i8| exponential(u32::from(maximum.abs_diff(value)), exponent_multiplier);
    // The largest term is 2^16 and a pixel has fewer than 2^14 channels, so twice the sum fits 32 bits.
    let sum = input.iter().fold(0u32, |sum, &value| sum.wrapping_add(term(value)));
    for (probability, &value) in output.iter_mut().zip(input) {
        let numerator = term(value).wrapping_mul(512).wrapping_add(sum);
        let rounded = numerator.checked_div(sum.wrapping_mul(2)).unwrap_or(0);
        *probability = probability_to_int8(rounded);
    }
}

/// 0 ..= 256 (256ths) to int8 with zero point −128; certainty saturates at 255/256.
const fn probability_to_int8(probability: u32) -> i8 {
    let stored = if probability > 255 { 255 } else { probability };
    (stored as u8 ^ 0x80) as i8
}
