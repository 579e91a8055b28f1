//! Average pooling, equation (6); global average pooling is a window of the image's size.

use super::Pool;
use super::span::Span;
use crate::requantize::requantize;

pub(super) fn average_pool_2d(job: &Pool, input: &[i8], output: &mut [i8]) {
    let window = job.window;
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
    let zero_point = i32::from(job.input_zero_point);
    let mut values = output.iter_mut();
    for y in 0..usize::from(job.output.height) {
        let rows = Span::new(
            y,
            window.stride_height,
            window.padding_top,
            window.kernel_height,
            usize::from(job.input.height),
        );
        for x in 0..usize::from(job.output.width) {
            let columns =
                Span::new(x, window.stride_width, window.padding_left, window.kernel_width, width);
            for channel in 0..depth {
                let mut sum = 0i32;
                for row in rows.inputs() {
                    for column in columns.inputs() {
                        let place = (row * width + column) * depth + channel;
                        if let Some(&value) = input.get(place) {
                            // Padding is real zero and adds nothing once the zero point is taken off.
                            sum = sum.wrapping_add(i32::from(value) - zero_point);
                        }
                    }
                }
                if let Some(value) = values.next() {
                    *value = requantize(sum, job.rescale, job.output_zero_point, job.activation);
                }
            }
        }
    }
}
