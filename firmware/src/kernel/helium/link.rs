//! Checking and copying what the link brings, sixteen bytes at a time.

use tinyhero_common::checksum::Crc32;
use tinyhero_common::wire::byte_routines::ByteRoutines;

use super::unit;

core::arch::global_asm!(include_str!("link.s"), options(raw));

/// Both routines.
pub(super) const ROUTINES: ByteRoutines = ByteRoutines { crc32, copy_run };

/// Bytes that one round of the checksum takes in, a word in each lane.
const BLOCK_BYTES: usize = 16;
/// Fewer blocks than these are quicker byte by byte.
const LEAST_BLOCKS: usize = 4;

/// For each byte of a word, least significant first, and each value of it: the register after that word and the rest of a block of zeros.
/// What a word did to the register is thereby moved on by one whole block, to the word of the same lane there.
static ADVANCE: [[u32; 256]; 4] = advance();

const fn advance() -> [[u32; 256]; 4] {
    let mut tables = [[0u32; 256]; 4];
    let mut byte = 0;
    while byte < tables.len() {
        let mut value = 0;
        while value < 256 {
            let mut block = [0u8; BLOCK_BYTES];
            block[byte] = value as u8;
            tables[byte][value] = Crc32::from_register(0).update(&block).register();
            value += 1;
        }
        byte += 1;
    }
    tables
}

// SAFETY: `link.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_crc32(
        state: *mut [u32; 4],
        bytes: *const u8,
        blocks: usize,
        tables: *const [[u32; 256]; 4],
    );
    fn tinyhero_helium_copy_run(target: *mut u8, source: *const u8, bytes: usize) -> usize;
}

/// The CRC-32; `None` if the bytes are too few for vectors to be of use.
fn crc32_in_blocks(bytes: &[u8]) -> Option<u32> {
    // The last whole block is left: what the lanes hold goes into it.
    let blocks = (bytes.len() / BLOCK_BYTES).checked_sub(1)?;
    if blocks < LEAST_BLOCKS {
        return None;
    }
    let rest = bytes.get(blocks * BLOCK_BYTES..)?;
    unit::switch_on();
    // A register in front of bytes is the same as its four bytes added to the first four of them, and an empty register.
    let mut state = [u32::MAX, 0, 0, 0];
    // SAFETY: the routine reads `blocks` blocks of 16 bytes, which `bytes` has, of the tables only what an offset of one byte's value reaches,
    // and reads and writes the state.
    unsafe {
        tinyhero_helium_crc32(&raw mut state, bytes.as_ptr(), blocks, &raw const ADVANCE);
    }
    let (last_block, tail) = rest.split_at_checked(BLOCK_BYTES)?;
    let mut checksum = Crc32::from_register(0);
    for (lane, word) in state.iter().zip(last_block.as_chunks::<4>().0) {
        checksum = Crc32::from_register(checksum.register() ^ lane).update_fast(word);
    }
    Some(checksum.update_fast(tail).finish())
}

/// The CRC-32 of `bytes`.
fn crc32(bytes: &[u8]) -> u32 {
    crc32_in_blocks(bytes).unwrap_or_else(|| (ByteRoutines::PORTABLE.crc32)(bytes))
}

/// Copies up to the first zero, or as far as both go; how many bytes that were.
fn copy_run(target: &mut [u8], source: &[u8]) -> usize {
    unit::switch_on();
    let bytes = target.len().min(source.len());
    // SAFETY: the routine reads and writes at most `bytes` bytes, which both slices have; the last vector is predicated.
    unsafe { tinyhero_helium_copy_run(target.as_mut_ptr(), source.as_ptr(), bytes) }
}
