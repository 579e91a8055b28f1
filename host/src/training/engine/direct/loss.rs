//! The mean loss of a minibatch, its gradient, and the gradient's derivative along a direction.

use crate::training::convolution::Element;

/// What outputs are compared with.
#[derive(Clone, Debug)]
pub enum Target<T> {
    /// Softmax cross-entropy against classes.
    Classes(Vec<u16>),
    /// Mean squared error against values.
    Values(Vec<T>),
}

/// Probabilities of one sample's classes and the logarithm of their common divisor, shifted by the largest logit.
fn softmax<T: Element>(logits: &[T]) -> (Vec<f64>, f64, f64) {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, z| largest.max(z.to_f64()));
    let powers: Vec<f64> = logits.iter().map(|z| (z.to_f64() - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    (powers.iter().map(|power| power / sum).collect(), sum.ln(), largest)
}

impl<T: Element> Target<T> {
    /// The mean loss of `output`, whose gradient is written to `gradient`.
    pub fn loss(&self, output: &[T], gradient: &mut [T]) -> f64 {
        match self {
            Self::Classes(classes) => {
                let width = output.len() / classes.len().max(1);
                let count = classes.len() as f64;
                let mut total = 0.0;
                let samples = output.chunks_exact(width).zip(gradient.chunks_exact_mut(width));
                for ((logits, gradient), &class) in samples.zip(classes) {
                    let class = usize::from(class);
                    let (probabilities, log_sum, largest) = softmax(logits);
                    let logit = logits.get(class).map_or(f64::NAN, |z| z.to_f64());
                    total += log_sum + largest - logit;
                    for (index, (gradient, p)) in
                        gradient.iter_mut().zip(&probabilities).enumerate()
                    {
                        let hit = if index == class { 1.0 } else { 0.0 };
                        *gradient = T::from_f64((p - hit) / count);
                    }
                }
                total / count
            }
            Self::Values(values) => {
                let count = values.len().max(1) as f64;
                let mut total = 0.0;
                for ((y, target), gradient) in output.iter().zip(values).zip(gradient) {
                    let error = y.to_f64() - target.to_f64();
                    total += error * error;
                    *gradient = T::from_f64(2.0 * error / count);
                }
                total / count
            }
        }
    }

    /// How the gradient changes as `output` changes along `tangent`.
    pub fn gradient_tangent(&self, output: &[T], tangent: &[T], product: &mut [T]) {
        match self {
            Self::Classes(classes) => {
                let width = output.len() / classes.len().max(1);
                let count = classes.len() as f64;
                let samples = output.chunks_exact(width).zip(tangent.chunks_exact(width));
                for ((logits, tangent), product) in samples.zip(product.chunks_exact_mut(width)) {
                    let (probabilities, ..) = softmax(logits);
                    let pairs = probabilities.iter().zip(tangent);
                    let mean: f64 = pairs.map(|(p, t)| p * t.to_f64()).sum();
                    for ((product, p), t) in product.iter_mut().zip(&probabilities).zip(tangent) {
                        *product = T::from_f64(p * (t.to_f64() - mean) / count);
                    }
                }
            }
            Self::Values(values) => {
                let factor = T::from_f64(2.0 / values.len().max(1) as f64);
                for (product, tangent) in product.iter_mut().zip(tangent) {
                    *product = *tangent * factor;
                }
            }
        }
    }
}
