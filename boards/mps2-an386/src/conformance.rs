//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

use tinyhero_firmware::kernel::Dsp;
use tinyhero_tests::{
    DifferentialMemory, FastKernel, LayerMemory, Workspace, run_fast_on_board, run_layers_on_board,
};

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut WORKSPACE: Workspace = Workspace::new();
    static mut MEMORY: DifferentialMemory = DifferentialMemory::new();
    static mut LAYERS: LayerMemory = LayerMemory::new();
    run_layers_on_board(&mut Dsp, LAYERS, &FastKernel::DSP);
    run_fast_on_board(&mut Dsp, WORKSPACE, MEMORY, &FastKernel::DSP)
}

tinyhero_firmware::emulated_board_handlers!();
