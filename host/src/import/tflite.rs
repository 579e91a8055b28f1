//! Models in the format of TensorFlow Lite, by their flatbuffers.

mod flatbuffer;
mod operator;
mod recurrent;

use std::collections::HashMap;

use super::graph::{Constant, Element, Graph, Node, Quantization, Value, ValueId};
use super::operation::{Operation, Unary};
use super::passes::quantization::check_zero_points;
use crate::error::{Error, Result};
use flatbuffer::{Table, root};

/// Most tensors, operators or buffers of a file.
const MOST_ENTRIES: usize = 1 << 16;

/// Whether bytes are such a file.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"TFL3")
}

/// Reads a model.
///
/// # Errors
/// The file is damaged, or its parts do not belong together.
pub fn read(bytes: &[u8], place: &str) -> Result<Graph> {
    let damaged =
        || Error::bad_input(place, "is no whole TensorFlow Lite file", "convert the model again");
    let model = root(bytes).ok_or_else(damaged)?;
    let codes = model.tables(1, MOST_ENTRIES).ok_or_else(damaged)?;
    let subgraphs = model.tables(2, MOST_ENTRIES).ok_or_else(damaged)?;
    let buffers = model.tables(4, MOST_ENTRIES).ok_or_else(damaged)?;
    let main = *subgraphs.first().ok_or_else(damaged)?;
    let graph = Graph::default();
    let mut reader = Reader { place, bytes, buffers, codes, subgraphs, graph };
    reader.subgraph(&main)?;
    Ok(reader.graph)
}

struct Reader<'a> {
    place: &'a str,
    bytes: &'a [u8],
    buffers: Vec<Table<'a>>,
    codes: Vec<Table<'a>>,
    /// The graphs that loops of this one may name.
    subgraphs: Vec<Table<'a>>,
    graph: Graph,
}

impl<'a> Reader<'a> {
    fn broken(&self, problem: impl std::fmt::Display) -> Error {
        Error::bad_input(self.place, problem, "convert the model again")
    }

    fn damaged(&self) -> Error {
        self.broken("is no whole TensorFlow Lite file")
    }

    /// Reads a graph.
    fn subgraph(&mut self, table: &Table<'_>) -> Result<()> {
        self.graph.name = table.text(4).ok_or_else(|| self.damaged())?;
        for tensor in table.tables(0, MOST_ENTRIES).ok_or_else(|| self.damaged())? {
            let value = self.tensor(&tensor)?;
            self.graph.add(value);
        }
        let list = |number: usize| -> Result<Vec<ValueId>> {
            let ids = table.ints(number).ok_or_else(|| self.damaged())?;
            ids.into_iter().map(|id| self.value(id)?.ok_or_else(|| self.damaged())).collect()
        };
        let (inputs, outputs) = (list(1)?, list(2)?);
        (self.graph.inputs, self.graph.outputs) = (inputs, outputs);
        let mut names = HashMap::new();
        for operator in table.tables(3, MOST_ENTRIES).ok_or_else(|| self.damaged())? {
            self.operator(&operator, &mut names)?;
        }
        self.check_order()
    }

    /// The graph of a loop, in which further loops are not looked into. `None` where it cannot be read.
    fn inner(&self, table: Table<'a>) -> Option<Graph> {
        let mut reader = Reader {
            place: self.place,
            bytes: self.bytes,
            buffers: self.buffers.clone(),
            codes: self.codes.clone(),
            subgraphs: Vec::new(),
            graph: Graph::default(),
        };
        reader.subgraph(&table).ok()?;
        Some(reader.graph)
    }

    /// The value of a number; none for −1, which stands for an input that is left out.
    fn value(&self, id: i32) -> Result<Option<ValueId>> {
        match usize::try_from(id) {
            Ok(id) if id < self.graph.values.len() => Ok(Some(id)),
            Err(_) if id == -1 => Ok(None),
            _ => Err(self.broken(format_args!("names a tensor {id} that is not there"))),
        }
    }

    fn tensor(&self, tensor: &Table<'_>) -> Result<Value> {
        let name = tensor.text(3).ok_or_else(|| self.damaged())?;
        let refuse = |problem: &dyn std::fmt::Display| {
            let place = format!("{}, tensor '{name}'", self.place);
            Error::bad_input(place, problem, "convert the model again")
        };
        let signature = tensor.ints(7).ok_or_else(|| self.damaged())?;
        let sizes = tensor.ints(0).ok_or_else(|| self.damaged())?;
        let mut shape = Vec::with_capacity(sizes.len());
        for (axis, &size) in sizes.iter().enumerate() {
            // An open batch stands as 1 already.
            let open = axis == 0 && signature.first() == Some(&-1);
            let size = if open { 1 } else { size };
            shape.push(usize::try_from(size).map_err(|_| refuse(&"has a negative size"))?);
        }
        let kind = tensor.byte(1, 0);
        let element = match kind {
            0 | 1 | 10 => Element::Float,
            3 => Element::U8,
            9 => Element::I8,
            7 => Element::I16,
            2 | 4 | 6 | 12 | 15 => Element::Integer,
            _ => Element::Other,
        };
        let buffer = usize::try_from(tensor.int(2, 0)).ok();
        let buffer = buffer.and_then(|buffer| self.buffers.get(buffer));
        let buffer = buffer.ok_or_else(|| refuse(&"names a buffer that is not there"))?;
        let data = self.buffer(buffer)?;
        let constant = match data.is_empty() {
            true => None,
            false => Some(constant(data, kind, &shape).map_err(|problem| refuse(&problem))?),
        };
        let quantization = tensor.table(4).ok_or_else(|| self.damaged())?;
        let quantization = match quantization {
            Some(table) => self.quantization(&table, &shape, element, &refuse)?,
            None => None,
        };
        Ok(Value { name, element, shape: Some(shape), quantization, constant })
    }

    /// The bytes of a buffer, which in large files lie behind the tables.
    fn buffer(&self, buffer: &Table<'a>) -> Result<&'a [u8]> {
        let (offset, size) = (buffer.long(1), buffer.long(2));
        if offset > 1 {
            let start = usize::try_from(offset).ok();
            let part =
                start.and_then(|start| self.bytes.get(start..)?.get(..usize::try_from(size).ok()?));
            return part.ok_or_else(|| self.broken("has weights beyond its end"));
        }
        buffer.vector(0, 1).ok_or_else(|| self.damaged())
    }

    fn quantization(
        &self,
        table: &Table<'_>,
        shape: &[usize],
        element: Element,
        refuse: &impl Fn(&dyn std::fmt::Display) -> Error,
    ) -> Result<Option<Quantization>> {
        let scales = table.floats(2).ok_or_else(|| self.damaged())?;
        let zero_points = table.longs(3).ok_or_else(|| self.damaged())?;
        if scales.is_empty() || matches!(element, Element::Float | Element::Other) {
            return Ok(None);
        }
        let scales: Vec<f64> = scales.into_iter().map(f64::from).collect();
        if !scales.iter().all(|scale| scale.is_finite() && *scale > 0.0) {
            return Err(refuse(&"has a scale that is not above 0"));
        }
        let zero_points = if zero_points.is_empty() { vec![0] } else { zero_points };
        if zero_points.len() != 1 && zero_points.len() != scales.len() {
            return Err(refuse(&"has another number of zero points than of scales"));
        }
        check_zero_points(&zero_points, element).map_err(|problem| refuse(&problem))?;
        // Older converters name the axis of the weights for their bias too.
        let axis = match (scales.len(), shape.len()) {
            (1, _) | (_, 1) => 0,
            _ => usize::try_from(table.int(6, 0)).unwrap_or(usize::MAX),
        };
        if scales.len() > 1 && shape.get(axis) != Some(&scales.len()) {
            return Err(refuse(&"has another number of scales than its axis has entries"));
        }
        Ok(Some(Quantization { scales, zero_points, axis }))
    }

    fn operator(&mut self, operator: &Table<'_>, names: &mut HashMap<String, usize>) -> Result<()> {
        let index = usize::try_from(operator.int(0, 0)).ok();
        let code = index.and_then(|index| self.codes.get(index));
        let code = code.ok_or_else(|| self.broken("names an operator that is not there"))?;
        // Numbers above 127 came later, in a field of their own.
        let number = code.int(3, 0).max(i32::from(code.byte(0, 0)));
        let custom = code.text(1).ok_or_else(|| self.damaged())?;
        let label = operator::name(number, &custom);
        let options = operator.table(4).ok_or_else(|| self.damaged())?;
        let list = |number: usize| -> Result<Vec<Option<ValueId>>> {
            let ids = operator.ints(number).ok_or_else(|| self.damaged())?;
            ids.into_iter().map(|id| self.value(id)).collect()
        };
        let mut inputs = list(1)?;
        let outputs: Option<Vec<ValueId>> = list(2)?.into_iter().collect();
        let outputs = outputs.ok_or_else(|| self.damaged())?;
        let count = names.entry(label.clone()).or_insert(0);
        *count += 1;
        let name = format!("{}_{count}", label.to_lowercase());
        let recognised = match label.as_str() {
            "WHILE" => self.recurrent_loop(&name, options.as_ref(), &inputs, &outputs)?,
            "UNIDIRECTIONAL_SEQUENCE_LSTM" => {
                self.sequence_lstm(&name, options.as_ref(), &inputs, &outputs)?
            }
            _ => false,
        };
        if recognised {
            return Ok(());
        }
        let read = [0, 1].map(|position: usize| {
            inputs.get(position).copied().flatten().map(|id| &self.graph.values[id])
        });
        let described = operator::operation(number, options.as_ref(), read, &mut inputs);
        if outputs.is_empty() {
            // What only changes state is named by what reads the state.
            return match described.operation {
                Operation::Unknown { .. } => Ok(()),
                _ => Err(self.broken(format_args!("has a {label} that writes nothing"))),
            };
        }
        let activation = match described.activation {
            0 => None,
            1 => Some(Operation::Unary(Unary::Relu)),
            3 => Some(Operation::Unary(Unary::Relu6)),
            2 => Some(Operation::Clip { ends: Some([-1.0, 1.0]) }),
            4 => Some(Operation::Unary(Unary::Tanh)),
            other => Some(Operation::Unknown {
                why: format!("has activation {other}, which is not known"),
                advice: "use ReLU or ReLU6".to_string(),
            }),
        };
        let Some(activation) = activation else {
            self.graph.nodes.push(Node {
                name,
                operator: label,
                operation: described.operation,
                inputs,
                outputs,
            });
            return Ok(());
        };
        let inner = self.graph.add(Value::named(format!("{name} before its activation")));
        self.graph.nodes.push(Node {
            name: name.clone(),
            operator: label.clone(),
            operation: described.operation,
            inputs,
            outputs: vec![inner],
        });
        self.graph.nodes.push(Node {
            name: format!("{name}_activation"),
            operator: label,
            operation: activation,
            inputs: vec![Some(inner)],
            outputs,
        });
        Ok(())
    }

    /// Every value is written once, before it is read.
    fn check_order(&self) -> Result<()> {
        let mut written = vec![false; self.graph.values.len()];
        for (written, value) in written.iter_mut().zip(&self.graph.values) {
            *written = value.constant.is_some();
        }
        for &input in &self.graph.inputs {
            written[input] = true;
        }
        for node in &self.graph.nodes {
            for &input in node.inputs.iter().flatten() {
                // State lives in tensors that nothing writes; what reads it is refused by name.
                let known = written[input] || matches!(node.operation, Operation::Unknown { .. });
                if !known {
                    return Err(self.broken(format_args!(
                        "reads '{}' in '{}' before it is written",
                        self.graph.values[input].name, node.name
                    )));
                }
            }
            for &output in &node.outputs {
                if std::mem::replace(&mut written[output], true) {
                    let name = &self.graph.values[output].name;
                    return Err(self.broken(format_args!("writes '{name}' twice")));
                }
            }
        }
        match self.graph.outputs.iter().find(|&&output| !written[output]) {
            Some(&output) => {
                let name = &self.graph.values[output].name;
                Err(self.broken(format_args!("gives '{name}', which nothing writes")))
            }
            None => Ok(()),
        }
    }
}

/// The numbers of a constant.
fn constant(data: &[u8], kind: i8, shape: &[usize]) -> std::result::Result<Constant, String> {
    let size = match kind {
        3 | 6 | 9 => 1,
        1 | 7 => 2,
        0 | 2 | 15 => 4,
        4 | 10 | 12 => 8,
        _ => return Err(format!("has numbers of type {kind}, which is not known")),
    };
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let bytes = count.and_then(|count| count.checked_mul(size));
    if bytes != Some(data.len()) {
        return Err(format!("has {} bytes for the shape {shape:?}", data.len()));
    }
    let words = data.chunks_exact(size).map(|bytes| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    });
    let unused = 64 - 8 * size as u32;
    let constant = match kind {
        0 => Constant::Floats(words.map(|word| f32::from_bits(word as u32)).collect()),
        1 => {
            Constant::Floats(words.map(|word| half::f16::from_bits(word as u16).to_f32()).collect())
        }
        10 => Constant::Floats(words.map(|word| f64::from_bits(word) as f32).collect()),
        3 | 6 | 12 | 15 => Constant::Integers(words.map(u64::cast_signed).collect()),
        _ => {
            Constant::Integers(words.map(|word| (word << unused).cast_signed() >> unused).collect())
        }
    };
    match &constant {
        Constant::Floats(floats) if floats.iter().any(|value| value.is_nan()) => {
            Err("holds something that is not a number (NaN)".to_string())
        }
        _ => Ok(constant),
    }
}
