//! Scale and integers of rows with a small error of their outputs.
//!
//! The start is the scale that rounds each weight best for itself, by the variance of its input, and
//! the integers that then follow from the errors of those before them. From there one weight after the other moves to the integer at which the error is least, and the
//! scale is fitted again, until nothing moves. The error falls with every move.

use rayon::prelude::*;
use tinyhero_common::bit_width::BitWidth;

use super::form::Form;
use super::product::dot;
use crate::lowering::weights::{WeightedRow, quantize_weight, search_scale};

/// Most passes over the weights.
const SWEEPS: usize = 8;

/// A row of weights and what it is multiplied with.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// The weights.
    pub weights: &'a [f64],
    /// Their inputs.
    pub form: &'a Form,
}

/// A row on its way to integers.
struct State<'a> {
    row: Row<'a>,
    /// `C w`.
    target: Vec<f64>,
    integers: Vec<i8>,
    /// `C q`.
    product: Vec<f64>,
}

/// The scale that the rows have in common, and their integers. The scale is 0 where all weights are.
pub fn round_rows<'a>(rows: &[Row<'a>], bit_width: BitWidth) -> (f64, Vec<Vec<i8>>) {
    let weighted =
        |row: &Row<'a>| WeightedRow { weights: row.weights, importance: &row.form.variance };
    let weighted: Vec<WeightedRow<'a>> = rows.iter().map(weighted).collect();
    let scale = search_scale(&weighted, bit_width);
    if scale == 0.0 {
        return (0.0, rows.iter().map(|row| vec![0; row.weights.len()]).collect());
    }
    let mut descent = Descent::new(rows, scale, bit_width, feedback);
    descent.run();
    (descent.scale, descent.states.into_iter().map(|state| state.integers).collect())
}

/// Each weight with the errors of those before it.
fn feedback(row: &Row<'_>, scale: f64, bit_width: BitWidth) -> Vec<i8> {
    let mut integers = vec![0; row.weights.len()];
    for block in &row.form.blocks {
        let part = block.start..block.start + block.size;
        let weights = &row.weights[part.clone()];
        block.factor.round(weights, scale, bit_width, &mut integers[part]);
    }
    integers
}

/// The search of rows with one scale.
struct Descent<'a> {
    scale: f64,
    states: Vec<State<'a>>,
    bit_width: BitWidth,
}

impl<'a> Descent<'a> {
    fn new(
        rows: &[Row<'a>],
        scale: f64,
        bit_width: BitWidth,
        start: impl Fn(&Row<'_>, f64, BitWidth) -> Vec<i8> + Sync,
    ) -> Self {
        let state = |row: &Row<'a>| {
            let integers = start(row, scale, bit_width);
            let real: Vec<f64> = integers.iter().map(|&value| f64::from(value)).collect();
            let (target, product) = (row.form.product(row.weights), row.form.product(&real));
            State { row: *row, target, integers, product }
        };
        Self { scale, states: rows.par_iter().map(state).collect(), bit_width }
    }

    fn run(&mut self) {
        for _ in 0..SWEEPS {
            self.fit_scale();
            if !self.sweep() {
                return;
            }
        }
        self.fit_scale();
    }

    /// The scale with the smallest error for these integers, where it is positive.
    fn fit_scale(&mut self) {
        let (mut with_target, mut with_self) = (0.0, 0.0);
        for state in &self.states {
            with_target += state.along(state.row.weights);
            with_self += state.along_itself();
        }
        if with_target > 0.0 && with_self > 0.0 {
            self.scale = with_target / with_self;
        }
    }

    /// Moves every weight once. False if none moves.
    fn sweep(&mut self) -> bool {
        let (scale, bit_width) = (self.scale, self.bit_width);
        let moved = self.states.par_iter_mut().map(|state| state.sweep(scale, bit_width));
        // All of them, whatever the first says.
        moved.reduce(|| false, |one, other| one | other)
    }
}

impl State<'_> {
    /// `xᵀ C q`.
    fn along(&self, x: &[f64]) -> f64 {
        dot(&self.product, x)
    }

    /// `qᵀ C q`.
    fn along_itself(&self) -> f64 {
        let products = self.product.iter().zip(&self.integers);
        products.map(|(product, &value)| product * f64::from(value)).sum()
    }

    fn sweep(&mut self, scale: f64, bit_width: BitWidth) -> bool {
        let mut moved = false;
        for block in &self.row.form.blocks {
            let part = block.start..block.start + block.size;
            let products = &mut self.product[part.clone()];
            let targets = &self.target[part.clone()];
            for (input, value) in self.integers[part].iter_mut().enumerate() {
                let covariances = block.row(input);
                let slope = scale * products[input] - targets[input];
                let wanted = f64::from(*value) - slope / (scale * covariances[input]);
                let found = quantize_weight(wanted, 1.0, bit_width);
                if found == *value {
                    continue;
                }
                let step = f64::from(found) - f64::from(*value);
                for (product, covariance) in products.iter_mut().zip(covariances) {
                    *product += step * covariance;
                }
                *value = found;
                moved = true;
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests;
