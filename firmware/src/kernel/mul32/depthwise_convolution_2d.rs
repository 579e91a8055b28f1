//! Depthwise convolution: a strip of four channels under a row of windows, then one channel after the other.
//!
//! The strip holds, column after column, a word for each row of the window: the activations of four channels, plus 128 so that they
//! load without a sign. The window of an output is then a run of neighbouring words, whatever the image's width, and padding is
//! written like anything else. A channel's weights are words while its row of outputs is computed.

use tinyhero_common::kernel::scratch::QuadStrip;
use tinyhero_common::kernel::{Convolution, Kernels, Portable};

use super::core_loops;
use super::quads::{QUAD, Quads};
use super::rescaled::{RowChannel, clamp};

/// What the strip adds to an activation.
const OFFSET: i32 = 128;
/// The same in every byte of a word.
const OFFSETS: i32 = i32::from_le_bytes([0x80; 4]);

/// The parts of the scratch memory.
struct Memory<'a> {
    /// The weights of four channels, one channel after the other.
    weights: &'a mut [i32],
    /// The sums of a row of outputs.
    sums: &'a mut [i32],
    /// The strip.
    strip: &'a mut [i32],
}

impl<'a> Memory<'a> {
    /// `None` if the scratch memory is too small or does not begin at a whole word.
    fn new(measures: &QuadStrip, scratch: &'a mut [i8]) -> Option<Self> {
        let words = super::words(scratch)?;
        let (weights, rest) = words.split_at_mut_checked(QUAD * measures.taps)?;
        let (sums, rest) = rest.split_at_mut_checked(measures.outputs)?;
        let strip = rest.get_mut(..measures.columns * measures.rows)?;
        Some(Self { weights, sums, strip })
    }
}

pub fn depthwise_convolution_2d(
    job: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let measures = QuadStrip::new(job.window, job.output);
    let Some(memory) = Memory::new(&measures, scratch) else {
        return Portable.depthwise_convolution_2d(job, input, scratch, output);
    };
    let quads = Quads::new(&job.weights);
    let depth = usize::from(job.output.channels);
    let row = usize::from(job.output.width) * depth;
    let step = usize::from(job.window.stride_width) * measures.rows * QUAD;
    if measures.taps == 0 || quads.bytes == 0 || row == 0 {
        return;
    }
    let mut table = job.channels.iter();
    for (quad, packed) in job.weights.bytes.chunks_exact(quads.bytes).enumerate() {
        let first = quad * QUAD;
        let mut channels = [None; QUAD];
        let rows = memory.weights.chunks_exact_mut(measures.taps).enumerate();
        for (channel, (lane, words)) in channels.iter_mut().zip(rows) {
            *channel = table.next().map(|mut entry| {
                let total = unpack(packed, quads.field_bits, lane, words);
                entry.bias = entry.bias.wrapping_sub(total.wrapping_mul(OFFSET));
                RowChannel::new(entry, job.output_zero_point)
            });
        }
        for (y, values) in output.chunks_exact_mut(row).enumerate() {
            fill(memory.strip, &measures, job, input, first, y);
            let rows = memory.weights.chunks_exact(measures.taps);
            for (lane, (channel, weights)) in channels.iter().zip(rows).enumerate() {
                let Some(channel) = channel else { break };
                core_loops::dot_strip(
                    memory.strip,
                    lane,
                    measures.rows,
                    step,
                    weights,
                    memory.sums,
                );
                let values = values.get_mut(first + lane..).unwrap_or(&mut []);
                channel.apply(memory.sums, job.output_zero_point, values, depth);
            }
        }
    }
    clamp(job.activation, output);
}

/// Turns the fields of a quad's channel into weights; returns their sum.
fn unpack(packed: &[u8], field_bits: u32, lane: usize, weights: &mut [i32]) -> i32 {
    let mut total = 0i32;
    let mut put = |weight: &mut i32, field: u32| {
        *weight = (field as i32).wrapping_sub(1 << (field_bits - 1));
        total = total.wrapping_add(*weight);
    };
    if field_bits == 8 {
        let fields = packed.iter().skip(lane).step_by(QUAD);
        for (weight, &field) in weights.iter_mut().zip(fields) {
            put(weight, u32::from(field));
        }
        return total;
    }
    // Halves of words: two bytes of each channel, then the next group.
    let halves = packed.as_chunks::<2>().0.iter().skip(lane).step_by(QUAD);
    let per_half = if field_bits == 4 { 4 } else { 8 };
    for (weights, &half) in weights.chunks_mut(per_half).zip(halves) {
        let mut fields = u32::from(u16::from_le_bytes(half));
        for weight in weights {
            put(weight, fields & ((1 << field_bits) - 1));
            fields >>= field_bits;
        }
    }
    total
}

/// Fills the strip for row `y` of the output and the four channels from `first` on.
fn fill(
    strip: &mut [i32],
    measures: &QuadStrip,
    job: &Convolution<'_>,
    input: &[i8],
    first: usize,
    y: usize,
) {
    let depth = usize::from(job.input.channels);
    let (height, width) = (usize::from(job.input.height), usize::from(job.input.width));
    let before = usize::from(job.window.padding_left).min(measures.columns);
    let inside = (measures.columns - before).min(width);
    let top = y * usize::from(job.window.stride_height);
    let [padding, ..] = job.input_zero_point.to_le_bytes();
    let padding = i32::from_le_bytes([padding; 4]) ^ OFFSETS;
    for row in 0..measures.rows {
        let line = (top + row).wrapping_sub(usize::from(job.window.padding_top));
        // Rows above the image have wrapped to the far end.
        let inside = if line < height { inside } else { 0 };
        let words = strip.get_mut(row..).unwrap_or(&mut []);
        let end = before + inside;
        let edges = words.iter_mut().step_by(measures.rows.max(1)).enumerate();
        for (_, word) in edges.filter(|(column, _)| *column < before || *column >= end) {
            *word = padding;
        }
        let words = words.get_mut(before * measures.rows..).unwrap_or(&mut []);
        let pixels = input.get(line.wrapping_mul(width * depth).wrapping_add(first)..);
        let pixels = pixels.unwrap_or(&[]);
        if inside == 0 || core_loops::copy_quads(pixels, depth, words, measures.rows, inside) {
            continue;
        }
        let words = words.iter_mut().step_by(measures.rows.max(1)).take(inside);
        for (word, pixel) in words.zip(pixels.chunks(depth.max(1))) {
            *word = quad(pixel) ^ OFFSETS;
        }
    }
}

/// The first four activations as a word; what is missing is zero.
fn quad(pixel: &[i8]) -> i32 {
    let mut bytes = [0; QUAD];
    for (byte, &value) in bytes.iter_mut().zip(pixel) {
        *byte = value.cast_unsigned();
    }
    i32::from_le_bytes(bytes)
}
