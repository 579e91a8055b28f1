//! Adaptive sharpness-aware minimization: a ball that scales with the weights.

use super::{Gradient, GradientRule, Hero, Objective, Progress};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// ASAM (Kwon et al., 2021): `e = ρ · W² ⊙ g / ‖W ⊙ g‖`, then the gradient at `W + e`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Asam {
    /// Size of the perturbation, at least 0. Default 0.5, as published for CIFAR-10.
    pub rho: f64,
}

impl Default for Asam {
    fn default() -> Self {
        Self { rho: 0.5 }
    }
}

impl GradientRule for Asam {
    fn gradient(&self, objective: &mut dyn Objective, progress: Progress) -> Result<Gradient> {
        let hero = Hero { rho: self.rho, lambda: 0.0, ..Hero::default() };
        hero.gradient(objective, progress)
    }
}
