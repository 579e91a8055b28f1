//! A trained network as plain numbers: what the quantizer starts from.

use crate::data::{Column, Normalization, SampleType};
use crate::error::{Error, Result};
use crate::graph::network::{Network, NodeInput, Operation};
use crate::random::{self, Purpose};

mod initialization;

use initialization::Distribution;
pub use initialization::Initialization;

/// A network with the numbers that training found. All numbers are f32, as trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedNetwork {
    /// The description; its nodes keep batch normalization and activations apart.
    pub network: Network,
    /// One entry per node of the network, in node order.
    pub parameters: Vec<NodeParameters>,
    /// From raw integer samples to what the first node reads: `real = (raw - offset[c]) * inverse_scale[c]`.
    pub normalization: Normalization,
    /// Name of each class, in output order.
    pub class_names: Vec<String>,
    /// The data that it was trained on.
    pub data: DataReference,
}

/// How to open the training data again.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct DataReference {
    /// Name or path for [`crate::data::Dataset::open_with_seed`].
    pub name: String,
    /// The seed that decides its splits.
    pub split_seed: u64,
    /// The integer type of raw samples.
    pub sample_type: SampleType,
    /// Meaning of a table's columns.
    pub columns: Vec<Column>,
}

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

impl TrainedNetwork {
    /// A network with initial weights, for measurements that need no training (`bench --network`).
    ///
    /// Raw samples are u8 with mean 127.5 and standard deviation 73.9 (uniform bytes).
    pub fn untrained(network: Network, seed: u64) -> Result<Self> {
        let parameters = NodeParameters::initial(&network, Initialization::default(), seed)?;
        let channels = network.input.channels;
        let classes = network.output()?.channels;
        Ok(Self {
            parameters,
            normalization: Normalization {
                offset: vec![127.5; channels],
                inverse_scale: vec![1.0 / 73.9; channels],
            },
            class_names: (0..classes).map(|class| class.to_string()).collect(),
            data: DataReference {
                name: "none".to_string(),
                split_seed: seed,
                sample_type: SampleType::U8,
                columns: Vec::new(),
            },
            network,
        })
    }

    /// Checks that every node has numbers of the right kind and count, all finite.
    pub fn check(&self) -> Result<()> {
        let expected = NodeParameters::initial(&self.network, Initialization::default(), 0)?;
        let error = |node: &str, problem: &str| {
            Error::bad_input(
                format_args!("network '{}', layer '{node}'", self.network.name),
                problem,
                "train it again",
            )
        };
        if expected.len() != self.parameters.len() {
            return Err(error("all", "parameters do not belong to this network"));
        }
        for ((node, expected), found) in
            self.network.nodes.iter().zip(&expected).zip(&self.parameters)
        {
            if found.lengths() != expected.lengths() {
                return Err(error(&node.name, "parameters do not belong to this network"));
            }
            if !found.values().all(|value| value.is_finite()) {
                return Err(error(&node.name, "holds a number that is not finite"));
            }
        }
        Ok(())
    }
}

impl NodeParameters {
    fn lists(&self) -> Vec<&[f32]> {
        match self {
            Self::None => Vec::new(),
            Self::Layer { weight, bias, .. } => {
                std::iter::once(weight.as_slice()).chain(bias.as_deref()).collect()
            }
            Self::BatchNorm { gamma, beta, mean, variance } => vec![gamma, beta, mean, variance],
        }
    }

    fn lengths(&self) -> Vec<usize> {
        self.lists().iter().map(|list| list.len()).collect()
    }

    fn values(&self) -> impl Iterator<Item = f32> {
        self.lists().into_iter().flatten().copied().collect::<Vec<_>>().into_iter()
    }
}

/// Reads of each node: how many later nodes use its output. The quantizer folds only where this is 1.
pub fn count_readers(network: &Network) -> Vec<usize> {
    let mut readers = vec![0; network.nodes.len()];
    for input in network.nodes.iter().flat_map(|node| &node.inputs) {
        if let NodeInput::Node(index) = *input {
            readers[index] += 1;
        }
    }
    readers
}
