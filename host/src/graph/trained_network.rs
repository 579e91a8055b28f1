//! A trained network as plain data: what the quantizer starts from.

use super::grid::Grid;
use super::input::{InputMeaning, OtherInput};
use super::network::{Network, NetworkInput, Node, NodeInput, Operation};
use super::provenance::Provenance;
use super::weights::{Initialization, NodeParameters};
use crate::data::{DataOptions, Normalization, SampleShape, SampleType};
use crate::error::{Error, Result};

/// A network with the numbers that training found. All numbers are f32, as trained.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedNetwork {
    /// The description; its nodes keep batch normalization and activations apart.
    pub network: Network,
    /// One entry per node of the network, in node order.
    pub parameters: Vec<NodeParameters>,
    /// For every node the grid that its weights lie on, where training has put them on one; empty
    /// if there is none.
    pub grids: Vec<Option<Grid>>,
    /// What raw samples and answers mean.
    pub input: InputMeaning,
    /// Where it comes from; none for a network that was not trained.
    pub provenance: Option<Provenance>,
}

impl TrainedNetwork {
    /// A network with initial weights, for measurements that need no training (`bench --network`).
    ///
    /// Raw samples are u8 with mean 127.5 and standard deviation 73.9 (uniform bytes).
    pub fn untrained(network: Network, seed: u64) -> Result<Self> {
        let parameters = NodeParameters::initial(&network, Initialization::default(), seed)?;
        let channels = network.input().channels;
        let normalization = |channels: usize| Normalization {
            offset: vec![127.5; channels],
            inverse_scale: vec![1.0 / 73.9; channels],
        };
        let other = |input: &NetworkInput| OtherInput {
            sample_type: SampleType::U8,
            normalization: normalization(input.shape.channels),
            columns: Vec::new(),
        };
        let classes = network.output()?.channels;
        Ok(Self {
            parameters,
            grids: Vec::new(),
            input: InputMeaning {
                sample_type: SampleType::U8,
                class_names: (0..classes).map(|class| class.to_string()).collect(),
                normalization: normalization(channels),
                rate: None,
                options: DataOptions::default(),
                columns: Vec::new(),
                outputs: Vec::new(),
                others: network.inputs.iter().skip(1).map(other).collect(),
            },
            provenance: None,
            network,
        })
    }

    /// The network whose outputs are in the units of the values that it predicts, instead of standing around 0. The last layer's
    /// weights and biases take that over, so that a deployed output is `scale * (q - zero point)` in those units.
    ///
    /// # Errors
    /// The last layer has no biases that could.
    pub fn in_units(&self) -> Result<Self> {
        let mut trained = self.clone();
        let outputs = std::mem::take(&mut trained.input.outputs);
        if outputs.is_empty() {
            return Ok(trained);
        }
        let last = self.network.outputs.first().copied().unwrap_or(0);
        match trained.parameters.get_mut(last) {
            Some(NodeParameters::Layer { weight, bias: Some(bias), .. })
                if bias.len() == outputs.len() =>
            {
                let row = weight.len() / bias.len().max(1);
                let rows = weight.chunks_exact_mut(row.max(1)).zip(bias).zip(&outputs);
                for ((weights, bias), output) in rows {
                    weights.iter_mut().for_each(|weight| {
                        *weight = (f64::from(*weight) * output.step) as f32;
                    });
                    *bias = (f64::from(*bias) * output.step + output.offset) as f32;
                }
            }
            _ => {
                let problem =
                    "does not end with a layer with biases, one for each value to predict";
                let place = format_args!("network '{}'", self.network.name).to_string();
                return Err(Error::bad_input(place, problem, "end it with fully-connected"));
            }
        }
        trained.input.outputs = outputs;
        Ok(trained)
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
        let shapes: Vec<SampleShape> =
            self.network.inputs.iter().map(|input| input.shape).collect();
        if !self.input.belongs_to(&shapes) {
            return Err(error("input", "reads other samples than those that its input describes"));
        }
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

/// Reads of each node: how many later nodes use its output, and once more where it is one of the network's. The quantizer folds only where this is 1.
pub fn count_readers(network: &Network) -> Vec<usize> {
    let mut readers = vec![0; network.nodes.len()];
    for input in network.nodes.iter().flat_map(|node| &node.inputs) {
        if let NodeInput::Node(index) = *input {
            readers[index] += 1;
        }
    }
    for &output in &network.outputs {
        readers[output] += 1;
    }
    readers
}

/// The batch normalizations that the quantizer folds into a layer with weights, in order: each the only reader of what is before
/// it.
pub fn normalizations(network: &Network, layer: usize) -> Vec<usize> {
    let readers = count_readers(network);
    let mut found = Vec::new();
    let mut at = layer;
    while readers.get(at) == Some(&1) {
        let reads = |node: &Node| node.inputs.contains(&NodeInput::Node(at));
        let Some(reader) = network.nodes.iter().position(reads) else { break };
        match network.nodes[reader].operation {
            Operation::BatchNorm(_) => found.push(reader),
            Operation::Flatten(_) => {}
            _ => break,
        }
        at = reader;
    }
    found
}
