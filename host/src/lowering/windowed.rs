//! Sliding windows over real images.

use tinyhero_common::shape::{Shape, Window};

/// A window and the shapes it leads from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// How it slides.
    pub window: Window,
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
}

impl Geometry {
    /// Calls `visit` with the output pixel, the tap and the input pixel, for every tap inside the image, in order.
    pub fn for_each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let window = self.window;
        let width = usize::from(self.input.width);
        let inside = |position: usize, stride: u8, tap: u8, padding: u8, extent: u16| {
            (position * usize::from(stride) + usize::from(tap))
                .checked_sub(usize::from(padding))
                .filter(|&place| place < usize::from(extent))
        };
        for y in 0..usize::from(self.output.height) {
            for x in 0..usize::from(self.output.width) {
                let pixel = y * usize::from(self.output.width) + x;
                for i in 0..window.kernel_height {
                    let (stride, padding) = (window.stride_height, window.padding_top);
                    let Some(row) = inside(y, stride, i, padding, self.input.height) else {
                        continue;
                    };
                    for j in 0..window.kernel_width {
                        let (stride, padding) = (window.stride_width, window.padding_left);
                        if let Some(column) = inside(x, stride, j, padding, self.input.width) {
                            let tap =
                                usize::from(i) * usize::from(window.kernel_width) + usize::from(j);
                            visit(pixel, tap, row * width + column);
                        }
                    }
                }
            }
        }
    }
}
