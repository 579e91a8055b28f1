//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

use tinyhero_firmware::alignment;
use tinyhero_firmware::kernel::Portable;
use tinyhero_tests::{Workspace, run_on_board};

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut WORKSPACE: Workspace = Workspace::new();
    alignment::trap_unaligned_accesses();
    run_on_board(&mut Portable, WORKSPACE)
}

tinyhero_firmware::emulated_board_handlers!();
