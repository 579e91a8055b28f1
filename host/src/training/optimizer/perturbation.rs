//! Moving the weights away and back again.

use candle_core::Tensor;

use super::{Objective, Parameter, global_norm};
use crate::error::Result;

/// Keeps norms in denominators away from zero.
const EPSILON: f64 = 1e-12;

/// `ρ · g / (‖g‖ + ε)`, one norm over all tensors (Foret et al., "Sharpness-Aware Minimization", 2021).
pub(super) fn sam(rho: f64, gradients: &[Tensor]) -> Result<Vec<Tensor>> {
    let scale = rho / (global_norm(gradients)? + EPSILON);
    gradients.iter().map(|gradient| Ok(gradient.affine(scale, 0.0)?)).collect()
}

/// `ρ · W² ⊙ g / (‖W ⊙ g‖ + ε)`, one norm over all tensors (Kwon et al., "ASAM", 2021; HERO's direction).
pub(super) fn element_wise(
    rho: f64,
    parameters: &[Parameter],
    gradients: &[Tensor],
) -> Result<Vec<Tensor>> {
    let weighted = |(parameter, gradient): (&Parameter, &Tensor)| {
        Ok(parameter.variable.as_tensor().detach().mul(gradient)?)
    };
    let weighted =
        parameters.iter().zip(gradients).map(weighted).collect::<Result<Vec<Tensor>>>()?;
    let scale = rho / (global_norm(&weighted)? + EPSILON);
    let step = |(parameter, weighted): (&Parameter, &Tensor)| {
        Ok(parameter.variable.as_tensor().detach().mul(weighted)?.affine(scale, 0.0)?)
    };
    parameters.iter().zip(&weighted).map(step).collect()
}

/// `ρ · ‖W_l‖ · g_l / (‖g_l‖ + ε)` for each tensor by itself.
pub(super) fn layer_wise(
    rho: f64,
    parameters: &[Parameter],
    gradients: &[Tensor],
) -> Result<Vec<Tensor>> {
    let step = |(parameter, gradient): (&Parameter, &Tensor)| {
        let size = global_norm(&[parameter.variable.as_tensor().detach()])?;
        let length = global_norm(std::slice::from_ref(gradient))?;
        Ok(gradient.affine(rho * size / (length + EPSILON), 0.0)?)
    };
    parameters.iter().zip(gradients).map(step).collect()
}

/// Adds `steps` to the parameters, computes, and puts back the very bits that were there before, also after an error.
pub(super) fn at_moved_weights<T>(
    objective: &mut dyn Objective,
    steps: &[Tensor],
    compute: impl FnOnce(&mut dyn Objective) -> Result<T>,
) -> Result<T> {
    let variables: Vec<_> =
        objective.parameters().iter().map(|parameter| parameter.variable.clone()).collect();
    // A deep copy: setting a variable overwrites the storage that its former tensor shares.
    let saved = variables
        .iter()
        .map(|variable| Ok(variable.as_tensor().detach().copy()?))
        .collect::<Result<Vec<Tensor>>>()?;
    let moved = || -> Result<()> {
        for ((variable, saved), step) in variables.iter().zip(&saved).zip(steps) {
            variable.set(&saved.add(step)?.detach())?;
        }
        Ok(())
    };
    let result = moved().and_then(|()| compute(objective));
    for (variable, saved) in variables.iter().zip(&saved) {
        variable.set(saved)?;
    }
    result
}
