//! The same server as `main.rs`, over the serial port instead of semihosting.
#![no_std]
#![no_main]

use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_firmware::semihosting;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, RamFlash, Slots};
use tinyhero_firmware::stack;
use tinyhero_firmware::uart::CmsdkUart;

const CLOCK_HERTZ: u32 = 25_000_000;
const ARENA_BYTES: usize = 1024 * 1024;
/// Small, since the emulated port takes only some 10 kB a second.
const FRAME_BYTES: usize = 2 * 1024;
const UART_ADDRESS: usize = 0x4000_4000;
/// Clocks a bit: 115,200 bits a second.
const UART_DIVIDER: u32 = CLOCK_HERTZ / 115_200;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Dsp, ARENA_BYTES> = Engine::new(Dsp);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let Some(region) = slot::take_region() else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    // SAFETY: the memory map of application note AN386 has the first port there; nothing else uses it.
    let link = unsafe { CmsdkUart::new(UART_ADDRESS, UART_DIVIDER) };
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
