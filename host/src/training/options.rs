//! What a run is asked to do; kept in the run directory as `configuration.toml`.

use serde::{Deserialize, Serialize};

use super::Augmentation;
use crate::data::Scaling;
use crate::error::{Error, Result};
use crate::graph::weights::Initialization;
use crate::training::engine::StatisticsPasses;
use crate::training::optimizer::{
    Asam, Curvature, Direction, GradL1, Hero, Method, MomentumParameters, Reduction, Sam, Schedule,
    Sgd,
};

/// The method that makes a gradient of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OptimizerKind {
    /// Plain stochastic gradient descent
    Sgd,
    /// Sharpness-aware minimization
    Sam,
    /// Adaptive sharpness-aware minimization
    Asam,
    /// Gradient l1 regularisation
    GradL1,
    /// Hessian-enhanced robust optimization, exact second order
    Hero,
    /// The same with central differences of gradients instead of second derivatives
    HeroFd,
}

impl OptimizerKind {
    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sgd => "sgd",
            Self::Sam => "sam",
            Self::Asam => "asam",
            Self::GradL1 => "grad-l1",
            Self::Hero => "hero",
            Self::HeroFd => "hero-fd",
        }
    }
}

/// Which epoch's network a run gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The last epoch's
    #[default]
    Last,
    /// That of the epoch with the highest accuracy on the validation split, the first of several
    Best,
}

/// All options of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TrainingOptions {
    /// Name or path of the data.
    pub data: String,
    /// Name or path of the network.
    pub network: String,
    /// The method.
    pub optimizer: OptimizerKind,
    /// Size of the perturbation; `None` for the method's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rho: Option<f64>,
    /// Weight of the second-order term; `None` for the method's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// Direction of HERO's perturbation.
    pub direction: Direction,
    /// Reduction of HERO's second-order term.
    pub reduction: Reduction,
    /// Epochs at the start without the second-order term.
    pub warmup_epochs: usize,
    /// Full learning rate.
    pub learning_rate: f64,
    /// How the learning rate follows the epoch.
    pub schedule: Schedule,
    /// Momentum.
    pub momentum: f64,
    /// Weight decay.
    pub weight_decay: f64,
    /// Largest global norm of the gradient, if it is limited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Passes over the training data.
    pub epochs: usize,
    /// Samples in a minibatch; a smaller last one is kept.
    pub batch: usize,
    /// Decides everything random.
    pub seed: u64,
    /// Probability with which a training label is redrawn uniformly from all classes.
    pub label_noise: f64,
    /// Random changes to training images.
    pub augmentation: Augmentation,
    /// What the channels' values are brought to before they enter the network.
    #[serde(default)]
    pub scaling: Scaling,
    /// How weights and biases begin.
    #[serde(default)]
    pub initialization: Initialization,
    /// Passes of a step that batch normalization's running statistics follow.
    pub statistics: StatisticsPasses,
    /// Only the first so many training samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Share of these that is kept for validation instead, drawn by the seed. Their labels get no noise.
    #[serde(default)]
    pub validation: f64,
    /// Which epoch's network the run gives.
    #[serde(default)]
    pub keep: Keep,
}

impl TrainingOptions {
    /// Defaults for a data set, a network and a method.
    pub fn new(data: &str, network: &str, optimizer: OptimizerKind) -> Self {
        let momentum = MomentumParameters::default();
        Self {
            data: data.to_string(),
            network: network.to_string(),
            optimizer,
            rho: None,
            lambda: None,
            direction: Direction::default(),
            reduction: Reduction::default(),
            warmup_epochs: 1,
            learning_rate: 0.1,
            schedule: Schedule::default(),
            momentum: momentum.momentum,
            weight_decay: momentum.weight_decay,
            clip: None,
            epochs: 20,
            batch: 64,
            seed: 0,
            label_noise: 0.0,
            augmentation: Augmentation::None,
            scaling: Scaling::default(),
            initialization: Initialization::default(),
            statistics: StatisticsPasses::default(),
            limit: None,
            validation: 0.0,
            keep: Keep::Last,
        }
    }

    /// The method with its parameters.
    pub fn method(&self) -> Box<dyn Method> {
        let rho = |default: f64| self.rho.unwrap_or(default);
        let lambda = |default: f64| self.lambda.unwrap_or(default);
        match self.optimizer {
            OptimizerKind::Sgd => Box::new(Sgd),
            OptimizerKind::Sam => Box::new(Sam { rho: rho(Sam::default().rho) }),
            OptimizerKind::Asam => Box::new(Asam { rho: rho(Asam::default().rho) }),
            OptimizerKind::GradL1 => Box::new(GradL1 {
                lambda: lambda(GradL1::default().lambda),
                warmup_epochs: self.warmup_epochs,
            }),
            OptimizerKind::Hero | OptimizerKind::HeroFd => Box::new(Hero {
                rho: rho(Hero::default().rho),
                lambda: lambda(Hero::default().lambda),
                direction: self.direction,
                reduction: self.reduction,
                curvature: match self.optimizer {
                    OptimizerKind::HeroFd => Curvature::DIFFERENCES,
                    _ => Curvature::Exact,
                },
                warmup_epochs: self.warmup_epochs,
            }),
        }
    }

    /// Parameters of the step.
    pub const fn momentum_parameters(&self) -> MomentumParameters {
        MomentumParameters {
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            clip: self.clip,
        }
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<()> {
        let require = |holds: bool, option: &str, range: &str| {
            if holds {
                return Ok(());
            }
            let problem = "the value is out of range";
            Err(Error::bad_input(option, problem, format_args!("give {range}")))
        };
        let not_negative = |value: f64| value.is_finite() && value >= 0.0;
        require(not_negative(self.learning_rate), "--lr", "a number of at least 0")?;
        require(not_negative(self.weight_decay), "--weight-decay", "a number of at least 0")?;
        require((0.0..1.0).contains(&self.momentum), "--momentum", "a number from 0 to below 1")?;
        require(self.rho.is_none_or(not_negative), "--rho", "a number of at least 0")?;
        require(self.lambda.is_none_or(not_negative), "--lambda", "a number of at least 0")?;
        let positive = |value: f64| value.is_finite() && value > 0.0;
        require(self.clip.is_none_or(positive), "--clip", "a number above 0")?;
        require((0.0..=1.0).contains(&self.label_noise), "--label-noise", "a share from 0 to 1")?;
        require(
            (0.0..1.0).contains(&self.validation),
            "--validation",
            "a share from 0 to below 1",
        )?;
        let factor = match self.schedule {
            Schedule::Step { factor, .. } => factor,
            Schedule::Constant | Schedule::Cosine => 1.0,
        };
        require(positive(factor), "--lr-factor", "a number above 0")?;
        require(self.epochs > 0, "--epochs", "at least 1")?;
        require(self.batch > 0, "--batch", "at least 1")?;
        require(self.limit != Some(0), "--limit", "at least 1")
    }
}
