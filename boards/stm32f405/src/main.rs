//! STM32F405: Cortex-M4F, 168 MHz from an 8 MHz crystal. Also QEMU's `netduinoplus2`.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
use stm32f4xx_hal::gpio::GpioExt;
use stm32f4xx_hal::pac::Peripherals;
use stm32f4xx_hal::rcc::RccExt;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::link::{self, BoardLink};
use tinyhero_firmware::semihosting;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::stm32::{F4, Registers, Stm32Flash, flash_end};
use tinyhero_firmware::slot::{self, Slots};
use tinyhero_firmware::stack;

const CLOCK_HERTZ: u32 = 168_000_000;
/// The controller is at this address (see `full_speed`'s manual, chapter 3).
type Flash<'a> = Stm32Flash<Registers<'a, 0x4002_3C00>, F4>;

const ARENA_BYTES: usize = 96 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    // QEMU has all of the flash, and not the word that says how much there is.
    let region = if semihosting::is_offered() {
        slot::take_region()
    } else {
        slot::take_region_within(flash_end::<F4>())
    };
    let (Some(region), Ok(link), Some(peripherals)) =
        (region, BoardLink::open(), Peripherals::take())
    else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    // QEMU has neither oscillators nor the register that would say that they are steady.
    if !semihosting::is_offered() {
        full_speed(&peripherals);
    }
    let mut clocks = peripherals.RCC.constrain();
    let pins = peripherals.GPIOA.split(&mut clocks);
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link,
        clock: SysTick::start(CLOCK_HERTZ),
        activity: pins.pa0.into_push_pull_output(),
        slots: Slots::halves(region, |memory| Flash::new(Registers::new(memory))),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

/// 168 MHz out of the 8 MHz crystal: 8 MHz / 8 * 336 / 2, peripherals at a quarter and a half of it, five wait states for the flash (RM0090
/// revision 19, 3.5.1 and 7.3).
fn full_speed(peripherals: &Peripherals) {
    let Peripherals { RCC, FLASH, .. } = peripherals;
    // SAFETY: whole registers are written with values from the reference manual, in its order, before anything depends on the clock.
    unsafe {
        RCC.cr().modify(|r, w| w.bits(r.bits() | CRYSTAL_ON));
        while RCC.cr().read().bits() & CRYSTAL_READY == 0 {}
        RCC.pllcfgr().write(|w| w.bits(8 | 336 << 6 | PLL_FROM_CRYSTAL | 7 << 24));
        RCC.cr().modify(|r, w| w.bits(r.bits() | PLL_ON));
        while RCC.cr().read().bits() & PLL_READY == 0 {}
        FLASH.acr().write(|w| w.bits(FIVE_WAIT_STATES | CACHES));
        RCC.cfgr().write(|w| w.bits(0b101 << 10 | 0b100 << 13 | PLL));
        while RCC.cfgr().read().bits() >> 2 & 3 != PLL {}
    }
}

const CRYSTAL_ON: u32 = 1 << 16;
const CRYSTAL_READY: u32 = 1 << 17;
const PLL_FROM_CRYSTAL: u32 = 1 << 22;
const PLL_ON: u32 = 1 << 24;
const PLL_READY: u32 = 1 << 25;
const FIVE_WAIT_STATES: u32 = 5;
const CACHES: u32 = 0b111 << 8;
const PLL: u32 = 2;

tinyhero_firmware::hardware_board_handlers!();
