//! HERO: the gradient at a perturbed point plus the gradient of how much the gradient changed on the way there.

use super::perturbation::{at_moved_weights, element_wise, layer_wise};
use super::{Gradient, GradientRule, Objective, Pass, Progress, SecondOrder, global_norm};
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

impl Direction {
    /// The name on the command line and in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ElementWise => "element-wise",
            Self::LayerWise => "layer-wise",
        }
    }
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

impl Reduction {
    /// The name on the command line and in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Sum => "sum",
        }
    }
}

/// How the gradient of HERO's Hessian term is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Curvature {
    /// With second derivatives.
    #[default]
    Exact,
    /// HERO-FD: with central differences of gradients, two passes more instead of second derivatives. The kinks of ReLU make it
    /// inexact (an error of 9 % in a ResNet-20), so reports name it apart.
    Differences {
        /// Length of the step as a share of the parameters' length. [`Curvature::DIFFERENCES`] has the default.
        relative_step: f64,
    },
}

impl Curvature {
    /// Differences with the step that had the smallest error, 1e-3.
    pub const DIFFERENCES: Self = Self::Differences { relative_step: 1e-3 };
}

/// HERO (Yang et al., DAC 2022).
///
/// With `g0 = ∇L(W)`, held constant, `W* = W + e` and `g1 = ∇L(W*)`:
/// `gradient = g1 + ∇G`, `G = λ · Σ_l mean((g1_l − g0_l)²)` over the weights of convolutions and fully connected layers.
///
/// Departures from the authors' published program: λ is 0 during warm-up epochs (theirs applies no gradient at all in the first),
/// and batch normalization's running statistics follow the first pass only, unless asked otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Hero {
    /// ρ, size of the perturbation (the paper's h), at least 0. Default 0.5.
    pub rho: f64,
    /// λ, weight of the Hessian term, at least 0. Default 5.
    pub lambda: f64,
    /// Direction of the perturbation.
    pub direction: Direction,
    /// Mean or sum in G.
    pub reduction: Reduction,
    /// How `∇G` is computed; not an option but what tells `hero` and `hero-fd` apart.
    #[serde(skip)]
    pub curvature: Curvature,
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
            curvature: Curvature::Exact,
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
        let (loss, at_weights) = objective.gradient(Pass::First)?;
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
        let is_weight: Vec<bool> =
            parameters.iter().map(|parameter| parameter.kind.is_weight()).collect();
        let (at_perturbed, curvature) = at_moved_weights(objective, &perturbation, |objective| {
            if lambda == 0.0 {
                let (_, gradient) = objective.gradient(Pass::Perturbed)?;
                return Ok((gradient, None));
            }
            let mut direction =
                |gradient: &[Tensor]| self.direction_of(lambda, &is_weight, gradient, &at_weights);
            match self.curvature {
                Curvature::Exact => {
                    let SecondOrder { gradient, product, .. } =
                        objective.second_order(Pass::Perturbed, &mut direction)?;
                    Ok((gradient, Some(product)))
                }
                Curvature::Differences { relative_step } => {
                    let (_, gradient) = objective.gradient(Pass::Perturbed)?;
                    let direction = direction(&gradient)?;
                    let product = central_difference(objective, &direction, relative_step)?;
                    Ok((gradient, Some(product)))
                }
            }
        })?;
        Ok(Step { loss, at_weights, perturbation, at_perturbed, curvature })
    }

    /// `∇G` is the Hessian times this: `(2λ/n_l) · (g1_l − g0_l)` where G sums over, else 0.
    fn direction_of(
        &self,
        lambda: f64,
        is_weight: &[bool],
        at_perturbed: &[Tensor],
        at_weights: &[Tensor],
    ) -> Result<Vec<Tensor>> {
        let direction = |((perturbed, here), &is_weight): ((&Tensor, &Tensor), &bool)| {
            if !is_weight {
                return Ok(here.zeros_like()?.detach());
            }
            let factor = match self.reduction {
                Reduction::Mean => 2.0 * lambda / here.elem_count() as f64,
                Reduction::Sum => 2.0 * lambda,
            };
            Ok(perturbed.sub(here)?.affine(factor, 0.0)?.detach())
        };
        at_perturbed.iter().zip(at_weights).zip(is_weight).map(direction).collect()
    }
}

/// `(∇L(W + r·d) − ∇L(W − r·d)) / 2r` with `r = relative_step · ‖W‖ / ‖d‖`.
fn central_difference(
    objective: &mut dyn Objective,
    direction: &[Tensor],
    relative_step: f64,
) -> Result<Vec<Tensor>> {
    let weights: Vec<Tensor> = objective
        .parameters()
        .iter()
        .map(|parameter| parameter.variable.as_tensor().detach())
        .collect();
    let length = global_norm(direction)?;
    if length == 0.0 {
        return Ok(direction.to_vec());
    }
    let step = relative_step * global_norm(&weights)? / length;
    drop(weights);
    let mut at = |factor: f64| -> Result<Vec<Tensor>> {
        let steps = direction
            .iter()
            .map(|tensor| Ok(tensor.affine(factor, 0.0)?))
            .collect::<Result<Vec<_>>>()?;
        let (_, gradient) =
            at_moved_weights(objective, &steps, |objective| objective.gradient(Pass::Probe))?;
        Ok(gradient)
    };
    let (above, below) = (at(step)?, at(-step)?);
    let difference = |(above, below): (&Tensor, &Tensor)| {
        Ok(above.sub(below)?.affine(0.5 / step, 0.0)?.detach())
    };
    above.iter().zip(&below).map(difference).collect()
}

impl GradientRule for Hero {
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
        self.lambda != 0.0 && self.rho != 0.0 && self.curvature == Curvature::Exact
    }
}
