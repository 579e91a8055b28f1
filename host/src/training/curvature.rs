//! How the loss bends around a trained network: the Hessian's largest eigenvalue and trace, whole and layer by layer, and the
//! loss on a plane through the weights.
//!
//! All of it is measured on a fixed set of samples with batch normalization's running statistics, so that the loss is one fixed function of
//! the weights. Hessian-vector products are exact: the gradient is differentiated once more.

mod product;
mod subset;
mod surface;

pub use product::HessianProduct;
pub use subset::Subset;
pub use surface::{Surface, surface};

use candle_core::{DType, Device, Tensor};
use serde::Serialize;

use crate::error::Result;
use crate::random::{self, ChaCha8Rng, Purpose};
use crate::statistics::Summary;
use crate::training::optimizer::{Parameter, global_norm, scalar};

/// A loss over a fixed set of samples that is visited part by part.
pub trait FixedLoss {
    /// All trainable tensors, always in the same order.
    fn parameters(&self) -> &[Parameter];

    /// Number of parts.
    fn parts(&self) -> usize;

    /// Whether the gradients of all parts can be kept in memory with the graphs that led to them.
    fn fits_memory(&self) -> bool;

    /// The contribution of part `index` to the mean loss: a scalar attached to the parameters. The loss is the sum over all parts.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn part(&mut self, index: usize) -> Result<Tensor>;

    /// The mean loss at the parameters' present values.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn value(&mut self) -> Result<f64> {
        let mut sum = 0.0;
        for index in 0..self.parts() {
            sum += scalar(&self.part(index)?)?;
        }
        Ok(sum)
    }
}

/// How exactly curvature is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Precision {
    /// Most steps of a power iteration. Default 25.
    pub iterations: usize,
    /// Relative change of the eigenvalue at which it stops earlier. Default 1e-4.
    pub tolerance: f64,
    /// Random vectors of Hutchinson's estimate of the trace. Default 32.
    pub probes: usize,
    /// Decides start vectors, random vectors and directions. Default 0.
    pub seed: u64,
}

impl Default for Precision {
    fn default() -> Self {
        Self { iterations: 25, tolerance: 1e-4, probes: 32, seed: 0 }
    }
}

/// Result of a power iteration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Eigenvalue {
    /// The Hessian's largest eigenvalue.
    pub value: f64,
    /// Relative change in the last step.
    pub change: f64,
    /// Steps taken.
    pub iterations: usize,
}

/// Curvature of the whole network or of one layer's weights.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curvature {
    /// "whole", or the name of the layer, whose block of the Hessian this is about.
    pub name: String,
    /// Numbers trained there.
    pub parameters: usize,
    /// Largest eigenvalue.
    pub lambda_max: f64,
    /// Its relative change in the last step of the power iteration.
    pub lambda_change: f64,
    /// Trace, the sum of all eigenvalues.
    pub trace: f64,
    /// Standard error of the trace.
    pub trace_error: f64,
}

/// The whole network's largest eigenvalue by power iteration.
///
/// # Errors
/// The tensor library refuses, or second derivatives do not work on this thread.
pub fn lambda_max(loss: &mut dyn FixedLoss, precision: &Precision) -> Result<Eigenvalue> {
    let mut product = HessianProduct::new(loss)?;
    power_iteration(&mut product, None, precision)
}

/// The whole network's curvature and that of each layer's weights.
///
/// # Errors
/// The tensor library refuses, or second derivatives do not work on this thread.
pub fn measure(loss: &mut dyn FixedLoss, precision: &Precision) -> Result<Vec<Curvature>> {
    let parameters = loss.parameters().to_vec();
    let mut product = HessianProduct::new(loss)?;
    let traces = traces(&mut product, precision)?;
    let layers = parameters.iter().enumerate().filter(|(_, parameter)| parameter.kind.is_weight());
    let whole = std::iter::once((None, "whole"));
    let layers = layers.map(|(index, parameter)| {
        (Some(index), parameter.name.strip_suffix(".weight").unwrap_or(&parameter.name))
    });
    let mut curvatures = Vec::new();
    for (only, name) in whole.chain(layers) {
        let eigenvalue = power_iteration(&mut product, only, precision)?;
        let elements = |index: usize| parameters[index].variable.as_tensor().elem_count();
        let samples = match only {
            Some(index) => traces.iter().map(|probe| probe[index]).collect::<Vec<_>>(),
            None => traces.iter().map(|probe| probe.iter().sum()).collect(),
        };
        let trace = Summary::of(&samples);
        curvatures.push(Curvature {
            name: name.to_string(),
            parameters: only.map_or_else(|| (0..parameters.len()).map(elements).sum(), elements),
            lambda_max: eigenvalue.value,
            lambda_change: eigenvalue.change,
            trace: trace.map_or(f64::NAN, |trace| trace.mean),
            trace_error: trace.map_or(f64::NAN, |trace| trace.standard_error()),
        });
    }
    Ok(curvatures)
}

/// The largest eigenvalue of the Hessian, or of the block of the tensor `only`.
///
/// Power iteration finds the eigenvalue of largest magnitude. Where that is negative, the search is repeated with the spectrum shifted up by it, so
/// that the largest one comes out.
fn power_iteration(
    product: &mut HessianProduct<'_>,
    only: Option<usize>,
    precision: &Precision,
) -> Result<Eigenvalue> {
    let found = shifted_power_iteration(product, only, precision, 0.0)?;
    if found.value >= 0.0 {
        return Ok(found);
    }
    shifted_power_iteration(product, only, precision, -found.value)
}

fn shifted_power_iteration(
    product: &mut HessianProduct<'_>,
    only: Option<usize>,
    precision: &Precision,
    shift: f64,
) -> Result<Eigenvalue> {
    let mut generator = random::generator(precision.seed, Purpose::PowerIteration, 0);
    let mut vector = random_vectors(product.parameters(), only, &mut generator, random::normal)?;
    let mut found = Eigenvalue { value: 0.0, change: f64::INFINITY, iterations: 0 };
    for iteration in 1..=precision.iterations {
        let norm = global_norm(&vector)?;
        if norm == 0.0 {
            // The Hessian is zero in every direction that was left.
            return Ok(Eigenvalue { value: 0.0, change: 0.0, iterations: iteration });
        }
        vector = scaled(&vector, norm.recip())?;
        let mut image = product.multiply(&vector)?;
        if let Some(only) = only {
            image = masked(image, only)?;
        }
        let quotient = dots(&vector, &image)?.iter().sum::<f64>();
        if shift != 0.0 {
            let shifted = image
                .iter()
                .zip(&vector)
                .map(|(image, vector)| Ok(image.add(&vector.affine(shift, 0.0)?)?));
            image = shifted.collect::<Result<_>>()?;
        }
        let change = ((quotient - found.value) / quotient).abs();
        found = Eigenvalue { value: quotient, change, iterations: iteration };
        if change < precision.tolerance {
            break;
        }
        vector = image;
    }
    Ok(found)
}

/// `vᵀ(Hv)` for random signs v, tensor by tensor: each is an unbiased estimate of the trace of that tensor's block, because the signs of different
/// tensors are independent (Hutchinson 1990).
fn traces(product: &mut HessianProduct<'_>, precision: &Precision) -> Result<Vec<Vec<f64>>> {
    let sign = |generator: &mut ChaCha8Rng| {
        if random::below(2, generator) == 0 { -1.0 } else { 1.0 }
    };
    let mut generator = random::generator(precision.seed, Purpose::TraceProbe, 0);
    let mut probes = Vec::with_capacity(precision.probes);
    for _ in 0..precision.probes {
        let vector = random_vectors(product.parameters(), None, &mut generator, sign)?;
        let image = product.multiply(&vector)?;
        probes.push(dots(&vector, &image)?);
    }
    Ok(probes)
}

/// One random tensor for each parameter; zero except for `only`, if that is given.
fn random_vectors(
    parameters: &[Parameter],
    only: Option<usize>,
    generator: &mut ChaCha8Rng,
    draw: impl Fn(&mut ChaCha8Rng) -> f64,
) -> Result<Vec<Tensor>> {
    let tensor = |(index, parameter): (usize, &Parameter)| {
        let like = parameter.variable.as_tensor();
        if only.is_some_and(|only| only != index) {
            return Ok(like.zeros_like()?.detach());
        }
        let values: Vec<f64> = (0..like.elem_count()).map(|_| draw(generator)).collect();
        Ok(Tensor::from_vec(values, like.shape(), &Device::Cpu)?.to_dtype(like.dtype())?)
    };
    parameters.iter().enumerate().map(tensor).collect()
}

fn masked(vectors: Vec<Tensor>, only: usize) -> Result<Vec<Tensor>> {
    let keep = |(index, vector): (usize, Tensor)| {
        if index == only { Ok(vector) } else { Ok(vector.zeros_like()?) }
    };
    vectors.into_iter().enumerate().map(keep).collect()
}

fn scaled(vectors: &[Tensor], factor: f64) -> Result<Vec<Tensor>> {
    vectors.iter().map(|vector| Ok(vector.affine(factor, 0.0)?)).collect()
}

/// Scalar product of each pair of tensors, summed in f64.
fn dots(first: &[Tensor], second: &[Tensor]) -> Result<Vec<f64>> {
    let dot = |(first, second): (&Tensor, &Tensor)| {
        scalar(&first.to_dtype(DType::F64)?.mul(&second.to_dtype(DType::F64)?)?.sum_all()?)
    };
    first.iter().zip(second).map(dot).collect()
}

#[cfg(test)]
mod tests;
