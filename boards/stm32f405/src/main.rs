//! STM32F405: Cortex-M4F, 168 MHz from an 8 MHz crystal. Also QEMU's `netduinoplus2`.
#![no_std]
#![no_main]

use stm32f4xx_hal::gpio::GpioExt;
use stm32f4xx_hal::pac::Peripherals;
use stm32f4xx_hal::rcc::{Config, RccExt};
use stm32f4xx_hal::time::Hertz;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Portable;
use tinyhero_firmware::link::{self, BoardLink};
use tinyhero_firmware::semihosting;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, FixedSlot};
use tinyhero_firmware::stack;

const CLOCK_HERTZ: u32 = 168_000_000;
const CRYSTAL_HERTZ: u32 = 8_000_000;
const ARENA_BYTES: usize = 96 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Portable, ARENA_BYTES> = Engine::new(Portable);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let (Some(region), Ok(link), Some(peripherals)) =
        (slot::take_region(), BoardLink::open(), Peripherals::take())
    else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    // QEMU has neither oscillators nor the register that would say that they are steady.
    let mut clocks = if semihosting::is_offered() {
        peripherals.RCC.constrain()
    } else {
        let crystal = Config::hse(Hertz::from_raw(CRYSTAL_HERTZ));
        peripherals.RCC.freeze(crystal.sysclk(Hertz::from_raw(CLOCK_HERTZ)))
    };
    let pins = peripherals.GPIOA.split(&mut clocks);
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link,
        clock: SysTick::start(CLOCK_HERTZ),
        activity: pins.pa0.into_push_pull_output(),
        slot: FixedSlot::new(region),
        stack_high_water: stack::high_water,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

tinyhero_firmware::hardware_board_handlers!();
