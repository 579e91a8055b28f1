//! Starting again as after power-on.

/// Application interrupt and reset control register of every Cortex-M.
const RESET_CONTROL: *mut u32 = 0xE000_ED0C as *mut u32;
/// The key that the register asks for, and the request for a reset.
const REQUEST: u32 = 0x05FA_0004;

/// Resets the core and its peripherals.
pub fn system_reset() -> ! {
    loop {
        // SAFETY: the register exists on every Cortex-M core; the write ends this program, which is
        // what was asked for.
        unsafe { RESET_CONTROL.write_volatile(REQUEST) };
    }
}
