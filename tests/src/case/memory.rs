//! The buffers of an operator case, whoever owns them: what fills them, and what a kernel call takes of them.

use core::fmt;
use core::ops::Range;

use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::operator::Table;

use super::{OperatorCase, channel_entry, fill, range, range_mut, write};
use crate::definition;
use crate::generator::Generator;
use crate::scalar::random_weight;

/// The buffers, each at least as long as its part of the case with what the case keeps free before and behind.
pub(crate) struct Memory<'a> {
    pub input: &'a mut [i8],
    pub other: &'a mut [i8],
    pub output: &'a mut [i8],
    pub scratch: &'a mut [i8],
    pub weights: &'a mut [i8],
    pub packed: &'a mut [u8],
    pub channels: &'a mut [u8],
    /// Bytes on either side of output and scratch bytes that must stay as they are.
    pub watched: usize,
}

/// What of `buffer` is watched before and behind `inside`.
fn around(buffer: &[i8], inside: &Range<usize>, watched: usize) -> [Range<usize>; 2] {
    let end = inside.end.saturating_add(watched).min(buffer.len());
    [inside.start.saturating_sub(watched)..inside.start, inside.end..end]
}

impl Memory<'_> {
    /// Fills in tensors, weights and channel table of a case.
    pub fn prepare(&mut self, generator: &mut Generator, case: &OperatorCase) {
        let buffers =
            [(&mut *self.output, case.output_range()), (&mut *self.scratch, case.scratch_range())];
        for (buffer, inside) in buffers {
            let [before, behind] = around(buffer, &inside, self.watched);
            range_mut(buffer, before.start..behind.end).fill(case.filler);
        }
        fill(generator, range_mut(self.input, case.input_range()));
        fill(generator, range_mut(self.other, case.other_range()));
        if case.subject.has_weights() {
            self.fill_weights(generator, case);
        }
        if case.subject.has_table() {
            let (entries, _) = self.packed.split_at_mut_checked(Table::ENTRIES).unwrap_or_default();
            entries.fill_with(|| generator.activation().cast_unsigned());
        }
        if case.subject.is_in_place() {
            let input = range(self.input, case.input_range());
            let output = range_mut(self.output, case.output_range());
            for (value, &input) in output.iter_mut().zip(input) {
                *value = input;
            }
        }
    }

    /// Weights, packed, and a channel table that the accumulator bound admits.
    fn fill_weights(&mut self, generator: &mut Generator, case: &OperatorCase) {
        let (rows, entries) = (case.rows(), case.channel_entries());
        // Gates are mostly what is between the ends of their functions.
        let recurrent = case.subject.is_recurrent();
        let extra_bits = if recurrent { i32::from(case.gate_bits) - 5 } else { 0 };
        let style = generator.below(8);
        let mut weights = &mut *self.weights;
        for channel in 0..rows {
            let (row, rest) = weights.split_at_mut_checked(case.row_length).unwrap_or_default();
            weights = rest;
            let mut magnitude = 0i32;
            for weight in row.iter_mut() {
                *weight = match style {
                    0 => case.bit_width.min() as i8,
                    1 => case.bit_width.max() as i8,
                    2 if !generator.chance(1) => 0,
                    3 => random_weight(generator, case.bit_width, true),
                    _ => random_weight(generator, case.bit_width, false),
                };
                magnitude = magnitude.wrapping_add(i32::from(*weight).wrapping_abs());
            }
            let mut entry = channel;
            while entry < entries {
                let bound = magnitude.wrapping_mul(128);
                let (bias, rescale) = channel_entry(generator, bound, extra_bits);
                let table = &mut *self.channels;
                write(table, entry * 4, &bias.to_le_bytes());
                write(table, entries * 4 + entry * 2, &rescale.multiplier.to_le_bytes());
                write(table, entries * 6 + entry, &rescale.shift.to_le_bytes());
                entry += rows;
            }
        }
        self.pack_weights(case);
    }

    /// Packs the weights: in rows by the definition, in other layouts by the code that they are unpacked with, whose order no
    /// kernel can get wrong without computing something else.
    fn pack_weights(&mut self, case: &OperatorCase) {
        let count = case.row_length * case.rows();
        let weights = self.weights.get(..count).unwrap_or(&[]);
        let packed = self.packed.get_mut(..case.packed_bytes()).unwrap_or(&mut []);
        packed.fill(0);
        if matches!(case.layout, Layout::Rows | Layout::ChannelQuads) {
            let row_bytes = case.row_bytes().max(1);
            let rows = weights.chunks_exact(case.row_length.max(1));
            for (row, bytes) in rows.zip(packed.chunks_exact_mut(row_bytes)) {
                definition::pack(row, case.bit_width.bits() as usize, bytes);
            }
        } else {
            let (length, bit_width) = (case.row_length, case.bit_width);
            // It cannot fail: the weights are in range and the bytes are as many as the layout takes.
            let _ = PackedWeights::pack(weights, length, bit_width, case.layout, packed);
        }
    }

    /// The first operand.
    pub fn input(&self, case: &OperatorCase) -> &[i8] {
        range(self.input, case.input_range())
    }

    /// The second operand.
    pub fn other(&self, case: &OperatorCase) -> &[i8] {
        range(self.other, case.other_range())
    }

    /// The output, or what stands in its place before the call.
    pub fn output(&self, case: &OperatorCase) -> &[i8] {
        range(self.output, case.output_range())
    }

    /// The plain weights of an output channel.
    pub fn row(&self, case: &OperatorCase, channel: usize) -> &[i8] {
        let start = channel * case.row_length;
        range(self.weights, start..start + case.row_length)
    }

    /// The table of a function.
    pub fn entries(&self) -> &[u8] {
        self.packed.get(..Table::ENTRIES).unwrap_or(&[])
    }

    /// The channel table.
    pub fn channels(&self, case: &OperatorCase) -> &[u8] {
        self.channels.get(..case.channel_entries() * 7).unwrap_or(&[])
    }

    /// All that a kernel call takes: input, other, packed weights, channel table, scratch, output.
    pub fn call(&mut self, case: &OperatorCase) -> Call<'_> {
        Call {
            input: range(self.input, case.input_range()),
            other: range(self.other, case.other_range()),
            packed: self.packed.get(..case.packed_bytes()).unwrap_or(&[]),
            channels: self.channels,
            scratch: range_mut(self.scratch, case.scratch_range()),
            output: range_mut(self.output, case.output_range()),
        }
    }

    /// A byte that changed outside the output and the scratch bytes.
    pub fn guard_damage(&self, case: &OperatorCase) -> Option<i8> {
        let outside = |buffer: &[i8], inside: Range<usize>| {
            let [before, behind] = around(buffer, &inside, self.watched);
            let bytes = range(buffer, before).iter().chain(range(buffer, behind));
            bytes.copied().find(|&byte| byte != case.filler)
        };
        outside(self.output, case.output_range())
            .or_else(|| outside(self.scratch, case.scratch_range()))
    }

    /// Prints the whole call.
    pub fn print(&self, case: &OperatorCase, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{case:?}")?;
        writeln!(formatter, "input: {:?}", self.input(case))?;
        match case.subject {
            subject if subject.has_other() => {
                writeln!(formatter, "other: {:?}", self.other(case))
            }
            subject if subject.has_table() => writeln!(formatter, "table: {:?}", self.entries()),
            subject if subject.has_weights() => {
                for channel in 0..case.rows() {
                    writeln!(formatter, "weights of {channel}: {:?}", self.row(case, channel))?;
                }
                writeln!(formatter, "channel table: {:?}", self.channels(case))
            }
            _ => Ok(()),
        }
    }
}

/// The slices of one kernel call.
pub(crate) struct Call<'a> {
    pub input: &'a [i8],
    pub other: &'a [i8],
    pub packed: &'a [u8],
    pub channels: &'a [u8],
    pub scratch: &'a mut [i8],
    pub output: &'a mut [i8],
}
