//! STM32L4R and L4S with 2 MB: two banks with pages of 4 kB, double words of 8 bytes with error
//! correction (RM0432 revision 9, 3.3.1, 3.3.6 to 3.3.8 and 3.7).

use super::{Access, FLASH, Family};

/// The STM32L4+ with 2 MB of flash in two banks, as it is delivered.
///
/// A page takes 22 ms to erase and a double word 82 µs. The core runs on meanwhile if the firmware
/// is in the other bank, and stands still if not.
pub struct L4;

const PAGES: u32 = 512;
const PAGES_IN_BANK: u32 = 256;
const PAGE_ERASE: u32 = 1 << 1;
const PAGE_SHIFT: u32 = 3;
const SECOND_BANK: u32 = 1 << 11;
/// Offset of the option register.
const OPTIONS: u32 = 0x20;
/// The banks are two, not one with pages of 8 kB.
const TWO_BANKS: u32 = 1 << 22;
/// The second bank lies where the first should.
const SWAPPED: u32 = 1 << 20;

impl Family for L4 {
    const KEY_REGISTER: u32 = 0x08;
    const STATUS_REGISTER: u32 = 0x10;
    const CONTROL_REGISTER: u32 = 0x14;
    /// Operation, programming, write protection, alignment, size, sequence, missed data, fast
    /// programming.
    const ERRORS: u32 = 0b11_1111_1010;
    const DONE: u32 = 1 << 0;
    const CONTROL: u32 = 0;
    /// RM0432 revision 9, 58.2.
    const SIZE_REGISTER: u32 = 0x1FFF_75E0;
    const UNIT_BYTES: usize = 8;
    const PAGE_BYTES: usize = 4096;

    fn erase(address: u32) -> Option<u32> {
        let place = address.checked_sub(FLASH)?;
        let page = place / Self::PAGE_BYTES as u32;
        let bank = if page < PAGES_IN_BANK { 0 } else { SECOND_BANK };
        (place.is_multiple_of(Self::PAGE_BYTES as u32) && page < PAGES)
            .then_some(PAGE_ERASE | (page % PAGES_IN_BANK) << PAGE_SHIFT | bank)
    }

    fn is_as_expected(access: &mut impl Access) -> bool {
        access.register(OPTIONS) & (TWO_BANKS | SWAPPED) == TWO_BANKS
    }
}
