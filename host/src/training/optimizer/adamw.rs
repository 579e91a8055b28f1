//! AdamW: steps scaled by what the gradient of each weight was of late, weight decay apart from them.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::Parameter;
use super::step_rule::{Buffers, StepRule, StepState};
use crate::error::Result;

/// Options of AdamW's step (Loshchilov and Hutter, 2019).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct AdamwParameters {
    /// β₁ of the mean of gradients, 0 ≤ β₁ < 1. Default 0.9.
    pub beta1: f64,
    /// β₂ of the mean of squared gradients, 0 ≤ β₂ < 1. Default 0.999.
    pub beta2: f64,
    /// Added to the root of that mean, above 0. Default 1e-8.
    pub epsilon: f64,
    /// Share of each parameter that a step with learning rate 1 takes away, at least 0. Default 0.01.
    pub weight_decay: f64,
}

impl Default for AdamwParameters {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// With t steps taken, this one included: `m ← β₁·m + (1 − β₁)·g`, `v ← β₂·v + (1 − β₂)·g²`,
/// `W ← (1 − lr·wd)·W − lr · (m / (1 − β₁ᵗ)) / (√(v / (1 − β₂ᵗ)) + ε)`.
#[derive(Clone, Debug)]
pub struct Adamw {
    parameters: AdamwParameters,
    means: Vec<Tensor>,
    squares: Vec<Tensor>,
    taken: u64,
}

/// The names of the buffers in a checkpoint.
const MEANS: &str = "mean";
const SQUARES: &str = "square";

impl Adamw {
    /// With empty buffers.
    pub const fn new(parameters: AdamwParameters) -> Self {
        Self { parameters, means: Vec::new(), squares: Vec::new(), taken: 0 }
    }
}

impl StepRule for Adamw {
    fn step(
        &mut self,
        parameters: &[Parameter],
        gradient: &[Tensor],
        learning_rate: f64,
    ) -> Result<()> {
        let AdamwParameters { beta1, beta2, epsilon, weight_decay } = self.parameters;
        let taken = self.taken + 1;
        let power = |beta: f64| beta.powf(taken as f64);
        let (correct_mean, correct_square) =
            ((1.0 - power(beta1)).recip(), (1.0 - power(beta2)).recip());
        let means_before = Buffers::of(&self.means, parameters)?;
        let squares_before = Buffers::of(&self.squares, parameters)?;
        let (mut means, mut squares) = (Vec::new(), Vec::new());
        for (index, (parameter, value)) in parameters.iter().zip(gradient).enumerate() {
            let weights = parameter.variable.as_tensor().detach();
            let mut mean = value.affine(1.0 - beta1, 0.0)?;
            if let Some(before) = means_before.get(index, value)? {
                mean = before.affine(beta1, 0.0)?.add(&mean)?;
            }
            let mut square = value.sqr()?.affine(1.0 - beta2, 0.0)?;
            if let Some(before) = squares_before.get(index, value)? {
                square = before.affine(beta2, 0.0)?.add(&square)?;
            }
            let (mean, square) = (mean.detach(), square.detach());
            let scale = square.affine(correct_square, 0.0)?.sqrt()?.affine(1.0, epsilon)?;
            let step = mean.affine(learning_rate * correct_mean, 0.0)?.div(&scale)?;
            let kept = weights.affine(1.0 - learning_rate * weight_decay, 0.0)?;
            parameter.variable.set(&kept.sub(&step)?.detach())?;
            means.push(mean);
            squares.push(square);
        }
        (self.means, self.squares, self.taken) = (means, squares, taken);
        Ok(())
    }

    fn state(&self) -> StepState {
        let buffers = vec![(MEANS, self.means.clone()), (SQUARES, self.squares.clone())];
        StepState { buffers, taken: self.taken }
    }

    fn buffer_names(&self) -> &'static [&'static str] {
        &[MEANS, SQUARES]
    }

    fn restore(&mut self, mut state: StepState) {
        self.taken = state.taken;
        self.means = state.take(MEANS);
        self.squares = state.take(SQUARES);
    }
}
