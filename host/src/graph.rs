//! Networks: what they are made of, the weights that training gives them, and what their samples mean.

pub mod function;
pub mod grid;
pub mod input;
pub mod network;
pub mod operation;
pub mod parameters;
pub mod provenance;
pub mod sampling;
pub mod trained_network;
pub mod weights;

pub use crate::task;
