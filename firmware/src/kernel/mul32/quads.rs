//! Packed quads of channels: their measures, and the inner loops that read them.

use core::arch::naked_asm;

use tinyhero_common::bit_width::field_bits;
use tinyhero_common::layout::channel_pairs::{depth_multiple, padded_depth};
use tinyhero_common::layout::field_quads::{field_offset, quad_bytes};
use tinyhero_common::layout::{Layout, PackedWeights};

use super::core_loops::{bytes, fields};

/// Channels of a quad.
pub const QUAD: usize = tinyhero_common::layout::field_quads::QUAD;
/// Sums of a quad over two pixels, in the order channel pair, pixel, channel of the pair.
pub const PAIR_SUMS: usize = 2 * QUAD;

/// An inner loop over two pixels: both columns, the weights of a quad, how many groups they are, and where the sums go.
pub type PairLoop = unsafe extern "C" fn(
    first: *const i8,
    second: *const i8,
    weights: *const u8,
    groups: usize,
    sums: *mut [i32; PAIR_SUMS],
);

/// The weights of a layer, quad by quad.
#[derive(Clone, Copy)]
pub struct Quads<'a> {
    /// All of them, at a whole word; the last one may have fewer channels.
    bytes: &'a [u8],
    /// What a field is above its weight.
    pub offset: i32,
    /// Weights of a channel, padding included.
    pub depth: usize,
    /// Groups of a quad, at least one: 16 bytes with 8-bit fields, otherwise 8; `depth` is 4 weights a group, with 2-bit fields 8.
    pub groups: usize,
    /// Bytes of a quad.
    pub quad_bytes: usize,
    /// Bits of a field: 2, 4 or 8.
    pub field_bits: u32,
}

impl<'a> Quads<'a> {
    /// The quads of a layer with that many channels. `None` if the layout is another, or if there are too few bytes, none at all, or
    /// they do not begin at a whole word, which no validated model has.
    pub fn new(weights: &PackedWeights<'a>, channels: usize) -> Option<Self> {
        if weights.layout != Layout::FieldQuads {
            return None;
        }
        let bit_width = weights.bit_width;
        let depth = padded_depth(bit_width, weights.row_length);
        let groups = match depth_multiple(bit_width) {
            8 => depth >> 3,
            _ => depth >> 2,
        };
        let quad_bytes = quad_bytes(bit_width, weights.row_length);
        let count = channels.div_ceil(QUAD);
        let bytes = weights.bytes.get(..quad_bytes.checked_mul(count)?)?;
        let aligned = bytes.as_ptr().cast::<u32>().is_aligned();
        (groups > 0 && count > 0 && aligned).then_some(Self {
            bytes,
            offset: field_offset(bit_width),
            depth,
            groups,
            quad_bytes,
            field_bits: field_bits(bit_width),
        })
    }

    /// The bytes of each quad.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks_exact(self.quad_bytes.max(1))
    }

    /// Where the first quad begins.
    pub const fn start(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    /// The inner loop over two pixels.
    pub fn pair_loop(&self) -> PairLoop {
        match self.field_bits {
            2 => fields::pair_2,
            4 => fields::pair_4,
            _ => bytes::pair,
        }
    }

    /// The inner loop over one pixel, the first; its sums stand for both.
    pub fn single_loop(&self) -> PairLoop {
        match self.field_bits {
            2 => single_2,
            4 => single_4,
            _ => single_8,
        }
    }
}

/// Gives an inner loop over one pixel the form of one over two.
macro_rules! doubled {
    ($name:ident, $single:path) => {
        /// # Safety
        /// What the inner loop over one pixel asks for.
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            column: *const i8,
            unused: *const i8,
            weights: *const u8,
            groups: usize,
            sums: *mut [i32; PAIR_SUMS],
        ) {
            naked_asm!(
                "push {{r4, lr}}",
                "ldr r4, [sp, #8]",
                "mov r1, r2",
                "mov r2, r3",
                "mov r3, r4",
                "bl {single}",
                "ldmia r4!, {{r0-r3}}",
                "subs r4, #16",
                "stmia r4!, {{r0, r1}}",
                "stmia r4!, {{r0, r1}}",
                "stmia r4!, {{r2, r3}}",
                "stmia r4!, {{r2, r3}}",
                "pop {{r4, pc}}",
                single = sym $single,
            )
        }
    };
}

doubled!(single_2, fields::single_2);
doubled!(single_4, fields::single_4);
doubled!(single_8, bytes::single);
