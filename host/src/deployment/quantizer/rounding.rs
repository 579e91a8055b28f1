//! From real weights to integers by the error of each layer's output, on unlabelled samples.
//!
//! Layers are rounded one after the other. What a layer reads during that is computed by the layers
//! before it as they are rounded already, so that it makes up for a part of their errors. Its
//! weights get a scale and integers with a small error of its output ([`descent`]); then scale and
//! bias are corrected such that each channel keeps the mean and the variance that it has on the
//! same samples in the network that is not rounded ([`moments`]).
//!
//! Only differences and ratios between the two networks enter, both on the same samples. The
//! running statistics of batch normalization, which training has measured on other samples, stay
//! what they are.

mod covariance;
mod descent;
mod factor;
mod form;
mod forward;
mod moments;
mod product;

use rayon::prelude::*;
use tinyhero_common::bit_width::BitWidth;

use super::fold::{FoldedNetwork, FoldedNode};
use crate::error::Result;
use crate::graph::trained_network::TrainedNetwork;
use crate::lowering::rounded_matrix::RoundedMatrix;
use crate::lowering::weights::{WeightMatrix, quantize_weight};
use descent::{Row, round_rows};
use form::Form;
use forward::Pair;
use moments::Moments;

/// What the integers shall be like.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Bits of each node's weights.
    pub widths: &'a [BitWidth],
    /// One scale for a whole layer instead of one per output channel.
    pub per_tensor: bool,
}

/// The integers of the nodes that training has put on the grid that is wanted.
pub fn given(
    folded: &FoldedNetwork,
    trained: &TrainedNetwork,
    widths: &[BitWidth],
    per_tensor: bool,
) -> Vec<Option<RoundedMatrix>> {
    let of_node = |(node, &width): (&FoldedNode, &BitWidth)| {
        let linear = node.operator.linear()?;
        let grid = trained.grids.get(node.source?)?.as_ref()?;
        if grid.bit_width != width || per_tensor || grid.steps.len() != linear.matrix.rows() {
            return None;
        }
        let gain = |row: usize| node.gain.get(row).copied().unwrap_or(1.0);
        // A channel that is multiplied by 0 has no integers to keep.
        let scale = |(row, &step): (usize, &f32)| (f64::from(step) * gain(row)).max(0.0);
        let scales: Vec<f64> = grid.steps.iter().enumerate().map(scale).collect();
        let matrix = linear.matrix;
        let rows = (0..matrix.rows()).flat_map(|row| {
            let scale = scales[row];
            let whole = move |&weight: &f64| {
                if scale > 0.0 { quantize_weight(weight, scale, width) } else { 0 }
            };
            matrix.row(row).iter().map(whole)
        });
        let (values, row_length) = (rows.collect(), matrix.row_length);
        Some(RoundedMatrix { row_length, values, bias: matrix.bias.clone(), scales })
    };
    folded.nodes.iter().zip(widths).map(of_node).collect()
}

/// Rounds every layer of `folded` that is not `rounded` yet, and replaces its weights by the real
/// numbers that its integers stand for. Nodes without a table of weights stay `None`.
///
/// `reference` is the same network, which stays as it is.
///
/// # Errors
/// The samples are not whole, or give numbers that are not finite.
pub fn round(
    folded: &mut FoldedNetwork,
    reference: &FoldedNetwork,
    trained: &TrainedNetwork,
    samples: &[i16],
    wanted: &Wanted<'_>,
    rounded: &mut [Option<RoundedMatrix>],
) -> Result<()> {
    let mut pair = Pair::new(reference, trained, samples)?;
    let nodes = folded.nodes.iter_mut().zip(rounded).zip(wanted.widths);
    for (index, ((node, rounded), &width)) in nodes.enumerate() {
        let moments = pair.compute_exact(index)?;
        if rounded.is_none()
            && let Some(linear) = node.operator.linear()
        {
            let forms = covariance::measure(&linear, &pair.inputs(index));
            *rounded = Some(round_layer(linear.matrix, &forms, &moments, width, wanted.per_tensor));
        }
        if let Some(rounded) = rounded {
            node.operator.set_matrix(rounded.real());
        }
        pair.compute_rounded(index, node);
    }
    Ok(())
}

/// Rounds every layer for itself, with inputs from layers that are not rounded, to each of the
/// widths. The integers of each width and node.
///
/// # Errors
/// Those of [`round`].
pub fn round_each(
    reference: &FoldedNetwork,
    trained: &TrainedNetwork,
    samples: &[i16],
    widths: &[BitWidth],
    per_tensor: bool,
) -> Result<Vec<Vec<Option<RoundedMatrix>>>> {
    let mut pair = Pair::new(reference, trained, samples)?;
    let mut all = vec![Vec::with_capacity(reference.nodes.len()); widths.len()];
    for (index, node) in reference.nodes.iter().enumerate() {
        let moments = pair.compute_exact(index)?;
        let linear = node.operator.linear();
        let forms = linear.as_ref().map(|linear| covariance::measure(linear, &pair.inputs(index)));
        for (&width, all) in widths.iter().zip(&mut all) {
            let layer = linear.as_ref().zip(forms.as_ref()).map(|(linear, forms)| {
                round_layer(linear.matrix, forms, &moments, width, per_tensor)
            });
            all.push(layer);
        }
        pair.compute_rounded(index, node);
    }
    Ok(all)
}

/// A layer in integers, its outputs with these moments.
fn round_layer(
    matrix: &WeightMatrix,
    forms: &[Form],
    moments: &Moments,
    bit_width: BitWidth,
    per_tensor: bool,
) -> RoundedMatrix {
    let rounded = round_rows_of(matrix, forms, bit_width, per_tensor);
    moments::matched(rounded, forms, moments, per_tensor)
}

/// Scales and integers of a layer. The bias stays.
fn round_rows_of(
    matrix: &WeightMatrix,
    forms: &[Form],
    bit_width: BitWidth,
    per_tensor: bool,
) -> RoundedMatrix {
    let row = |row: usize| Row {
        weights: matrix.row(row),
        form: Form::of_row(forms, row, matrix.rows()),
    };
    let rows: Vec<Row<'_>> = (0..matrix.rows()).map(row).collect();
    let groups = if per_tensor { rows.len().max(1) } else { 1 };
    let found: Vec<(f64, Vec<Vec<i8>>)> =
        rows.par_chunks(groups).map(|rows| round_rows(rows, bit_width)).collect();
    let mut rounded = RoundedMatrix {
        row_length: matrix.row_length,
        values: Vec::with_capacity(matrix.values.len()),
        scales: Vec::with_capacity(matrix.rows()),
        bias: matrix.bias.clone(),
    };
    for (scale, rows) in found {
        for row in rows {
            rounded.values.extend(row);
            rounded.scales.push(scale);
        }
    }
    rounded
}

#[cfg(test)]
mod tests;
