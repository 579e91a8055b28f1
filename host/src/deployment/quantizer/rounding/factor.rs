//! A triangular factor of a covariance, and the rounding that it gives: each weight in turn takes the
//! error of those before it upon itself.

use std::ops::Range;

use rayon::prelude::*;

use super::product::dot;
use crate::lowering::weights::quantize_weight;
use tinyhero_common::bit_width::BitWidth;

/// Share of the mean variance that is added to the diagonal before it is factored.
const RIDGE: f64 = 0.01;

/// Columns that are computed in all rows below, at once on all cores, before the next ones.
const PANEL: usize = 64;

/// `C = L · Lᵀ`, inputs by rising variance, so that the last row belongs to the largest.
pub struct Factor {
    /// Which input each row belongs to.
    order: Vec<usize>,
    /// The rows, `size · size`; what is right of the diagonal is unspecified.
    rows: Vec<f64>,
}

impl Factor {
    /// Of `size · size` covariances, whose diagonal is `average` in the mean.
    pub fn new(covariance: &[f64], size: usize, average: f64) -> Self {
        let variance = |input: usize| covariance[input * (size + 1)];
        let mut order: Vec<usize> = (0..size).collect();
        // Stable, so inputs of equal variance stay in their order.
        order.sort_by(|&a, &b| variance(a).total_cmp(&variance(b)));
        let least = RIDGE * average;
        let mut rows = vec![0.0; size * size];
        for start in (0..size).step_by(PANEL) {
            let end = size.min(start + PANEL);
            // The columns from `start` on of a row, of which those before are there.
            let fill = |row: &mut [f64], i: usize, above: &[f64], columns: Range<usize>| {
                for j in columns {
                    let other = &above[j * size..j * size + j + 1];
                    let rest = covariance[order[i] * size + order[j]] - dot(&row[..j], &other[..j]);
                    row[j] = rest / other[j];
                }
            };
            for i in start..end {
                let (above, from) = rows.split_at_mut(i * size);
                let row = &mut from[..size];
                fill(row, i, above, start..i);
                let rest = variance(order[i]) + least - dot(&row[..i], &row[..i]);
                row[i] = rest.max(least).sqrt();
            }
            let (above, below) = rows.split_at_mut(end * size);
            below.par_chunks_exact_mut(size).enumerate().for_each(|(place, row)| {
                fill(row, end + place, above, start..end);
            });
        }
        Self { order, rows }
    }

    /// Rounds the weights of a block, one after the other by falling variance: each to the integer
    /// at which the error of all so far is least. `integers` receives them.
    pub fn round(&self, weights: &[f64], scale: f64, bit_width: BitWidth, integers: &mut [i8]) {
        let size = self.order.len();
        // What the errors so far have put upon each row.
        let mut carried = vec![0.0; size];
        for row in (0..size).rev() {
            let factors = &self.rows[row * size..row * size + row + 1];
            let input = self.order[row];
            let wanted = weights[input] - carried[row] / factors[row];
            integers[input] = quantize_weight(wanted, scale, bit_width);
            let error = scale * f64::from(integers[input]) - weights[input];
            for (carried, factor) in carried.iter_mut().zip(&factors[..row]) {
                *carried += error * factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_the_factor_with_itself_is_the_covariance() {
        let size = 3;
        let covariance = [4.0, 1.0, 0.5, 1.0, 2.0, 0.3, 0.5, 0.3, 9.0];
        let factor = Factor::new(&covariance, size, 0.0);
        assert_eq!(factor.order, [1, 0, 2]);
        for i in 0..size {
            for j in 0..=i {
                let row = |row: usize| &factor.rows[row * size..row * size + j + 1];
                let product = dot(row(i), row(j));
                let expected = covariance[factor.order[i] * size + factor.order[j]];
                assert!((product - expected).abs() < 1e-12, "{i} {j}: {product} {expected}");
            }
        }
    }

    #[test]
    fn two_weights_of_the_same_input_share_their_errors() {
        // Two inputs that are nearly the same: only the sum of their weights matters.
        let covariance = [1.0, 0.999, 0.999, 1.0];
        let factor = Factor::new(&covariance, 2, 0.0);
        let mut integers = [0; 2];
        factor.round(&[0.4, 0.4], 1.0, BitWidth::Four, &mut integers);
        assert_eq!(integers.iter().sum::<i8>(), 1);
    }
}
