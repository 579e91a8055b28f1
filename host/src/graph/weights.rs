//! The numbers of a network, each list a tensor with a name.

use crate::error::{Error, Result};
use crate::graph::network::{Network, Operation};
use crate::random::{self, Purpose};

mod initialization;

use initialization::Distribution;
pub use initialization::Initialization;

/// The numbers of one node.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeParameters {
    /// An operation without numbers.
    None,
    /// Of a convolution, depthwise convolution or fully connected layer.
    Layer {
        /// Weights, last index fastest: `[out, in, row, column]` for convolutions (`[channel, 1, row, column]` for
        /// depthwise), `[out, in]` for fully connected layers, whose inputs are in height, width, channel order.
        weight: Vec<f32>,
        /// Sizes of the weight's indexes.
        shape: Vec<usize>,
        /// One value per output channel, where the layer has a bias.
        bias: Option<Vec<f32>>,
    },
    /// Of batch normalization, one value per channel each:
    /// `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, epsilon from the node's operation.
    BatchNorm {
        /// Scale.
        gamma: Vec<f32>,
        /// Shift.
        beta: Vec<f32>,
        /// Running mean.
        mean: Vec<f32>,
        /// Running (unbiased) variance.
        variance: Vec<f32>,
    },
}

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
                Distribution::Zero => 0.0,
            };
            (0..count).map(|_| value() as f32).collect()
        };
        let summaries = network.summaries()?;
        let mut parameters = Vec::with_capacity(summaries.len());
        for (node, summary) in network.nodes.iter().zip(&summaries) {
            let channels = summary.output.channels;
            parameters.push(match node.operation {
                Operation::Convolution2d { kernel: [rows, columns], bias, .. } => {
                    let fan_in = rows * columns * summary.input.channels;
                    let fan_out = rows * columns * channels;
                    Self::Layer {
                        weight: draw(summary.weights, initialization.convolution(fan_in, fan_out)),
                        shape: vec![channels, summary.input.channels, rows, columns],
                        bias: bias.then(|| draw(channels, initialization.bias(fan_in))),
                    }
                }
                Operation::DepthwiseConvolution2d { kernel: [rows, columns], bias, .. } => {
                    let fan = rows * columns;
                    Self::Layer {
                        weight: draw(summary.weights, initialization.convolution(fan, fan)),
                        shape: vec![channels, 1, rows, columns],
                        bias: bias.then(|| draw(channels, initialization.bias(fan))),
                    }
                }
                Operation::FullyConnected { bias, .. } => {
                    let fan_in = summary.input.elements();
                    Self::Layer {
                        weight: draw(summary.weights, initialization.fully_connected(fan_in)),
                        shape: vec![channels, fan_in],
                        bias: bias.then(|| draw(channels, initialization.bias(fan_in))),
                    }
                }
                Operation::BatchNorm { .. } => Self::BatchNorm {
                    gamma: vec![1.0; channels],
                    beta: vec![0.0; channels],
                    mean: vec![0.0; channels],
                    variance: vec![1.0; channels],
                },
                _ => Self::None,
            });
        }
        Ok(parameters)
    }
}

impl NodeParameters {
    /// The names of [`Self::lists`] within their node.
    const fn names(&self) -> &'static [&'static str] {
        match self {
            Self::None => &[],
            // A layer without a bias has one list less.
            Self::Layer { .. } => &["weight", "bias"],
            Self::BatchNorm { .. } => &["gamma", "beta", "mean", "variance"],
        }
    }

    fn lists_mut(&mut self) -> Vec<&mut Vec<f32>> {
        match self {
            Self::None => Vec::new(),
            Self::Layer { weight, bias, .. } => std::iter::once(weight).chain(bias).collect(),
            Self::BatchNorm { gamma, beta, mean, variance } => vec![gamma, beta, mean, variance],
        }
    }

    fn lists(&self) -> Vec<&[f32]> {
        match self {
            Self::None => Vec::new(),
            Self::Layer { weight, bias, .. } => {
                std::iter::once(weight.as_slice()).chain(bias.as_deref()).collect()
            }
            Self::BatchNorm { gamma, beta, mean, variance } => vec![gamma, beta, mean, variance],
        }
    }

    pub(super) fn lengths(&self) -> Vec<usize> {
        self.lists().iter().map(|list| list.len()).collect()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = f32> {
        self.lists().into_iter().flatten().copied().collect::<Vec<_>>().into_iter()
    }
}

/// One list of numbers with its name and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor<'a> {
    /// `NODE.weight`, `NODE.bias`, `NODE.gamma`, `NODE.beta`, `NODE.mean` or `NODE.variance`.
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
        let names = parameters.names().iter().zip(parameters.lists());
        tensors.extend(names.map(|(name, values)| {
            let shape = match (*name, parameters) {
                ("weight", NodeParameters::Layer { shape, .. }) => shape.clone(),
                _ => vec![values.len()],
            };
            NamedTensor { name: format!("{}.{name}", node.name), shape, values }
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
