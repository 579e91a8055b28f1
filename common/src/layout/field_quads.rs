//! The layout [`FieldQuads`](crate::layout::Layout::FieldQuads): four output channels side by side, for cores that multiply 32 bits by 32 bits.
//!
//! Four rows, a quad, are one stream of little-endian groups. A group holds the next weights of all four channels:
//!
//! * 8-bit fields: four weights a channel, 16 bytes: weight 0 of channels 0, 1, 2, 3, then weight 1 of each, and so on;
//! * 4-bit fields: four weights a channel, two words. The lower half of the first word has those of channel 0 from the low end, its upper
//!   half those of channel 1; the second word has channels 2 and 3. So one mask isolates a field of two channels 16 bits apart, and
//!   one multiplication serves both;
//! * 2-bit fields: the same with eight weights a channel.
//!
//! Fields have 2, 4 or 8 bits, as in [`channel_pairs`](super::channel_pairs), and hold `w + 2^(f−1)` with `f` bits. Rows are padded to whole groups and the last
//! quad with empty channels, all with zero bits: a kernel that multiplies fields as they are adds nothing there.

use crate::bit_width::{BitWidth, field_bits};
use crate::layout::channel_pairs::padded_depth;
use crate::shape::{Shape, Window};

/// Output channels side by side.
pub const QUAD: usize = 4;

/// What is added to a weight to make its field, `2^(f−1)`.
pub const fn field_offset(bit_width: BitWidth) -> i32 {
    1 << (field_bits(bit_width) - 1)
}

/// Bytes of a quad of rows.
pub const fn quad_bytes(bit_width: BitWidth, row_length: usize) -> usize {
    padded_depth(bit_width, row_length).saturating_mul(field_bits(bit_width) as usize) / 2
}

/// Where in the bytes of its quad the field of a weight begins: byte and bit.
pub(super) const fn place(bit_width: BitWidth, row: usize, index: usize) -> (usize, u32) {
    let channel = row % QUAD;
    // The bit in the half of its word, and the word's first byte.
    let (word, bit) = match field_bits(bit_width) {
        2 => (8 * (index / 8), 2 * (index % 8)),
        4 => (8 * (index / 4), 4 * (index % 4)),
        _ => return (QUAD * index + channel, 0),
    };
    (word + 2 * channel + bit / 8, (bit % 8) as u32)
}

/// What the depthwise kernel for this layout keeps in its scratch memory, in this order: the weights of four channels
/// as words; the sums of a row of outputs; and the strip, the rows of the input under a row of windows, four channels wide and padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuadStrip {
    /// Taps of the window, the words of weights of a channel.
    pub taps: usize,
    /// Outputs of a row, the words of sums.
    pub outputs: usize,
    /// Columns of the strip, each as many words as the window has rows.
    pub columns: usize,
    /// Rows of the window.
    pub rows: usize,
}

impl QuadStrip {
    /// For a window over an image whose output has this shape.
    pub const fn new(window: Window, output: Shape) -> Self {
        let outputs = output.width as usize;
        Self {
            taps: window.taps(),
            outputs,
            columns: outputs.saturating_sub(1) * window.stride_width as usize
                + window.kernel_width as usize,
            rows: window.kernel_height as usize,
        }
    }

    /// Bytes of all three.
    pub const fn scratch_bytes(&self) -> usize {
        let strip = self.columns.saturating_mul(self.rows);
        (4 * self.taps).saturating_add(self.outputs).saturating_add(strip).saturating_mul(4)
    }
}

#[cfg(test)]
mod tests {
    use crate::bit_width::BitWidth;
    use crate::layout::Layout;
    use crate::layout::fields::pack;
    use crate::layout::fields::tests::{every_width_survives, packed};
    use std::vec::Vec;

    const LAYOUT: Layout = Layout::FieldQuads;

    fn word(packed: &[u8], index: usize) -> u32 {
        u32::from_le_bytes(packed[4 * index..4 * index + 4].try_into().unwrap())
    }

    #[test]
    fn fields_of_two_channels_are_16_bits_apart() {
        // Five channels of four weights; fields are the weight plus 8, and the padding of the last quad is zero.
        let weights: Vec<i8> = (0..20).map(|index| index % 16 - 8).collect();
        let four = packed(&weights, LAYOUT, BitWidth::Four, 4);
        let words: Vec<u32> = (0..4).map(|index| word(&four, index)).collect();
        assert_eq!(words, [0x7654_3210, 0xFEDC_BA98, 0x0000_3210, 0]);

        let two = packed(&[-2, -1, 0, 1, -2, 1, 1, 1, 1, 1], LAYOUT, BitWidth::Two, 5);
        assert_eq!(word(&two, 0), 0b0000_0011_1111_1111_0000_0000_1110_0100);
    }

    #[test]
    fn every_width_survives_and_takes_what_it_says() {
        every_width_survives(LAYOUT, &(1..10), 1..20);
    }

    #[test]
    fn a_weight_outside_its_width_is_refused() {
        assert_eq!(pack(&[4], LAYOUT, BitWidth::Three, 1, &mut [0; 8]), None);
        assert_eq!(pack(&[3], LAYOUT, BitWidth::Three, 1, &mut [0; 2]), None);
    }
}
