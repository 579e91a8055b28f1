//! A trained network whose weights lie on the grid of their integers: where training with the quantizer in
//! the loop begins.

use super::Quantization;
use super::fold::{FoldedNode, fold};
use super::rounding::{Wanted, given, round};
use crate::error::Result;
use crate::graph::grid::Grid;
use crate::graph::parameters::unfolded;
use crate::graph::trained_network::{TrainedNetwork, normalizations};
use crate::graph::weights::NodeParameters;
use crate::lowering::rounded_matrix::RoundedMatrix;
use tinyhero_common::bit_width::BitWidth;

/// The smallest step of a grid.
const STEP_MIN: f64 = 1e-5;

/// The network rounded to the widths asked for, as real numbers: each weight is its channel's step
/// times an integer, and means are corrected by the bias, or by the running mean behind the layer.
/// Quantizing it gives these integers.
///
/// # Errors
/// Those of [`quantize`](super::quantize).
pub fn on_grid(
    trained: &TrainedNetwork,
    samples: &[i16],
    quantization: &Quantization,
) -> Result<TrainedNetwork> {
    trained.check()?;
    let (reference, mut folded) = (fold(trained)?, fold(trained)?);
    super::check_widths(&folded, quantization)?;
    let widths: Vec<BitWidth> =
        folded.nodes.iter().map(|node| quantization.width_of(&node.name)).collect();
    let mut rounded = given(&folded, trained, &widths, false);
    let wanted = Wanted { widths: &widths, per_tensor: false };
    round(&mut folded, &reference, trained, samples, &wanted, &mut rounded)?;

    let mut gridded = trained.clone();
    gridded.grids = vec![None; trained.network.nodes.len()];
    for ((node, rounded), &width) in reference.nodes.iter().zip(&rounded).zip(&widths) {
        let (Some(rounded), Some(source)) = (rounded, node.source) else { continue };
        place(&mut gridded, node, rounded, source, width);
    }
    Ok(gridded)
}

/// Puts the integers of a folded layer into the layer that it comes from.
fn place(
    gridded: &mut TrainedNetwork,
    node: &FoldedNode,
    rounded: &RoundedMatrix,
    source: usize,
    bit_width: BitWidth,
) {
    let convolution = !node.operator.reads_elements();
    let behind = normalizations(&gridded.network, source);
    let NodeParameters::Layer { weight, shape, bias } = &mut gridded.parameters[source] else {
        return;
    };
    let rows = rounded.scales.len();
    let gain = |row: usize| node.gain.get(row).copied().unwrap_or(1.0);
    let step = |row: usize| match rounded.scales[row] / gain(row) {
        step if step.is_finite() && step.abs() >= STEP_MIN => step,
        step if step.is_finite() => STEP_MIN.copysign(step),
        _ => STEP_MIN,
    };
    let steps: Vec<f32> = (0..rows).map(|row| step(row) as f32).collect();
    let real = (0..rows).flat_map(|row| {
        let step = steps[row];
        rounded.row(row).iter().map(move |&value| step * f32::from(value))
    });
    *weight = unfolded(&real.collect::<Vec<f32>>(), shape, convolution);
    let before = node.operator.linear().map(|linear| linear.matrix.bias.clone());
    let moved: Vec<f64> = (rounded.bias.iter().zip(before.unwrap_or_default()))
        .enumerate()
        .map(|(row, (after, before))| match gain(row) {
            0.0 => 0.0,
            gain => (after - before) / gain,
        })
        .collect();
    gridded.grids[source] = Some(Grid { bit_width, steps });
    match behind.first() {
        Some(&normalization) => {
            if let NodeParameters::BatchNorm { mean, .. } = &mut gridded.parameters[normalization] {
                for (mean, moved) in mean.iter_mut().zip(moved) {
                    *mean = (f64::from(*mean) - moved) as f32;
                }
            }
        }
        None => {
            for (bias, moved) in bias.iter_mut().flatten().zip(moved) {
                *bias = (f64::from(*bias) + moved) as f32;
            }
        }
    }
}
