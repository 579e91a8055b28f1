//! The two routines that touch every byte of a frame.

mod run;

use run::copy_run;

use crate::checksum::Crc32;

/// The two routines that touch every byte of a frame. A core with vectors has its own.
#[derive(Clone, Copy, Debug)]
pub struct ByteRoutines {
    /// The CRC-32 of the bytes, as [`Crc32::of`] computes it.
    pub crc32: fn(&[u8]) -> u32,
    /// Copies to the first slice up to the first zero in the second, or as far as both go; how many bytes that were.
    pub copy_run: fn(&mut [u8], &[u8]) -> usize,
}

impl ByteRoutines {
    /// Those of any core: words, and a table of 1 kB.
    pub const PORTABLE: Self = Self { crc32, copy_run };
}

/// The CRC-32 of `bytes`.
#[inline]
fn crc32(bytes: &[u8]) -> u32 {
    Crc32::new().update_fast(bytes).finish()
}
