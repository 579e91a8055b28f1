//! The inner loops for [`ChannelPairs`](tinyhero_common::layout::Layout::ChannelPairs): their symbols, their job, and the checks before each call.

use core::mem::offset_of;
use core::ops::Range;

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::channels::Channels;
use tinyhero_common::layout::channel_pairs::{field_offset, pair_bytes};
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::requantize::{ActivationRange, Rescale, requantize};

use super::words;
use crate::kernel::offsets::{assert_offsets, assert_words};

/// What an assembly routine reads.
#[repr(C)]
struct Job {
    columns: *const u32,
    corrections: [i32; 3],
    biases: *const u8,
    multipliers: *const u8,
    shifts: *const u8,
    doubled_zero_point: i32,
    output: *mut i8,
    pixel_distance: usize,
    partials_in: *const i32,
    partials_out: *mut i32,
    weights: *const u32,
    skip: usize,
    end: *const u32,
    entry: usize,
    pairs: usize,
    mask: usize,
    second_entry: usize,
}

assert_offsets!("pairs.s", Job, ".Lpairs_":
    "biases" = biases,
    "multipliers" = multipliers,
    "doubled_zero_point" = doubled_zero_point,
    "output" = output,
    "partials_in" = partials_in,
    "partials_out" = partials_out,
    "weights" = weights,
    "skip" = skip,
    "end" = end,
    "pairs" = pairs,
    "mask" = mask,
    "second_entry" = second_entry,
);
// Three corrections stand between the first two.
assert_words!(Job: columns, corrections);
const _: () = assert!(offset_of!(Job, biases) == offset_of!(Job, corrections) + 12);

// SAFETY: the symbols are those of `pairs.s`. Only `th_dsp_tile` and `th_dsp_row` are called; of the others, places inside those two
// where a loop begins and ends, only the addresses are taken.
unsafe extern "C" {
    fn th_dsp_tile(job: *mut Job);
    fn th_dsp_tile_eight();
    fn th_dsp_tile_eight_end();
    fn th_dsp_tile_four();
    fn th_dsp_tile_four_end();
    fn th_dsp_tile_two();
    fn th_dsp_tile_two_end();
    fn th_dsp_row(job: *mut Job);
    fn th_dsp_row_eight_half();
    fn th_dsp_row_eight();
    fn th_dsp_row_eight_end();
    fn th_dsp_row_four_half();
    fn th_dsp_row_four();
    fn th_dsp_row_four_end();
    fn th_dsp_row_two();
    fn th_dsp_row_two_end();
}

/// A loop of equal steps, unrolled, that is entered in its middle so that the steps come out even.
#[derive(Clone, Copy)]
struct Loop {
    start: unsafe extern "C" fn(),
    end: unsafe extern "C" fn(),
    /// Logarithm of the steps in a round.
    steps_exponent: u32,
    /// Logarithm of the weights that a step takes of a row.
    depth_exponent: u32,
}

impl Loop {
    /// Where to enter for `depth` weights of a row; the end for none.
    fn entry(self, depth: usize) -> usize {
        let (start, end) = (self.start as usize, self.end as usize);
        let steps = depth >> self.depth_exponent;
        let round = 1 << self.steps_exponent;
        let first = if steps == 0 { round } else { steps.wrapping_neg() & (round - 1) };
        let step_bytes = end.wrapping_sub(start) >> self.steps_exponent;
        start.wrapping_add(first.wrapping_mul(step_bytes))
    }
}

/// The loop of three pixels for fields of that many bits.
fn tile_loop(field_bits: u32) -> Loop {
    match field_bits {
        8 => Loop {
            start: th_dsp_tile_eight,
            end: th_dsp_tile_eight_end,
            steps_exponent: 2,
            depth_exponent: 2,
        },
        4 => Loop {
            start: th_dsp_tile_four,
            end: th_dsp_tile_four_end,
            steps_exponent: 2,
            depth_exponent: 2,
        },
        _ => Loop {
            start: th_dsp_tile_two,
            end: th_dsp_tile_two_end,
            steps_exponent: 1,
            depth_exponent: 3,
        },
    }
}

/// The loop of one pixel for fields of that many bits, and the half step that takes four weights.
fn row_loop(field_bits: u32) -> (Loop, unsafe extern "C" fn()) {
    let (start, end, half): (unsafe extern "C" fn(), unsafe extern "C" fn(), _) = match field_bits {
        8 => (th_dsp_row_eight, th_dsp_row_eight_end, th_dsp_row_eight_half as _),
        4 => (th_dsp_row_four, th_dsp_row_four_end, th_dsp_row_four_half as _),
        // Rows of 2-bit fields are a multiple of 8 long.
        _ => (th_dsp_row_two, th_dsp_row_two_end, th_dsp_row_two as _),
    };
    (Loop { start, end, steps_exponent: 2, depth_exponent: 3 }, half)
}

/// In the place of sums to leave: requantize, though some shift is less than 1.
const ANY_SHIFT: *mut i32 = core::ptr::without_provenance_mut(1);

/// What isolates the lowest field of both lanes.
const fn mask(field_bits: u32) -> usize {
    let field = (1 << field_bits) - 1;
    field << 16 | field
}

/// The weights and the channel table of a layer, checked once.
#[derive(Clone, Copy)]
pub(super) struct Pairs<'a> {
    words: &'a [u32],
    pair_words: usize,
    field_bits: u32,
    biases: &'a [u8],
    multipliers: &'a [u8],
    shifts: &'a [u8],
    zero_point: i8,
    activation: ActivationRange,
    /// What a sum of activations is multiplied with and taken off, because fields are not negative.
    pub offset: i32,
    /// Whether the assembly may requantize: there is no clamp beyond int8.
    direct: bool,
    /// Null, or [`ANY_SHIFT`] if some shift is less than 1.
    requantized: *mut i32,
}

/// The part of every row that is multiplied, in weights from the row's beginning.
#[derive(Clone, Copy)]
pub(super) struct Segment {
    /// First weight, where a word begins.
    pub start: usize,
    /// Weights with their padding.
    pub depth: usize,
}

impl<'a> Pairs<'a> {
    /// `None` if the layout is another one or something is too short or not aligned.
    pub fn new(
        weights: &PackedWeights<'a>,
        channels: Channels<'a>,
        rows: usize,
        zero_point: i8,
        activation: ActivationRange,
    ) -> Option<Self> {
        let (biases, multipliers, shifts) = channels.parts();
        let bit_width = weights.bit_width;
        let pair_words = pair_bytes(bit_width, weights.row_length) / 4;
        let words = words(weights.bytes)?.get(..pair_words.checked_mul(rows.div_ceil(2))?)?;
        // The length of the table's parts is checked too, though they come as one: the assembly counts on it.
        let whole = biases.len() == rows.checked_mul(4)?
            && multipliers.len() == rows.checked_mul(2)?
            && shifts.len() == rows
            && biases.as_ptr().addr().is_multiple_of(4);
        let right = |shift: &u8| shift.cast_signed() >= 1;
        let requantized = if shifts.iter().all(right) { core::ptr::null_mut() } else { ANY_SHIFT };
        let direct = activation == ActivationRange::FULL;
        (weights.layout == Layout::ChannelPairs && pair_words > 0 && whole).then_some(Self {
            words,
            pair_words,
            field_bits: field_bits(bit_width),
            biases,
            multipliers,
            shifts,
            zero_point,
            activation,
            offset: field_offset(bit_width),
            direct,
            requantized,
        })
    }

    /// Words that the segment takes of a pair.
    const fn segment_words(&self, depth: usize) -> usize {
        depth.saturating_mul(self.field_bits as usize) / 16
    }

    /// Computes all channels of three pixels at `place` of the output, `distance` apart, in one segment of the window.
    ///
    /// `columns` are the segment's lanes. `partials` are sums to begin with, unless this is the first segment, and to leave, unless it is
    /// the last. `None` if something does not fit.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are what a job is made of, checked together in one place"
    )]
    pub fn tile(
        &self,
        columns: &[u32],
        segment: Segment,
        sums: [i32; 3],
        partials: Partials<'_>,
        output: &mut [i8],
        place: usize,
        distance: usize,
    ) -> Option<()> {
        let corrections = sums.map(|sum| sum.wrapping_mul(self.offset));
        if columns.len() != segment.depth.checked_mul(3)? / 2 || segment.depth == 0 {
            return None;
        }
        let rows = self.shifts.len();
        let whole = rows.div_ceil(2);
        if partials.resumes || !partials.ends {
            partials.sums.get(..whole.checked_mul(6)?)?;
        }
        // One pointer to read and to write through: a second one of the same slice would end what the first may do.
        let to = partials.sums.as_mut_ptr();
        let from = if partials.resumes { to.cast_const() } else { core::ptr::null() };
        if !partials.ends {
            let pairs = if partials.resumes { whole } else { rows / 2 };
            self.run_tile(columns, segment, corrections, 0..pairs, from, to, None)?;
            // The odd last channel's bias has no partner to be loaded with.
            if pairs < whole {
                let last = partials.sums.get_mut(pairs * 6..pairs * 6 + 6)?;
                self.run_last_tile(columns, segment, corrections, last)?;
            }
            return Some(());
        }
        let direct = if self.direct { rows / 2 } else { 0 };
        // The last byte that the assembly writes belongs to the third pixel.
        output.get(place..distance.checked_mul(2)?.checked_add(place)?.checked_add(rows)?)?;
        if direct > 0 {
            let out = Some((output.as_mut_ptr().wrapping_add(place), distance));
            let none = self.requantized;
            self.run_tile(columns, segment, corrections, 0..direct, from, none, out)?;
        }
        for pair in direct..whole {
            let mut left = [0; 6];
            if let (true, Some(sums)) =
                (partials.resumes, partials.sums.get(pair * 6..pair * 6 + 6))
            {
                let from = sums.as_ptr();
                let to = left.as_mut_ptr();
                self.run_tile(columns, segment, corrections, pair..pair + 1, from, to, None)?;
            } else if pair * 2 + 1 == rows {
                self.run_last_tile(columns, segment, corrections, &mut left)?;
            } else {
                let to = left.as_mut_ptr();
                let from = core::ptr::null();
                self.run_tile(columns, segment, corrections, pair..pair + 1, from, to, None)?;
            }
            for (row, sums) in (2 * pair..rows).zip(left.as_chunks::<3>().0) {
                for (pixel, &sum) in sums.iter().enumerate() {
                    let value = self.requantize(row, sum)?;
                    *output.get_mut(place + pixel * distance + row)? = value;
                }
            }
        }
        Some(())
    }

    /// One row's requantization, in full generality.
    fn requantize(&self, row: usize, sum: i32) -> Option<i8> {
        let [low, high] = *self.multipliers.as_chunks::<2>().0.get(row)?;
        let shift = self.shifts.get(row)?.cast_signed();
        let rescale = Rescale { multiplier: i16::from_le_bytes([low, high]), shift };
        Some(requantize(sum, rescale, self.zero_point, self.activation))
    }

    /// Three pixels of an odd last channel, into six sums of which the last three mean nothing.
    fn run_last_tile(
        &self,
        columns: &[u32],
        segment: Segment,
        corrections: [i32; 3],
        left: &mut [i32],
    ) -> Option<()> {
        let bias = i32::from_le_bytes(*self.biases.as_chunks::<4>().0.last()?);
        let mut sums = [bias, bias, bias, 0, 0, 0];
        let pair = self.shifts.len() / 2;
        let to = sums.as_mut_ptr();
        self.run_tile(columns, segment, corrections, pair..pair + 1, to, to, None)?;
        for (left, sum) in left.iter_mut().zip(sums) {
            *left = sum;
        }
        Some(())
    }

    /// Calls `th_dsp_tile` for some pairs.
    ///
    /// The caller vouches for what only it knows: `from`, unless null, has six sums for each pair; `to` has room for
    /// as many or says how to requantize; then `output` has room for the pairs' channels in three pixels at that distance. Columns are as long as the segment.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are what a job is made of, checked together in one place"
    )]
    fn run_tile(
        &self,
        columns: &[u32],
        segment: Segment,
        corrections: [i32; 3],
        pairs: Range<usize>,
        from: *const i32,
        to: *mut i32,
        output: Option<(*mut i8, usize)>,
    ) -> Option<()> {
        if pairs.is_empty() {
            return Some(());
        }
        let weights = self.weights_of(segment, &pairs)?;
        if from.is_null() {
            self.biases.get(..pairs.end.checked_mul(8)?)?;
        }
        if to == self.requantized {
            self.multipliers.get(..pairs.end.checked_mul(4)?)?;
        }
        let (output, pixel_distance) = match output {
            Some(output) => output,
            None if to == self.requantized => return None,
            None => (core::ptr::null_mut(), 0),
        };
        let mut job = Job {
            columns: columns.as_ptr(),
            corrections,
            biases: self.biases.as_ptr().wrapping_add(8 * pairs.start),
            multipliers: self.multipliers.as_ptr().wrapping_add(4 * pairs.start),
            shifts: self.shifts.as_ptr().wrapping_add(2 * pairs.start),
            doubled_zero_point: 2 * i32::from(self.zero_point) + 1,
            output,
            pixel_distance,
            partials_in: from,
            partials_out: to,
            weights: weights.as_ptr(),
            skip: (self.pair_words - self.segment_words(segment.depth)) * 4,
            end: columns.as_ptr_range().end,
            entry: tile_loop(self.field_bits).entry(segment.depth),
            pairs: pairs.len(),
            mask: mask(self.field_bits),
            second_entry: 0,
        };
        // SAFETY: the columns end where `columns` does, and `tile` has seen that they are as long as the segment; the
        // steps that take the segment's depth end there exactly, because depth is a multiple of a step and the entry leaves out the rest of a
        // round. `weights_of` has checked the pairs' words, the table's parts are checked above, the sums and the output by the caller.
        unsafe { th_dsp_tile(&raw mut job) };
        Some(())
    }

    /// The words from the segment's first one of the first pair on, if all of the pairs' are there and the depth is whole steps.
    fn weights_of(&self, segment: Segment, pairs: &Range<usize>) -> Option<&'a [u32]> {
        let start = self.segment_words(segment.start);
        let words = self.segment_words(segment.depth);
        let step = if self.field_bits == 2 { 8 } else { 4 };
        if start.checked_add(words)? > self.pair_words || !segment.depth.is_multiple_of(step) {
            return None;
        }
        let first = pairs.start.checked_mul(self.pair_words)?;
        let end = pairs.end.checked_mul(self.pair_words)?;
        self.words.get(first..end)?.get(start..)
    }

    /// Computes all channels of one pixel from one column of lanes, whose activations add up to `sum`.
    pub fn row(&self, column: &[u32], sum: i32, output: &mut [i8]) -> Option<()> {
        let rows = self.shifts.len();
        let correction = sum.wrapping_mul(self.offset);
        let output = output.get_mut(..rows)?;
        let direct = if self.direct { rows / 2 } else { 0 };
        if direct > 0 {
            self.biases.get(..direct.checked_mul(8)?)?;
            let (biases, out) = (self.biases.as_ptr(), output.as_mut_ptr());
            self.run_row(column, correction, 0..direct, biases, out, None)?;
        }
        let biases = self.biases.as_chunks::<4>().0;
        for pair in direct..rows.div_ceil(2) {
            let mut left = [0; 2];
            // The odd last channel's bias has no partner to be loaded with.
            let bias = |row: usize| biases.get(row).map_or(0, |&bias| i32::from_le_bytes(bias));
            let biases = [bias(2 * pair), bias(2 * pair + 1)];
            let none = core::ptr::null_mut();
            let from = biases.as_ptr().cast();
            self.run_row(column, correction, pair..pair + 1, from, none, Some(&mut left))?;
            for (row, sum) in (2 * pair..rows).zip(left) {
                *output.get_mut(row)? = self.requantize(row, sum)?;
            }
        }
        Some(())
    }

    /// Calls `th_dsp_row` for some pairs.
    ///
    /// The caller vouches for what only it knows: two words of bias for each pair, and without `left` an output with room for two
    /// channels a pair. There is `left` for one pair only.
    fn run_row(
        &self,
        column: &[u32],
        correction: i32,
        pairs: Range<usize>,
        biases: *const u8,
        output: *mut i8,
        left: Option<&mut [i32; 2]>,
    ) -> Option<()> {
        let depth = column.len() * 2;
        let weights = self.weights_of(Segment { start: 0, depth }, &pairs)?;
        let whole_row = self.segment_words(depth) == self.pair_words;
        if !whole_row || (left.is_some() && pairs.len() != 1) {
            return None;
        }
        let end = column.as_ptr_range().end;
        let (round, half) = row_loop(self.field_bits);
        let whole = round.entry(depth);
        let entry = if depth.is_multiple_of(8) { whole } else { half as usize };
        let mut job = Job {
            columns: column.as_ptr(),
            corrections: [correction; 3],
            biases,
            multipliers: self.multipliers.as_ptr().wrapping_add(4 * pairs.start),
            shifts: self.shifts.as_ptr().wrapping_add(2 * pairs.start),
            doubled_zero_point: 2 * i32::from(self.zero_point) + 1,
            output,
            pixel_distance: 0,
            partials_in: core::ptr::null(),
            partials_out: left.map_or(self.requantized, |left| left.as_mut_ptr()),
            weights: weights.as_ptr(),
            skip: 0,
            end,
            entry,
            pairs: pairs.len(),
            mask: if self.field_bits == 8 { end.addr() } else { mask(self.field_bits) },
            second_entry: whole,
        };
        // SAFETY: the column is as long as a row of weights with its padding, a multiple of a step or of half of one, which the
        // entry accounts for; the weights of the pairs are all there, as are their biases. Where there are no sums to leave, the pairs are
        // below `rows / 2`, so that their multipliers and shifts are in the table and their channels in the output.
        unsafe { th_dsp_row(&raw mut job) };
        Some(())
    }
}

/// Sums of all channels between the segments of a window.
pub(super) struct Partials<'p> {
    /// Six for each pair of channels; empty if the window is not divided.
    pub sums: &'p mut [i32],
    /// Whether an earlier segment has left sums.
    pub resumes: bool,
    /// Whether this is the last segment.
    pub ends: bool,
}
