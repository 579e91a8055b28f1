//! Whether second derivatives work on this thread.

use candle_core::{Device, Var};

use super::scalar;
use crate::error::{Error, Result};

/// candle keeps gradients attached to the graph only when this is set before a thread's first backward pass. It is read
/// once a thread and not documented.
pub const ENVIRONMENT_VARIABLE: &str = "CANDLE_GRAD_DO_NOT_DETACH";

/// Differentiates `x³` twice at 2 and refuses unless the result is 12.
///
/// # Errors
/// Gradients are detached on this thread, so that HERO and GRAD-L1 would silently lose their second-order terms.
pub fn check_second_order() -> Result<()> {
    let variable = Var::new(2.0f64, &Device::Cpu)?;
    let cube = variable.as_tensor().powf(3.0)?;
    let first = cube.backward()?.get(variable.as_tensor()).cloned();
    let second = match first {
        Some(first) => first.backward()?.get(variable.as_tensor()).cloned(),
        None => None,
    };
    let value = second.map(|second| scalar(&second)).transpose()?;
    if value.is_some_and(|value| (value - 12.0).abs() < 1e-9) {
        return Ok(());
    }
    Err(Error::bad_input(
        "second derivatives",
        "the tensor library detaches its gradients in this process",
        format_args!("set {ENVIRONMENT_VARIABLE}=1 before starting the program"),
    ))
}
