//! Packed quads of channels: their measures.

use tinyhero_common::kernel::PackedWeights;
use tinyhero_common::packing::channel_pairs::{depth_multiple, field_bits, padded_depth};
use tinyhero_common::packing::channel_quads::{field_offset, quad_bytes};

/// Channels of a quad.
pub const QUAD: usize = tinyhero_common::packing::channel_quads::QUAD;
/// Sums of a quad over two pixels.
pub const PAIR_SUMS: usize = 2 * QUAD;

/// The measures of a layer's quads.
#[derive(Clone, Copy)]
pub struct Quads {
    /// Bits of a field: 2, 4 or 8.
    pub field_bits: u32,
    /// What a field is above its weight.
    pub offset: i32,
    /// Weights of a channel, padding included.
    pub depth: usize,
    /// Groups of a quad: 16 bytes with 8-bit fields, otherwise 8; `depth` is 4 weights a group, with 2-bit fields 8.
    pub groups: usize,
    /// Bytes of a quad.
    pub bytes: usize,
}

impl Quads {
    pub fn new(weights: &PackedWeights<'_>) -> Self {
        let bit_width = weights.bit_width;
        let depth = padded_depth(bit_width, weights.row_length);
        let groups = match depth_multiple(bit_width) {
            8 => depth >> 3,
            _ => depth >> 2,
        };
        Self {
            field_bits: field_bits(bit_width),
            offset: field_offset(bit_width),
            depth,
            groups,
            bytes: quad_bytes(bit_width, weights.row_length),
        }
    }
}
