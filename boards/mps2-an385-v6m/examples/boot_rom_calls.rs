//! Runs what calls the boot ROM of a Raspberry Pi Pico, on this board's core and with functions
//! that note their calls: order, arguments, interrupts, and that the code in RAM is reached.
//!
//! The emulator ends with status 0 if all is as it should be, else with the number of the check
//! that failed.
#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use tinyhero_firmware::semihosting;
use tinyhero_firmware::slot::rp2::{BootRom, Functions, Rp2Flash, SECTOR_BYTES, XipSetUp};
use tinyhero_firmware::slot::{self, Slots};

/// The calls, a digit each, the latest last.
static TRACE: AtomicU32 = AtomicU32::new(0);
/// Where the flash is that the functions write: memory that stands for it.
static FLASH: AtomicUsize = AtomicUsize::new(0);
/// Where this memory would be in the flash chip.
const OFFSET: u32 = 0x8_0000;
const FILL: u8 = 0x5A;

const FUNCTIONS: Functions =
    Functions { connect, leave_address_space, erase, program, empty_cache };

/// Notes a call; a zero if interrupts are let in or `is_right` is false.
fn note(digit: u32, is_right: bool) {
    let digit = if is_right && are_interrupts_masked() { digit } else { 0 };
    TRACE.store(TRACE.load(Relaxed) << 4 | digit, Relaxed);
}

fn are_interrupts_masked() -> bool {
    let mask: u32;
    // SAFETY: reading the register has no effect.
    unsafe { core::arch::asm!("mrs {}, PRIMASK", out(reg) mask) };
    mask & 1 == 1
}

extern "C" fn connect() {
    note(1, true);
}

extern "C" fn leave_address_space() {
    note(2, true);
}

extern "C" fn erase(offset: u32, bytes: usize, block_bytes: u32, order: u8) {
    note(3, bytes == SECTOR_BYTES && block_bytes == 64 * 1024 && order == 0xD8);
    // SAFETY: `main` has the memory at this address, the driver asks for places in it, and its
    // readers are told.
    unsafe { place(offset).write_bytes(0xFF, bytes) };
}

extern "C" fn program(offset: u32, data: *const u8, bytes: usize) {
    note(4, bytes == 256);
    // SAFETY: the same; the data are a page of the driver's.
    unsafe { place(offset).copy_from_nonoverlapping(data, bytes) };
}

extern "C" fn empty_cache() {
    note(5, true);
}

fn place(offset: u32) -> *mut u8 {
    (FLASH.load(Relaxed) as *mut u8).wrapping_add(offset.wrapping_sub(OFFSET) as usize)
}

fn stored(index: usize) -> u8 {
    // SAFETY: within the memory that `main` has at this address.
    unsafe { place(OFFSET).wrapping_add(index).read_volatile() }
}

fn check(number: u32, holds: bool) {
    if !holds {
        semihosting::exit(number)
    }
}

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut XIP_SET_UP: XipSetUp = [0; 64];
    let Some(region) = slot::take_region() else { semihosting::exit(1) };
    region.fill(FILL);
    FLASH.store(region.as_mut_ptr().addr(), Relaxed);
    // ldr r1, =TRACE; ldr r0, [r1]; lsls r0, r0, #4; adds r0, #6; str r0, [r1]; bx lr: what puts
    // the flash back is the sixth of those called.
    let code = [0x6808_4902, 0x3006_0100, 0x4770_6008, TRACE.as_ptr().addr() as u32];
    for (word, instructions) in XIP_SET_UP.iter_mut().zip(code) {
        *word = instructions;
    }
    let set_up: &XipSetUp = XIP_SET_UP;
    let mut slots = Slots::halves(region, |memory| {
        // SAFETY: the functions above are in memory that stays, and nothing else reads the region.
        Rp2Flash::new(unsafe { BootRom::new(memory, Some(OFFSET), FUNCTIONS, set_up) })
    });
    let (_, idle) = slots.split();
    let Some(mut idle) = idle else { semihosting::exit(2) };
    check(3, idle.begin(512, 1) == Ok(0));
    check(4, TRACE.load(Relaxed) == 0x1_2356);
    TRACE.store(0, Relaxed);
    let mut file = [0; 512];
    for (byte, value) in file.iter_mut().zip(0_u16..) {
        *byte = (value >> 1) as u8;
    }
    check(5, idle.write(1, 0, &file) == Ok(512));
    // A sector and two pages, of which the last digits are left.
    check(6, TRACE.load(Relaxed) == 0x4561_2456);
    check(7, !are_interrupts_masked());
    check(8, slots.written_file(1) == Some(&file));
    check(9, (512..SECTOR_BYTES).all(|index| stored(index) == 0xFF));
    check(10, (SECTOR_BYTES..2 * SECTOR_BYTES).all(|index| stored(index) == FILL));
    // A caller that has masked them finds them masked afterwards.
    // SAFETY: this program has no interrupts.
    unsafe { core::arch::asm!("cpsid i") };
    check(11, slots.commit());
    check(12, are_interrupts_masked());
    semihosting::exit(0)
}

tinyhero_firmware::emulated_board_handlers!();
