//! Gated recurrent unit over a sequence, equation (20).

use serde::{Deserialize, Serialize};

use super::recurrence::{self, Direction, Recurrence, bytes, number};
use super::sigmoid::{hyperbolic_tangent, sigmoid};
use super::{Rules, Tensors, Weights};
use crate::compact::described;
use crate::reason::Reason;
use crate::requantize::Rescale;
use crate::shape::Shape;

/// Rows for each value of the hidden state.
const GATES: usize = 3;

described! {
    /// What the reset gate of a [`Gru`] is multiplied with.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Reset {
        /// The candidate's sum over the hidden state, as in PyTorch and Keras.
        Product,
        /// The hidden state, before it is multiplied with the weights.
        State,
    }
}

described! {
    /// Reads the columns of an image of height 1 in turn, and writes all hidden states, or the last one if the output has one column.
    pub struct Gru {
        /// Three rows for each value of the hidden state, of its update gate, reset gate and candidate; a row has a weight for each channel
        /// of the input, then one for each value of the hidden state.
        pub weights: Weights,
        /// Fraction bits of the gates' sums, 4 to 12.
        pub gate_bits: u8,
        /// Where the reset gate acts.
        pub reset: Reset,
        /// From 2^-15 to steps of the output.
        pub rescale: Rescale,
        /// The order of the columns.
        pub direction: Direction,
    }
}

/// A gated recurrent unit, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct GruJob<'a> {
    /// What all recurrent operators have.
    pub recurrence: Recurrence<'a>,
    /// Where the reset gate acts.
    pub reset: Reset,
}

impl Rules for Gru {
    type Job<'a> = GruJob<'a>;

    const NAME: &'static str = "gru";
    const CHANNEL_SETS: usize = 2;

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        recurrence::check(tensors, [self.gate_bits, self.gate_bits], self.rescale, 1 << 15)
    }

    fn job<'a>(&self, tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<GruJob<'a>> {
        let Self { weights, gate_bits, reset, rescale, direction } = self;
        let recurrence =
            Recurrence::new(weights, GATES, *gate_bits, *direction, *rescale, tensors, parameters)?;
        Some(GruJob { recurrence, reset: *reset })
    }

    recurrence::shows_gates!(GATES);

    /// The hidden state, the next one, the same in 16 bits, and where the reset gate acts on it, what that leaves.
    fn portable_scratch(&self, _input: Shape, output: Shape) -> usize {
        let vectors = match self.reset {
            Reset::Product => 4,
            Reset::State => 5,
        };
        vectors * usize::from(output.channels)
    }
}

impl GruJob<'_> {
    /// The gate of a sum.
    #[inline(always)]
    pub fn gate(&self, sums: (i32, i32)) -> i32 {
        sigmoid(self.recurrence.gates.argument(sums.0.wrapping_add(sums.1)))
    }

    /// The new value of the hidden state, from its update gate and the sums of its candidate, `reset` being what the second is multiplied
    /// with.
    #[inline(always)]
    pub fn update(&self, update: i32, reset: i32, sums: (i32, i32), state: &mut [i8; 2]) -> i8 {
        let of_hidden = sums.1.clamp(i16::MIN.into(), i16::MAX.into());
        let of_hidden = reset.wrapping_mul(of_hidden).wrapping_add(1 << 14) >> 15;
        let sum = sums.0.wrapping_add(of_hidden);
        let candidate = hyperbolic_tangent(self.recurrence.gates.argument(sum));
        let kept = update.wrapping_mul(number(*state));
        let fresh = (1i32 << 15).wrapping_sub(update).wrapping_mul(candidate);
        *state = bytes(kept.wrapping_add(fresh).wrapping_add(1 << 14) >> 15);
        self.recurrence.requantize(number(*state))
    }

    /// What the reset gate leaves of a value of the hidden state.
    #[inline(always)]
    pub fn what_is_left(&self, reset: i32, hidden: i8) -> i8 {
        let zero_point = i32::from(self.recurrence.output_zero_point);
        let left = reset.wrapping_mul(i32::from(hidden).wrapping_sub(zero_point));
        // Between the zero point and the value.
        (left.wrapping_add(1 << 14) >> 15).wrapping_add(zero_point) as i8
    }
}

/// The reset gate where it has acted on the state already.
const OPEN: i32 = 1 << 15;

pub(crate) fn gru(job: &GruJob<'_>, input: &[i8], scratch: &mut [i8], output: &mut [i8]) {
    let recurrence = &job.recurrence;
    let gates = &recurrence.gates;
    let mut scratch = scratch;
    let mut take = |bytes: usize| scratch.split_off_mut(..bytes);
    let length = gates.hidden;
    let (Some(hidden), Some(next), Some(state)) = (take(length), take(length), take(2 * length))
    else {
        return;
    };
    let left = match job.reset {
        Reset::Product => &mut [],
        Reset::State => take(length).unwrap_or_default(),
    };
    state.fill(0);
    recurrence.walk(input, hidden, next, output, |column, hidden, next| {
        let mut row = 1usize;
        for (left, &hidden_value) in left.iter_mut().zip(hidden) {
            let reset = job.gate(gates.sums(row, column, hidden));
            *left = job.what_is_left(reset, hidden_value);
            row = row.wrapping_add(GATES);
        }
        row = 0;
        for (value, state) in next.iter_mut().zip(state.as_chunks_mut().0) {
            let update = job.gate(gates.sums(row, column, hidden));
            let (reset, read) = match job.reset {
                Reset::Product => {
                    (job.gate(gates.sums(row.wrapping_add(1), column, hidden)), hidden)
                }
                Reset::State => (OPEN, &*left),
            };
            let sums = gates.sums(row.wrapping_add(2), column, read);
            *value = job.update(update, reset, sums, state);
            row = row.wrapping_add(GATES);
        }
    });
}
