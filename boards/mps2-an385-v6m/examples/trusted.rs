//! Runs the model files that the host sends at their word, between guards, with the kernels that this board's firmware uses.
#![no_std]
#![no_main]

tinyhero_tests::trusted_program! {
    kernels: tinyhero_firmware::kernel::Mul32,
    clock_hertz: 25_000_000,
    at_start: tinyhero_firmware::alignment::trap_unaligned_accesses,
}
