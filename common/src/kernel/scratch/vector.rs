//! How the kernels for [`Layout::VectorPairs`](crate::model::Layout::VectorPairs) and [`Layout::VectorRows`](crate::model::Layout::VectorRows) divide
//! an image, and what that takes of their scratch memory.

use super::{larger, smaller};
use crate::model::{Shape, Window};
use crate::packing::BitWidth;
use crate::packing::vector_pairs::{LANES, padded_depth};

/// Pixels that the convolution kernel computes together.
pub const QUAD: usize = 4;
/// Most bytes of a strip, where the image can be cut; what ResNet8 needs is 1,920.
const STRIP_BYTES: usize = 2048;

/// How a full convolution reads its input: either in place, or strip by strip.
///
/// A strip is a copy of what some output pixels of one column read: for every input row `kernel width · channels` bytes, padding included, one
/// row behind the other. The window of a pixel is then one run of bytes in the order of its weights, and the window of the pixel
/// below begins `stride` rows later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strips {
    /// Whether windows are single pixels: then the input is read in place, but for the last pixels if channels do not fill whole
    /// vectors.
    pub direct: bool,
    /// Weights of a row with their padding.
    pub depth: usize,
    /// Bytes of one input row in a strip.
    pub line: usize,
    /// Output pixels of a strip.
    pub pixels: usize,
    /// Bytes of a strip, or of the pixels that are not read in place, with the room that the last window's padding reads into.
    pub bytes: usize,
}

impl Strips {
    /// The division of a convolution.
    pub const fn new(window: Window, bit_width: BitWidth, input: Shape, output: Shape) -> Self {
        let channels = input.channels as usize;
        let line = (window.kernel_width as usize).saturating_mul(channels);
        let row_length = line.saturating_mul(window.kernel_height as usize);
        let depth = padded_depth(bit_width, row_length);
        let direct = window.taps() == 1;
        if direct {
            // The pixels whose padded rows end beyond the input begin within one row of its end.
            let bytes = if depth == channels { 0 } else { depth.saturating_mul(2) };
            return Self { direct, depth, line, pixels: 0, bytes };
        }
        let height = output.height as usize;
        let stride = (window.stride_height as usize).saturating_mul(line);
        let padding = depth.saturating_sub(row_length);
        let first = row_length.saturating_add(padding);
        // A loader meets windows of no size before it refuses them.
        let room = match STRIP_BYTES.saturating_sub(first).checked_div(stride) {
            Some(others) => 1 + others,
            None => 1,
        };
        let pixels =
            if room >= height { height } else { smaller(height, larger(room - room % QUAD, QUAD)) };
        let others = pixels.saturating_sub(1).saturating_mul(stride);
        Self { direct, depth, line, pixels, bytes: first.saturating_add(others) }
    }
}

/// Most rows of a depthwise window that the kernel takes.
pub const MOST_TAP_ROWS: usize = 3;
/// Most columns.
pub const MOST_TAP_COLUMNS: usize = 4;
/// Pixels of one channel that the depthwise kernel computes together.
pub const OCTET: usize = 8;
/// Most bytes of the transposed rows, where the image can be cut.
const TRANSPOSED_BYTES: usize = 2048;
/// Bytes of one transposed pixel of one channel: a byte for each row of the window and one to spare.
pub const TAP_BYTES: usize = 4;

/// How a depthwise convolution is divided into blocks of output pixels and groups of channels.
///
/// For every output row of a block the rows of its windows are interleaved byte by byte, so that one gathering load of
/// [`MOST_TAP_COLUMNS`] words brings the whole window of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Channels of a group: 16, or all if there are fewer.
    pub group: usize,
    /// Output rows of a block.
    pub rows: usize,
    /// Output columns of a block.
    pub columns: usize,
    /// Input columns that one output row of a block reads.
    pub input_columns: usize,
    /// Bytes of one transposed row.
    pub line: usize,
    /// Output pixels of a block, rounded up to whole octets.
    pub pixels: usize,
    /// Scratch bytes in all: the transposed rows and room to write whole vectors; the address of each pixel; where each goes to.
    pub bytes: usize,
}

impl Blocks {
    /// Room behind the transposed rows for the last whole vector that is written.
    pub const SPARE: usize = LANES * TAP_BYTES;
    /// Bytes that each pixel takes in the tables behind the transposed rows: an address and a 16-bit offset.
    pub const PIXEL_BYTES: usize = 6;

    /// The division of a depthwise convolution; `None` if its window is larger than what the kernel takes.
    pub const fn new(window: Window, input: Shape, output: Shape) -> Option<Self> {
        let kernel_width = window.kernel_width as usize;
        if window.kernel_height as usize > MOST_TAP_ROWS || kernel_width > MOST_TAP_COLUMNS {
            return None;
        }
        let group = smaller(input.channels as usize, LANES);
        let pixel_bytes = group * TAP_BYTES;
        let stride = window.stride_width as usize;
        let (height, width) = (output.height as usize, output.width as usize);
        let Some(fit) = (TRANSPOSED_BYTES / larger(pixel_bytes, 1))
            .saturating_sub(kernel_width)
            .checked_div(stride)
        else {
            return None;
        };
        let fit = fit + 1;
        let columns = if fit >= width { width } else { larger(fit - fit % OCTET, 1) };
        let input_columns = columns.saturating_sub(1) * stride + kernel_width;
        let line = input_columns * pixel_bytes;
        // As many rows as waste the fewest pixels of the last octet; the fewest of several, since short blocks cost little.
        let most = larger(smaller(TRANSPOSED_BYTES / larger(line, 1), height), 1);
        let mut rows = 1;
        let mut candidate = 2;
        while candidate <= smaller(most, OCTET) {
            if octets(candidate * columns) * rows < octets(rows * columns) * candidate {
                rows = candidate;
            }
            candidate += 1;
        }
        let pixels = octets(rows * columns) * OCTET;
        let bytes = rows * line + Self::SPARE + pixels * Self::PIXEL_BYTES;
        Some(Self { group, rows, columns, input_columns, line, pixels, bytes })
    }
}

/// Octets that hold so many pixels.
const fn octets(pixels: usize) -> usize {
    pixels.div_ceil(OCTET)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn window(kernel: u8, stride: u8) -> Window {
        Window {
            kernel_height: kernel,
            kernel_width: kernel,
            stride_height: stride,
            stride_width: stride,
            padding_top: kernel / 2,
            padding_left: kernel / 2,
        }
    }

    const fn shape(side: u16, channels: u16) -> Shape {
        Shape { height: side, width: side, channels }
    }

    #[test]
    fn the_convolutions_of_resnet8_need_at_most_1920_bytes() {
        for (side, channels) in [(32, 16), (16, 32), (8, 64)] {
            for bit_width in BitWidth::ALL {
                let image = shape(side, channels);
                let strips = Strips::new(window(3, 1), bit_width, image, image);
                assert_eq!(strips.pixels, usize::from(side));
                assert!(strips.bytes <= 1_920 + 32, "{strips:?}");
            }
        }
        let strips = Strips::new(window(1, 2), BitWidth::Two, shape(16, 32), shape(8, 64));
        assert!(strips.direct && strips.bytes == 0);
    }

    #[test]
    fn strips_and_blocks_of_any_shape_hold_at_least_one_pixel() {
        for kernel in [0, 1, 3, 5, 255] {
            for stride in [0, 1, 2, 255] {
                for (side, channels) in [(1, 1), (5, 3), (300, 65_535)] {
                    let image = shape(side, channels);
                    let strips = Strips::new(window(kernel, stride), BitWidth::Two, image, image);
                    assert!(strips.direct || strips.pixels >= 1);
                    if let Some(blocks) = Blocks::new(window(kernel, stride), image, image) {
                        assert!(blocks.rows * blocks.columns >= 1);
                        assert!(blocks.pixels >= blocks.rows * blocks.columns);
                    }
                }
            }
        }
    }

    #[test]
    fn blocks_fill_their_octets() {
        let blocks = |side, channels, stride, output| {
            Blocks::new(window(3, stride), shape(side, channels), shape(output, channels)).unwrap()
        };
        for blocks in
            [blocks(5, 64, 1, 5), blocks(6, 128, 1, 6), blocks(48, 16, 2, 24), blocks(48, 8, 1, 48)]
        {
            assert!(blocks.bytes < 2_600, "{blocks:?}");
            let used = blocks.rows * blocks.columns;
            assert!(16 * used >= 15 * blocks.pixels, "{blocks:?}");
        }
    }
}
