//! Weight-only quantization as the HERO paper's tables use it: real arithmetic with rounded weights.
//!
//! `scale = max|w| / (2^(b−1) − 1)` and `q = round-half-even(w / scale)`, per tensor or per output channel, so that `−2^(b−1)` is not
//! produced. Biases and batch normalization stay as they are. Reports compare optimizers with it; deployed networks
//! come from [`quantize`](super::quantize).

use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::NodeParameters;
use crate::lowering::weights::{largest_weight_scale, quantize_weight};
use tinyhero_common::bit_width::BitWidth;

/// The network with every weight replaced by the real number that its quantized value stands for.
pub fn weight_only(
    trained: &TrainedNetwork,
    bit_width: BitWidth,
    per_tensor: bool,
) -> TrainedNetwork {
    let mut rounded = trained.clone();
    rounded.grids = Vec::new();
    for parameters in &mut rounded.parameters {
        if let NodeParameters::Layer { weight, shape, .. } = parameters {
            let channels = shape.first().copied().unwrap_or(1);
            *weight = weight_only_values(weight, channels, bit_width, per_tensor);
        }
    }
    rounded
}

/// The weights of one layer, output channel the slowest index, rounded to `bit_width` bits and turned back.
pub fn weight_only_values(
    weights: &[f32],
    channels: usize,
    bit_width: BitWidth,
    per_tensor: bool,
) -> Vec<f32> {
    let group = if per_tensor { weights.len() } else { weights.len() / channels.max(1) };
    let mut rounded = Vec::with_capacity(weights.len());
    for row in weights.chunks(group.max(1)) {
        let row: Vec<f64> = row.iter().map(|&weight| f64::from(weight)).collect();
        let scale = largest_weight_scale(&row, bit_width);
        rounded.extend(row.iter().map(|&weight| {
            if scale == 0.0 {
                0.0
            } else {
                (scale * f64::from(quantize_weight(weight, scale, bit_width))) as f32
            }
        }));
    }
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_bits_keep_three_values_and_ties_go_to_even() {
        let weights = [1.0, -1.0, 0.5, -0.5, 0.51, 0.0, 4.0, -4.0];
        let found = weight_only_values(&weights, 2, BitWidth::Two, false);
        assert_eq!(found, [1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 4.0, -4.0]);
        let found = weight_only_values(&weights[..4], 1, BitWidth::Two, true);
        assert_eq!(found, [1.0, -1.0, 0.0, 0.0]);
        let tensor = weight_only_values(&weights, 2, BitWidth::Three, true);
        assert_eq!(tensor[0], 4.0 / 3.0);
        assert_eq!(weight_only_values(&[0.0; 4], 2, BitWidth::Four, false), [0.0; 4]);
    }
}
