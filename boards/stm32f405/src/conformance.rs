//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

// For its critical sections, which keep the log whole.
use cortex_m as _;
// For the vectors of its interrupts.
use stm32f4xx_hal as _;

tinyhero_tests::conformance_program! {
    kernels: tinyhero_firmware::kernel::Dsp,
    fast: tinyhero_tests::FastKernel::DSP,
}
