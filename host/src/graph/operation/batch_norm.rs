//! Batch normalization. The weights before it take it into themselves; else it is a depthwise convolution.

use candle_core::Tensor;

use super::depthwise_convolution_2d::DepthwiseLayer;
use super::forward::per_channel;
use super::windowed;
use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::{Initial, NodeParameters, ParameterKind, ParameterRule};
use crate::lowering::weights::WeightMatrix;
use crate::window::Sliding;

/// The epsilon that a network file leaves out, PyTorch's.
pub const DEFAULT_EPSILON: f64 = 1e-5;

/// `gamma · (x − mean) / √(variance + epsilon) + beta` per channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance, positive.
    pub epsilon: f64,
}

impl Rules for BatchNorm {
    const NAMES: &'static [&'static str] = &["batch-norm"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self { epsilon: keys.or("epsilon", DEFAULT_EPSILON)? })
    }

    fn write(&self, keys: &mut Keys) {
        keys.set("epsilon", self.epsilon);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        match self.epsilon > 0.0 && self.epsilon < 1.0 {
            true => Ok(Sizes::of(inputs[0])),
            false => Err(format!("epsilon {} is not between 0 and 1", self.epsilon)),
        }
    }

    fn parameters(&self, _: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        let list = |name, kind, value| ParameterRule {
            name,
            shape: vec![output.channels],
            kind,
            initial: Initial::Value(value),
        };
        vec![
            list("gamma", Some(ParameterKind::Gamma), 1.0),
            list("beta", Some(ParameterKind::Beta), 0.0),
            list("mean", None, 0.0),
            list("variance", None, 1.0),
        ]
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let x = pass.input(0)?;
        let (mean, variance) = if pass.training {
            let (mean, variance) = moments(x)?;
            pass.statistics = Some((mean.detach(), variance.detach()));
            (mean, variance)
        } else {
            (per_channel(pass.parameter(2)?)?, per_channel(pass.parameter(3)?)?)
        };
        let deviation = variance.affine(1.0, self.epsilon)?.sqrt()?;
        let factor = per_channel(pass.parameter(0)?)?.div(&deviation)?;
        let scaled = x.broadcast_sub(&mean)?.broadcast_mul(&factor)?;
        Ok(scaled.broadcast_add(&per_channel(pass.parameter(1)?)?)?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let (gain, shift) = self.affine(folding.parameters);
        let matrix = WeightMatrix { row_length: 1, values: gain.clone(), bias: shift.clone() };
        let geometry = windowed::folded(&Sliding::PIXEL, folding)?;
        let otherwise = Box::new(DepthwiseLayer::new(geometry, matrix));
        Ok(Folded::Affine { gain, shift, otherwise })
    }
}

impl BatchNorm {
    /// Gain and shift per channel: `γ / √(variance + ε)` and `β − mean · gain`.
    fn affine(&self, parameters: &NodeParameters) -> (Vec<f64>, Vec<f64>) {
        let NodeParameters::BatchNorm { gamma, beta, mean, variance } = parameters else {
            return (Vec::new(), Vec::new());
        };
        let gain: Vec<f64> = gamma
            .iter()
            .zip(variance)
            .map(|(&gamma, &variance)| {
                f64::from(gamma) / (f64::from(variance) + self.epsilon).sqrt()
            })
            .collect();
        let shift = beta.iter().zip(mean).zip(&gain);
        let shift = shift.map(|((&beta, &mean), gain)| f64::from(beta) - f64::from(mean) * gain);
        let shift = shift.collect();
        (gain, shift)
    }
}

/// Mean and (biased) variance of each channel over samples and pixels, as 1×1×1×C.
fn moments(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdim(0)?.mean_keepdim(1)?.mean_keepdim(2)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(0)?.mean_keepdim(1)?.mean_keepdim(2)?;
    Ok((mean, variance))
}
