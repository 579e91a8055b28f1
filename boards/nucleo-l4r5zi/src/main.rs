//! ST NUCLEO-L4R5ZI: Cortex-M4F, 120 MHz from the internal oscillator.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
use stm32l4xx_hal::pac::{FLASH, Peripherals};
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::CycleCounter;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::stm32::{L4, Registers, Stm32Flash, flash_end};
use tinyhero_firmware::slot::{self, Slots};
use tinyhero_firmware::stack;

/// The controller is at this address (see `full_speed`'s manual, chapter 3).
type Flash<'a> = Stm32Flash<Registers<'a, 0x4002_2000>, L4>;

const ARENA_BYTES: usize = 128 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let region = slot::take_region_within(flash_end::<L4>());
    let (Some(region), Some(peripherals)) = (region, Peripherals::take()) else {
        fault::report(0, 0)
    };
    full_speed(&peripherals);
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link: RttLink::new(),
        clock: CycleCounter::start(),
        activity: NoPin,
        slots: Slots::halves(region, |memory| Flash::new(Registers::new(memory))),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

/// 120 MHz out of the 4 MHz that the core starts with: 4 MHz * 60 / 2, in the voltage regulator's boost mode (RM0432 revision 9, 5.1.8 and
/// 6.2.9), with five wait states for the flash.
fn full_speed(peripherals: &Peripherals) {
    let Peripherals { RCC, FLASH, .. } = peripherals;
    // SAFETY: whole registers are written with values from the reference manual, in its order, before anything depends on the clock.
    unsafe {
        RCC.apb1enr1.modify(|r, w| w.bits(r.bits() | POWER_INTERFACE));
        VOLTAGE_RANGE.write_volatile(VOLTAGE_RANGE.read_volatile() & !NORMAL_MODE);
        FLASH.acr.write(|w| w.bits(FIVE_WAIT_STATES | CACHES));
        RCC.pllcfgr.write(|w| w.bits(PLL_FROM_MSI | 60 << 8 | PLL_OUTPUT_R));
        RCC.cr.modify(|r, w| w.bits(r.bits() | PLL_ON));
        while RCC.cr.read().bits() & PLL_READY == 0 {}
        // Half speed for a microsecond, so that the regulator can follow.
        RCC.cfgr.write(|w| w.bits(HALF | PLL));
        while RCC.cfgr.read().bits() >> 2 & 3 != PLL {}
        cortex_m::asm::delay(120);
        RCC.cfgr.write(|w| w.bits(PLL));
    }
}

/// Reading a double word with more wrong bits than error correction mends, which a cut update may leave behind, comes here (RM0432 revision 9,
/// 3.3.2). What was read is wrong then and fails its digest, so to go on is right.
///
/// # Safety
/// Called by the core alone.
#[cortex_m_rt::exception]
unsafe fn NonMaskableInt() {
    // SAFETY: nobody else uses the register, and writing the ones that were read strikes off what they stand for.
    let found = unsafe {
        let errors = &(*FLASH::ptr()).eccr;
        let found = errors.read().bits();
        errors.write(|w| w.bits(found));
        found
    };
    if found & TWO_WRONG_BITS == 0 {
        fault::report(0, 0)
    }
}

const TWO_WRONG_BITS: u32 = 1 << 31;
/// PWR_CR5, which the family's crate has only for smaller chips.
const VOLTAGE_RANGE: *mut u32 = 0x4000_7080 as *mut u32;
const POWER_INTERFACE: u32 = 1 << 28;
const NORMAL_MODE: u32 = 1 << 8;
const FIVE_WAIT_STATES: u32 = 5;
const CACHES: u32 = 0b111 << 8;
const PLL_FROM_MSI: u32 = 1;
const PLL_OUTPUT_R: u32 = 1 << 24;
const PLL_ON: u32 = 1 << 24;
const PLL_READY: u32 = 1 << 25;
const HALF: u32 = 0b1000 << 4;
const PLL: u32 = 3;

tinyhero_firmware::hardware_board_handlers!();
