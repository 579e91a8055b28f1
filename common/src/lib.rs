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
pub mod kernel;
pub mod layer;
pub mod layout;
pub mod model;
pub mod network;
pub mod operator;
mod parameters;
pub mod requantize;
pub mod scratch;
pub mod shape;
pub mod slot;
pub mod tensor;
pub mod text;
pub mod wire;
