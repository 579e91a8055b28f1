//! Weights of a layer on their grid, and the maps of values and gradients.

use tinyhero_common::bit_width::BitWidth;

use crate::error::Result;
use crate::graph::grid::Grid;
use crate::graph::network::Network;
use crate::graph::trained_network::normalizations;
use crate::graph::weights::NodeParameters;

use super::QuantizerOptions;

/// Weights of a layer, output channel the slowest index.
#[derive(Clone, Debug, Default)]
pub struct Lattice {
    latent: Vec<f32>,
    /// Of each channel.
    steps: Vec<f32>,
    /// −1 or 1 for each channel.
    signs: Vec<f32>,
    range: (f32, f32),
    /// `round(clamp(σ w / s))`.
    integers: Vec<f32>,
}

impl Lattice {
    /// Rounds latent weights with positive steps.
    pub fn new(latent: Vec<f32>, steps: Vec<f32>, signs: Vec<f32>, bit_width: BitWidth) -> Self {
        // Small whole numbers.
        let range = (bit_width.min() as f32, bit_width.max() as f32);
        let mut lattice = Self { latent, steps, signs, range, integers: Vec::new() };
        let integers =
            lattice.places().map(|(_, value, _)| lattice.clamped(value).round_ties_even());
        lattice.integers = integers.collect();
        lattice
    }

    fn row_length(&self) -> usize {
        self.latent.len() / self.steps.len().max(1)
    }

    /// Of every weight its channel, `v = σ w / s`, and the signed step.
    fn places(&self) -> impl Iterator<Item = (usize, f32, f32)> {
        let row_length = self.row_length().max(1);
        self.latent.iter().enumerate().map(move |(index, weight)| {
            let channel = index / row_length;
            let (sign, step) = (self.signs[channel], self.steps[channel]);
            (channel, sign * weight / step, sign * step)
        })
    }

    const fn clamped(&self, value: f32) -> f32 {
        value.clamp(self.range.0, self.range.1)
    }

    /// The real numbers that the integers stand for, `σ s q`.
    pub fn real(&self) -> Vec<f32> {
        self.places().zip(&self.integers).map(|((_, _, step), integer)| step * integer).collect()
    }

    /// The integers.
    pub fn integers(&self) -> Vec<i8> {
        // They are clamped to at most 8 bits.
        self.integers.iter().map(|&integer| integer as i8).collect()
    }

    /// `σ s` of each channel.
    pub fn signed_steps(&self) -> Vec<f32> {
        self.signs.iter().zip(&self.steps).map(|(sign, step)| sign * step).collect()
    }

    /// From the gradient of the rounded weights to those of latent weights and steps.
    pub fn backward(&self, gradient: &[f32], damping: f32) -> (Vec<f32>, Vec<f32>) {
        let (low, high) = self.range;
        let mut of_steps = vec![0.0f64; self.steps.len()];
        let mut of_latent = Vec::with_capacity(gradient.len());
        let places = self.places().zip(&self.integers).zip(gradient);
        for (((channel, value, step), integer), &gradient) in places {
            let inside = (low..=high).contains(&value);
            let pull = 2.0 * damping * step * (self.clamped(value) - integer);
            of_latent.push(if inside { gradient } else { 0.0 } + pull);
            let slope = integer - if inside { value } else { 0.0 };
            of_steps[channel] += f64::from(self.signs[channel] * gradient * slope);
        }
        let share = 1.0 / (self.row_length() as f64 * f64::from(high)).sqrt();
        (of_latent, of_steps.iter().map(|sum| (share * sum) as f32).collect())
    }
}

/// The sign of each channel, from the scales of all batch normalizations behind it; 1 where there is none.
pub fn signs(gammas: &[Vec<f32>], channels: usize) -> Vec<f32> {
    let sign = |channel: usize| {
        let negative = gammas.iter().filter(|gamma| gamma.get(channel).is_some_and(|g| *g < 0.0));
        if negative.count().is_multiple_of(2) { 1.0 } else { -1.0 }
    };
    (0..channels).map(sign).collect()
}

/// The network that latent weights and steps stand for: rounded weights, and their grids.
///
/// # Errors
/// A width is out of range.
pub fn snap(
    network: &Network,
    mut parameters: Vec<NodeParameters>,
    steps: &[Option<Vec<f32>>],
    options: &QuantizerOptions,
) -> Result<(Vec<NodeParameters>, Vec<Option<Grid>>)> {
    let mut grids = vec![None; network.nodes.len()];
    for (node, steps) in steps.iter().enumerate() {
        let Some(steps) = steps else { continue };
        let gamma = |&index: &usize| match parameters.get(index) {
            Some(NodeParameters::BatchNorm { gamma, .. }) => Some(gamma.clone()),
            _ => None,
        };
        let gammas: Vec<Vec<f32>> =
            normalizations(network, node).iter().filter_map(gamma).collect();
        let signs = signs(&gammas, steps.len());
        let bit_width = options.width_of(&network.nodes[node].name)?;
        if let Some(NodeParameters::Layer { weight, .. }) = parameters.get_mut(node) {
            let lattice = Lattice::new(weight.clone(), steps.clone(), signs, bit_width);
            *weight = lattice.real();
            grids[node] = Some(Grid { bit_width, steps: lattice.signed_steps() });
        }
    }
    Ok((parameters, grids))
}

/// How far from its integer a latent weight begins at most, in steps.
const START: f32 = 0.45;

/// Where training begins: for a network on grids, latent weights as near to `wanted` as the integers allow,
/// and positive steps.
pub fn start(
    on_grid: &[NodeParameters],
    grids: &[Option<Grid>],
    wanted: &[NodeParameters],
) -> (Vec<NodeParameters>, Vec<Option<Vec<f32>>>) {
    let mut parameters = on_grid.to_vec();
    let mut steps = vec![None; parameters.len()];
    for (node, grid) in grids.iter().enumerate() {
        let (
            Some(grid),
            Some(NodeParameters::Layer { weight, .. }),
            Some(NodeParameters::Layer { weight: wanted, .. }),
        ) = (grid, parameters.get_mut(node), wanted.get(node))
        else {
            continue;
        };
        let row_length = (weight.len() / grid.steps.len().max(1)).max(1);
        for (index, (weight, wanted)) in weight.iter_mut().zip(wanted).enumerate() {
            let step = grid.steps[index / row_length];
            let integer = (*weight / step).round_ties_even();
            *weight = step * (wanted / step).clamp(integer - START, integer + START);
        }
        steps[node] = Some(grid.steps.iter().map(|step| step.abs()).collect());
    }
    (parameters, steps)
}
