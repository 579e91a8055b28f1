//! The input of a convolution in 16 bits, with its padding written out.

use tinyhero_common::operator::ConvolutionJob;

use crate::vectors::{GROUP, Instructions, Vectors, Work};

/// Most values; what would take more is left to the portable kernels.
const MOST_VALUES: usize = 1 << 25;

/// An image whose windows need no care for its edges.
#[derive(Debug, Default)]
pub struct Image {
    /// The values, and a few more that may be read but mean nothing.
    pub values: Vec<i16>,
    /// Values of a row.
    pub row: usize,
    /// Values of a pixel.
    pub depth: usize,
    /// Where the window of each output pixel begins.
    pub starts: Vec<usize>,
}

impl Image {
    /// Takes in a vector.
    pub fn fill_vector(&mut self, input: &[i8]) {
        self.values.clear();
        self.values.extend(input.iter().map(|&value| i16::from(value)));
        self.values.resize(input.len() + GROUP, 0);
        (self.row, self.depth) = (input.len(), input.len());
        self.starts.clear();
        self.starts.push(0);
    }

    /// Takes in the input of a convolution, each pixel with `depth` values, as many as there are channels or more. `None` if that is too much.
    pub fn fill(
        &mut self,
        instructions: Instructions,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        depth: usize,
    ) -> Option<()> {
        instructions.run(Fill { image: self, job, input, depth })
    }

    #[inline(always)]
    fn fill_with(&mut self, job: &ConvolutionJob<'_>, input: &[i8], depth: usize) -> Option<()> {
        let window = job.window;
        let extent = |outputs: u16, stride: u8, kernel: u8| {
            usize::from(outputs.saturating_sub(1)) * usize::from(stride) + usize::from(kernel)
        };
        let height = extent(job.output.height, window.stride_height, window.kernel_height);
        let width = extent(job.output.width, window.stride_width, window.kernel_width);
        let row = width.checked_mul(depth)?;
        if row.checked_mul(height)? > MOST_VALUES {
            return None;
        }
        (self.row, self.depth) = (row, depth);
        self.values.resize(row * height + GROUP, 0);
        let channels = usize::from(job.input.channels);
        let line = usize::from(job.input.width) * channels;
        let top = usize::from(window.padding_top);
        let left = usize::from(window.padding_left);
        let padding = i16::from(job.input_zero_point);
        // Columns of the image that windows meet.
        let inside = usize::from(job.input.width).min(width.saturating_sub(left));
        for (y, values) in self.values.chunks_exact_mut(row.max(1)).take(height).enumerate() {
            let image = y.checked_sub(top).filter(|&y| y < usize::from(job.input.height));
            let Some(pixels) = image.and_then(|y| input.get(y * line..(y + 1) * line)) else {
                values.fill(padding);
                continue;
            };
            let (before, values) = values.split_at_mut(left * depth);
            let (values, after) = values.split_at_mut(inside * depth);
            before.fill(padding);
            after.fill(padding);
            if depth == channels {
                for (value, &pixel) in values.iter_mut().zip(pixels) {
                    *value = i16::from(pixel);
                }
                continue;
            }
            for (values, pixel) in
                values.chunks_exact_mut(depth).zip(pixels.chunks_exact(channels.max(1)))
            {
                for (value, &pixel) in values.iter_mut().zip(pixel) {
                    *value = i16::from(pixel);
                }
            }
        }
        self.starts.clear();
        for y in 0..usize::from(job.output.height) {
            let start = y * usize::from(window.stride_height) * row;
            let columns = 0..usize::from(job.output.width);
            let step = usize::from(window.stride_width) * depth;
            self.starts.extend(columns.map(|x| start + x * step));
        }
        Some(())
    }
}

/// A layer's input, about to be taken in.
struct Fill<'a> {
    image: &'a mut Image,
    job: &'a ConvolutionJob<'a>,
    input: &'a [i8],
    depth: usize,
}

impl Work for Fill<'_> {
    type Result = Option<()>;

    #[inline(always)]
    fn run<V: Vectors>(self, _vectors: V) -> Option<()> {
        self.image.fill_with(self.job, self.input, self.depth)
    }
}
