//! Runs what the STM32H7's flash driver does to the Cortex-M7 around it: stopping and starting the
//! data cache, and reading with faults ignored. The emulator has no cache; that all of it ends, and
//! what it leaves behind, can be seen here.
//!
//! The emulator ends with status 0 if all is as it should be, else with the number of the check
//! that failed.
#![no_std]
#![no_main]

use tinyhero_firmware::semihosting;
use tinyhero_firmware::slot;
use tinyhero_firmware::slot::stm32::{Access, CoreCache, FaultlessRead, Registers};

/// Its registers, which nothing here asks for, would be in RAM.
type Part<'a> = Registers<'a, 0x2030_0000, CoreCache<4, 128>>;

const PART_BYTES: usize = 1024 * 1024;
/// Configuration and control, and configurable fault status (ARMv7-M Architecture Reference Manual,
/// B3.2.8 and B3.2.15).
const CONTROL: *mut u32 = 0xE000_ED14 as *mut u32;
const FAULT_STATUS: *mut u32 = 0xE000_ED28 as *mut u32;

fn fault_mask() -> u32 {
    let mask: u32;
    // SAFETY: reading the register has no effect.
    unsafe { core::arch::asm!("mrs {}, FAULTMASK", out(reg) mask) };
    mask
}

fn read(register: *mut u32) -> u32 {
    // SAFETY: one of the core's registers above; reading it has no effect.
    unsafe { register.read_volatile() }
}

fn check(number: u32, holds: bool) {
    if !holds {
        semihosting::exit(number)
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(region) = slot::take_region() else { semihosting::exit(1) };
    let Some(memory) = region.get_mut(..PART_BYTES) else { semihosting::exit(2) };
    memory.fill(0x5A);
    let control = read(CONTROL);
    let mut part = Part::new(memory);
    part.stop_cache();
    part.read_all(0, PART_BYTES as u32);
    // Nothing lies beyond the end, and nothing is read there.
    part.read_all(PART_BYTES as u32, 2 * PART_BYTES as u32);
    part.start_cache();
    check(3, part.bytes().iter().all(|&byte| byte == 0x5A));
    check(4, read(CONTROL) == control);
    check(5, fault_mask() == 0);
    check(6, read(FAULT_STATUS) == 0);
    semihosting::exit(0)
}

tinyhero_firmware::emulated_board_handlers!();
