//! What training makes small.

use candle_core::Tensor;

use crate::error::Result;

/// Mean softmax cross-entropy of logits (samples × classes) against classes (samples × 1).
pub(super) fn cross_entropy(
    logits: &Tensor,
    classes: &Tensor,
    smoothing: f64,
    weights: Option<&Tensor>,
) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
    let mut wanted = shifted.gather(classes, 1)?;
    if smoothing > 0.0 {
        let spread = shifted.mean_keepdim(1)?.affine(smoothing, 0.0)?;
        wanted = wanted.affine(1.0 - smoothing, 0.0)?.add(&spread)?;
    }
    let losses = log_sum.sub(&wanted)?;
    match weights {
        None => Ok(losses.mean_all()?),
        Some(weights) => Ok(losses.mul(weights)?.sum_all()?.broadcast_div(&weights.sum_all()?)?),
    }
}
