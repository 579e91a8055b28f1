//! One description of a network, from which come the training graph, the integer graph, and the counts.
//!
//! A [`Network`] is plain data: named nodes in execution order, each with an operation and the nodes it reads. Batch
//! normalization and activations are nodes of their own; the quantizer folds them into the layer before. Shapes are
//! height, width, channels; vectors are 1x1xN. Names and files become networks through [`Network::open`].

mod file;
mod shape;
mod zoo;

pub use crate::graph::operation::Operation;
pub use zoo::NAMES;

use crate::data::SampleShape;
use crate::error::Result;
use crate::task::Task;

/// A feed-forward network, possibly with branches that meet in operations with several inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// A short name for reports.
    pub name: String,
    /// What it is trained for.
    pub task: Task,
    /// What it reads, at least one. A sample has the values of all of them, one after the other.
    pub inputs: Vec<NetworkInput>,
    /// Nodes in execution order: a node reads only inputs and nodes before it.
    pub nodes: Vec<Node>,
    /// The nodes that give its outputs, at least one. The first output has the answer.
    pub outputs: Vec<usize>,
}

/// Something that a network reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInput {
    /// Unique within the network, nodes included.
    pub name: String,
    /// Shape of its part of a sample.
    pub shape: SampleShape,
}

/// The name of the only input.
pub const INPUT: &str = "input";

/// One operation of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique within the network.
    pub name: String,
    /// What it reads, as many entries as [`Operation::inputs`] admits.
    pub inputs: Vec<NodeInput>,
    /// What it computes.
    pub operation: Operation,
}

/// Something that a node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeInput {
    /// The input with this index in [`Network::inputs`].
    Network(usize),
    /// The output of the node with this index in [`Network::nodes`].
    Node(usize),
}

/// Shapes and costs of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSummary {
    /// Shape of what the node reads (of its first input).
    pub input: SampleShape,
    /// Shape of what it gives.
    pub output: SampleShape,
    /// Multiply-accumulates for one sample.
    pub macs: u64,
    /// Weight elements.
    pub weights: usize,
    /// All trained numbers: weights, biases, gammas and betas.
    pub parameters: usize,
}

impl Network {
    /// A network with one input, whose last node gives the output.
    pub fn new(name: &str, task: Task, input: SampleShape, nodes: Vec<Node>) -> Self {
        let inputs = vec![NetworkInput { name: INPUT.to_string(), shape: input }];
        let outputs = vec![nodes.len().saturating_sub(1)];
        Self { name: name.to_string(), task, inputs, nodes, outputs }
    }

    /// Shape of the first input; nearly every network has no other.
    pub fn input(&self) -> SampleShape {
        self.inputs.first().map_or(SampleShape::new(0, 0, 0), |input| input.shape)
    }

    /// Shape of a sample: that of the only input, or a vector of the values of all inputs.
    pub fn sample_shape(&self) -> SampleShape {
        match &self.inputs[..] {
            [only] => only.shape,
            _ => SampleShape::new(1, 1, self.sample_values()),
        }
    }

    /// Values of a sample, those of all inputs.
    pub fn sample_values(&self) -> usize {
        self.inputs.iter().fold(0, |sum, input| sum.saturating_add(input.shape.elements()))
    }

    /// The network called `name` (one of [`NAMES`]), or the one described by the TOML file at that path, for samples
    /// of shape `input` in `classes` classes.
    ///
    /// A file describes layers like this; the full list of keys is in the text below.
    ///
    /// ```toml
    /// name = "small"
    /// # input = [28, 28, 1]         # optional: the data's shape; given, it must match the data
    /// # task = "reconstruct"        # default "classify"; an autoencoder gives back its sample
    ///
    /// [[layer]]
    /// operation = "convolution-2d"
    /// out-channels = 16
    /// kernel = 3                    # or [3, 3]
    /// stride = 2                    # default 1
    /// padding = "same"              # default; or "valid", or [top, bottom, left, right]
    /// bias = false                  # default true
    ///
    /// [[layer]]
    /// operation = "batch-norm"      # epsilon = 1e-5
    ///
    /// [[layer]]
    /// name = "stem"                 # default: operation and position
    /// operation = "relu"            # or "relu6", "sigmoid", "tanh", "leaky-relu" (slope), "elu" (alpha), "hard-sigmoid" (slope),
    ///                               # "hard-swish", "gelu", "swish", "clip" (low, high), "absolute", "exponential", "logarithm",
    ///                               # "softplus", "mish", "power" (exponent)
    ///
    /// [[layer]]
    /// operation = "depthwise-convolution-2d"
    /// kernel = 3
    ///
    /// [[layer]]
    /// operation = "add"
    /// inputs = ["stem", "depthwise-convolution-2d-3"] # default: the layer before; "input" is the sample
    ///
    /// [[layer]]
    /// operation = "max-pool-2d"     # or "average-pool-2d"; kernel, stride (default: kernel), padding (default "valid")
    /// kernel = 2                    # average-pool-2d: count-padding = true takes padding for zeros (default: leaves it out)
    ///
    /// [[layer]]
    /// operation = "global-average-pool" # or "flatten"
    ///
    /// [[layer]]
    /// operation = "fully-connected"
    /// out-features = "classes"      # a number, "classes", or "inputs" (as many as the sample has values)
    /// ```
    ///
    /// Several inputs are tables `[[input]]` with `name` and `shape` instead of `input`; several outputs are listed by
    /// their layers' names, `outputs = ["box", "name"]`, the one with the answer first.
    ///
    /// # Errors
    /// An unknown name lists the known ones; a wrong file names the layer; a shape that does not work names the node.
    pub fn open(name: &str, input: SampleShape, classes: usize) -> Result<Self> {
        let network = match zoo::build(name, input, classes) {
            Some(network) => network,
            None => file::open(name, input, classes)?,
        };
        network.summaries()?;
        Ok(network)
    }

    /// The task that a network of this name or file says itself: by its key, or by a last layer with as many outputs as the sample has
    /// values. `None` where it leaves that to the data.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn task_of(name: &str) -> Result<Option<Task>> {
        match zoo::task(name) {
            Some(task) => Ok(Some(task).filter(|task| !task.is_default())),
            None => file::task(name),
        }
    }

    /// The sample shape that the network file at this path says itself; `None` for one that leaves it to the data, and for the
    /// zoo.
    ///
    /// # Errors
    /// A file that cannot be read, or none of this name.
    pub fn input_of(name: &str) -> Result<Option<SampleShape>> {
        match zoo::task(name) {
            Some(_) => Ok(None),
            None => file::input(name),
        }
    }

    /// The sample shape and number of classes that `bench` uses for a network of the zoo when no data is given.
    pub fn default_input(name: &str) -> Option<(SampleShape, usize)> {
        zoo::default_input(name)
    }

    /// Reads a network from TOML text; `place` is what errors quote. Format: [`Network::open`].
    pub fn from_toml(text: &str, place: &str, input: SampleShape, classes: usize) -> Result<Self> {
        let network = file::parse(text, place, input, classes)?;
        network.summaries()?;
        Ok(network)
    }

    /// Reads what [`Network::to_toml`] has written, which says its sample shape itself.
    ///
    /// # Errors
    /// The text is something else, or lacks `input`.
    pub fn stored(text: &str, place: &str) -> Result<Self> {
        let network = file::parse_stored(text, place)?;
        network.summaries()?;
        Ok(network)
    }

    /// The network as TOML text that [`Network::from_toml`] reads back to an equal network.
    pub fn to_toml(&self) -> String {
        file::write(self)
    }

    /// Shapes and costs of every node, in node order. Checks the whole description.
    pub fn summaries(&self) -> Result<Vec<NodeSummary>> {
        shape::summarize(self)
    }

    /// Shape of the first output: 1x1xclasses for a classifier.
    pub fn output(&self) -> Result<SampleShape> {
        let summaries = self.summaries()?;
        let output = self.outputs.first().and_then(|&node| summaries.get(node));
        Ok(output.map_or(self.input(), |summary| summary.output))
    }

    /// Multiply-accumulates for one sample.
    pub fn macs(&self) -> Result<u64> {
        Ok(self.summaries()?.iter().map(|summary| summary.macs).sum())
    }

    /// All trained numbers.
    pub fn parameters(&self) -> Result<usize> {
        Ok(self.summaries()?.iter().map(|summary| summary.parameters).sum())
    }

    /// Whether the network gives back its sample and so trains with mean squared error instead of cross-entropy.
    pub fn reconstructs(&self) -> bool {
        self.task == Task::Reconstruction
    }
}

#[cfg(test)]
mod tests;
