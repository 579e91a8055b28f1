//! Convolution of each channel by itself, for one thread: vectors run along channels.

#![allow(
    clippy::needless_range_loop,
    reason = "rows and vectors of a tile index several arrays and addresses at once"
)]

use super::geometry::Windows;
use super::simd::{Element, Kernel, Simd};

/// Pixels of a tile.
const ROWS: usize = 4;
/// Taps of a tile of weight gradients.
const TAPS: usize = 3;

/// Every window's products with the weights: `y[p, c] = Σ x[source(p) + tap, c] · w[tap, c]`.
#[derive(Debug)]
pub struct DepthwiseProduct<'a, T> {
    /// A frame.
    pub source: &'a [T],
    /// Channels of all.
    pub channels: usize,
    /// What is read.
    pub windows: &'a Windows,
    /// Taps in the windows' order × channels.
    pub weights: &'a [T],
    /// An image.
    pub output: &'a mut [T],
    /// Whether sums are added to what is there.
    pub accumulate: bool,
}

/// Checks what the unchecked accesses of both kernels rely on.
fn check(windows: &Windows, channels: usize, source: usize, image: usize, weights: usize) {
    assert_eq!(windows.segments * windows.length, windows.taps.len(), "taps");
    assert_eq!(weights, windows.taps.len() * channels, "a weight for each tap and channel");
    let reach = windows.segments.saturating_sub(1) * windows.pitch + windows.length;
    let farthest = windows.sources.iter().max().map_or(0, |&last| last as usize + reach);
    assert!(farthest * channels <= source, "windows lie in the frame");
    let last = windows.destinations.iter().max().map_or(0, |&last| last as usize + 1);
    assert!(last * channels <= image, "destinations lie in the image");
    assert_eq!(windows.sources.len(), windows.destinations.len(), "pairs");
}

impl<T: Element> Kernel<T> for DepthwiseProduct<'_, T> {
    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        check(
            self.windows,
            self.channels,
            self.source.len(),
            self.output.len(),
            self.weights.len(),
        );
        let places = self.windows.sources.len();
        let mut at = 0;
        while at < places {
            let count = (places - at).min(ROWS);
            let mut channel = 0;
            // SAFETY: checked above; the places and channels exist.
            unsafe {
                while channel + 2 * S::LANES <= self.channels {
                    self.rows::<S, 2>(simd, at, count, channel);
                    channel += 2 * S::LANES;
                }
                while channel + S::LANES <= self.channels {
                    self.rows::<S, 1>(simd, at, count, channel);
                    channel += S::LANES;
                }
            }
            for channel in channel..self.channels {
                for place in at..at + count {
                    self.single(place, channel);
                }
            }
            at += count;
        }
    }
}

impl<T: Element> DepthwiseProduct<'_, T> {
    /// A tile of 1 to [`ROWS`] places.
    ///
    /// # Safety
    /// The checks of `run` hold; the places and vectors exist.
    #[inline(always)]
    unsafe fn rows<S: Simd<T>, const VECTORS: usize>(
        &mut self,
        simd: S,
        at: usize,
        count: usize,
        channel: usize,
    ) {
        // SAFETY: passed on from the caller.
        unsafe {
            match count {
                4 => self.tile::<S, 4, VECTORS>(simd, at, channel),
                3 => self.tile::<S, 3, VECTORS>(simd, at, channel),
                2 => self.tile::<S, 2, VECTORS>(simd, at, channel),
                _ => self.tile::<S, 1, VECTORS>(simd, at, channel),
            }
        }
    }

    /// One tile: `COUNT` places from `at`, `VECTORS` vectors of channels from `channel`.
    ///
    /// # Safety
    /// The checks of `run` hold; the places and vectors exist.
    #[inline(always)]
    unsafe fn tile<S: Simd<T>, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        at: usize,
        channel: usize,
    ) {
        let sources: [*const T; COUNT] = std::array::from_fn(|row| {
            let source = self.windows.sources[at + row] as usize * self.channels + channel;
            // SAFETY: the window lies in the frame.
            unsafe { self.source.as_ptr().add(source) }
        });
        let mut sums = [[simd.zero(); VECTORS]; COUNT];
        let mut tap = 0;
        for segment in 0..self.windows.segments {
            for run in 0..self.windows.length {
                let offset = (segment * self.windows.pitch + run) * self.channels;
                // SAFETY: the tap lies in every place's window; weights exist for it.
                unsafe {
                    let weights = self.weights.as_ptr().add(tap * self.channels + channel);
                    for vector in 0..VECTORS {
                        let weight = simd.load(weights.add(vector * S::LANES));
                        for row in 0..COUNT {
                            let x = simd.load(sources[row].add(offset + vector * S::LANES));
                            sums[row][vector] = simd.multiply_add(x, weight, sums[row][vector]);
                        }
                    }
                }
                tap += 1;
            }
        }
        let one = simd.splat(T::from_f64(1.0));
        for row in 0..COUNT {
            let output = self.windows.destinations[at + row] as usize * self.channels + channel;
            for vector in 0..VECTORS {
                // SAFETY: the destination and these channels of it exist.
                unsafe {
                    let to = self.output.as_mut_ptr().add(output + vector * S::LANES);
                    let mut sum = sums[row][vector];
                    if self.accumulate {
                        sum = simd.multiply_add(one, simd.load(to), sum);
                    }
                    simd.store(sum, to);
                }
            }
        }
    }

    /// One place and channel.
    fn single(&mut self, place: usize, channel: usize) {
        let source = self.windows.sources[place] as usize;
        let mut sum = T::default();
        for (tap, weights) in self.weights.chunks_exact(self.channels).enumerate() {
            let (segment, run) = (tap / self.windows.length, tap % self.windows.length);
            let pixel = source + segment * self.windows.pitch + run;
            sum += self.source[pixel * self.channels + channel] * weights[channel];
        }
        let to = self.windows.destinations[place] as usize * self.channels + channel;
        let to = &mut self.output[to];
        *to = if self.accumulate { *to + sum } else { sum };
    }
}

/// The weights' gradient of one image, added to `sums`: `s[tap, c] += Σ_p x[source(p) + tap, c] · y'[p, c]`.
#[derive(Debug)]
pub struct DepthwiseOuterProduct<'a, T> {
    /// A frame.
    pub source: &'a [T],
    /// Channels of all.
    pub channels: usize,
    /// What outputs read; destinations must be 0, 1, 2, ….
    pub windows: &'a Windows,
    /// The outputs' gradient.
    pub gradient: &'a [T],
    /// Taps × channels.
    pub sums: &'a mut [T],
}

impl<T: Element> Kernel<T> for DepthwiseOuterProduct<'_, T> {
    #[inline(always)]
    fn run<S: Simd<T>>(mut self, simd: S) {
        let (channels, length) = (self.channels, self.windows.length);
        check(self.windows, channels, self.source.len(), self.gradient.len(), self.sums.len());
        for segment in 0..self.windows.segments {
            let mut run = 0;
            while run < length {
                let count = (length - run).min(TAPS);
                let mut channel = 0;
                // SAFETY: checked above; the taps and channels exist.
                unsafe {
                    while channel + 2 * S::LANES <= channels {
                        self.taps::<S, 2>(simd, segment, run, count, channel);
                        channel += 2 * S::LANES;
                    }
                    while channel + S::LANES <= channels {
                        self.taps::<S, 1>(simd, segment, run, count, channel);
                        channel += S::LANES;
                    }
                }
                for channel in channel..channels {
                    for run in run..run + count {
                        self.single(segment, run, channel);
                    }
                }
                run += count;
            }
        }
    }
}

impl<T: Element> DepthwiseOuterProduct<'_, T> {
    /// A tile of 1 to [`TAPS`] taps of a segment.
    ///
    /// # Safety
    /// The checks of `run` hold; the taps and vectors exist.
    #[inline(always)]
    unsafe fn taps<S: Simd<T>, const VECTORS: usize>(
        &mut self,
        simd: S,
        segment: usize,
        run: usize,
        count: usize,
        channel: usize,
    ) {
        // SAFETY: passed on from the caller.
        unsafe {
            match count {
                3 => self.tile::<S, 3, VECTORS>(simd, segment, run, channel),
                2 => self.tile::<S, 2, VECTORS>(simd, segment, run, channel),
                _ => self.tile::<S, 1, VECTORS>(simd, segment, run, channel),
            }
        }
    }

    /// One tile: `COUNT` taps of a segment from `run`, `VECTORS` vectors of channels from `channel`.
    ///
    /// # Safety
    /// The checks of `run` hold; the taps and vectors exist.
    #[inline(always)]
    unsafe fn tile<S: Simd<T>, const COUNT: usize, const VECTORS: usize>(
        &mut self,
        simd: S,
        segment: usize,
        run: usize,
        channel: usize,
    ) {
        let offset = (segment * self.windows.pitch + run) * self.channels + channel;
        let mut tile = [[simd.zero(); VECTORS]; COUNT];
        for (pixel, &source) in self.windows.sources.iter().enumerate() {
            // SAFETY: the taps lie in every pixel's window, and each pixel has a gradient.
            unsafe {
                let source = self.source.as_ptr().add(source as usize * self.channels + offset);
                let gradient = self.gradient.as_ptr().add(pixel * self.channels + channel);
                for vector in 0..VECTORS {
                    let gradient = simd.load(gradient.add(vector * S::LANES));
                    for tap in 0..COUNT {
                        let x = simd.load(source.add(tap * self.channels + vector * S::LANES));
                        tile[tap][vector] = simd.multiply_add(x, gradient, tile[tap][vector]);
                    }
                }
            }
        }
        let one = simd.splat(T::from_f64(1.0));
        for tap in 0..COUNT {
            let at = (segment * self.windows.length + run + tap) * self.channels + channel;
            for vector in 0..VECTORS {
                // SAFETY: the tap and these channels of it have sums.
                unsafe {
                    let to = self.sums.as_mut_ptr().add(at + vector * S::LANES);
                    simd.store(simd.multiply_add(one, simd.load(to), tile[tap][vector]), to);
                }
            }
        }
    }

    /// One tap and channel.
    fn single(&mut self, segment: usize, run: usize, channel: usize) {
        let offset = segment * self.windows.pitch + run;
        let mut sum = T::default();
        for (&source, gradient) in
            self.windows.sources.iter().zip(self.gradient.chunks_exact(self.channels))
        {
            sum += self.source[(source as usize + offset) * self.channels + channel]
                * gradient[channel];
        }
        self.sums[(segment * self.windows.length + run) * self.channels + channel] += sum;
    }
}
