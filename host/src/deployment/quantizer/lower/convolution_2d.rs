//! Convolution over all input channels, equation (3).

use super::super::weights::WeightMatrix;
use super::windowed::Geometry;
use super::{Context, FoldedOperator, Linear, Lowered, Reads, weighted};
use crate::error::Result;
use std::sync::OnceLock;
use tinyhero_common::operator::{self, Operator};

/// A convolution with folded weights.
pub struct Convolution2d {
    geometry: Geometry,
    matrix: WeightMatrix,
    transposed: OnceLock<Vec<f32>>,
}

impl Convolution2d {
    /// `matrix` has one row per output channel, in the order kernel row, kernel column, input channel.
    pub const fn new(geometry: Geometry, matrix: WeightMatrix) -> Self {
        Self { geometry, matrix, transposed: OnceLock::new() }
    }
}

/// The weights with the output channel as the fastest index, for the real forward pass.
pub fn transpose(matrix: &WeightMatrix) -> Vec<f32> {
    let column = |column: usize| {
        (0..matrix.rows()).map(move |row| matrix.values[row * matrix.row_length + column] as f32)
    };
    (0..matrix.row_length).flat_map(column).collect()
}

impl FoldedOperator for Convolution2d {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let weights = self.transposed.get_or_init(|| transpose(&self.matrix));
        let channels = self.matrix.rows();
        let depth = usize::from(self.geometry.input.channels);
        for pixel in output.chunks_exact_mut(channels) {
            for (value, &bias) in pixel.iter_mut().zip(&self.matrix.bias) {
                *value = bias as f32;
            }
        }
        self.geometry.for_each_tap(|pixel, tap, place| {
            let sums = &mut output[pixel * channels..(pixel + 1) * channels];
            let values = &inputs[0][place * depth..(place + 1) * depth];
            let weights = &weights[tap * depth * channels..(tap + 1) * depth * channels];
            for (&value, weights) in values.iter().zip(weights.chunks_exact(channels)) {
                for (sum, &weight) in sums.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        });
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let depth = usize::from(self.geometry.input.channels);
        let window = self.geometry.window;
        weighted::lower(
            &self.matrix,
            context,
            |_, column| column % depth,
            |weights| Operator::Convolution2d(operator::Convolution2d { window, weights }),
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        Some(Linear { matrix: &self.matrix, reads: Reads::Windows(&self.geometry) })
    }

    fn set_matrix(&mut self, matrix: WeightMatrix) {
        self.matrix = matrix;
        self.transposed = OnceLock::new();
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.matrix.fold_affine(gain, shift);
        self.transposed = OnceLock::new();
        true
    }
}
