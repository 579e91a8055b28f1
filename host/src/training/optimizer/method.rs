//! The list of methods, each with its options.

use serde::{Deserialize, Serialize};

use super::{Asam, Curvature, GradL1, GradientRule, Hero, Sam, Sgd};
use crate::error::{Error, Result};

/// A method by its name.
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

/// A method with its options. An option of another method has no place in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Plain stochastic gradient descent.
    Sgd(Sgd),
    /// Sharpness-aware minimization.
    Sam(Sam),
    /// Adaptive sharpness-aware minimization.
    Asam(Asam),
    /// Gradient l1 regularisation.
    GradL1(GradL1),
    /// HERO, exact.
    Hero(Hero),
    /// HERO by central differences.
    HeroFd(Hero),
}

impl Method {
    /// A method with its default options.
    pub fn new(kind: OptimizerKind) -> Self {
        match kind {
            OptimizerKind::Sgd => Self::Sgd(Sgd::default()),
            OptimizerKind::Sam => Self::Sam(Sam::default()),
            OptimizerKind::Asam => Self::Asam(Asam::default()),
            OptimizerKind::GradL1 => Self::GradL1(GradL1::default()),
            OptimizerKind::Hero => Self::Hero(Hero::default()),
            OptimizerKind::HeroFd => Self::HeroFd(Hero::default()),
        }
    }

    /// The method without its options.
    pub const fn kind(&self) -> OptimizerKind {
        match self {
            Self::Sgd(_) => OptimizerKind::Sgd,
            Self::Sam(_) => OptimizerKind::Sam,
            Self::Asam(_) => OptimizerKind::Asam,
            Self::GradL1(_) => OptimizerKind::GradL1,
            Self::Hero(_) => OptimizerKind::Hero,
            Self::HeroFd(_) => OptimizerKind::HeroFd,
        }
    }

    /// What it does with a minibatch.
    pub fn rule(&self) -> Box<dyn GradientRule> {
        match *self {
            Self::Sgd(sgd) => Box::new(sgd),
            Self::Sam(sam) => Box::new(sam),
            Self::Asam(asam) => Box::new(asam),
            Self::GradL1(grad_l1) => Box::new(grad_l1),
            Self::Hero(hero) => Box::new(Hero { curvature: Curvature::Exact, ..hero }),
            Self::HeroFd(hero) => Box::new(Hero { curvature: Curvature::DIFFERENCES, ..hero }),
        }
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<()> {
        let (rho, lambda) = match *self {
            Self::Sgd(Sgd {}) => (None, None),
            Self::Sam(Sam { rho }) | Self::Asam(Asam { rho }) => (Some(rho), None),
            Self::GradL1(GradL1 { lambda, .. }) => (None, Some(lambda)),
            Self::Hero(Hero { rho, lambda, .. }) | Self::HeroFd(Hero { rho, lambda, .. }) => {
                (Some(rho), Some(lambda))
            }
        };
        for (value, option) in [(rho, "--rho"), (lambda, "--lambda")] {
            if value.is_some_and(|value| !(value.is_finite() && value >= 0.0)) {
                return Err(Error::out_of_range(option, "a number of at least 0"));
            }
        }
        Ok(())
    }
}
