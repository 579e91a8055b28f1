//! Sliding windows over real images.

use tinyhero_common::shape::{Shape, Window};

/// Where the taps of a window lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taps {
    /// So many rows and columns from one to the next.
    Apart([u8; 2]),
    /// Those of a transposed convolution: strides are the output's, and an output meets the taps that some input pixel brings to it.
    Upward,
}

impl Taps {
    /// One beside the other.
    pub const DENSE: Self = Self::Apart([1, 1]);
}

/// A window and the shapes it leads from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How it slides.
    pub window: Window,
    /// Where its taps lie.
    pub taps: Taps,
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
}

impl Geometry {
    /// Calls `visit` with the output pixel, the tap and the input pixel, for every tap inside the image, in order.
    pub fn for_each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (window, width) = (self.window, usize::from(self.input.width));
        let rows = [window.stride_height, window.padding_top, window.kernel_height];
        let rows = self.axis(0, rows, self.output.height, self.input.height);
        let columns = [window.stride_width, window.padding_left, window.kernel_width];
        let columns = self.axis(1, columns, self.output.width, self.input.width);
        for (y, rows) in rows.iter().enumerate() {
            for (x, columns) in columns.iter().enumerate() {
                let pixel = y * usize::from(self.output.width) + x;
                for &(i, row) in rows {
                    for &(j, column) in columns {
                        visit(
                            pixel,
                            i * usize::from(window.kernel_width) + j,
                            row * width + column,
                        );
                    }
                }
            }
        }
    }

    /// For every output along an axis, its taps inside the image and where they read.
    fn axis(
        &self,
        axis: usize,
        numbers: [u8; 3],
        outputs: u16,
        inputs: u16,
    ) -> Vec<Vec<(usize, usize)>> {
        let [stride, padding, kernel] = numbers.map(usize::from);
        let place = |output: usize, tap: usize| match self.taps {
            Taps::Apart(apart) => {
                (output * stride + tap * usize::from(apart[axis])).checked_sub(padding)
            }
            Taps::Upward => {
                let place = (output + padding).checked_sub(tap)?;
                place.is_multiple_of(stride).then_some(place / stride)
            }
        };
        let inside = |output: usize| {
            let taps = (0..kernel).filter_map(|tap| Some((tap, place(output, tap)?)));
            taps.filter(|&(_, place)| place < usize::from(inputs)).collect()
        };
        (0..usize::from(outputs)).map(inside).collect()
    }
}
