//! The flash controller of Nordic's nRF51 and nRF52, which share it: pages of 1 kB and 4 kB, words
//! of 4 bytes.
//!
//! nRF51 Series Reference Manual 3.0, chapter 6, and nRF52840 Product Specification 1.1, section
//! 4.3. The core stands still while the flash is busy: 21 ms a page on the nRF51, 85 ms on the
//! nRF52840.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

use super::MappedFlash;

const READY: *mut u32 = 0x4001_E400 as *mut u32;
const CONFIGURATION: *mut u32 = 0x4001_E504 as *mut u32;
const ERASE_PAGE: *mut u32 = 0x4001_E508 as *mut u32;

/// FICR.CODEPAGESIZE and FICR.CODESIZE: bytes of a page, and how many there are.
const FICR_PAGE_BYTES: *const u32 = 0x1000_0010 as *const u32;
const FICR_PAGES: *const u32 = 0x1000_0014 as *const u32;

const READ_ONLY: u32 = 0;
const WRITE_ENABLED: u32 = 1;
const ERASE_ENABLED: u32 = 2;

/// Bytes of flash that the chip has, which begin at address 0.
pub fn flash_bytes() -> u32 {
    // SAFETY: both series have these words, and reading them has no effect.
    let (bytes, pages) = unsafe { (FICR_PAGE_BYTES.read_volatile(), FICR_PAGES.read_volatile()) };
    bytes.saturating_mul(pages)
}

/// A part of the chip's flash with pages of `PAGE` bytes, at whose borders it begins and ends.
pub struct Nvmc<'a, const PAGE: usize> {
    memory: &'a mut [u8],
}

impl<'a, const PAGE: usize> Nvmc<'a, PAGE> {
    /// The flash at these addresses.
    pub const fn new(memory: &'a mut [u8]) -> Self {
        Self { memory }
    }

    /// Changes the flash by `operate` while the controller allows it.
    fn with(&mut self, configuration: u32, operate: impl FnOnce(&mut Self)) {
        write(CONFIGURATION, configuration);
        operate(self);
        write(CONFIGURATION, READ_ONLY);
        // SAFETY: no instruction at all; it tells the compiler that the controller may have changed
        // what the pointer reaches.
        unsafe {
            core::arch::asm!("/* {0} */", in(reg) self.memory.as_mut_ptr(), options(nostack, preserves_flags));
        }
    }
}

/// Writes a register of the controller or a word of flash, and waits until it is done.
fn write(place: *mut u32, value: u32) {
    // SAFETY: only called with this file's addresses, which both series have and no other code
    // uses, and with words of the slice that the caller owns, which begins at a page. What an
    // erasure does to the flash happens within that slice too.
    unsafe { place.write_volatile(value) };
    // SAFETY: the same; reading it has no effect.
    while unsafe { READY.read_volatile() } & 1 == 0 {}
}

impl<const PAGE: usize> ErrorType for Nvmc<'_, PAGE> {
    type Error = NorFlashErrorKind;
}

impl<const PAGE: usize> ReadNorFlash for Nvmc<'_, PAGE> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let stored = self.memory.get(offset as usize..).unwrap_or_default();
        for (byte, stored) in bytes.iter_mut().zip(stored) {
            *byte = *stored;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.memory.len()
    }
}

impl<const PAGE: usize> NorFlash for Nvmc<'_, PAGE> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.with(ERASE_ENABLED, |flash| {
            let start = flash.memory.as_mut_ptr() as u32;
            for page in (from..to).step_by(PAGE) {
                write(ERASE_PAGE, start.wrapping_add(page));
            }
        });
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.with(WRITE_ENABLED, |flash| {
            let places = flash.memory.get_mut(offset as usize..).unwrap_or_default();
            let words = places.as_chunks_mut::<4>().0.iter_mut();
            for (place, word) in words.zip(bytes.as_chunks::<4>().0) {
                write(place.as_mut_ptr().cast(), u32::from_le_bytes(*word));
            }
        });
        Ok(())
    }
}

impl<const PAGE: usize> MappedFlash for Nvmc<'_, PAGE> {
    fn bytes(&self) -> &[u8] {
        self.memory
    }
}
