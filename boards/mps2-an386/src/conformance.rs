//! The conformance suite on this board, with the kernels that its firmware uses.
#![no_std]
#![no_main]

tinyhero_tests::conformance_program! {
    kernels: tinyhero_firmware::kernel::Dsp,
    fast: tinyhero_tests::FastKernel::DSP,
    layers: tinyhero_tests::LayerMemory,
}
