//! What an operation computes its values from, as tensors that can be differentiated.

use candle_core::Tensor;

use crate::data::SampleShape;
use crate::error::{Error, Result};

/// A node with a minibatch. Tensors are samples × height × width × channels.
#[derive(Debug)]
pub struct Forward<'a> {
    /// What it reads.
    pub inputs: &'a [&'a Tensor],
    /// Its numbers, in the order of the operation's rules.
    pub parameters: &'a [&'a Tensor],
    /// Shape of one sample of its first input.
    pub input: SampleShape,
    /// Shape of one sample of its output.
    pub output: SampleShape,
    /// Whether batch normalization uses the minibatch's mean and variance instead of those that it holds.
    pub training: bool,
    /// The minibatch's mean and variance, from a node that uses them.
    pub statistics: Option<(Tensor, Tensor)>,
}

impl<'a> Forward<'a> {
    /// One of the tensors that it reads.
    ///
    /// # Errors
    /// There is none in that place, which the check of the network excludes.
    pub fn input(&self, position: usize) -> Result<&'a Tensor> {
        let lacks = || Error::Tensor(format!("input {position} is missing"));
        self.inputs.get(position).copied().ok_or_else(lacks)
    }

    /// One of its lists of numbers.
    ///
    /// # Errors
    /// There is none in that place, which the check of the numbers excludes.
    pub fn parameter(&self, position: usize) -> Result<&'a Tensor> {
        let lacks = || Error::Tensor(format!("parameter {position} is missing"));
        self.parameters.get(position).copied().ok_or_else(lacks)
    }

    /// `x` and the bias of each channel, where it has one.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn biased(&self, x: Tensor) -> Result<Tensor> {
        match self.parameters.get(1) {
            Some(bias) => Ok(x.broadcast_add(&per_channel(bias)?)?),
            None => Ok(x),
        }
    }
}

/// One value per channel as 1×1×1×C.
pub fn per_channel(values: &Tensor) -> Result<Tensor> {
    Ok(values.reshape((1, 1, 1, values.elem_count()))?)
}
