//! From gradients to steps: weight decay, momentum, clipping.

use candle_core::Tensor;

use super::{Method, Objective, Progress, global_norm};
use crate::error::{Error, Result};

/// Parameters of the step that follows every method's gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumParameters {
    /// μ of `m ← μ · m + d`, 0 ≤ μ < 1. Default 0.9; not Nesterov's.
    pub momentum: f64,
    /// `d = gradient + weight_decay · W`, on every parameter, at least 0. Default 5e-4.
    pub weight_decay: f64,
    /// Largest global norm of the gradient; larger ones are scaled down to it. Default none.
    pub clip: Option<f64>,
}

impl Default for MomentumParameters {
    fn default() -> Self {
        Self { momentum: 0.9, weight_decay: 5e-4, clip: None }
    }
}

/// What a step led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepOutcome {
    /// The weights have moved; the loss before.
    Taken {
        /// Loss at the weights before the step.
        loss: f64,
    },
    /// Loss or gradient was not finite; weights and momentum are as before.
    Skipped,
}

/// SGD's step with momentum. Its buffers are the optimizer's whole state.
#[derive(Clone, Debug)]
pub struct Momentum {
    parameters: MomentumParameters,
    buffers: Vec<Tensor>,
}

impl Momentum {
    /// With empty buffers.
    pub const fn new(parameters: MomentumParameters) -> Self {
        Self { parameters, buffers: Vec::new() }
    }

    /// One buffer per parameter, in order; empty before the first step.
    pub fn buffers(&self) -> &[Tensor] {
        &self.buffers
    }

    /// Goes on from buffers that [`Momentum::buffers`] gave.
    pub fn restore(&mut self, buffers: Vec<Tensor>) {
        self.buffers = buffers;
    }

    /// One step: `d = g + wd · W`, `m ← μ · m + d`, `W ← W − lr · m`.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn step(
        &mut self,
        method: &dyn Method,
        objective: &mut dyn Objective,
        progress: Progress,
        learning_rate: f64,
    ) -> Result<StepOutcome> {
        let gradient = method.gradient(objective, progress)?;
        let norm = global_norm(&gradient.values)?;
        if !(gradient.loss.is_finite() && norm.is_finite()) {
            return Ok(StepOutcome::Skipped);
        }
        let scale = match self.parameters.clip {
            Some(limit) if norm > limit => limit / norm,
            _ => 1.0,
        };
        let parameters = objective.parameters();
        if !self.buffers.is_empty() && self.buffers.len() != parameters.len() {
            return Err(Error::bad_input(
                "optimizer state",
                format_args!("{} buffers for {} parameters", self.buffers.len(), parameters.len()),
                "resume with the network that the checkpoint was made with",
            ));
        }
        let mut buffers = Vec::with_capacity(parameters.len());
        for (index, (parameter, value)) in parameters.iter().zip(&gradient.values).enumerate() {
            let weights = parameter.variable.as_tensor().detach();
            let value = if scale == 1.0 { value.clone() } else { value.affine(scale, 0.0)? };
            let mut step = match self.parameters.weight_decay {
                0.0 => value,
                decay => value.add(&weights.affine(decay, 0.0)?)?,
            };
            if let Some(buffer) = self.buffers.get(index) {
                // A checkpoint's buffers may lie in another device's memory.
                let buffer = buffer.to_device(step.device())?;
                step = buffer.affine(self.parameters.momentum, 0.0)?.add(&step)?;
            }
            let step = step.detach();
            parameter.variable.set(&weights.sub(&step.affine(learning_rate, 0.0)?)?.detach())?;
            buffers.push(step);
        }
        self.buffers = buffers;
        Ok(StepOutcome::Taken { loss: gradient.loss })
    }
}
