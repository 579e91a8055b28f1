//! SGD, SAM, ASAM, GRAD-L1 and HERO: how a minibatch becomes a step.
//!
//! A [`GradientRule`] turns the loss of one minibatch into a gradient; a [`StepRule`] turns gradients into steps, whatever the
//! method. [`Method`] and [`Step`] list them with their options. HERO with `lambda = 0` is ASAM and with `rho = 0` SGD, bit for bit.

mod adamw;
mod asam;
mod grad_l1;
mod hero;
mod method;
mod momentum;
mod perturbation;
mod sam;
mod schedule;
mod second_order;
mod sgd;
mod step;
mod step_rule;

pub use adamw::{Adamw, AdamwParameters};
pub use asam::Asam;
pub use grad_l1::GradL1;
pub use hero::{Curvature, Direction, Hero, Reduction};
pub use method::{Method, OptimizerKind};
pub use momentum::{Momentum, MomentumParameters};
pub use sam::Sam;
pub use schedule::Schedule;
pub use second_order::{ENVIRONMENT_VARIABLE, check_second_order};
pub use sgd::Sgd;
pub use step::{Step, StepKind, StepOutcome, apply, take_step};
pub use step_rule::{StepRule, StepState};

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

pub use crate::graph::parameters::ParameterKind;

use crate::error::Result;

/// A trainable tensor.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Unique name, for checkpoints.
    pub name: String,
    /// What it is.
    pub kind: ParameterKind,
    /// Its value.
    pub variable: Var,
}

/// Which of a step's evaluations of the loss this is: batch normalization may treat them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// At the weights themselves.
    First,
    /// At perturbed weights.
    Perturbed,
    /// Elsewhere, to find out about the neighbourhood: leaves no trace.
    Probe,
}

/// The loss of one minibatch as a function of the parameters.
pub trait Objective {
    /// All trainable tensors, always in the same order.
    fn parameters(&self) -> &[Parameter];

    /// The mean loss of the minibatch at the parameters' present values, a scalar attached to them.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn loss(&mut self, pass: Pass) -> Result<Tensor>;

    /// That loss and its gradient, one detached tensor per parameter.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn gradient(&mut self, pass: Pass) -> Result<(f64, Vec<Tensor>)> {
        library_gradient(self, pass)
    }

    /// That gradient and the Hessian times a direction, which may depend on the gradient. All tensors are detached, and one per
    /// parameter.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn second_order(
        &mut self,
        pass: Pass,
        direction: &mut dyn FnMut(&[Tensor]) -> Result<Vec<Tensor>>,
    ) -> Result<SecondOrder> {
        library_second_order(self, pass, direction)
    }
}

/// A gradient and the Hessian times a direction.
#[derive(Clone, Debug)]
pub struct SecondOrder {
    /// The loss.
    pub loss: f64,
    /// Its gradient.
    pub gradient: Vec<Tensor>,
    /// The Hessian times the direction.
    pub product: Vec<Tensor>,
}

/// What a method makes of a minibatch.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// Loss at the weights themselves.
    pub loss: f64,
    /// One tensor per parameter, detached.
    pub values: Vec<Tensor>,
}

/// Where in training a step is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Epochs completed.
    pub epoch: usize,
}

/// A rule from the loss of a minibatch to a gradient. Parameters have their former values, bit for bit, when it returns.
pub trait GradientRule: std::fmt::Debug {
    /// The gradient of the present minibatch.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn gradient(&self, objective: &mut dyn Objective, progress: Progress) -> Result<Gradient>;

    /// Whether second derivatives are needed.
    fn needs_second_order(&self) -> bool {
        false
    }
}

/// [`Objective::gradient`] by the tensor library's own differentiation.
///
/// # Errors
/// The tensor library refuses.
pub fn library_gradient<O: Objective + ?Sized>(
    objective: &mut O,
    pass: Pass,
) -> Result<(f64, Vec<Tensor>)> {
    let (loss, gradients) = differentiate(objective, pass)?;
    Ok((loss, detached(&gradients)))
}

/// [`Objective::second_order`] by the tensor library's own differentiation.
///
/// # Errors
/// The tensor library refuses.
pub fn library_second_order<O: Objective + ?Sized>(
    objective: &mut O,
    pass: Pass,
    direction: &mut dyn FnMut(&[Tensor]) -> Result<Vec<Tensor>>,
) -> Result<SecondOrder> {
    let (loss, attached) = differentiate(objective, pass)?;
    let gradient = detached(&attached);
    let mut slope = None;
    for (gradient, direction) in attached.iter().zip(direction(&gradient)?) {
        let term = gradient.mul(&direction.detach())?.sum_all()?;
        slope = Some(match slope {
            Some(slope) => term.add(&slope)?,
            None => term,
        });
    }
    let product = match slope {
        Some(slope) => detached(&gradients_of(&slope, objective.parameters())?),
        None => Vec::new(),
    };
    Ok(SecondOrder { loss, gradient, product })
}

/// Loss and gradients of one pass; the gradients are still attached to the graph.
fn differentiate<O: Objective + ?Sized>(
    objective: &mut O,
    pass: Pass,
) -> Result<(f64, Vec<Tensor>)> {
    let loss = objective.loss(pass)?;
    let gradients = gradients_of(&loss, objective.parameters())?;
    Ok((scalar(&loss)?, gradients))
}

/// The gradient of a scalar for every parameter, zero where it does not depend on it.
pub(crate) fn gradients_of(value: &Tensor, parameters: &[Parameter]) -> Result<Vec<Tensor>> {
    let store: GradStore = value.backward()?;
    let gradient = |parameter: &Parameter| match store.get(parameter.variable.as_tensor()) {
        Some(gradient) => Ok(gradient.clone()),
        None => Ok(parameter.variable.as_tensor().zeros_like()?.detach()),
    };
    parameters.iter().map(gradient).collect()
}

/// The same tensors without the graph that led to them.
pub(crate) fn detached(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(Tensor::detach).collect()
}

/// A scalar tensor of any float type as a number.
pub(crate) fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.detach().to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?)
}

/// `√Σ‖t‖²` over several tensors, summed in f64 in order.
pub(crate) fn global_norm(tensors: &[Tensor]) -> Result<f64> {
    let mut sum = 0.0;
    for tensor in tensors {
        sum += scalar(&tensor.detach().sqr()?.sum_all()?)?;
    }
    Ok(sum.sqrt())
}

#[cfg(test)]
mod tests;
