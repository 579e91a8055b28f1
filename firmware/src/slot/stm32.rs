//! The flash controllers of the STM32F4, STM32L4 and STM32H7 series: what they have in common, and
//! what tells them apart.
//!
//! STM32F405/407 Reference Manual RM0090 revision 19, chapter 3, STM32L4+ Series Reference Manual
//! RM0432 revision 9, chapter 3, and STM32H742/743/753/750 Reference Manual RM0433 revision 8,
//! chapter 4. All are unlocked by two keys, take one order at a time, say when they are busy and
//! what went wrong, and are locked again here after every call. The sequences are over [`Access`],
//! so that they are tested on the host against a simulated controller; the registers themselves are
//! in `stm32/registers.rs`.

#[cfg(target_os = "none")]
mod core_cache;
mod f4;
mod h7;
mod l4;
#[cfg(target_os = "none")]
mod registers;

use core::marker::PhantomData;

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

#[cfg(target_os = "none")]
pub use core_cache::CoreCache;
pub use f4::F4;
pub use h7::{FaultlessRead, H7};
pub use l4::L4;
#[cfg(target_os = "none")]
pub use registers::{Registers, flash_end};

use super::MappedFlash;

/// Where the flash of all of them begins.
const FLASH: u32 = 0x0800_0000;

/// The two words that unlock the control register, in this order (RM0090 3.5.1, RM0432 3.3.5,
/// RM0433 4.5.1).
const KEYS: [u32; 2] = [0x4567_0123, 0xCDEF_89AB];

/// A part of the chip's flash, and the controller's registers.
pub trait Access {
    /// Reads the register at `offset` bytes from the controller's first.
    fn register(&mut self, offset: u32) -> u32;

    /// Writes the register at `offset` bytes from the controller's first.
    fn set_register(&mut self, offset: u32, value: u32);

    /// Writes an aligned word into the flash, `offset` bytes from the start of this part. Nothing
    /// happens beyond its end.
    fn store(&mut self, offset: u32, word: u32);

    /// What is in the flash. It may have changed in any call of a function that takes `&mut self`.
    fn bytes(&self) -> &[u8];

    /// The address of the first byte.
    fn address(&self) -> u32;

    /// Stops the cache of the flash's data: on the STM32L4 it may take in wrong ones while the
    /// flash is written (its errata sheet), on the STM32H7 it would answer for the flash when that
    /// is read back.
    fn stop_cache(&mut self);

    /// Starts the cache again, if it was on, without what it held.
    fn start_cache(&mut self);
}

/// What tells one series from the other.
pub trait Family {
    /// Offset of the register that takes the keys.
    const KEY_REGISTER: u32;
    /// Offset of the status register.
    const STATUS_REGISTER: u32;
    /// Offset of the control register.
    const CONTROL_REGISTER: u32;
    /// Offset of the register in which ones clear the status register's.
    const CLEAR_REGISTER: u32 = Self::STATUS_REGISTER;
    /// The bits of the status register that stand for errors.
    const ERRORS: u32;
    /// The bit of the status register that says that an order is done, if it is asked to.
    const DONE: u32;
    /// The bits of the status register of which one at least is set until an order is done.
    const BUSY: u32 = 1 << 16;
    /// In the control register: no order is taken. Only a reset unlocks it after wrong keys.
    const LOCK: u32 = 1 << 31;
    /// In the control register: begin to erase what is selected.
    const START: u32 = 1 << 16;
    /// In the control register: words that are written to flash are programmed.
    const PROGRAM: u32 = 1 << 0;
    /// What the control register needs besides the order.
    const CONTROL: u32;
    /// Bytes that are programmed at once.
    const UNIT_BYTES: usize;
    /// Bytes that are erased at once.
    const PAGE_BYTES: usize;

    /// Where the chip says how much flash it has, in kB: the aligned word that has the number in
    /// it.
    const SIZE_REGISTER: u32;
    /// Where in that word the 16 bits of the number begin.
    const SIZE_SHIFT: u32 = 0;

    /// The end of the chip's flash, of which `size` is the word at [`Family::SIZE_REGISTER`].
    fn flash_end(size: u32) -> u32 {
        let kilobytes = size >> Self::SIZE_SHIFT & 0xFFFF;
        FLASH.saturating_add(kilobytes.saturating_mul(1024))
    }

    /// What selects the page at `address` in the control register, for erasing; `None` if no page
    /// of this size begins there.
    fn erase(address: u32) -> Option<u32>;

    /// What is added to the registers' offsets for the flash at `address`, where each bank has its
    /// own.
    fn bank(_address: u32) -> u32 {
        0
    }

    /// Whether the chip's flash is set up as this driver takes it to be.
    fn is_as_expected(_access: &mut impl Access) -> bool {
        true
    }
}

/// A part of the flash of an STM32 of one [`Family`], which begins and ends with pages of it.
pub struct Stm32Flash<A, F> {
    access: A,
    family: PhantomData<F>,
    /// Whether a sector was erased because it could not be read.
    has_lost: bool,
}

impl<A: Access, F: Family> Stm32Flash<A, F> {
    /// The flash that `access` reaches.
    pub const fn new(access: A) -> Self {
        Self { access, family: PhantomData, has_lost: false }
    }

    /// What it is reached by.
    pub const fn access(&self) -> &A {
        &self.access
    }

    fn register(&mut self, offset: u32) -> u32 {
        let bank = F::bank(self.access.address());
        self.access.register(bank.wrapping_add(offset))
    }

    fn set_register(&mut self, offset: u32, value: u32) {
        let bank = F::bank(self.access.address());
        self.access.set_register(bank.wrapping_add(offset), value);
    }

    /// Unlocks the controller, does what `operate` does, and locks it again.
    fn with_unlocked(
        &mut self,
        operate: impl FnOnce(&mut Self) -> Result<(), NorFlashErrorKind>,
    ) -> Result<(), NorFlashErrorKind> {
        // What a debug probe has begun may not be done.
        while self.register(F::STATUS_REGISTER) & F::BUSY != 0 {}
        // An error that was left behind would be taken for one of ours; some of them stop the
        // controller.
        self.set_register(F::CLEAR_REGISTER, F::ERRORS | F::DONE);
        if !F::is_as_expected(&mut self.access) {
            return Err(NorFlashErrorKind::Other);
        }
        // Keys for a controller that is not locked would lock it until the next reset.
        if self.register(F::CONTROL_REGISTER) & F::LOCK != 0 {
            for key in KEYS {
                self.set_register(F::KEY_REGISTER, key);
            }
        }
        if self.register(F::CONTROL_REGISTER) & F::LOCK != 0 {
            return Err(NorFlashErrorKind::Other);
        }
        self.access.stop_cache();
        let outcome = operate(self);
        self.set_register(F::CONTROL_REGISTER, F::LOCK);
        self.access.start_cache();
        outcome
    }

    /// Waits until the order is done; whether it was.
    fn wait(&mut self) -> Result<(), NorFlashErrorKind> {
        loop {
            let status = self.register(F::STATUS_REGISTER);
            if status & F::BUSY == 0 {
                self.set_register(F::CLEAR_REGISTER, status & (F::ERRORS | F::DONE));
                let failed = status & F::ERRORS != 0;
                return if failed { Err(NorFlashErrorKind::Other) } else { Ok(()) };
            }
        }
    }
}

impl<A, F> ErrorType for Stm32Flash<A, F> {
    type Error = NorFlashErrorKind;
}

impl<A: Access, F: Family> ReadNorFlash for Stm32Flash<A, F> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        check_read(self, offset, bytes.len())?;
        let stored = self.access.bytes().get(offset as usize..).unwrap_or_default();
        for (byte, stored) in bytes.iter_mut().zip(stored) {
            *byte = *stored;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.access.bytes().len()
    }
}

impl<A: Access, F: Family> NorFlash for Stm32Flash<A, F> {
    const WRITE_SIZE: usize = F::UNIT_BYTES;
    const ERASE_SIZE: usize = F::PAGE_BYTES;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        check_erase(self, from, to)?;
        self.with_unlocked(|flash| {
            let start = flash.access.address();
            for offset in (from..to).step_by(F::PAGE_BYTES) {
                let page = F::erase(start.wrapping_add(offset));
                let order = page.ok_or(NorFlashErrorKind::NotAligned)? | F::CONTROL;
                flash.set_register(F::CONTROL_REGISTER, order);
                flash.set_register(F::CONTROL_REGISTER, order | F::START);
                flash.wait()?;
            }
            Ok(())
        })
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
        check_write(self, offset, bytes.len())?;
        self.with_unlocked(|flash| {
            flash.set_register(F::CONTROL_REGISTER, F::PROGRAM | F::CONTROL);
            let mut place = offset;
            for unit in bytes.chunks_exact(F::UNIT_BYTES) {
                for word in unit.as_chunks().0 {
                    flash.access.store(place, u32::from_le_bytes(*word));
                    place = place.wrapping_add(word.len() as u32);
                }
                flash.wait()?;
            }
            Ok(())
        })
    }
}

impl<A: Access, F: Family> MappedFlash for Stm32Flash<A, F> {
    fn bytes(&self) -> &[u8] {
        self.access.bytes()
    }

    fn has_lost(&self) -> bool {
        self.has_lost
    }
}
