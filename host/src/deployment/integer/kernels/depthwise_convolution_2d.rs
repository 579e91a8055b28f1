//! Equation (4): 16 channels of two pixels at a time, taps in pairs.

use tinyhero_common::shape::Window;

use super::image::Image;
use super::output::Part;
use super::widened::Widened;
use crate::vectors::{Constants, GROUP, LANES, Range, Vectors, Work};

/// Pixels of a tile.
const PIXELS: usize = 2;

/// Where the two taps of each pair stand in a window. The last of an odd number meets a weight of zero.
pub fn taps(window: Window, image: &Image, taps: &mut Vec<[usize; 2]>) {
    let width = usize::from(window.kernel_width).max(1);
    let place = |tap: usize| tap / width * image.row + tap % width * image.depth;
    let last = window.taps() - 1;
    taps.clear();
    taps.extend((0..=last).step_by(2).map(|tap| [place(tap), place(last.min(tap + 1))]));
}

/// A layer with its input, ready to run.
pub struct Convolve<'a> {
    /// The weights by taps.
    pub weights: &'a Widened,
    /// Where the taps stand in a window.
    pub taps: &'a [[usize; 2]],
    /// The constants of each group of channels.
    pub constants: &'a [Constants],
    /// Zero point and clamp of the output.
    pub range: Range,
    /// The input, each pixel with a multiple of [`GROUP`] values.
    pub image: &'a Image,
    /// Number of channels.
    pub channels: usize,
    /// All output pixels.
    pub output: &'a mut [i8],
}

impl Work for Convolve<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { weights, taps, constants, range, image, channels, output } = self;
        let starts = &image.starts;
        for (group, (weights, constants)) in weights.groups().zip(constants).enumerate() {
            let mut part = Part { group, channels, output };
            let (bias, _) = constants.bias.as_chunks::<LANES>();
            let bias = [vectors.sums(&bias[0]), vectors.sums(&bias[1])];
            let mut first = 0;
            while first < starts.len() {
                // The last tile computes a pixel again rather than one less.
                let pixels: [usize; PIXELS] =
                    std::array::from_fn(|pixel| (first + pixel).min(starts.len() - 1));
                let windows = pixels.map(|pixel| &image.values[starts[pixel] + group * GROUP..]);
                let mut sums = [bias; PIXELS];
                for ([first, second], taps) in weights.iter().zip(taps) {
                    let weights = [vectors.pairs(&first.0), vectors.pairs(&second.0)];
                    for (sums, window) in sums.iter_mut().zip(windows) {
                        let [Some(one), Some(other)] =
                            taps.map(|tap| window.get(tap..tap + GROUP).and_then(|x| x.as_array()))
                        else {
                            return;
                        };
                        let values = vectors.interleave(vectors.pairs(one), vectors.pairs(other));
                        sums[0] = vectors.multiply_add(sums[0], values[0], weights[0]);
                        sums[1] = vectors.multiply_add(sums[1], values[1], weights[1]);
                    }
                }
                for (pixel, sums) in pixels.into_iter().zip(sums) {
                    part.write(pixel, vectors.requantize(sums, constants, range));
                }
                first += PIXELS;
            }
        }
    }
}
