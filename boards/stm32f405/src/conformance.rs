//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
// For the vectors of its interrupts.
use stm32f4xx_hal as _;
use tinyhero_firmware::kernel::Dsp;
use tinyhero_tests::{DifferentialMemory, FastKernel, Workspace, run_fast_on_board};

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut WORKSPACE: Workspace = Workspace::new();
    static mut MEMORY: DifferentialMemory = DifferentialMemory::new();
    run_fast_on_board(&mut Dsp, WORKSPACE, MEMORY, &FastKernel::DSP)
}

tinyhero_firmware::emulated_board_handlers!();
