//! The kernel sets that an engine can be given. All give the same bits; they differ in speed.

pub use tinyhero_common::kernel::{Kernels, Portable};
