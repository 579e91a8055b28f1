//! What operators with a hidden state share: the walk over the columns, the weights with a half for the input and one for the hidden
//! state, and the state in scratch memory.

use serde::{Deserialize, Serialize};

use super::convolution_2d::dot;
use super::{Tensors, Weights};
use crate::channels::{Channel, Channels};
use crate::compact::described;
use crate::layout::channel_pairs::GateColumns;
use crate::layout::{Layout, PackedWeights};
use crate::reason::{Reason, require};
use crate::requantize::{ActivationRange, Rescale, requantize};
use crate::shape::Shape;

/// Weights unpacked at a time.
const PIECE: usize = 4 * PackedWeights::PIECE;
/// Fraction bits of gates and cells.
const FRACTION_BITS: core::ops::RangeInclusive<u8> = 4..=12;

described! {
    /// The order in which a recurrent operator reads the columns of its input.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Direction {
        /// From the first to the last.
        Forward,
        /// From the last to the first.
        Backward,
    }
}

/// The weights of a recurrent operator. Each row is multiplied with a column of the input, then with the hidden state; either half has an
/// entry of its own in the channel table, and both sums are brought to steps of `2^-gate_bits`.
#[derive(Clone, Copy, Debug)]
pub struct GateRows<'a> {
    /// The packed weights.
    pub weights: PackedWeights<'a>,
    /// The entries of all rows' input halves, then those of their hidden halves.
    pub channels: Channels<'a>,
    /// Number of rows.
    pub rows: usize,
    /// Channels of the input.
    pub inputs: usize,
    /// Length of the hidden state.
    pub hidden: usize,
    /// Fraction bits of the sums.
    pub gate_bits: u8,
}

/// What all recurrent operators compute on.
#[derive(Clone, Copy, Debug)]
pub struct Recurrence<'a> {
    /// The weights.
    pub gates: GateRows<'a>,
    /// The order of the columns.
    pub direction: Direction,
    /// From the new hidden state to steps of the output.
    pub rescale: Rescale,
    /// Zero point of the output, and of the hidden state that is multiplied.
    pub output_zero_point: i8,
}

/// The methods of [`Rules`](super::Rules) that follow from the weights of a recurrent operator and its number of gates, the rows for each
/// value of the hidden state.
macro_rules! shows_gates {
    ($gates:expr) => {
        super::weights::shows_weights!();

        fn rows(&self, output: Shape) -> usize {
            $gates * usize::from(output.channels)
        }

        fn row_length(&self, input: Shape, output: Shape) -> usize {
            usize::from(input.channels) + usize::from(output.channels)
        }

        fn macs(&self, input: Shape, output: Shape) -> u64 {
            let weights = self.rows(output) as u64 * self.row_length(input, output) as u64;
            weights.saturating_mul(u64::from(input.width))
        }

        fn scratch(&self, input: Shape, output: Shape) -> usize {
            let portable = self.portable_scratch(input, output);
            recurrence::scratch(&self.weights, portable, input, output)
        }
    };
}

pub(super) use shows_gates;

/// Scratch bytes of a recurrent operator: what the kernel for its layout needs, if there is one, and the `portable` one.
pub(super) const fn scratch(
    weights: &Weights,
    portable: usize,
    input: Shape,
    output: Shape,
) -> usize {
    match weights.layout {
        Layout::ChannelPairs => {
            let (inputs, hidden) = (input.channels as usize, output.channels as usize);
            let fast = GateColumns::new(weights.bit_width, inputs, hidden).scratch_bytes();
            if fast > portable { fast } else { portable }
        }
        _ => portable,
    }
}

impl<'a> Recurrence<'a> {
    /// The job's part of an operator with `gates` rows for each value of the hidden state.
    #[inline(never)]
    pub(super) fn new(
        weights: &Weights,
        gates: usize,
        gate_bits: u8,
        direction: Direction,
        rescale: Rescale,
        tensors: &Tensors<'_>,
        parameters: &'a [u8],
    ) -> Option<Self> {
        let (inputs, hidden) = (
            usize::from(tensors.input().shape.channels),
            usize::from(tensors.output.shape.channels),
        );
        let rows = hidden * gates;
        let (weights, channels) = weights.find(parameters, rows, 2 * rows, inputs + hidden)?;
        Some(Self {
            gates: GateRows { weights, channels, rows, inputs, hidden, gate_bits },
            direction,
            rescale,
            output_zero_point: tensors.output.zero_point,
        })
    }

    /// A value of the hidden state as the output has it.
    #[inline(always)]
    pub fn requantize(&self, value: i32) -> i8 {
        requantize(value, self.rescale, self.output_zero_point, ActivationRange::FULL)
    }

    /// Calls `step` with each column of the input, with the hidden state that the step before left, and with the room for the next one. Each
    /// new state is written where the output has a column for it; an output of one column keeps the last.
    ///
    /// `hidden` and `next` are as long as the hidden state, and change places after every step.
    #[inline(always)]
    pub fn walk(
        &self,
        input: &[i8],
        hidden: &mut [i8],
        next: &mut [i8],
        output: &mut [i8],
        mut step: impl FnMut(&[i8], &[i8], &mut [i8]),
    ) {
        hidden.fill(self.output_zero_point);
        let (mut hidden, mut next) = (hidden, next);
        let (mut columns, mut places) = (input, output);
        if self.gates.inputs == 0 || self.gates.hidden == 0 {
            // Nothing would get smaller; only a model that was not validated has none.
            return;
        }
        loop {
            let taken = match self.direction {
                Direction::Forward => columns.split_off(..self.gates.inputs),
                Direction::Backward => {
                    let before = columns.len().checked_sub(self.gates.inputs);
                    before.and_then(|before| columns.split_off(before..))
                }
            };
            let Some(column) = taken else { break };
            step(column, hidden, next);
            core::mem::swap(&mut hidden, &mut next);
            if places.len() > self.gates.hidden {
                let place = match self.direction {
                    Direction::Forward => places.split_off_mut(..self.gates.hidden),
                    Direction::Backward => {
                        let before = places.len().saturating_sub(self.gates.hidden);
                        places.split_off_mut(before..)
                    }
                };
                copy(hidden, place.unwrap_or_default());
            }
        }
        // The place of the last column, or the only one.
        copy(hidden, places);
    }
}

impl GateRows<'_> {
    /// The sums of both halves of a row, in steps of `2^-gate_bits`.
    #[inline(never)]
    pub fn sums(&self, row: usize, input: &[i8], hidden: &[i8]) -> (i32, i32) {
        let (mut of_input, mut of_hidden) = (0i32, 0i32);
        let length = self.weights.row_length;
        let (mut first, mut input, mut hidden) = (0, input, hidden);
        while first < length {
            let mut weights = [0i8; PIECE];
            self.weights.unpack(row, first, &mut weights);
            let taken = input.len().min(PIECE);
            let (before, behind) = weights.split_at_checked(taken).unwrap_or_default();
            of_input = of_input.wrapping_add(dot(before, input.split_off(..taken).unwrap_or(&[])));
            of_hidden = of_hidden.wrapping_add(dot(behind, hidden));
            hidden = hidden.get(behind.len()..).unwrap_or(&[]);
            first = first.saturating_add(PIECE);
        }
        (self.rescaled(row, of_input), self.rescaled(self.rows.saturating_add(row), of_hidden))
    }

    /// The sum of a half with its bias, in steps of `2^-gate_bits`: below 2^30 in magnitude.
    #[inline(always)]
    fn rescaled(&self, entry: usize, sum: i32) -> i32 {
        let Channel { bias, rescale } = self.channels.entry(entry);
        rescale.apply(sum.wrapping_add(bias))
    }

    /// The argument of a gate's function, in steps of 2^-12, from its sum.
    #[inline(always)]
    pub fn argument(&self, sum: i32) -> i32 {
        sum.clamp(-(1 << 16), 1 << 16).wrapping_shl(u32::from(12u8.wrapping_sub(self.gate_bits)))
    }
}

/// Copies as many values as the shorter slice has.
pub(super) fn copy(from: &[i8], to: &mut [i8]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// Two bytes of the state as a number, and a number as two bytes.
#[inline(always)]
pub(super) const fn number(bytes: [i8; 2]) -> i32 {
    let [low, high] = bytes;
    i16::from_le_bytes([low.cast_unsigned(), high.cast_unsigned()]) as i32
}

/// The number cut off at 16 bits, as two bytes of the state.
#[inline(always)]
pub(super) fn bytes(number: i32) -> [i8; 2] {
    let number = number.clamp(i16::MIN.into(), i16::MAX.into());
    let [low, high, ..] = number.to_le_bytes();
    [low.cast_signed(), high.cast_signed()]
}

/// Checks what all recurrent operators have in common: a sequence of columns in, all hidden states or the last one out.
#[inline(never)]
pub(super) fn check(
    tensors: &Tensors<'_>,
    bits: [u8; 2],
    rescale: Rescale,
    largest: u32,
) -> Result<(), Reason> {
    let (input, output) = (&tensors.input().shape, &tensors.output.shape);
    let columns = output.width == 1 || output.width == input.width;
    require(input.height == 1 && output.height == 1 && columns, Reason::ShapeMismatch)?;
    // The hidden state is not cut off.
    require(tensors.activation == ActivationRange::FULL, Reason::Activation)?;
    let valid = bits.iter().all(|bits| FRACTION_BITS.contains(bits)) && rescale.is_valid();
    require(valid, Reason::Rescale)?;
    require(largest <= rescale.accumulator_limit(), Reason::Accumulator)
}
