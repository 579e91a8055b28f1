//! The messages of ONNX (`onnx.proto`), as far as a model is made of them.

use super::wire::{Wire, fields};

/// Most nodes, values or initializers of a graph.
const MOST_ENTRIES: usize = 1 << 16;

/// A whole file.
#[derive(Debug, Default)]
pub struct Model<'a> {
    /// Version of the standard operators; 0 if it is not stated.
    pub opset: i64,
    /// The program that wrote it.
    pub producer: String,
    /// The graph.
    pub graph: Option<Graph<'a>>,
    /// Whether it defines functions.
    pub has_functions: bool,
}

/// A graph.
#[derive(Debug, Default)]
pub struct Graph<'a> {
    /// Its name.
    pub name: String,
    /// Nodes, each behind those that it reads.
    pub nodes: Vec<Node<'a>>,
    /// Constants with names.
    pub initializers: Vec<Tensor<'a>>,
    /// Whether there are sparse constants.
    pub sparse: bool,
    /// What is given; older files have the constants here too.
    pub inputs: Vec<Named>,
    /// What is asked for.
    pub outputs: Vec<Named>,
}

/// A value with a name, a type and a shape.
#[derive(Debug, Default)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Type of one number, as in [`Tensor::data_type`].
    pub data_type: i64,
    /// Sizes, `None` for one that is only named; nothing if no shape is stated.
    pub shape: Option<Vec<Option<i64>>>,
}

/// A node.
#[derive(Debug, Default)]
pub struct Node<'a> {
    /// Its name, perhaps empty.
    pub name: String,
    /// Its operator.
    pub operator: String,
    /// The set that the operator is of; empty for the standard's.
    pub domain: String,
    /// Names of what it reads, empty for what is left out.
    pub inputs: Vec<String>,
    /// Names of what it writes.
    pub outputs: Vec<String>,
    /// Attributes, as they lie in the file.
    pub attributes: Vec<Attribute<'a>>,
}

/// An attribute of a node.
#[derive(Debug, Default)]
pub struct Attribute<'a> {
    /// Its name.
    pub name: String,
    /// A whole number, where it is one.
    pub integer: Option<i64>,
    /// A float, where it is one.
    pub float: Option<f32>,
    /// A text, where it is one.
    pub text: Option<String>,
    /// Texts.
    pub texts: Vec<String>,
    /// Whole numbers.
    pub integers: Vec<i64>,
    /// Floats.
    pub floats: Vec<f32>,
    /// A tensor, where it is one.
    pub tensor: Option<Tensor<'a>>,
    /// Whether it holds a graph.
    pub has_graph: bool,
}

/// A constant.
#[derive(Debug, Default)]
pub struct Tensor<'a> {
    /// Its name.
    pub name: String,
    /// Sizes.
    pub shape: Vec<i64>,
    /// Type of one number by the numbers of `TensorProto.DataType`.
    pub data_type: i64,
    /// Little-endian bytes, where it has them.
    pub raw: Option<&'a [u8]>,
    /// Floats, where it has no bytes.
    pub floats: Vec<f32>,
    /// Whole numbers, where it has no bytes.
    pub integers: Vec<i64>,
    /// Place, offset and length of its bytes in another file.
    pub external: Option<External>,
}

/// Where a constant's bytes are.
#[derive(Debug, Default)]
pub struct External {
    /// Path of the file, seen from the model's folder.
    pub location: String,
    /// The first byte.
    pub offset: u64,
    /// How many; up to the end if it is not stated.
    pub length: Option<u64>,
}

/// Reads a file; `None` if it is damaged.
pub fn model(bytes: &[u8]) -> Option<Model<'_>> {
    let mut model = Model::default();
    for field in fields(bytes) {
        let (number, wire) = field?;
        match number {
            2 => model.producer = wire.text(),
            7 => model.graph = Some(graph(wire.bytes())?),
            8 => {
                let (mut domain, mut version) = (String::new(), 0);
                for field in fields(wire.bytes()) {
                    match field? {
                        (1, wire) => domain = wire.text(),
                        (2, wire) => version = wire.integer(),
                        _ => {}
                    }
                }
                if domain.is_empty() || domain == "ai.onnx" {
                    model.opset = version;
                }
            }
            25 => model.has_functions = true,
            _ => {}
        }
    }
    Some(model)
}

/// Appends an entry while there is room for more.
fn push<T>(list: &mut Vec<T>, entry: T) -> Option<()> {
    (list.len() < MOST_ENTRIES).then(|| list.push(entry))
}

fn graph(bytes: &[u8]) -> Option<Graph<'_>> {
    let mut graph = Graph::default();
    for field in fields(bytes) {
        let (number, wire) = field?;
        match number {
            1 => push(&mut graph.nodes, node(wire.bytes())?)?,
            2 => graph.name = wire.text(),
            5 => push(&mut graph.initializers, tensor(wire.bytes())?)?,
            11 => push(&mut graph.inputs, named(wire.bytes())?)?,
            12 => push(&mut graph.outputs, named(wire.bytes())?)?,
            15 => graph.sparse = true,
            _ => {}
        }
    }
    Some(graph)
}

fn named(bytes: &[u8]) -> Option<Named> {
    let mut named = Named::default();
    for field in fields(bytes) {
        match field? {
            (1, wire) => named.name = wire.text(),
            (2, wire) => {
                for field in fields(wire.bytes()) {
                    if let (1, wire) = field? {
                        tensor_type(wire, &mut named)?;
                    }
                }
            }
            _ => {}
        }
    }
    Some(named)
}

fn tensor_type(wire: Wire<'_>, named: &mut Named) -> Option<()> {
    for field in fields(wire.bytes()) {
        match field? {
            (1, wire) => named.data_type = wire.integer(),
            (2, wire) => {
                let mut sizes = Vec::new();
                for field in fields(wire.bytes()) {
                    let (1, wire) = field? else { continue };
                    let mut size = None;
                    for field in fields(wire.bytes()) {
                        if let (1, wire) = field? {
                            size = Some(wire.integer());
                        }
                    }
                    push(&mut sizes, size)?;
                }
                named.shape = Some(sizes);
            }
            _ => {}
        }
    }
    Some(())
}

fn node(bytes: &[u8]) -> Option<Node<'_>> {
    let mut node = Node::default();
    for field in fields(bytes) {
        let (number, wire) = field?;
        match number {
            1 => push(&mut node.inputs, wire.text())?,
            2 => push(&mut node.outputs, wire.text())?,
            3 => node.name = wire.text(),
            4 => node.operator = wire.text(),
            5 => push(&mut node.attributes, attribute(wire.bytes())?)?,
            7 => node.domain = wire.text(),
            _ => {}
        }
    }
    Some(node)
}

fn attribute(bytes: &[u8]) -> Option<Attribute<'_>> {
    let mut attribute = Attribute::default();
    for field in fields(bytes) {
        let (number, wire) = field?;
        match number {
            1 => attribute.name = wire.text(),
            2 => attribute.float = Some(wire.float()),
            3 => attribute.integer = Some(wire.integer()),
            4 => attribute.text = Some(wire.text()),
            5 => attribute.tensor = Some(tensor(wire.bytes())?),
            6 | 11 => attribute.has_graph = true,
            7 => wire.floats(&mut attribute.floats)?,
            8 => wire.integers(&mut attribute.integers)?,
            9 => attribute.texts.push(wire.text()),
            _ => {}
        }
    }
    Some(attribute)
}

fn tensor(bytes: &[u8]) -> Option<Tensor<'_>> {
    let mut tensor = Tensor::default();
    let mut is_external = false;
    let mut external = External::default();
    for field in fields(bytes) {
        let (number, wire) = field?;
        match number {
            1 => wire.integers(&mut tensor.shape)?,
            2 => tensor.data_type = wire.integer(),
            4 => wire.floats(&mut tensor.floats)?,
            5 | 7 | 11 => wire.integers(&mut tensor.integers)?,
            8 => tensor.name = wire.text(),
            9 => tensor.raw = Some(wire.bytes()),
            10 => wire.doubles(&mut tensor.floats)?,
            13 => {
                let (mut key, mut value) = (String::new(), String::new());
                for field in fields(wire.bytes()) {
                    match field? {
                        (1, wire) => key = wire.text(),
                        (2, wire) => value = wire.text(),
                        _ => {}
                    }
                }
                match key.as_str() {
                    "location" => external.location = value,
                    "offset" => external.offset = value.parse().ok()?,
                    "length" => external.length = Some(value.parse().ok()?),
                    _ => {}
                }
            }
            14 => is_external = wire.integer() == 1,
            _ => {}
        }
    }
    if is_external {
        tensor.external = Some(external);
    }
    Some(tensor)
}

impl Node<'_> {
    /// The attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute<'_>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// A whole number, or what is meant where it is left out.
    pub fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).and_then(|attribute| attribute.integer).unwrap_or(default)
    }

    /// A float, or what is meant where it is left out.
    pub fn float(&self, name: &str, default: f32) -> f64 {
        let float = self.attribute(name).and_then(|attribute| attribute.float);
        f64::from(float.unwrap_or(default))
    }

    /// Whole numbers, if they are given.
    pub fn integers(&self, name: &str) -> Option<Vec<i64>> {
        self.attribute(name).map(|attribute| attribute.integers.clone())
    }

    /// Floats, if they are given.
    pub fn floats(&self, name: &str) -> Option<Vec<f64>> {
        let floats = &self.attribute(name)?.floats;
        Some(floats.iter().map(|&float| f64::from(float)).collect())
    }

    /// A text, empty where it is left out.
    pub fn text(&self, name: &str) -> &str {
        self.attribute(name).and_then(|attribute| attribute.text.as_deref()).unwrap_or("")
    }

    /// Texts, none where they are left out.
    pub fn texts(&self, name: &str) -> &[String] {
        self.attribute(name).map_or(&[], |attribute| &attribute.texts)
    }
}
