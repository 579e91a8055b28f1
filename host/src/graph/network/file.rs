//! Network descriptions in TOML: strict keys, so that a typing mistake is an error and not a default.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Spanned, Value};

use super::{NAMES, Network, Node, NodeInput, Operation};
use crate::artifact;
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::operation::{Keys, Refusal};
use crate::task::Task;

/// The name under which a layer reads the sample.
const INPUT: &str = "input";
/// An operation that files of other programs have, and that is left out: it is none when a network is only evaluated.
const DROPOUT: &str = "dropout";

/// A layer as it stands in the file; the file of its operation knows its keys.
type LayerRow = BTreeMap<Spanned<String>, Spanned<Value>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NetworkFile {
    name: String,
    input: Option<SampleShape>,
    task: Option<Task>,
    layer: Vec<LayerRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Written {
    name: String,
    input: SampleShape,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Task>,
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
    if let Some(shape) = file.input
        && shape != input
    {
        return Err(Error::bad_input(
            place,
            format_args!("describes samples of shape {shape}, but the data's are {input}"),
            "leave 'input' out to take the data's shape",
        ));
    }
    network(file, &Text { text, place }, input, classes)
}

/// Reads TOML text that says its sample shape and gives every size as a number.
pub fn parse_stored(text: &str, place: &str) -> Result<Network> {
    let file = parse_file(text, place)?;
    let Some(input) = file.input else {
        return Err(Error::bad_input(place, "lacks 'input'", "train again with another --out"));
    };
    network(file, &Text { text, place }, input, 0)
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
    input: SampleShape,
    classes: usize,
) -> Result<Network> {
    let task = file.task().unwrap_or_default();
    let mut nodes: Vec<Node> = Vec::with_capacity(file.layer.len());
    let mut left_out: Vec<(String, NodeInput)> = Vec::new();
    let mut previous = NodeInput::Network;
    for (index, row) in file.layer.into_iter().enumerate() {
        let mut keys = Keys::new(input, classes);
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
        if name == INPUT {
            return Err(error("is called 'input', which is the sample's name".into()));
        }
        let find = |wanted: &String| {
            let node = nodes.iter().position(|node| &node.name == wanted).map(NodeInput::Node);
            let passed = || left_out.iter().find(|(name, _)| name == wanted).map(|(_, from)| *from);
            node.or_else(passed).or((wanted == INPUT).then_some(NodeInput::Network))
        };
        let inputs = match keys.take::<Vec<String>>("inputs").map_err(error)? {
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
            let from = inputs.first().copied().unwrap_or(NodeInput::Network);
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
        nodes.push(Node { name, inputs, operation: found });
    }
    Ok(Network { name: file.name, task, input, nodes })
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
        NodeInput::Network => INPUT.to_string(),
        NodeInput::Node(index) => network.nodes[index].name.clone(),
    };
    let row = |node: &Node| {
        let mut keys = Keys::new(network.input, 0);
        keys.set("name", &node.name);
        keys.set("operation", node.operation.name());
        keys.set("inputs", node.inputs.iter().map(name_of).collect::<Vec<String>>());
        node.operation.write(&mut keys);
        keys
    };
    let layer = network.nodes.iter().map(row).collect();
    // A task that the layers alone would not say is always written.
    let task = (!network.task.is_default()).then_some(network.task);
    let file = Written { name: network.name.clone(), input: network.input, task, layer };
    // Only maps with non-string keys or out-of-range numbers fail here, and there are none.
    toml::to_string(&file).unwrap_or_default()
}
