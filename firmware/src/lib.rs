//! Runs tinyhero models in fixed point on Cortex-M, without allocation, float or panic.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn, missing_docs)]

pub mod clock;
#[cfg(target_os = "none")]
pub mod semihosting;
#[cfg(target_os = "none")]
pub mod stack;
