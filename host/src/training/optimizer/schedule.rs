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
    /// The same changed with every step, and 0 in the last one.
    CosineSteps,
    /// Multiplied by `factor` every `epochs` epochs.
    Step {
        /// Epochs between changes, at least 1.
        epochs: usize,
        /// Factor of each change.
        factor: f64,
    },
}

impl Schedule {
    /// The rate of a step (0-based) of `epoch` (0-based) as a multiple of the full rate, every epoch having so many steps.
    pub fn factor_of_step(self, epoch: usize, epochs: usize, step: usize, steps: usize) -> f64 {
        match self {
            Self::CosineSteps => {
                let last = (epochs * steps).saturating_sub(1).max(1);
                let share = (epoch * steps + step) as f64 / last as f64;
                0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
            }
            Self::Constant | Self::Cosine | Self::Step { .. } => self.factor(epoch, epochs),
        }
    }

    /// The rate of `epoch` (0-based) as a multiple of the full rate.
    pub fn factor(self, epoch: usize, epochs: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine | Self::CosineSteps => {
                let share = epoch as f64 / epochs.max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * share).cos())
            }
            Self::Step { epochs: every, factor } => {
                factor.powi(i32::try_from(epoch / every.max(1)).unwrap_or(i32::MAX))
            }
        }
    }
}
