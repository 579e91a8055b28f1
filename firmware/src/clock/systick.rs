//! SysTick, the 24-bit down counter that every Cortex-M has, extended to 64 bits by its exception.

use core::sync::atomic::{AtomicU32, Ordering};

use tinyhero_common::wire::message::ClockUnit;

use super::Clock;

const CONTROL: *mut u32 = 0xE000_E010 as *mut u32;
const RELOAD: *mut u32 = 0xE000_E014 as *mut u32;
const CURRENT: *mut u32 = 0xE000_E018 as *mut u32;
const INTERRUPT_CONTROL: *mut u32 = 0xE000_ED04 as *mut u32;

/// Counter on, exception on, counting the core's clock.
const ENABLE: u32 = 0b111;
const SYSTICK_PENDING: u32 = 1 << 26;
const SYSTICK_CLEAR_PENDING: u32 = 1 << 25;
const MASK: u32 = 0x00FF_FFFF;
const COUNTER_BITS: u32 = 24;

static WRAPS: AtomicU32 = AtomicU32::new(0);

/// What the board's SysTick exception calls.
pub fn systick_wrapped() {
    // Load and store, since ARMv6-M has no atomic addition; nothing else writes while the exception runs.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The core's own counter. The board's `SysTick` exception must call [`systick_wrapped`]. A turn of 2^24 ticks that ends while exceptions are
/// masked is counted late, a second one is lost: while a sector of flash is erased, that is, and never within an inference.
pub struct SysTick {
    hertz: u32,
}

impl SysTick {
    /// Starts the counter, which runs at `hertz` ticks per second: the core's clock.
    pub fn start(hertz: u32) -> Self {
        write(RELOAD, MASK);
        write(CURRENT, 0);
        write(CONTROL, ENABLE);
        SysTick { hertz }
    }
}

impl Clock for SysTick {
    fn unit(&self) -> ClockUnit {
        ClockUnit::Ticks { hertz: self.hertz }
    }

    fn restart(&mut self) {
        // Stopped, so that no wrap falls between the three writes.
        write(CONTROL, 0);
        write(CURRENT, 0);
        write(INTERRUPT_CONTROL, SYSTICK_CLEAR_PENDING);
        WRAPS.store(0, Ordering::Relaxed);
        write(CONTROL, ENABLE);
    }

    fn elapsed(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let count = MASK.wrapping_add(1).wrapping_sub(read(CURRENT)) & MASK;
            let pending = read(INTERRUPT_CONTROL) & SYSTICK_PENDING != 0;
            // A wrap between the reads, or one that the exception has not counted yet: look again.
            if !pending && WRAPS.load(Ordering::Relaxed) == wraps {
                return u64::from(wraps) << COUNTER_BITS | u64::from(count);
            }
        }
    }
}

fn read(register: *mut u32) -> u32 {
    // SAFETY: only called with this file's addresses, which every Cortex-M core maps and whose reads have no side
    // effect that anything else relies on.
    unsafe { register.read_volatile() }
}

fn write(register: *mut u32, value: u32) {
    // SAFETY: only called with this file's addresses, which every Cortex-M core maps; they control nothing but SysTick.
    unsafe { register.write_volatile(value) }
}
