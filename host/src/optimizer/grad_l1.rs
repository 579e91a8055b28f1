//! Gradient ℓ1 regularisation: small gradients bound how far an ℓ∞ perturbation, such as rounding, can raise the loss.

use super::{Gradient, Method, Objective, Pass, Progress, detached, differentiate, gradients_of};
use crate::error::Result;

/// GRAD-L1 (Alizadeh et al., "Gradient ℓ1 Regularization for Quantization Robustness", 2020): `∇(L + λ · Σ|∇L|)`, the sum over
/// the weights of convolutions and fully connected layers. Second order.
#[derive(Clone, Copy, Debug, PartialEq)]
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

impl Method for GradL1 {
    fn gradient(&self, objective: &mut dyn Objective, progress: Progress) -> Result<Gradient> {
        let (loss, gradients) = differentiate(objective, Pass::First)?;
        if self.lambda == 0.0 || progress.epoch < self.warmup_epochs {
            return Ok(Gradient { loss, values: detached(&gradients) });
        }
        let parameters = objective.parameters();
        let mut total: Option<candle_core::Tensor> = None;
        for (parameter, gradient) in parameters.iter().zip(&gradients) {
            if parameter.kind.is_weight() {
                let term = gradient.abs()?.sum_all()?;
                total = Some(match total {
                    Some(total) => total.add(&term)?,
                    None => term,
                });
            }
        }
        let Some(total) = total else {
            return Ok(Gradient { loss, values: detached(&gradients) });
        };
        let curvature = gradients_of(&total.affine(self.lambda, 0.0)?, parameters)?;
        let values = gradients
            .iter()
            .zip(&curvature)
            .map(|(gradient, extra)| Ok(gradient.detach().add(&extra.detach())?))
            .collect::<Result<_>>()?;
        Ok(Gradient { loss, values })
    }

    fn needs_second_order(&self) -> bool {
        self.lambda != 0.0
    }
}
