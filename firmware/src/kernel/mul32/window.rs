//! The pieces of a window: runs of neighbouring activations, and padding.

use tinyhero_common::kernel::Convolution;

/// A stretch of a window in the order of its weights.
pub enum Piece<'a> {
    /// Activations of the input.
    Inside(&'a [i8]),
    /// That many times the input's zero point.
    Padding(usize),
}

/// Calls `take` with the pieces of the window of output pixel `(y, x)`, all input channels.
#[inline(always)]
pub fn pieces<'a>(
    job: &Convolution<'_>,
    input: &'a [i8],
    y: usize,
    x: usize,
    mut take: impl FnMut(Piece<'a>),
) {
    let window = job.window;
    let (height, width) = (usize::from(job.input.height), usize::from(job.input.width));
    let depth = usize::from(job.input.channels);
    let columns = usize::from(window.kernel_width);
    let top = y * usize::from(window.stride_height);
    let start = x * usize::from(window.stride_width);
    let padding = usize::from(window.padding_left);
    // Taps left of the image, then those inside it.
    let before = padding.saturating_sub(start).min(columns);
    let first = start.saturating_sub(padding);
    let inside = (columns - before).min(width.saturating_sub(first));
    let after = columns - before - inside;
    for tap in 0..usize::from(window.kernel_height) {
        let row = (top + tap).wrapping_sub(usize::from(window.padding_top));
        // Rows above the image have wrapped to the far end.
        let line = if row < height {
            input.get((row * width + first) * depth..).and_then(|rest| rest.get(..inside * depth))
        } else {
            None
        };
        match line {
            Some(line) => {
                if before > 0 {
                    take(Piece::Padding(before * depth));
                }
                take(Piece::Inside(line));
                if after > 0 {
                    take(Piece::Padding(after * depth));
                }
            }
            None => take(Piece::Padding(columns * depth)),
        }
    }
}
