//! Trains flat with HERO, quantizes to 2 to 8 bits, and proves that the board computes the same.

pub mod artifact;
#[cfg(unix)]
pub mod bench;
pub mod checkpoint;
pub mod command;
pub mod compare;
pub mod convolution;
pub mod curvature;
pub mod dataset;
pub mod error;
pub mod export;
#[cfg(feature = "probe")]
pub mod flash;
pub mod inspect;
pub mod integer;
pub mod integer_network;
pub mod leftovers;
pub mod network;
pub mod optimizer;
pub mod plan;
pub mod quantizer;
pub mod random;
pub mod report;
pub mod statistics;
pub mod target;
pub mod train;
pub mod trained_network;
pub mod training_graph;
#[cfg(unix)]
pub mod verify;

pub use error::{Error, Result};
