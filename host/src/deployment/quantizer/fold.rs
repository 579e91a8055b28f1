//! From the description's nodes to layers that integers can carry out: batch normalization disappears in the weights
//! before it, activations become cuts of the output before them, flattening becomes nothing.

use crate::data::SampleShape;
use crate::deployment::integer_network::OutputTask;
use crate::error::{Error, Result};
use crate::graph::network::{Node, NodeInput, NodeSummary, Operation};
use crate::graph::operation::{Folded, FoldedInput, FoldedLayer, Folding, Order, Softmax, Source};
use crate::graph::trained_network::{TrainedNetwork, count_readers};
use crate::graph::weights::NodeParameters;
use crate::lowering::FoldedOperator;
use crate::lowering::activation::Activation;
use crate::lowering::identity::Identity;
use crate::task::Task;
use tinyhero_common::shape::Shape;

/// One layer of the folded network.
pub struct FoldedNode {
    /// The name of the node that it comes from.
    pub name: String,
    /// What it computes.
    pub operator: Box<dyn FoldedOperator>,
    /// Tensors that it reads: 0 is the network's input, `k` the output of node `k − 1`.
    pub inputs: Vec<usize>,
    /// Shape of its output.
    pub shape: Shape,
    /// What follows it.
    pub activation: Activation,
    /// The description's node that it comes from; none for one that was added.
    pub source: Option<usize>,
    /// What batch normalization has multiplied each row of its weights by; empty for nothing.
    pub gain: Vec<f64>,
}

impl FoldedNode {
    /// Takes `y → gain · y + shift` into the operator. False if it cannot.
    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        let folded = self.operator.fold_affine(gain, shift);
        if folded && self.gain.is_empty() {
            self.gain = gain.to_vec();
        } else if folded {
            self.gain.iter_mut().zip(gain).for_each(|(own, gain)| *own *= gain);
        }
        folded
    }
}

/// A network without batch normalization, whose activations belong to layers.
pub struct FoldedNetwork {
    /// Shape of the input.
    pub input: Shape,
    /// Layers, each after those that it reads; the last gives the output.
    pub nodes: Vec<FoldedNode>,
    /// What the output is for.
    pub task: OutputTask,
    softmax: bool,
}

impl FoldedNetwork {
    fn shape(&self, tensor: usize) -> Shape {
        tensor.checked_sub(1).map_or(self.input, |node| self.nodes[node].shape)
    }

    /// Whether the network's answer is read off the output of that node: the last, or what a final softmax reads.
    pub fn decides(&self, node: usize) -> bool {
        node + 1 + usize::from(self.softmax) == self.nodes.len()
    }

    /// Into how many groups the statistics of a tensor are divided: its channels, or its elements where somebody needs
    /// that.
    pub fn groups(&self, tensor: usize) -> usize {
        let shape = self.shape(tensor);
        let readers = self.nodes.iter().filter(|node| node.inputs.contains(&tensor));
        let by_element = readers.into_iter().any(|node| node.operator.reads_elements());
        if by_element { shape.elements() } else { usize::from(shape.channels) }
    }

    /// Values of a tensor for one sample.
    pub fn elements(&self, tensor: usize) -> usize {
        self.shape(tensor).elements()
    }

    /// Room for the values of all tensors.
    pub fn room(&self) -> Vec<Vec<f32>> {
        (0..=self.nodes.len()).map(|tensor| vec![0.0; self.shape(tensor).elements()]).collect()
    }

    /// Computes every tensor in real numbers; `values` comes from [`FoldedNetwork::room`].
    pub fn forward(&self, input: &[f32], values: &mut [Vec<f32>]) {
        values[0].copy_from_slice(input);
        for (index, node) in self.nodes.iter().enumerate() {
            let (before, after) = values.split_at_mut(index + 1);
            let inputs: Vec<&[f32]> = node.inputs.iter().map(|&tensor| &*before[tensor]).collect();
            node.operator.forward(&inputs, &mut after[0]);
            node.activation.apply(&mut after[0]);
        }
    }
}

/// Where the value of a description's node is found.
#[derive(Clone, Copy)]
struct Value {
    /// Tensor of the folded network.
    tensor: usize,
    /// Whether the tensor is an image that the description sees as a vector.
    flattened: bool,
    /// Whether nobody else reads the tensor, so that it may be changed.
    exclusive: bool,
}

/// Folds a trained network. A classifier that does not end in softmax receives one.
pub fn fold(trained: &TrainedNetwork) -> Result<FoldedNetwork> {
    let network = &trained.network;
    let summaries = network.summaries()?;
    let readers = count_readers(network);
    let mut folder = Folder {
        folded: FoldedNetwork {
            input: shape(&network.name, network.input)?,
            nodes: Vec::new(),
            task: OutputTask::Classification { labels: Vec::new() },
            softmax: false,
        },
        values: Vec::new(),
    };
    let nodes = network.nodes.iter().zip(&summaries).zip(&trained.parameters);
    for (index, ((node, summary), parameters)) in nodes.enumerate() {
        let mut value = folder.fold_node(node, summary, parameters)?;
        value.exclusive &= readers[index] <= 1;
        folder.values.push(value);
    }
    let ends_in_softmax =
        matches!(network.nodes.last(), Some(Node { operation: Operation::Softmax(_), .. }));
    let output = folder.values.last().map_or(0, |value| value.tensor);
    let mut folded = folder.folded;
    if output == 0 {
        return Err(Error::bad_input(
            format_args!("network '{}'", network.name),
            "computes nothing",
            "add a layer with weights",
        ));
    }
    keep_ancestors(&mut folded, output);
    let scores = folded.shape(folded.nodes.len());
    let classes = trained.input.class_names.len();
    folded.softmax = ends_in_softmax;
    if network.task == Task::Regression {
        let outputs = &trained.input.outputs;
        let name = |place: usize| format!("output {}", place + 1);
        let names = outputs.iter().enumerate();
        folded.task = OutputTask::Regression {
            names: names
                .map(|(place, column)| column.name.clone().unwrap_or_else(|| name(place)))
                .collect(),
            units: outputs.iter().map(|column| column.unit.clone().unwrap_or_default()).collect(),
        };
    } else if network.reconstructs() {
        folded.task = OutputTask::Reconstruction { threshold: None };
    } else if scores.elements() == classes && scores.pixels() == 1 {
        folded.task = OutputTask::Classification { labels: trained.input.class_names.clone() };
        if !ends_in_softmax && classes > 1 {
            let name = free_name(&folded, "softmax");
            let inputs = vec![folded.nodes.len()];
            let operator = Box::new(Softmax);
            folded.nodes.push(FoldedNode {
                name,
                operator,
                inputs,
                shape: scores,
                activation: Activation::None,
                source: None,
                gain: Vec::new(),
            });
            folded.softmax = true;
        }
    }
    move_activations_forward(&mut folded);
    Ok(folded)
}

/// Drops nodes that the output does not depend on.
fn keep_ancestors(folded: &mut FoldedNetwork, output: usize) {
    let mut needed = vec![false; folded.nodes.len() + 1];
    needed[0] = true;
    needed[output] = true;
    for index in (0..folded.nodes.len()).rev() {
        if needed[index + 1] {
            folded.nodes[index].inputs.iter().for_each(|&tensor| needed[tensor] = true);
        }
    }
    let mut numbers = vec![0; needed.len()];
    let kept = numbers.iter_mut().zip(&needed).filter(|(_, needed)| **needed);
    for (next, (number, _)) in kept.enumerate() {
        *number = next;
    }
    let mut index = 0;
    folded.nodes.retain(|_| {
        index += 1;
        needed[index]
    });
    for node in &mut folded.nodes {
        node.inputs.iter_mut().for_each(|tensor| *tensor = numbers[*tensor]);
    }
}

/// An activation behind a max pooling moves before it, where a scale can be chosen for it.
fn move_activations_forward(folded: &mut FoldedNetwork) {
    for index in (0..folded.nodes.len()).rev() {
        let node = &folded.nodes[index];
        if node.activation == Activation::None || !node.operator.commutes_with_activation() {
            continue;
        }
        let [source] = node.inputs[..] else { continue };
        let readers = folded.nodes.iter().filter(|node| node.inputs.contains(&source)).count();
        if source > 0 && readers == 1 && folded.nodes[source - 1].activation == Activation::None {
            folded.nodes[source - 1].activation = folded.nodes[index].activation;
            folded.nodes[index].activation = Activation::None;
        }
    }
}

fn free_name(folded: &FoldedNetwork, wanted: &str) -> String {
    let mut name = wanted.to_string();
    while folded.nodes.iter().any(|node| node.name == name) {
        name.push('_');
    }
    name
}

/// A shape in the format's numbers.
fn shape(place: &str, shape: SampleShape) -> Result<Shape> {
    let size = |size: usize| {
        u16::try_from(size).map_err(|_| {
            Error::bad_input(
                format_args!("layer '{place}'"),
                format_args!("shape {shape} has a size above 65535"),
                "make the layer or its input smaller",
            )
        })
    };
    Ok(Shape {
        height: size(shape.height)?,
        width: size(shape.width)?,
        channels: size(shape.channels)?,
    })
}

struct Folder {
    folded: FoldedNetwork,
    values: Vec<Value>,
}

impl Folder {
    fn value(&self, input: NodeInput) -> Value {
        match input {
            NodeInput::Network => Value { tensor: 0, flattened: false, exclusive: false },
            NodeInput::Node(index) => self.values[index],
        }
    }

    fn fold_node(
        &mut self,
        node: &Node,
        summary: &NodeSummary,
        parameters: &NodeParameters,
    ) -> Result<Value> {
        let order = node.operation.order();
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let value = self.value(input);
            if value.flattened && order == Order::Image {
                return Err(Error::bad_input(
                    format_args!("layer '{}'", node.name),
                    "reads a flattened image, which integers keep as an image",
                    "put flatten directly before a fully connected layer",
                ));
            }
            let shape = self.folded.shape(value.tensor);
            inputs.push(FoldedInput { tensor: value.tensor, shape });
        }
        let source = self.value(node.inputs[0]);
        let mut output = shape(&node.name, summary.output)?;
        if source.flattened && order == Order::Value {
            output = inputs[0].shape;
        }
        let folding = Folding { name: &node.name, inputs: &inputs, output, parameters };
        match node.operation.fold(&folding)? {
            Folded::Flattened => {
                let flattened = source.flattened || inputs[0].shape.pixels() > 1;
                Ok(Value { flattened, ..source })
            }
            Folded::Cut(activation) => {
                if self.fuse_activation(source, activation) {
                    return Ok(source);
                }
                let operator = Box::new(Identity { gain: 1.0 });
                let tensor = self.push(node, operator, vec![source.tensor], output, activation);
                Ok(Value { tensor, exclusive: true, ..source })
            }
            Folded::Affine { gain, shift, otherwise } => {
                let before =
                    source.tensor.checked_sub(1).map(|index| &mut self.folded.nodes[index]);
                if let Some(before) = before
                    && source.exclusive
                    && before.activation == Activation::None
                    && before.fold_affine(&gain, &shift)
                {
                    return Ok(source);
                }
                let inputs = vec![source.tensor];
                let tensor = self.push(node, otherwise, inputs, output, Activation::None);
                Ok(Value { tensor, flattened: false, exclusive: true })
            }
            Folded::Layers(layers) => {
                let tensor = self.push_layers(node, layers, &inputs, output);
                let flattened = source.flattened && order == Order::Value;
                Ok(Value { tensor, flattened, exclusive: true })
            }
        }
    }

    /// Adds the layers that a node has become, and gives the tensor of the last.
    fn push_layers(
        &mut self,
        node: &Node,
        layers: Vec<FoldedLayer>,
        inputs: &[FoldedInput],
        output: Shape,
    ) -> usize {
        let mut tensors: Vec<usize> = Vec::with_capacity(layers.len());
        for layer in layers {
            let tensor = |source: &Source| match *source {
                Source::Input(position) => inputs[position].tensor,
                Source::Layer(index) => tensors[index],
            };
            let reads = layer.inputs.iter().map(tensor).collect();
            tensors.push(match layer.helper {
                Some((suffix, shape)) => {
                    self.push_helper(node, suffix, layer.operator, reads, shape)
                }
                None => self.push(node, layer.operator, reads, output, Activation::None),
            });
        }
        tensors.pop().unwrap_or(0)
    }

    /// A layer that the description does not have.
    fn push_helper(
        &mut self,
        node: &Node,
        suffix: &str,
        operator: Box<dyn FoldedOperator>,
        inputs: Vec<usize>,
        shape: Shape,
    ) -> usize {
        let name = free_name(&self.folded, &format!("{}-{suffix}", node.name));
        self.folded.nodes.push(FoldedNode {
            name,
            operator,
            inputs,
            shape,
            activation: Activation::None,
            source: None,
            gain: Vec::new(),
        });
        self.folded.nodes.len()
    }

    fn push(
        &mut self,
        node: &Node,
        operator: Box<dyn FoldedOperator>,
        inputs: Vec<usize>,
        shape: Shape,
        activation: Activation,
    ) -> usize {
        let name = node.name.clone();
        let (source, gain) = (Some(self.values.len()), Vec::new());
        self.folded.nodes.push(FoldedNode {
            name,
            operator,
            inputs,
            shape,
            activation,
            source,
            gain,
        });
        self.folded.nodes.len()
    }

    /// Lets the layer that writes `source` carry out the activation. False if it cannot.
    fn fuse_activation(&mut self, source: Value, activation: Activation) -> bool {
        let Some(index) = source.tensor.checked_sub(1) else { return false };
        let node = &mut self.folded.nodes[index];
        if !source.exclusive {
            return false;
        }
        // Both activations are cuts at 0, so of two the one that also cuts at 6 remains.
        if node.activation != Activation::Relu6 {
            node.activation = activation;
        }
        true
    }
}
