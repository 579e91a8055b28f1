//! Proves that this board stands for a Cortex-M0: an aligned word is read, then an unaligned one,
//! which must fault.
//!
//! The emulator ends with status 0 if it does not, and with the fault's status after the line
//! `aligned` if it does.
#![no_std]
#![no_main]

use tinyhero_firmware::alignment;
use tinyhero_firmware::semihosting;

#[cortex_m_rt::entry]
fn main() -> ! {
    alignment::trap_unaligned_accesses();
    static WORDS: [u32; 2] = [0x1234_5678, 0x9ABC_DEF0];
    let place = WORDS.as_ptr();
    // SAFETY: inside the array and aligned.
    if unsafe { place.read_volatile() } == 0x1234_5678 {
        semihosting::print(c"aligned\n");
    }
    // SAFETY: the four bytes lie inside the array, and the core faults on the address as it is
    // meant to.
    unsafe {
        core::arch::asm!("ldr {0}, [{1}, #0]", out(reg) _, in(reg) place.wrapping_byte_add(1));
    }
    semihosting::exit(0)
}

tinyhero_firmware::emulated_board_handlers!();
