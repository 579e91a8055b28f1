//! Global average pooling, four channels at a time.

use tinyhero_common::operator::PoolJob;
use tinyhero_common::requantize::requantize_apart;

/// Channels that are summed together.
const CHANNELS: usize = 4;
/// Most pixels of which lanes of 16 bits hold the sum: `256 · 128 = 2^15`.
const MOST_PIXELS: usize = 256;

// SAFETY: the symbol is that of `average_pool_2d.s`, with its calling convention.
unsafe extern "C" {
    fn th_dsp_sum_pixels(first: *const i8, step: usize, pixels: usize, sums: *mut [i32; CHANNELS]);
}

/// `None`, with the output undefined, if the window is not the whole image or has too many pixels or too few channels.
pub(super) fn average_pool_2d(job: &PoolJob, input: &[i8], output: &mut [i8]) -> Option<()> {
    let window = job.window;
    let depth = usize::from(job.input.channels);
    let pixels = job.input.pixels();
    let global = u16::from(window.kernel_height) == job.input.height
        && u16::from(window.kernel_width) == job.input.width
        && (window.padding_top, window.padding_left) == (0, 0)
        && job.output.pixels() == 1;
    if !global || pixels == 0 || pixels > MOST_PIXELS || depth < CHANNELS {
        return None;
    }
    let offset = i32::from(job.input_zero_point).wrapping_mul(pixels as i32);
    let mut next = 0;
    while next < depth {
        // The last four channels overlap those before, which get the same values again.
        let first = next.min(depth - CHANNELS);
        let values = input.get(first..first + (pixels - 1) * depth + CHANNELS)?;
        // They stand in the order in which the lanes part them: channels 0, 1, 2, 3.
        let mut sums = [0; CHANNELS];
        // SAFETY: each of `pixels` pixels, at least one, has four bytes in `values`, `depth` apart; loads of words need no alignment.
        unsafe { th_dsp_sum_pixels(values.as_ptr(), depth, pixels, &raw mut sums) };
        for (value, sum) in output.get_mut(first..first + CHANNELS)?.iter_mut().zip(sums) {
            let sum = sum.wrapping_sub(offset);
            *value = requantize_apart(sum, job.rescale, job.output_zero_point, job.activation);
        }
        next = first + CHANNELS;
    }
    Some(())
}
