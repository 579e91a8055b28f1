//! The kernel sets that an engine can be given. All give the same bits; they differ in speed.

#[cfg(target_arch = "arm")]
mod dsp;
mod fully_connected_only;
#[cfg(feature = "helium")]
mod helium;
#[cfg(target_arch = "arm")]
mod mul32;

#[cfg(target_arch = "arm")]
pub use dsp::Dsp;
pub use fully_connected_only::FullyConnectedOnly;
#[cfg(feature = "helium")]
pub use helium::Helium;
#[cfg(target_arch = "arm")]
pub use mul32::Mul32;
pub use tinyhero_common::kernel::{Kernels, Portable};
