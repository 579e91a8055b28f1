//! The one accessor for the memory region that the linker script reserves for the model.

use core::sync::atomic::{AtomicBool, Ordering};

// SAFETY: every board's linker script defines both symbols; only their addresses are taken, and nothing reads through them here.
unsafe extern "C" {
    /// First byte of the model region, from the board's `Board.toml`.
    static mut _model_start: u8;
    /// One past its last byte, from the board's `Board.toml`.
    static mut _model_end: u8;
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The board's model region as [`take_region`] gives it, or nothing of it where the chip's flash, which ends at `flash_end`, does not hold all of
/// it: reading beyond the flash is a fault. The board then runs without a model and says so.
pub fn take_region_within(flash_end: u32) -> Option<&'static mut [u8]> {
    let region = take_region()?;
    if super::lies_before(region.as_ptr().addr() as u32, region.len() as u32, flash_end) {
        return Some(region);
    }
    warning!("flash ends at {=u32:#x}, before the models do", flash_end);
    region.get_mut(..0)
}

/// The board's model region; `None` from the second call on.
///
/// To be called from the main program, not from an interrupt.
pub fn take_region() -> Option<&'static mut [u8]> {
    // Load and store, since ARMv6-M cannot exchange atomically; interrupts do not call this.
    if TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    TAKEN.store(true, Ordering::Relaxed);
    let start = &raw mut _model_start;
    let length = (&raw const _model_end as usize).wrapping_sub(start as usize);
    // SAFETY: the linker script reserves these addresses for the model, outside everything that the linker places; a test compares
    // them with `Board.toml`, whose reader refuses overlaps. The flag makes this the only reference.
    Some(unsafe { core::slice::from_raw_parts_mut(start, length) })
}
