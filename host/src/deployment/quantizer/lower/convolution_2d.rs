//! Convolution over all input channels, equation (3).

use super::super::weights::WeightMatrix;
use super::tiles::Tiles;
use super::windowed::Geometry;
use super::{Context, FoldedOperator, Linear, Lowered, Reads, weighted};
use crate::error::Result;
use std::sync::OnceLock;
use tinyhero_common::operator::{self, Operator};

/// A convolution with folded weights.
pub struct Convolution2d {
    geometry: Geometry,
    matrix: WeightMatrix,
    tiles: OnceLock<Tiles>,
}

impl Convolution2d {
    /// `matrix` has one row per output channel, in the order kernel row, kernel column, input channel.
    pub const fn new(geometry: Geometry, matrix: WeightMatrix) -> Self {
        Self { geometry, matrix, tiles: OnceLock::new() }
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
        let tiles = self.tiles.get_or_init(|| Tiles::new(&self.matrix));
        let depth = usize::from(self.geometry.input.channels);
        let mut strip = tiles.strip(output);
        self.geometry.for_each_tap(|pixel, tap, place| {
            let values = &inputs[0][place * depth..(place + 1) * depth];
            strip.window(pixel)[tap * depth..(tap + 1) * depth].copy_from_slice(values);
        });
        strip.finish();
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
        self.tiles = OnceLock::new();
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.matrix.fold_affine(gain, shift);
        self.tiles = OnceLock::new();
        true
    }
}
