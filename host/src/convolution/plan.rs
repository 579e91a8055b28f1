//! The three maps of a convolution over a batch, on all threads.
//!
//! With `y = conv(x, w)`, [`Plan::forward`] gives y, [`Plan::input_gradient`] the gradient of x from that of y, and
//! [`Plan::weight_gradient`] that of w. How work is divided depends on the shapes alone, so that the results do not depend on the number of
//! threads.

use rayon::prelude::*;

use super::dense::{OuterProduct, Product, pack, padded};
use super::depthwise::{DepthwiseOuterProduct, DepthwiseProduct};
use super::geometry::{Frame, Geometry, Windows, backward_windows, forward_windows};
use super::simd::{Element, Scratch};

/// Images of few pixels go through a kernel together, so that they fill its tiles.
const FEWEST_PIXELS: usize = 32;
/// Parts of a batch whose weight gradients are summed on their own.
const PARTS: usize = 8;
/// Multiply-accumulates below which one thread is faster.
const FEWEST_MACS: u64 = 200_000;

/// A convolution of fixed shape, ready to compute.
#[derive(Clone, Debug)]
pub struct Plan {
    geometry: Geometry,
    forward: (Frame, Windows),
    backward: (Frame, Vec<Windows>),
}

/// Memory that a call needs besides its results; kept from call to call, it costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Workspace<T> {
    packed: Vec<Vec<T>>,
    sums: Vec<T>,
}

impl Plan {
    /// Prepares a convolution.
    pub fn new(geometry: Geometry) -> Self {
        let (forward, backward) = (forward_windows(&geometry), backward_windows(&geometry));
        Self { geometry, forward, backward }
    }

    /// The shapes.
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// `y = conv(x, w)`, or `y += conv(x, w)`. `x` holds images; `weights` are output channel, input channel, row, column (channel, row,
    /// column where depthwise).
    pub fn forward<T: Element>(
        &self,
        x: &[T],
        weights: &[T],
        y: &mut [T],
        accumulate: bool,
        workspace: &mut Workspace<T>,
    ) {
        let (frame, windows) = &self.forward;
        let windows = std::slice::from_ref(windows);
        self.products(frame, windows, x, weights, y, false, accumulate, workspace);
    }

    /// The gradient of the input from that of the output, or its addition to what is there.
    pub fn input_gradient<T: Element>(
        &self,
        y_gradient: &[T],
        weights: &[T],
        x_gradient: &mut [T],
        accumulate: bool,
        workspace: &mut Workspace<T>,
    ) {
        let (frame, windows) = &self.backward;
        self.products(frame, windows, y_gradient, weights, x_gradient, true, accumulate, workspace);
    }

    #[allow(clippy::too_many_arguments, reason = "the two callers differ in just these")]
    fn products<T: Element>(
        &self,
        frame: &Frame,
        windows: &[Windows],
        source: &[T],
        weights: &[T],
        output: &mut [T],
        transposed: bool,
        accumulate: bool,
        workspace: &mut Workspace<T>,
    ) {
        let geometry = &self.geometry;
        let [rows, columns] = geometry.kernel;
        assert_eq!(weights.len(), geometry.weights(), "weights of this geometry");
        let (pixels, channels) = if transposed {
            (geometry.input[0] * geometry.input[1], geometry.channels)
        } else {
            (geometry.output_pixels(), geometry.out_channels)
        };
        let inner = geometry.channels;
        workspace.packed.resize_with(windows.len().max(workspace.packed.len()), Vec::new);
        for (windows, packed) in windows.iter().zip(&mut workspace.packed) {
            if geometry.depthwise {
                packed.clear();
                for &[row, column] in &windows.taps {
                    packed.extend(
                        (0..channels)
                            .map(|channel| weights[(channel * rows + row) * columns + column]),
                    );
                }
            } else if transposed {
                let weight = |[row, column]: [usize; 2], out: usize, channel: usize| {
                    weights[((out * inner + channel) * rows + row) * columns + column]
                };
                pack(windows, geometry.out_channels, channels, weight, packed);
            } else {
                let weight = |[row, column]: [usize; 2], channel: usize, out: usize| {
                    weights[((out * inner + channel) * rows + row) * columns + column]
                };
                pack(windows, inner, channels, weight, packed);
            }
        }
        let packed = &workspace.packed;
        let image = frame.image[0] * frame.image[1] * frame.channels;
        let unit = if geometry.depthwise { 1 } else { FEWEST_PIXELS.div_ceil(pixels) };
        let compute = |(source, output): (&[T], &mut [T])| {
            with_frames(frame, source, |source| {
                for (windows, weights) in windows.iter().zip(packed) {
                    if geometry.depthwise {
                        T::run(DepthwiseProduct {
                            source,
                            channels,
                            windows,
                            weights,
                            output: &mut *output,
                            accumulate,
                        });
                    } else {
                        T::run(Product {
                            source,
                            frame_size: frame.values(),
                            channels: frame.channels,
                            windows,
                            weights,
                            output: &mut *output,
                            pixels,
                            out_channels: channels,
                            accumulate,
                        });
                    }
                }
            });
        };
        let images = output.len() / (pixels * channels);
        assert_eq!(output.len(), images * pixels * channels, "whole output images");
        assert_eq!(source.len(), images * image, "as many images as outputs");
        if self.is_small(images) {
            source
                .chunks(unit * image)
                .zip(output.chunks_mut(unit * pixels * channels))
                .for_each(compute);
        } else {
            source
                .par_chunks(unit * image)
                .zip(output.par_chunks_mut(unit * pixels * channels))
                .for_each(compute);
        }
    }

    /// The gradient of the weights, in their order, or its addition to what is there.
    pub fn weight_gradient<T: Element>(
        &self,
        x: &[T],
        y_gradient: &[T],
        weight_gradient: &mut [T],
        accumulate: bool,
        workspace: &mut Workspace<T>,
    ) {
        let geometry = &self.geometry;
        let (frame, windows) = &self.forward;
        let images = x.len() / geometry.input_size();
        assert_eq!(x.len(), images * geometry.input_size(), "whole images");
        assert_eq!(y_gradient.len(), images * geometry.output_size(), "a gradient for each image");
        assert_eq!(weight_gradient.len(), geometry.weights(), "weights of this geometry");
        let out_channels = geometry.out_channels;
        let width = if geometry.depthwise { out_channels } else { padded(out_channels) };
        let size = geometry.terms() * width;
        let part = images.div_ceil(PARTS).max(1);
        let parts = images.div_ceil(part);
        let all = &mut workspace.sums;
        all.clear();
        all.resize(parts * size, T::default());
        let compute = |((x, y_gradient), sums): ((&[T], &[T]), &mut [T])| {
            let pairs = x
                .chunks_exact(geometry.input_size())
                .zip(y_gradient.chunks_exact(geometry.output_size()));
            for (image, gradient) in pairs {
                with_frames(frame, image, |source| {
                    let sums = &mut *sums;
                    if geometry.depthwise {
                        let channels = out_channels;
                        T::run(DepthwiseOuterProduct { source, channels, windows, gradient, sums });
                    } else {
                        with_width(gradient, out_channels, width, |gradient| {
                            let channels = geometry.channels;
                            T::run(OuterProduct {
                                source,
                                channels,
                                windows,
                                gradient,
                                width,
                                sums,
                            });
                        });
                    }
                });
            }
        };
        let (x_part, y_part) = (part * geometry.input_size(), part * geometry.output_size());
        if self.is_small(images) {
            let inputs = x.chunks(x_part).zip(y_gradient.chunks(y_part));
            inputs.zip(all.chunks_mut(size)).for_each(compute);
        } else {
            let inputs = x.par_chunks(x_part).zip(y_gradient.par_chunks(y_part));
            inputs.zip(all.par_chunks_mut(size)).for_each(compute);
        }
        if parts == 0 {
            if !accumulate {
                weight_gradient.fill(T::default());
            }
            return;
        }
        let (total, others) = all.split_at_mut(size);
        for other in others.chunks_exact(size) {
            for (total, other) in total.iter_mut().zip(other) {
                *total += *other;
            }
        }
        // From term × output channel to output channel × input channel × row × column.
        let [rows, columns] = geometry.kernel;
        let inner = if geometry.depthwise { 1 } else { geometry.channels };
        for (out, weights) in weight_gradient.chunks_exact_mut(geometry.terms()).enumerate() {
            for channel in 0..inner {
                for tap in 0..rows * columns {
                    let weight = &mut weights[channel * rows * columns + tap];
                    let value = total[(tap * inner + channel) * width + out];
                    *weight = if accumulate { *weight + value } else { value };
                }
            }
        }
    }

    fn is_small(&self, images: usize) -> bool {
        self.geometry.macs() * (images as u64) < FEWEST_MACS
    }
}

/// Calls with the images laid into frames.
fn with_frames<T: Element>(frame: &Frame, images: &[T], use_them: impl FnOnce(&[T])) {
    if frame.is_image() {
        return use_them(images);
    }
    T::with_scratch(Scratch::Image, |frames| {
        frame.fill(images, frames);
        use_them(frames);
    });
}

/// Calls with rows of `channels` values filled up to `width`.
fn with_width<T: Element>(rows: &[T], channels: usize, width: usize, use_them: impl FnOnce(&[T])) {
    if channels == width {
        return use_them(rows);
    }
    T::with_scratch(Scratch::Gradient, |filled| {
        filled.clear();
        for row in rows.chunks_exact(channels) {
            filled.extend_from_slice(row);
            filled.resize(filled.len() + width - channels, T::default());
        }
        use_them(filled);
    });
}
