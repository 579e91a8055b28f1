//! The affine map from raw integers to the reals that training sees.

use serde::{Deserialize, Serialize};

use super::Split;

/// What a channel's values are brought to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scaling {
    /// Mean 0 and standard deviation 1 over the training samples
    #[default]
    Standard,
    /// 0 to 1, the least and the largest of the training samples
    MinMax,
}

/// `real = (raw - offset[c]) * inverse_scale[c]` for each channel `c`, measured over a training split.
///
/// The quantizer turns this map into the integer input map of the model file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Raw value of each channel that becomes 0.
    pub offset: Vec<f64>,
    /// One over the raw difference that becomes 1, positive and finite; 1 for a channel that never varies.
    pub inverse_scale: Vec<f64>,
}

impl Normalization {
    /// Measures `split`, whose samples have `channels` values per pixel.
    pub fn measure(split: &Split, channels: usize, scaling: Scaling) -> Self {
        match scaling {
            Scaling::Standard => Self::standard(split, channels),
            Scaling::MinMax => Self::min_max(split, channels),
        }
    }

    fn min_max(split: &Split, channels: usize) -> Self {
        let range = |channel: usize| {
            let values = split.samples.iter().skip(channel).step_by(channels);
            let (least, largest) = values.fold((i16::MAX, i16::MIN), |(least, largest), &value| {
                (least.min(value), largest.max(value))
            });
            if least < largest {
                let (least, largest) = (f64::from(least), f64::from(largest));
                (least, (largest - least).recip())
            } else {
                (f64::from(least), 1.0)
            }
        };
        let (offset, inverse_scale) = (0..channels).map(range).unzip();
        Self { offset, inverse_scale }
    }

    fn standard(split: &Split, channels: usize) -> Self {
        // Integer sums are exact, so the result does not depend on the order of the samples.
        let mut sums = vec![0i64; channels];
        let mut squares = vec![0i64; channels];
        for pixel in split.samples.chunks_exact(channels) {
            for (channel, &value) in pixel.iter().enumerate() {
                let value = i64::from(value);
                sums[channel] += value;
                squares[channel] += value * value;
            }
        }
        let count = (split.samples.len() / channels).max(1) as f64;
        let mean: Vec<f64> = sums.iter().map(|&sum| sum as f64 / count).collect();
        let inverse_scale = squares
            .iter()
            .zip(&mean)
            .map(|(&square, mean)| {
                let variance = square as f64 / count - mean * mean;
                // Raw values are integers, so a variance this small means a constant channel.
                if variance > 1e-9 { variance.sqrt().recip() } else { 1.0 }
            })
            .collect();
        Self { offset: mean, inverse_scale }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.offset.len()
    }

    /// The real value of `raw` in `channel`.
    pub fn real(&self, raw: i16, channel: usize) -> f64 {
        (f64::from(raw) - self.offset[channel]) * self.inverse_scale[channel]
    }
}
