//! The affine map from raw integers to the reals that training sees.

use super::Split;

/// `real = (raw - mean[c]) * inverse_std[c]` for each channel `c`, measured over a training split.
///
/// The quantizer turns this map into the integer input map of the model file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Normalization {
    /// Mean raw value of each channel.
    pub mean: Vec<f64>,
    /// One over the standard deviation of each channel, positive and finite; 1 for a channel that never varies.
    pub inverse_std: Vec<f64>,
}

impl Normalization {
    /// Measures `split`, whose samples have `channels` values per pixel.
    pub fn measure(split: &Split, channels: usize) -> Self {
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
        let inverse_std = squares
            .iter()
            .zip(&mean)
            .map(|(&square, mean)| {
                let variance = square as f64 / count - mean * mean;
                // Raw values are integers, so a variance this small means a constant channel.
                if variance > 1e-9 { variance.sqrt().recip() } else { 1.0 }
            })
            .collect();
        Self { mean, inverse_std }
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.mean.len()
    }

    /// The real value of `raw` in `channel`.
    pub fn real(&self, raw: i16, channel: usize) -> f64 {
        (f64::from(raw) - self.mean[channel]) * self.inverse_std[channel]
    }
}
