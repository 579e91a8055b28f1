//! Switching the vector unit on.

/// Coprocessor access control register (Armv8-M Architecture Reference Manual, D1.2.28).
const ACCESS_CONTROL: *mut u32 = 0xE000_ED88 as *mut u32;
/// Full access to coprocessors 10 and 11, which are the floating-point and vector unit.
const VECTOR_UNIT: u32 = 0xF << 20;
/// Configuration and control register (D1.2.10).
const CONFIGURATION: *mut u32 = 0xE000_ED14 as *mut u32;
/// Low-overhead loops with the loop cache.
const LOOPS: u32 = 1 << 19;

/// Gives this program the vector unit and its loops if it has not got them yet.
///
/// Every kernel calls it, six instructions where there is nothing left to do, so that none can run too early.
pub(super) fn switch_on() {
    // SAFETY: both registers exist on every core of the architecture and reading them has no effect. Setting these bits only permits
    // instructions; nothing that ran before used the unit, so no state of it can be lost.
    unsafe {
        let access = ACCESS_CONTROL.read_volatile();
        if access & VECTOR_UNIT != VECTOR_UNIT {
            ACCESS_CONTROL.write_volatile(access | VECTOR_UNIT);
            CONFIGURATION.write_volatile(CONFIGURATION.read_volatile() | LOOPS);
            core::arch::asm!("dsb", "isb", options(nostack, preserves_flags));
        }
    }
}
