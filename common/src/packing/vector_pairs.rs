//! The layout [`VectorPairs`](crate::model::Layout::VectorPairs): two output channels side by side in vectors of 16 bytes, for cores that sum
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

use super::BitWidth;
use super::fields::field_bits;

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

#[cfg(test)]
mod tests {
    use crate::model::Layout;
    use crate::packing::BitWidth;
    use crate::packing::fields::pack;
    use crate::packing::fields::tests::{every_width_survives, packed};

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
