//! Gated recurrent unit over a series, equation (20).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator, Reset};

use super::recurrent::{Recurrent, gate, sigmoid};
use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::ParameterRule;
use crate::lowering::recurrent::{Cell, Gates, Integers, RecurrentLayer, Walk, logistic};

/// `z, r = sigmoid(…)`, `n = tanh(…)`, `h' = z · h + (1 − z) · n`. Weights: gate z, r, n, unit, input or hidden value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gru {
    /// Size and direction.
    pub recurrent: Recurrent,
    /// Where the reset gate r acts: on the candidate's sum over the hidden state with its bias, or on the hidden state.
    pub reset: Reset,
}

/// Rows of weights for each value of the hidden state.
const GATES: usize = 3;

impl Rules for Gru {
    const NAMES: &'static [&'static str] = &["gru"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        let recurrent = Recurrent::read(keys)?;
        let reset = match keys.or("reset", "product".to_string())?.as_str() {
            "product" => Reset::Product,
            "state" => Reset::State,
            other => {
                return Err(format!("has reset '{other}' instead of product or state").into());
            }
        };
        Ok(Self { recurrent, reset })
    }

    fn write(&self, keys: &mut Keys) {
        self.recurrent.write(keys);
        let reset = match self.reset {
            Reset::Product => "product",
            Reset::State => "state",
        };
        keys.set("reset", reset);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        self.recurrent.sizes(inputs[0], GATES)
    }

    fn parameters(&self, input: SampleShape, _output: SampleShape) -> Vec<ParameterRule> {
        self.recurrent.parameters(input, GATES, true)
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let units = self.recurrent.units;
        let recurrent = pass.parameter(1)?.t()?;
        let bias = pass.parameter(3)?;
        let product = |state: &Tensor| -> Result<Tensor> {
            Ok(state.matmul(&recurrent)?.broadcast_add(bias)?)
        };
        self.recurrent.walk(pass, 1, |sums, state| {
            let hidden = &state[0];
            let over_hidden = product(hidden)?;
            let both = |number| -> Result<Tensor> {
                let sum = gate(sums, number, units)?.add(&gate(&over_hidden, number, units)?)?;
                sigmoid(&sum)
            };
            let (update, reset) = (both(0)?, both(1)?);
            let over_hidden = match self.reset {
                Reset::Product => reset.mul(&gate(&over_hidden, 2, units)?)?,
                Reset::State => gate(&product(&reset.mul(hidden)?)?, 2, units)?,
            };
            let candidate = gate(sums, 2, units)?.add(&over_hidden)?.tanh()?;
            Ok(vec![candidate.add(&update.mul(&hidden.sub(&candidate)?)?)?])
        })
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let lists = folding.parameters.lists();
        let gates = Gates::new(GATES, self.recurrent.units, &lists);
        let walk = Walk::new(gates, self.recurrent.backward);
        folding.layer(RecurrentLayer { walk, cell: GruCell { reset: self.reset } })
    }
}

/// The step in real numbers.
struct GruCell {
    reset: Reset,
}

impl Cell for GruCell {
    const FRACTION_BITS: u32 = 15;

    fn forward(&self, walk: &Walk, input: &[f32], output: &mut [f32]) {
        let gates = &walk.gates;
        let mut left = vec![0.0f32; gates.hidden];
        walk.run(input, output, |column, hidden, next| {
            let gate = |row: usize| {
                let [first, second] = gates.sums(row, column, hidden);
                logistic(first + second)
            };
            if self.reset == Reset::State {
                for (unit, left) in left.iter_mut().enumerate() {
                    *left = gate(GATES * unit + 1) * hidden[unit];
                }
            }
            for (unit, value) in next.iter_mut().enumerate() {
                let row = GATES * unit;
                let (reset, read) = match self.reset {
                    Reset::Product => (gate(row + 1), hidden),
                    Reset::State => (1.0, left.as_slice()),
                };
                let [first, second] = gates.sums(row + 2, column, read);
                let candidate = (first + reset * second).tanh();
                *value = candidate + gate(row) * (hidden[unit] - candidate);
            }
        });
    }

    fn operator(&self, _walk: &Walk, integers: Integers) -> Operator {
        let Integers { weights, gate_bits, rescale, direction } = integers;
        Operator::Gru(operator::Gru { weights, gate_bits, reset: self.reset, rescale, direction })
    }
}
