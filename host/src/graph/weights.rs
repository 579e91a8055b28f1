//! The numbers of a network, each list a tensor with a name.

use crate::error::{Error, Result};
use crate::graph::network::Network;
use crate::graph::parameters::Distribution;
use crate::random::{self, Purpose};

pub use crate::graph::parameters::{Initialization, NodeParameters};

impl NodeParameters {
    /// Initial numbers for every node of `network`, decided by `seed`. Batch normalization: gamma 1, beta 0, mean 0, variance 1.
    pub fn initial(
        network: &Network,
        initialization: Initialization,
        seed: u64,
    ) -> Result<Vec<Self>> {
        let mut generator = random::generator(seed, Purpose::Initialization, 0);
        let mut draw = |count: usize, distribution: Distribution| -> Vec<f32> {
            let mut value = || match distribution {
                Distribution::Normal(deviation) => random::normal(&mut generator) * deviation,
                Distribution::Uniform(bound) => (2.0 * random::unit(&mut generator) - 1.0) * bound,
                Distribution::Constant(value) => value,
            };
            (0..count).map(|_| value() as f32).collect()
        };
        let summaries = network.summaries()?;
        let mut parameters = Vec::with_capacity(summaries.len());
        for (node, summary) in network.nodes.iter().zip(&summaries) {
            let rules = node.operation.parameters(summary.input, summary.output);
            let lists = rules.iter();
            let lists =
                lists.map(|rule| draw(rule.count(), initialization.distribution(rule.initial)));
            let lists = lists.collect();
            parameters.push(Self::of(&rules, lists));
        }
        Ok(parameters)
    }
}

/// One list of numbers with its name and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor<'a> {
    /// `NODE.weight`, `NODE.bias`, `NODE.gamma` and so on, by the operation's file.
    pub name: String,
    /// Sizes of its indexes, the last fastest.
    pub shape: Vec<usize>,
    /// Its numbers.
    pub values: &'a [f32],
}

/// All numbers of a network as tensors, in node order.
pub fn named_tensors<'a>(
    network: &Network,
    parameters: &'a [NodeParameters],
) -> Vec<NamedTensor<'a>> {
    let mut tensors = Vec::new();
    for (node, parameters) in network.nodes.iter().zip(parameters) {
        let names = parameters.names().into_iter().zip(parameters.shapes());
        tensors.extend(names.zip(parameters.lists()).map(|((name, shape), values)| NamedTensor {
            name: format!("{}.{name}", node.name),
            shape,
            values,
        }));
    }
    tensors
}

/// The numbers of a network from tensors that `read` finds by name; their lengths are compared with what the network needs.
///
/// # Errors
/// Those of `read`, and of `refuse` for a tensor of another length.
pub fn from_named_tensors(
    network: &Network,
    read: impl Fn(&str) -> Result<Vec<f32>>,
    refuse: impl Fn(&str) -> Error,
) -> Result<Vec<NodeParameters>> {
    // The shapes and which lists there are follow from the network alone.
    let mut parameters = NodeParameters::initial(network, Initialization::default(), 0)?;
    for (node, parameters) in network.nodes.iter().zip(&mut parameters) {
        let names = parameters.names();
        for (name, values) in names.iter().zip(parameters.lists_mut()) {
            let name = format!("{}.{name}", node.name);
            let found = read(&name)?;
            if found.len() != values.len() {
                return Err(refuse(&name));
            }
            *values = found;
        }
    }
    Ok(parameters)
}
