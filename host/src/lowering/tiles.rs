//! Convolutions of the real forward pass: windows of a few pixels times the weights, a tile of sums at
//! a time.
//!
//! Each sum begins with the bias and is made in the order of the weights, one product after the other
//! and never fused, so that every processor and any number of threads gives the same bits.

use super::weights::WeightMatrix;
use crate::vectors::{Instructions, LANES, Vectors, Work};

/// Output channels of a tile.
const CHANNELS: usize = 16;
/// Pixels of a tile.
const PIXELS: usize = 4;
/// Pixels whose windows are gathered before they are multiplied.
const STRIP: usize = 32;

/// Weights in groups of `CHANNELS` rows, the last filled up with zeros.
pub struct Tiles {
    length: usize,
    rows: usize,
    /// Each group's biases.
    bias: Vec<[f32; CHANNELS]>,
    /// Group by group, column by column.
    weights: Vec<[f32; CHANNELS]>,
}

impl Tiles {
    /// Of a table with one row an output channel.
    pub fn new(matrix: &WeightMatrix) -> Self {
        let rows = matrix.rows();
        let groups = rows.div_ceil(CHANNELS);
        let filled = |group: usize, value: &dyn Fn(usize) -> f64| {
            std::array::from_fn(|lane| {
                let row = group * CHANNELS + lane;
                if row < rows { value(row) as f32 } else { 0.0 }
            })
        };
        let length = matrix.row_length;
        let column = |group: usize, column: usize| {
            filled(group, &|row| matrix.values[row * length + column])
        };
        Self {
            length,
            rows,
            bias: (0..groups).map(|group| filled(group, &|row| matrix.bias[row])).collect(),
            weights: (0..groups)
                .flat_map(|group| (0..length).map(move |index| (group, index)))
                .map(|(group, index)| column(group, index))
                .collect(),
        }
    }

    /// Begins to compute an output, pixel by pixel with the channel as the fastest index.
    pub fn strip<'a>(&'a self, output: &'a mut [f32]) -> Strip<'a> {
        Strip { tiles: self, output, start: 0, windows: vec![0.0; STRIP * self.length] }
    }
}

/// Pixels whose windows are being gathered.
pub struct Strip<'a> {
    tiles: &'a Tiles,
    /// The output from the first of these pixels on.
    output: &'a mut [f32],
    /// The first pixel.
    start: usize,
    windows: Vec<f32>,
}

impl Strip<'_> {
    /// The window of a pixel, zero at first. Pixels come in rising order.
    pub fn window(&mut self, pixel: usize) -> &mut [f32] {
        while pixel >= self.start + STRIP {
            self.multiply();
        }
        let length = self.tiles.length;
        let at = pixel - self.start;
        &mut self.windows[at * length..(at + 1) * length]
    }

    /// Computes what is left.
    pub fn finish(mut self) {
        while !self.output.is_empty() {
            self.multiply();
        }
    }

    /// Computes the pixels whose windows are there, and begins with those behind them.
    fn multiply(&mut self) {
        let length = self.output.len().min(STRIP * self.tiles.rows);
        let (now, later) = std::mem::take(&mut self.output).split_at_mut(length);
        let product = Product { tiles: self.tiles, windows: &self.windows, output: now };
        Instructions::detect().run(product);
        self.output = later;
        self.start += STRIP;
        self.windows.fill(0.0);
    }
}

/// Windows times weights.
struct Product<'a> {
    tiles: &'a Tiles,
    windows: &'a [f32],
    output: &'a mut [f32],
}

impl Work for Product<'_> {
    type Result = ();

    #[inline(always)]
    fn run<V: Vectors>(self, vectors: V) {
        let Tiles { length, rows, bias, weights } = self.tiles;
        let tiles = self.output.chunks_mut(PIXELS * rows).zip(self.windows.chunks(PIXELS * length));
        for (output, windows) in tiles {
            let mut pixels = windows.chunks_exact(*length);
            let pixels: [&[f32]; PIXELS] = std::array::from_fn(|_| pixels.next().unwrap_or(&[]));
            for (group, bias) in bias.iter().enumerate() {
                let weights = &weights[group * length..(group + 1) * length];
                let mut sums = [both(vectors, bias); PIXELS];
                let [first, second, third, fourth] = pixels;
                let values = first.iter().zip(second).zip(third).zip(fourth);
                for (weights, (((first, second), third), fourth)) in weights.iter().zip(values) {
                    let [low, high] = both(vectors, weights);
                    let values = [first, second, third, fourth];
                    for (sums, value) in sums.iter_mut().zip(values) {
                        let value = vectors.same_real(*value);
                        sums[0] = vectors.add_product(sums[0], value, low);
                        sums[1] = vectors.add_product(sums[1], value, high);
                    }
                }
                let place = group * CHANNELS;
                let taken = CHANNELS.min(rows - place);
                for (output, sums) in output.chunks_exact_mut(*rows).zip(&sums) {
                    let [low, high] = sums.map(|sums| vectors.stored(sums));
                    let values = low.iter().chain(&high);
                    for (output, value) in output[place..place + taken].iter_mut().zip(values) {
                        *output = *value;
                    }
                }
            }
        }
    }
}

/// A group's numbers as two vectors.
#[inline(always)]
fn both<V: Vectors>(vectors: V, values: &[f32; CHANNELS]) -> [V::Reals; 2] {
    let (halves, _) = values.as_chunks::<LANES>();
    [vectors.reals(&halves[0]), vectors.reals(&halves[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_give_the_sums_of_each_row_in_order() {
        for (rows, length, pixels) in [(1, 1, 1), (16, 9, 4), (17, 27, 33), (40, 5, 70)] {
            let value = |at: usize| ((at * 7_919 + 13) % 1_009) as f64 * 0.013 - 6.0;
            let matrix = WeightMatrix {
                row_length: length,
                values: (0..rows * length).map(value).collect(),
                bias: (0..rows).map(|row| value(row + 5)).collect(),
            };
            let input: Vec<f32> = (0..pixels * length).map(|at| value(at * 3) as f32).collect();
            let tiles = Tiles::new(&matrix);
            let mut output = vec![f32::NAN; rows * pixels];
            let mut strip = tiles.strip(&mut output);
            for (pixel, window) in input.chunks_exact(length).enumerate() {
                // A pixel without a window reads zeros.
                if pixel % 7 != 3 {
                    strip.window(pixel).copy_from_slice(window);
                }
            }
            strip.finish();
            for (pixel, window) in input.chunks_exact(length).enumerate() {
                for row in 0..rows {
                    let mut sum = matrix.bias[row] as f32;
                    for (value, weight) in window.iter().zip(matrix.row(row)) {
                        sum += if pixel % 7 == 3 { 0.0 } else { value * *weight as f32 };
                    }
                    assert_eq!(output[pixel * rows + row], sum, "{rows} {length} {pixel} {row}");
                }
            }
        }
    }
}
