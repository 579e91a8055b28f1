//! Arm MPS2+ with FPGA image AN505: Cortex-M33.
#![no_std]
#![no_main]

tinyhero_firmware::emulated_board! {
    kernels: tinyhero_firmware::kernel::Dsp,
    clock_hertz: 20_000_000,
}
