//! Depthwise convolution: four channels at a time, row by row of the output.

use tinyhero_common::layout::field_quads::QuadStrip;
use tinyhero_common::operator::ConvolutionJob;
use tinyhero_common::requantize::{Rescale, requantize};

use super::core_loops::strip::OFFSET;
use super::quads::{QUAD, Quads};
use super::rescaled::{Rescaled, clamp, is_readable, left_shift};
use super::strip::Strip;

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

/// `None`, with the output undefined, if the layer's layout or memory is not what the loops take.
#[inline(never)]
pub fn depthwise_convolution_2d(
    job: &ConvolutionJob<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) -> Option<()> {
    let depth = usize::from(job.output.channels);
    let measures = QuadStrip::new(job.window, job.output);
    let quads = Quads::new(&job.weights, depth)?;
    let Memory { weights, sums, strip } = Memory::new(&measures, scratch)?;
    let row = (usize::from(job.output.width) * depth).max(1);
    let taps = measures.taps.max(1);
    let readable = is_readable(job.channels, depth);
    let mut strip = Strip::new(job, measures, strip);
    let mut table = job.channels.iter();
    for (quad, packed) in quads.iter().enumerate() {
        let first = quad * QUAD;
        let mut rescaled = [Rescaled::default(); QUAD];
        let mut channels = [None; QUAD];
        let lanes = weights.chunks_exact_mut(taps).enumerate();
        for (((lane, words), rescaled), entry) in lanes.zip(&mut rescaled).zip(&mut channels) {
            *entry = table.next();
            if let Some(channel) = *entry {
                let total = unpack(packed, quads.field_bits, lane, left_shift(channel), words);
                let excess = total.wrapping_mul(OFFSET);
                *rescaled = Rescaled::new(channel, job.output_zero_point, excess);
            }
        }
        let count = (depth - first).min(QUAD);
        let rescaled = rescaled.get(..count).unwrap_or(&[]);
        for (y, values) in output.chunks_exact_mut(row).enumerate() {
            strip.fill(job, input, first, y);
            let values = values.get_mut(first..).unwrap_or(&mut []);
            if readable && strip.three_by_three(weights, rescaled, sums, values, depth) {
                continue;
            }
            for (lane, (channel, weights)) in
                channels.iter().zip(weights.chunks_exact(taps)).enumerate()
            {
                let Some(channel) = channel else { break };
                strip.sums(lane, weights, sums);
                let values = values.get_mut(lane..).unwrap_or(&mut []);
                for (value, &sum) in values.iter_mut().step_by(depth.max(1)).zip(sums.iter()) {
                    let bias = channel.bias.wrapping_shl(left_shift(*channel));
                    let sum = sum.wrapping_add(bias);
                    let shift = channel.rescale.shift.max(1);
                    let rescale = Rescale { shift, ..channel.rescale };
                    *value = requantize(sum, rescale, job.output_zero_point, job.activation);
                }
            }
        }
    }
    clamp(job.activation, output);
    Some(())
}

/// Turns the fields of a quad's channel into weights, `left` bits to the left; returns their sum.
fn unpack(packed: &[u8], field_bits: u32, lane: usize, left: u32, weights: &mut [i32]) -> i32 {
    let mut total = 0i32;
    let mut put = |weight: &mut i32, field: u32| {
        *weight = (field as i32).wrapping_sub(1 << (field_bits - 1)).wrapping_shl(left);
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
