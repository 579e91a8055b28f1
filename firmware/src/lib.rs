//! Runs tinyhero models in fixed point on Cortex-M, without allocation, float or panic.
//!
//! A board's `main` makes an [`engine::Engine`] and a [`server::Server`] out of its clock, its link, its pin and its model
//! slot; an application that needs no server uses the engine alone. `unsafe` stands only in the kernels, in the accessor
//! for the model's region, and where registers, the stack's paint, semihosting and the
//! logger's state are touched.
#![no_std]

#[macro_use]
mod fmt;
#[cfg(feature = "defmt")]
mod log;

pub mod access_port;
pub mod activity;
#[cfg(target_os = "none")]
pub mod alignment;
pub mod clock;
mod emulated_board;
pub mod engine;
#[cfg(target_os = "none")]
pub mod fault;
pub mod kernel;
#[cfg(target_os = "none")]
pub mod link;
#[cfg(target_os = "none")]
pub mod reset;
pub mod rtt;
#[cfg(target_os = "none")]
pub mod semihosting;
pub mod server;
pub mod slot;
#[cfg(target_os = "none")]
pub mod stack;
#[cfg(target_os = "none")]
pub mod uart;
