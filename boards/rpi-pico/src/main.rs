//! Raspberry Pi Pico: RP2040, Cortex-M0+, 125 MHz. The activity pin is GPIO 25, the LED.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole; the second core sleeps.
use cortex_m as _;
use rp2040_hal::Sio;
use rp2040_hal::gpio::Pins;
use rp2040_hal::pac::Peripherals;
use rp2040_hal::rom_data;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Mul32;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::rp2::{BootRom, Functions, Rp2Flash, XipSetUp};
use tinyhero_firmware::slot::{self, Slots};
use tinyhero_firmware::stack;

const CLOCK_HERTZ: u32 = 125_000_000;
const ARENA_BYTES: usize = 160 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

/// Where the flash chip lies in the address space.
const FLASH: usize = 0x1000_0000;

/// The second bootstrap stage, for the flash chip of the Pico.
#[used]
#[unsafe(link_section = ".boot2")]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Mul32, ARENA_BYTES> = Engine::new(Mul32);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    static mut XIP_SET_UP: XipSetUp = [0; 64];
    for (word, bytes) in XIP_SET_UP.iter_mut().zip(BOOT2.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let (Some(region), Some(mut peripherals)) = (slot::take_region(), Peripherals::take()) else {
        fault::report(0, 0)
    };
    full_speed(&peripherals);
    let sio = Sio::new(peripherals.SIO);
    let pins = Pins::new(
        peripherals.IO_BANK0,
        peripherals.PADS_BANK0,
        sio.gpio_bank0,
        &mut peripherals.RESETS,
    );
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link: RttLink::new(),
        clock: SysTick::start(CLOCK_HERTZ),
        activity: pins.gpio25.into_push_pull_output(),
        slots: Slots::halves(region, |memory| flash(memory, XIP_SET_UP)),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

/// A part of the flash, which the boot ROM writes.
fn flash<'a>(memory: &'a mut [u8], set_up: &'a XipSetUp) -> Rp2Flash<BootRom<'a>> {
    let offset = memory.as_ptr().addr().wrapping_sub(FLASH) as u32;
    let functions = Functions {
        connect: rom_data::connect_internal_flash::ptr(),
        leave_address_space: rom_data::flash_exit_xip::ptr(),
        erase: rom_data::flash_range_erase::ptr(),
        program: rom_data::flash_range_program::ptr(),
        empty_cache: rom_data::flash_flush_cache::ptr(),
    };
    // SAFETY: the functions are the boot ROM's, `main` has the set-up in RAM, and neither the second core nor a DMA channel is ever started.
    Rp2Flash::new(unsafe { BootRom::new(memory, Some(offset), functions, set_up) })
}

/// 125 MHz out of the 12 MHz crystal: 12 MHz * 125 / 6 / 2 (RP2040 datasheet, 2.15, 2.16 and 2.18).
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
        PLL_SYS.prim().write(|w| w.bits(6 << 16 | 2 << 12));
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
const PLL: u32 = 1 << 12;
const OSCILLATOR_OFF: u32 = 1 << 0 | 1 << 5;
const DIVIDERS_OFF: u32 = 1 << 3;
const AUXILIARY: u32 = 1;

tinyhero_firmware::hardware_board_handlers!();
