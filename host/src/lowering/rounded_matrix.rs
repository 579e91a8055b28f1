//! Weights of a layer after rounding, before they are written.

use super::weights::WeightMatrix;

/// The weights of a layer in integers: `real = scale · value`.
#[derive(Clone, Debug, PartialEq)]
pub struct RoundedMatrix {
    /// Weights of one output channel.
    pub row_length: usize,
    /// All rows one after the other.
    pub values: Vec<i8>,
    /// One scale per output channel, 0 for a channel whose weights are all 0.
    pub scales: Vec<f64>,
    /// One value per output channel.
    pub bias: Vec<f64>,
}

impl RoundedMatrix {
    /// The integers of one output channel.
    pub fn row(&self, row: usize) -> &[i8] {
        &self.values[row * self.row_length..(row + 1) * self.row_length]
    }

    /// The real numbers that the integers stand for.
    pub fn real(&self) -> WeightMatrix {
        let row = |(row, &scale): (&[i8], &f64)| -> Vec<f64> {
            row.iter().map(|&value| scale * f64::from(value)).collect()
        };
        let rows = self.values.chunks_exact(self.row_length.max(1)).zip(&self.scales);
        let values = rows.flat_map(row).collect();
        WeightMatrix { row_length: self.row_length, values, bias: self.bias.clone() }
    }
}
