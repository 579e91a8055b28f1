//! Depthwise convolutions with a 3 x 3 window, four channels at a time.
//!
//! Two neighbouring image rows become one row of columns, in whose words a channel's two activations share the lanes. Rows are
//! paired from the padded image's top, so a pair serves every output row that it meets: an output row takes two pairs, and its three kernel rows
//! fall on lanes in one of two ways, by its parity. The pairs lie alternately in the first and the second place of a column. That makes
//! four tables of weights, and all an output pixel ever does is 24 dual multiplies down one of them.

use core::mem::offset_of;

use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::channel_quads::QuadColumns;
use tinyhero_common::operator::ConvolutionJob;
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::shape::Shape;

use super::{bytes_of, scratch_words};
use crate::kernel::offsets::assert_words;

/// Channels that are computed together.
const CHANNELS: usize = 4;
/// Kernel rows, and kernel columns.
const KERNEL: usize = 3;
/// Words of a column: two places of four channels.
const COLUMN_WORDS: usize = QuadColumns::COLUMN_WORDS;

// SAFETY: the symbols are those of `depthwise.s`, with its calling conventions.
unsafe extern "C" {
    fn th_dsp_depthwise_columns(
        upper: *const i8,
        lower: *const i8,
        upper_step: usize,
        lower_step: usize,
        columns: *mut u32,
        end: *const u32,
    );
    fn th_dsp_depthwise_row(columns: *const u32, table: *const Table, pixels: *const Pixels);
}

/// What an output pixel of four channels is computed with, as `th_dsp_depthwise_row` reads it.
#[repr(C)]
struct Table {
    biases: [i32; CHANNELS],
    /// By kernel column, place in the activations' column, and channel.
    weights: [[[u32; CHANNELS]; 2]; KERNEL],
    multipliers: [u16; CHANNELS],
    addends: [i32; CHANNELS],
    shifts: [u32; CHANNELS],
}

const _: () = assert!(size_of::<Table>() == 4 * QuadColumns::TABLE_WORDS);
// The routine walks through the table from one field to the next.
const _: () = assert!(
    offset_of!(Table, biases) == 0
        && offset_of!(Table, weights) == 4 * CHANNELS
        && offset_of!(Table, multipliers) == 4 * (CHANNELS + 3 * COLUMN_WORDS)
        && offset_of!(Table, addends) == 4 * (CHANNELS + 3 * COLUMN_WORDS + 2)
        && offset_of!(Table, shifts) == 4 * (2 * CHANNELS + 3 * COLUMN_WORDS + 2)
);

/// Where an output row goes.
#[repr(C)]
struct Pixels {
    output: *mut i8,
    step: usize,
    back: usize,
    end: *const i8,
}

assert_words!(Pixels: output, step, back, end);

/// `None`, with the output undefined, if the layer's layout, window or memory is not what the loops take.
pub(super) fn depthwise_convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    with_multiplier(job, 1, input, scratch, output)
}

/// The same with several outputs for each input channel, side by side.
#[inline(always)]
pub(super) fn with_multiplier(
    job: &ConvolutionJob<'_>,
    multiplier: usize,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let depth = usize::from(job.output.channels);
    let wide = Shape { channels: job.output.channels, ..job.input };
    let plan = QuadColumns::new(job.window, wide, job.output)?;
    if job.weights.layout != Layout::ChannelQuads
        || job.activation != ActivationRange::FULL
        || usize::from(job.input.channels).checked_mul(multiplier)? != depth
        || depth < CHANNELS
    {
        return None;
    }
    let words = scratch_words(scratch)?;
    let (columns, words) = words.split_at_mut_checked(plan.columns * COLUMN_WORDS)?;
    let (words, lines) = words.split_at_mut_checked(4 * QuadColumns::TABLE_WORDS)?;
    // SAFETY: every bit pattern is a table, which is made of words and half words and no more aligned than they are.
    let (_, tables, _) = unsafe { words.align_to_mut::<Table>() };
    let input = input.get(..job.input.elements())?;
    let output = output.get_mut(..job.output.elements())?;

    // The padding's columns stay as they are throughout.
    let zero_point = i32::from(job.input_zero_point) as u32 & 0xFFFF;
    columns.fill(zero_point << 16 | zero_point);
    let lines = bytes_of(lines);
    let mut quad = Quad { job, plan, input, columns, first: 0, multiplier, lines };
    loop {
        quad.fill_tables(tables)?;
        quad.run(tables, output)?;
        // The last four channels overlap those before, which get the same values again.
        let next = quad.first + CHANNELS;
        if next >= depth {
            return Some(());
        }
        quad.first = next.min(depth - CHANNELS);
    }
}

impl Table {
    /// Puts a channel's lanes of two pairs of rows into a column of weights.
    fn put_weights(
        &mut self,
        column: usize,
        channel: usize,
        first: u32,
        second: u32,
    ) -> Option<()> {
        let [upper, lower] = self.weights.get_mut(column)?;
        *upper.get_mut(channel)? = first;
        *lower.get_mut(channel)? = second;
        Some(())
    }
}

/// Four channels of a layer.
struct Quad<'j, 'a> {
    job: &'j ConvolutionJob<'a>,
    plan: QuadColumns,
    input: &'j [i8],
    columns: &'j mut [u32],
    /// The first of the channels.
    first: usize,
    /// Channels for each one of the input.
    multiplier: usize,
    /// Room for the pixels of two rows, as the channels read them, where they are not those of the input.
    lines: &'j mut [i8],
}

impl Quad<'_, '_> {
    /// Fills the four tables: number `t` is for output rows whose first padded image row is `t` modulo 4.
    fn fill_tables(&self, tables: &mut [Table]) -> Option<()> {
        let (biases, multipliers, shifts) = self.job.channels.parts();
        let biases = biases.as_chunks::<4>().0.get(self.first..)?;
        let multipliers = multipliers.as_chunks::<2>().0.get(self.first..)?;
        let shifts = shifts.get(self.first..)?;
        let zero_point = i32::from(self.job.output_zero_point);
        let [even, odd, even_swapped, odd_swapped] = tables else { return None };
        let channels = biases.iter().zip(multipliers).zip(shifts);
        for (channel, ((bias, multiplier), shift)) in (0..CHANNELS).zip(channels) {
            // Equation (2) first multiplies the sum by a power of two where the shift is not to the right. Weights and bias take
            // that over: even 8-bit weights times 2^8 fit a lane, and loading has proved that the sum fits.
            let shift = i32::from(shift.cast_signed());
            let (gain, shift) = if shift < 1 { ((1 - shift) as u32, 1) } else { (0, shift as u32) };
            let mut taps = [0i8; KERNEL * KERNEL];
            self.job.weights.unpack(self.first + channel, 0, &mut taps);
            let taps = taps.map(|tap| i32::from(tap).wrapping_shl(gain));
            let [upper, middle, lower] = taps.as_chunks::<KERNEL>().0 else { return None };
            let columns = upper.iter().zip(middle).zip(lower);
            for (column, ((&upper, &middle), &lower)) in (0..KERNEL).zip(columns) {
                let (older, newer) = (lanes(upper, middle), lanes(lower, 0));
                even.put_weights(column, channel, older, newer)?;
                even_swapped.put_weights(column, channel, newer, older)?;
                let (older, newer) = (lanes(0, upper), lanes(middle, lower));
                odd.put_weights(column, channel, older, newer)?;
                odd_swapped.put_weights(column, channel, newer, older)?;
            }
            let bias = i32::from_le_bytes(*bias).wrapping_shl(gain);
            let addend = (2 * zero_point + 1).wrapping_shl(shift) >> 1;
            for table in [&mut *even, odd, even_swapped, odd_swapped] {
                *table.biases.get_mut(channel)? = bias;
                *table.multipliers.get_mut(channel)? = u16::from_le_bytes(*multiplier);
                *table.addends.get_mut(channel)? = addend;
                *table.shifts.get_mut(channel)? = shift;
            }
        }
        Some(())
    }

    /// All output rows.
    fn run(&mut self, tables: &[Table], output: &mut [i8]) -> Option<()> {
        let window = self.job.window;
        let depth = usize::from(self.job.output.channels);
        let width = usize::from(self.job.output.width);
        let stride = usize::from(window.stride_height);
        let back = (KERNEL - usize::from(window.stride_width).min(KERNEL)) * COLUMN_WORDS * 4;
        if usize::from(window.stride_width) > KERNEL {
            return None;
        }
        let mut pairs_done = 0;
        for y in 0..usize::from(self.job.output.height) {
            let top = y * stride;
            let pair = top / 2;
            // The two pairs that this row needs, of which the last row may have left some.
            let mut next = pair.max(pairs_done);
            while next < pair + 2 {
                self.fill_columns(next)?;
                next += 1;
            }
            pairs_done = next;
            let table = tables.get(top % 4)?;
            let start = y * width * depth + self.first;
            // The loop computes a pixel before it looks for the end, which an empty row does not have.
            let last = width.checked_sub(1)?;
            let row = output.get_mut(start..start + last * depth + CHANNELS)?;
            let out = row.as_mut_ptr();
            let end = out.wrapping_add(width * depth);
            let pixels = Pixels { output: out, step: depth, back, end };
            // SAFETY: the columns hold `plan.columns`, which is as many as `width` windows of three columns at this stride meet, and the
            // loop takes three and goes `back` for each. The table has its words. Each pixel writes four bytes, the last the last ones of `row`; the
            // output's end is where the pixel after it would begin, and it is only compared with.
            unsafe {
                th_dsp_depthwise_row(self.columns.as_ptr(), table, &raw const pixels);
            }
        }
        Some(())
    }

    /// Puts pair `number` of padded image rows into its place of the columns.
    fn fill_columns(&mut self, number: usize) -> Option<()> {
        let window = self.job.window;
        let left = usize::from(window.padding_left);
        let width = usize::from(self.job.input.width).min(self.plan.columns.saturating_sub(left));
        if width == 0 {
            return Some(());
        }
        let outside = [self.job.input_zero_point; CHANNELS];
        let (first, second) = self.lines.split_at_mut_checked(self.lines.len() / 2)?;
        let rows = Rows { job: self.job, input: self.input, quad: self.first, width };
        let (upper, upper_step) = rows.row(2 * number, self.multiplier, &outside, first)?;
        let (lower, lower_step) = rows.row(2 * number + 1, self.multiplier, &outside, second)?;
        let place = left * COLUMN_WORDS + number % 2 * CHANNELS;
        let columns = self.columns.get_mut(place..place + (width - 1) * COLUMN_WORDS + CHANNELS)?;
        let columns = columns.as_mut_ptr();
        let end = columns.wrapping_add(width * COLUMN_WORDS);
        // SAFETY: both rows have four bytes at each of `width` places, a step apart, or the same four bytes for all, in the image or in
        // `lines`, which nothing has touched since; `columns`
        // has four words at as many places, a column apart. `width` is at least 1, and the end is only compared with.
        unsafe { th_dsp_depthwise_columns(upper, lower, upper_step, lower_step, columns, end) };
        Some(())
    }
}

/// The rows of the padded image, as four channels of the output read them.
struct Rows<'j, 'a> {
    job: &'j ConvolutionJob<'a>,
    input: &'j [i8],
    /// The first of the channels.
    quad: usize,
    /// Pixels that are read of a row.
    width: usize,
}

impl Rows<'_, '_> {
    /// Where the four bytes of a row's first pixel are, and the distance to the next ones: in the image; or in `line`, where several channels
    /// of the output read one of the input; or `outside`.
    // Inlined, so that the compiler drops what an image without grouped convolutions does not need.
    #[inline(always)]
    fn row(
        &self,
        number: usize,
        multiplier: usize,
        outside: &[i8; CHANNELS],
        line: &mut [i8],
    ) -> Option<(*const i8, usize)> {
        let Shape { height, width, channels } = self.job.input;
        let depth = usize::from(channels);
        let row = number.checked_sub(usize::from(self.job.window.padding_top));
        let Some(row) = row.filter(|&row| row < usize::from(height)) else {
            return Some((outside.as_ptr(), 0));
        };
        let start = row * usize::from(width) * depth;
        if multiplier == 1 {
            let start = start + self.quad;
            let bytes = self.input.get(start..start + (self.width - 1) * depth + CHANNELS)?;
            return Some((bytes.as_ptr(), depth));
        }
        let reads =
            [0, 1, 2, 3].map(|channel| (self.quad + channel).checked_div(multiplier).unwrap_or(0));
        let pixels = self.input.get(start..)?.chunks_exact(depth.max(1));
        let places = line.as_chunks_mut::<CHANNELS>().0.get_mut(..self.width)?;
        for (place, pixel) in places.iter_mut().zip(pixels) {
            for (value, &channel) in place.iter_mut().zip(&reads) {
                *value = *pixel.get(channel)?;
            }
        }
        Some((line.as_ptr(), CHANNELS))
    }
}

/// Two weights in the lanes of a word.
const fn lanes(low: i32, high: i32) -> u32 {
    (low as u32 & 0xFFFF) | (high as u32) << 16
}

/// What the loops do not take: windows of another size, few channels, clamps.
pub(super) fn general(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    Portable.depthwise_convolution_2d(job, input, scratch, output);
}
