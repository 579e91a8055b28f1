//! Raspberry Pi Pico 2: RP2350, Cortex-M33, 150 MHz. The activity pin is GPIO 25, the LED.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole; the second core sleeps.
use cortex_m as _;
use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::init_clocks_and_plls;
use rp235x_hal::gpio::Pins;
use rp235x_hal::pac::Peripherals;
use rp235x_hal::{Sio, Watchdog};
use tinyhero_firmware::clock::CycleCounter;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Portable;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, FixedSlot};
use tinyhero_firmware::stack;

const CRYSTAL_HERTZ: u32 = 12_000_000;
const ARENA_BYTES: usize = 320 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

/// What the boot ROM looks for: a secure program for the Arm cores.
#[used]
#[unsafe(link_section = ".start_block")]
static IMAGE_DEFINITION: ImageDef = ImageDef::secure_exe();

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
        clock: CycleCounter::start(),
        activity: pins.gpio25.into_push_pull_output(),
        slot: FixedSlot::new(region),
        stack_high_water: stack::high_water,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

tinyhero_firmware::hardware_board_handlers!();
