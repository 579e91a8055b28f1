//! The kernel sets that an engine can be given. All give the same bits; they differ in speed.

#[cfg(feature = "helium")]
mod helium;

#[cfg(feature = "helium")]
pub use helium::Helium;
pub use tinyhero_common::kernel::{Kernels, Portable};
