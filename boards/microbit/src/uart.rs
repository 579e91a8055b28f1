//! The same server as `main.rs`, over the serial port instead of semihosting.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
use tinyhero_firmware::activity::NoPin;
use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Mul32;
use tinyhero_firmware::link;
use tinyhero_firmware::semihosting;
use tinyhero_firmware::server::{Buffers, Server};
use tinyhero_firmware::slot::{self, Nvmc, Slots};
use tinyhero_firmware::stack;
use tinyhero_firmware::uart::Nrf51Uart;

const CLOCK_HERTZ: u32 = 16_000_000;
const ARENA_BYTES: usize = 6 * 1024;
const FRAME_BYTES: usize = 1024;
/// Pins of the chip that the interface chip's serial port is wired to.
const TRANSMIT_PIN: u32 = 24;
const RECEIVE_PIN: u32 = 25;
/// The chip's page of flash.
const PAGE_BYTES: usize = 1024;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: Engine<Mul32, ARENA_BYTES> = Engine::new(Mul32);
    static mut BUFFERS: Buffers<FRAME_BYTES> = Buffers::new();
    let Some(region) = slot::take_region() else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    // SAFETY: the board's chip is an nRF51822, and these pins lead to its USB interface chip only.
    let link = unsafe { Nrf51Uart::new(TRANSMIT_PIN, RECEIVE_PIN) };
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
