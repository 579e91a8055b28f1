//! Which of several ways to quantize a network comes closest to it, on unlabelled samples.
//!
//! Networks that others have trained differ more than those trained here: channels of one tensor
//! may lie far apart, and a few large values may matter or not. So the network with its channels
//! brought to one range is compared with the network as it is, and both ways
//! to measure ranges with each other. Weights of 8 bits, rounded to the nearest, tell them apart as
//! well as others, and take a small part of the time of rounding by descent.

use rayon::prelude::*;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;
use tinyhero_common::operator::Operator;

use super::export::export;
use super::integer::run_outputs;
use super::integer_network::{IntegerNetwork, OutputTask};
use super::quantizer::{
    Calibrated, FoldedNetwork, Quantization, RangeMethod, Rounding, between_scores, check_samples,
    equalized, fold, normalize,
};
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;

/// Samples on which candidates are compared.
const MOST_SAMPLES: usize = 96;

/// What comes closest.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The network, which computes the same as the one that was given.
    pub trained: TrainedNetwork,
    /// How its ranges are measured.
    pub range: RangeMethod,
    /// How far it is from the network in real numbers: for a classifier the mean over the samples of
    /// KL(float ‖ integers), else the squared error in parts of the output's variance.
    pub divergence: f64,
}

/// The candidate whose answers are closest to those of the network in real numbers.
///
/// # Errors
/// The samples are not whole, or no candidate can be quantized.
pub fn closest(trained: &TrainedNetwork, samples: &[i16]) -> Result<Choice> {
    let elements = check_samples(trained, samples)?;
    let every = (samples.len() / elements).div_ceil(MOST_SAMPLES);
    let few: Vec<i16> = samples.chunks_exact(elements).step_by(every).flatten().copied().collect();
    let exact = Exact::of(trained, &few, elements)?;
    let mut networks = vec![trained.clone()];
    networks.extend(equalized(trained, samples)?);
    let mut best: Option<Choice> = None;
    let mut refusal = None;
    for trained in networks {
        let quantization = Quantization::new(BitWidth::Eight).rounded(Rounding::Nearest);
        let calibrated = match Calibrated::new(&trained, samples, &quantization) {
            Ok(calibrated) => calibrated,
            Err(error) => {
                refusal.get_or_insert(error);
                continue;
            }
        };
        for range in [RangeMethod::SquaredError, RangeMethod::MinMax] {
            let quantization = Quantization { range, ..quantization.clone() };
            let network = calibrated.lower(&quantization);
            match network.and_then(|network| exact.divergence(network, &few)) {
                Ok(divergence) => {
                    if best.as_ref().is_none_or(|best| divergence < best.divergence) {
                        best = Some(Choice { trained: trained.clone(), range, divergence });
                    }
                }
                Err(error) => {
                    refusal.get_or_insert(error);
                }
            }
        }
    }
    match (best, refusal) {
        (Some(best), _) => Ok(best),
        (None, Some(error)) => Err(error),
        (None, None) => Err(Error::bad_input("network", "has no form", "please report this")),
    }
}

/// What a network in real numbers gives, sample by sample.
struct Exact {
    /// Whether the first output are scores of classes, taken before a softmax.
    classifies: bool,
    /// The values of each output.
    outputs: Vec<Vec<Vec<f32>>>,
    /// The variance of each output.
    variances: Vec<f64>,
}

impl Exact {
    fn of(trained: &TrainedNetwork, samples: &[i16], elements: usize) -> Result<Self> {
        let trained = &trained.in_units()?;
        let folded = fold(trained)?;
        let tensors = outputs(&folded);
        let of_sample = |sample: &[i16]| -> Vec<Vec<f32>> {
            let mut values = folded.room();
            folded.forward(&normalize(trained, sample), &mut values);
            tensors.iter().map(|&tensor| std::mem::take(&mut values[tensor])).collect()
        };
        let outputs: Vec<Vec<Vec<f32>>> =
            samples.par_chunks_exact(elements).map(of_sample).collect();
        let variance = |output: usize| {
            let values = outputs.iter().flat_map(|sample| &sample[output]);
            let (count, sum, squares) =
                values.fold((0.0, 0.0, 0.0), |(count, sum, squares), &value| {
                    let value = f64::from(value);
                    (count + 1.0, sum + value, squares + value * value)
                });
            (squares / count - (sum / count).powi(2)).max(f64::MIN_POSITIVE)
        };
        Ok(Self {
            classifies: matches!(folded.task, OutputTask::Classification { .. }),
            variances: (0..tensors.len()).map(variance).collect(),
            outputs,
        })
    }

    /// How far a quantized network is from this on the same samples, in the mean.
    fn divergence(&self, network: IntegerNetwork, samples: &[i16]) -> Result<f64> {
        let network = without_softmax(network);
        let tensors: Vec<_> =
            network.outputs.iter().map(|output| network.tensor(output.tensor)).collect();
        let file = export(&network)?.bytes;
        let model = Model::load(&file)
            .map_err(|reason| Error::check_failed("import", reason, "please report this"))?;
        let answers = run_outputs(&model, samples)?;
        let mut sum = 0.0;
        for (answer, exact) in answers.iter().zip(&self.outputs) {
            for (position, (found, exact)) in answer.outputs.iter().zip(exact).enumerate() {
                let found: Vec<f32> =
                    found.iter().map(|&value| tensors[position].real(value) as f32).collect();
                sum += if position == 0 && self.classifies {
                    between_scores(exact, &found)
                } else {
                    let pairs = exact.iter().zip(&found);
                    let squares: f64 =
                        pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                    squares / exact.len().max(1) as f64 / self.variances[position]
                };
            }
        }
        Ok(sum / answers.len().max(1) as f64)
    }
}

/// The tensors that are compared: the outputs, scores instead of probabilities.
fn outputs(folded: &FoldedNetwork) -> Vec<usize> {
    let mut outputs = folded.outputs.clone();
    if let Some(first) = outputs.first_mut() {
        *first = folded.answer;
    }
    outputs
}

/// The network without the softmax that its first output comes from, its outputs plain numbers.
fn without_softmax(mut network: IntegerNetwork) -> IntegerNetwork {
    let tensor = network.outputs[0].tensor;
    if let Some(index) = network.layer_of(tensor)
        && index + 1 == network.layers.len()
        && matches!(network.layers[index].operator, Operator::Softmax(_))
    {
        network.outputs[0].tensor = network.layers[index].inputs[0];
        network.layers.pop();
    }
    network.task = OutputTask::Regression { names: Vec::new(), units: Vec::new() };
    network
}
