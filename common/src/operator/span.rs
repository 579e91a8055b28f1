//! Which taps of a sliding window meet the image, along one axis.

use crate::shape::{Shape, Window};

/// The taps `first_tap .. end_tap` of a window meet the image; the first of them reads `first_input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub first_tap: usize,
    pub end_tap: usize,
    pub first_input: usize,
}

impl Span {
    /// The window at output `position` of an axis: `kernel` taps, the image `extent` long.
    #[inline(always)]
    pub const fn new(position: usize, stride: u8, padding: u8, kernel: u8, extent: usize) -> Self {
        let start = position * stride as usize;
        let padding = padding as usize;
        let first_tap = padding.saturating_sub(start);
        let first_input = start.saturating_sub(padding);
        let room = first_tap + extent.saturating_sub(first_input);
        let kernel = kernel as usize;
        Self { first_tap, end_tap: if kernel < room { kernel } else { room }, first_input }
    }

    /// The rows and the columns of an output pixel's window.
    // Called where few instructions count, from many places.
    #[inline(never)]
    pub fn both(window: &Window, input: Shape, [y, x]: [usize; 2]) -> [Self; 2] {
        let Window { kernel_height, stride_height, padding_top, .. } = *window;
        let Window { kernel_width, stride_width, padding_left, .. } = *window;
        [
            Self::new(y, stride_height, padding_top, kernel_height, usize::from(input.height)),
            Self::new(x, stride_width, padding_left, kernel_width, usize::from(input.width)),
        ]
    }

    /// The input coordinates that the taps read.
    #[inline(always)]
    pub const fn inputs(self) -> core::ops::Range<usize> {
        self.first_input..self.first_input + self.end_tap.saturating_sub(self.first_tap)
    }
}

#[cfg(test)]
mod tests {
    use super::Span;
    use std::vec::Vec;

    #[test]
    fn a_span_holds_exactly_the_taps_inside_the_image() {
        for extent in 1..7usize {
            for kernel in 1..6u8 {
                for stride in 1..4u8 {
                    for padding in 0..kernel {
                        for position in 0..8usize {
                            let inside = |tap: &i64| {
                                let start = position as i64 * i64::from(stride);
                                (0..extent as i64).contains(&(start + tap - i64::from(padding)))
                            };
                            let taps: Vec<i64> = (0..i64::from(kernel)).filter(inside).collect();
                            let span = Span::new(position, stride, padding, kernel, extent);
                            let got: Vec<i64> =
                                (span.first_tap..span.end_tap).map(|tap| tap as i64).collect();
                            assert_eq!(taps, got);
                            assert_eq!(span.inputs().len(), taps.len());
                        }
                    }
                }
            }
        }
    }
}
