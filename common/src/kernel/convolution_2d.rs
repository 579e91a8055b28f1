//! Convolution over all input channels, equation (3).
//!
//! Output channels are the outermost loop, so that each weight row is unpacked once and serves every pixel. Within a
//! window row the taps read neighbouring bytes of the input (HWC), so the inner loop is one dot product a window row.

use super::span::Span;
use super::{Convolution, requantize_channel};

pub(super) fn convolution_2d(
    job: &Convolution<'_>,
    input: &[i8],
    scratch: &mut [i8],
    output: &mut [i8],
) {
    let Some(row) = scratch.get_mut(..job.weights.row_length) else { return };
    for (index, channel) in job.channels.iter().enumerate() {
        job.weights.unpack(index, 0, row);
        let mut place = index;
        for y in 0..usize::from(job.output.height) {
            for x in 0..usize::from(job.output.width) {
                let sum = channel.bias.wrapping_add(window_sum(job, row, input, y, x));
                if let Some(value) = output.get_mut(place) {
                    *value = requantize_channel(job, sum, channel.rescale);
                }
                place += usize::from(job.output.channels);
            }
        }
    }
}

/// `Σ w · x` over the window of output pixel `(y, x)`, padding included.
#[inline(always)]
fn window_sum(job: &Convolution<'_>, row: &[i8], input: &[i8], y: usize, x: usize) -> i32 {
    let window = job.window;
    let width = usize::from(job.input.width);
    let height = usize::from(job.input.height);
    let depth = usize::from(job.input.channels);
    let rows = Span::new(y, window.stride_height, window.padding_top, window.kernel_height, height);
    let columns =
        Span::new(x, window.stride_width, window.padding_left, window.kernel_width, width);
    let line_length = usize::from(window.kernel_width) * depth;
    let before = columns.first_tap * depth;
    let inside = columns.inputs().len() * depth;

    let mut sum = 0i32;
    let mut padded = 0i32;
    let mut rest = row;
    for tap in 0..usize::from(window.kernel_height) {
        let Some((line, tail)) = rest.split_at_checked(line_length) else { break };
        rest = tail;
        if tap < rows.first_tap || tap >= rows.end_tap {
            padded = padded.wrapping_add(total(line));
            continue;
        }
        let pixel = (rows.first_input + tap - rows.first_tap) * width + columns.first_input;
        let Some((left, line)) = line.split_at_checked(before) else { break };
        let Some((middle, right)) = line.split_at_checked(inside) else { break };
        let Some((_, values)) = input.split_at_checked(pixel * depth) else { break };
        sum = sum.wrapping_add(dot(middle, values));
        padded = padded.wrapping_add(total(left)).wrapping_add(total(right));
    }
    sum.wrapping_add(padded.wrapping_mul(i32::from(job.input_zero_point)))
}

/// `Σ w · x` over as many pairs as the shorter slice has.
#[inline(always)]
pub(super) fn dot(weights: &[i8], values: &[i8]) -> i32 {
    let mut sum = 0i32;
    for (&weight, &value) in weights.iter().zip(values) {
        sum = sum.wrapping_add(i32::from(weight) * i32::from(value));
    }
    sum
}

/// `Σ w`.
#[inline(always)]
fn total(weights: &[i8]) -> i32 {
    let mut sum = 0i32;
    for &weight in weights {
        sum = sum.wrapping_add(i32::from(weight));
    }
    sum
}
