//! Average pooling, equation (6), sixteen channels at a time; global average pooling is a window of the image's size.

use tinyhero_common::operator::PoolJob;

use crate::kernel::offsets::{assert_offsets, assert_words};

core::arch::global_asm!(include_str!("average_pool.s"), options(raw));

/// One output pixel: `rows` rows of `columns` input pixels from `input` on. The routine counts in it.
#[repr(C)]
struct Job {
    input: *const i8,
    output: *mut i8,
    channels: usize,
    rows: usize,
    columns: usize,
    /// From an input pixel to its right neighbour.
    step: usize,
    /// From behind the last pixel of a row to the first of the next.
    gap: usize,
    /// What the zero point of the input takes off.
    constant: i32,
    multiplier: i32,
    left: i32,
    right: i32,
    zero_point: i32,
    activation_min: i32,
    activation_max: i32,
}

assert_offsets!(
    "average_pool.s", Job, ".Lpool_job_":
    "channels" = channels,
    "rows" = rows,
    "columns" = columns,
    "step" = step,
    "gap" = gap,
    "constant" = constant,
    "activation_min" = activation_min,
);
assert_words!(
    Job: input, output, channels, rows, columns, step, gap, constant, multiplier, left, right,
    zero_point, activation_min, activation_max
);

// SAFETY: `average_pool.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_average_pool(job: *mut Job);
}

/// The input positions that a window meets along one axis: the first, and how many.
fn span(position: usize, stride: u8, padding: u8, kernel: u8, extent: usize) -> (usize, usize) {
    let start = position * usize::from(stride);
    let end = (start + usize::from(kernel)).saturating_sub(padding.into()).min(extent);
    let start = start.saturating_sub(padding.into());
    (start, end.saturating_sub(start))
}

pub(super) fn average_pool_2d(job: &PoolJob, input: &[i8], output: &mut [i8]) {
    let window = job.window;
    let channels = usize::from(job.input.channels);
    let (height, width) = (usize::from(job.input.height), usize::from(job.input.width));
    let shift = i32::from(job.rescale.shift);
    let left = (1 - shift).max(0);
    let mut outputs = output.chunks_exact_mut(channels.max(1));
    for y in 0..usize::from(job.output.height) {
        let (row, rows) =
            span(y, window.stride_height, window.padding_top, window.kernel_height, height);
        for x in 0..usize::from(job.output.width) {
            let (column, columns) =
                span(x, window.stride_width, window.padding_left, window.kernel_width, width);
            let first = (row * width + column) * channels;
            let end = first + ((rows.max(1) - 1) * width + columns) * channels;
            let (Some(values), Some(pixel)) = (input.get(first..end), outputs.next()) else {
                return;
            };
            // A valid window has a tap inside the image; the routine's loops run at least once.
            if rows == 0 || columns == 0 {
                return;
            }
            let mut call = Job {
                input: values.as_ptr(),
                output: pixel.as_mut_ptr(),
                channels,
                rows,
                columns,
                step: channels,
                gap: (width - columns) * channels,
                constant: ((rows * columns) as i32).wrapping_mul(-i32::from(job.input_zero_point)),
                multiplier: i32::from(job.rescale.multiplier) << 15,
                left,
                right: -(shift + left),
                zero_point: job.output_zero_point.into(),
                activation_min: job.activation.min.into(),
                activation_max: job.activation.max.into(),
            };
            // SAFETY: the routine reads `channels` bytes at each of `columns` pixels of `rows` rows, all within `values`, and
            // writes `channels` bytes, which `pixel` has; fewer than sixteen are predicated. Neither `rows` nor `columns` is 0.
            unsafe { tinyhero_helium_average_pool(&raw mut call) };
        }
    }
}
