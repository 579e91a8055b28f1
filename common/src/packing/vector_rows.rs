//! The layout [`VectorRows`](crate::model::Layout::VectorRows): one row an output channel as in [`Rows`](crate::model::Layout::Rows), in fields
//! that never straddle bytes, for cores that gather the bytes of a row into the lanes of a vector.
//!
//! Field `i` has `f` bits and begins at bit `i · f` of the row, least significant bit first. `f` is 2, 4 or 8: 3-bit weights take 4 and those of 5, 6 and 7
//! bits take 8. Fields are two's complement, so that two shifts unpack a lane and leave empty lanes 0.

use super::BitWidth;
use super::vector_pairs::field_bits;

/// Bytes of a row.
pub const fn row_bytes(bit_width: BitWidth, row_length: usize) -> usize {
    row_length.saturating_mul(field_bits(bit_width) as usize).div_ceil(8)
}

/// Byte of the row, and bit of that byte, at which the field of a weight begins.
pub const fn place(bit_width: BitWidth, index: usize) -> (usize, u32) {
    let bit = index * field_bits(bit_width) as usize;
    (bit / 8, (bit % 8) as u32)
}

/// Packs one row. `packed` must hold [`row_bytes`] zero bytes; `None` if it is shorter or a weight does not fit the width.
pub fn pack(weights: &[i8], bit_width: BitWidth, packed: &mut [u8]) -> Option<()> {
    for (index, &weight) in weights.iter().enumerate() {
        if i32::from(weight) < bit_width.min() || i32::from(weight) > bit_width.max() {
            return None;
        }
        let (byte, bit) = place(bit_width, index);
        let mask = (1u32 << field_bits(bit_width)) - 1;
        *packed.get_mut(byte)? |= ((u32::from(weight.cast_unsigned()) & mask) << bit) as u8;
    }
    Some(())
}

/// Unpacks as many weights as `weights` has room for, from number `first` of the row that `packed` begins with. Fields beyond its
/// end count as zero.
pub fn unpack(packed: &[u8], bit_width: BitWidth, first: usize, weights: &mut [i8]) {
    let unused = 8 - field_bits(bit_width);
    for (index, weight) in (first..).zip(weights) {
        let (byte, bit) = place(bit_width, index);
        let byte = packed.get(byte).map_or(0, |&byte| u32::from(byte));
        let top = (byte << unused.wrapping_sub(bit)) as u8;
        *weight = top.cast_signed() >> unused;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
