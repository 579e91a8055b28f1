//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
use tinyhero_firmware::kernel::Mul32;
use tinyhero_tests::{Workspace, run_on_board};

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut WORKSPACE: Workspace = Workspace::new();
    run_on_board(&mut Mul32, WORKSPACE)
}

tinyhero_firmware::emulated_board_handlers!();
