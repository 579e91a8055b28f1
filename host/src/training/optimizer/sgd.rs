//! Plain stochastic gradient descent: the gradient itself.

use super::{Gradient, GradientRule, Objective, Pass, Progress};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// SGD has no parameters; those of the step are apart ([`Step`](super::Step)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {}

impl GradientRule for Sgd {
    fn gradient(&self, objective: &mut dyn Objective, _progress: Progress) -> Result<Gradient> {
        let (loss, values) = objective.gradient(Pass::First)?;
        Ok(Gradient { loss, values })
    }
}
