//! How many bits a weight has: 2 to 8.

use serde::{Deserialize, Serialize};

use crate::compact::described;

described! {
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
}

impl BitWidth {
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

/// Logarithm of the bits that a field has.
pub const fn field_exponent(bit_width: BitWidth) -> u32 {
    match bit_width {
        BitWidth::Two => 1,
        BitWidth::Three | BitWidth::Four => 2,
        BitWidth::Five | BitWidth::Six | BitWidth::Seven | BitWidth::Eight => 3,
    }
}

/// Bits that a weight takes in the file: 2, 4 or 8.
pub const fn field_bits(bit_width: BitWidth) -> u32 {
    1 << field_exponent(bit_width)
}
