//! Arm MPS2+ with FPGA image AN500: Cortex-M7.
#![no_std]
#![no_main]

tinyhero_firmware::emulated_board! {
    kernels: tinyhero_firmware::kernel::Dsp,
    clock_hertz: 25_000_000,
}
