//! Runs tinyhero models in fixed point on Cortex-M, without allocation, float or panic.
//!
//! A board's `main` makes an [`engine::Engine`] and a [`server::Server`] out of its clock, its link, its pin and its model
//! slot; an application that needs no server uses the engine alone. `unsafe` stands only in the kernels, in the accessor
//! for the model's region, and where registers, the stack's paint and semihosting are touched.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

#[macro_use]
mod fmt;

pub mod activity;
#[cfg(target_os = "none")]
pub mod alignment;
pub mod clock;
pub mod engine;
pub mod kernel;
#[cfg(target_os = "none")]
pub mod reset;
#[cfg(target_os = "none")]
pub mod semihosting;
pub mod server;
pub mod slot;
#[cfg(target_os = "none")]
pub mod stack;
