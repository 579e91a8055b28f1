//! The flash chip beside the RP2040 and the RP2350, by the functions in their boot ROM: sectors of
//! 4 kB, pages of 256 bytes.
//!
//! RP2040 datasheet, 2.8.3.1.3, and RP2350 datasheet, 5.4.8. The chip is either in the address
//! space or takes orders, never both, so while it does, nothing may be read from it: no
//! instruction, no constant, no byte to be written. The order of things is over [`Rom`], so that it
//! is tested on the host against a simulated chip; `rp2/calls.rs` has the calls themselves, made
//! from RAM with interrupts masked. No other core and no DMA channel may read from flash meanwhile
//! either.
//!
//! The crate rp2040-flash does the same for the RP2040 alone, and its release 0.6 brings rp2040-hal
//! 0.11 beside the board's 0.12.

#[cfg(target_os = "none")]
mod calls;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

#[cfg(target_os = "none")]
pub use calls::{BootRom, Functions, XipSetUp};

use super::MappedFlash;

/// Bytes that are programmed at once.
pub const PAGE_BYTES: usize = 256;
/// Bytes that are erased at once.
pub const SECTOR_BYTES: usize = 4096;

/// What the boot ROM does; offsets are in bytes from the start of the flash chip.
#[derive(Clone, Copy)]
pub enum Step<'p> {
    /// Connects the flash interface to its pins.
    Connect,
    /// Takes the chip out of the address space: from here on it takes orders.
    LeaveAddressSpace,
    /// Erases the sector at this offset.
    Erase(u32),
    /// Programs the page at this offset with bytes that are in RAM.
    Program(u32, &'p [u8; PAGE_BYTES]),
    /// Empties the cache of what was read before, and lets go of the chip's select line.
    EmptyCache,
    /// Puts the chip back into the address space, as fast as it was.
    EnterAddressSpace,
}

/// A part of the flash, and the boot ROM's functions.
pub trait Rom {
    /// Does these steps in this order, while nothing else reads from flash.
    fn run(&mut self, steps: &[Step<'_>; 5]);

    /// What is in the flash. It may have changed in any call of [`Rom::run`].
    fn bytes(&self) -> &[u8];

    /// Where this part lies in the flash chip, in bytes from its start; `None` if that is not
    /// known.
    fn offset(&self) -> Option<u32>;
}

/// A part of the flash beside an RP2040 or RP2350, which begins and ends with sectors.
///
/// A sector takes some 45 ms to erase, 400 at most, and a page 0.4 to 3 ms (W25Q16JV, 9.6); the
/// core stands still meanwhile, with interrupts masked.
pub struct Rp2Flash<R> {
    rom: R,
}

impl<R: Rom> Rp2Flash<R> {
    /// The flash that `rom` reaches.
    pub const fn new(rom: R) -> Self {
        Self { rom }
    }

    /// What it is reached by.
    pub const fn rom(&self) -> &R {
        &self.rom
    }

    /// Where `offset` of this part is in the chip.
    fn place(&self, offset: u32) -> Result<u32, NorFlashErrorKind> {
        let start = self.rom.offset().ok_or(NorFlashErrorKind::Other)?;
        if !start.is_multiple_of(SECTOR_BYTES as u32) {
            return Err(NorFlashErrorKind::NotAligned);
        }
        start.checked_add(offset).ok_or(NorFlashErrorKind::OutOfBounds)
    }

    /// Gives one order. Between two of them the chip is back, and interrupts are let in.
    fn order(&mut self, order: Step<'_>) {
        self.rom.run(&[
            Step::Connect,
            Step::LeaveAddressSpace,
            order,
            Step::EmptyCache,
            Step::EnterAddressSpace,
        ]);
    }
}

impl<R> ErrorType for Rp2Flash<R> {
    type Error = NorFlashErrorKind;
}

impl<R: Rom> ReadNorFlash for Rp2Flash<R> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let stored = self.rom.bytes().get(offset as usize..).unwrap_or_default();
        for (byte, stored) in bytes.iter_mut().zip(stored) {
            *byte = *stored;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.rom.bytes().len()
    }
}

impl<R: Rom> NorFlash for Rp2Flash<R> {
    const WRITE_SIZE: usize = PAGE_BYTES;
    const ERASE_SIZE: usize = SECTOR_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        for offset in (from..to).step_by(SECTOR_BYTES) {
            let place = self.place(offset)?;
            self.order(Step::Erase(place));
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        for (page, offset) in bytes.as_chunks().0.iter().zip((offset..).step_by(PAGE_BYTES)) {
            let place = self.place(offset)?;
            // The caller's bytes may be in flash.
            let in_ram = *page;
            self.order(Step::Program(place, &in_ram));
        }
        Ok(())
    }
}

impl<R: Rom> MappedFlash for Rp2Flash<R> {
    fn bytes(&self) -> &[u8] {
        self.rom.bytes()
    }
}
