//! Models in the format of ONNX, by their protocol buffers.
//!
//! Integer operators (`QLinearConv` and others) are taken apart into dequantized inputs, the plain
//! operator and a quantized output, so that one set of passes serves both ways of writing them.

mod message;
mod operator;
mod quantized;
mod tensor;
mod wire;

use std::collections::HashMap;
use std::path::Path;

use super::graph::{Constant, Graph, Node, Value, ValueId};
use super::operation::Operation;
use crate::error::{Error, Result};
use message::{Attribute, Named};
use tensor::Beside;

/// Reads a model; `folder` is where its weights may be if they are not in it.
///
/// # Errors
/// The file is damaged, or its parts do not belong together.
pub fn read(bytes: &[u8], place: &str, folder: &Path) -> Result<Graph> {
    let broken = |problem: &dyn std::fmt::Display| {
        Error::bad_input(place, problem, "export the model again")
    };
    let model = message::model(bytes).ok_or_else(|| broken(&"is no whole ONNX file"))?;
    let source = model.graph.ok_or_else(|| broken(&"holds no graph"))?;
    if model.has_functions {
        let problem = "defines functions of its own";
        let advice = "export it with functions inlined (onnx.inliner.inline_local_functions)";
        return Err(Error::bad_input(place, problem, advice));
    }
    if source.sparse {
        return Err(broken(&"has sparse constants"));
    }
    let mut beside = Beside::new(folder);
    let mut reader = Reader {
        place,
        opset: if model.opset > 0 { model.opset } else { 1 },
        graph: Graph { name: source.name.clone(), ..Graph::default() },
        known: HashMap::new(),
        names: HashMap::new(),
    };
    for constant in &source.initializers {
        let value = tensor::value(constant, place, &mut beside)?;
        reader.define(value)?;
    }
    for input in &source.inputs {
        // Older files list constants here as well.
        if !reader.known.contains_key(&input.name) {
            let value = reader.input(input)?;
            let id = reader.define(value)?;
            reader.graph.inputs.push(id);
        }
    }
    for node in &source.nodes {
        reader.node(node, &mut beside)?;
    }
    for output in &source.outputs {
        let id = reader.known.get(&output.name).copied().ok_or_else(|| {
            broken(&format_args!("gives '{}', which no node writes", output.name))
        })?;
        reader.graph.outputs.push(id);
    }
    Ok(reader.graph)
}

struct Reader<'a> {
    place: &'a str,
    opset: i64,
    graph: Graph,
    /// Values by their names in the file.
    known: HashMap<String, ValueId>,
    /// How often the name of a node was given.
    names: HashMap<String, usize>,
}

impl Reader<'_> {
    fn broken(&self, problem: impl std::fmt::Display) -> Error {
        Error::bad_input(self.place, problem, "export the model again")
    }

    fn define(&mut self, value: Value) -> Result<ValueId> {
        let name = value.name.clone();
        let id = self.graph.add(value);
        if self.known.insert(name.clone(), id).is_some() {
            return Err(self.broken(format_args!("writes '{name}' twice")));
        }
        Ok(id)
    }

    fn input(&self, input: &Named) -> Result<Value> {
        let refuse = |problem: &str, advice: &str| {
            let place = format!("{}, input '{}'", self.place, input.name);
            Err(Error::bad_input(place, problem, advice))
        };
        let Some(sizes) = &input.shape else {
            return refuse(
                "has no shape",
                "export with an example input, so that shapes are known",
            );
        };
        let mut shape = Vec::with_capacity(sizes.len());
        for (axis, size) in sizes.iter().enumerate() {
            match size {
                Some(size) if *size > 0 && *size < 1 << 24 => shape.push(*size as usize),
                // The batch.
                _ if axis == 0 => shape.push(1),
                _ => {
                    return refuse(
                        &format!("has an axis {axis} without a fixed size"),
                        "export with fixed sizes; only the batch may be open",
                    );
                }
            }
        }
        let element = tensor::element(input.data_type);
        Ok(Value { element, shape: Some(shape), ..Value::named(&input.name) })
    }

    /// The name of a node for reports, unique.
    fn node_name(&mut self, node: &message::Node<'_>) -> String {
        let wanted = match node.name.is_empty() {
            false => node.name.clone(),
            true => node.operator.clone(),
        };
        let count = self.names.entry(wanted.clone()).or_insert(0);
        *count += 1;
        match (*count, node.name.is_empty()) {
            (1, false) => wanted,
            (count, _) => format!("{wanted}_{count}"),
        }
    }

    fn node(&mut self, node: &message::Node<'_>, beside: &mut Beside) -> Result<()> {
        let name = self.node_name(node);
        if node.operator == "Constant" && node.domain.is_empty() {
            let value = self.constant(node, &name, beside)?;
            self.define(value)?;
            return Ok(());
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(match input.as_str() {
                "" => None,
                input => Some(*self.known.get(input).ok_or_else(|| {
                    self.broken(format_args!(
                        "node '{name}' reads '{input}', which no node before it writes"
                    ))
                })?),
            });
        }
        let outputs: Vec<&str> = node.outputs.iter().map(String::as_str).collect();
        if outputs.first().is_none_or(|output| output.is_empty()) {
            return Err(self.broken(format_args!("node '{name}' writes nothing")));
        }
        if quantized::is_integer_operator(node) {
            return self.integer_node(node, &name, &inputs);
        }
        let operation = match node.domain.as_str() {
            "" | "ai.onnx" => self.operation(node, beside)?,
            "com.microsoft"
                if matches!(
                    node.operator.as_str(),
                    "QuantizeLinear" | "DequantizeLinear" | "Gelu"
                ) =>
            {
                operator::operation(node, self.opset)
            }
            domain => operator::unknown(
                format!("is of the domain '{domain}', which is not known"),
                "export with standard operators",
            ),
        };
        let mut written = Vec::with_capacity(outputs.len());
        for output in outputs {
            written.push(match output {
                "" => self.graph.add(Value::named("")),
                output => self.define(Value::named(output))?,
            });
        }
        let operator = node.operator.clone();
        self.graph.nodes.push(Node { name, operator, operation, inputs, outputs: written });
        Ok(())
    }

    fn operation(&self, node: &message::Node<'_>, beside: &mut Beside) -> Result<Operation> {
        if node.operator != "ConstantOfShape" {
            return Ok(operator::operation(node, self.opset));
        }
        let tensor = node.attribute("value").and_then(|attribute| attribute.tensor.as_ref());
        Ok(match tensor {
            None => Operation::Fill { value: 0.0, integer: false },
            Some(tensor) => {
                let value = tensor::value(tensor, self.place, beside)?;
                let numbers = value.constant.as_ref().map(Constant::numbers).unwrap_or_default();
                Operation::Fill {
                    value: numbers.first().copied().unwrap_or(0.0),
                    integer: !matches!(value.constant, Some(Constant::Floats(_))),
                }
            }
        })
    }

    /// The value of a node that is a constant.
    fn constant(&self, node: &message::Node<'_>, name: &str, beside: &mut Beside) -> Result<Value> {
        let output = node.outputs.first().cloned().unwrap_or_default();
        let attribute = |name: &str| node.attribute(name);
        let plain = |shape: Vec<usize>, constant: Constant| {
            let constant = Some(constant);
            Value { shape: Some(shape), constant, ..Value::named(&output) }
        };
        if let Some(tensor) = attribute("value").and_then(|attribute| attribute.tensor.as_ref()) {
            return Ok(Value { name: output, ..tensor::value(tensor, self.place, beside)? });
        }
        let value = |attribute: &Attribute<'_>| match attribute.name.as_str() {
            "value_float" => Some(plain(vec![], Constant::Floats(vec![attribute.float?]))),
            "value_int" => Some(plain(vec![], Constant::Integers(vec![attribute.integer?]))),
            "value_floats" => {
                let floats = attribute.floats.clone();
                Some(plain(vec![floats.len()], Constant::Floats(floats)))
            }
            "value_ints" => {
                let integers = attribute.integers.clone();
                Some(plain(vec![integers.len()], Constant::Integers(integers)))
            }
            _ => None,
        };
        node.attributes.iter().find_map(value).ok_or_else(|| {
            self.broken(format_args!("node '{name}' is a constant of an unknown kind"))
        })
    }
}
