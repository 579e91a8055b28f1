//! HERO: the gradient at a perturbed point plus the gradient of how much the gradient changed on the way there.

use super::perturbation::{at_perturbed_weights, element_wise, layer_wise};
use super::{
    Gradient, Method, Objective, Parameter, Pass, Progress, detached, differentiate, gradients_of,
};
use crate::error::Result;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Where the weights are moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// `ρ · W² ⊙ g / ‖W ⊙ g‖` with one norm over all tensors, as published.
    #[default]
    ElementWise,
    /// `ρ · ‖W_l‖ · g_l / ‖g_l‖` for each tensor by itself.
    LayerWise,
}

/// How a tensor's squared gradient differences are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// Their mean, as published.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

/// HERO (Yang et al., DAC 2022), exact second order.
///
/// With `g0 = ∇L(W)`, held constant, `W* = W + e` and `g1 = ∇L(W*)`:
/// `gradient = g1 + ∇G`, `G = λ · Σ_l mean((g1_l − g0_l)²)` over the weights of convolutions and fully connected layers.
///
/// Departures from the authors' published program: λ is 0 during warm-up epochs (theirs applies no gradient at all in the first),
/// and batch normalization's running statistics follow the first pass only, unless asked otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hero {
    /// ρ, size of the perturbation (the paper's h), at least 0. Default 0.5.
    pub rho: f64,
    /// λ, weight of the Hessian term, at least 0. Default 5.
    pub lambda: f64,
    /// Direction of the perturbation.
    pub direction: Direction,
    /// Mean or sum in G.
    pub reduction: Reduction,
    /// Epochs with `λ = 0` at the start. Default 1.
    pub warmup_epochs: usize,
}

impl Default for Hero {
    fn default() -> Self {
        Self {
            rho: 0.5,
            lambda: 5.0,
            direction: Direction::ElementWise,
            reduction: Reduction::Mean,
            warmup_epochs: 1,
        }
    }
}

/// All quantities of one HERO step, for those who look inside.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub loss: f64,
    #[cfg_attr(not(test), allow(dead_code, reason = "the verification ladder compares them"))]
    pub at_weights: Vec<Tensor>,
    #[cfg_attr(not(test), allow(dead_code, reason = "the verification ladder compares them"))]
    pub perturbation: Vec<Tensor>,
    pub at_perturbed: Vec<Tensor>,
    /// `∇G`, where λ is not 0.
    pub curvature: Option<Vec<Tensor>>,
}

impl Hero {
    pub(super) fn step(&self, objective: &mut dyn Objective, lambda: f64) -> Result<Step> {
        let (loss, gradients) = differentiate(objective, Pass::First)?;
        let at_weights = detached(&gradients);
        drop(gradients);
        if self.rho == 0.0 {
            // The perturbed point is the point itself: G and its gradient are zero.
            let perturbation = Vec::new();
            let at_perturbed = at_weights.clone();
            return Ok(Step { loss, at_weights, perturbation, at_perturbed, curvature: None });
        }
        let parameters = objective.parameters();
        let perturbation = match self.direction {
            Direction::ElementWise => element_wise(self.rho, parameters, &at_weights)?,
            Direction::LayerWise => layer_wise(self.rho, parameters, &at_weights)?,
        };
        let (at_perturbed, curvature) =
            at_perturbed_weights(objective, &perturbation, |objective| {
                let (_, gradients) = differentiate(objective, Pass::Perturbed)?;
                // The graph holds the variables' storage: its derivative must be taken before the weights go back.
                let curvature = match lambda {
                    0.0 => None,
                    lambda => {
                        self.curvature(lambda, objective.parameters(), &gradients, &at_weights)?
                    }
                };
                Ok((detached(&gradients), curvature))
            })?;
        Ok(Step { loss, at_weights, perturbation, at_perturbed, curvature })
    }

    /// `∇G` at the perturbed weights, through `g1`.
    fn curvature(
        &self,
        lambda: f64,
        parameters: &[Parameter],
        at_perturbed: &[Tensor],
        at_weights: &[Tensor],
    ) -> Result<Option<Vec<Tensor>>> {
        let mut total: Option<Tensor> = None;
        for ((parameter, perturbed), here) in parameters.iter().zip(at_perturbed).zip(at_weights) {
            if !parameter.kind.is_weight() {
                continue;
            }
            let squares = perturbed.sub(here)?.sqr()?;
            let term = match self.reduction {
                Reduction::Mean => squares.mean_all()?,
                Reduction::Sum => squares.sum_all()?,
            };
            total = Some(match total {
                Some(total) => total.add(&term)?,
                None => term,
            });
        }
        let Some(total) = total else { return Ok(None) };
        let gradients = gradients_of(&total.affine(lambda, 0.0)?, parameters)?;
        Ok(Some(detached(&gradients)))
    }
}

impl Method for Hero {
    fn gradient(&self, objective: &mut dyn Objective, progress: Progress) -> Result<Gradient> {
        let lambda = if progress.epoch < self.warmup_epochs { 0.0 } else { self.lambda };
        let step = self.step(objective, lambda)?;
        let values = match step.curvature {
            None => step.at_perturbed,
            Some(curvature) => step
                .at_perturbed
                .iter()
                .zip(&curvature)
                .map(|(gradient, curvature)| Ok(gradient.add(curvature)?))
                .collect::<Result<_>>()?,
        };
        Ok(Gradient { loss: step.loss, values })
    }

    fn needs_second_order(&self) -> bool {
        self.lambda != 0.0 && self.rho != 0.0
    }
}
