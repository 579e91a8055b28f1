//! Plain stochastic gradient descent: the gradient itself.

use super::{Gradient, Method, Objective, Pass, Progress};
use crate::error::Result;

/// SGD has no parameters of its own; see [`MomentumParameters`](super::MomentumParameters).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd;

impl Method for Sgd {
    fn gradient(&self, objective: &mut dyn Objective, _progress: Progress) -> Result<Gradient> {
        let (loss, values) = objective.gradient(Pass::First)?;
        Ok(Gradient { loss, values })
    }
}
