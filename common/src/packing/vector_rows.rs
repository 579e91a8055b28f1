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
    use crate::model::Layout;
    use crate::packing::BitWidth;
    use crate::packing::fields::pack;
    use crate::packing::fields::tests::every_width_survives;

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
