//! Equations (6) and (7), all channels of a pixel side by side.

use tinyhero_common::operator::{MaxPool2dJob, PoolJob};
use tinyhero_common::requantize::requantize;
use tinyhero_common::shape::{Shape, Window};

use crate::vectors::{Vectors, Work};

/// The rows or columns of the image that a window meets.
fn inside(
    position: usize,
    stride: u8,
    padding: u8,
    kernel: u8,
    extent: u16,
) -> std::ops::Range<usize> {
    let start = position * usize::from(stride);
    let padding = usize::from(padding);
    let end = (start + usize::from(kernel)).saturating_sub(padding).min(extent.into());
    start.saturating_sub(padding)..end
}

/// Windows over an image.
struct Windows {
    input: Shape,
    output: Shape,
    window: Window,
}

/// Calls `each` with the number of every output pixel, and the rows and columns that its window meets.
#[inline(always)]
fn for_each_window(
    windows: &Windows,
    mut each: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>),
) {
    let Windows { input, output, window } = *windows;
    let width = usize::from(output.width);
    for y in 0..usize::from(output.height) {
        let (kernel, stride) = (window.kernel_height, window.stride_height);
        let rows = inside(y, stride, window.padding_top, kernel, input.height);
        for x in 0..width {
            let (kernel, stride) = (window.kernel_width, window.stride_width);
            let columns = inside(x, stride, window.padding_left, kernel, input.width);
            each(y * width + x, rows.clone(), columns);
        }
    }
}

/// The pixels of a part of the image.
#[inline(always)]
fn pixels<'a>(
    windows: &Windows,
    input: &'a [i8],
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> impl Iterator<Item = &'a [i8]> {
    let depth = usize::from(windows.input.channels).max(1);
    let width = usize::from(windows.input.width);
    rows.flat_map(move |row| {
        let line = (row * width + columns.start) * depth..(row * width + columns.end) * depth;
        input.get(line).unwrap_or(&[]).chunks_exact(depth)
    })
}

/// Equation (6), ready to run.
pub struct Average<'a> {
    /// The layer.
    pub job: &'a PoolJob,
    /// Its input.
    pub input: &'a [i8],
    /// Its output.
    pub output: &'a mut [i8],
    /// Room for the sums of a pixel.
    pub sums: &'a mut Vec<i32>,
}

/// Equation (7), ready to run.
pub struct Maximum<'a> {
    /// The layer.
    pub job: &'a MaxPool2dJob,
    /// Its input.
    pub input: &'a [i8],
    /// Its output.
    pub output: &'a mut [i8],
}

impl Work for Average<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _vectors: V) {
        average(self.job, self.input, self.output, self.sums);
    }
}

impl Work for Maximum<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, _vectors: V) {
        maximum(self.job, self.input, self.output);
    }
}

#[inline(always)]
fn average(job: &PoolJob, input: &[i8], output: &mut [i8], sums: &mut Vec<i32>) {
    let depth = usize::from(job.input.channels);
    let windows = Windows { input: job.input, output: job.output, window: job.window };
    for_each_window(&windows, |number, rows, columns| {
        let Some(output) = output.get_mut(number * depth..(number + 1) * depth) else { return };
        // Padding is real zero and adds nothing once the zero point is taken off.
        let count = (rows.len() * columns.len()) as i32;
        let zeros = count.wrapping_mul(i32::from(job.input_zero_point));
        sums.clear();
        sums.resize(depth, zeros.wrapping_neg());
        for pixel in pixels(&windows, input, rows, columns) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum = sum.wrapping_add(i32::from(value));
            }
        }
        for (value, &sum) in output.iter_mut().zip(&*sums) {
            *value = requantize(sum, job.rescale, job.output_zero_point, job.activation);
        }
    });
}

#[inline(always)]
fn maximum(job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
    let depth = usize::from(job.input.channels);
    let windows = Windows { input: job.input, output: job.output, window: job.window };
    for_each_window(&windows, |number, rows, columns| {
        let Some(output) = output.get_mut(number * depth..(number + 1) * depth) else { return };
        output.fill(i8::MIN);
        for pixel in pixels(&windows, input, rows, columns) {
            for (value, &other) in output.iter_mut().zip(pixel) {
                *value = (*value).max(other);
            }
        }
        for value in output {
            *value = (*value).clamp(job.activation.min, job.activation.max);
        }
    });
}
