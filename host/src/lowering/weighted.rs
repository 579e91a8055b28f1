//! What all operators with weights share: rounding weights, and the integers of each output channel.

use super::constants::{RATIO_MAX, RATIO_MIN, rescale};
use super::tensor::IntegerWeights;
use super::tensor_statistics::TensorStatistics;
use super::weights::{
    WeightMatrix, WeightedRow, largest_weight_scale, quantize_weight, search_scale,
};
use super::{Context, Lowered};
use crate::error::Result;
use tinyhero_common::operator::{Operator, Weights};

/// Stored biases stay below this, which leaves room for the sum of products.
const BIAS_MAX: f64 = (1 << 29) as f64;
/// Share of the mean variance that is added to every weight's importance, so that a weight whose input never varied
/// during calibration still counts.
const IMPORTANCE_FLOOR: f64 = 0.01;
/// Ratio of scales for a channel without weights: its bias is exact to this part of an output step.
const ZERO_CHANNEL_RATIO: f64 = 1.0 / 256.0;

/// Lowers a layer with weights.
///
/// `operator` receives the place of the weights; `input_of` says which entry of the input's statistics a weight (row,
/// column) multiplies.
pub fn lower(
    matrix: &WeightMatrix,
    context: &Context<'_>,
    input_of: impl Fn(usize, usize) -> usize,
    operator: impl FnOnce(Weights) -> Operator,
) -> Result<Lowered> {
    let quantization = context.quantization;
    let bit_width = context.bit_width;
    let input = context.inputs[0];
    let statistics = context.input_statistics[0];
    let bias = context.rounded.map_or(&matrix.bias, |rounded| &rounded.bias);
    let mut scales = match context.rounded {
        Some(rounded) => rounded.scales.clone(),
        None => scales(matrix, context, &input_of),
    };

    let largest = scales.iter().copied().fold(0.0, f64::max);
    let (output, activation) = context.output(input.scale * largest / RATIO_MAX);
    let smallest = |bias: &f64| {
        (RATIO_MIN * output.scale / input.scale).max(bias.abs() / (input.scale * BIAS_MAX))
    };
    let mut floors: Vec<f64> = bias.iter().map(smallest).collect();
    if quantization.per_tensor {
        let floor = floors.iter().copied().fold(0.0, f64::max);
        floors.fill(floor);
    }
    for (scale, floor) in scales.iter_mut().zip(floors) {
        if *scale == 0.0 {
            *scale = ZERO_CHANNEL_RATIO * output.scale / input.scale;
        }
        *scale = scale.max(floor);
    }

    let mut weights = IntegerWeights {
        bit_width,
        row_length: matrix.row_length,
        values: Vec::with_capacity(matrix.values.len()),
        scales,
        biases: Vec::with_capacity(matrix.rows()),
        rescales: Vec::with_capacity(matrix.rows()),
    };
    for row in 0..matrix.rows() {
        let scale = weights.scales[row];
        let mut bias = bias[row];
        let mut sum = 0i64;
        // Integers that are there stay, unless the format asks for a larger scale.
        let kept = context.rounded.filter(|rounded| rounded.scales[row] == scale);
        let wanted = context.rounded.map(|rounded| (rounded.row(row), rounded.scales[row]));
        for (column, &weight) in matrix.row(row).iter().enumerate() {
            let weight = match wanted {
                Some((integers, scale)) => scale * f64::from(integers[column]),
                None => weight,
            };
            let quantized = match kept {
                Some(rounded) => rounded.row(row)[column],
                None => quantize_weight(weight, scale, bit_width),
            };
            sum += i64::from(quantized);
            if quantization.correct_bias && kept.is_none() {
                let error = weight - scale * f64::from(quantized);
                bias += error * statistics.mean[input_of(row, column)];
            }
            weights.values.push(quantized);
        }
        let unit = input.scale * scale;
        let stored = (bias / unit + 0.5).floor() - f64::from(input.zero_point) * sum as f64;
        if stored.abs() > f64::from(i32::MAX) {
            return Err(context.error(
                &format!("the bias of output channel {row} does not fit 32 bits"),
                "quantize to fewer bits, or train with more weight decay",
            ));
        }
        weights.biases.push(stored as i32);
        weights.rescales.push(rescale(unit / output.scale).ok_or_else(|| {
            context.error(
                &format!(
                    "output channel {row} needs a ratio of scales of {:e}",
                    unit / output.scale
                ),
                "check that its weights and calibration samples are sensible; 2^-25 to 2^6 is possible",
            )
        })?);
    }
    Ok(Lowered {
        operator: operator(weights.place()),
        weights: Some(weights),
        constants: Vec::new(),
        output,
        activation,
    })
}

/// The scale of every row, for rounding each weight to the nearest integer.
fn scales(
    matrix: &WeightMatrix,
    context: &Context<'_>,
    input_of: &impl Fn(usize, usize) -> usize,
) -> Vec<f64> {
    let (quantization, bit_width) = (context.quantization, context.bit_width);
    let importance = importance(context.input_statistics[0]);
    let of_row = |row: usize| -> Vec<f64> {
        (0..matrix.row_length).map(|column| importance[input_of(row, column)]).collect()
    };
    let importances: Vec<Vec<f64>> = (0..matrix.rows()).map(of_row).collect();
    let weighted =
        |row: usize| WeightedRow { weights: matrix.row(row), importance: &importances[row] };
    let scale_of = |rows: &[WeightedRow<'_>]| {
        if quantization.search_weight_scale {
            search_scale(rows, bit_width)
        } else {
            let largest = |row: &WeightedRow<'_>| largest_weight_scale(row.weights, bit_width);
            rows.iter().map(largest).fold(0.0, f64::max)
        }
    };
    if quantization.per_tensor {
        let rows: Vec<WeightedRow<'_>> = (0..matrix.rows()).map(weighted).collect();
        vec![scale_of(&rows); matrix.rows()]
    } else {
        (0..matrix.rows()).map(|row| scale_of(&[weighted(row)])).collect()
    }
}

/// How much the error of a weight matters: the variance of its input, with a floor. All alike for a constant input.
fn importance(statistics: &TensorStatistics) -> Vec<f64> {
    let mean = statistics.variance.iter().sum::<f64>() / statistics.variance.len() as f64;
    if mean > 0.0 {
        statistics.variance.iter().map(|variance| variance + IMPORTANCE_FLOOR * mean).collect()
    } else {
        vec![1.0; statistics.variance.len()]
    }
}
