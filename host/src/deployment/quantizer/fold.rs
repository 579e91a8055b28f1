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
    /// Tensors that it reads: the network's inputs first, then the output of each node.
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
    /// Shape of each input.
    pub inputs: Vec<Shape>,
    /// Layers, each after those that it reads.
    pub nodes: Vec<FoldedNode>,
    /// The tensors that are outputs; the first has the answer.
    pub outputs: Vec<usize>,
    /// What the outputs are for.
    pub task: OutputTask,
    /// The tensor that the answer is read off: the first output, or what a final softmax reads.
    pub answer: usize,
}

impl FoldedNetwork {
    /// The node that gives a tensor; `None` for an input.
    pub fn node_of(&self, tensor: usize) -> Option<usize> {
        tensor.checked_sub(self.inputs.len())
    }

    /// The tensor that a node gives.
    pub const fn tensor_of(&self, node: usize) -> usize {
        self.inputs.len() + node
    }

    /// Number of tensors.
    pub const fn tensors(&self) -> usize {
        self.inputs.len() + self.nodes.len()
    }

    /// Shape of a tensor.
    pub fn shape(&self, tensor: usize) -> Shape {
        self.node_of(tensor).map_or_else(|| self.inputs[tensor], |node| self.nodes[node].shape)
    }

    /// Whether the network's answer is read off the output of that node.
    pub const fn decides(&self, node: usize) -> bool {
        self.tensor_of(node) == self.answer
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
        (0..self.tensors()).map(|tensor| vec![0.0; self.shape(tensor).elements()]).collect()
    }

    /// Computes every tensor in real numbers; `input` has the values of all inputs, `values` comes from [`FoldedNetwork::room`].
    pub fn forward(&self, input: &[f32], values: &mut [Vec<f32>]) {
        let mut rest = input;
        for values in values.iter_mut().take(self.inputs.len()) {
            let (part, behind) = rest.split_at(values.len());
            values.copy_from_slice(part);
            rest = behind;
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let (before, after) = values.split_at_mut(self.tensor_of(index));
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
            inputs: network
                .inputs
                .iter()
                .map(|input| shape(&input.name, input.shape))
                .collect::<Result<_>>()?,
            nodes: Vec::new(),
            outputs: Vec::new(),
            task: OutputTask::Classification { labels: Vec::new() },
            answer: 0,
        },
        values: Vec::new(),
    };
    let nodes = network.nodes.iter().zip(&summaries).zip(&trained.parameters);
    for (index, ((node, summary), parameters)) in nodes.enumerate() {
        let mut value = folder.fold_node(node, summary, parameters)?;
        value.exclusive &= readers[index] <= 1;
        folder.values.push(value);
    }
    let answer = &network.nodes[network.outputs[0]];
    let ends_in_softmax = matches!(answer.operation, Operation::Softmax(_));
    let mut folded = folder.folded;
    let tensor = |&node: &usize| folder.values[node].tensor;
    folded.outputs = network.outputs.iter().map(tensor).collect();
    if folded.outputs.iter().any(|&output| folded.node_of(output).is_none()) {
        return Err(Error::bad_input(
            format_args!("network '{}'", network.name),
            "computes nothing",
            "add a layer with weights",
        ));
    }
    for (index, output) in folded.outputs.iter().enumerate() {
        if folded.outputs[..index].contains(output) {
            return Err(Error::bad_input(
                format_args!("network '{}'", network.name),
                "gives the same numbers as two outputs",
                "list one of them",
            ));
        }
    }
    keep_ancestors(&mut folded);
    folded.answer = folded.outputs[0];
    if ends_in_softmax && let Some(node) = folded.node_of(folded.answer) {
        folded.answer = folded.nodes[node].inputs[0];
    }
    let scores = folded.shape(folded.outputs[0]);
    let classes = trained.input.class_names.len();
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
            let inputs = vec![folded.answer];
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
            folded.outputs[0] = folded.tensor_of(folded.nodes.len() - 1);
        }
    }
    move_activations_forward(&mut folded);
    Ok(folded)
}

/// Drops nodes that no output depends on.
fn keep_ancestors(folded: &mut FoldedNetwork) {
    let inputs = folded.inputs.len();
    let mut needed = vec![false; folded.tensors()];
    needed[..inputs].fill(true);
    folded.outputs.iter().for_each(|&output| needed[output] = true);
    for index in (0..folded.nodes.len()).rev() {
        if needed[inputs + index] {
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
        needed[inputs + index - 1]
    });
    folded.outputs.iter_mut().for_each(|output| *output = numbers[*output]);
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
        let Some(before) = folded.node_of(source) else { continue };
        let alone = readers == 1 && !folded.outputs.contains(&source);
        let writer = &folded.nodes[before];
        if alone && writer.activation == Activation::None && writer.operator.cuts() {
            folded.nodes[before].activation = folded.nodes[index].activation;
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
            NodeInput::Network(tensor) => Value { tensor, flattened: false, exclusive: false },
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
                    self.folded.node_of(source.tensor).map(|index| &mut self.folded.nodes[index]);
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
        tensors.pop().unwrap_or_default()
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
        self.folded.tensors() - 1
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
        self.folded.tensors() - 1
    }

    /// Lets the layer that writes `source` carry out the activation. False if it cannot.
    fn fuse_activation(&mut self, source: Value, activation: Activation) -> bool {
        let Some(index) = self.folded.node_of(source.tensor) else { return false };
        let node = &mut self.folded.nodes[index];
        if !source.exclusive || !node.operator.cuts() {
            return false;
        }
        // Both activations are cuts at 0, so of two the one that also cuts at 6 remains.
        if node.activation != Activation::Relu6 {
            node.activation = activation;
        }
        true
    }
}
