//! Arm MPS2+ with FPGA image AN505: Cortex-M33.
#![no_std]
#![no_main]

use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::semihosting::{self, SemihostingLink};
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, RamFlash, Slots};
use tinyhero_firmware::stack;

const CLOCK_HERTZ: u32 = 20_000_000;
const ARENA_BYTES: usize = 1024 * 1024;
const FRAME_BYTES: usize = 64 * 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let (Some(region), Ok(link)) = (slot::take_region(), SemihostingLink::open()) else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    let server = Server {
        board: env!("CARGO_PKG_NAME"),
        link,
        clock: SysTick::start(CLOCK_HERTZ),
        activity: NoPin,
        slots: Slots::halves(region, RamFlash::new),
        stack_high_water: stack::high_water,
        byte_routines: None,
    };
    semihosting::finish(server.serve(ENGINE, BUFFERS))
}

tinyhero_firmware::emulated_board_handlers!();
