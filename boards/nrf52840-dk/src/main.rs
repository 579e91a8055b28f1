//! Nordic nRF52840 DK: Cortex-M4F, 64 MHz. The activity pin is P1.01.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
use nrf_hal_common::clocks::Clocks;
use nrf_hal_common::gpio::{Level, p1};
use nrf_hal_common::pac::Peripherals;
use tinyhero_firmware::access_port;
use tinyhero_firmware::clock::CycleCounter;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::fault;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::link;
use tinyhero_firmware::rtt::RttLink;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, Nvmc, Slots};
use tinyhero_firmware::stack;

/// The chip's page of flash.
const PAGE_BYTES: usize = 4096;
const ARENA_BYTES: usize = 160 * 1024;
const FRAME_BYTES: usize = 4 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    // First of all: the probe is the only way to this board.
    access_port::open_or_reset();
    let region = slot::take_region_within(slot::nvmc_flash_bytes());
    let (Some(region), Some(peripherals)) = (region, Peripherals::take()) else {
        fault::report(0, 0)
    };
    // The crystal keeps time; the core's 64 MHz are there from the start.
    Clocks::new(peripherals.CLOCK).enable_ext_hfosc();
    peripherals.NVMC.icachecnf.write(|w| w.cacheen().enabled());
    let pins = p1::Parts::new(peripherals.P1);
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link: RttLink::new(),
        clock: CycleCounter::start(),
        activity: pins.p1_01.into_push_pull_output(Level::Low),
        slots: Slots::halves(region, Nvmc::<PAGE_BYTES>::new),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

tinyhero_firmware::hardware_board_handlers!();
