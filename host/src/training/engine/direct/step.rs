//! A network as a list of steps: layers, normalizations and sums with the limits that follow them, pools.

use super::limit::Limit;
use crate::convolution::{Geometry, Plan, Pool};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::function::Function;
use crate::graph::network::{Network, Node, NodeInput, NodeSummary, Operation};
use crate::graph::operation::{BatchNorm, Elementwise, Relu};
use crate::window::PaddingAmounts;

/// What a step computes. Numbers are indexes of trainable tensors.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A convolution, or a fully connected layer as a convolution of one pixel.
    Layer { plan: Box<Plan>, weight: usize, bias: Option<usize> },
    /// Batch normalization.
    Normalization { gamma: usize, beta: usize, epsilon: f64, limit: Limit },
    /// ReLU or ReLU6.
    Limited(Limit),
    /// A function of each value.
    Function(Function),
    /// A sum of two slots.
    Sum(Limit),
    /// The largest value of windows.
    MaxPool(Pool),
    /// The mean of windows.
    AveragePool(Pool),
}

/// One step: reads slots, gives a slot.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it computes.
    pub kind: Kind,
    /// Slots that it reads; the second only for sums.
    pub sources: [usize; 2],
    /// The slot that it gives, larger than those it reads.
    pub target: usize,
    /// The node that it computes, the first if it computes two.
    pub node: usize,
}

impl Step {
    /// Whether it measures statistics.
    pub const fn is_normalization(&self) -> bool {
        matches!(self.kind, Kind::Normalization { .. })
    }
}

/// The steps of a network and the values of each slot for one sample; `None` if a node is of no kind of step.
///
/// # Errors
/// A window does not fit.
pub fn steps(
    network: &Network,
    summaries: &[NodeSummary],
) -> Result<Option<(Vec<Step>, Vec<usize>)>> {
    let mut steps: Vec<Step> = Vec::new();
    let last = network.nodes.len().checked_sub(1);
    if network.inputs.len() != 1 || network.outputs.first().copied() != last {
        return Ok(None);
    }
    let mut sizes = vec![network.input().elements()];
    // The slot that holds each node's output.
    let mut slots: Vec<usize> = Vec::with_capacity(network.nodes.len());
    let mut parameter = 0;
    for (index, (node, summary)) in network.nodes.iter().zip(summaries).enumerate() {
        let slot = |position: usize| match node.inputs.get(position) {
            Some(NodeInput::Node(source)) => slots[*source],
            _ => 0,
        };
        let sources = [slot(0), slot(1)];
        let mut next = || {
            parameter += 1;
            parameter - 1
        };
        let kind = match node.operation {
            Operation::Convolution2d(layer) => {
                let geometry = layer.geometry(summary.input, summary.output)?;
                weighted(geometry, layer.bias, next)
            }
            Operation::DepthwiseConvolution2d(layer) => {
                let geometry = layer.geometry(summary.input, summary.output)?;
                weighted(geometry, layer.bias, next)
            }
            Operation::FullyConnected(layer) => weighted(one_pixel(summary), layer.bias, next),
            Operation::BatchNorm(BatchNorm { epsilon }) => {
                let (gamma, beta) = (next(), next());
                Kind::Normalization { gamma, beta, epsilon, limit: Limit::None }
            }
            Operation::Relu(Relu { six }) => {
                let limit = if six { Limit::Six } else { Limit::Zero };
                let only_reader = readers(network, &node.inputs) == 1;
                match steps.last_mut() {
                    // The step before can cut off what nobody else reads.
                    Some(Step {
                        kind: Kind::Normalization { limit: own, .. } | Kind::Sum(own),
                        target,
                        ..
                    }) if only_reader && *target == sources[0] && *own == Limit::None => {
                        *own = limit;
                        slots.push(sources[0]);
                        continue;
                    }
                    _ => Kind::Limited(limit),
                }
            }
            Operation::Elementwise(Elementwise(function)) => Kind::Function(function),
            Operation::Add(_) => Kind::Sum(Limit::None),
            Operation::MaxPool2d(layer) => Kind::MaxPool(layer.pool(summary.input)?),
            Operation::AveragePool2d(layer) => Kind::AveragePool(layer.pool(summary.input)?),
            Operation::GlobalAveragePool(_) => {
                let SampleShape { height, width, channels } = summary.input;
                Kind::AveragePool(Pool::global([height, width], channels))
            }
            // The values lie in the right order already; softmax is left to the loss.
            Operation::Flatten(_) | Operation::Softmax(_) => {
                slots.push(sources[0]);
                continue;
            }
            // The tensor library has the others.
            _ => return Ok(None),
        };
        let target = sizes.len();
        sizes.push(summary.output.elements());
        slots.push(target);
        steps.push(Step { kind, sources, target, node: index });
    }
    Ok(Some((steps, sizes)))
}

/// How many nodes read the first of these inputs.
fn readers(network: &Network, inputs: &[NodeInput]) -> usize {
    let reads = |node: &&Node| inputs.first().is_some_and(|input| node.inputs.contains(input));
    network.nodes.iter().filter(reads).count()
}

/// A layer with weights, whose trainable tensors `next` numbers.
fn weighted(geometry: Geometry, bias: bool, mut next: impl FnMut() -> usize) -> Kind {
    let plan = Box::new(Plan::new(geometry));
    Kind::Layer { plan, weight: next(), bias: bias.then(next) }
}

/// A fully connected layer as a convolution of one pixel.
fn one_pixel(summary: &NodeSummary) -> Geometry {
    Geometry {
        input: [1, 1],
        output: [1, 1],
        channels: summary.input.elements(),
        out_channels: summary.output.channels,
        kernel: [1, 1],
        stride: [1, 1],
        padding: PaddingAmounts::default(),
        depthwise: false,
    }
}
