//! The mean loss of a minibatch, its gradient, and the gradient's derivative along a direction.

use crate::convolution::Element;

/// What outputs are compared with.
#[derive(Clone, Debug)]
pub enum Target<T> {
    /// Softmax cross-entropy against classes.
    Classes(Labels),
    /// Mean squared error against values.
    Values(Vec<T>),
}

/// The classes of a minibatch and what they count.
#[derive(Clone, Debug)]
pub struct Labels {
    classes: Vec<u16>,
    /// Share of a label's probability that is spread evenly over all classes.
    smoothing: f64,
    /// What each sample counts, and all together.
    weights: Vec<f64>,
    sum: f64,
}

impl Labels {
    /// Labels of which `smoothing` is spread, and samples that count `weights`; none for equal ones.
    pub fn new(classes: &[u16], smoothing: f64, weights: Vec<f64>) -> Self {
        let weights = if weights.is_empty() { vec![1.0; classes.len()] } else { weights };
        let sum = weights.iter().sum();
        Self { classes: classes.to_vec(), smoothing, weights, sum }
    }
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
            Self::Classes(labels) => {
                let width = output.len() / labels.classes.len().max(1);
                let mut total = 0.0;
                let samples = output.chunks_exact(width).zip(gradient.chunks_exact_mut(width));
                for ((logits, gradient), (&class, weight)) in
                    samples.zip(labels.classes.iter().zip(&labels.weights))
                {
                    let class = usize::from(class);
                    let (probabilities, log_sum, largest) = softmax(logits);
                    let mut wanted = logits.get(class).map_or(f64::NAN, |z| z.to_f64());
                    let spread = labels.smoothing / width as f64;
                    if spread > 0.0 {
                        let sum: f64 = logits.iter().map(|z| z.to_f64()).sum();
                        wanted = (1.0 - labels.smoothing) * wanted + spread * sum;
                    }
                    total += weight * (log_sum + largest - wanted);
                    for (index, (gradient, p)) in
                        gradient.iter_mut().zip(&probabilities).enumerate()
                    {
                        let hit = if index == class { 1.0 - labels.smoothing } else { 0.0 };
                        *gradient = T::from_f64((p - hit - spread) * weight / labels.sum);
                    }
                }
                total / labels.sum
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
            Self::Classes(labels) => {
                let width = output.len() / labels.classes.len().max(1);
                let samples = output.chunks_exact(width).zip(tangent.chunks_exact(width));
                let samples = samples.zip(product.chunks_exact_mut(width));
                for (((logits, tangent), product), weight) in samples.zip(&labels.weights) {
                    let (probabilities, ..) = softmax(logits);
                    let pairs = probabilities.iter().zip(tangent);
                    let mean: f64 = pairs.map(|(p, t)| p * t.to_f64()).sum();
                    for ((product, p), t) in product.iter_mut().zip(&probabilities).zip(tangent) {
                        *product = T::from_f64(p * (t.to_f64() - mean) * weight / labels.sum);
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
