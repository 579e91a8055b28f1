//! A model of another framework as it was read: named values, and nodes between them.
//!
//! Values stand for real numbers. Integers with a scale and a zero point are kept beside that
//! meaning, so that a quantized model can keep its integers. Shapes are the file's own, the batch
//! first; nothing here knows in which order numbers lie in memory.

use super::operation::Operation;

/// Number of a value in [`Graph::values`].
pub type ValueId = usize;

/// A model.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name for reports.
    pub name: String,
    /// Everything that nodes read and write.
    pub values: Vec<Value>,
    /// Nodes, each behind those that it reads.
    pub nodes: Vec<Node>,
    /// What the user gives, in the model's order.
    pub inputs: Vec<ValueId>,
    /// What the user gets, in the model's order.
    pub outputs: Vec<ValueId>,
}

/// What one number of a value is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A float of any size.
    Float,
    /// 8 bits, signed.
    I8,
    /// 8 bits, unsigned.
    U8,
    /// 16 bits, signed.
    I16,
    /// Another integer, or a truth value.
    Integer,
    /// Something that is not a number.
    Other,
}

/// Something that nodes read or write.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its name in the file.
    pub name: String,
    /// What the file holds for one number.
    pub element: Element,
    /// Sizes, once they are known; the batch is 1.
    pub shape: Option<Vec<usize>>,
    /// How integers stand for its real numbers, where the file says so.
    pub quantization: Option<Quantization>,
    /// Its numbers, where they do not depend on the input.
    pub constant: Option<Constant>,
}

impl Value {
    /// A value of which nothing but the name is known.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            element: Element::Float,
            shape: None,
            quantization: None,
            constant: None,
        }
    }
}

/// `real = scale · (q − zero_point)`, with one scale or one for each index of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// Scales, all positive.
    pub scales: Vec<f64>,
    /// One zero point, or as many as scales.
    pub zero_points: Vec<i64>,
    /// The axis that several scales belong to.
    pub axis: usize,
}

impl Quantization {
    /// One scale and zero point for all.
    pub fn tensor(scale: f64, zero_point: i64) -> Self {
        Self { scales: vec![scale], zero_points: vec![zero_point], axis: 0 }
    }

    /// The scale of an index of the axis.
    pub fn scale(&self, index: usize) -> f64 {
        self.scales.get(index).or(self.scales.first()).copied().unwrap_or(1.0)
    }

    /// The zero point of an index of the axis.
    pub fn zero_point(&self, index: usize) -> i64 {
        self.zero_points.get(index).or(self.zero_points.first()).copied().unwrap_or(0)
    }
}

/// Numbers of the file, the last index fastest.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// Real numbers.
    Floats(Vec<f32>),
    /// Whole numbers: sizes and indexes, or quantized numbers of a value with a quantization.
    Integers(Vec<i64>),
}

impl Constant {
    /// Number of numbers.
    pub const fn len(&self) -> usize {
        match self {
            Self::Floats(values) => values.len(),
            Self::Integers(values) => values.len(),
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers as they stand in the file.
    pub fn numbers(&self) -> Vec<f64> {
        match self {
            Self::Floats(values) => values.iter().map(|&value| f64::from(value)).collect(),
            Self::Integers(values) => values.iter().map(|&value| value as f64).collect(),
        }
    }
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name for reports, unique.
    pub name: String,
    /// What the file calls its operator.
    pub operator: String,
    /// What it computes.
    pub operation: Operation,
    /// What it reads; an optional input may be left out.
    pub inputs: Vec<Option<ValueId>>,
    /// What it writes.
    pub outputs: Vec<ValueId>,
}

impl Node {
    /// The input at a position, if it is there.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }
}

impl Graph {
    /// Adds a value.
    pub fn add(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        self.values.len() - 1
    }

    /// The constant of a value, if it is one.
    pub fn constant(&self, value: Option<ValueId>) -> Option<&Constant> {
        self.values.get(value?)?.constant.as_ref()
    }

    /// The whole numbers of a constant.
    pub fn integers(&self, value: Option<ValueId>) -> Option<&[i64]> {
        match self.constant(value)? {
            Constant::Integers(values) => Some(values),
            Constant::Floats(_) => None,
        }
    }

    /// The real numbers of a constant, quantized ones turned back.
    pub fn reals(&self, value: Option<ValueId>) -> Option<Vec<f64>> {
        let value = self.values.get(value?)?;
        let mut numbers = value.constant.as_ref()?.numbers();
        if let Some(quantization) = &value.quantization {
            let shape = value.shape.as_deref().unwrap_or(&[]);
            let inner: usize = shape.iter().skip(quantization.axis + 1).product();
            let length = shape.get(quantization.axis).copied().unwrap_or(1).max(1);
            for (position, number) in numbers.iter_mut().enumerate() {
                let index = position / inner.max(1) % length;
                *number =
                    (*number - quantization.zero_point(index) as f64) * quantization.scale(index);
            }
        }
        Some(numbers)
    }

    /// The shape of a value, if it is known.
    pub fn shape(&self, value: Option<ValueId>) -> Option<&[usize]> {
        self.values.get(value?)?.shape.as_deref()
    }

    /// How many nodes read each value; an output of the model is read once more.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.values.len()];
        let read = self.nodes.iter().flat_map(|node| node.inputs.iter().flatten());
        for &value in read.chain(&self.outputs) {
            readers[value] += 1;
        }
        readers
    }

    /// The node that writes each value.
    pub fn writers(&self) -> Vec<Option<usize>> {
        let mut writers = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for &value in &node.outputs {
                writers[value] = Some(index);
            }
        }
        writers
    }

    /// Makes everything that reads `from` read `to` instead.
    pub fn replace(&mut self, from: ValueId, to: ValueId) {
        for node in &mut self.nodes {
            for input in node.inputs.iter_mut().flatten() {
                if *input == from {
                    *input = to;
                }
            }
        }
        for output in &mut self.outputs {
            if *output == from {
                *output = to;
            }
        }
    }

    /// Drops nodes of which nothing is read.
    pub fn drop_unread(&mut self) {
        let mut needed = vec![false; self.values.len()];
        for &output in &self.outputs {
            needed[output] = true;
        }
        let mut keep = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|&value| needed[value]) {
                keep[index] = true;
                node.inputs.iter().flatten().for_each(|&value| needed[value] = true);
            }
        }
        let mut index = 0;
        self.nodes.retain(|_| {
            index += 1;
            keep[index - 1]
        });
    }
}
