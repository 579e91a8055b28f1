//! Arm MPS2+ with FPGA image AN385, running ARMv6-M code: stands for Cortex-M0 parts with more memory than QEMU models.
//!
//! Its Cortex-M3 executes ARMv6-M code as a Cortex-M0 would, but for unaligned accesses, which are made to fault.
#![no_std]
#![no_main]

tinyhero_firmware::emulated_board! {
    kernels: tinyhero_firmware::kernel::Mul32,
    clock_hertz: 25_000_000,
    at_start: tinyhero_firmware::alignment::trap_unaligned_accesses,
}
