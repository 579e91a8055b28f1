//! The layout [`Rows`](crate::layout::Layout::Rows): one row an output channel, packed without gaps.
//!
//! A weight `w` of `b` bits lies in `−2^(b−1) ..= 2^(b−1) − 1` and is stored offset-binary, as `w + 2^(b−1)`, because
//! unsigned fields unpack in one instruction on cores with 16-bit lanes. Field `i` occupies bits `i·b .. (i+1)·b` of the row, least
//! significant bit first; a row starts at a byte boundary and its unused last bits are zero. Eight weights always take exactly `b` bytes.

use crate::bit_width::BitWidth;

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
