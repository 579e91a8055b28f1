//! Requantization by the inner loops: what a channel has in common is worked out once, and results only saturate to int8.
//!
//! `floor((acc · m / 2^16 + 2^(s−1)) / 2^s) + zero_point` is `floor((floor(acc · m / 2^16) + addend) / 2^s)` with
//! `addend = zero_point · 2^s + 2^(s−1) = floor((2 · zero_point + 1) · 2^s / 2)` for `s ≥ 1`. Nothing overflows: the product is below `2^30` in
//! magnitude, and the addend lies in `−2^30 ..= 2^30 − 2^22` for every `s ≤ 23`. Smaller shifts, which few layers have, and the
//! activation ranges that are not the whole of int8, are left to plain code.

use core::marker::PhantomData;

use tinyhero_common::kernel::{Channel, Channels, Convolution};
use tinyhero_common::requantize::{ActivationRange, requantize};

use super::core_loops;
use super::quads::{PAIR_SUMS, QUAD};

/// `2 · zero_point + 1`.
fn twice_and_one(zero_point: i8) -> i32 {
    2 * i32::from(zero_point) + 1
}

/// Cuts off what saturating to int8 has left outside a layer's range.
pub fn clamp(activation: ActivationRange, output: &mut [i8]) {
    if activation != ActivationRange::FULL {
        for value in output {
            *value = activation.saturate(i32::from(*value));
        }
    }
}

/// One channel's way from sums to activations, as the inner loops read it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Rescaled {
    bias: i32,
    /// `m · 2^16`.
    multiplier: i32,
    addend: i32,
    /// `s`, at least 1.
    shift: i32,
}

/// A channel for rows of sums.
#[derive(Clone, Copy)]
pub enum RowChannel {
    /// With a shift of at least 1.
    Fast(Rescaled),
    /// Any.
    Plain(Channel),
}

impl RowChannel {
    pub fn new(channel: Channel, zero_point: i8) -> Self {
        let shift = i32::from(channel.rescale.shift);
        if shift < 1 {
            return Self::Plain(channel);
        }
        Self::Fast(Rescaled {
            bias: channel.bias,
            multiplier: i32::from(channel.rescale.multiplier) << 16,
            addend: twice_and_one(zero_point).wrapping_shl(shift as u32) >> 1,
            shift,
        })
    }

    /// Turns sums into every `step`th value of the output.
    pub fn apply(&self, sums: &[i32], zero_point: i8, output: &mut [i8], step: usize) {
        match self {
            Self::Fast(rescaled) => core_loops::finish_row(rescaled, sums, output, step),
            Self::Plain(channel) => {
                for (value, &sum) in output.iter_mut().step_by(step.max(1)).zip(sums) {
                    let sum = sum.wrapping_add(channel.bias);
                    *value = requantize(sum, channel.rescale, zero_point, ActivationRange::FULL);
                }
            }
        }
    }
}

/// Where the sums of two pixels go, as the inner loops read it.
#[repr(C)]
pub struct Destination {
    /// The next output of either pixel.
    outputs: [*mut i8; 2],
    biases: *const i32,
    multipliers: *const i16,
    shifts: *const i8,
    /// What is subtracted from every sum of either pixel.
    corrections: [i32; 2],
    twice_and_one: i32,
}

/// Takes the sums of one quad after the other.
pub struct PairFinisher<'a> {
    destination: Destination,
    /// Channels that are left.
    channels: usize,
    table: Channels<'a>,
    zero_point: i8,
    fast: bool,
    /// What `destination` points to.
    pair: PhantomData<&'a mut [i8]>,
}

/// Whether the inner loops can rescale a layer: its shifts are at least 1, and its table is aligned.
pub fn is_fast(table: Channels<'_>) -> bool {
    let (biases, _, shifts) = table.parts();
    biases.as_ptr().cast::<i32>().is_aligned()
        && shifts.iter().all(|&shift| shift.cast_signed() >= 1)
}

impl<'a> PairFinisher<'a> {
    /// `pair` holds one or two pixels of the output; `fast` is what `is_fast` says of the layer.
    pub fn new(
        job: &Convolution<'a>,
        pair: &'a mut [i8],
        corrections: [i32; 2],
        fast: bool,
    ) -> Self {
        let channels = usize::from(job.output.channels);
        let (biases, multipliers, shifts) = job.channels.parts();
        let fits = pair.len() >= channels && shifts.len() >= channels;
        let two = pair.len() >= 2 * channels;
        let first = pair.as_mut_ptr();
        // A pixel without a neighbour is written twice.
        let second = if two { first.wrapping_add(channels) } else { first };
        Self {
            destination: Destination {
                outputs: [first, second],
                biases: biases.as_ptr().cast(),
                multipliers: multipliers.as_ptr().cast(),
                shifts: shifts.as_ptr().cast(),
                corrections,
                twice_and_one: twice_and_one(job.output_zero_point),
            },
            channels: if fits { channels } else { 0 },
            table: job.channels,
            zero_point: job.output_zero_point,
            fast,
            pair: PhantomData,
        }
    }

    /// Rescales and stores the sums of the next four channels, or of what is left of them.
    pub fn take(&mut self, sums: &[i32; PAIR_SUMS]) {
        if self.fast && self.channels >= QUAD {
            self.channels -= QUAD;
            // SAFETY: the table and both pixels have at least four more channels after those already taken (`new` compares their lengths,
            // and `channels` counts down); the table's biases are aligned (`is_fast`), so its multipliers behind them are too.
            unsafe { core_loops::finish_pair(&mut self.destination, sums) };
        } else {
            self.take_plainly(sums);
        }
    }

    #[inline(never)]
    fn take_plainly(&mut self, sums: &[i32; PAIR_SUMS]) {
        let count = self.table.parts().2.len();
        let [a0, b0, a1, b1, c0, d0, c1, d1] = *sums;
        let lanes = [[a0, a1], [b0, b1], [c0, c1], [d0, d1]];
        for sums in lanes {
            if self.channels == 0 {
                return;
            }
            let Some(channel) = self.table.iter().nth(count.saturating_sub(self.channels)) else {
                return;
            };
            self.channels -= 1;
            let outputs = self.destination.outputs.iter_mut();
            let corrections = self.destination.corrections;
            for ((output, correction), sum) in outputs.zip(corrections).zip(sums) {
                let sum = sum.wrapping_add(channel.bias).wrapping_sub(correction);
                let full = ActivationRange::FULL;
                // SAFETY: as in `take`: this pixel has at least one more channel.
                unsafe { output.write(requantize(sum, channel.rescale, self.zero_point, full)) };
                *output = output.wrapping_add(1);
            }
        }
    }
}
