//! Raspberry Pi Pico 2: RP2350, Cortex-M33, 150 MHz.
#![no_std]
#![no_main]

use core::mem::transmute;

// For its critical sections, which keep the log whole; the second core sleeps.
use cortex_m as _;
use rp235x_pac::Peripherals;
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::CycleCounter;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::rp2::{BootRom, Functions, Rp2Flash, XipSetUp};
use tinyhero_firmware::slot::{self, Slots};
use tinyhero_firmware::stack;

const ARENA_BYTES: usize = 320 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

/// What the boot ROM looks for: the smallest block that says "a secure program for the Arm cores" (RP2350 datasheet, 5.9.5.1).
#[used]
#[unsafe(link_section = ".start_block")]
static IMAGE_DEFINITION: [u32; 5] = [0xFFFF_DED3, 0x1021_0142, 0x0000_01FF, 0, 0xAB12_3579];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    static mut XIP_SET_UP: XipSetUp = [0; 64];
    let (Some(region), Some(functions)) = (slot::take_region(), flash_functions()) else {
        fault::report(0, 0)
    };
    for (word, index) in XIP_SET_UP.iter_mut().zip(0..) {
        // SAFETY: the boot RAM is there, and reading it has no effect.
        *word = unsafe { BOOT_RAM.add(index).read_volatile() };
    }
    // SAFETY: this is the only place that takes them, and it runs once.
    let peripherals = unsafe { Peripherals::steal() };
    full_speed(&peripherals);
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link: RttLink::new(),
        clock: CycleCounter::start(),
        activity: NoPin,
        slots: Slots::halves(region, |memory| flash(memory, functions, XIP_SET_UP)),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

/// A part of the flash, which the boot ROM writes.
fn flash<'a>(
    memory: &'a mut [u8],
    functions: Functions,
    set_up: &'a XipSetUp,
) -> Rp2Flash<BootRom<'a>> {
    // A partition table may have moved the program's flash within the chip; a negative number says that there is nothing.
    let offset = boot_rom_function(*b"FA").and_then(|translate| {
        // SAFETY: flash_runtime_to_storage_addr, which takes an address and does nothing but compute.
        let translate: unsafe extern "C" fn(usize) -> i32 = unsafe { transmute(translate) };
        // SAFETY: the same.
        u32::try_from(unsafe { translate(memory.as_ptr().addr()) }).ok()
    });
    // SAFETY: the functions are the boot ROM's, `main` has the set-up in RAM, and neither the second core nor a DMA channel is ever started.
    Rp2Flash::new(unsafe { BootRom::new(memory, offset, functions, set_up) })
}

/// The boot ROM's functions for the flash (RP2350 datasheet, 5.4.8).
fn flash_functions() -> Option<Functions> {
    // SAFETY: the functions have these arguments.
    unsafe {
        Some(Functions {
            connect: transmute::<usize, unsafe extern "C" fn()>(boot_rom_function(*b"IF")?),
            leave_address_space: transmute::<usize, unsafe extern "C" fn()>(boot_rom_function(
                *b"EX",
            )?),
            erase: transmute::<usize, unsafe extern "C" fn(u32, usize, u32, u8)>(
                boot_rom_function(*b"RE")?,
            ),
            program: transmute::<usize, unsafe extern "C" fn(u32, *const u8, usize)>(
                boot_rom_function(*b"RP")?,
            ),
            empty_cache: transmute::<usize, unsafe extern "C" fn()>(boot_rom_function(*b"FC")?),
        })
    }
}

/// The boot ROM's function of this code for secure programs, which this one is; `None` if there is none.
fn boot_rom_function(code: [u8; 2]) -> Option<usize> {
    // SAFETY: the boot ROM has the address of its look-up function here (RP2350 datasheet, 5.4.1), which takes a code and flags.
    let function = unsafe {
        let look_up = usize::from(LOOK_UP.read_volatile());
        let look_up: unsafe extern "C" fn(u32, u32) -> usize = transmute(look_up);
        look_up(u16::from_le_bytes(code).into(), SECURE_ARM_FUNCTION)
    };
    (function != 0).then_some(function)
}

const LOOK_UP: *const u16 = 0x16 as *const u16;
const SECURE_ARM_FUNCTION: u32 = 1 << 2;
/// Its first 256 bytes are code that sets the flash interface up as the boot ROM did; they cannot be run where they are.
const BOOT_RAM: *const u32 = 0x400E_0000 as *const u32;

/// 150 MHz out of the 12 MHz crystal: 12 MHz * 125 / 5 / 2 (RP2350 datasheet, 8.1, 8.2 and 8.6).
fn full_speed(peripherals: &Peripherals) {
    let Peripherals { XOSC, RESETS, PLL_SYS, CLOCKS, .. } = peripherals;
    // SAFETY: whole registers are written with values from the datasheet, in its order, before anything depends on the clock.
    unsafe {
        XOSC.startup().write(|w| w.bits(CRYSTAL_START_UP));
        XOSC.ctrl().write(|w| w.bits(CRYSTAL_ON | UP_TO_15_MEGAHERTZ));
        while XOSC.status().read().bits() & STEADY == 0 {}
        CLOCKS.clk_ref_ctrl().write(|w| w.bits(REFERENCE_CRYSTAL));
        while CLOCKS.clk_ref_selected().read().bits() & 1 << REFERENCE_CRYSTAL == 0 {}
        RESETS.reset().modify(|r, w| w.bits(r.bits() & !PLL));
        while RESETS.reset_done().read().bits() & PLL == 0 {}
        PLL_SYS.cs().write(|w| w.bits(1));
        PLL_SYS.fbdiv_int().write(|w| w.bits(125));
        PLL_SYS.pwr().modify(|r, w| w.bits(r.bits() & !OSCILLATOR_OFF));
        while PLL_SYS.cs().read().bits() & STEADY == 0 {}
        PLL_SYS.prim().write(|w| w.bits(5 << 16 | 2 << 12));
        PLL_SYS.pwr().modify(|r, w| w.bits(r.bits() & !DIVIDERS_OFF));
        // The switch is free of glitches between reference and auxiliary, which is the PLL.
        CLOCKS.clk_sys_ctrl().write(|w| w.bits(0));
        CLOCKS.clk_sys_ctrl().write(|w| w.bits(AUXILIARY));
        while CLOCKS.clk_sys_selected().read().bits() & 1 << AUXILIARY == 0 {}
    }
}

/// A millisecond, in 256 periods of the crystal.
const CRYSTAL_START_UP: u32 = 47;
const CRYSTAL_ON: u32 = 0xFAB << 12;
const UP_TO_15_MEGAHERTZ: u32 = 0xAA0;
const STEADY: u32 = 1 << 31;
const REFERENCE_CRYSTAL: u32 = 2;
const PLL: u32 = 1 << 14;
const OSCILLATOR_OFF: u32 = 1 << 0 | 1 << 5;
const DIVIDERS_OFF: u32 = 1 << 3;
const AUXILIARY: u32 = 1;

tinyhero_firmware::hardware_board_handlers!();
