//! Full convolutions: four pixels by two output channels at a time.
//!
//! A step of the inner loop brings 16 weights of both channels and 16 activations of each of the four pixels, and `VMLADAVA` adds 16
//! products to each of eight sums in the even general-purpose registers: 14 instructions for 128 multiply-accumulates. Narrow weights take
//! one instruction more (4 bits) or two (2 bits), since what unpacks them serves four pixels. The sums never leave the registers before
//! they are outputs.
//!
//! Requantize, equation (2), is `VQDMULH` by `m · 2^15`, which gives `floor(acc · m / 2^16)`, then `VRSHL` by `−s`, which adds half and
//! shifts. Where some shift of the layer is below 1 a second set of routines first moves the sums left, as the equation says. It then adds
//! the zero point and clamps in 16-bit lanes, of which two channels of four pixels make eight.

use core::mem::offset_of;

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::layout::Layout;
use tinyhero_common::layout::vector_pairs::{QUAD, Strips, pair_bytes, unit};
use tinyhero_common::operator::ConvolutionJob;

use super::Table;
use super::lines::{copy_lines, fill};
use crate::kernel::offsets::{assert_offsets, assert_words, equ};

core::arch::global_asm!(include_str!("convolution.s"), options(raw));

/// Longest padded row whose sums cannot overflow while they stand 16-fold: `16 · 8 · 128 · 2^16 = 2^30`.
const LONGEST_ROW: usize = 1 << 16;

/// What a routine computes: `quads` times four pixels of `pairs` pairs of output channels. The routine counts in it.
///
/// The pixel of quad `q` and number `i` begins at `pixels + q · (delta + units · unit) + offset(i)`, where `offset(0)` is 0, and the routine reads
/// `units · unit` bytes from there. Its outputs go to `output + 2 · pair + q · output_step + lane(i)`; they are 16-bit lanes of byte offsets, the two
/// channels of each pixel side by side, of which `mask` says which are written.
#[repr(C)]
struct Job {
    pixels: *const i8,
    offsets: [usize; 3],
    delta: usize,
    units: usize,
    weights: *const u8,
    pair_bytes: usize,
    table: Table,
    pairs: usize,
    output: *mut i8,
    output_step: usize,
    output_span: usize,
    zero_point: i32,
    activation_min: i32,
    activation_max: i32,
    mask: u32,
    lanes: [u32; 4],
}

assert_offsets!(
    "convolution.s", Job, ".Lconvolution_":
    "delta" = delta,
    "units" = units,
    "weights" = weights,
    "pair_bytes" = pair_bytes,
    "biases" = table.biases,
    "multipliers" = table.multipliers,
    "shifts" = table.shifts,
    "pairs" = pairs,
    "output" = output,
    "output_step" = output_step,
    "output_span" = output_span,
    "zero_point" = zero_point,
    "activation_max" = activation_max,
    "lanes" = lanes,
);
// The pixels and the three offsets are loaded two by two.
assert_words!(Job: pixels, offsets);
const _: () = assert!(
    equ(include_str!("convolution.s"), ".Lconvolution_second_offset")
        == offset_of!(Job, offsets) + size_of::<usize>()
        && offset_of!(Job, delta) == offset_of!(Job, offsets) + 3 * size_of::<usize>()
        && offset_of!(Job, activation_min) == offset_of!(Job, zero_point) + 4
        && offset_of!(Job, mask) == offset_of!(Job, activation_max) + 4
);

// SAFETY: `convolution.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_convolution_8(job: *mut Job);
    fn tinyhero_helium_convolution_4(job: *mut Job);
    fn tinyhero_helium_convolution_2(job: *mut Job);
    fn tinyhero_helium_convolution_8_left(job: *mut Job);
    fn tinyhero_helium_convolution_4_left(job: *mut Job);
    fn tinyhero_helium_convolution_2_left(job: *mut Job);
}

/// A routine for one width; it reads and writes what [`Job`] says.
type Routine = unsafe extern "C" fn(*mut Job);

/// Predicates of the output's lanes: both channels, and the even one alone.
const BOTH_CHANNELS: u32 = 0xFFFF;
const EVEN_CHANNEL: u32 = 0x3333;

/// `None`, with the output in an undefined state, for jobs that these kernels do not take.
pub(super) fn convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let (width, height) = (usize::from(job.output.width), usize::from(job.output.height));
    let strips = Strips::new(job.window, job.weights.bit_width, job.input, job.output);
    let strip = scratch.get_mut(..strips.bytes)?;
    let layer = Layer::new(job, strips, output.len())?;
    let depth = usize::from(job.output.channels);
    if strips.direct {
        let [step_y, step_x] = [job.window.stride_height, job.window.stride_width].map(usize::from);
        let channels = usize::from(job.input.channels);
        if [step_y, step_x] == [1, 1] && job.output.width == job.input.width {
            // Every row begins where the one before ends.
            return layer.in_place(input, channels, width * height, output, depth, strip);
        }
        let (mut rows, mut values) = (input, output);
        for y in 0..height {
            if y > 0 {
                rows = rows.get(step_y * usize::from(job.input.width) * channels..)?;
                values = values.get_mut(width * depth..)?;
            }
            layer.in_place(rows, step_x * channels, width, values, depth, strip)?;
        }
        return Some(());
    }
    let stride = usize::from(job.window.stride_height) * strips.line;
    for x in 0..width {
        let mut y = 0;
        while y < height {
            // The last strip takes the last pixels that fill it, some of them once more.
            y = y.min(height - strips.pixels);
            copy_strip(job, strips, input, strip, y, x)?;
            let values = output.get_mut((y * width + x) * depth..)?;
            layer.run(strip, stride, strips.pixels, values, width * depth)?;
            y += strips.pixels;
        }
    }
    Some(())
}

/// Copies what the windows of `strips.pixels` output pixels from `(y, x)` downwards read.
fn copy_strip(
    job: &ConvolutionJob<'_>,
    strips: Strips,
    input: &[i8],
    strip: &mut [i8],
    y: usize,
    x: usize,
) -> Option<()> {
    let window = job.window;
    let [kernel_height, kernel_width] =
        [window.kernel_height, window.kernel_width].map(usize::from);
    let [stride_height, stride_width] =
        [window.stride_height, window.stride_width].map(usize::from);
    let [top, left] = [window.padding_top, window.padding_left].map(usize::from);
    let (height, width) = (usize::from(job.input.height), usize::from(job.input.width));
    let channels = usize::from(job.input.channels);

    let lines = (strips.pixels - 1) * stride_height + kernel_height;
    let strip = strip.get_mut(..lines * strips.line)?;
    let first = top.saturating_sub(y * stride_height).min(lines);
    let end = (height + top).saturating_sub(y * stride_height).min(lines).max(first);
    let first_column = left.saturating_sub(x * stride_width).min(kernel_width);
    let end_column =
        (width + left).saturating_sub(x * stride_width).min(kernel_width).max(first_column);
    let row = (y * stride_height + first).saturating_sub(top);
    let column = (x * stride_width + first_column).saturating_sub(left);
    let source = input.get((row * width + column) * channels..)?;
    let step = width * channels;

    let (above, rest) = strip.split_at_mut_checked(first * strips.line)?;
    let (inside, below) = rest.split_at_mut_checked((end - first) * strips.line)?;
    fill(above, job.input_zero_point);
    fill(below, job.input_zero_point);
    let bytes = (end_column - first_column) * channels;
    if bytes == strips.line {
        return copy_lines(inside, source, end - first, bytes, step);
    }
    fill(inside, job.input_zero_point);
    let mut source = source;
    for (number, line) in inside.chunks_exact_mut(strips.line.max(1)).enumerate() {
        if number > 0 {
            source = source.get(step..)?;
        }
        copy_lines(line.get_mut(first_column * channels..)?, source, 1, bytes, step)?;
    }
    Some(())
}

/// What all calls for one layer have in common.
struct Layer<'a, 'j> {
    job: &'a ConvolutionJob<'j>,
    routine: Routine,
    table: Table,
    pair_bytes: usize,
    units: usize,
    depth: usize,
}

impl<'a, 'j> Layer<'a, 'j> {
    fn new(job: &'a ConvolutionJob<'j>, strips: Strips, output: usize) -> Option<Self> {
        let weights = job.weights;
        let channels = usize::from(job.output.channels);
        let pair_bytes = pair_bytes(weights.bit_width, weights.row_length);
        let fits = weights.layout == Layout::VectorPairs
            && (1..=LONGEST_ROW).contains(&strips.depth)
            && weights.bytes.len() == pair_bytes.checked_mul(channels.div_ceil(2))?
            && output == job.output.elements()
            && channels > 0;
        if !fits {
            return None;
        }
        let table = Table::new(job.channels, channels)?;
        let (_, _, shifts) = job.channels.parts();
        let left = shifts.iter().any(|shift| shift.cast_signed() < 1);
        let routine: Routine = match (field_bits(weights.bit_width), left) {
            (2, false) => tinyhero_helium_convolution_2,
            (2, true) => tinyhero_helium_convolution_2_left,
            (4, false) => tinyhero_helium_convolution_4,
            (4, true) => tinyhero_helium_convolution_4_left,
            (_, false) => tinyhero_helium_convolution_8,
            (_, true) => tinyhero_helium_convolution_8_left,
        };
        let units = strips.depth.checked_div(unit(weights.bit_width))?;
        Some(Self { job, routine, table, pair_bytes, units, depth: strips.depth })
    }

    /// As [`Layer::run`], for pixels that lie in the input itself. The padding of the last ones' rows would read beyond it: these are
    /// copied to `room` first.
    fn in_place(
        &self,
        pixels: &[i8],
        step: usize,
        count: usize,
        output: &mut [i8],
        output_step: usize,
        room: &mut [i8],
    ) -> Option<()> {
        let within = match pixels.len().checked_sub(self.depth) {
            Some(last) => count.min(last.checked_div(step)? + 1),
            None => 0,
        };
        if within > 0 {
            self.run(pixels, step, within, output, output_step)?;
        }
        if within == count {
            return Some(());
        }
        let bytes = (count - within - 1) * step + usize::from(self.job.input.channels);
        copy_lines(room, pixels.get(within * step..)?, 1, bytes, 0)?;
        let output = output.get_mut(within * output_step..)?;
        self.run(room, step, count - within, output, output_step)
    }

    /// Computes all channels of `count` pixels, whose windows begin `step` bytes after one another in `pixels` and whose outputs begin
    /// `output_step` bytes after one another in `output`.
    fn run(
        &self,
        pixels: &[i8],
        step: usize,
        count: usize,
        output: &mut [i8],
        output_step: usize,
    ) -> Option<()> {
        let quads = count / QUAD;
        if quads > 0 {
            self.quads(pixels, [step, 2 * step, 3 * step], quads, output, output_step)?;
        }
        let rest = count % QUAD;
        if rest == 0 {
            return Some(());
        }
        // The last four pixels, or where there are fewer the last one several times.
        let first = count.saturating_sub(QUAD);
        let last = count - first - 1;
        let pixels = pixels.get(first * step..)?;
        let output = output.get_mut(first * output_step..)?;
        let offsets = [1, 2, 3].map(|number: usize| number.min(last) * step);
        self.tail(pixels, offsets, output, output_step, last)
    }

    /// Computes `quads` times four pixels.
    fn quads(
        &self,
        pixels: &[i8],
        offsets: [usize; 3],
        quads: usize,
        output: &mut [i8],
        output_step: usize,
    ) -> Option<()> {
        let [step, _, _] = offsets;
        let lanes = [0, output_step, 2 * output_step, 3 * output_step];
        self.call(pixels, offsets, QUAD * step, quads, output, lanes, QUAD * output_step)
    }

    /// Computes four pixels, of which those after number `last` are that one again.
    fn tail(
        &self,
        pixels: &[i8],
        offsets: [usize; 3],
        output: &mut [i8],
        output_step: usize,
        last: usize,
    ) -> Option<()> {
        let lanes = [0, 1, 2, 3].map(|number: usize| number.min(last) * output_step);
        self.call(pixels, offsets, 0, 1, output, lanes, QUAD * output_step)
    }

    /// Checks every offset that the routine will form, then calls it: for all whole pairs, and for an odd last channel.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are what a job is made of, checked together in one place"
    )]
    fn call(
        &self,
        pixels: &[i8],
        offsets: [usize; 3],
        step: usize,
        quads: usize,
        output: &mut [i8],
        lanes: [usize; 4],
        output_step: usize,
    ) -> Option<()> {
        let channels = usize::from(self.job.output.channels);
        let [_, _, farthest] = offsets;
        let [_, _, _, last_lane] = lanes;
        let pixels_end =
            (quads - 1).checked_mul(step)?.checked_add(farthest)?.checked_add(self.depth)?;
        let output_end = (quads - 1).checked_mul(output_step)?.checked_add(last_lane)?;
        // Lanes are 16-bit offsets, and the odd channel's is one more.
        let fits = pixels_end <= pixels.len()
            && output_end.checked_add(channels)? <= output.len()
            && last_lane < usize::from(u16::MAX);
        if !fits {
            return None;
        }
        let mut job = Job {
            pixels: pixels.as_ptr(),
            offsets,
            delta: step.wrapping_sub(self.depth),
            units: self.units,
            weights: self.job.weights.bytes.as_ptr(),
            pair_bytes: self.pair_bytes,
            table: self.table,
            pairs: channels / 2,
            output: output.as_mut_ptr(),
            output_step,
            output_span: quads * output_step,
            zero_point: self.job.output_zero_point.into(),
            activation_min: self.job.activation.min.into(),
            activation_max: self.job.activation.max.into(),
            mask: BOTH_CHANNELS,
            lanes: lanes.map(|lane| lane as u32 * 0x1_0001 + 0x1_0000),
        };
        if job.pairs > 0 {
            // SAFETY: `farthest` and `last_lane` are the largest of their arrays, so the checks above bound every read of pixels and
            // every write. Weights: `pairs · pair_bytes` bytes, which `new` has compared with the slice; `units` units of a pair are
            // `pair_bytes` bytes. The table has entries for all channels. The job lives until the routine returns.
            unsafe { (self.routine)(&raw mut job) };
        }
        if channels % 2 == 1 {
            self.odd_channel(job)?;
        }
        Some(())
    }

    /// The last channel where their number is odd: a pair whose second half is computed but not written.
    fn odd_channel(&self, job: Job) -> Option<()> {
        let last = usize::from(self.job.output.channels) - 1;
        let channel = self.job.channels.iter().last()?;
        let biases = [channel.bias; 2];
        let multipliers = [channel.rescale.multiplier; 2];
        let shifts = [channel.rescale.shift; 2];
        let mut job = Job {
            weights: self.job.weights.bytes.get(last / 2 * self.pair_bytes..)?.as_ptr(),
            table: Table {
                biases: biases.as_ptr().cast(),
                multipliers: multipliers.as_ptr().cast(),
                shifts: shifts.as_ptr().cast(),
            },
            pairs: 1,
            mask: EVEN_CHANNEL,
            ..job
        };
        // SAFETY: as in `call`, with one pair, whose weights the layout completes with zeros, and a table for two channels. `job.output` has
        // been moved past the whole pairs, to the last channel; the mask keeps the lanes of the channel after it from being written.
        unsafe { (self.routine)(&raw mut job) };
        Some(())
    }
}
