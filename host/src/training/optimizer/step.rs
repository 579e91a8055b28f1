//! From gradients to steps: what every rule has in common, and the list of rules.

use serde::{Deserialize, Serialize};

use super::adamw::{Adamw, AdamwParameters};
use super::momentum::{Momentum, MomentumParameters};
use super::step_rule::StepRule;
use super::{Gradient, GradientRule, Objective, Parameter, Progress, global_norm};
use crate::error::{Error, Result};

/// A rule with its options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// SGD's step with momentum.
    Momentum(MomentumParameters),
    /// AdamW's.
    Adamw(AdamwParameters),
}

/// A rule by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Momentum, as SGD has it
    #[default]
    Momentum,
    /// AdamW: scaled by the gradients of late, weight decay apart
    Adamw,
}

impl StepKind {
    /// The name on the command line and in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Momentum => "momentum",
            Self::Adamw => "adamw",
        }
    }
}

impl Step {
    /// A rule with its default options.
    pub fn new(kind: StepKind) -> Self {
        match kind {
            StepKind::Momentum => Self::Momentum(MomentumParameters::default()),
            StepKind::Adamw => Self::Adamw(AdamwParameters::default()),
        }
    }

    /// The rule without its options.
    pub const fn kind(&self) -> StepKind {
        match self {
            Self::Momentum(_) => StepKind::Momentum,
            Self::Adamw(_) => StepKind::Adamw,
        }
    }

    /// Its state before the first step.
    pub fn rule(&self) -> Box<dyn StepRule> {
        match *self {
            Self::Momentum(parameters) => Box::new(Momentum::new(parameters)),
            Self::Adamw(parameters) => Box::new(Adamw::new(parameters)),
        }
    }

    /// The learning rate where none is given.
    pub const fn default_learning_rate(&self) -> f64 {
        match self {
            Self::Momentum(_) => 0.1,
            Self::Adamw(_) => 1e-3,
        }
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<()> {
        let require = |holds: bool, option: &str, range: &str| match holds {
            true => Ok(()),
            false => Err(Error::out_of_range(option, range)),
        };
        let share = "a number from 0 to below 1";
        let below_one = |value: f64| (0.0..1.0).contains(&value);
        let weight_decay = match *self {
            Self::Momentum(MomentumParameters { momentum, weight_decay }) => {
                require(below_one(momentum), "--momentum", share)?;
                weight_decay
            }
            Self::Adamw(AdamwParameters { beta1, beta2, epsilon, weight_decay }) => {
                require(below_one(beta1), "--beta1", share)?;
                require(below_one(beta2), "--beta2", share)?;
                let positive = epsilon.is_finite() && epsilon > 0.0;
                require(positive, "--epsilon", "a number above 0")?;
                weight_decay
            }
        };
        let not_negative = weight_decay.is_finite() && weight_decay >= 0.0;
        require(not_negative, "--weight-decay", "a number of at least 0")
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
    /// Loss or gradient was not finite; weights and state are as before.
    Skipped,
}

/// One step by a gradient that a method makes, scaled down to the norm `clip` where it is larger.
///
/// # Errors
/// The tensor library refuses.
pub fn take_step(
    rule: &mut dyn StepRule,
    method: &dyn GradientRule,
    objective: &mut dyn Objective,
    progress: Progress,
    learning_rate: f64,
    clip: Option<f64>,
) -> Result<StepOutcome> {
    let gradient = method.gradient(objective, progress)?;
    apply(rule, objective.parameters(), gradient, learning_rate, clip)
}

/// One step of the parameters by a gradient, scaled down to the norm `clip` where it is larger.
///
/// # Errors
/// The tensor library refuses.
pub fn apply(
    rule: &mut dyn StepRule,
    parameters: &[Parameter],
    mut gradient: Gradient,
    learning_rate: f64,
    clip: Option<f64>,
) -> Result<StepOutcome> {
    let norm = global_norm(&gradient.values)?;
    if !(gradient.loss.is_finite() && norm.is_finite()) {
        return Ok(StepOutcome::Skipped);
    }
    if let Some(limit) = clip.filter(|&limit| norm > limit) {
        let scale = limit / norm;
        for value in gradient.values.iter_mut().filter(|_| scale != 1.0) {
            *value = value.affine(scale, 0.0)?;
        }
    }
    rule.step(parameters, &gradient.values, learning_rate)?;
    Ok(StepOutcome::Taken { loss: gradient.loss })
}
