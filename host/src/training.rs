//! Training runs: from options to a run directory with a trained network in it.
//!
//! Everything random is decided by the seed and the epoch alone, so a run that is interrupted and resumed ends with the same
//! bytes as one that is not.

mod augmentation;
mod batch;
pub mod calibration;
pub mod checkpoint;
pub mod curvature;
pub mod engine;
mod folder;
pub mod in_loop;
mod log;
pub mod optimizer;
mod options;
mod run;

pub use augmentation::Augmentation;
pub use batch::Balance;
pub use folder::RunFolder;
pub use in_loop::QuantizerOptions;
pub use log::EpochRecord;
pub use optimizer::OptimizerKind;
pub use options::{Keep, TrainingOptions};
pub use run::{DRAW_SEED, Observer, Outcome, Run};

#[cfg(test)]
mod tests;
