//! STM32F405, F407, F415 and F417: sectors of 128 kB from the sixth on, words of 4 bytes (RM0090
//! revision 19, tables 5 and 7, 3.9).

use super::Family;

/// The STM32F4 with 1 MB of flash, whose supply is at least 2.7 V.
///
/// Only the large sectors can be slots: one of 128 kB takes 1 to 2 s to erase, in which the core
/// stands still, since the firmware is in the same flash; a word takes 16 µs.
pub struct F4;

/// The first sector of 128 kB, number 5.
const FIRST_LARGE_SECTOR: u32 = 0x0802_0000;
const SECTOR_ERASE: u32 = 1 << 1;
const SECTOR_SHIFT: u32 = 3;
const LAST_SECTOR: u32 = 11;
/// 32 bits at once.
const WORDS: u32 = 0b10 << 8;

impl Family for F4 {
    const KEY_REGISTER: u32 = 0x04;
    const STATUS_REGISTER: u32 = 0x0C;
    const CONTROL_REGISTER: u32 = 0x10;
    /// Operation, write protection, alignment, parallelism, sequence.
    const ERRORS: u32 = 0b1111_0010;
    const DONE: u32 = 1 << 0;
    const CONTROL: u32 = WORDS;
    /// RM0090 revision 19, 39.2: the upper half of this word.
    const SIZE_REGISTER: u32 = 0x1FFF_7A20;
    const SIZE_SHIFT: u32 = 16;
    const UNIT_BYTES: usize = 4;
    const PAGE_BYTES: usize = 128 * 1024;

    fn erase(address: u32) -> Option<u32> {
        let place = address.checked_sub(FIRST_LARGE_SECTOR)?;
        let sector = place / Self::PAGE_BYTES as u32 + 5;
        (place.is_multiple_of(Self::PAGE_BYTES as u32) && sector <= LAST_SECTOR)
            .then_some(SECTOR_ERASE | sector << SECTOR_SHIFT)
    }
}
