//! Trains flat with HERO, quantizes to 2 to 8 bits, and proves that the board computes the same.

pub mod artifact;
pub mod dataset;
pub mod error;
pub mod random;
pub mod target;

pub use error::{Error, Result};
