//! Trains flat with HERO, quantizes to 2 to 8 bits, and proves that the board computes the same.

pub mod artifact;
pub mod dataset;
pub mod error;
pub mod network;
pub mod optimizer;
pub mod random;
pub mod report;
pub mod target;
pub mod trained_network;

pub use error::{Error, Result};
