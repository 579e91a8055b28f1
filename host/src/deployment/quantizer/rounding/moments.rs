//! Mean and variance of each output channel, brought back to what they are without rounding.

use super::form::Form;
use super::product::dot;
use crate::lowering::rounded_matrix::RoundedMatrix;

/// Mean and variance of each channel of a layer's output, before its activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Means.
    pub mean: Vec<f64>,
    /// Variances.
    pub variance: Vec<f64>,
}

/// How much a scale is changed at most, either way.
const LARGEST_GAIN: f64 = 2.0;

/// The layer with scales and biases such that its outputs have the moments that are `wanted`. With
/// one scale for all rows, variances agree in the sum only.
pub fn matched(
    mut rounded: RoundedMatrix,
    forms: &[Form],
    wanted: &Moments,
    per_tensor: bool,
) -> RoundedMatrix {
    let rows = rounded.scales.len();
    let form = |row: usize| Form::of_row(forms, row, rows);
    let real = |rounded: &RoundedMatrix, row: usize| -> Vec<f64> {
        let scale = rounded.scales[row];
        rounded.row(row).iter().map(|&value| scale * f64::from(value)).collect()
    };
    let found: Vec<f64> =
        (0..rows).map(|row| form(row).output_variance(&real(&rounded, row))).collect();
    if per_tensor {
        let gain = gain(wanted.variance.iter().sum(), found.iter().sum());
        rounded.scales.iter_mut().for_each(|scale| *scale *= gain);
    } else {
        for (scale, (&wanted, &found)) in
            rounded.scales.iter_mut().zip(wanted.variance.iter().zip(&found))
        {
            *scale *= gain(wanted, found);
        }
    }
    rounded.bias = (0..rows)
        .map(|row| wanted.mean[row] - dot(&form(row).mean, &real(&rounded, row)))
        .collect();
    rounded
}

/// What brings a standard deviation back.
fn gain(wanted: f64, found: f64) -> f64 {
    if wanted > 0.0 && found > 0.0 {
        (wanted / found).sqrt().clamp(1.0 / LARGEST_GAIN, LARGEST_GAIN)
    } else {
        1.0
    }
}
