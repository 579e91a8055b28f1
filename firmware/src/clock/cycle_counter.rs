//! The core's own cycle counter: CYCCNT of the data watchpoint and trace unit (Armv7-M Architecture Reference Manual, C1.8), which
//! Cortex-M3 and larger cores have in hardware, and QEMU has not.

use tinyhero_common::wire::message::ClockUnit;

use super::Clock;

/// Debug exception and monitor control register: switches the unit on.
const MONITOR: *mut u32 = 0xE000_EDFC as *mut u32;
const TRACE_ENABLE: u32 = 1 << 24;
const CONTROL: *mut u32 = 0xE000_1000 as *mut u32;
const COUNT_ENABLE: u32 = 1;
const COUNT: *mut u32 = 0xE000_1004 as *mut u32;
/// Lock access register; only the Cortex-M7's unit starts locked.
const LOCK: *mut u32 = 0xE000_1FB0 as *mut u32;
const KEY: u32 = 0xC5AC_CE55;

/// Counts core cycles, 2^32 at most between two restarts: 9 seconds at 480 MHz. What goes by beyond that, in one run or in a wait for the host, is
/// short by whole turns; a wait is part of no measurement, only of the sum of all ticks.
pub struct CycleCounter(());

impl CycleCounter {
    /// Switches the counter on.
    pub fn start() -> Self {
        write(MONITOR, read(MONITOR) | TRACE_ENABLE);
        write(LOCK, KEY);
        write(CONTROL, read(CONTROL) | COUNT_ENABLE);
        CycleCounter(())
    }
}

impl Clock for CycleCounter {
    fn unit(&self) -> ClockUnit {
        ClockUnit::Cycles
    }

    fn restart(&mut self) {
        write(COUNT, 0);
    }

    fn elapsed(&self) -> u64 {
        u64::from(read(COUNT))
    }
}

fn read(register: *mut u32) -> u32 {
    // SAFETY: only called with this file's addresses, which every core with this unit maps and whose reads have no side effect.
    unsafe { register.read_volatile() }
}

fn write(register: *mut u32, value: u32) {
    // SAFETY: only called with this file's addresses; they control nothing but the counter.
    unsafe { register.write_volatile(value) }
}
