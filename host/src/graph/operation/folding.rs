//! What an operation becomes on the way to integers, as plain data; the quantizer puts it into the network.

use tinyhero_common::shape::Shape;

use crate::error::{Error, Result};
use crate::graph::parameters::NodeParameters;
use crate::lowering::FoldedOperator;
use crate::lowering::activation::Activation;
use crate::lowering::identity::Identity;

/// A tensor that a node reads, in the network of integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoldedInput {
    /// Its number.
    pub tensor: usize,
    /// Its shape, that of the image where it was flattened.
    pub shape: Shape,
}

/// A node that is to become layers of integers.
#[derive(Clone, Copy, Debug)]
pub struct Folding<'a> {
    /// The node's name.
    pub name: &'a str,
    /// What it reads, one entry per input.
    pub inputs: &'a [FoldedInput],
    /// Shape of its output.
    pub output: Shape,
    /// Its numbers.
    pub parameters: &'a NodeParameters,
}

impl Folding<'_> {
    /// The shape of its first input.
    pub fn input(&self) -> Shape {
        self.inputs.first().map_or(self.output, |input| input.shape)
    }

    /// Whether two of its inputs are one tensor. Operators of integers read different ones.
    pub fn same(&self, one: usize, other: usize) -> bool {
        self.inputs[one].tensor == self.inputs[other].tensor
    }

    /// An error of this node.
    pub fn refuse(&self, problem: &str, advice: &str) -> Error {
        Error::bad_input(format_args!("layer '{}'", self.name), problem, advice)
    }

    /// One layer that reads the first input.
    ///
    /// # Errors
    /// None.
    pub fn layer(&self, operator: impl FoldedOperator + 'static) -> Result<Folded> {
        Ok(Folded::Layers(vec![FoldedLayer::last(operator, vec![Source::Input(0)])]))
    }
}

/// What a node becomes.
pub enum Folded {
    /// Nothing: its input, seen as a vector.
    Flattened,
    /// A cut that the layer before it carries out, or else a layer that does nothing else.
    Cut(Activation),
    /// `gain · x + shift` for each channel, in the weights of the layer before it.
    Affine {
        /// One factor a channel.
        gain: Vec<f64>,
        /// One summand a channel.
        shift: Vec<f64>,
        /// The layer that computes it where there is no such layer before it.
        otherwise: Box<dyn FoldedOperator>,
    },
    /// Layers, of which the last gives its output.
    Layers(Vec<FoldedLayer>),
}

/// What a layer that a node becomes reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An input of the node.
    Input(usize),
    /// The output of an earlier layer of the node.
    Layer(usize),
}

/// A layer that a node becomes.
pub struct FoldedLayer {
    /// What it computes.
    pub operator: Box<dyn FoldedOperator>,
    /// What it reads, different tensors.
    pub inputs: Vec<Source>,
    /// What is put behind the node's name, and the shape of its output; nothing for the last layer.
    pub helper: Option<(&'static str, Shape)>,
}

impl FoldedLayer {
    /// The layer that gives the node's output.
    pub fn last(operator: impl FoldedOperator + 'static, inputs: Vec<Source>) -> Self {
        Self { operator: Box::new(operator), inputs, helper: None }
    }

    /// A layer before the last one.
    pub fn helper(
        operator: impl FoldedOperator + 'static,
        inputs: Vec<Source>,
        suffix: &'static str,
        shape: Shape,
    ) -> Self {
        Self { operator: Box::new(operator), inputs, helper: Some((suffix, shape)) }
    }

    /// A second tensor with the same values, for operators that read two.
    pub fn copy(input: Source, shape: Shape) -> Self {
        Self::helper(Identity { gain: 1.0 }, vec![input], "copy", shape)
    }
}
