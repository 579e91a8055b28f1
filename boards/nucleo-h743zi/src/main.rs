//! ST NUCLEO-H743ZI: Cortex-M7, 400 MHz from the internal oscillator, caches on.
#![no_std]
#![no_main]

use stm32h7xx_hal::pac::Peripherals;
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::CycleCounter;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::stm32::{CoreCache, H7, Registers, Stm32Flash, flash_end};
use tinyhero_firmware::slot::{self, Slots};
use tinyhero_firmware::stack;

/// The controller is at this address (see `full_speed`'s manual, 2.3.2), the data cache before it has 4 ways of 128 lines.
type Flash<'a> = Stm32Flash<Registers<'a, 0x5200_2000, CoreCache<4, 128>>, H7>;

const ARENA_BYTES: usize = 88 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let region = slot::take_region_within(flash_end::<H7>());
    let (Some(region), Some(peripherals)) = (region, Peripherals::take()) else {
        fault::report(0, 0)
    };
    full_speed(&peripherals);
    if let Some(mut core) = cortex_m::Peripherals::take() {
        core.SCB.enable_icache();
        core.SCB.enable_dcache(&mut core.CPUID);
    }
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link: RttLink::new(),
        clock: CycleCounter::start(),
        activity: NoPin,
        slots: Slots::halves(region, readable_flash),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

/// A slot without what a cut update may have left behind that cannot be read.
fn readable_flash(memory: &mut [u8]) -> Flash<'_> {
    let mut flash = Flash::new(Registers::new(memory));
    // Where that fails there is nothing better than to read it all the same: the fault is logged.
    let _ = flash.erase_unreadable();
    flash
}

/// 400 MHz out of the 64 MHz that the core starts with: 64 MHz / 4 * 50 / 2, buses at half of it and peripherals at a quarter, in voltage range 1
/// with two wait states for the flash (RM0433 revision 8, 4.3.8, 6.6 and 8.5.5).
fn full_speed(peripherals: &Peripherals) {
    let Peripherals { RCC, PWR, FLASH, .. } = peripherals;
    // SAFETY: whole registers are written with values from the reference manual, in its order, before anything depends on the clock.
    unsafe {
        // Its supply must be said once after power-on before the voltage can be changed.
        PWR.cr3.modify(|r, w| w.bits(r.bits() & !BYPASS | LINEAR_REGULATOR));
        while PWR.csr1.read().bits() & VOLTAGE_READY == 0 {}
        PWR.d3cr.write(|w| w.bits(RANGE_1));
        while PWR.d3cr.read().bits() & VOLTAGE_READY == 0 {}
        FLASH.acr.write(|w| w.bits(TWO_WAIT_STATES));
        RCC.pllckselr.write(|w| w.bits(4 << 4));
        RCC.pll1divr.write(|w| w.bits(49 | 1 << 9 | 1 << 16 | 1 << 24));
        RCC.pllcfgr.write(|w| w.bits(INPUT_8_TO_16_MEGAHERTZ | OUTPUT_P));
        RCC.cr.modify(|r, w| w.bits(r.bits() | PLL_ON));
        while RCC.cr.read().bits() & PLL_READY == 0 {}
        RCC.d1cfgr.write(|w| w.bits(0b1000 | 0b100 << 4));
        RCC.d2cfgr.write(|w| w.bits(0b100 << 4 | 0b100 << 8));
        RCC.d3cfgr.write(|w| w.bits(0b100 << 4));
        RCC.cfgr.modify(|r, w| w.bits(r.bits() & !7 | PLL));
        while RCC.cfgr.read().bits() >> 3 & 7 != PLL {}
    }
}

const BYPASS: u32 = 1 << 0;
const LINEAR_REGULATOR: u32 = 1 << 1;
const VOLTAGE_READY: u32 = 1 << 13;
const RANGE_1: u32 = 3 << 14;
const TWO_WAIT_STATES: u32 = 2 | 2 << 4;
const INPUT_8_TO_16_MEGAHERTZ: u32 = 3 << 2;
const OUTPUT_P: u32 = 1 << 16;
const PLL_ON: u32 = 1 << 24;
const PLL_READY: u32 = 1 << 25;
const PLL: u32 = 3;

tinyhero_firmware::hardware_board_handlers!();
