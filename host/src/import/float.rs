//! From layers to a network of real numbers, as training leaves one.

use super::Unsupported;
use super::layer::{self, Kind, Layer, Layers, Weights};
use super::operation::Unary;
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::function::Function;
use crate::graph::input::InputMeaning;
use crate::graph::network::{Network, NetworkInput, Node, NodeInput, Operation};
use crate::graph::operation::{
    Add, AveragePool2d, BatchNorm, Concatenate, Convolution2d, DEFAULT_EPSILON,
    DepthwiseConvolution2d, Elementwise, FullyConnected, GlobalAveragePool, GroupedConvolution2d,
    Gru, Lstm, MaxPool2d, Multiply, Recurrent, Relu, Resize2d, ResizeExtent, Softmax,
    TransposedConvolution2d,
};
use crate::graph::provenance::Provenance;
use crate::graph::task::Task;
use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::NodeParameters;
use crate::window::{Padding, PaddingAmounts, Sliding};

/// The operation and numbers of a layer; a refusal for what such networks have not.
type Lowered = std::result::Result<(Operation, NodeParameters), (String, String)>;

/// The network; or what it cannot hold.
///
/// # Errors
/// Shapes that do not belong together, which resolving should have excluded.
pub fn lower(
    layers: &Layers,
    task: Task,
    input: InputMeaning,
    provenance: Option<Provenance>,
) -> Result<std::result::Result<TrainedNetwork, Vec<Unsupported>>> {
    let mut unsupported = Vec::new();
    let mut network = Network::new(&layers.name, task, layers.inputs[0].shape, Vec::new());
    if layers.inputs.len() > 1 {
        network.inputs = layers.inputs.iter().map(|input| named_input(input, layers)).collect();
    }
    let mut parameters = Vec::new();
    // What each tensor has become.
    let mut nodes: Vec<NodeInput> = (0..layers.inputs.len()).map(NodeInput::Network).collect();
    for layer in &layers.layers {
        let inputs: Vec<NodeInput> = layer.inputs.iter().map(|&tensor| nodes[tensor]).collect();
        if layer.kind == Kind::Regrid {
            nodes.push(inputs[0]);
            continue;
        }
        match operation(layer, layers) {
            Ok((operation, numbers)) => {
                network.nodes.push(Node { name: layer.name.clone(), inputs, operation });
                parameters.push(numbers);
            }
            Err((why, advice)) => unsupported.push(Unsupported {
                node: layer.name.clone(),
                operator: layer.operator.clone(),
                why,
                advice,
            }),
        }
        nodes.push(NodeInput::Node(network.nodes.len().saturating_sub(1)));
    }
    if !unsupported.is_empty() {
        return Ok(Err(unsupported));
    }
    network.outputs.clear();
    for output in &layers.outputs {
        let NodeInput::Node(node) = nodes[output.tensor] else {
            return Err(Error::bad_input(
                format_args!("output '{}'", output.name),
                "is an input itself",
                "export a model that computes something",
            ));
        };
        network.outputs.push(node);
        // Of several outputs each keeps its name.
        let taken = network.nodes.iter().any(|node| node.name == output.name)
            || network.inputs.iter().any(|input| input.name == output.name);
        if layers.outputs.len() > 1 && !taken {
            network.nodes[node].name.clone_from(&output.name);
        }
    }
    let trained = TrainedNetwork { network, parameters, grids: Vec::new(), input, provenance };
    trained.check()?;
    Ok(Ok(trained))
}

/// An input with a name that no layer has.
fn named_input(input: &layer::Input, layers: &Layers) -> NetworkInput {
    let mut name = input.name.clone();
    let taken = |name: &str| {
        layers.layers.iter().any(|layer| layer.name == name)
            || layers.inputs.iter().any(|other| other.name == name)
    };
    while name != input.name && taken(&name) || layers.layers.iter().any(|layer| layer.name == name)
    {
        name.push('_');
    }
    NetworkInput { name, shape: input.shape }
}

fn operation(layer: &Layer, layers: &Layers) -> Lowered {
    fn plain(operation: impl Into<Operation>) -> Lowered {
        Ok((operation.into(), NodeParameters::None))
    }
    let refuse = |why: &str, advice: &str| Err((why.to_string(), advice.to_string()));
    match &layer.kind {
        Kind::Convolution { sliding, weights } => {
            let channels = layers.shape(layer.inputs[0]).channels;
            let operation = Convolution2d {
                out_channels: weights.rows(),
                sliding: slides(sliding),
                bias: true,
            };
            Ok((operation.into(), convolution(weights, sliding, channels)))
        }
        Kind::Depthwise { sliding, weights } => {
            let operation = DepthwiseConvolution2d { sliding: slides(sliding), bias: true };
            Ok((operation.into(), convolution(weights, sliding, 1)))
        }
        Kind::Grouped { sliding, dilation, groups, weights } => {
            let channels = layers.shape(layer.inputs[0]).channels / groups;
            let operation = GroupedConvolution2d {
                out_channels: weights.rows(),
                sliding: slides(sliding),
                dilation: *dilation,
                groups: *groups,
                bias: true,
            };
            Ok((operation.into(), convolution(weights, sliding, channels)))
        }
        Kind::Transposed { sliding, weights } => {
            let input = layers.shape(layer.inputs[0]);
            let [top, _, left, _] = sliding.border;
            // What the kernels reach beyond the output is cut off there; what they do not reach is added.
            let far = |axis: usize, extent: usize, before: usize, output: usize| {
                let whole = (extent - 1) * sliding.stride[axis] + sliding.kernel[axis];
                let wanted = before + output;
                (whole.saturating_sub(wanted), wanted.saturating_sub(whole))
            };
            let (bottom, rows) = far(0, input.height, top, layer.shape.height);
            let (right, columns) = far(1, input.width, left, layer.shape.width);
            let padding = PaddingAmounts { top, bottom, left, right };
            let operation = TransposedConvolution2d {
                out_channels: weights.rows(),
                sliding: Sliding {
                    kernel: sliding.kernel,
                    stride: sliding.stride,
                    padding: Padding::Explicit(padding),
                },
                output_padding: [rows, columns],
                bias: true,
            };
            Ok((operation.into(), convolution(weights, sliding, input.channels)))
        }
        Kind::Resize(sampling) => plain(Resize2d {
            extent: ResizeExtent::Size([layer.shape.height, layer.shape.width]),
            sampling: *sampling,
        }),
        Kind::FullyConnected { weights } => {
            let operation = FullyConnected { out_features: weights.rows(), bias: true };
            let shape = vec![weights.rows(), weights.row_length];
            Ok((operation.into(), numbers(&weights.reals, shape, weights)))
        }
        Kind::Affine { gain, shift } => {
            // √(variance + ε) is 1.
            let variance = (1.0 - DEFAULT_EPSILON) as f32;
            let floats = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
            let parameters = NodeParameters::BatchNorm {
                gamma: floats(gain),
                beta: floats(shift),
                mean: vec![0.0; gain.len()],
                variance: vec![variance; gain.len()],
            };
            Ok((BatchNorm { epsilon: DEFAULT_EPSILON }.into(), parameters))
        }
        Kind::Relu { six } => plain(Relu { six: *six }),
        Kind::Function(unary) => match function(*unary) {
            Some(function) => plain(Elementwise(function)),
            None => refuse(
                &format!("computes {unary:?}, which is not supported in a model of floats"),
                "use one of the functions of docs/network-file.md",
            ),
        },
        Kind::AveragePool { sliding, count_border } => {
            plain(AveragePool2d { sliding: slides(sliding), count_padding: *count_border })
        }
        Kind::MaxPool { sliding } => plain(MaxPool2d { sliding: slides(sliding) }),
        Kind::GlobalAverage => plain(GlobalAveragePool),
        Kind::Add => plain(Add),
        Kind::Multiply => plain(Multiply),
        Kind::Concatenate => plain(Concatenate),
        Kind::Softmax => plain(Softmax),
        Kind::Recurrent(cell) => Ok(recurrent(cell, layers.shape(layer.inputs[0]), layer.shape)),
        Kind::Regrid => refuse("is nothing that real numbers know", "please report this"),
    }
}

/// A recurrent layer. Long short-term memory has one bias.
fn recurrent(
    layer: &layer::Recurrent,
    input: SampleShape,
    output: SampleShape,
) -> (Operation, NodeParameters) {
    let layer::Recurrent { reset, backward, sequence, .. } = *layer;
    let recurrent = Recurrent { units: output.channels, sequence, backward };
    let floats = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
    let [first, second, bias, other] = &layer.lists;
    let mut lists = vec![floats(first), floats(second)];
    let operation = match reset {
        Some(reset) => {
            lists.extend([floats(bias), floats(other)]);
            Operation::Gru(Gru { recurrent, reset })
        }
        None => {
            let sums: Vec<f64> = bias.iter().zip(other).map(|(one, other)| one + other).collect();
            lists.push(floats(&sums));
            Operation::Lstm(Lstm { recurrent })
        }
    };
    let parameters = NodeParameters::of(&operation.parameters(input, output), lists);
    (operation, parameters)
}

/// The function by the name that networks here have for it.
fn function(unary: Unary) -> Option<Function> {
    Some(match unary {
        Unary::Sigmoid => Function::Sigmoid,
        Unary::Tanh => Function::Tanh,
        Unary::LeakyRelu(slope) => Function::LeakyRelu { slope },
        Unary::Elu(alpha) => Function::Elu { alpha },
        Unary::HardSigmoid(slope, 0.5) => Function::HardSigmoid { slope },
        Unary::HardSwish => Function::HardSwish,
        Unary::Swish => Function::Swish,
        Unary::Gelu(_) => Function::Gelu,
        Unary::Clip(low, high) => Function::Clip { low, high },
        Unary::Absolute => Function::Absolute,
        Unary::Exp => Function::Exponential,
        Unary::Log => Function::Logarithm,
        Unary::Power(exponent) => Function::Power { exponent },
        Unary::Softplus => Function::Softplus,
        Unary::Mish => Function::Mish,
        _ => return None,
    })
}

const fn slides(sliding: &layer::Sliding) -> Sliding {
    let [top, bottom, left, right] = sliding.border;
    let padding = Padding::Explicit(PaddingAmounts { top, bottom, left, right });
    Sliding { kernel: sliding.kernel, stride: sliding.stride, padding }
}

/// Weights of row, column, channel as those of channel, row, column.
fn convolution(weights: &Weights, sliding: &layer::Sliding, channels: usize) -> NodeParameters {
    let [rows, columns] = sliding.kernel;
    let taps = rows * columns;
    let mut turned = vec![0.0; weights.reals.len()];
    for (position, &weight) in weights.reals.iter().enumerate() {
        let (output, rest) = (position / weights.row_length, position % weights.row_length);
        let (tap, channel) = (rest / channels, rest % channels);
        turned[(output * channels + channel) * taps + tap] = weight;
    }
    numbers(&turned, vec![weights.rows(), channels, rows, columns], weights)
}

fn numbers(reals: &[f64], shape: Vec<usize>, weights: &Weights) -> NodeParameters {
    NodeParameters::Layer {
        weight: reals.iter().map(|&weight| weight as f32).collect(),
        shape,
        bias: Some(weights.bias.iter().map(|&bias| bias as f32).collect()),
    }
}
