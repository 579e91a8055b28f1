//! Learning rate over the epochs.

use serde::{Deserialize, Serialize};

/// How the learning rate follows the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Always the same.
    Constant,
    /// `½ · (1 + cos(π · epoch / epochs))`: from the full rate to almost 0, changed once an epoch.
    #[default]
    Cosine,
    /// Multiplied by `factor` every `epochs` epochs.
    Step {
        /// Epochs between changes, at least 1.
        epochs: usize,
        /// Factor of each change.
        factor: f64,
    },
}

impl Schedule {
    /// The rate of `epoch` (0-based) as a multiple of the full rate.
    pub fn factor(self, epoch: usize, epochs: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => {
                let share = epoch as f64 / epochs.max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
            Self::Step { epochs: every, factor } => {
                factor.powi(i32::try_from(epoch / every.max(1)).unwrap_or(i32::MAX))
            }
        }
    }
}
