//! Runs the model files that the host sends at their word, between guards, with the kernels that this board's firmware uses.
#![no_std]
#![no_main]

tinyhero_tests::trusted_program! {
    kernels: tinyhero_firmware::kernel::Helium,
    clock_hertz: 32_000_000,
}
