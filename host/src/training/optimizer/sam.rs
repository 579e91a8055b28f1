//! Sharpness-aware minimization: the gradient at the worst point of a small ball.

use super::perturbation::{at_moved_weights, sam};
use super::{Gradient, GradientRule, Objective, Pass, Progress};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// SAM (Foret et al., 2021): `e = ρ · g / ‖g‖`, then the gradient at `W + e`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sam {
    /// Radius of the ball, at least 0. Default 0.05, as published for CIFAR-10.
    pub rho: f64,
}

impl Default for Sam {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl GradientRule for Sam {
    fn gradient(&self, objective: &mut dyn Objective, _progress: Progress) -> Result<Gradient> {
        let (loss, gradients) = objective.gradient(Pass::First)?;
        if self.rho == 0.0 {
            return Ok(Gradient { loss, values: gradients });
        }
        let steps = sam(self.rho, &gradients)?;
        let (_, values) =
            at_moved_weights(objective, &steps, |objective| objective.gradient(Pass::Perturbed))?;
        Ok(Gradient { loss, values })
    }
}
