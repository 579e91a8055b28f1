//! The Hessian times a vector, without the Hessian.

use candle_core::Tensor;

use super::FixedLoss;
use crate::error::Result;
use crate::training::optimizer::{Parameter, check_second_order, detached, gradients_of};

/// Multiplies the Hessian of a loss, at the weights as they are, with vectors.
///
/// `Hv = ∇(∇L · v)`: one more backward pass through the graph of the gradient. Where they fit into memory, the gradients' graphs are kept, so that a further
/// product costs that pass alone.
pub struct HessianProduct<'a> {
    loss: &'a mut dyn FixedLoss,
    kept: Vec<Vec<Tensor>>,
}

impl std::fmt::Debug for HessianProduct<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("HessianProduct").field("kept", &self.kept.len()).finish()
    }
}

impl<'a> HessianProduct<'a> {
    /// For the weights as they are now; they must not change while this exists.
    ///
    /// # Errors
    /// Second derivatives do not work on this thread, or the tensor library refuses.
    pub fn new(loss: &'a mut dyn FixedLoss) -> Result<Self> {
        check_second_order()?;
        let mut kept = Vec::new();
        if loss.fits_memory() {
            for index in 0..loss.parts() {
                kept.push(gradients(loss, index)?);
            }
        }
        Ok(Self { loss, kept })
    }

    /// The loss's parameters.
    pub fn parameters(&self) -> &[Parameter] {
        self.loss.parameters()
    }

    /// `H · vector`; vector and result have one tensor for each parameter.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn multiply(&mut self, vector: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut total: Option<Vec<Tensor>> = None;
        for index in 0..self.loss.parts() {
            let fresh;
            let gradients = match self.kept.get(index) {
                Some(kept) => kept,
                None => {
                    fresh = gradients(self.loss, index)?;
                    &fresh
                }
            };
            let mut along: Option<Tensor> = None;
            for (gradient, vector) in gradients.iter().zip(vector) {
                let term = gradient.mul(vector)?.sum_all()?;
                along = Some(match along {
                    Some(sum) => sum.add(&term)?,
                    None => term,
                });
            }
            let Some(along) = along else { break };
            let image = detached(&gradients_of(&along, self.loss.parameters())?);
            total = Some(match total {
                None => image,
                Some(total) => {
                    let sums = total.iter().zip(&image);
                    sums.map(|(sum, image)| Ok(sum.add(image)?)).collect::<Result<_>>()?
                }
            });
        }
        Ok(total.unwrap_or_default())
    }
}

/// The gradient of one part, still attached to its graph.
fn gradients(loss: &mut dyn FixedLoss, index: usize) -> Result<Vec<Tensor>> {
    let value = loss.part(index)?;
    gradients_of(&value, loss.parameters())
}
