//! Sharpness-aware minimization: the gradient at the worst point of a small ball.

use super::perturbation::{at_perturbed_weights, sam};
use super::{Gradient, Method, Objective, Pass, Progress, detached, differentiate};
use crate::error::Result;

/// SAM (Foret et al., 2021): `e = ρ · g / ‖g‖`, then the gradient at `W + e`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sam {
    /// Radius of the ball, at least 0. Default 0.05, as published for CIFAR-10.
    pub rho: f64,
}

impl Default for Sam {
    fn default() -> Self {
        Self { rho: 0.05 }
    }
}

impl Method for Sam {
    fn gradient(&self, objective: &mut dyn Objective, _progress: Progress) -> Result<Gradient> {
        let (loss, gradients) = differentiate(objective, Pass::First)?;
        let gradients = detached(&gradients);
        if self.rho == 0.0 {
            return Ok(Gradient { loss, values: gradients });
        }
        let steps = sam(self.rho, &gradients)?;
        let (_, perturbed) = at_perturbed_weights(objective, &steps, |objective| {
            differentiate(objective, Pass::Perturbed)
        })?;
        Ok(Gradient { loss, values: detached(&perturbed) })
    }
}
