//! Pooling over a batch. Windows are cut off at the edges of the image: padding counts in no maximum, and in a mean as [`Pool::divisor`] says.

use std::ops::Range;

use rayon::prelude::*;

use super::simd::Element;
use crate::window::{PaddingAmounts, Window};

/// A pooling of fixed shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The window and how it moves.
    pub window: Window,
    /// Input height and width.
    pub input: [usize; 2],
    /// Channels.
    pub channels: usize,
    /// What the sum of a window is divided by for its mean: a fixed number, or else the number of its pixels inside the image.
    pub divisor: Option<usize>,
}

impl Pool {
    /// The mean over whole images.
    pub fn global(input: [usize; 2], channels: usize) -> Self {
        let padding = PaddingAmounts::default();
        let window = Window { kernel: input, stride: [1, 1], padding, output: [1, 1] };
        Self { window, input, channels, divisor: None }
    }

    /// Values of an input image.
    pub const fn input_size(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Values of an output image.
    pub const fn output_size(&self) -> usize {
        self.window.output[0] * self.window.output[1] * self.channels
    }

    /// Input rows (axis 0) or columns (axis 1) of an output row or column.
    fn range(&self, axis: usize, at: usize) -> Range<usize> {
        let padding = [self.window.padding.top, self.window.padding.left][axis];
        let begin = at * self.window.stride[axis];
        let end = (begin + self.window.kernel[axis]).saturating_sub(padding);
        begin.saturating_sub(padding)..end.min(self.input[axis])
    }

    /// Calls with the first value of each output pixel and the first values of the input pixels of its window.
    fn each_window(&self, mut call: impl FnMut(usize, &mut dyn Iterator<Item = usize>)) {
        let [rows, columns] = self.window.output;
        for row in 0..rows {
            for column in 0..columns {
                let across = self.range(1, column);
                let mut pixels = self.range(0, row).flat_map(|y| {
                    across.clone().map(move |x| (y * self.input[1] + x) * self.channels)
                });
                call((row * columns + column) * self.channels, &mut pixels);
            }
        }
    }

    /// For each output value the index, within its image, of the largest value of its window; the first of several.
    pub fn largest<T: Element>(&self, x: &[T], indexes: &mut [u32]) {
        let images = x.par_chunks_exact(self.input_size());
        images.zip(indexes.par_chunks_exact_mut(self.output_size())).for_each(|(x, indexes)| {
            self.each_window(|output, pixels| {
                for (channel, index) in
                    indexes[output..output + self.channels].iter_mut().enumerate()
                {
                    *index = u32::MAX - channel as u32;
                }
                for pixel in pixels {
                    for channel in 0..self.channels {
                        let best = &mut indexes[output + channel];
                        let at = pixel + channel;
                        if x.get(*best as usize).is_none_or(|best| x[at] > *best) {
                            *best = at as u32;
                        }
                    }
                }
            });
        });
    }

    /// The values at `indexes`.
    pub fn gather<T: Element>(&self, x: &[T], indexes: &[u32], y: &mut [T]) {
        let images = x.par_chunks_exact(self.input_size());
        let outputs = y.par_chunks_exact_mut(self.output_size());
        images.zip(indexes.par_chunks_exact(self.output_size())).zip(outputs).for_each(
            |((x, indexes), y)| {
                for (y, &index) in y.iter_mut().zip(indexes) {
                    *y = x[index as usize];
                }
            },
        );
    }

    /// Adds each output's value to the input at its index: the adjoint of [`Pool::gather`].
    pub fn scatter<T: Element>(&self, y: &[T], indexes: &[u32], x: &mut [T], accumulate: bool) {
        let images = x.par_chunks_exact_mut(self.input_size());
        let outputs = y.par_chunks_exact(self.output_size());
        images.zip(indexes.par_chunks_exact(self.output_size())).zip(outputs).for_each(
            |((x, indexes), y)| {
                if !accumulate {
                    x.fill(T::default());
                }
                for (&y, &index) in y.iter().zip(indexes) {
                    x[index as usize] += y;
                }
            },
        );
    }

    /// What one of `count` pixels inside the image has of its window's mean.
    fn share<T: Element>(&self, count: usize) -> T {
        T::from_f64(1.0 / self.divisor.unwrap_or(count).max(1) as f64)
    }

    /// Mean of each window.
    pub fn average<T: Element>(&self, x: &[T], y: &mut [T]) {
        let images = x.par_chunks_exact(self.input_size());
        images.zip(y.par_chunks_exact_mut(self.output_size())).for_each(|(x, y)| {
            self.each_window(|output, pixels| {
                let y = &mut y[output..output + self.channels];
                y.fill(T::default());
                let mut count = 0;
                for pixel in pixels {
                    for (y, &x) in y.iter_mut().zip(&x[pixel..pixel + self.channels]) {
                        *y += x;
                    }
                    count += 1;
                }
                let share = self.share(count);
                for y in y {
                    *y = *y * share;
                }
            });
        });
    }

    /// Spreads each output's value evenly over its window: the adjoint of [`Pool::average`].
    pub fn spread<T: Element>(&self, y: &[T], x: &mut [T], accumulate: bool) {
        let images = x.par_chunks_exact_mut(self.input_size());
        images.zip(y.par_chunks_exact(self.output_size())).for_each(|(x, y)| {
            if !accumulate {
                x.fill(T::default());
            }
            self.each_window(|output, pixels| {
                let pixels: Vec<usize> = pixels.collect();
                let share = self.share(pixels.len());
                for pixel in pixels {
                    let x = &mut x[pixel..pixel + self.channels];
                    for (x, &y) in x.iter_mut().zip(&y[output..output + self.channels]) {
                        *x += y * share;
                    }
                }
            });
        });
    }
}
