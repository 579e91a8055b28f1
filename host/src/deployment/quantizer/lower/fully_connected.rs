//! Fully connected layer, equation (5).

use super::super::weights::WeightMatrix;
use super::convolution_2d::transpose;
use super::{Context, FoldedOperator, Linear, Lowered, Reads, weighted};
use crate::error::Result;
use std::sync::OnceLock;
use tinyhero_common::operator::{self, Operator};

/// A fully connected layer with folded weights.
pub struct FullyConnected {
    matrix: WeightMatrix,
    transposed: OnceLock<Vec<f32>>,
}

impl FullyConnected {
    /// `matrix` has one row per output, in the memory order of the input.
    pub const fn new(matrix: WeightMatrix) -> Self {
        Self { matrix, transposed: OnceLock::new() }
    }
}

impl FoldedOperator for FullyConnected {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let weights = self.transposed.get_or_init(|| transpose(&self.matrix));
        for (value, &bias) in output.iter_mut().zip(&self.matrix.bias) {
            *value = bias as f32;
        }
        for (&value, weights) in inputs[0].iter().zip(weights.chunks_exact(output.len())) {
            for (sum, &weight) in output.iter_mut().zip(weights) {
                *sum += value * weight;
            }
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        weighted::lower(
            &self.matrix,
            context,
            |_, column| column,
            |weights| Operator::FullyConnected(operator::FullyConnected { weights }),
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        Some(Linear { matrix: &self.matrix, reads: Reads::Elements })
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

    fn reads_elements(&self) -> bool {
        true
    }
}
