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
    /// Shape of one input sample.
    pub input: SampleShape,
    /// Nodes in execution order: a node reads only the input and nodes before it. The last node is the output.
    pub nodes: Vec<Node>,
}

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
    /// The sample given to the network.
    Network,
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
    ///                               # "hard-swish", "gelu", "swish"
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

    /// Shape of the output: 1x1xclasses for a classifier.
    pub fn output(&self) -> Result<SampleShape> {
        Ok(self.summaries()?.last().map_or(self.input, |summary| summary.output))
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
