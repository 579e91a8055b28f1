//! Weights in real numbers, and their quantization per output channel or per tensor.
//!
//! A quantized weight is `round(w / scale)` cut off at the width's range, `−2^(b−1) ..= 2^(b−1) − 1`. The scale is searched: a smaller
//! one than `max|w|` asks for clips a few large weights and makes every step finer, which at few bits costs less. What is
//! made small is the error of the layer's output, `Σ_k importance_k · (w_k − scale · q_k)²`, where the importance of a weight is the
//! variance of the input that it multiplies (the mean's share of the error is taken off by bias correction).

use tinyhero_common::bit_width::BitWidth;

/// Fractions of the scale that `max|w|` asks for, in percent, that the search tries.
const FRACTIONS: std::ops::RangeInclusive<u32> = 20..=125;
/// How fine the second search, around the best of the first, is.
const REFINEMENT: f64 = 0.002;

/// The weights of a layer in real numbers, one row an output channel, in the order kernel row, kernel column, input
/// channel.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightMatrix {
    /// Weights of one output channel.
    pub row_length: usize,
    /// All rows one after the other.
    pub values: Vec<f64>,
    /// One value per output channel.
    pub bias: Vec<f64>,
}

impl WeightMatrix {
    /// Number of output channels.
    pub fn rows(&self) -> usize {
        self.bias.len()
    }

    /// The weights of one output channel.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.row_length..(row + 1) * self.row_length]
    }

    /// The weights with the output channel as the fastest index, for the real forward pass.
    pub fn transposed(&self) -> Vec<f32> {
        let column = |column: usize| {
            (0..self.rows()).map(move |row| self.values[row * self.row_length + column] as f32)
        };
        (0..self.row_length).flat_map(column).collect()
    }

    /// Replaces the layer's output `y` by `gain · y + shift` per channel: how batch normalization disappears.
    pub fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) {
        for (row, &gain) in self.values.chunks_exact_mut(self.row_length).zip(gain) {
            for weight in row {
                *weight *= gain;
            }
        }
        for ((bias, gain), shift) in self.bias.iter_mut().zip(gain).zip(shift) {
            *bias = *bias * gain + shift;
        }
    }
}

/// `round-half-even(w / scale)`, cut off at the width's range.
pub fn quantize_weight(weight: f64, scale: f64, bit_width: BitWidth) -> i8 {
    let rounded = (weight / scale).round_ties_even();
    // Both ends fit int8.
    rounded.clamp(f64::from(bit_width.min()), f64::from(bit_width.max())) as i8
}

/// The scale at which the largest weight is the width's largest value: `max|w| / (2^(b−1) − 1)`. 0 if all are zero.
pub fn largest_weight_scale(weights: &[f64], bit_width: BitWidth) -> f64 {
    let largest = weights.iter().fold(0.0f64, |largest, weight| largest.max(weight.abs()));
    largest / f64::from(bit_width.max())
}

/// A row of weights and the importance of each.
#[derive(Clone, Copy, Debug)]
pub struct WeightedRow<'a> {
    /// The weights.
    pub weights: &'a [f64],
    /// As many non-negative numbers.
    pub importance: &'a [f64],
}

impl WeightedRow<'_> {
    fn error(&self, scale: f64, bit_width: BitWidth) -> f64 {
        let term = |(&weight, &importance): (&f64, &f64)| {
            let kept = scale * f64::from(quantize_weight(weight, scale, bit_width));
            importance * (weight - kept) * (weight - kept)
        };
        self.weights.iter().zip(self.importance).map(term).sum()
    }
}

/// The common scale of the rows with the smallest weighted squared error; 0 if all weights are zero.
pub fn search_scale(rows: &[WeightedRow<'_>], bit_width: BitWidth) -> f64 {
    let largest = |row: &WeightedRow<'_>| largest_weight_scale(row.weights, bit_width);
    let full = rows.iter().map(largest).fold(0.0, f64::max);
    if full == 0.0 {
        return 0.0;
    }
    let error = |scale: f64| rows.iter().map(|row| row.error(scale, bit_width)).sum::<f64>();
    let mut best = (error(full), full);
    let mut attempt = |scale: f64| {
        let found = error(scale);
        if found < best.0 {
            best = (found, scale);
        }
        best.1
    };
    let mut coarse = full;
    for percent in FRACTIONS {
        coarse = attempt(full * f64::from(percent) / 100.0);
    }
    for step in -4i32..=4 {
        attempt(coarse + f64::from(step) * REFINEMENT * full);
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_searched_scale_is_never_worse_than_that_of_the_largest_weight() {
        let weights: Vec<f64> = (0..64).map(|i| f64::from(i * i % 23 - 11) * 0.013).collect();
        let importance = vec![1.0; weights.len()];
        let row = WeightedRow { weights: &weights, importance: &importance };
        for bit_width in BitWidth::ALL {
            let full = largest_weight_scale(&weights, bit_width);
            let found = search_scale(&[row], bit_width);
            assert!(row.error(found, bit_width) <= row.error(full, bit_width), "{bit_width:?}");
        }
    }

    #[test]
    fn one_outlier_is_clipped_at_two_bits() {
        let mut weights = [0.1, -0.1].repeat(20);
        weights.push(0.5);
        let importance = vec![1.0; weights.len()];
        let row = WeightedRow { weights: &weights, importance: &importance };
        assert!(search_scale(&[row], BitWidth::Two) < 0.3);
        assert_eq!(search_scale(&[], BitWidth::Two), 0.0);
    }

    #[test]
    fn folding_an_affine_map_scales_rows_and_biases() {
        let mut matrix =
            WeightMatrix { row_length: 2, values: vec![1.0, 2.0, 3.0, 4.0], bias: vec![1.0, -1.0] };
        matrix.fold_affine(&[2.0, -1.0], &[0.5, 0.25]);
        assert_eq!(matrix.values, [2.0, 4.0, -3.0, -4.0]);
        assert_eq!(matrix.bias, [2.5, 1.25]);
    }
}
