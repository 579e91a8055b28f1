//! Long short-term memory over a series, equation (19).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::recurrent::{Recurrent, gate, sigmoid};
use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::ParameterRule;
use crate::lowering::recurrent::{Cell, Gates, Integers, RecurrentLayer, Walk, logistic};

/// `i, f, o = sigmoid(…)`, `g = tanh(…)`, `c' = f · c + i · g`, `h' = o · tanh(c')`. Weights: gate i, f, g, o, unit, input or hidden value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lstm {
    /// Size and direction.
    pub recurrent: Recurrent,
}

/// Rows of weights for each value of the hidden state.
const GATES: usize = 4;

impl Rules for Lstm {
    const NAMES: &'static [&'static str] = &["lstm"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self { recurrent: Recurrent::read(keys)? })
    }

    fn write(&self, keys: &mut Keys) {
        self.recurrent.write(keys);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        self.recurrent.sizes(inputs[0], GATES)
    }

    fn parameters(&self, input: SampleShape, _output: SampleShape) -> Vec<ParameterRule> {
        self.recurrent.parameters(input, GATES, false)
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let units = self.recurrent.units;
        let recurrent = pass.parameter(1)?.t()?;
        self.recurrent.walk(pass, 2, |sums, state| {
            let sums = sums.add(&state[0].matmul(&recurrent)?)?;
            let input = sigmoid(&gate(&sums, 0, units)?)?;
            let forget = sigmoid(&gate(&sums, 1, units)?)?;
            let candidate = gate(&sums, 2, units)?.tanh()?;
            let output = sigmoid(&gate(&sums, 3, units)?)?;
            let cell = forget.mul(&state[1])?.add(&input.mul(&candidate)?)?;
            Ok(vec![output.mul(&cell.tanh()?)?, cell])
        })
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let lists = folding.parameters.lists();
        let gates = Gates::new(GATES, self.recurrent.units, &lists);
        let walk = Walk::new(gates, self.recurrent.backward);
        folding.layer(RecurrentLayer { walk, cell: LstmCell })
    }
}

/// The step in real numbers.
struct LstmCell;

impl Cell for LstmCell {
    const FRACTION_BITS: u32 = 30;

    fn forward(&self, walk: &Walk, input: &[f32], output: &mut [f32]) {
        let gates = &walk.gates;
        let mut cells = vec![0.0f32; gates.hidden];
        let mut largest = 0.0f32;
        walk.run(input, output, |column, hidden, next| {
            for (unit, (value, cell)) in next.iter_mut().zip(&mut cells).enumerate() {
                let [input, forget, candidate, output] = [0, 1, 2, 3].map(|gate| {
                    let [first, second] = gates.sums(GATES * unit + gate, column, hidden);
                    first + second
                });
                *cell = logistic(forget) * *cell + logistic(input) * candidate.tanh();
                largest = largest.max(cell.abs());
                *value = logistic(output) * cell.tanh();
            }
        });
        walk.cells.note(largest);
    }

    fn operator(&self, walk: &Walk, integers: Integers) -> Operator {
        let Integers { weights, gate_bits, rescale, direction } = integers;
        // A quarter more than what was seen, in 16 bits.
        let largest = 1.25 * walk.cells.largest();
        let fits = |&bits: &u8| largest * f64::from(bits).exp2() < f64::from(i16::MAX);
        let cell_bits = (4..=12).rev().find(fits).unwrap_or(4);
        Operator::Lstm(operator::Lstm { weights, gate_bits, cell_bits, rescale, direction })
    }
}
