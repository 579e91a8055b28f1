#![no_std]
#![forbid(unsafe_code)]
//! What host and board share: the integer arithmetic, the model file, and the messages between them.
//!
#![doc = include_str!("../docs/arithmetic.md")]

#[cfg(test)]
extern crate std;

pub mod bit_width;
pub mod channels;
pub mod checksum;
mod compact;
pub mod error;
pub mod input;
pub mod kernels;
pub mod layer;
pub mod layout;
pub mod model;
pub mod network;
pub mod operator;
mod parameters;
mod reason;
pub mod requantize;
pub mod shape;
pub mod slot;
pub mod tensor;
pub mod text;
pub mod wire;
