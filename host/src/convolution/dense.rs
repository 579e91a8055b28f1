//! Convolution over all channels, for one thread.
//!
//! Both kernels keep a tile of up to 6 × 2 vectors of sums in registers, read the image where it lies (no copy for each tap), and
//! read everything in the order of memory.

#![allow(
    clippy::needless_range_loop,
    reason = "rows and vectors of a tile index several arrays and addresses at once"
)]

use super::geometry::Windows;
use super::simd::{Element, Kernel, Simd};

/// Channels of a block of packed weights.
const BLOCK: usize = 8;
/// Rows of a tile of sums.
const ROWS: usize = 6;
/// Values of an image that stay in the first-level cache while all weights' sums pass over them.
const CACHED: usize = 4096;

/// Channels rounded up to whole blocks.
pub const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(BLOCK)
}

/// Weights as [`Product`] reads them: block after block of output channels, term after term, the channels of the block; absent
/// channels are 0. `weight` gives the value of a tap, an input channel and an output channel.
pub fn pack<T: Element>(
    windows: &Windows,
    channels: usize,
    out_channels: usize,
    weight: impl Fn([usize; 2], usize, usize) -> T,
    packed: &mut Vec<T>,
) {
    packed.clear();
    packed.reserve(windows.taps.len() * channels * padded(out_channels));
    for block in (0..out_channels).step_by(BLOCK) {
        for &tap in &windows.taps {
            for channel in 0..channels {
                for out_channel in block..block + BLOCK {
                    packed.push(if out_channel < out_channels {
                        weight(tap, channel, out_channel)
                    } else {
                        T::default()
                    });
                }
            }
        }
    }
}

/// Every window's products with the weights, summed: `y[p, o] = Σ x[source(p) + tap, c] · w[tap, c, o]`.
#[derive(Debug)]
pub struct Product<'a, T> {
    /// Frames, one after the other.
    pub source: &'a [T],
    /// Values of a frame.
    pub frame_size: usize,
    /// Channels of the frames.
    pub channels: usize,
    /// What is read.
    pub windows: &'a Windows,
    /// Packed by [`pack`].
    pub weights: &'a [T],
    /// Images, one after the other.
    pub output: &'a mut [T],
    /// Pixels of an image.
    pub pixels: usize,
    /// Channels of the images.
    pub out_channels: usize,
    /// Whether sums are added to what is there.
    pub accumulate: bool,
}

impl<T: Element> Kernel<T> for Product<'_, T> {
    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let images = self.output.len() / (self.pixels * self.out_channels);
        let terms = self.windows.taps.len() * self.channels;
        // What the unchecked accesses below rely on.
        assert_eq!(self.source.len(), images * self.frame_size, "frames for images");
        assert_eq!(self.output.len(), images * self.pixels * self.out_channels, "whole images");
        assert_eq!(self.weights.len(), terms * padded(self.out_channels), "packed weights");
        assert_eq!(self.windows.segments * self.windows.length, self.windows.taps.len(), "taps");
        let reach =
            self.windows.segments.saturating_sub(1) * self.windows.pitch + self.windows.length;
        let farthest = self.windows.sources.iter().max().map_or(0, |&last| last as usize + reach);
        assert!(farthest * self.channels <= self.frame_size, "windows lie in the frame");
        let last = self.windows.destinations.iter().max().map_or(0, |&last| last as usize);
        assert!(last < self.pixels, "destinations lie in the image");
        assert_eq!(self.windows.sources.len(), self.windows.destinations.len(), "pairs");

        let vectors = padded(self.out_channels) / S::LANES;
        let mut first = 0;
        while first < vectors {
            if vectors - first >= 2 {
                // SAFETY: checked above; vectors `first` and `first + 1` exist.
                unsafe { self.columns::<S, 2>(simd, first, images) };
                first += 2;
            } else {
                // SAFETY: checked above; vector `first` exists.
                unsafe { self.columns::<S, 1>(simd, first, images) };
                first += 1;
            }
        }
    }
}

impl<T: Element> Product<'_, T> {
    /// All pixels of `VECTORS` vectors of output channels.
    ///
    /// # Safety
    /// The checks of `run` hold and so many vectors exist from `first`.
    #[inline(always)]
    unsafe fn columns<S: Simd<T>, const VECTORS: usize>(
        &mut self,
        simd: S,
        first: usize,
        images: usize,
    ) {
        let places = self.windows.sources.len();
        let total = places * images;
        let mut at = 0;
        while at < total {
            // SAFETY: passed on from the caller; `at` and as many places as the tile has rows exist.
            unsafe {
                match (total - at).min(ROWS) {
                    6 => self.tile::<S, 6, VECTORS>(simd, at, first),
                    5 => self.tile::<S, 5, VECTORS>(simd, at, first),
                    4 => self.tile::<S, 4, VECTORS>(simd, at, first),
                    3 => self.tile::<S, 3, VECTORS>(simd, at, first),
                    2 => self.tile::<S, 2, VECTORS>(simd, at, first),
                    _ => self.tile::<S, 1, VECTORS>(simd, at, first),
                }
            }
            at += ROWS;
        }
    }

    /// One tile: `COUNT` places from `at`, counted over all images, and `VECTORS` vectors of output channels from `first`.
    ///
    /// # Safety
    /// The checks of `run` hold, and so many places and vectors exist.
    #[inline(always)]
    unsafe fn tile<S: Simd<T>, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        at: usize,
        first: usize,
    ) {
        let places = self.windows.sources.len();
        let mut sources = [self.source.as_ptr(); COUNT];
        let mut outputs = [self.output.as_mut_ptr(); COUNT];
        let (mut image, mut place) = (at / places, at % places);
        for row in 0..COUNT {
            let source = self.windows.sources[place] as usize * self.channels;
            let output = self.windows.destinations[place] as usize * self.out_channels;
            // SAFETY: `image` is one of the images and the window lies in its frame, the destination in its output.
            unsafe {
                sources[row] = sources[row].add(image * self.frame_size + source);
                outputs[row] = outputs[row]
                    .add(image * self.pixels * self.out_channels + output + first * S::LANES);
            }
            place += 1;
            if place == places {
                (image, place) = (image + 1, 0);
            }
        }
        let length = self.windows.length * self.channels;
        let pitch = self.windows.pitch * self.channels;
        let terms = self.windows.segments * length;
        let mut weights = [self.weights.as_ptr(); VECTORS];
        for (vector, weights) in weights.iter_mut().enumerate() {
            let channel = (first + vector) * S::LANES;
            // SAFETY: the block of this channel exists.
            *weights = unsafe { weights.add(channel / BLOCK * BLOCK * terms + channel % BLOCK) };
        }
        let mut sums = [[simd.zero(); VECTORS]; COUNT];
        for segment in 0..self.windows.segments {
            for term in 0..length {
                // SAFETY: `segment` and `term` stay within every row's window and within the packed weights.
                unsafe {
                    let row_weights: [S::Vector; VECTORS] = std::array::from_fn(|vector| {
                        simd.load(weights[vector].add((segment * length + term) * BLOCK))
                    });
                    for row in 0..COUNT {
                        let x = simd.splat(*sources[row].add(segment * pitch + term));
                        for vector in 0..VECTORS {
                            sums[row][vector] =
                                simd.multiply_add(x, row_weights[vector], sums[row][vector]);
                        }
                    }
                }
            }
        }
        let one = simd.splat(T::from_f64(1.0));
        for row in 0..COUNT {
            for vector in 0..VECTORS {
                let channels = self.out_channels.saturating_sub((first + vector) * S::LANES);
                // SAFETY: only channels that the output has are touched.
                unsafe {
                    let to = outputs[row].add(vector * S::LANES);
                    if channels >= S::LANES {
                        let mut sum = sums[row][vector];
                        if self.accumulate {
                            sum = simd.multiply_add(one, simd.load(to), sum);
                        }
                        simd.store(sum, to);
                    } else {
                        let mut values = [T::default(); BLOCK];
                        simd.store(sums[row][vector], values.as_mut_ptr());
                        for (channel, value) in values.iter().enumerate().take(channels) {
                            let to = to.add(channel);
                            *to = if self.accumulate { *to + *value } else { *value };
                        }
                    }
                }
            }
        }
    }
}

/// The weights' gradient of one image, added to `sums`: `s[tap, c, o] += Σ_p x[source(p) + tap, c] · y'[p, o]`.
#[derive(Debug)]
pub struct OuterProduct<'a, T> {
    /// A frame.
    pub source: &'a [T],
    /// Its channels.
    pub channels: usize,
    /// What outputs read; destinations must be 0, 1, 2, ….
    pub windows: &'a Windows,
    /// The outputs' gradient, `width` values for each pixel.
    pub gradient: &'a [T],
    /// Output channels rounded up by [`padded`].
    pub width: usize,
    /// Terms × `width`.
    pub sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for OuterProduct<'_, T> {
    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let pixels = self.windows.sources.len();
        let terms = self.windows.taps.len() * self.channels;
        // What the unchecked accesses below rely on.
        assert_eq!(self.width % BLOCK, 0, "whole blocks");
        assert_eq!(self.gradient.len(), pixels * self.width, "a gradient for each pixel");
        assert_eq!(self.sums.len(), terms * self.width, "a sum for each weight");
        assert_eq!(self.windows.segments * self.windows.length, self.windows.taps.len(), "taps");
        let reach =
            self.windows.segments.saturating_sub(1) * self.windows.pitch + self.windows.length;
        let farthest = self.windows.sources.iter().max().map_or(0, |&last| last as usize + reach);
        assert!(farthest * self.channels <= self.source.len(), "windows lie in the frame");

        let vectors = self.width / S::LANES;
        let block = (CACHED / self.channels).clamp(32, 128);
        let mut begin = 0;
        while begin < pixels {
            let end = (begin + block).min(pixels);
            let mut first = 0;
            while first < vectors {
                if vectors - first >= 2 {
                    // SAFETY: checked above; vectors `first` and `first + 1` exist.
                    unsafe { self.columns::<S, 2>(simd, begin, end, first) };
                    first += 2;
                } else {
                    // SAFETY: checked above; vector `first` exists.
                    unsafe { self.columns::<S, 1>(simd, begin, end, first) };
                    first += 1;
                }
            }
            begin = end;
        }
    }
}

impl<T: Element> OuterProduct<'_, T> {
    /// All terms over some pixels and `VECTORS` vectors of output channels.
    ///
    /// # Safety
    /// The checks of `run` hold, the pixels and vectors exist.
    #[inline(always)]
    unsafe fn columns<S: Simd<T>, const VECTORS: usize>(
        &mut self,
        simd: S,
        begin: usize,
        end: usize,
        first: usize,
    ) {
        let length = self.windows.length * self.channels;
        for segment in 0..self.windows.segments {
            let mut term = 0;
            while term < length {
                // SAFETY: passed on from the caller; as many terms as the tile has rows exist.
                unsafe {
                    match (length - term).min(ROWS) {
                        6 => self.tile::<S, 6, VECTORS>(simd, begin, end, segment, term, first),
                        5 => self.tile::<S, 5, VECTORS>(simd, begin, end, segment, term, first),
                        4 => self.tile::<S, 4, VECTORS>(simd, begin, end, segment, term, first),
                        3 => self.tile::<S, 3, VECTORS>(simd, begin, end, segment, term, first),
                        2 => self.tile::<S, 2, VECTORS>(simd, begin, end, segment, term, first),
                        _ => self.tile::<S, 1, VECTORS>(simd, begin, end, segment, term, first),
                    }
                }
                term += ROWS;
            }
        }
    }

    /// One tile: `COUNT` terms of a segment, `VECTORS` vectors of output channels.
    ///
    /// # Safety
    /// The checks of `run` hold; pixels, terms and vectors exist.
    #[inline(always)]
    unsafe fn tile<S: Simd<T>, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        begin: usize,
        end: usize,
        segment: usize,
        term: usize,
        first: usize,
    ) {
        let length = self.windows.length * self.channels;
        let offset = segment * self.windows.pitch * self.channels + term;
        // SAFETY: the terms and vectors of this tile exist.
        let sums = unsafe {
            self.sums.as_mut_ptr().add((segment * length + term) * self.width + first * S::LANES)
        };
        let mut tile = [[simd.zero(); VECTORS]; COUNT];
        for row in 0..COUNT {
            for vector in 0..VECTORS {
                // SAFETY: as above.
                tile[row][vector] =
                    unsafe { simd.load(sums.add(row * self.width + vector * S::LANES)) };
            }
        }
        for pixel in begin..end {
            let source = self.windows.sources[pixel] as usize * self.channels + offset;
            // SAFETY: the window of every pixel lies in the frame, and each pixel has a gradient.
            unsafe {
                let source = self.source.as_ptr().add(source);
                let gradient = self.gradient.as_ptr().add(pixel * self.width + first * S::LANES);
                let gradient: [S::Vector; VECTORS] =
                    std::array::from_fn(|vector| simd.load(gradient.add(vector * S::LANES)));
                for row in 0..COUNT {
                    let x = simd.splat(*source.add(row));
                    for vector in 0..VECTORS {
                        tile[row][vector] =
                            simd.multiply_add(x, gradient[vector], tile[row][vector]);
                    }
                }
            }
        }
        for row in 0..COUNT {
            for vector in 0..VECTORS {
                // SAFETY: as above.
                unsafe {
                    simd.store(tile[row][vector], sums.add(row * self.width + vector * S::LANES));
                }
            }
        }
    }
}
