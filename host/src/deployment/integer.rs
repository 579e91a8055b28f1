//! Evaluation with the device's own arithmetic, on all cores of the machine.
//!
//! Every sample runs through [`tinyhero_common::network::run`] with kernels that equal the portable ones ([`kernels`]), so the outputs and
//! digests here are those that a board must give, to the last bit. Results are in the order of the samples whatever the number of threads.

pub mod kernels;

use crate::error::{Error, Result};
use kernels::{HostKernels, WidenedModel};
use rayon::prelude::*;
use tinyhero_common::checksum::Digest;
use tinyhero_common::layer::Layer;
use tinyhero_common::model::{InputTensor, Model};
use tinyhero_common::network::{LayerDigests, Observer, Output, SelfTestInput, run};
use tinyhero_common::shape::Region;
use tinyhero_common::tensor::SampleType;

/// What one inference gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index of the winning class.
    pub label: u16,
    /// Digest over all layers.
    pub digest: u32,
    /// The output's int8 values.
    pub scores: Vec<i8>,
}

/// The outcome of every sample, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// One per sample.
    pub outcomes: Vec<Outcome>,
    /// How many labels were right.
    pub correct: usize,
    /// Share of right labels, 0 to 1; 0 without samples.
    pub accuracy: f64,
}

/// How many answers of a model are right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// How many samples there were.
    pub samples: usize,
    /// How many labels were right.
    pub correct: usize,
    /// Share of right labels, 0 to 1; 0 without samples.
    pub accuracy: f64,
}

/// Samples that one thread runs in a row, at least.
const PART: usize = 8;

/// The bytes of raw samples of one type: one byte each, or two, little-endian.
pub fn raw_bytes(sample_type: SampleType, samples: &[i16]) -> Vec<u8> {
    let mut raw = Vec::new();
    append_raw_bytes(sample_type, samples, &mut raw);
    raw
}

/// The raw values of a sample: those of each input of a model, one after the other.
#[derive(Clone, Debug)]
pub struct SampleParts {
    /// Number of values and type of each input.
    parts: Vec<(usize, SampleType)>,
}

impl SampleParts {
    /// Those of a model.
    pub fn of(model: &Model<'_>) -> Self {
        let part = |input: InputTensor<'_>| {
            (input.tensor.shape.elements(), input.quantization.sample_type)
        };
        Self { parts: model.inputs().map(part).collect() }
    }

    /// Values of a sample.
    pub fn values(&self) -> usize {
        self.parts.iter().map(|(elements, _)| elements).sum()
    }

    /// The bytes that the model reads for samples. A rest that is no whole sample is left out.
    pub fn raw_bytes(&self, samples: &[i16]) -> Vec<u8> {
        let mut raw = Vec::new();
        for sample in samples.chunks_exact(self.values().max(1)) {
            self.append(sample, &mut raw);
        }
        raw
    }

    /// The raw values that the bytes of one sample hold.
    pub fn values_of(&self, sample: &[u8]) -> Vec<i16> {
        let mut values = Vec::with_capacity(self.values());
        let mut rest = sample;
        for &(elements, sample_type) in &self.parts {
            let bytes = elements.saturating_mul(sample_type.bytes()).min(rest.len());
            let (part, behind) = rest.split_at(bytes);
            match sample_type {
                SampleType::U8 => values.extend(part.iter().map(|&byte| i16::from(byte))),
                SampleType::I16 => {
                    let pairs = part.as_chunks::<2>().0.iter();
                    values.extend(pairs.map(|pair| i16::from_le_bytes(*pair)));
                }
            }
            rest = behind;
        }
        values
    }

    fn append(&self, sample: &[i16], raw: &mut Vec<u8>) {
        let mut rest = sample;
        for &(elements, sample_type) in &self.parts {
            let (part, behind) = rest.split_at(elements.min(rest.len()));
            append_raw_bytes(sample_type, part, raw);
            rest = behind;
        }
    }
}

fn append_raw_bytes(sample_type: SampleType, samples: &[i16], raw: &mut Vec<u8>) {
    match sample_type {
        // Data sets have checked that samples of this type lie in 0..=255.
        SampleType::U8 => raw.extend(samples.iter().map(|value| value.to_le_bytes()[0])),
        SampleType::I16 => raw.extend(samples.iter().flat_map(|value| value.to_le_bytes())),
    }
}

/// The raw input that a model's self-test runs, as bytes.
pub fn self_test_input(model: &Model<'_>) -> Vec<u8> {
    let seed = model.description().self_test.seed;
    SelfTestInput::new(seed).take(model.raw_input_bytes()).collect()
}

/// Runs every sample. `samples` holds raw values one sample after the other, each in height, width, channel order;
/// `labels` the right answers.
///
/// # Errors
/// If the samples do not have the model's input size, or there are not as many as labels.
pub fn evaluate(model: &Model<'_>, samples: &[i16], labels: &[u16]) -> Result<Evaluation> {
    check_samples(model, samples, labels)?;
    let outcomes = run_all(model, samples)?;
    let right = outcomes.iter().zip(labels).filter(|(outcome, label)| outcome.label == **label);
    let correct = right.count();
    Ok(Evaluation { outcomes, correct, accuracy: share(correct, labels.len()) })
}

/// How many answers are right, without what [`evaluate`] keeps of each sample: digests of layers take longer than the layers.
///
/// # Errors
/// As for [`evaluate`].
pub fn accuracy(model: &Model<'_>, samples: &[i16], labels: &[u16]) -> Result<Accuracy> {
    check_samples(model, samples, labels)?;
    let answers = each_sample(model, samples, |inference| Ok(inference.run(&mut ())?.label))?;
    let right =
        answers.iter().zip(labels).filter(|(answer, label)| **answer == usize::from(**label));
    let correct = right.count();
    Ok(Accuracy { samples: labels.len(), correct, accuracy: share(correct, labels.len()) })
}

fn share(correct: usize, samples: usize) -> f64 {
    if samples == 0 { 0.0 } else { correct as f64 / samples as f64 }
}

fn check_samples(model: &Model<'_>, samples: &[i16], labels: &[u16]) -> Result<()> {
    let elements = SampleParts::of(model).values();
    if samples.len() == labels.len() * elements {
        return Ok(());
    }
    Err(Error::bad_input(
        format_args!("model '{}'", model.description().name),
        format_args!(
            "reads samples of {elements} values, but the data has {} values for {} samples",
            samples.len(),
            labels.len()
        ),
        "use the data that the model was made for",
    ))
}

/// The outcome of every sample. A rest that is no whole sample is left out.
pub fn run_all(model: &Model<'_>, samples: &[i16]) -> Result<Vec<Outcome>> {
    each_sample(model, samples, |inference| {
        let mut digests = LayerDigests::default();
        let output = inference.run(&mut digests)?;
        Ok(Outcome {
            // A vector of scores has at most 65,535 elements.
            label: output.label as u16,
            digest: digests.finish(),
            scores: output.scores.to_vec(),
        })
    })
}

/// What all outputs of a model gave for a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Index of the winning class, by the first output.
    pub label: usize,
    /// The int8 values of each output.
    pub outputs: Vec<Vec<i8>>,
}

/// All outputs for every sample. A rest that is no whole sample is left out.
///
/// # Errors
/// None that a model that was loaded can cause.
pub fn run_outputs(model: &Model<'_>, samples: &[i16]) -> Result<Vec<Answer>> {
    let regions: Vec<Region> =
        model.outputs().map(|output| output.operand.tensor.region()).collect();
    each_sample(model, samples, |inference| {
        let Inference { model, kernels, raw, arena } = inference;
        let label = run(model, kernels, &mut (), raw, arena).map_err(run_error)?.label;
        // Outputs stay where they are until the run has ended.
        let values = |region: &Region| {
            let start = region.offset as usize;
            arena.get(start..start + region.bytes as usize).unwrap_or(&[]).to_vec()
        };
        Ok(Answer { label, outputs: regions.iter().map(values).collect() })
    })
}

/// A sample about to run, and what it runs in.
struct Inference<'i, 'm> {
    model: &'i Model<'m>,
    kernels: &'i mut HostKernels<'m>,
    raw: &'i [u8],
    arena: &'i mut [i8],
}

impl<'i> Inference<'i, '_> {
    fn run(self, observer: &mut impl Observer) -> Result<Output<'i>> {
        run(self.model, self.kernels, observer, self.raw, self.arena).map_err(run_error)
    }
}

/// Calls `work` for every whole sample, on all cores; results are in the samples' order.
fn each_sample<R: Send>(
    model: &Model<'_>,
    samples: &[i16],
    work: impl Fn(Inference<'_, '_>) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let parts = SampleParts::of(model);
    let arena_bytes = model.description().arena_bytes as usize;
    let widened = WidenedModel::new(model)?;
    samples
        .par_chunks_exact(parts.values().max(1))
        // The memory of a part is taken once.
        .with_min_len(PART)
        .map_init(
            || (HostKernels::new(&widened), vec![0; arena_bytes], Vec::new()),
            |(kernels, arena, raw), sample| {
                raw.clear();
                parts.append(sample, raw);
                work(Inference { model, kernels, raw, arena })
            },
        )
        .collect()
}

/// The digest of every layer's output for one raw input.
pub fn layer_digests(model: &Model<'_>, raw_input: &[u8]) -> Result<Vec<u32>> {
    let mut digests = Digests(Vec::new());
    let mut arena = vec![0; model.description().arena_bytes as usize];
    let widened = WidenedModel::new(model)?;
    let mut kernels = HostKernels::new(&widened);
    run(model, &mut kernels, &mut digests, raw_input, &mut arena).map_err(run_error)?;
    Ok(digests.0)
}

struct Digests(Vec<u32>);

impl Observer for Digests {
    fn begin(&mut self) {
        self.0.clear();
    }

    fn layer_done(&mut self, _index: usize, _layer: &Layer<'_>, output: &[i8]) {
        self.0.push(Digest::new().update(output).finish());
    }
}

fn run_error(problem: tinyhero_common::error::RunError) -> Error {
    Error::bad_input("input", problem, "use the data that the model was made for")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::export::export;
    use crate::deployment::quantizer::{Quantization, quantize};
    use crate::graph::network::Network;
    use crate::graph::trained_network::TrainedNetwork;
    use tinyhero_common::bit_width::BitWidth;

    fn model_file() -> Vec<u8> {
        let network = Network::open("cnn", crate::data::SampleShape::new(8, 8, 1), 10).unwrap();
        let trained = TrainedNetwork::untrained(network, 1).unwrap();
        let quantization = Quantization::new(BitWidth::Four);
        export(&quantize(&trained, &samples(4), &quantization).unwrap()).unwrap().bytes
    }

    fn samples(count: i16) -> Vec<i16> {
        (0..count * 64).map(|index| index * 37 % 256).collect()
    }

    #[test]
    fn outcomes_do_not_depend_on_the_number_of_threads() {
        let file = model_file();
        let model = Model::load(&file).unwrap();
        let outcomes = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run_all(&model, &samples(40)).unwrap())
        };
        assert_eq!(outcomes(1), outcomes(3));
        assert_eq!(outcomes(1).len(), 40);
    }

    #[test]
    fn accuracy_counts_right_labels() {
        let file = model_file();
        let model = Model::load(&file).unwrap();
        let samples = samples(10);
        let mut labels: Vec<u16> =
            run_all(&model, &samples).unwrap().iter().map(|outcome| outcome.label).collect();
        assert_eq!(evaluate(&model, &samples, &labels).unwrap().accuracy, 1.0);
        labels[0] += 1;
        let evaluation = evaluate(&model, &samples, &labels).unwrap();
        assert_eq!((evaluation.correct, evaluation.accuracy), (9, 0.9));
    }

    #[test]
    fn the_layer_digests_combine_to_the_outcome_s_digest() {
        let file = model_file();
        let model = Model::load(&file).unwrap();
        let samples = samples(1);
        let digests = layer_digests(&model, &raw_bytes(SampleType::U8, &samples)).unwrap();
        let combine = |all: Digest, digest: &u32| all.combine(*digest);
        let all = digests.iter().fold(Digest::new(), combine).finish();
        assert_eq!(all, run_all(&model, &samples).unwrap()[0].digest);
    }

    #[test]
    fn data_of_another_shape_is_refused() {
        let file = model_file();
        let model = Model::load(&file).unwrap();
        let error = evaluate(&model, &samples(2), &[0; 3]).unwrap_err().to_string();
        assert!(error.contains("64 values"), "{error}");
        assert!(layer_digests(&model, &[0; 63]).is_err());
    }
}
