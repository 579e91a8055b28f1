//! Channels of a tensor brought to one range before they share a scale.
//!
//! A network computes the same if a channel is divided by a positive number where it is written, and
//! its weights are multiplied by that where it is read, as long as what is between lets factors
//! through: ReLU, poolings, sizes. A tensor of 8 bits has one step for all its channels, so that one
//! whose values are small against the others' has few of them left; batch norm folded elsewhere by
//! another framework leaves such channels behind. Weights have a step for each output channel, which
//! takes the factor up.

use rayon::prelude::*;

use super::calibrate::{check_samples, normalize};
use super::fold::fold;
use crate::error::Result;
use crate::graph::function::Function;
use crate::graph::network::{Network, NodeInput, Operation};
use crate::graph::operation::{Elementwise, Relu};
use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::NodeParameters;

/// Samples whose values are looked at.
const MOST_SAMPLES: usize = 256;
/// A channel becomes larger by this at most.
const LARGEST_FACTOR: f64 = 64.0;

/// The network with channels of one range wherever that is possible; none where it is nowhere.
///
/// # Errors
/// The samples are not whole.
pub fn equalized(trained: &TrainedNetwork, samples: &[i16]) -> Result<Option<TrainedNetwork>> {
    let largest = largest_by_channel(trained, samples)?;
    let mut equal = trained.clone();
    // Steps that training has chosen belong to the weights as they are.
    if trained.grids.iter().any(Option::is_some) {
        return Ok(None);
    }
    let mut count = 0;
    for (node, largest) in largest.iter().enumerate() {
        let (Some(largest), Some(readers)) = (largest, readers(&trained.network, node)) else {
            continue;
        };
        if !scales(&trained.network.nodes[node].operation) {
            continue;
        }
        let most = largest.iter().copied().fold(0.0, f64::max);
        let by_row = readers.iter().all(|&reader| reads_by_row(&trained.network, reader));
        let factor = |largest: &f64| {
            let share = if by_row { largest / most } else { (largest / most).sqrt() };
            if share > 0.0 { share.max(1.0 / LARGEST_FACTOR) } else { 1.0 }
        };
        let factors: Vec<f64> = largest.iter().map(factor).collect();
        if most <= 0.0 || !fits(&equal, node, &readers, factors.len()) {
            continue;
        }
        scale_outputs(&mut equal.parameters[node], &factors);
        for reader in readers {
            let groups = groups(&trained.network.nodes[reader].operation);
            scale_inputs(&mut equal.parameters[reader], groups, &factors);
        }
        count += 1;
    }
    Ok((count > 0).then_some(equal))
}

/// The largest magnitude of each channel of what a node gives, the activation behind it included, over some samples. None for nodes
/// that are no layer of integers.
fn largest_by_channel(trained: &TrainedNetwork, samples: &[i16]) -> Result<Vec<Option<Vec<f64>>>> {
    let elements = check_samples(trained, samples)?;
    let folded = fold(trained)?;
    let every = (samples.len() / elements).div_ceil(MOST_SAMPLES).max(1);
    let taken: Vec<&[i16]> = samples.chunks_exact(elements).step_by(every).collect();
    let channels: Vec<usize> =
        folded.nodes.iter().map(|node| usize::from(node.shape.channels)).collect();
    let none = || channels.iter().map(|&channels| vec![0.0f32; channels]).collect::<Vec<_>>();
    let of_sample = |mut largest: Vec<Vec<f32>>, sample: &&[i16]| {
        let mut values = folded.room();
        folded.forward(&normalize(trained, sample), &mut values);
        for (largest, values) in largest.iter_mut().zip(&values[folded.inputs.len()..]) {
            for (index, value) in values.iter().enumerate() {
                let channel = index % largest.len();
                largest[channel] = largest[channel].max(value.abs());
            }
        }
        largest
    };
    let larger = |mut first: Vec<Vec<f32>>, second: Vec<Vec<f32>>| {
        for (first, second) in first.iter_mut().flatten().zip(second.iter().flatten()) {
            *first = first.max(*second);
        }
        first
    };
    let largest = taken.par_iter().fold(none, of_sample).reduce(none, larger);
    let mut found = vec![None; trained.network.nodes.len()];
    for (node, largest) in folded.nodes.iter().zip(largest) {
        if let Some(source) = node.source {
            found[source] = Some(largest.into_iter().map(f64::from).collect());
        }
    }
    Ok(found)
}

/// Whether a node has a row of weights for each of its channels.
const fn scales(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Convolution2d(_)
            | Operation::DepthwiseConvolution2d(_)
            | Operation::GroupedConvolution2d(_)
            | Operation::TransposedConvolution2d(_)
            | Operation::FullyConnected(_)
    )
}

/// Whether positive factors of channels go through a node.
const fn lets_through(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Relu(Relu { six: false })
            | Operation::Elementwise(Elementwise(Function::LeakyRelu { .. }))
            | Operation::MaxPool2d(_)
            | Operation::AveragePool2d(_)
            | Operation::GlobalAveragePool(_)
            | Operation::Resize2d(_)
            | Operation::Flatten(_)
    )
}

/// The nodes whose weights multiply what `node` gives, whatever lies between. None where something else reads it, or the user.
fn readers(network: &Network, node: usize) -> Option<Vec<usize>> {
    let mut open = vec![node];
    let mut found = Vec::new();
    while let Some(source) = open.pop() {
        if network.outputs.contains(&source) {
            return None;
        }
        for (index, reader) in network.nodes.iter().enumerate() {
            if !reader.inputs.contains(&NodeInput::Node(source)) {
                continue;
            }
            if scales(&reader.operation) {
                found.push(index);
            } else if lets_through(&reader.operation) {
                open.push(index);
            } else {
                return None;
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

/// Whether every row of a node's weights reads one channel, whose factor its step takes up.
fn reads_by_row(network: &Network, node: usize) -> bool {
    match &network.nodes[node].operation {
        Operation::DepthwiseConvolution2d(_) => true,
        Operation::GroupedConvolution2d(grouped) => {
            grouped.groups > 1 && {
                let summaries = network.summaries().unwrap_or_default();
                summaries.get(node).is_some_and(|summary| summary.input.channels == grouped.groups)
            }
        }
        _ => false,
    }
}

/// Into how many groups a node divides the channels that it reads; none where each row reads the channel of its number.
const fn groups(operation: &Operation) -> Option<usize> {
    match operation {
        Operation::DepthwiseConvolution2d(_) => None,
        Operation::GroupedConvolution2d(grouped) => Some(grouped.groups),
        _ => Some(1),
    }
}

/// Whether the numbers of all of them are where they are expected.
fn fits(trained: &TrainedNetwork, node: usize, readers: &[usize], channels: usize) -> bool {
    let is_layer = |node: usize| match &trained.parameters[node] {
        NodeParameters::Layer { weight, shape, .. } => {
            !weight.is_empty() && weight.len() == shape.iter().product::<usize>()
        }
        _ => false,
    };
    let rows = match &trained.parameters[node] {
        NodeParameters::Layer { shape, .. } => shape.first() == Some(&channels),
        _ => false,
    };
    rows && is_layer(node) && readers.iter().all(|&reader| is_layer(reader))
}

/// Divides every output of a layer by its factor.
fn scale_outputs(parameters: &mut NodeParameters, factors: &[f64]) {
    let NodeParameters::Layer { weight, bias, .. } = parameters else { return };
    let row = weight.len() / factors.len().max(1);
    for (weights, factor) in weight.chunks_exact_mut(row.max(1)).zip(factors) {
        weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / factor) as f32);
    }
    for (bias, factor) in bias.iter_mut().flatten().zip(factors) {
        *bias = (f64::from(*bias) / factor) as f32;
    }
}

/// Multiplies the weights of every input channel of a layer by its factor.
fn scale_inputs(parameters: &mut NodeParameters, groups: Option<usize>, factors: &[f64]) {
    let NodeParameters::Layer { weight, shape, .. } = parameters else { return };
    let outputs = shape.first().copied().unwrap_or(1).max(1);
    let row = weight.len() / outputs;
    // Weights of a vector count its elements, channels fastest; those of a window count channels, then taps.
    let inputs = shape.get(1).copied().unwrap_or(1).max(1);
    let taps = (row / inputs).max(1);
    for (output, weights) in weight.chunks_exact_mut(row.max(1)).enumerate() {
        for (place, weight) in weights.iter_mut().enumerate() {
            let channel = match groups {
                None => output,
                Some(groups) => {
                    let group = output * groups / outputs;
                    let own = factors.len() / groups.max(1);
                    group * own + place / taps % own.max(1)
                }
            };
            *weight = (f64::from(*weight) * factors[channel]) as f32;
        }
    }
}
