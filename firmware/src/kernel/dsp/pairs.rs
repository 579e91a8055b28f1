//! The inner loops for [`ChannelPairs`](tinyhero_common::layout::Layout::ChannelPairs): their symbols, their job, and the checks before each call.

use core::mem::offset_of;
use core::ops::Range;

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::channels::Channels;
use tinyhero_common::layout::channel_pairs::{field_offset, pair_bytes};
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::requantize::{ActivationRange, Rescale, requantize_apart};

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

/// Where the loop of one pixel is entered for `depth` weights of a row, and where it goes on if that is half a step.
pub(super) fn row_entries(field_bits: u32, depth: usize) -> [usize; 2] {
    let (round, half) = row_loop(field_bits);
    let whole = round.entry(depth);
    [if depth.is_multiple_of(8) { whole } else { half as usize }, whole]
}

/// What the loop of one pixel needs in a register: a mask, or the column's end for fields without one.
pub(super) fn row_mask(field_bits: u32, end: *const u32) -> usize {
    if field_bits == 8 { end.addr() } else { mask(field_bits) }
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
        let entries = [tile_loop(self.field_bits).entry(segment.depth), 0];
        let corrections = sums.map(|sum| sum.wrapping_mul(self.offset));
        let job = self.job(columns, segment, corrections, entries, mask(self.field_bits));
        let mut call = Call { routine: th_dsp_tile, segment, job };
        call.job.partials_in = from;
        if !partials.ends {
            call.job.partials_out = to;
            let pairs = if partials.resumes { whole } else { rows / 2 };
            self.run(&mut call, self.biases, 0..pairs)?;
            if pairs < whole {
                let last = partials.sums.get_mut(pairs * 6..pairs * 6 + 6)?.first_chunk_mut()?;
                self.last_biases(last)?;
                call.job.partials_out = last.as_mut_ptr();
                call.job.partials_in = call.job.partials_out.cast_const();
                self.run(&mut call, self.biases, pairs..whole)?;
            }
            return Some(());
        }
        let direct = if self.direct { rows / 2 } else { 0 };
        // The last byte that the assembly writes belongs to the third pixel.
        output.get(place..distance.checked_mul(2)?.checked_add(place)?.checked_add(rows)?)?;
        if direct > 0 {
            call.job.output = output.as_mut_ptr().wrapping_add(place);
            call.job.pixel_distance = distance;
            call.job.partials_out = self.requantized;
            self.run(&mut call, self.biases, 0..direct)?;
        }
        for pair in direct..whole {
            let mut left = [0; 6];
            let alone = !partials.resumes && pair * 2 + 1 == rows;
            if alone {
                self.last_biases(&mut left)?;
            }
            call.job.partials_out = left.as_mut_ptr();
            call.job.partials_in = match partials.resumes {
                true => partials.sums.get(pair * 6..pair * 6 + 6)?.as_ptr(),
                false if alone => call.job.partials_out.cast_const(),
                false => core::ptr::null(),
            };
            self.run(&mut call, self.biases.get(8 * pair..)?, pair..pair + 1)?;
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
        Some(requantize_apart(sum, rescale, self.zero_point, self.activation))
    }

    /// The sums that three pixels of an odd last channel begin with, whose bias has no partner to be loaded with; the last three mean
    /// nothing.
    fn last_biases(&self, sums: &mut [i32; 6]) -> Option<()> {
        let bias = i32::from_le_bytes(*self.biases.as_chunks::<4>().0.last()?);
        *sums = [bias, bias, bias, 0, 0, 0];
        Some(())
    }

    /// What all calls for one column have in common. It begins no sums with others, has nothing to leave and nowhere to write.
    fn job(
        &self,
        columns: &[u32],
        segment: Segment,
        corrections: [i32; 3],
        [entry, second_entry]: [usize; 2],
        mask: usize,
    ) -> Job {
        Job {
            columns: columns.as_ptr(),
            corrections,
            biases: core::ptr::null(),
            multipliers: core::ptr::null(),
            shifts: core::ptr::null(),
            doubled_zero_point: 2 * i32::from(self.zero_point) + 1,
            output: core::ptr::null_mut(),
            pixel_distance: 0,
            partials_in: core::ptr::null(),
            partials_out: core::ptr::null_mut(),
            weights: core::ptr::null(),
            skip: self.pair_words.wrapping_sub(self.segment_words(segment.depth)).wrapping_mul(4),
            end: columns.as_ptr_range().end,
            entry,
            pairs: 0,
            mask,
            second_entry,
        }
    }

    /// Calls a routine for some pairs, with the biases from the first of them on.
    ///
    /// The caller vouches for what only it knows, and sets it before each call, since routines move the job's pointers: `partials_in`, unless
    /// null, has six sums for each pair; `partials_out` has room for as many as the routine leaves or says how to requantize; then `output` has
    /// room for the pairs' channels in the routine's pixels at that distance. Columns are as long as the segment in the routine's pixels, and
    /// the entries, with which the segment comes out even, are of the routine's loop.
    #[inline(never)]
    fn run(&self, call: &mut Call, biases: &[u8], pairs: Range<usize>) -> Option<()> {
        if pairs.is_empty() {
            return Some(());
        }
        let job = &mut call.job;
        job.weights = self.weights_of(call.segment, &pairs)?.as_ptr();
        if job.partials_in.is_null() {
            biases.get(..pairs.len().checked_mul(8)?)?;
        }
        if job.partials_out == self.requantized {
            self.multipliers.get(..pairs.end.checked_mul(4)?)?;
            if job.output.is_null() {
                return None;
            }
        }
        job.biases = biases.as_ptr();
        job.multipliers = self.multipliers.as_ptr().wrapping_add(4 * pairs.start);
        job.shifts = self.shifts.as_ptr().wrapping_add(2 * pairs.start);
        job.pairs = pairs.len();
        // SAFETY: the routine is one of the two that take such a job. The columns end where the job says, and the callers have seen that they
        // are as long as the segment; the steps that take the segment's depth end there exactly, because depth is a multiple of a step, or of
        // half of one, and the entry leaves out the rest of a round. `weights_of` has checked the pairs' words, and that the segment is no longer
        // than a pair; the table's parts are checked above, the sums and the output by the caller.
        unsafe { (call.routine)(job) };
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
        let output = output.get_mut(..rows)?;
        let direct = if self.direct { rows / 2 } else { 0 };
        let segment = Segment { start: 0, depth: column.len() * 2 };
        // The routine goes from one pair on to the next without a gap.
        if self.segment_words(segment.depth) != self.pair_words {
            return None;
        }
        let entries = row_entries(self.field_bits, segment.depth);
        let mask = row_mask(self.field_bits, column.as_ptr_range().end);
        let corrections = [sum.wrapping_mul(self.offset); 3];
        let job = self.job(column, segment, corrections, entries, mask);
        let mut call = Call { routine: th_dsp_row, segment, job };
        call.job.output = output.as_mut_ptr();
        call.job.partials_out = self.requantized;
        self.run(&mut call, self.biases, 0..direct)?;
        for pair in direct..rows.div_ceil(2) {
            // The odd last channel's bias has no partner to be loaded with.
            let mut left = [0; 2];
            let all = self.biases.as_chunks::<4>().0;
            let bias = |row: usize| all.get(row).copied().unwrap_or_default();
            let biases = [bias(2 * pair), bias(2 * pair + 1)];
            call.job.partials_out = left.as_mut_ptr();
            self.run(&mut call, biases.as_flattened(), pair..pair + 1)?;
            for (row, sum) in (2 * pair..rows).zip(left) {
                *output.get_mut(row)? = self.requantize(row, sum)?;
            }
        }
        Some(())
    }
}

/// A call of a routine.
struct Call {
    routine: unsafe extern "C" fn(*mut Job),
    segment: Segment,
    job: Job,
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
