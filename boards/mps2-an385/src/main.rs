//! Arm MPS2+ with FPGA image AN385: Cortex-M3.
#![no_std]
#![no_main]

tinyhero_firmware::emulated_board! {
    kernels: tinyhero_firmware::kernel::Mul32,
    clock_hertz: 25_000_000,
}
