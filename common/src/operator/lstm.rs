//! Long short-term memory over a sequence, equation (19).
//!
//! The portable kernel takes one value of the hidden state after the other, with the four rows that belong to it side by side in the
//! weights, so that it needs no room for the gates.

use super::recurrence::{self, Direction, Recurrence, bytes, number};
use super::sigmoid::{hyperbolic_tangent, sigmoid};
use super::{Rules, Tensors, Weights};
use crate::compact::described;
use crate::reason::Reason;
use crate::requantize::Rescale;
use crate::shape::Shape;

/// Rows for each value of the hidden state.
const GATES: usize = 4;

described! {
    /// Reads the columns of an image of height 1 in turn, and writes all hidden states, or the last one if the output has one column.
    pub struct Lstm {
        /// Four rows for each value of the hidden state, of its input gate, forget gate, cell and output gate; a row has a weight for each
        /// channel of the input, then one for each value of the hidden state.
        pub weights: Weights,
        /// Fraction bits of the gates' sums, 4 to 12.
        pub gate_bits: u8,
        /// Fraction bits of the cell, 4 to 12.
        pub cell_bits: u8,
        /// From 2^-30 to steps of the output.
        pub rescale: Rescale,
        /// The order of the columns.
        pub direction: Direction,
    }
}

/// Long short-term memory, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct LstmJob<'a> {
    /// What all recurrent operators have.
    pub recurrence: Recurrence<'a>,
    /// Fraction bits of the cell.
    pub cell_bits: u8,
}

impl Rules for Lstm {
    type Job<'a> = LstmJob<'a>;

    const NAME: &'static str = "lstm";
    const CHANNEL_SETS: usize = 2;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        recurrence::check(tensors, [self.gate_bits, self.cell_bits], self.rescale, 1 << 30)
    }

    fn job<'a>(&self, tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<LstmJob<'a>> {
        let Self { weights, gate_bits, cell_bits, rescale, direction } = self;
        let recurrence =
            Recurrence::new(weights, GATES, *gate_bits, *direction, *rescale, tensors, parameters)?;
        Some(LstmJob { recurrence, cell_bits: *cell_bits })
    }

    recurrence::shows_gates!(GATES);

    /// The hidden state, the next one, and the cell.
    fn portable_scratch(&self, _input: Shape, output: Shape) -> usize {
        4 * usize::from(output.channels)
    }
}

impl LstmJob<'_> {
    /// The new cell and the new value of the hidden state, from the sums of the four gates.
    #[inline(always)]
    pub fn update(&self, sums: [i32; 4], cell: &mut [i8; 2]) -> i8 {
        let [input, forget, candidate, output] =
            sums.map(|sum| self.recurrence.gates.argument(sum));
        let (input, forget, output) = (sigmoid(input), sigmoid(forget), sigmoid(output));
        let fresh = input.wrapping_mul(hyperbolic_tangent(candidate))
            >> 15u8.wrapping_sub(self.cell_bits).min(15);
        let kept = forget.wrapping_mul(number(*cell));
        *cell = bytes(kept.wrapping_add(fresh).wrapping_add(1 << 14) >> 15);
        let shift = u32::from(12u8.wrapping_sub(self.cell_bits));
        let cell = hyperbolic_tangent(number(*cell).wrapping_shl(shift));
        self.recurrence.requantize(output.wrapping_mul(cell))
    }
}

pub(crate) fn lstm(job: &LstmJob<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
    let recurrence = &job.recurrence;
    let mut scratch = scratch;
    let mut take = |bytes: usize| scratch.split_off_mut(..bytes);
    let length = recurrence.gates.hidden;
    let (Some(hidden), Some(next), Some(cell)) = (take(length), take(length), take(2 * length))
    else {
        return;
    };
    cell.fill(0);
    recurrence.walk(input, hidden, next, output, |column, hidden, next| {
        let mut row = 0usize;
        for (value, cell) in next.iter_mut().zip(cell.as_chunks_mut().0) {
            let sums = [0, 1, 2, 3].map(|gate| {
                let row = row.wrapping_add(gate);
                let (of_input, of_hidden) = recurrence.gates.sums(row, column, hidden);
                of_input.wrapping_add(of_hidden)
            });
            *value = job.update(sums, cell);
            row = row.wrapping_add(GATES);
        }
    });
}
