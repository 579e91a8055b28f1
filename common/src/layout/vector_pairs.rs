//! The layout [`VectorPairs`](crate::layout::Layout::VectorPairs): two output channels side by side in vectors of 16 bytes, for cores that sum
//! sixteen 8-bit products at once.
//!
//! A pair of rows is one stream of 16-byte vectors; lane `i` of a vector belongs to every sixteenth weight of a row, from `i` on.
//! What a vector holds depends on the bits `f` of a field:
//!
//! ```text
//! f = 8   16 weights of the even channel, then in the next vector those of the odd one
//! f = 4   low half of a byte: the even channel, high half: the odd one
//! f = 2   from the low end: even and odd channel, then even and odd channel 16 weights later
//! ```
//!
//! Fields are two's complement, so that shifts alone unpack them with their sign. 3-bit weights take 4 bits and those of 5, 6 and 7 bits
//! take 8: the price of reading all widths at one speed. Rows are padded with zeros to a multiple of 16 weights (32 with 2-bit fields) and an
//! odd last channel by an empty one, so that whatever activations meet the padding add nothing.

use crate::bit_width::{BitWidth, field_bits};
use crate::shape::{Shape, Window, larger, smaller};

/// Weights that a vector holds of one row.
pub const LANES: usize = 16;

/// Weights of a row that a kernel takes in one step; rows are padded to a multiple of it.
pub const fn unit(bit_width: BitWidth) -> usize {
    match bit_width {
        BitWidth::Two => 2 * LANES,
        _ => LANES,
    }
}

/// Weights of a row with its padding.
pub const fn padded_depth(bit_width: BitWidth, row_length: usize) -> usize {
    // Row lengths of valid models are far below the end of the range.
    row_length.saturating_add(unit(bit_width) - 1) & !(unit(bit_width) - 1)
}

/// Bytes of a pair of rows.
pub const fn pair_bytes(bit_width: BitWidth, row_length: usize) -> usize {
    padded_depth(bit_width, row_length).saturating_mul(field_bits(bit_width) as usize) / 4
}

/// Where in the bytes of its pair the field of a weight begins: byte and bit.
pub(super) const fn place(bit_width: BitWidth, row: usize, index: usize) -> (usize, u32) {
    let (vector, lane, odd) = (index / LANES, index % LANES, row % 2);
    let (vector, bit) = match field_bits(bit_width) {
        2 => (vector / 2, 4 * (vector % 2) + 2 * odd),
        4 => (vector, 4 * odd),
        _ => (2 * vector + odd, 0),
    };
    (LANES * vector + lane, bit as u32)
}

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

#[cfg(test)]
mod tests {
    use crate::bit_width::BitWidth;
    use crate::layout::Layout;
    use crate::layout::fields::pack;
    use crate::layout::fields::tests::{every_width_survives, packed};

    const LAYOUT: Layout = Layout::VectorPairs;

    #[test]
    fn weights_stand_in_the_lanes_that_meet_their_activations() {
        // 17 weights of two channels: the last of each begins a vector of its own.
        let mut weights = [0i8; 34];
        (weights[0], weights[1], weights[16]) = (-2, 1, -1);
        (weights[17], weights[18], weights[33]) = (1, -2, -2);
        let packed = |bit_width| packed(&weights, LAYOUT, bit_width, 17);
        let eight = packed(BitWidth::Eight);
        assert_eq!([eight[0], eight[1], eight[16], eight[17]], [0xFE, 1, 1, 0xFE]);
        assert_eq!([eight[32], eight[48], eight.len() as u8], [0xFF, 0xFE, 64]);
        let four = packed(BitWidth::Four);
        assert_eq!([four[0], four[1], four[16], four.len() as u8], [0x1E, 0xE1, 0xEF, 32]);
        let two = packed(BitWidth::Two);
        assert_eq!([two[0], two[1], two.len() as u8], [0b1011_0110, 0b1001, 16]);
    }

    #[test]
    fn every_width_survives_and_takes_what_it_says() {
        every_width_survives(LAYOUT, &(1..6), [1, 2, 15, 16, 17, 31, 32, 33, 48, 70]);
    }

    #[test]
    fn a_weight_outside_its_width_is_refused() {
        assert_eq!(pack(&[4], LAYOUT, BitWidth::Three, 1, &mut [0; 16]), None);
        assert_eq!(pack(&[3], LAYOUT, BitWidth::Three, 1, &mut [0; 8]), None);
    }
}
