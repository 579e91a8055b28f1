//! Max pooling, equation (7).

use super::Pool;
use super::span::Span;

pub(super) fn max_pool_2d(job: &Pool, input: &[i8], output: &mut [i8]) {
    let window = job.window;
    let width = usize::from(job.input.width);
    let depth = usize::from(job.input.channels);
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
                let mut largest = i8::MIN;
                for row in rows.inputs() {
                    for column in columns.inputs() {
                        let place = (row * width + column) * depth + channel;
                        if let Some(&value) = input.get(place) {
                            largest = largest.max(value);
                        }
                    }
                }
                if let Some(value) = values.next() {
                    *value = job.activation.saturate(i32::from(largest));
                }
            }
        }
    }
}
