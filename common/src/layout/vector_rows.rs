//! The layout [`VectorRows`](crate::layout::Layout::VectorRows): one row an output channel as in [`Rows`](crate::layout::Layout::Rows), in fields
//! that never straddle bytes, for cores that gather the bytes of a row into the lanes of a vector.
//!
//! Field `i` has `f` bits and begins at bit `i · f` of the row, least significant bit first. `f` is 2, 4 or 8: 3-bit weights take 4 and those of 5, 6 and 7
//! bits take 8. Fields are two's complement, so that two shifts unpack a lane and leave empty lanes 0.

use crate::bit_width::{BitWidth, field_bits};
use crate::layout::vector_pairs::LANES;
use crate::shape::{Shape, Window, larger, smaller};

/// Bytes of a row.
pub const fn row_bytes(bit_width: BitWidth, row_length: usize) -> usize {
    row_length.saturating_mul(field_bits(bit_width) as usize).div_ceil(8)
}

/// Byte of the row, and bit of that byte, at which the field of a weight begins.
pub const fn place(bit_width: BitWidth, index: usize) -> (usize, u32) {
    let bit = index * field_bits(bit_width) as usize;
    (bit / 8, (bit % 8) as u32)
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
    use crate::bit_width::BitWidth;
    use crate::layout::Layout;
    use crate::layout::fields::pack;
    use crate::layout::fields::tests::every_width_survives;

    const LAYOUT: Layout = Layout::VectorRows;

    #[test]
    fn every_width_survives_and_takes_what_it_says() {
        every_width_survives(LAYOUT, &(1..2), [1, 2, 3, 8, 9, 25]);
    }

    #[test]
    fn a_weight_outside_its_width_or_room_is_refused() {
        assert_eq!(pack(&[4], LAYOUT, BitWidth::Three, 1, &mut [0; 2]), None);
        assert_eq!(pack(&[1, 1, 1], LAYOUT, BitWidth::Four, 3, &mut [0; 1]), None);
    }
}
