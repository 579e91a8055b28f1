//! What the layouts for fast kernels have in common: fields of 2, 4 or 8 bits that never straddle bytes, in units of some rows side by side.
//!
//! The layouts differ in how many rows a unit has, where in it the field of a weight stands, and whether fields are two's complement; their
//! modules say it. One loop reads them all, and one writes them.

use crate::bit_width::{BitWidth, field_bits, field_exponent};
use crate::layout::{Layout, channel_pairs, field_quads, vector_pairs, vector_rows};

/// Logarithm of the number of rows in a unit of the layout, and the bytes of a unit. `None` for the layouts that are tightly packed rows.
pub const fn unit(layout: Layout, bit_width: BitWidth, row_length: usize) -> Option<(u32, usize)> {
    let field_bits = field_bits(bit_width) as usize;
    // And how many weights a row is padded to a multiple of.
    let (exponent, multiple) = match layout {
        Layout::Rows | Layout::ChannelQuads => return None,
        Layout::ChannelPairs => (1, channel_pairs::depth_multiple(bit_width)),
        Layout::FieldQuads => (2, channel_pairs::depth_multiple(bit_width)),
        Layout::VectorPairs => (1, vector_pairs::unit(bit_width)),
        Layout::VectorRows => (0, 8 >> field_exponent(bit_width)),
    };
    // Row lengths of valid models are far below the end of the range.
    let depth = row_length.saturating_add(multiple - 1) & !(multiple - 1);
    Some((exponent, depth.saturating_mul(field_bits << exponent) / 8))
}

/// Where in its unit the field of a weight begins: byte and bit.
const fn place(layout: Layout, bit_width: BitWidth, row: usize, index: usize) -> (usize, u32) {
    match layout {
        Layout::ChannelPairs => channel_pairs::place(bit_width, row, index),
        Layout::FieldQuads => field_quads::place(bit_width, row, index),
        Layout::VectorPairs => vector_pairs::place(bit_width, row, index),
        _ => vector_rows::place(bit_width, index),
    }
}

/// The bit that tells a field `w + 2^(f−1)` from two's complement, at the top of a byte; 0 where fields are two's complement.
const fn flipped(layout: Layout, bit_width: BitWidth) -> u8 {
    match layout {
        Layout::FieldQuads => 0x80,
        Layout::ChannelPairs if field_bits(bit_width) < 8 => 0x80,
        _ => 0,
    }
}

/// What is unpacked where all bits are zero.
pub(crate) const fn empty(layout: Layout, bit_width: BitWidth) -> i8 {
    flipped(layout, bit_width).cast_signed() >> (8 - field_bits(bit_width))
}

/// Packs whole rows into zero bytes; `None` if there are too few or a weight does not fit the width.
pub fn pack(
    weights: &[i8],
    layout: Layout,
    bit_width: BitWidth,
    row_length: usize,
    packed: &mut [u8],
) -> Option<()> {
    let (unit_exponent, bytes) = unit(layout, bit_width, row_length)?;
    let unused = 8 - field_bits(bit_width);
    for (row, values) in weights.chunks_exact(row_length.max(1)).enumerate() {
        let number = row >> unit_exponent;
        let unit = packed.get_mut(number * bytes..(number + 1) * bytes)?;
        for (index, &weight) in values.iter().enumerate() {
            if i32::from(weight) < bit_width.min() || i32::from(weight) > bit_width.max() {
                return None;
            }
            let (byte, bit) = place(layout, bit_width, row, index);
            let top = (weight.cast_unsigned() << unused) ^ flipped(layout, bit_width);
            *unit.get_mut(byte)? |= top >> unused << bit;
        }
    }
    Some(())
}

/// Unpacks weights of one row, as many as `weights` has room for, from number `first` on. Fields beyond the end of `packed`, which a
/// validated model has none of, count as zero bits.
pub fn unpack(
    packed: &[u8],
    layout: Layout,
    bit_width: BitWidth,
    row_length: usize,
    row: usize,
    first: usize,
    weights: &mut [i8],
) {
    let (unit_exponent, bytes) = unit(layout, bit_width, row_length).unwrap_or((0, 0));
    let start = (row >> unit_exponent).saturating_mul(bytes);
    let unused = 8 - field_bits(bit_width);
    for (index, weight) in (first..).zip(weights) {
        let (byte, bit) = place(layout, bit_width, row, index);
        let byte = packed.get(start.saturating_add(byte)).map_or(0, |&byte| u32::from(byte));
        // The field at the top of the byte, then down again with its sign.
        let top = (byte << unused.wrapping_sub(bit)) as u8 ^ flipped(layout, bit_width);
        *weight = top.cast_signed() >> unused;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use core::ops::Range;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::layout::PackedWeights;

    /// Whole rows, packed into as many bytes as the layout says.
    pub fn packed(
        weights: &[i8],
        layout: Layout,
        bit_width: BitWidth,
        row_length: usize,
    ) -> Vec<u8> {
        let rows = weights.len() / row_length;
        let mut packed = vec![0; PackedWeights::bytes_for(bit_width, layout, rows, row_length)];
        pack(weights, layout, bit_width, row_length, &mut packed).unwrap();
        packed
    }

    /// What is packed comes back, whole rows and their second halves, at every width.
    pub fn every_width_survives(
        layout: Layout,
        rows: &Range<usize>,
        row_lengths: impl IntoIterator<Item = usize>,
    ) {
        for row_length in row_lengths {
            for (bit_width, rows) in
                BitWidth::ALL.iter().flat_map(|&width| rows.clone().map(move |rows| (width, rows)))
            {
                let span = 2 * bit_width.offset();
                let weight = |index: usize| (bit_width.min() + (index as i32 * 7 + 3) % span) as i8;
                let weights: Vec<i8> = (0..rows * row_length).map(weight).collect();
                let packed = packed(&weights, layout, bit_width, row_length);
                for (row, expected) in weights.chunks_exact(row_length).enumerate() {
                    for first in [0, row_length / 2] {
                        let mut found = vec![0; row_length - first];
                        unpack(&packed, layout, bit_width, row_length, row, first, &mut found);
                        assert_eq!(found, expected[first..], "{bit_width:?}, row {row} of {rows}");
                    }
                }
            }
        }
    }
}
