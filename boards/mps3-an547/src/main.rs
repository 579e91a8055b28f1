//! Arm MPS3 with FPGA image AN547: Cortex-M55 with Helium.
#![no_std]
#![no_main]

tinyhero_firmware::emulated_board! {
    kernels: tinyhero_firmware::kernel::Helium,
    clock_hertz: 32_000_000,
    byte_routines: tinyhero_firmware::kernel::Helium::BYTE_ROUTINES,
}
