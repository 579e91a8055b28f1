//! The loss on a plane through the weights.

use candle_core::Tensor;
use serde::Serialize;

use super::{FixedLoss, random_vectors};
use crate::error::Result;
use crate::random::{self, Purpose};
use crate::training::optimizer::Parameter;

/// The loss at `W + a·d1 + b·d2` for a grid of a and b.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surface {
    /// The grid's coordinates, for both axes; 0 is in the middle.
    pub coordinates: Vec<f64>,
    /// `losses[row][column]` at `a = coordinates[column]`, `b = coordinates[row]`.
    pub losses: Vec<Vec<f64>>,
}

/// Measures the loss on a plane spanned by two random directions, on `points` × `points` places from −`extent` to `extent`.
///
/// The directions are normalised filter by filter (Li et al., "Visualizing the Loss Landscape of Neural Nets", 2018): each output channel's part is as long as
/// that channel's weights, so that 1 is a step as long as the weights and networks of different weight norms can be compared. Biases and batch normalization
/// stay where they are. The weights are put back bit for bit.
///
/// # Errors
/// The tensor library refuses.
pub fn surface(loss: &mut dyn FixedLoss, points: usize, extent: f64, seed: u64) -> Result<Surface> {
    let parameters = loss.parameters().to_vec();
    let mut generator = random::generator(seed, Purpose::SurfaceDirection, 0);
    let mut direction = || -> Result<Vec<Tensor>> {
        let random = random_vectors(&parameters, None, &mut generator, random::normal)?;
        parameters.iter().zip(&random).map(|(parameter, d)| like_filters(parameter, d)).collect()
    };
    let (across, up) = (direction()?, direction()?);
    let saved = parameters
        .iter()
        .map(|parameter| Ok(parameter.variable.as_tensor().detach().copy()?))
        .collect::<Result<Vec<Tensor>>>()?;
    let half = (points.max(2) - 1) as f64 / 2.0;
    let coordinates: Vec<f64> =
        (0..points).map(|index| extent * (index as f64 - half) / half).collect();
    let mut losses = Vec::with_capacity(points);
    let mut walk = || -> Result<()> {
        for b in &coordinates {
            let mut row = Vec::with_capacity(points);
            for a in &coordinates {
                for (index, parameter) in parameters.iter().enumerate() {
                    let place = saved[index]
                        .add(&across[index].affine(*a, 0.0)?)?
                        .add(&up[index].affine(*b, 0.0)?)?;
                    parameter.variable.set(&place)?;
                }
                row.push(loss.value()?);
            }
            losses.push(row);
        }
        Ok(())
    };
    let walked = walk();
    for (parameter, saved) in parameters.iter().zip(&saved) {
        parameter.variable.set(saved)?;
    }
    walked?;
    Ok(Surface { coordinates, losses })
}

/// A direction of which each output channel's part is as long as the channel's weights; zero where there are none.
fn like_filters(parameter: &Parameter, direction: &Tensor) -> Result<Tensor> {
    let weights = parameter.variable.as_tensor().detach();
    if !parameter.kind.is_weight() {
        return Ok(weights.zeros_like()?);
    }
    let length = |tensor: &Tensor| -> Result<Tensor> {
        Ok(tensor.flatten_from(1)?.sqr()?.sum_keepdim(1)?.sqrt()?)
    };
    let factor = length(&weights)?.div(&length(direction)?.affine(1.0, 1e-12)?)?;
    let scaled = direction.flatten_from(1)?.broadcast_mul(&factor)?;
    Ok(scaled.reshape(weights.shape())?)
}
