//! What operations with a hidden state have in common: their keys, shapes and numbers, and the walk over the columns.

use candle_core::Tensor;

use super::{Forward, Keys, Refusal, Sizes, product};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::{Initial, ParameterKind, ParameterRule};

/// Size and direction of a recurrent operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurrent {
    /// Length of the hidden state.
    pub units: usize,
    /// Whether it gives the hidden state of every column, not of the last one read alone.
    pub sequence: bool,
    /// Whether it reads the columns from the last to the first.
    pub backward: bool,
}

impl Recurrent {
    /// Its keys in a network file.
    pub(super) fn read(keys: &mut Keys) -> Result<Self, Refusal> {
        let (units, sequence) = (keys.required("units")?, keys.or("sequence", false)?);
        let direction = keys.or("direction", "forward".to_string())?;
        let backward = match direction.as_str() {
            "forward" => false,
            "backward" => true,
            other => {
                let problem = format!("has direction '{other}' instead of forward or backward");
                return Err(problem.into());
            }
        };
        Ok(Self { units, sequence, backward })
    }

    /// Writes them.
    pub(super) fn write(self, keys: &mut Keys) {
        keys.set("units", self.units);
        keys.set("sequence", self.sequence);
        keys.set("direction", if self.backward { "backward" } else { "forward" });
    }

    /// Shape and cost, with so many rows of weights for each value of the hidden state.
    pub(super) fn sizes(self, input: SampleShape, gates: usize) -> Result<Sizes, String> {
        if input.height != 1 {
            return Err(format!("reads {input} instead of a series, an image of height 1"));
        }
        let terms = product(&[gates, input.channels.saturating_add(self.units)])?;
        product(&[terms, self.units])?;
        let columns = if self.sequence { input.width } else { 1 };
        let output = SampleShape::new(1, columns, self.units);
        let macs_per_value = if self.sequence { terms } else { product(&[terms, input.width])? };
        Ok(Sizes { output, macs_per_value })
    }

    /// Its numbers: weights of the input and of the hidden state, gate by gate, and their biases.
    pub(super) fn parameters(
        self,
        input: SampleShape,
        gates: usize,
        two_biases: bool,
    ) -> Vec<ParameterRule> {
        let (rows, fan_in) = (gates * self.units, self.units);
        let rule = |name, shape, kind, initial| {
            let kind = Some(kind);
            ParameterRule { name, shape, kind, initial }
        };
        let weight = |name, columns| {
            let initial = Initial::FullyConnected { fan_in };
            rule(name, vec![rows, columns], ParameterKind::LinearWeight, initial)
        };
        let bias = |name| rule(name, vec![rows], ParameterKind::Bias, Initial::Bias { fan_in });
        let mut rules = vec![
            weight("input-weight", input.channels),
            weight("recurrent-weight", self.units),
            bias("bias"),
        ];
        if two_biases {
            rules.push(bias("recurrent-bias"));
        }
        rules
    }

    /// Walks over the columns of a minibatch: `step` makes the next state of the sums over a column, samples × rows, bias
    /// included, and of the state before. The first of a state's tensors is what is given.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub(super) fn walk(
        self,
        pass: &Forward<'_>,
        states: usize,
        mut step: impl FnMut(&Tensor, &[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<Tensor> {
        let input = pass.input(0)?;
        let (samples, _, columns, channels) = input.dims4()?;
        let weights = pass.parameter(0)?;
        let sums = input.reshape((samples * columns, channels))?.matmul(&weights.t()?)?;
        let sums = sums.broadcast_add(pass.parameter(2)?)?;
        let sums = sums.reshape((samples, columns, weights.dim(0)?))?;
        let zeros = Tensor::zeros((samples, self.units), input.dtype(), input.device())?;
        let mut state = vec![zeros; states];
        let mut given = Vec::with_capacity(columns);
        for number in 0..columns {
            let column = if self.backward { columns - 1 - number } else { number };
            let sums = sums.narrow(1, column, 1)?.squeeze(1)?.contiguous()?;
            state = step(&sums, &state)?;
            given.push(state[0].clone());
        }
        if !self.sequence {
            return Ok(state[0].reshape((samples, 1, 1, self.units))?);
        }
        if self.backward {
            given.reverse();
        }
        Ok(Tensor::stack(&given, 1)?.reshape((samples, 1, columns, self.units))?)
    }
}

/// The sums of one gate, of sums over all gates in turn.
pub(super) fn gate(sums: &Tensor, number: usize, units: usize) -> Result<Tensor> {
    Ok(sums.narrow(1, number * units, units)?.contiguous()?)
}

/// 1 / (1 + exp(−x)), so that its derivatives are numbers everywhere.
pub(super) fn sigmoid(x: &Tensor) -> Result<Tensor> {
    Ok(x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5)?)
}

#[cfg(test)]
mod tests;
