//! How much a network's answers change when one layer alone is rounded.

use rayon::prelude::*;
use tinyhero_common::bit_width::BitWidth;

use super::calibrate::normalize;
use super::fold::{FoldedNetwork, fold};
use super::rounding;
use crate::deployment::integer_network::OutputTask;
use crate::error::Result;
use crate::graph::trained_network::TrainedNetwork;

/// Samples of a part, whose sums are made by one thread.
const PART: usize = 16;

/// What rounding a layer does to the answers.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDivergence {
    /// The layer's name.
    pub name: String,
    /// Number of weights.
    pub weights: usize,
    /// For each width, the mean over the samples of KL(float ‖ rounded) of the class probabilities;
    /// for a network that does not classify, of the squared difference of its outputs.
    pub widths: Vec<(BitWidth, f64)>,
}

/// The divergence of every layer with weights at each of the widths, on unlabelled samples.
///
/// # Errors
/// The samples are not whole, or give numbers that are not finite.
pub fn divergences(
    trained: &TrainedNetwork,
    samples: &[i16],
    widths: &[BitWidth],
    per_tensor: bool,
) -> Result<Vec<LayerDivergence>> {
    trained.check()?;
    let reference = fold(trained)?;
    let rounded = rounding::round_each(&reference, trained, samples, widths, per_tensor)?;
    // A network of each width, of which one layer at a time is used.
    let mut networks = Vec::with_capacity(widths.len());
    for layers in &rounded {
        let mut network = fold(trained)?;
        for (node, layer) in network.nodes.iter_mut().zip(layers) {
            if let Some(layer) = layer {
                node.operator.set_matrix(layer.real());
            }
        }
        networks.push(network);
    }
    let layers: Vec<usize> = (0..reference.nodes.len())
        .filter(|&index| reference.nodes[index].operator.linear().is_some())
        .collect();
    let elements = trained.network.sample_values();
    let part = |samples: &[i16]| {
        let mut sums = vec![0.0f64; layers.len() * widths.len()];
        let (mut exact, mut changed) = (reference.room(), reference.room());
        for sample in samples.chunks_exact(elements) {
            reference.forward(&normalize(trained, sample), &mut exact);
            let cases = layers.iter().flat_map(|&layer| networks.iter().map(move |n| (layer, n)));
            for ((layer, network), sum) in cases.zip(&mut sums) {
                forward_from(&reference, network, layer, &exact, &mut changed);
                *sum += divergence(&reference, layer, &exact, &changed);
            }
        }
        sums
    };
    let parts: Vec<Vec<f64>> = samples.par_chunks(elements * PART).map(part).collect();
    let mut sums = vec![0.0f64; layers.len() * widths.len()];
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    let count = (samples.len() / elements) as f64;
    let of_layer = |(&layer, sums): (&usize, &[f64])| {
        let node = &reference.nodes[layer];
        LayerDivergence {
            name: node.name.clone(),
            weights: node.operator.linear().map_or(0, |linear| linear.matrix.values.len()),
            widths: widths.iter().copied().zip(sums.iter().map(|sum| sum / count)).collect(),
        }
    };
    Ok(layers.iter().zip(sums.chunks(widths.len().max(1))).map(of_layer).collect())
}

/// Computes the tensors from a layer on, that layer from another network.
fn forward_from(
    reference: &FoldedNetwork,
    other: &FoldedNetwork,
    layer: usize,
    exact: &[Vec<f32>],
    changed: &mut [Vec<f32>],
) {
    for index in layer..reference.nodes.len() {
        let node = &reference.nodes[index];
        let (before, after) = changed.split_at_mut(reference.tensor_of(index));
        let read = |&tensor: &usize| match tensor >= reference.tensor_of(layer) {
            true => &*before[tensor],
            false => &*exact[tensor],
        };
        let inputs: Vec<&[f32]> = node.inputs.iter().map(read).collect();
        let operator = if index == layer { &other.nodes[index].operator } else { &node.operator };
        operator.forward(&inputs, &mut after[0]);
        node.activation.apply(&mut after[0]);
    }
}

/// How far the outputs on one sample are apart.
fn divergence(
    network: &FoldedNetwork,
    layer: usize,
    exact: &[Vec<f32>],
    changed: &[Vec<f32>],
) -> f64 {
    // A layer behind an output changes nothing of it.
    let changes = |tensor: usize| tensor >= network.tensor_of(layer);
    let squares = |tensor: usize| -> f64 {
        let pairs = exact[tensor].iter().zip(&changed[tensor]);
        let squares: f64 = pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
        squares / exact[tensor].len().max(1) as f64
    };
    let classifies = matches!(network.task, OutputTask::Classification { .. });
    let answer = match network.answer {
        answer if !changes(answer) => 0.0,
        answer if classifies => between_scores(&exact[answer], &changed[answer]),
        answer => squares(answer),
    };
    let others = network.outputs.iter().skip(1).filter(|&&output| changes(output));
    others.fold(answer, |sum, &output| sum + squares(output))
}

/// KL(exact ‖ changed) of the class probabilities of two lists of scores.
pub fn between_scores(exact: &[f32], changed: &[f32]) -> f64 {
    let (exact, changed) = (log_softmax(exact), log_softmax(changed));
    let pairs = exact.iter().zip(&changed);
    pairs.map(|(exact, changed)| exact.exp() * (exact - changed)).sum::<f64>().max(0.0)
}

fn log_softmax(scores: &[f32]) -> Vec<f64> {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
    let shifted: Vec<f64> =
        scores.iter().map(|&score| f64::from(score) - f64::from(largest)).collect();
    let sum: f64 = shifted.iter().map(|score| score.exp()).sum();
    shifted.iter().map(|score| score - sum.ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SampleShape;
    use crate::graph::network::Network;

    #[test]
    fn fewer_bits_change_the_answers_more_and_eight_hardly() {
        let shape = SampleShape::new(8, 8, 1);
        let network = Network::open("cnn", shape, 10).unwrap();
        let trained = TrainedNetwork::untrained(network, 5).unwrap();
        let samples: Vec<i16> = (0..40 * 64).map(|at| (at * 7_919 % 251) as i16).collect();
        let widths = [BitWidth::Two, BitWidth::Four, BitWidth::Eight];
        let found = divergences(&trained, &samples, &widths, false).unwrap();
        assert_eq!(found.len(), 4);
        let sum = |at: usize| found.iter().map(|layer| layer.widths[at].1).sum::<f64>();
        assert!(sum(0) > 4.0 * sum(1) && sum(1) > 4.0 * sum(2), "{found:?}");
        assert!(sum(2) < 1e-4, "{found:?}");
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let again = pool.install(|| divergences(&trained, &samples, &widths, false).unwrap());
        assert_eq!(found, again);
    }
}
