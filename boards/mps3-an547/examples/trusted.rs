//! Runs the model files that the host sends at their word, between guards, with the kernels that this board's firmware uses.
#![no_std]
#![no_main]

use tinyhero_firmware::clock::SysTick;
use tinyhero_firmware::engine::Engine;
use tinyhero_firmware::kernel::Helium;
use tinyhero_firmware::semihosting::{self, SemihostingLink};
use tinyhero_tests::{Guarded, run_trusted_on_board};

const CLOCK_HERTZ: u32 = 32_000_000;
/// Room for most files, and for the largest.
const FILE_BYTES: [usize; 2] = [8 * 1024, 480 * 1024];
const ARENA_BYTES: [usize; 2] = [8 * 1024, 160 * 1024];

type Memory<const FILE: usize, const ARENA: usize> = Guarded<Engine<Helium, ARENA>, FILE>;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut SMALL: Memory<{ FILE_BYTES[0] }, { ARENA_BYTES[0] }> = Memory::new(Helium);
    static mut LARGE: Memory<{ FILE_BYTES[1] }, { ARENA_BYTES[1] }> = Memory::new(Helium);
    let Ok(link) = SemihostingLink::open() else {
        semihosting::exit(semihosting::LINK_EXIT_STATUS)
    };
    run_trusted_on_board(SMALL, LARGE, link, SysTick::start(CLOCK_HERTZ))
}

tinyhero_firmware::emulated_board_handlers!();
