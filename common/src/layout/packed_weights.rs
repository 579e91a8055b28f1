//! The weights of a layer in any layout, and the one way to read a row of them.

use crate::bit_width::{BitWidth, field_exponent};
use crate::layout::rows::{pack_row, unpack_row};
use crate::layout::{Layout, fields};

/// The packed weights of a layer, one row an output channel.
#[derive(Clone, Copy, Debug)]
pub struct PackedWeights<'a> {
    /// The packed bytes of all rows.
    pub bytes: &'a [u8],
    /// Bits of each weight.
    pub bit_width: BitWidth,
    /// Order of the packed weights.
    pub layout: Layout,
    /// Weights of one output channel.
    pub row_length: usize,
}

impl PackedWeights<'_> {
    /// Rows are read in pieces that begin at a multiple of this.
    pub const PIECE: usize = 8;

    /// Bytes that `rows` packed rows take in this layout.
    pub const fn bytes_for(
        bit_width: BitWidth,
        layout: Layout,
        rows: usize,
        row_length: usize,
    ) -> usize {
        match fields::unit(layout, bit_width, row_length) {
            Some((unit_exponent, bytes)) => {
                let units = rows.saturating_add((1 << unit_exponent) - 1) >> unit_exponent;
                bytes.saturating_mul(units)
            }
            None => bit_width.row_bytes(row_length).saturating_mul(rows),
        }
    }

    /// Rows and weights of a row that there is room for: those of `rows` channels, and whole fields of padding.
    pub(crate) const fn padded(&self, rows: usize) -> (usize, usize) {
        match fields::unit(self.layout, self.bit_width, self.row_length) {
            Some((unit_exponent, bytes)) => {
                let fields = bytes.saturating_mul(8) >> field_exponent(self.bit_width);
                (rows.next_multiple_of(1 << unit_exponent), fields >> unit_exponent)
            }
            None => (rows, self.row_length),
        }
    }

    /// What is unpacked where all bits are zero.
    pub(crate) const fn empty(&self) -> i8 {
        fields::empty(self.layout, self.bit_width)
    }

    /// Whether the bits behind the last weight of a row are zero, in the layouts whose rows are padded by less than a field.
    pub(crate) fn ends_clear(&self, row: usize) -> bool {
        let Self { bytes, bit_width, layout, row_length } = *self;
        let used = row_length.wrapping_mul(bit_width.bits() as usize) % 8;
        if used == 0 || !matches!(layout, Layout::Rows | Layout::ChannelQuads) {
            return true;
        }
        let end = bit_width.row_bytes(row_length).saturating_mul(row.saturating_add(1));
        bytes.get(end.wrapping_sub(1)).is_some_and(|&last| last >> used == 0)
    }

    /// Packs whole rows into `packed`, which must hold [`PackedWeights::bytes_for`] zero bytes.
    ///
    /// `None`, with `packed` in an undefined state, if it is too short or a weight does not fit the width.
    pub fn pack(
        weights: &[i8],
        row_length: usize,
        bit_width: BitWidth,
        layout: Layout,
        packed: &mut [u8],
    ) -> Option<()> {
        if !matches!(layout, Layout::Rows | Layout::ChannelQuads) {
            return fields::pack(weights, layout, bit_width, row_length, packed);
        }
        let row_bytes = bit_width.row_bytes(row_length).max(1);
        let mut rows = packed.chunks_exact_mut(row_bytes);
        weights
            .chunks_exact(row_length.max(1))
            .try_for_each(|row| pack_row(row, bit_width, rows.next()?))
    }

    /// Unpacks as many weights of a row as `weights` has room for, from number `first` on, a multiple of
    /// [`PackedWeights::PIECE`].
    ///
    /// Weights beyond the row's end hold nothing of use afterwards.
    pub fn unpack(&self, row: usize, first: usize, weights: &mut [i8]) {
        let Self { bytes, bit_width, layout, row_length } = *self;
        if matches!(layout, Layout::Rows | Layout::ChannelQuads) {
            let start = bit_width.row_bytes(row_length).saturating_mul(row);
            let start = start.saturating_add(bit_width.row_bytes(first));
            unpack_row(bytes.get(start..).unwrap_or(&[]), bit_width, weights);
        } else {
            fields::unpack(bytes, layout, bit_width, row_length, row, first, weights);
        }
    }
}
