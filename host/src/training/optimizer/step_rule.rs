//! What turns gradients into steps, and what it remembers.

use candle_core::Tensor;

use super::Parameter;
use crate::error::{Error, Result};

/// A rule from gradients to steps.
pub trait StepRule: std::fmt::Debug {
    /// Moves the parameters by one step; `gradient` has one tensor for each.
    ///
    /// # Errors
    /// The tensor library refuses, or the state belongs to other parameters.
    fn step(
        &mut self,
        parameters: &[Parameter],
        gradient: &[Tensor],
        learning_rate: f64,
    ) -> Result<()>;

    /// All that later steps depend on, for checkpoints.
    fn state(&self) -> StepState;

    /// The names of the buffers of [`StepRule::state`].
    fn buffer_names(&self) -> &'static [&'static str];

    /// Goes on from a state that [`StepRule::state`] gave.
    fn restore(&mut self, state: StepState);
}

/// What a rule remembers.
#[derive(Clone, Debug, Default)]
pub struct StepState {
    /// By name, one tensor per parameter each, in order; no tensors before the first step.
    pub buffers: Vec<(&'static str, Vec<Tensor>)>,
    /// Steps taken, where the rule counts them, else 0.
    pub taken: u64,
}

impl StepState {
    /// The buffers of that name.
    pub(super) fn take(&mut self, name: &str) -> Vec<Tensor> {
        let found = self.buffers.iter_mut().find(|(found, _)| *found == name);
        found.map(|(_, tensors)| std::mem::take(tensors)).unwrap_or_default()
    }
}

/// A rule's buffers of one name as of the step before.
pub(super) struct Buffers<'a>(&'a [Tensor]);

impl<'a> Buffers<'a> {
    /// Refuses buffers of other parameters.
    pub fn of(buffers: &'a [Tensor], parameters: &[Parameter]) -> Result<Self> {
        if buffers.is_empty() || buffers.len() == parameters.len() {
            return Ok(Self(buffers));
        }
        Err(Error::bad_input(
            "optimizer state",
            format_args!("{} buffers for {} parameters", buffers.len(), parameters.len()),
            "resume with the network that the checkpoint was made with",
        ))
    }

    /// The buffer of a parameter, where `like` is; none before the first step.
    pub fn get(&self, index: usize, like: &Tensor) -> Result<Option<Tensor>> {
        // A checkpoint's buffers may lie in another device's memory.
        Ok(self.0.get(index).map(|buffer| buffer.to_device(like.device())).transpose()?)
    }
}
