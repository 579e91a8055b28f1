//! Trains flat with HERO, quantizes to 2 to 8 bits, and proves that the board computes the same.

pub mod artifact;
pub mod command;
pub mod convolution;
pub mod cortex;
pub mod data;
pub mod deployment;
pub mod device;
pub mod error;
pub mod graph;
pub mod import;
pub mod leftovers;
pub mod lowering;
pub mod plain;
pub mod pretrained;
pub mod random;
pub mod report;
pub mod statistics;
pub mod study;
pub mod task;
pub mod training;
pub mod vectors;
pub mod window;

pub use error::{Error, Result};
