//! Equations (3) and (5): sums over all input channels, several pixels of 16 output channels at a time.

use super::image::Image;
use super::output::Part;
use super::widened::Widened;
use crate::vectors::{Constants, LANES, Pairs, Range, Vectors, Work};

/// Pixels of a tile: as many sums as the processor's registers hold.
const PIXELS: usize = 6;

/// A layer with its input, ready to run.
pub struct Convolve<'a> {
    /// The weights in lines.
    pub weights: &'a Widened,
    /// The constants of each group of channels.
    pub constants: &'a [Constants],
    /// Zero point and clamp of the output.
    pub range: Range,
    /// The input.
    pub image: &'a Image,
    /// Number of output channels.
    pub channels: usize,
    /// All output pixels.
    pub output: &'a mut [i8],
}

impl Work for Convolve<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Self { weights, constants, range, image, channels, output } = self;
        let starts = &image.starts;
        for (group, (values, constants)) in weights.groups().zip(constants).enumerate() {
            let mut part = Part { group, channels, output };
            let tile = Tile { weights: values, pairs: weights.pairs, image, constants };
            if starts.len() < PIXELS {
                for (pixel, &start) in starts.iter().enumerate() {
                    let [sums] = tile.sums(vectors, [start]);
                    part.write(pixel, vectors.requantize(sums, constants, range));
                }
                continue;
            }
            let mut first = 0;
            while first < starts.len() {
                // The last tile computes some pixels again rather than fewer.
                first = first.min(starts.len() - PIXELS);
                let (tiles, _) = starts[first..].as_chunks::<PIXELS>();
                let sums = tile.sums(vectors, tiles[0]);
                for (index, sums) in sums.into_iter().enumerate() {
                    part.write(first + index, vectors.requantize(sums, constants, range));
                }
                first += PIXELS;
            }
        }
    }
}

/// Sixteen output channels of a layer.
struct Tile<'a> {
    weights: &'a [[Pairs; 2]],
    pairs: usize,
    image: &'a Image,
    constants: &'a Constants,
}

impl Tile<'_> {
    /// The sums of the windows that begin at `starts`.
    #[inline(always)]
    fn sums<V: Vectors, const COUNT: usize>(
        &self,
        vectors: V,
        starts: [usize; COUNT],
    ) -> [[V::Sums; 2]; COUNT] {
        let (bias, _) = self.constants.bias.as_chunks::<LANES>();
        let mut sums = [[vectors.sums(&bias[0]), vectors.sums(&bias[1])]; COUNT];
        let pairs = self.pairs;
        for (line, weights) in self.weights.chunks_exact(pairs).enumerate() {
            let pixels: [&[[i16; 2]]; COUNT] = std::array::from_fn(|pixel| {
                let start = starts[pixel] + line * self.image.row;
                &self.image.values[start..start + 2 * pairs].as_chunks().0[..pairs]
            });
            for (pair, [first, second]) in weights.iter().enumerate() {
                let weights = [vectors.pairs(&first.0), vectors.pairs(&second.0)];
                for (sums, pixel) in sums.iter_mut().zip(pixels) {
                    let values = vectors.same(pixel[pair]);
                    sums[0] = vectors.multiply_add(sums[0], values, weights[0]);
                    sums[1] = vectors.multiply_add(sums[1], values, weights[1]);
                }
            }
        }
        sums
    }
}
