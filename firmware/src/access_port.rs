//! The debug access port of Nordic's nRF52 chips, which newer ones close at every reset unless
//! firmware opens it.
//!
//! nRF52840 Product Specification 1.8, 4.8 and 4.5.1.40, and Nordic's note on the improved access
//! port protection: up to revision 2 the port is open while UICR.APPROTECT is erased, and anything
//! else closes it. From revision 3 on (build code F) it is open only while UICR.APPROTECT says so
//! **and** firmware has said so since the last reset. A board whose link is the probe needs it
//! open.

use core::ops::RangeInclusive;

/// FICR.INFO.VARIANT: the build code in four letters, the revision in the third.
const VARIANT: u32 = 0x1000_0104;
/// Revisions with the improved protection. An older one must be left alone, and a chip whose
/// revision is not a letter does not have this protection.
const IMPROVED: RangeInclusive<u8> = b'F'..=b'Z';
const UICR_PROTECTION: u32 = 0x1000_1208;
/// APPROTECT.DISABLE, which every reset sets back.
const DISABLE: u32 = 0x4000_0558;
/// In both: do not protect.
const OPEN: u32 = 0x5A;
/// The bits of the UICR's word that count.
const PROTECTION: u32 = 0xFF;

const READY: u32 = 0x4001_E400;
const CONFIGURATION: u32 = 0x4001_E504;
const READ_ONLY: u32 = 0;
const WRITE_ENABLED: u32 = 1;

/// The chip's registers and words.
pub trait Access {
    /// Reads an aligned word.
    fn read(&mut self, address: u32) -> u32;

    /// Writes an aligned word.
    fn write(&mut self, address: u32, value: u32);
}

/// What [`open`] has found or done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The port is open.
    Open,
    /// It will be after a reset, since UICR.APPROTECT was written: reset the chip now, then open
    /// again.
    OpenAfterReset,
    /// It has been closed for good, or the word did not take what was written: only erasing the
    /// whole chip opens it.
    Closed,
}

/// Opens the port as far as firmware can, on revisions that ask for it. To be called after every
/// reset, before anything else.
pub fn open(chip: &mut impl Access) -> Outcome {
    let [_, revision, ..] = chip.read(VARIANT).to_le_bytes();
    if !IMPROVED.contains(&revision) {
        return Outcome::Open;
    }
    let before = chip.read(UICR_PROTECTION) & PROTECTION;
    // Writing can only clear bits.
    if before != OPEN && before & OPEN == OPEN {
        write_and_wait(chip, CONFIGURATION, WRITE_ENABLED);
        write_and_wait(chip, UICR_PROTECTION, !PROTECTION | OPEN);
        write_and_wait(chip, CONFIGURATION, READ_ONLY);
    }
    if chip.read(UICR_PROTECTION) & PROTECTION != OPEN {
        return Outcome::Closed;
    }
    chip.write(DISABLE, OPEN);
    if before == OPEN { Outcome::Open } else { Outcome::OpenAfterReset }
}

/// Writes a word of the controller or of the UICR, and waits until it is done.
fn write_and_wait(chip: &mut impl Access, address: u32, value: u32) {
    chip.write(address, value);
    while chip.read(READY) & 1 == 0 {}
}

/// The words of the real chip.
#[cfg(target_os = "none")]
struct Registers;

#[cfg(target_os = "none")]
impl Access for Registers {
    fn read(&mut self, address: u32) -> u32 {
        // SAFETY: only this file calls it, with its addresses, which every nRF52 has and whose
        // reads have no effect.
        unsafe { (address as *const u32).read_volatile() }
    }

    fn write(&mut self, address: u32, value: u32) {
        // SAFETY: the same; they reach nothing but the protection and the controller, which nothing
        // else uses yet.
        unsafe { (address as *mut u32).write_volatile(value) };
    }
}

/// Opens the port of the chip that this runs on, an nRF52, and resets it where that is needed.
#[cfg(target_os = "none")]
pub fn open_or_reset() {
    if open(&mut Registers) == Outcome::OpenAfterReset {
        crate::reset::system_reset()
    }
}
