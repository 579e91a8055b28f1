//! Momentum: SGD's step.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::Parameter;
use super::step_rule::{Buffers, StepRule, StepState};
use crate::error::Result;

/// Options of the step with momentum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct MomentumParameters {
    /// μ of `m ← μ · m + d`, 0 ≤ μ < 1. Default 0.9; not Nesterov's.
    pub momentum: f64,
    /// `d = gradient + weight_decay · W`, on every parameter, at least 0. Default 5e-4.
    pub weight_decay: f64,
}

impl Default for MomentumParameters {
    fn default() -> Self {
        Self { momentum: 0.9, weight_decay: 5e-4 }
    }
}

/// `d = g + wd · W`, `m ← μ · m + d`, `W ← W − lr · m`. Its buffers are its whole state.
#[derive(Clone, Debug)]
pub struct Momentum {
    parameters: MomentumParameters,
    buffers: Vec<Tensor>,
}

/// The name of the buffers in a checkpoint.
const BUFFERS: &str = "momentum";

impl Momentum {
    /// With empty buffers.
    pub const fn new(parameters: MomentumParameters) -> Self {
        Self { parameters, buffers: Vec::new() }
    }
}

impl StepRule for Momentum {
    fn step(
        &mut self,
        parameters: &[Parameter],
        gradient: &[Tensor],
        learning_rate: f64,
    ) -> Result<()> {
        let buffers_before = Buffers::of(&self.buffers, parameters)?;
        let mut buffers = Vec::with_capacity(parameters.len());
        for (index, (parameter, value)) in parameters.iter().zip(gradient).enumerate() {
            let weights = parameter.variable.as_tensor().detach();
            let mut step = match self.parameters.weight_decay {
                0.0 => value.clone(),
                decay => value.add(&weights.affine(decay, 0.0)?)?,
            };
            if let Some(buffer) = buffers_before.get(index, &step)? {
                step = buffer.affine(self.parameters.momentum, 0.0)?.add(&step)?;
            }
            let step = step.detach();
            parameter.variable.set(&weights.sub(&step.affine(learning_rate, 0.0)?)?.detach())?;
            buffers.push(step);
        }
        self.buffers = buffers;
        Ok(())
    }

    fn state(&self) -> StepState {
        StepState { buffers: vec![(BUFFERS, self.buffers.clone())], taken: 0 }
    }

    fn buffer_names(&self) -> &'static [&'static str] {
        &[BUFFERS]
    }

    fn restore(&mut self, mut state: StepState) {
        self.buffers = state.take(BUFFERS);
    }
}
