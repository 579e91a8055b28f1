//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

use tinyhero_firmware::alignment;
use tinyhero_firmware::kernel::Mul32;
use tinyhero_tests::{
    DifferentialMemory, FastKernel, LayerMemory, Workspace, run_fast_on_board, run_layers_on_board,
};

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut WORKSPACE: Workspace = Workspace::new();
    static mut MEMORY: DifferentialMemory = DifferentialMemory::new();
    static mut LAYERS: LayerMemory = LayerMemory::new();
    alignment::trap_unaligned_accesses();
    run_layers_on_board(&mut Mul32, LAYERS, &FastKernel::MUL32);
    run_fast_on_board(&mut Mul32, WORKSPACE, MEMORY, &FastKernel::MUL32)
}

tinyhero_firmware::emulated_board_handlers!();
