//! Operator cases: shapes, constants and the memory they run in.

pub(crate) mod memory;
pub(crate) mod shape;

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::Layout;
use tinyhero_common::operator::{Direction, Interpolation, Reset, Stretch};
use tinyhero_common::requantize::{ActivationRange, AddRescale, Rescale};
use tinyhero_common::shape::{Shape, Window};

use crate::definition;
use crate::generator::Generator;
use crate::mismatch::Subject;
use memory::Memory;

/// Most elements of a tensor.
pub(crate) const ELEMENTS: usize = 640;
/// Most weights of a layer.
const WEIGHTS: usize = 2048;
/// Most output channels of a layer with weights.
const CHANNELS: usize = 48;
/// Scratch bytes of a case that offers more than the portable kernels need.
const SCRATCH: usize = 1024;
/// Longest hidden state of a case.
pub(crate) const MAX_HIDDEN: usize = 87;
/// Bytes on either side of what a kernel may write, and room for odd alignments.
pub(crate) const MARGIN: usize = 16;
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
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the other operand.
    pub other: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// The window, for operators that have one.
    pub window: Window,
    /// Distance of taps, of a grouped convolution.
    pub dilation: [u8; 2],
    /// Groups of channels, of a grouped convolution.
    pub groups: u16,
    /// What stands between pixels, of a resizing.
    pub interpolation: Interpolation,
    /// The rows of a resizing.
    pub rows: Stretch,
    /// The columns of a resizing.
    pub columns: Stretch,
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
    /// Of a pooling, of a product, and of a concatenation's first operand.
    pub rescale: Rescale,
    /// Of a concatenation's other operand.
    pub other_rescale: Rescale,
    /// Of an addition.
    pub add_rescale: AddRescale,
    /// Of a softmax.
    pub exponent_multiplier: u32,
    /// Fraction bits of a recurrent operator's gates.
    pub gate_bits: u8,
    /// Fraction bits of a recurrent operator's cells.
    pub cell_bits: u8,
    /// The order of a recurrent operator's columns.
    pub direction: Direction,
    /// Where the reset gate of a recurrent operator acts.
    pub reset: Reset,
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
    output: Aligned<[i8; ELEMENTS + 2 * MARGIN]>,
    scratch: Aligned<[i8; SCRATCH + 2 * MARGIN]>,
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
        self.memory().prepare(&mut generator, &case);
        case
    }

    /// The output, or what stands in its place before the call.
    pub fn output(&self, case: &OperatorCase) -> &[i8] {
        range(&self.output.0, case.output_range())
    }

    /// The parts; all of what lies around output and scratch bytes is watched.
    pub(crate) const fn memory(&mut self) -> Memory<'_> {
        Memory {
            input: &mut self.input.0,
            other: &mut self.other.0,
            output: &mut self.output.0,
            scratch: &mut self.scratch.0,
            weights: &mut self.weights,
            packed: &mut self.packed.0,
            channels: &mut self.channels.0,
            watched: usize::MAX,
        }
    }
}

pub(crate) fn range(buffer: &[i8], range: core::ops::Range<usize>) -> &[i8] {
    buffer.get(range).unwrap_or(&[])
}

pub(crate) fn range_mut(buffer: &mut [i8], range: core::ops::Range<usize>) -> &mut [i8] {
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

/// A bias and a rescaling for a channel whose products sum to at most `bound`, to a range of `extra_bits` more than that of int8.
pub(crate) fn channel_entry(
    generator: &mut Generator,
    bound: i32,
    extra_bits: i32,
) -> (i32, Rescale) {
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
        let shift =
            bits.wrapping_sub(8).wrapping_sub(extra_bits).wrapping_add(generator.between(-1, 1));
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
