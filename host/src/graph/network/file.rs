//! Network descriptions in TOML: strict keys, so that a typing mistake is an error and not a default.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Spanned, Value};

use super::{INPUT, NAMES, Network, NetworkInput, Node, NodeInput, Operation};
use crate::artifact;
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::operation::{Keys, Refusal};
use crate::task::Task;

/// An operation that files of other programs have, and that is left out: it is none when a network is only evaluated.
const DROPOUT: &str = "dropout";

/// A layer as it stands in the file; the file of its operation knows its keys.
type LayerRow = BTreeMap<Spanned<String>, Spanned<Value>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NetworkFile {
    name: String,
    input: Option<Spanned<Value>>,
    outputs: Option<Spanned<Vec<String>>>,
    task: Option<Task>,
    layer: Vec<LayerRow>,
}

/// An input where there are several.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputRow {
    name: String,
    shape: SampleShape,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<SampleShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<String>,
    #[serde(rename = "input", skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<InputRow>,
    layer: Vec<Keys>,
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
    let text = read(path)?;
    let inputs = parse_file(&text, path)?.inputs(&Text { text: &text, place: path })?;
    Ok(match &inputs[..] {
        [] => None,
        [only] => Some(only.shape),
        several => {
            let values = several.iter().map(|input| input.shape.elements());
            Some(SampleShape::new(1, 1, values.fold(0, usize::saturating_add)))
        }
    })
}

/// The task that the file at `path` says; `None` for one that leaves it to the data, or for no file.
pub fn task(path: &str) -> Result<Option<Task>> {
    match Path::new(path).exists() {
        true => Ok(parse_file(&read(path)?, path)?.task()),
        false => Ok(None),
    }
}

impl NetworkFile {
    /// The inputs that it describes, by a shape or by a table for each; none where it leaves that to the data.
    fn inputs(&self, text: &Text<'_>) -> Result<Vec<NetworkInput>> {
        let Some(value) = &self.input else { return Ok(Vec::new()) };
        let tables =
            value.get_ref().as_array().is_some_and(|list| list.iter().all(Value::is_table));
        let value_of = value.get_ref().clone();
        let found = match tables {
            true => value_of.try_into::<Vec<InputRow>>(),
            false => {
                value_of.try_into().map(|shape| vec![InputRow { name: INPUT.to_string(), shape }])
            }
        };
        let rows: Vec<InputRow> = found.map_err(|error| {
            let line = text.line(value.span().start);
            Error::bad_input(
                format_args!("{}, line {line}", text.place),
                format_args!("'input': {}", error.message()),
                "give [height, width, channels], or tables [[input]] with name and shape",
            )
        })?;
        let input = |row: InputRow| NetworkInput { name: row.name, shape: row.shape };
        Ok(rows.into_iter().map(input).collect())
    }

    /// The task of its key; without one, a network that ends with as many values as its sample has gives back the sample.
    fn task(&self) -> Option<Task> {
        let word = |row: &LayerRow, key: &str| -> Option<String> {
            row.get(key).and_then(|value| value.get_ref().as_str()).map(str::to_string)
        };
        let mut kept = self.layer.iter().rev();
        let last = kept.find(|row| word(row, "operation").as_deref() != Some(DROPOUT));
        let features = last.and_then(|row| word(row, "out-features"));
        let gives_inputs = features.as_deref() == Some("inputs");
        self.task.or(gives_inputs.then_some(Task::Reconstruction))
    }
}

/// Reads TOML text; shapes are checked by the caller.
pub fn parse(text: &str, place: &str, input: SampleShape, classes: usize) -> Result<Network> {
    let file = parse_file(text, place)?;
    let text = Text { text, place };
    let inputs = file.inputs(&text)?;
    let inputs = match &inputs[..] {
        [] => vec![NetworkInput { name: INPUT.to_string(), shape: input }],
        [only] if only.shape != input => {
            return Err(Error::bad_input(
                place,
                format_args!(
                    "describes samples of shape {}, but the data's are {input}",
                    only.shape
                ),
                "leave 'input' out to take the data's shape",
            ));
        }
        _ => inputs,
    };
    network(file, &text, inputs, classes)
}

/// Reads TOML text that says its sample shape and gives every size as a number.
pub fn parse_stored(text: &str, place: &str) -> Result<Network> {
    let file = parse_file(text, place)?;
    let text = Text { text, place };
    let inputs = file.inputs(&text)?;
    if inputs.is_empty() {
        return Err(Error::bad_input(place, "lacks 'input'", "train again with another --out"));
    }
    network(file, &text, inputs, 0)
}

/// The text of a file and its name.
struct Text<'a> {
    text: &'a str,
    place: &'a str,
}

impl Text<'_> {
    /// The line that a byte stands in.
    fn line(&self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
    }
}

fn parse_file(text: &str, place: &str) -> Result<NetworkFile> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| Text { text, place }.line(span.start));
        Error::bad_input(
            format_args!("{place}, line {line}"),
            error.message(),
            "correct the network file",
        )
    })
}

fn network(
    file: NetworkFile,
    text: &Text<'_>,
    inputs: Vec<NetworkInput>,
    classes: usize,
) -> Result<Network> {
    let mut network =
        Network::new(&file.name, file.task().unwrap_or_default(), inputs[0].shape, vec![]);
    network.inputs = inputs;
    let (sample, inputs) = (network.sample_shape(), &network.inputs);
    let read = |wanted: &str| inputs.iter().position(|input| input.name == wanted);
    let mut nodes: Vec<Node> = Vec::with_capacity(file.layer.len());
    let mut left_out: Vec<(String, NodeInput)> = Vec::new();
    let mut previous = NodeInput::Network(0);
    for (index, row) in file.layer.into_iter().enumerate() {
        let mut keys = Keys::new(sample, classes);
        let mut entries: Vec<_> = row.into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = text.line(key.span().start);
            keys.add(key.into_inner(), line, value.into_inner());
        }
        let place = text.place;
        let unnamed = |refusal: Refusal| refused(place, &format!("layer {index}"), &refusal);
        let operation: String = keys.required("operation").map_err(unnamed)?;
        let name = keys.take("name").map_err(unnamed)?;
        let name: String = name.unwrap_or_else(|| format!("{operation}-{index}"));
        let error = |refusal: Refusal| refused(place, &format!("layer '{name}'"), &refusal);
        if read(&name).is_some() {
            let problem = format!("is called '{name}', which is the sample's name");
            return Err(error(problem.into()));
        }
        let find = |wanted: &String| {
            let node = nodes.iter().position(|node| &node.name == wanted).map(NodeInput::Node);
            let passed = || left_out.iter().find(|(name, _)| name == wanted).map(|(_, from)| *from);
            node.or_else(passed).or(read(wanted).map(NodeInput::Network))
        };
        let sources = match keys.take::<Vec<String>>("inputs").map_err(error)? {
            None => vec![previous],
            Some(names) => names
                .iter()
                .map(|wanted| {
                    let problem = || format!("reads '{wanted}', which is no earlier layer");
                    find(wanted).ok_or_else(|| error(problem().into()))
                })
                .collect::<Result<_>>()?,
        };
        if operation == DROPOUT {
            // It changes nothing in a network that is deployed, and these are trained without it.
            keys.take::<f64>("rate").map_err(error)?;
            keys.finish(DROPOUT).map_err(error)?;
            let from = sources.first().copied().unwrap_or(NodeInput::Network(0));
            left_out.push((name, from));
            previous = from;
            continue;
        }
        let Some(found) = Operation::read(&operation, &mut keys).map_err(error)? else {
            let known = Operation::names().join(", ");
            let problem = format!("has the unknown operation '{operation}'; there are {known}");
            return Err(error(problem.into()));
        };
        keys.finish(&operation).map_err(error)?;
        previous = NodeInput::Node(nodes.len());
        nodes.push(Node { name, inputs: sources, operation: found });
    }
    let outputs = match &file.outputs {
        None => vec![nodes.len().saturating_sub(1)],
        Some(names) => {
            let find = |name: &String| {
                nodes.iter().position(|node| &node.name == name).ok_or_else(|| {
                    Error::bad_input(
                        format_args!("{}, line {}", text.place, text.line(names.span().start)),
                        format_args!("the output '{name}' is no layer"),
                        "list names of layers",
                    )
                })
            };
            names.get_ref().iter().map(find).collect::<Result<_>>()?
        }
    };
    Ok(Network { nodes, outputs, ..network })
}

/// An error of a layer.
fn refused(place: &str, layer: &str, refusal: &Refusal) -> Error {
    let line = refusal.line.map_or_else(String::new, |line| format!(", line {line}"));
    let place = format_args!("{place}{line}, {layer}").to_string();
    Error::bad_input(place, &refusal.problem, "correct the network file")
}

/// Writes every key out, so that the text means the same whatever the defaults become.
pub fn write(network: &Network) -> String {
    let name_of = |input: &NodeInput| match *input {
        NodeInput::Network(index) => network.inputs[index].name.clone(),
        NodeInput::Node(index) => network.nodes[index].name.clone(),
    };
    let row = |node: &Node| {
        let mut keys = Keys::new(network.sample_shape(), 0);
        keys.set("name", &node.name);
        keys.set("operation", node.operation.name());
        keys.set("inputs", node.inputs.iter().map(name_of).collect::<Vec<String>>());
        node.operation.write(&mut keys);
        keys
    };
    let layer = network.nodes.iter().map(row).collect();
    // A task that the layers alone would not say is always written.
    let task = (!network.task.is_default()).then_some(network.task);
    // One input and the last layer as output stand there as they always have.
    let one = matches!(&network.inputs[..], [only] if only.name == INPUT);
    let last = network.outputs[..] == [network.nodes.len().saturating_sub(1)];
    let row = |input: &NetworkInput| InputRow { name: input.name.clone(), shape: input.shape };
    let output = |&node: &usize| network.nodes[node].name.clone();
    let file = Written {
        name: network.name.clone(),
        input: one.then_some(network.input()),
        task,
        outputs: if last { Vec::new() } else { network.outputs.iter().map(output).collect() },
        inputs: if one { Vec::new() } else { network.inputs.iter().map(row).collect() },
        layer,
    };
    // Only maps with non-string keys or out-of-range numbers fail here, and there are none.
    toml::to_string(&file).unwrap_or_default()
}
