//! Operator cases: shapes, constants and the memory they run in.

mod shape;

use core::fmt;

use tinyhero_common::kernel::PackedWeights;
use tinyhero_common::model::{AddRescale, Layout, Shape, Window};
use tinyhero_common::packing::BitWidth;
use tinyhero_common::requantize::{ActivationRange, Rescale};

use crate::definition;
use crate::generator::Generator;
use crate::mismatch::Subject;
use crate::scalar::random_weight;

/// Most elements of a tensor.
pub(crate) const ELEMENTS: usize = 640;
/// Most weights of a layer.
const WEIGHTS: usize = 2048;
/// Most output channels of a layer with weights.
const CHANNELS: usize = 48;
/// Scratch bytes of a case that offers more than the portable kernels need.
const SCRATCH: usize = 1024;
/// Bytes on either side of what a kernel may write, and room for odd alignments.
const MARGIN: usize = 16;
/// Most multiply-accumulates of a case, so that slow boards get through many.
const MAX_MACS: usize = 6000;

/// A buffer that begins at a multiple of 16.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub(crate) struct Aligned<T>(pub T);

/// The constants of one operator call; the tensors and weights are in the [`Workspace`].
#[derive(Clone, Copy, Debug)]
pub struct OperatorCase {
    /// The operator.
    pub subject: Subject,
    /// Shape of the input, and of the other operand.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// The window, for operators that have one.
    pub window: Window,
    /// Bits of a weight.
    pub bit_width: BitWidth,
    /// Order of the packed weights.
    pub layout: Layout,
    /// Weights of an output channel.
    pub row_length: usize,
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the other operand.
    pub other_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
    /// Of an average pooling.
    pub rescale: Rescale,
    /// Of an addition.
    pub add_rescale: AddRescale,
    /// Of a softmax.
    pub exponent_multiplier: u32,
    /// Scratch bytes on offer.
    pub scratch_bytes: usize,
    /// Distance of input, other, output and scratch from a multiple of 16.
    pub misalignment: [usize; 4],
    /// What output and scratch hold before the call.
    pub filler: i8,
}

/// The memory that operator cases run in, 7.5 kB. One at a time; every case overwrites it.
#[derive(Clone, Copy, Debug)]
pub struct Workspace {
    input: Aligned<[i8; ELEMENTS + MARGIN]>,
    other: Aligned<[i8; ELEMENTS + MARGIN]>,
    pub(crate) output: Aligned<[i8; ELEMENTS + 2 * MARGIN]>,
    pub(crate) scratch: Aligned<[i8; SCRATCH + 2 * MARGIN]>,
    weights: [i8; WEIGHTS],
    packed: Aligned<[u8; WEIGHTS]>,
    channels: Aligned<[u8; CHANNELS * 7]>,
}

/// The smallest board has 16 kB in all.
const _: () = assert!(size_of::<Workspace>() <= 7680);

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl Workspace {
    /// Memory without a case in it.
    pub const fn new() -> Self {
        Self {
            input: Aligned([0; ELEMENTS + MARGIN]),
            other: Aligned([0; ELEMENTS + MARGIN]),
            output: Aligned([0; ELEMENTS + 2 * MARGIN]),
            scratch: Aligned([0; SCRATCH + 2 * MARGIN]),
            weights: [0; WEIGHTS],
            packed: Aligned([0; WEIGHTS]),
            channels: Aligned([0; CHANNELS * 7]),
        }
    }

    /// Makes a case: its constants are returned, its tensors, weights and channel table are filled in.
    pub fn prepare(&mut self, subject: Subject, seed: u32, case: u32) -> OperatorCase {
        let mut generator = Generator::new(seed ^ ((subject as u32) << 24), case);
        let case = OperatorCase::new(&mut generator, subject);
        self.output.0.fill(case.filler);
        self.scratch.0.fill(case.filler);
        fill(&mut generator, range_mut(&mut self.input.0, case.input_range()));
        fill(&mut generator, range_mut(&mut self.other.0, case.other_range()));
        if subject.has_weights() {
            self.fill_weights(&mut generator, &case);
        }
        if subject == Subject::AddInPlace {
            let input = range(&self.input.0, case.input_range());
            let output = range_mut(&mut self.output.0, case.output_range());
            for (value, &input) in output.iter_mut().zip(input) {
                *value = input;
            }
        }
        case
    }

    /// Weights, packed, and a channel table that the accumulator bound admits.
    fn fill_weights(&mut self, generator: &mut Generator, case: &OperatorCase) {
        let rows = usize::from(case.output.channels);
        let style = generator.below(8);
        let mut weights = self.weights.as_mut_slice();
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
            let (bias, rescale) = channel_entry(generator, magnitude.wrapping_mul(128));
            let table = &mut self.channels.0;
            write(table, channel * 4, &bias.to_le_bytes());
            write(table, rows * 4 + channel * 2, &rescale.multiplier.to_le_bytes());
            write(table, rows * 6 + channel, &rescale.shift.to_le_bytes());
        }
        self.pack_weights(case);
    }

    /// Packs the weights: in rows by the definition, in other layouts by the code that they are unpacked with, whose order no
    /// kernel can get wrong without computing something else.
    fn pack_weights(&mut self, case: &OperatorCase) {
        let count = case.row_length * usize::from(case.output.channels);
        let weights = self.weights.get(..count).unwrap_or(&[]);
        let packed = self.packed.0.get_mut(..case.packed_bytes()).unwrap_or(&mut []);
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
        range(&self.input.0, case.input_range())
    }

    /// The second operand of an addition.
    pub fn other(&self, case: &OperatorCase) -> &[i8] {
        range(&self.other.0, case.other_range())
    }

    /// The output, or what stands in its place before the call.
    pub fn output(&self, case: &OperatorCase) -> &[i8] {
        range(&self.output.0, case.output_range())
    }

    /// The plain weights of an output channel.
    pub fn row(&self, case: &OperatorCase, channel: usize) -> &[i8] {
        let start = channel * case.row_length;
        range(&self.weights, start..start + case.row_length)
    }

    /// The packed weights.
    pub fn packed(&self, case: &OperatorCase) -> &[u8] {
        self.packed.0.get(..case.packed_bytes()).unwrap_or(&[])
    }

    /// The channel table.
    pub fn channels(&self, case: &OperatorCase) -> &[u8] {
        self.channels.0.get(..usize::from(case.output.channels) * 7).unwrap_or(&[])
    }

    /// All that a kernel call takes: input, other, packed weights, channel table, scratch, output.
    pub(crate) fn call(&mut self, case: &OperatorCase) -> Call<'_> {
        Call {
            input: range(&self.input.0, case.input_range()),
            other: range(&self.other.0, case.other_range()),
            packed: self.packed.0.get(..case.packed_bytes()).unwrap_or(&[]),
            channels: &self.channels.0,
            scratch: range_mut(&mut self.scratch.0, case.scratch_range()),
            output: range_mut(&mut self.output.0, case.output_range()),
        }
    }

    /// A byte that changed outside the output and the scratch bytes.
    pub(crate) fn guard_damage(&self, case: &OperatorCase) -> Option<i8> {
        let outside = |buffer: &[i8], inside: core::ops::Range<usize>| {
            let front = buffer.get(..inside.start).unwrap_or(&[]);
            let back = buffer.get(inside.end..).unwrap_or(&[]);
            front.iter().chain(back).copied().find(|&byte| byte != case.filler)
        };
        outside(&self.output.0, case.output_range())
            .or_else(|| outside(&self.scratch.0, case.scratch_range()))
    }

    /// Prints the whole call.
    pub(crate) fn print(
        &self,
        case: &OperatorCase,
        formatter: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        writeln!(formatter, "{case:?}")?;
        writeln!(formatter, "input: {:?}", self.input(case))?;
        match case.subject {
            Subject::Add | Subject::AddInPlace => {
                writeln!(formatter, "other: {:?}", self.other(case))
            }
            subject if subject.has_weights() => {
                for channel in 0..usize::from(case.output.channels) {
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

fn range(buffer: &[i8], range: core::ops::Range<usize>) -> &[i8] {
    buffer.get(range).unwrap_or(&[])
}

fn range_mut(buffer: &mut [i8], range: core::ops::Range<usize>) -> &mut [i8] {
    buffer.get_mut(range).unwrap_or(&mut [])
}

pub(crate) fn write<const N: usize>(table: &mut [u8], place: usize, bytes: &[u8; N]) {
    if let Some(destination) = table.get_mut(place..place + N) {
        for (destination, &byte) in destination.iter_mut().zip(bytes) {
            *destination = byte;
        }
    }
}

/// Fills a tensor: mostly random, sometimes all at one end, or both ends only.
pub(crate) fn fill(generator: &mut Generator, values: &mut [i8]) {
    let style = generator.below(8);
    for value in values {
        *value = match style {
            0 => -128,
            1 => 127,
            2 => generator.pick(-128, &[127]),
            _ => generator.activation(),
        };
    }
}

/// A bias and a rescaling for a channel whose products sum to at most `bound`.
pub(crate) fn channel_entry(generator: &mut Generator, bound: i32) -> (i32, Rescale) {
    let mut rescale = generator.rescale();
    let room = i32::MAX.wrapping_sub(bound);
    let mut bias = match generator.below(8) {
        0 => 0,
        1 => generator.pick(room, &[room.wrapping_neg()]),
        2 => generator.magnitude(room),
        _ => generator.between(bound.wrapping_neg() / 2, bound / 2),
    };
    if !generator.chance(3) {
        // The shift that brings the likely sums to the range of int8.
        let likely = (bound / 4).saturating_add(bias.wrapping_abs()) | 1;
        let bits = 31i32.wrapping_sub(likely.leading_zeros() as i32);
        let shift = bits.wrapping_sub(8).wrapping_add(generator.between(-1, 1));
        rescale.shift = i8::try_from(shift.clamp(-7, 23)).unwrap_or(1);
    }
    while definition::accumulator_limit(rescale) < i64::from(bound) {
        rescale.shift = rescale.shift.wrapping_add(1);
    }
    let limit = definition::accumulator_limit(rescale).wrapping_sub(i64::from(bound));
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    // Not `clamp`, which would panic if the limit could be negative.
    bias = bias.max(limit.wrapping_neg()).min(limit);
    (bias, rescale)
}
