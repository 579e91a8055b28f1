//! Convolution of each channel with its own kernel, equation (4).

use super::super::weights::WeightMatrix;
use super::convolution_2d::transpose;
use super::windowed::Geometry;
use super::{Context, FoldedOperator, Linear, Lowered, Reads, weighted};
use crate::error::Result;
use std::sync::OnceLock;
use tinyhero_common::operator::{self, Operator};

/// A depthwise convolution with folded weights.
pub struct DepthwiseConvolution2d {
    geometry: Geometry,
    matrix: WeightMatrix,
    transposed: OnceLock<Vec<f32>>,
}

impl DepthwiseConvolution2d {
    /// `matrix` has one row per channel, in the order kernel row, kernel column.
    pub const fn new(geometry: Geometry, matrix: WeightMatrix) -> Self {
        Self { geometry, matrix, transposed: OnceLock::new() }
    }
}

impl FoldedOperator for DepthwiseConvolution2d {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let weights = self.transposed.get_or_init(|| transpose(&self.matrix));
        let channels = self.matrix.rows();
        for pixel in output.chunks_exact_mut(channels) {
            for (value, &bias) in pixel.iter_mut().zip(&self.matrix.bias) {
                *value = bias as f32;
            }
        }
        self.geometry.for_each_tap(|pixel, tap, place| {
            let sums = &mut output[pixel * channels..(pixel + 1) * channels];
            let values = &inputs[0][place * channels..(place + 1) * channels];
            let weights = &weights[tap * channels..(tap + 1) * channels];
            for ((sum, &value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                *sum += value * weight;
            }
        });
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let window = self.geometry.window;
        weighted::lower(
            &self.matrix,
            context,
            |row, _| row,
            |weights| {
                Operator::DepthwiseConvolution2d(operator::DepthwiseConvolution2d {
                    window,
                    weights,
                })
            },
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        Some(Linear { matrix: &self.matrix, reads: Reads::ChannelWindows(&self.geometry) })
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
