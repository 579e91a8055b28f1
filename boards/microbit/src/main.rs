//! BBC micro:bit v1: nRF51822, Cortex-M0, 16 kB of RAM.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Mul32;
use tinyhero_firmware::link::{self, BoardLink};
use tinyhero_firmware::semihosting;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, Nvmc, Slots};
use tinyhero_firmware::stack;

const CLOCK_HERTZ: u32 = 16_000_000;
const ARENA_BYTES: usize = 6 * 1024;
const FRAME_BYTES: usize = 1024;
/// The chip's page of flash.
const PAGE_BYTES: usize = 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Mul32, ARENA_BYTES> = Engine::new(Mul32);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let region = slot::take_region_within(slot::nvmc_flash_bytes());
    let (Some(region), Ok(link)) = (region, BoardLink::open()) else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link,
        clock: SysTick::start(CLOCK_HERTZ),
        activity: NoPin,
        slots: Slots::halves(region, Nvmc::<PAGE_BYTES>::new),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    link::finish(server.serve(ENGINE, BUFFERS))
}

tinyhero_firmware::hardware_board_handlers!();
