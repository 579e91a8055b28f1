//! Makes a core that forgives unaligned words fault on them.

/// Configuration and control register of every Cortex-M; on ARMv6-M the bit is there too, and
/// always set.
const CONFIGURATION_CONTROL: *mut u32 = 0xE000_ED14 as *mut u32;
/// Unaligned halfword and word accesses fault.
const UNALIGNED_TRAP: u32 = 1 << 3;

/// From now on an unaligned halfword or word access faults, as it does on a Cortex-M0.
///
/// For boards that stand for one but have a larger core.
pub fn trap_unaligned_accesses() {
    // SAFETY: every Cortex-M core maps the register; the bit set changes nothing for a program that
    // respects alignment, as compiled code for ARMv6-M must.
    unsafe {
        let value = CONFIGURATION_CONTROL.read_volatile();
        CONFIGURATION_CONTROL.write_volatile(value | UNALIGNED_TRAP);
    }
}
