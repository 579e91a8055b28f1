//! The weights of a layer in any layout, and the one way to read a row of them.

use crate::model::Layout;
use crate::packing::{
    BitWidth, channel_pairs, field_quads, pack_row, unpack_row, vector_pairs, vector_rows,
};

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
        match layout {
            Layout::Rows | Layout::ChannelQuads => {
                bit_width.row_bytes(row_length).saturating_mul(rows)
            }
            Layout::ChannelPairs => channel_pairs::bytes(bit_width, rows, row_length),
            Layout::FieldQuads => field_quads::bytes(bit_width, rows, row_length),
            Layout::VectorPairs => vector_pairs::bytes(bit_width, rows, row_length),
            Layout::VectorRows => {
                vector_rows::row_bytes(bit_width, row_length).saturating_mul(rows)
            }
        }
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
        match layout {
            Layout::Rows | Layout::ChannelQuads => {
                let row_bytes = bit_width.row_bytes(row_length).max(1);
                let mut rows = packed.chunks_exact_mut(row_bytes);
                weights
                    .chunks_exact(row_length.max(1))
                    .try_for_each(|row| pack_row(row, bit_width, rows.next()?))
            }
            Layout::ChannelPairs => channel_pairs::pack(weights, row_length, bit_width, packed),
            Layout::FieldQuads => field_quads::pack(weights, row_length, bit_width, packed),
            Layout::VectorPairs => vector_pairs::pack(weights, row_length, bit_width, packed),
            Layout::VectorRows => {
                let row_bytes = vector_rows::row_bytes(bit_width, row_length).max(1);
                let mut rows = packed.chunks_exact_mut(row_bytes);
                weights
                    .chunks_exact(row_length.max(1))
                    .try_for_each(|row| vector_rows::pack(row, bit_width, rows.next()?))
            }
        }
    }

    /// Unpacks as many weights of a row as `weights` has room for, from number `first` on, a multiple of
    /// [`PackedWeights::PIECE`].
    ///
    /// Weights beyond the row's end hold nothing of use afterwards.
    pub fn unpack(&self, row: usize, first: usize, weights: &mut [i8]) {
        match self.layout {
            Layout::Rows | Layout::ChannelQuads => {
                let start = self.bit_width.row_bytes(self.row_length).saturating_mul(row);
                let start = start.saturating_add(self.bit_width.row_bytes(first));
                unpack_row(self.bytes.get(start..).unwrap_or(&[]), self.bit_width, weights);
            }
            Layout::ChannelPairs => channel_pairs::unpack(
                self.bytes,
                self.row_length,
                self.bit_width,
                row,
                first,
                weights,
            ),
            Layout::FieldQuads => field_quads::unpack(
                self.bytes,
                self.row_length,
                self.bit_width,
                row,
                first,
                weights,
            ),
            Layout::VectorPairs => vector_pairs::unpack(
                self.bytes,
                self.row_length,
                self.bit_width,
                row,
                first,
                weights,
            ),
            Layout::VectorRows => {
                let start = vector_rows::row_bytes(self.bit_width, self.row_length);
                let row = self.bytes.get(start.saturating_mul(row)..).unwrap_or(&[]);
                vector_rows::unpack(row, self.bit_width, first, weights);
            }
        }
    }
}
