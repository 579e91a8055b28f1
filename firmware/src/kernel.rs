//! The kernel sets that an engine can be given. All give the same bits; they differ in speed.
//!
//! Each is a cargo feature (`dsp`, `mul32`, `helium`). All read every weight layout, their own ones fast.

#[cfg(all(target_arch = "arm", feature = "dsp"))]
mod dsp;
#[cfg(feature = "helium")]
mod helium;
#[cfg(any(feature = "helium", all(target_arch = "arm", any(feature = "dsp", feature = "mul32"))))]
mod max_pool_2d;
#[cfg(all(target_arch = "arm", feature = "small-memory-routines"))]
mod memory;
#[cfg(all(target_arch = "arm", feature = "mul32"))]
mod mul32;
#[cfg(any(feature = "helium", all(target_arch = "arm", any(feature = "dsp", feature = "mul32"))))]
mod offsets;
mod only;

#[cfg(all(target_arch = "arm", feature = "dsp"))]
pub use dsp::{Dsp, DspFullyConnected};
#[cfg(feature = "helium")]
pub use helium::Helium;
#[cfg(all(target_arch = "arm", feature = "mul32"))]
pub use mul32::Mul32;
pub use only::{CONVOLUTIONAL, ConvolutionalOnly, FullyConnectedOnly, Only, only};
pub use tinyhero_common::kernels::{Kernels, Portable};
