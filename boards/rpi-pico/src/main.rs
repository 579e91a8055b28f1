//! Raspberry Pi Pico: RP2040, Cortex-M0+, 125 MHz. The activity pin is GPIO 25, the LED.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole; the second core sleeps.
use cortex_m as _;
use rp2040_hal::clocks::init_clocks_and_plls;
use rp2040_hal::gpio::Pins;
use rp2040_hal::pac::Peripherals;
use rp2040_hal::{Sio, Watchdog};
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Portable;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, FixedSlot};
use tinyhero_firmware::stack;

const CLOCK_HERTZ: u32 = 125_000_000;
const CRYSTAL_HERTZ: u32 = 12_000_000;
const ARENA_BYTES: usize = 160 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

/// The first bootstrap stage, for the flash chip of the Pico.
#[used]
#[unsafe(link_section = ".boot2")]
static BOOT2: [u8; 256] = rp2040_boot2::BOOT_LOADER_W25Q080;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Portable, ARENA_BYTES> = Engine::new(Portable);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let (Some(region), Some(mut peripherals)) = (slot::take_region(), Peripherals::take()) else {
        fault::report(0, 0)
    };
    let mut watchdog = Watchdog::new(peripherals.WATCHDOG);
    let clocks = init_clocks_and_plls(
        CRYSTAL_HERTZ,
        peripherals.XOSC,
        peripherals.CLOCKS,
        peripherals.PLL_SYS,
        peripherals.PLL_USB,
        &mut peripherals.RESETS,
        &mut watchdog,
    );
    if clocks.is_err() {
        fault::report(0, 0)
    }
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
        slot: FixedSlot::new(region),
        stack_high_water: stack::high_water,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

tinyhero_firmware::hardware_board_handlers!();
