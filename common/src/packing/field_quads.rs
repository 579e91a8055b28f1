//! The layout [`FieldQuads`](crate::model::Layout::FieldQuads): four output channels side by side, for cores that multiply 32 bits by 32 bits.
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

use super::BitWidth;
use super::channel_pairs::padded_depth;
use super::fields::field_bits;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::PackedWeights;
    use crate::model::Layout;
    use crate::packing::fields;

    const LAYOUT: Layout = Layout::FieldQuads;

    fn bytes(bit_width: BitWidth, rows: usize, row_length: usize) -> usize {
        PackedWeights::bytes_for(bit_width, LAYOUT, rows, row_length)
    }

    fn pack(
        weights: &[i8],
        row_length: usize,
        bit_width: BitWidth,
        packed: &mut [u8],
    ) -> Option<()> {
        fields::pack(weights, LAYOUT, bit_width, row_length, packed)
    }

    fn unpack(
        packed: &[u8],
        row_length: usize,
        bit_width: BitWidth,
        row: usize,
        first: usize,
        weights: &mut [i8],
    ) {
        fields::unpack(packed, LAYOUT, bit_width, row_length, row, first, weights);
    }
    use std::vec;
    use std::vec::Vec;

    fn word(packed: &[u8], index: usize) -> u32 {
        u32::from_le_bytes(packed[4 * index..4 * index + 4].try_into().unwrap())
    }

    #[test]
    fn fields_of_two_channels_are_16_bits_apart() {
        // Five channels of four weights; fields are the weight plus 8, and the padding of the last quad is zero.
        let weights: Vec<i8> = (0..20).map(|index| index % 16 - 8).collect();
        let mut packed = vec![0; bytes(BitWidth::Four, 5, 4)];
        pack(&weights, 4, BitWidth::Four, &mut packed).unwrap();
        let words: Vec<u32> = (0..4).map(|index| word(&packed, index)).collect();
        assert_eq!(words, [0x7654_3210, 0xFEDC_BA98, 0x0000_3210, 0]);

        let mut packed = vec![0; bytes(BitWidth::Two, 2, 5)];
        pack(&[-2, -1, 0, 1, -2, 1, 1, 1, 1, 1], 5, BitWidth::Two, &mut packed).unwrap();
        assert_eq!(word(&packed, 0), 0b0000_0011_1111_1111_0000_0000_1110_0100);
    }

    #[test]
    fn every_width_survives_and_takes_what_it_says() {
        for bit_width in BitWidth::ALL {
            for rows in 1..10 {
                for row_length in 1..20 {
                    let span = bit_width.max() - bit_width.min() + 1;
                    let weight =
                        |index: i32| (bit_width.min() + (index * 7 + 3).rem_euclid(span)) as i8;
                    let weights: Vec<i8> = (0..(rows * row_length) as i32).map(weight).collect();
                    let mut packed = vec![0; bytes(bit_width, rows, row_length)];
                    pack(&weights, row_length, bit_width, &mut packed).unwrap();
                    for row in 0..rows {
                        let first = row_length / 2;
                        let mut found = vec![0; row_length - first];
                        unpack(&packed, row_length, bit_width, row, first, &mut found);
                        assert_eq!(found, weights[row * row_length + first..][..found.len()]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_weight_outside_its_width_is_refused() {
        assert_eq!(pack(&[4], 1, BitWidth::Three, &mut [0; 8]), None);
        assert_eq!(pack(&[3], 1, BitWidth::Three, &mut [0; 2]), None);
    }
}
