//! Gradient ℓ1 regularisation: small gradients bound how far an ℓ∞ perturbation, such as rounding, can raise the loss.

use candle_core::Tensor;

use super::{Gradient, GradientRule, Objective, Pass, Progress, SecondOrder};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// GRAD-L1 (Alizadeh et al., "Gradient ℓ1 Regularization for Quantization Robustness", 2020): `∇(L + λ · Σ|∇L|)`, the sum over
/// the weights of convolutions and fully connected layers. Second order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct GradL1 {
    /// Weight of the regularisation, at least 0. Default 0.01.
    pub lambda: f64,
    /// Epochs with `λ = 0` at the start. Default 1.
    pub warmup_epochs: usize,
}

impl Default for GradL1 {
    fn default() -> Self {
        Self { lambda: 0.01, warmup_epochs: 1 }
    }
}

impl GradientRule for GradL1 {
    fn gradient(&self, objective: &mut dyn Objective, progress: Progress) -> Result<Gradient> {
        if self.lambda == 0.0 || progress.epoch < self.warmup_epochs {
            let (loss, values) = objective.gradient(Pass::First)?;
            return Ok(Gradient { loss, values });
        }
        let is_weight: Vec<bool> =
            objective.parameters().iter().map(|parameter| parameter.kind.is_weight()).collect();
        // The gradient of Σ|g| is the Hessian times the signs of g.
        let SecondOrder { loss, gradient, product } =
            objective.second_order(Pass::First, &mut |gradients| {
                let direction = |(gradient, &is_weight): (&Tensor, &bool)| {
                    Ok(match is_weight {
                        true => gradient.sign()?.affine(self.lambda, 0.0)?,
                        false => gradient.zeros_like()?,
                    })
                };
                gradients.iter().zip(&is_weight).map(direction).collect()
            })?;
        let values = gradient
            .iter()
            .zip(&product)
            .map(|(gradient, extra)| Ok(gradient.add(extra)?))
            .collect::<Result<_>>()?;
        Ok(Gradient { loss, values })
    }

    fn needs_second_order(&self) -> bool {
        self.lambda != 0.0
    }
}
