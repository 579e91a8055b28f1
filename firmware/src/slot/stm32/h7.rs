//! STM32H742, H743 and H753 with 2 MB: two banks, each with its registers and sectors of 128 kB,
//! flash words of 32 bytes with error correction (RM0433 revision 8, 4.3.4, 4.3.8 to 4.3.12, 4.7.7
//! and 4.9).

use embedded_storage::nor_flash::{NorFlash, NorFlashErrorKind, ReadNorFlash};

use super::{Access, FLASH, Family, Stm32Flash};

/// The STM32H7 with 2 MB of flash in two banks, not swapped.
///
/// A sector takes 1 to 4 s to erase and a flash word 0.1 to 0.4 ms. The core runs on meanwhile if
/// the firmware is in the other bank, and stands still if not. A part of the flash must lie in one
/// bank.
pub struct H7;

const BANK_BYTES: u32 = 1024 * 1024;
const BANKS: u32 = 2;
/// From the registers of the first bank to those of the second.
const SECOND_BANK: u32 = 0x100;
const SECTOR_ERASE: u32 = 1 << 2;
const SECTOR_SHIFT: u32 = 8;
/// 64 bits at once.
const DOUBLE_WORDS: u32 = 0b11 << 4;
/// Offset of the option control register, which both banks share.
const OPTIONS: u32 = 0x18;
/// The second bank lies where the first should.
const SWAPPED: u32 = 1 << 31;
/// In the status register: a flash word that was read has more wrong bits than can be corrected.
const UNREADABLE: u32 = 1 << 26;

const fn bank_of(address: u32) -> u32 {
    address.wrapping_sub(FLASH) / BANK_BYTES
}

impl Family for H7 {
    const KEY_REGISTER: u32 = 0x04;
    const STATUS_REGISTER: u32 = 0x10;
    const CONTROL_REGISTER: u32 = 0x0C;
    const CLEAR_REGISTER: u32 = 0x14;
    /// Write protection, sequence, strobe, inconsistency, operation, read protection, secure area.
    const ERRORS: u32 = 0b1_1110_1110 << 16;
    const DONE: u32 = 1 << 16;
    /// Busy, write buffer not empty, order waiting.
    const BUSY: u32 = 0b111;
    const LOCK: u32 = 1 << 0;
    const START: u32 = 1 << 7;
    const PROGRAM: u32 = 1 << 1;
    const CONTROL: u32 = DOUBLE_WORDS;
    /// RM0433 revision 8, 61.2.
    const SIZE_REGISTER: u32 = 0x1FF1_E880;
    const UNIT_BYTES: usize = 32;
    const PAGE_BYTES: usize = 128 * 1024;

    fn erase(address: u32) -> Option<u32> {
        let place = address.checked_sub(FLASH)? % BANK_BYTES;
        let sector = place / Self::PAGE_BYTES as u32;
        (place.is_multiple_of(Self::PAGE_BYTES as u32) && bank_of(address) < BANKS)
            .then_some(SECTOR_ERASE | sector << SECTOR_SHIFT)
    }

    fn bank(address: u32) -> u32 {
        if bank_of(address) == 0 { 0 } else { SECOND_BANK }
    }

    fn is_as_expected(access: &mut impl Access) -> bool {
        let first = access.address();
        let last = first.wrapping_add(access.bytes().len() as u32).wrapping_sub(1);
        let bank = bank_of(first);
        bank < BANKS && bank == bank_of(last) && access.register(OPTIONS) & SWAPPED == 0
    }
}

/// Flash whose words can be read although they may have more wrong bits than error correction
/// mends, which otherwise is a bus fault.
pub trait FaultlessRead: Access {
    /// Reads every flash word in `from..to`, offsets from the start of this part, without fault and
    /// to no end but that the controller notes which cannot be read.
    fn read_all(&mut self, from: u32, to: u32);
}

impl<A: FaultlessRead> Stm32Flash<A, H7> {
    /// Erases the sectors in which a flash word cannot be read: what is left where power failed
    /// while it was written or erased. To be called at start, before anything is read. That
    /// something was erased is remembered
    /// ([`MappedFlash::has_lost`](super::MappedFlash::has_lost)): the board tells it in its
    /// greeting, since it may have been the model in use whose flash has gone bad.
    ///
    /// # Errors
    /// A sector could not be erased.
    pub fn erase_unreadable(&mut self) -> Result<(), NorFlashErrorKind> {
        for from in (0..self.capacity() as u32).step_by(H7::PAGE_BYTES) {
            let to = from.wrapping_add(H7::PAGE_BYTES as u32);
            self.set_register(H7::CLEAR_REGISTER, UNREADABLE);
            self.access.stop_cache();
            self.access.read_all(from, to);
            self.access.start_cache();
            if self.register(H7::STATUS_REGISTER) & UNREADABLE != 0 {
                self.set_register(H7::CLEAR_REGISTER, UNREADABLE);
                warning!(
                    "flash at {=u32:#x} cannot be read: erased",
                    self.access.address().wrapping_add(from)
                );
                self.has_lost = true;
                self.erase(from, to)?;
            }
        }
        Ok(())
    }
}
