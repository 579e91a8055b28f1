//! The range of a tensor, and scale and zero point from it.

use super::activation::Activation;
use super::tensor::IntegerTensor;
use super::tensor_statistics::{BINS, TensorStatistics, bin_value};
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::shape::Shape;

/// How the range of an activation follows from what calibration saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeMethod {
    /// From the smallest to the largest value seen.
    MinMax,
    /// The range with the smallest sum of squared rounding and clipping errors.
    SquaredError,
}

/// Share of the full range that the search tries, in percent.
const PERCENT: std::ops::RangeInclusive<u32> = 30..=100;
/// The smallest span of real numbers that a tensor is given; only tensors that are all zero come near it.
const SPAN_MIN: f64 = 1e-6;

/// Quantization of a tensor with these statistics, behind this activation.
///
/// Scale and zero point are such that ReLU is a cut at −128 and ReLU6 one at most at 127, the ends of int8. The scale is
/// at least `scale_min`, which operators need whose rescaling ratio has a largest value.
pub fn quantize_tensor(
    shape: Shape,
    statistics: &TensorStatistics,
    activation: Activation,
    method: RangeMethod,
    scale_min: f64,
) -> (IntegerTensor, ActivationRange) {
    let (mut low, mut high) = (statistics.min.min(0.0), statistics.max.max(0.0));
    if method == RangeMethod::SquaredError {
        (low, high) = search(statistics, low, high);
    }
    match activation {
        Activation::None => {}
        Activation::Relu => low = 0.0,
        Activation::Relu6 => (low, high) = (0.0, high.min(6.0)),
    }
    let scale = ((high - low).max(SPAN_MIN) / 255.0).max(scale_min);
    let zero_point = (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i8;
    let mut range = ActivationRange::FULL;
    if activation == Activation::Relu6 {
        // Reached only if the scale was enlarged beyond what 6 needs.
        let top = (6.0 / scale).round() + f64::from(zero_point);
        range.max = top.clamp(-128.0, 127.0) as i8;
    }
    (IntegerTensor { shape, scale, zero_point }, range)
}

/// Shrinks both ends together or one at a time while the squared error falls.
fn search(statistics: &TensorStatistics, low: f64, high: f64) -> (f64, f64) {
    let values: Vec<(f64, f64)> = (0..BINS)
        .filter(|&bin| statistics.counts[bin] > 0)
        .map(|bin| (bin_value(bin), statistics.counts[bin] as f64))
        .collect();
    let error = |low: f64, high: f64| {
        let step = (high - low) / 255.0;
        let rounding = step * step / 12.0;
        values
            .iter()
            .map(|&(value, count)| {
                // Real zero is exact, wherever the range ends.
                let outside = if value > high { value - high } else { (low - value).max(0.0) };
                let within = if value == 0.0 { 0.0 } else { rounding };
                count * if outside > 0.0 { outside * outside } else { within }
            })
            .sum::<f64>()
    };
    let mut best = (error(low, high), low, high);
    for percent in PERCENT {
        let part = f64::from(percent) / 100.0;
        for (low, high) in [(low * part, high * part), (low, high * part), (low * part, high)] {
            let found = error(low, high);
            if found < best.0 {
                best = (found, low, high);
            }
        }
    }
    (best.1, best.2)
}
