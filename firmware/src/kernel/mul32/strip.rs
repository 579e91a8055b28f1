//! The strip under a row of windows, four channels wide, for depthwise convolution.
//!
//! It holds, column after column, a word for each row of the window: the activations of four channels, plus an offset where loads
//! extend no sign. The window of an output is then a run of neighbouring words, whatever the image's width; padding is written like
//! anything else, and that beside the image only once.

use tinyhero_common::layout::field_quads::QuadStrip;
use tinyhero_common::operator::ConvolutionJob;

use super::core_loops::strip;
use super::quads::QUAD;
use super::rescaled::Rescaled;
use crate::kernel::offsets::assert_words;

/// What the strip adds to every byte of a word.
const OFFSETS: i32 = i32::from_le_bytes([strip::OFFSET as u8; 4]);
/// Rows and taps of the window that has an inner loop of its own.
const THREE: usize = 3;
const NINE: usize = 9;

/// What the inner loop works on.
#[repr(C)]
pub struct StripRow {
    pub strip: *const u8,
    pub weights: *const i32,
    pub rescaled: *const Rescaled,
    pub output: *mut i8,
    pub sums: *mut i32,
    pub count: usize,
    /// Bytes from one window to the next.
    pub step: usize,
    /// Bytes from one output to the next.
    pub distance: usize,
    pub lanes: usize,
}

// The first two are loaded at once.
assert_words!(StripRow: strip, weights);

/// The strip of a layer.
pub struct Strip<'a> {
    words: &'a mut [i32],
    measures: QuadStrip,
    /// Words from one window to the next.
    step: usize,
    /// The padding left of the image, in columns.
    before: usize,
    /// Columns inside the image.
    inside: usize,
    padding: i32,
}

impl<'a> Strip<'a> {
    /// A strip in `words`, which are filled with padding.
    pub fn new(job: &ConvolutionJob<'_>, measures: QuadStrip, words: &'a mut [i32]) -> Self {
        let [padding, ..] = job.input_zero_point.to_le_bytes();
        let padding = i32::from_le_bytes([padding; 4]) ^ OFFSETS;
        words.fill(padding);
        let before = usize::from(job.window.padding_left).min(measures.columns);
        Self {
            words,
            measures,
            step: usize::from(job.window.stride_width) * measures.rows,
            before,
            inside: (measures.columns - before).min(usize::from(job.input.width)),
            padding,
        }
    }

    /// Fills the strip for row `y` of the output and the four channels from `first` on.
    pub fn fill(&mut self, job: &ConvolutionJob<'_>, input: &[i8], first: usize, y: usize) {
        let depth = usize::from(job.input.channels);
        let height = usize::from(job.input.height);
        let pitch = usize::from(job.input.width) * depth;
        let rows = self.measures.rows;
        let words = self.words.get_mut(self.before * rows..).unwrap_or(&mut []);
        // Rows above the image wrap to the far end.
        let top = (y * usize::from(job.window.stride_height))
            .wrapping_sub(usize::from(job.window.padding_top));
        if top < height && top + rows <= height && rows == THREE {
            let pixels = input.get(top * pitch + first..).unwrap_or(&[]);
            if copy_three(pixels, depth, pitch, words, self.inside) {
                return;
            }
        }
        for row in 0..rows {
            let line = top.wrapping_add(row);
            let words = words.get_mut(row..).unwrap_or(&mut []);
            let words = words.iter_mut().step_by(rows.max(1)).take(self.inside);
            if line >= height {
                words.for_each(|word| *word = self.padding);
                continue;
            }
            let pixels = input.get(line * pitch + first..).unwrap_or(&[]);
            for (word, pixel) in words.zip(pixels.chunks(depth.max(1))) {
                *word = quad(pixel) ^ OFFSETS;
            }
        }
    }

    /// The row of outputs of the first `lanes` of the four channels, for windows of three by three; false if it is for others.
    ///
    /// `weights` are nine words a lane, row by row. The sums that `rescaled` gets exceed the true ones by `strip::OFFSET` times the sum of the
    /// weights. Outputs are every `distance`th of `output`, one further on for each lane.
    pub fn three_by_three(
        &self,
        weights: &[i32],
        rescaled: &[Rescaled],
        sums: &mut [i32],
        output: &mut [i8],
        distance: usize,
    ) -> bool {
        let lanes = rescaled.len();
        let last = sums.len().wrapping_sub(1);
        let fits = self.measures.rows == THREE
            && self.measures.taps == NINE
            && (1..=QUAD).contains(&lanes)
            && weights.len() >= NINE * lanes
            && !sums.is_empty()
            && last * self.step + NINE <= self.words.len()
            && last * distance + lanes <= output.len();
        if fits {
            let mut row = StripRow {
                strip: self.words.as_ptr().cast(),
                weights: weights.as_ptr(),
                rescaled: rescaled.as_ptr(),
                output: output.as_mut_ptr(),
                sums: sums.as_mut_ptr(),
                count: sums.len(),
                step: 4 * self.step,
                distance,
                lanes,
            };
            // SAFETY: all that the loop reads and writes lies inside the slices, as just checked.
            unsafe { strip::row(&mut row) };
        }
        fits
    }

    /// The sums of one lane's row of outputs, for windows of any shape.
    pub fn sums(&self, lane: usize, weights: &[i32], sums: &mut [i32]) {
        let columns = weights.len().checked_div(self.measures.rows).unwrap_or(0);
        let windows = (0..).step_by(self.step.max(1)).map_while(|start| self.words.get(start..));
        for (sum, window) in sums.iter_mut().zip(windows) {
            *sum = 0;
            for (row, weights) in weights.chunks_exact(columns.max(1)).enumerate() {
                let words = window.iter().skip(row).step_by(self.measures.rows.max(1));
                for (&weight, &word) in weights.iter().zip(words) {
                    // The lane's byte at the top, and down again with its sign.
                    let value = ((word ^ OFFSETS) << (24 - 8 * (lane as u32 & 3))) >> 24;
                    *sum = sum.wrapping_add(weight.wrapping_mul(value));
                }
            }
        }
    }
}

/// Copies four activations of `count` pixels and of those one and two `pitch`es further on. False, and nothing is done, where words
/// cannot be loaded.
fn copy_three(pixels: &[i8], step: usize, pitch: usize, words: &mut [i32], count: usize) -> bool {
    let end = count.wrapping_sub(1) * step + 2 * pitch + QUAD;
    let aligned = pixels.as_ptr().cast::<i32>().is_aligned() && (step | pitch) & 3 == 0;
    let fits = count > 0 && end <= pixels.len() && THREE * count <= words.len() && aligned;
    if fits {
        // SAFETY: there is at least one pixel; the last one's third row ends inside the input, and there are three words for each.
        unsafe { strip::copy_three(pixels.as_ptr(), step, words.as_mut_ptr(), pitch, count) };
    }
    fits
}

/// The first four activations as a word; what is missing is zero.
fn quad(pixel: &[i8]) -> i32 {
    let mut bytes = [0; QUAD];
    for (byte, &value) in bytes.iter_mut().zip(pixel) {
        *byte = value.cast_unsigned();
    }
    i32::from_le_bytes(bytes)
}
