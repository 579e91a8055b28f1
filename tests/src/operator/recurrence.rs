//! Recurrent operators against their definition: the whole sequence is walked a second time, step by step.

use tinyhero_common::channels::Channel;
use tinyhero_common::operator::{Direction, Reset};
use tinyhero_common::requantize::ActivationRange;

use super::{Fault, channel};
use crate::case::memory::Memory;
use crate::case::{MAX_HIDDEN, OperatorCase};
use crate::definition;
use crate::mismatch::Subject;

/// What one step leaves to the next.
struct State {
    hidden: [i8; MAX_HIDDEN],
    wide: [i32; MAX_HIDDEN],
}

/// What is read of the memory of a case.
struct Walk<'a> {
    memory: &'a Memory<'a>,
    case: &'a OperatorCase,
    inputs: usize,
    length: usize,
}

impl Walk<'_> {
    fn entry(&self, index: usize) -> Channel {
        let entries = self.case.channel_entries();
        channel(self.memory.channels(self.case), entries, index)
    }

    /// The sums of a row's halves.
    fn sums(&self, row: usize, column: &[i8], hidden: &[i8]) -> [i64; 2] {
        let weights = self.memory.row(self.case, row);
        let (first, second) = weights.split_at_checked(self.inputs).unwrap_or_default();
        [
            definition::half(first, column, self.entry(row)),
            definition::half(second, hidden, self.entry(self.case.rows() + row)),
        ]
    }

    /// One step; the output's value of each new hidden state is returned in it.
    fn step(&self, column: &[i8], state: &mut State) {
        let case = self.case;
        let before = state.hidden;
        let hidden = before.get(..self.length).unwrap_or(&[]);
        let both = |row: usize, values: &[i8]| {
            let [first, second] = self.sums(row, column, values);
            first + second
        };
        let gate = |row: usize| {
            definition::sigmoid(definition::argument(both(row, hidden), case.gate_bits))
        };
        let mut left = before;
        if case.subject == Subject::Gru && case.reset == Reset::State {
            for (index, (left, &value)) in left.iter_mut().zip(hidden).enumerate() {
                let kept =
                    definition::reset_state(gate(3 * index + 1), value, case.output_zero_point);
                *left = i8::try_from(kept).unwrap_or(i8::MIN);
            }
        }
        let read = left.get(..self.length).unwrap_or(&[]);
        for index in 0..self.length {
            let wide = state.wide.get(index).copied().map_or(0, i64::from);
            let (wide, value) = if case.subject == Subject::Lstm {
                let row = 4 * index;
                let sums = [row, row + 1, row + 2, row + 3].map(|row| both(row, hidden));
                definition::lstm(sums, case.gate_bits, wide, case.cell_bits)
            } else {
                let row = 3 * index;
                let reset = match case.reset {
                    Reset::Product => gate(row + 1),
                    Reset::State => 1 << 15,
                };
                let candidate = self.sums(row + 2, column, read);
                let new = definition::gru(gate(row), reset, candidate, case.gate_bits, wide);
                (new, new)
            };
            let value = definition::requantize(
                value,
                case.rescale,
                case.output_zero_point,
                ActivationRange::FULL,
            );
            if let (Some(place), Some(hidden)) =
                (state.wide.get_mut(index), state.hidden.get_mut(index))
            {
                *place = wide as i32;
                *hidden = i8::try_from(value).unwrap_or(i8::MIN);
            }
        }
    }
}

/// Compares every element of the output of a case that has run.
pub(super) fn compare(memory: &Memory<'_>, case: &OperatorCase) -> Result<(), Fault> {
    let (inputs, length) = (usize::from(case.input.channels), usize::from(case.output.channels));
    let walk = Walk { memory, case, inputs, length };
    let mut state = State { hidden: [case.output_zero_point; MAX_HIDDEN], wide: [0; MAX_HIDDEN] };
    let columns = usize::from(case.input.width);
    let output = memory.output(case);
    for number in 0..columns {
        let place = match case.direction {
            Direction::Forward => number,
            Direction::Backward => columns - 1 - number,
        };
        let column = memory.input(case).get(place * inputs..place * inputs + inputs);
        walk.step(column.unwrap_or(&[]), &mut state);
        let first = match (case.output.width == case.input.width, number + 1 == columns) {
            (true, _) => place * length,
            (false, true) => 0,
            (false, false) => continue,
        };
        let written = output.get(first..first + length).unwrap_or(&[]);
        for (index, (&expected, &got)) in state.hidden.iter().zip(written).enumerate() {
            if expected != got {
                let element = (first + index) as u32;
                return Err(Fault { element, expected: expected.into(), got });
            }
        }
    }
    Ok(())
}
