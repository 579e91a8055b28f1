//! The layout [`VectorRows`](crate::model::Layout::VectorRows): one row an output channel as in [`Rows`](crate::model::Layout::Rows), in fields
//! that never straddle bytes, for cores that gather the bytes of a row into the lanes of a vector.
//!
//! Field `i` has `f` bits and begins at bit `i · f` of the row, least significant bit first. `f` is 2, 4 or 8: 3-bit weights take 4 and those of 5, 6 and 7
//! bits take 8. Fields are two's complement, so that two shifts unpack a lane and leave empty lanes 0.

use super::BitWidth;
use super::fields::field_bits;

/// Bytes of a row.
pub const fn row_bytes(bit_width: BitWidth, row_length: usize) -> usize {
    row_length.saturating_mul(field_bits(bit_width) as usize).div_ceil(8)
}

/// Byte of the row, and bit of that byte, at which the field of a weight begins.
pub const fn place(bit_width: BitWidth, index: usize) -> (usize, u32) {
    let bit = index * field_bits(bit_width) as usize;
    (bit / 8, (bit % 8) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Layout;
    use crate::packing::fields;

    const LAYOUT: Layout = Layout::VectorRows;

    fn pack(weights: &[i8], bit_width: BitWidth, packed: &mut [u8]) -> Option<()> {
        fields::pack(weights, LAYOUT, bit_width, weights.len(), packed)
    }

    fn unpack(packed: &[u8], bit_width: BitWidth, first: usize, weights: &mut [i8]) {
        fields::unpack(packed, LAYOUT, bit_width, first + weights.len(), 0, first, weights);
    }
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn every_width_survives_and_takes_what_it_says() {
        for bit_width in BitWidth::ALL {
            for row_length in [1, 2, 3, 8, 9, 25] {
                let span = 2 * bit_width.offset();
                let weight = |index: i32| (bit_width.min() + (index * 7 + 3) % span) as i8;
                let weights: Vec<i8> = (0..row_length).map(weight).collect();
                let mut packed = vec![0; row_bytes(bit_width, weights.len())];
                pack(&weights, bit_width, &mut packed).unwrap();
                let first = weights.len() / 2;
                let mut found = vec![0; weights.len() - first];
                unpack(&packed, bit_width, first, &mut found);
                assert_eq!(found, weights[first..]);
            }
        }
    }

    #[test]
    fn a_weight_outside_its_width_or_room_is_refused() {
        assert_eq!(pack(&[4], BitWidth::Three, &mut [0; 2]), None);
        assert_eq!(pack(&[1, 1, 1], BitWidth::Four, &mut [0; 1]), None);
    }
}
