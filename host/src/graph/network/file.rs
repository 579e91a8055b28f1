//! Network descriptions in TOML: strict keys, so that a typing mistake is an error and not a default.

use super::{DEFAULT_EPSILON, NAMES, Network, Node, NodeInput, Operation, Padding, PaddingAmounts};
use crate::artifact;
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::function::Function;
use crate::task::Task;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The name under which a layer reads the sample.
const INPUT: &str = "input";
/// An operation that files of other programs have, and that is left out: it is none when a network is only evaluated.
const DROPOUT: &str = "dropout";
/// What a layer may compute.
const OPERATIONS: [&str; 20] = [
    "convolution-2d",
    "depthwise-convolution-2d",
    "fully-connected",
    "average-pool-2d",
    "max-pool-2d",
    "global-average-pool",
    "batch-norm",
    "relu",
    "relu6",
    "add",
    "flatten",
    "softmax",
    "sigmoid",
    "tanh",
    "leaky-relu",
    "elu",
    "hard-sigmoid",
    "hard-swish",
    "gelu",
    "swish",
];

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NetworkFile {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<SampleShape>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
    layer: Vec<LayerRow>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LayerRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    operation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_channels: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    out_features: Option<Features>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kernel: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stride: Option<Pair>,
    #[serde(skip_serializing_if = "Option::is_none")]
    padding: Option<PaddingField>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bias: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slope: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count_padding: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    /// Of a dropout, which is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Features {
    Number(usize),
    Word(String),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Pair {
    One(usize),
    Two([usize; 2]),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum PaddingField {
    Word(String),
    Amounts([usize; 4]),
}

/// Reads the file at `path`.
pub fn open(path: &str, input: SampleShape, classes: usize) -> Result<Network> {
    parse(&read(path)?, path, input, classes)
}

/// The text of the file at `path`.
fn read(path: &str) -> Result<String> {
    if !Path::new(path).exists() {
        return Err(Error::bad_input(
            path,
            "is neither a known network nor an existing file",
            format_args!("use {}, or a TOML file", NAMES.join(", ")),
        ));
    }
    let is_model = [".tflite", ".onnx", ".h5", ".keras", ".pt", ".pth", ".pb"]
        .iter()
        .any(|ending| path.to_lowercase().ends_with(ending));
    let place = Path::new(path);
    let text = artifact::read_toml(place);
    if is_model && text.as_ref().map_or(true, |text| toml::from_str::<toml::Table>(text).is_err()) {
        return Err(Error::bad_input(
            path,
            "is a trained model, not a network to train",
            "give an .onnx or .tflite file to `tinyhero import`; export others to one of these",
        ));
    }
    text
}

/// The sample shape that the file at `path` says; `None` for one that leaves it to the data.
pub fn input(path: &str) -> Result<Option<SampleShape>> {
    Ok(parse_file(&read(path)?, path)?.input)
}

/// The task that the file at `path` says; `None` for one that leaves it to the data, or for no file.
pub fn task(path: &str) -> Result<Option<Task>> {
    match Path::new(path).exists() {
        true => Ok(parse_file(&read(path)?, path)?.task()),
        false => Ok(None),
    }
}

impl NetworkFile {
    /// The task of its key; without one, a network that ends with as many values as its sample has gives back the sample.
    fn task(&self) -> Option<Task> {
        let mut last = self.layer.iter().rev().filter(|row| row.operation != DROPOUT);
        let inputs = last.next().and_then(|row| row.out_features.as_ref());
        let gives_inputs = matches!(inputs, Some(Features::Word(word)) if word == "inputs");
        self.task.or(gives_inputs.then_some(Task::Reconstruction))
    }
}

/// Reads TOML text; shapes are checked by the caller.
pub fn parse(text: &str, place: &str, input: SampleShape, classes: usize) -> Result<Network> {
    let file = parse_file(text, place)?;
    if let Some(shape) = file.input
        && shape != input
    {
        return Err(Error::bad_input(
            place,
            format_args!("describes samples of shape {shape}, but the data's are {input}"),
            "leave 'input' out to take the data's shape",
        ));
    }
    network(file, place, input, classes)
}

/// Reads TOML text that says its sample shape and gives every size as a number.
pub fn parse_stored(text: &str, place: &str) -> Result<Network> {
    let file = parse_file(text, place)?;
    let Some(input) = file.input else {
        return Err(Error::bad_input(place, "lacks 'input'", "train again with another --out"));
    };
    network(file, place, input, 0)
}

fn parse_file(text: &str, place: &str) -> Result<NetworkFile> {
    toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Error::bad_input(
            format_args!("{place}, line {line}"),
            error.message(),
            "correct the network file",
        )
    })
}

fn network(file: NetworkFile, place: &str, input: SampleShape, classes: usize) -> Result<Network> {
    let task = file.task().unwrap_or_default();
    let mut nodes: Vec<Node> = Vec::with_capacity(file.layer.len());
    let mut left_out: Vec<(String, NodeInput)> = Vec::new();
    let mut previous = NodeInput::Network;
    for (index, row) in file.layer.into_iter().enumerate() {
        let name = row.name.clone().unwrap_or_else(|| format!("{}-{index}", row.operation));
        let error = |problem: String| {
            Error::bad_input(
                format_args!("{place}, layer '{name}'"),
                problem,
                "correct the network file",
            )
        };
        if name == INPUT {
            return Err(error("is called 'input', which is the sample's name".to_string()));
        }
        let find = |wanted: &String| {
            let node = nodes.iter().position(|node| &node.name == wanted).map(NodeInput::Node);
            let passed = || left_out.iter().find(|(name, _)| name == wanted).map(|(_, from)| *from);
            node.or_else(passed).or((wanted == INPUT).then_some(NodeInput::Network))
        };
        let inputs = match &row.inputs {
            None => vec![previous],
            Some(names) => names
                .iter()
                .map(|wanted| {
                    find(wanted).ok_or_else(|| {
                        error(format!("reads '{wanted}', which is no earlier layer"))
                    })
                })
                .collect::<Result<_>>()?,
        };
        if row.operation == DROPOUT {
            // It changes nothing in a network that is deployed, and these are trained without it.
            if let Some(key) = row.unused_key().filter(|key| *key != "rate") {
                return Err(error(format!("has the key '{key}', which {DROPOUT} does not use")));
            }
            let from = inputs.first().copied().unwrap_or(NodeInput::Network);
            left_out.push((name, from));
            previous = from;
            continue;
        }
        let operation = operation(row, input, classes).map_err(error)?;
        previous = NodeInput::Node(nodes.len());
        nodes.push(Node { name, inputs, operation });
    }
    Ok(Network { name: file.name, task, input, nodes })
}

/// The operation of a row. Every key that is given must belong to it.
fn operation(
    mut row: LayerRow,
    input: SampleShape,
    classes: usize,
) -> std::result::Result<Operation, String> {
    let row = &mut row;
    let operation = match row.operation.as_str() {
        "convolution-2d" => Operation::Convolution2d {
            out_channels: row.out_channels.take().ok_or("lacks 'out-channels'")?,
            kernel: row.kernel()?,
            stride: row.stride([1, 1]),
            padding: row.padding(Padding::Same)?,
            bias: row.bias.take().unwrap_or(true),
        },
        "depthwise-convolution-2d" => Operation::DepthwiseConvolution2d {
            kernel: row.kernel()?,
            stride: row.stride([1, 1]),
            padding: row.padding(Padding::Same)?,
            bias: row.bias.take().unwrap_or(true),
        },
        "fully-connected" => Operation::FullyConnected {
            out_features: match row.out_features.take().ok_or("lacks 'out-features'")? {
                Features::Number(number) => number,
                Features::Word(word) if word == "classes" => classes,
                Features::Word(word) if word == "inputs" => input.elements(),
                Features::Word(word) => {
                    return Err(format!(
                        "has out-features '{word}' instead of a number, \"classes\" or \"inputs\""
                    ));
                }
            },
            bias: row.bias.take().unwrap_or(true),
        },
        "average-pool-2d" | "max-pool-2d" => {
            let kernel = row.kernel()?;
            let stride = row.stride(kernel);
            let padding = row.padding(Padding::Valid)?;
            if row.operation == "max-pool-2d" {
                Operation::MaxPool2d { kernel, stride, padding }
            } else {
                let count_padding = row.count_padding.take().unwrap_or(false);
                Operation::AveragePool2d { kernel, stride, padding, count_padding }
            }
        }
        "batch-norm" => {
            Operation::BatchNorm { epsilon: row.epsilon.take().unwrap_or(DEFAULT_EPSILON) }
        }
        "relu" => Operation::Relu,
        "relu6" => Operation::Relu6,
        "global-average-pool" => Operation::GlobalAveragePool,
        "add" => Operation::Add,
        "multiply" => Operation::Multiply,
        "concatenate" => Operation::Concatenate,
        "flatten" => Operation::Flatten,
        "softmax" => Operation::Softmax,
        other => match Function::named(other, row.slope, row.alpha) {
            Some(function) => {
                row.slope.take_if(|_| function.slope().is_some());
                row.alpha.take_if(|_| function.alpha().is_some());
                Operation::Elementwise(function)
            }
            None => {
                return Err(format!(
                    "has the unknown operation '{other}'; there are {}",
                    OPERATIONS.join(", ")
                ));
            }
        },
    };
    match row.unused_key() {
        Some(key) => Err(format!("has the key '{key}', which {} does not use", row.operation)),
        None => Ok(operation),
    }
}

impl LayerRow {
    fn kernel(&mut self) -> std::result::Result<[usize; 2], String> {
        Ok(self.kernel.take().ok_or("lacks 'kernel'")?.sizes())
    }

    fn stride(&mut self, default: [usize; 2]) -> [usize; 2] {
        self.stride.take().map_or(default, |pair| pair.sizes())
    }

    fn padding(&mut self, default: Padding) -> std::result::Result<Padding, String> {
        match self.padding.take() {
            None => Ok(default),
            Some(PaddingField::Word(word)) if word == "same" => Ok(Padding::Same),
            Some(PaddingField::Word(word)) if word == "valid" => Ok(Padding::Valid),
            Some(PaddingField::Word(word)) => Err(format!(
                "has padding '{word}' instead of \"same\", \"valid\" or [top, bottom, left, right]"
            )),
            Some(PaddingField::Amounts([top, bottom, left, right])) => {
                Ok(Padding::Explicit(PaddingAmounts { top, bottom, left, right }))
            }
        }
    }

    /// A key that no one took.
    fn unused_key(&self) -> Option<&'static str> {
        [
            ("out-channels", self.out_channels.is_some()),
            ("out-features", self.out_features.is_some()),
            ("kernel", self.kernel.is_some()),
            ("stride", self.stride.is_some()),
            ("padding", self.padding.is_some()),
            ("bias", self.bias.is_some()),
            ("epsilon", self.epsilon.is_some()),
            ("slope", self.slope.is_some()),
            ("count-padding", self.count_padding.is_some()),
            ("alpha", self.alpha.is_some()),
            ("rate", self.rate.is_some()),
        ]
        .into_iter()
        .find_map(|(key, given)| given.then_some(key))
    }
}

impl Pair {
    fn sizes(&self) -> [usize; 2] {
        match *self {
            Self::One(size) => [size; 2],
            Self::Two(sizes) => sizes,
        }
    }
}

/// Writes every key out, so that the text means the same whatever the defaults become.
pub fn write(network: &Network) -> String {
    let name_of = |input: &NodeInput| match *input {
        NodeInput::Network => INPUT.to_string(),
        NodeInput::Node(index) => network.nodes[index].name.clone(),
    };
    let layer = network
        .nodes
        .iter()
        .map(|node| {
            let mut row = LayerRow {
                name: Some(node.name.clone()),
                operation: node.operation.name().to_string(),
                inputs: Some(node.inputs.iter().map(name_of).collect()),
                ..LayerRow::default()
            };
            match node.operation {
                Operation::Convolution2d { out_channels, kernel, stride, padding, bias } => {
                    row.out_channels = Some(out_channels);
                    row.set_window(kernel, stride, padding);
                    row.bias = Some(bias);
                }
                Operation::DepthwiseConvolution2d { kernel, stride, padding, bias } => {
                    row.set_window(kernel, stride, padding);
                    row.bias = Some(bias);
                }
                Operation::FullyConnected { out_features, bias } => {
                    row.out_features = Some(Features::Number(out_features));
                    row.bias = Some(bias);
                }
                Operation::AveragePool2d { kernel, stride, padding, count_padding } => {
                    row.set_window(kernel, stride, padding);
                    row.count_padding = Some(count_padding);
                }
                Operation::MaxPool2d { kernel, stride, padding } => {
                    row.set_window(kernel, stride, padding)
                }
                Operation::BatchNorm { epsilon } => row.epsilon = Some(epsilon),
                Operation::Elementwise(function) => {
                    (row.slope, row.alpha) = (function.slope(), function.alpha());
                }
                Operation::Relu
                | Operation::Relu6
                | Operation::GlobalAveragePool
                | Operation::Add
                | Operation::Multiply
                | Operation::Concatenate
                | Operation::Flatten
                | Operation::Softmax => {}
            }
            row
        })
        .collect();
    // A task that the layers alone would not say is always written.
    let task = (!network.task.is_default()).then_some(network.task);
    let name = network.name.clone();
    let file = NetworkFile { name, input: Some(network.input), task, layer };
    // Only maps with non-string keys or out-of-range numbers fail here, and there are none.
    toml::to_string(&file).unwrap_or_default()
}

impl LayerRow {
    fn set_window(&mut self, kernel: [usize; 2], stride: [usize; 2], padding: Padding) {
        self.kernel = Some(Pair::Two(kernel));
        self.stride = Some(Pair::Two(stride));
        self.padding = Some(match padding {
            Padding::Same => PaddingField::Word("same".to_string()),
            Padding::Valid => PaddingField::Word("valid".to_string()),
            Padding::Explicit(amounts) => {
                PaddingField::Amounts([amounts.top, amounts.bottom, amounts.left, amounts.right])
            }
        });
    }
}
