//! Weights of 2 to 8 bits, packed into bytes.
//!
//! A weight `w` of `b` bits lies in `−2^(b−1) ..= 2^(b−1) − 1` and is stored offset-binary, as `w + 2^(b−1)`, because
//! unsigned fields unpack in one instruction on cores with 16-bit lanes. In the layout [`Rows`](crate::model::Layout::Rows) each
//! output channel is one row: field `i` occupies bits `i·b .. (i+1)·b` of the row, least significant bit first; a row
//! starts at a byte boundary and its unused last bits are zero. Eight weights always take exactly `b` bytes. Each other layout has a
//! module of its own.
//!
//! One rule holds in all layouts: the bits that belong to no weight, which fill up bytes, rows and missing channels, are zero. Fast kernels
//! rely on it, and [`Model::load`](crate::model::Model::load) checks it.

pub mod channel_pairs;
pub mod field_quads;
pub mod fields;
pub mod vector_pairs;
pub mod vector_rows;

use serde::{Deserialize, Serialize};

/// How many bits a weight has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BitWidth {
    /// −2 ..= 1
    Two,
    /// −4 ..= 3
    Three,
    /// −8 ..= 7
    Four,
    /// −16 ..= 15
    Five,
    /// −32 ..= 31
    Six,
    /// −64 ..= 63
    Seven,
    /// −128 ..= 127
    Eight,
}

impl BitWidth {
    /// Every width, narrowest first.
    pub const ALL: [Self; 7] =
        [Self::Two, Self::Three, Self::Four, Self::Five, Self::Six, Self::Seven, Self::Eight];

    /// The number of bits, 2 to 8.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Two => 2,
            Self::Three => 3,
            Self::Four => 4,
            Self::Five => 5,
            Self::Six => 6,
            Self::Seven => 7,
            Self::Eight => 8,
        }
    }

    /// The width with that number of bits; `None` outside 2 to 8.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        Some(match bits {
            2 => Self::Two,
            3 => Self::Three,
            4 => Self::Four,
            5 => Self::Five,
            6 => Self::Six,
            7 => Self::Seven,
            8 => Self::Eight,
            _ => return None,
        })
    }

    /// Smallest weight, `−2^(b−1)`.
    pub const fn min(self) -> i32 {
        -self.offset()
    }

    /// Largest weight, `2^(b−1) − 1`.
    pub const fn max(self) -> i32 {
        self.offset() - 1
    }

    /// What is added to a weight to store it, `2^(b−1)`.
    pub const fn offset(self) -> i32 {
        1 << (self.bits() - 1)
    }

    /// Bytes of one packed row of `count` weights.
    ///
    /// Exact for `count` below `2^29`; larger counts, which no valid model has, saturate.
    pub const fn row_bytes(self, count: usize) -> usize {
        count.saturating_mul(self.bits() as usize).div_ceil(8)
    }
}

/// Packs one row. `packed` receives [`BitWidth::row_bytes`]`(weights.len())` bytes; more room is left untouched.
///
/// Returns `None`, with `packed` in an undefined state, if there is too little room or a weight does not fit the width.
pub fn pack_row(weights: &[i8], bit_width: BitWidth, packed: &mut [u8]) -> Option<()> {
    let bits = bit_width.bits();
    let mut accumulated = 0u32;
    let mut held = 0u32;
    let mut bytes = packed.iter_mut();
    for &weight in weights {
        let field = i32::from(weight) + bit_width.offset();
        if field < 0 || field >= 2 * bit_width.offset() {
            return None;
        }
        accumulated |= (field as u32) << held;
        held += bits;
        while held >= 8 {
            *bytes.next()? = low_byte(accumulated);
            accumulated >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        *bytes.next()? = low_byte(accumulated);
    }
    Some(())
}

/// Unpacks as many weights as `weights` has room for from the beginning of a row.
///
/// Weights whose fields lie beyond the end of `packed` hold nothing of use afterwards; a validated model has none.
pub fn unpack_row(packed: &[u8], bit_width: BitWidth, weights: &mut [i8]) {
    match bit_width {
        BitWidth::Eight => {
            for (weight, &byte) in weights.iter_mut().zip(packed) {
                *weight = (byte ^ 0x80) as i8;
            }
        }
        BitWidth::Four => {
            for (pair, &byte) in weights.chunks_mut(2).zip(packed) {
                for (weight, field) in pair.iter_mut().zip([byte & 0x0F, byte >> 4]) {
                    *weight = field as i8 - 8;
                }
            }
        }
        BitWidth::Two => {
            for (four, &byte) in weights.chunks_mut(4).zip(packed) {
                let mut fields = byte;
                for weight in four {
                    *weight = (fields & 3) as i8 - 2;
                    fields >>= 2;
                }
            }
        }
        BitWidth::Three | BitWidth::Five | BitWidth::Six | BitWidth::Seven => {
            unpack_straddling(packed, bit_width, weights);
        }
    }
}

/// The widths whose fields straddle bytes, bit by bit through a word. One loop for all of them: a copy for each width would take
/// 2 kB on a board and save a few instructions a weight.
fn unpack_straddling(packed: &[u8], bit_width: BitWidth, weights: &mut [i8]) {
    let bits = bit_width.bits();
    let mask = (1u32 << bits) - 1;
    let mut bytes = packed.iter();
    let mut fields = 0u32;
    let mut held = 0u32;
    for weight in weights {
        if held < bits {
            // At most 7 bits were left, so the new byte fits above them.
            fields |= bytes.next().map_or(0, |&byte| u32::from(byte)) << held;
            held += 8;
        }
        *weight = ((fields & mask) as i32 - bit_width.offset()) as i8;
        fields >>= bits;
        held -= bits;
    }
}

/// The lowest eight bits.
const fn low_byte(value: u32) -> u8 {
    (value & 0xFF) as u8
}
