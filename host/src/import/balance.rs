//! Inputs whose channels have very different ranges.
//!
//! Integers have one scale for all channels of a tensor. Where one channel reaches to 255 and another
//! to 1, the second would have a few steps only. The map from raw samples has a scale for each channel,
//! so that it can bring them to one range; the weights that read the input take that back.

use super::layer::{Kind, Layers, Weights};

/// Ranges that differ by less than this factor stay as they are.
const ALIKE: f64 = 32.0;

/// Brings the channels of an input to one range: `values` are what it is given. The weights of its only
/// reader are multiplied by what the channels are divided by, which is returned; `None` where nothing
/// is changed.
pub fn channels(layers: &mut Layers, input: usize, values: &[f64]) -> Option<Vec<f64>> {
    let channels = layers.inputs[input].shape.channels;
    let mut ranges = vec![0.0f64; channels];
    for pixel in values.chunks_exact(channels.max(1)) {
        ranges.iter_mut().zip(pixel).for_each(|(range, value)| *range = range.max(value.abs()));
    }
    let largest = ranges.iter().copied().fold(0.0, f64::max);
    let least = ranges.iter().copied().filter(|&range| range > 0.0).fold(largest, f64::min);
    if !(largest.is_finite() && largest > ALIKE * least) {
        return None;
    }
    // A channel that is always 0 has no range to bring to another.
    let gain = |&range: &f64| if range > 0.0 { range / largest } else { 1.0 };
    let gains: Vec<f64> = ranges.iter().map(gain).collect();
    if layers.readers()[input] != 1 {
        return None;
    }
    let reader = layers.layers.iter().position(|layer| layer.inputs.contains(&input))?;
    match &mut layers.layers[reader].kind {
        Kind::Convolution { weights, .. } | Kind::FullyConnected { weights } => {
            multiply(weights, |_, column| gains[column % channels]);
        }
        Kind::Depthwise { weights, .. } => multiply(weights, |row, _| gains[row % channels]),
        Kind::Affine { gain, .. } => {
            gain.iter_mut().zip(&gains).for_each(|(gain, own)| *gain *= own);
        }
        _ => return None,
    }
    Some(gains)
}

fn multiply(weights: &mut Weights, gain: impl Fn(usize, usize) -> f64) {
    for (place, weight) in weights.reals.iter_mut().enumerate() {
        *weight *= gain(place / weights.row_length, place % weights.row_length);
    }
    // They stand for other numbers now.
    weights.integers = None;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SampleShape;
    use crate::import::layer::{Input, Layer, Output};

    fn layers(row_length: usize) -> Layers {
        let shape = SampleShape::new(1, 1, 3);
        let name = String::new;
        let weights = Weights::real(row_length, vec![1.0, 2.0, 3.0], vec![0.5]);
        Layers {
            name: name(),
            inputs: vec![Input {
                name: name(),
                shape,
                places: vec![0, 1, 2],
                quantization: None,
                integers: None,
            }],
            layers: vec![Layer {
                name: name(),
                operator: name(),
                kind: Kind::FullyConnected { weights },
                inputs: vec![0],
                shape: SampleShape::new(1, 1, 1),
                grid: None,
            }],
            outputs: vec![Output {
                name: name(),
                tensor: 1,
                places: vec![0],
                integers: None,
                quantization: None,
                logarithm: false,
                label: false,
            }],
        }
    }

    #[test]
    fn weights_take_back_what_channels_are_divided_by() {
        let mut balanced = layers(3);
        let gains = channels(&mut balanced, 0, &[200.0, 0.5, 0.0, -255.0, 1.0, 0.0]).unwrap();
        assert_eq!(gains, [1.0, 1.0 / 255.0, 1.0]);
        let Kind::FullyConnected { weights } = &balanced.layers[0].kind else { panic!() };
        assert_eq!(weights.reals, [1.0, 2.0 / 255.0, 3.0]);
    }

    #[test]
    fn ranges_that_are_alike_stay() {
        assert_eq!(channels(&mut layers(3), 0, &[3.0, 1.0, 2.0]), None);
        assert_eq!(channels(&mut layers(3), 0, &[0.0, 0.0, 0.0]), None);
    }
}
