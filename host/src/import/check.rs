//! Comparison with what the original framework gave for the same inputs.

use std::path::Path;

use tinyhero_common::model::Model;
use tinyhero_common::operator::Operator;

use super::integer::RAW_OFFSET;
use super::layer::{Input, Layers};
use super::raw::RawScale;
use crate::artifact;
use crate::data::npy::{Array, read_npz};
use crate::deployment::integer::run_all;
use crate::deployment::integer_network::decode_scale;
use crate::error::{Error, Result};

/// Most bytes of the arrays of a file, unpacked.
const MOST_BYTES: u64 = 1 << 28;
/// Part of the output's range up to which a number that is no score counts as equal.
const CLOSE: f64 = 0.05;

/// Inputs and outputs of the original model.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Number of samples.
    pub samples: usize,
    /// What was given, sample by sample in the order of memory.
    pub inputs: Vec<f64>,
    /// Whether those are the model's integers.
    pub given_as_integers: bool,
    /// What it gave, sample by sample in the order of memory, as real numbers.
    pub outputs: Vec<f64>,
    /// The right answers, where there is one a sample.
    pub labels: Option<Vec<u16>>,
}

/// How both compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Number of samples.
    pub samples: usize,
    /// Share of samples with the same answer; for outputs that are no scores, share of numbers that
    /// differ by at most 5 % of the range.
    pub label_agreement: f64,
    /// Largest difference of a number, in steps of the output.
    pub largest_difference: f64,
    /// Mean difference in steps of the output.
    pub mean_difference: f64,
    /// A step of the output in real numbers.
    pub step: f64,
    /// Share of right answers here.
    pub accuracy: Option<f64>,
    /// Share of right answers there.
    pub reference_accuracy: Option<f64>,
}

impl Golden {
    /// Reads `inputs`, `outputs` and, where they are there, `labels`.
    ///
    /// # Errors
    /// The file cannot be read, lacks one of them, or has others than the model.
    pub fn read(path: &Path, layers: &Layers) -> Result<Self> {
        let bytes = artifact::read(path)?;
        let place = path.display().to_string();
        let arrays = read_npz(&bytes, &place, MOST_BYTES)?;
        let find = |name: &str| -> Option<&Array> {
            arrays
                .iter()
                .find(|(found, _)| found == name || *found == format!("{name}_0"))
                .map(|(_, array)| array)
        };
        let wanted = |name: &str, elements: usize| -> Result<&Array> {
            let advice =
                "save what the original model was given and gave as `inputs` and `outputs`";
            let Some(array) = find(name) else {
                return Err(Error::bad_input(
                    &place,
                    format_args!("has no array `{name}`"),
                    advice,
                ));
            };
            let samples = array.shape.first().copied().unwrap_or(0);
            if samples == 0 || array.len() != samples * elements {
                let problem = format!(
                    "has `{name}` of shape {:?}, but the model has {elements} values a sample",
                    array.shape
                );
                return Err(Error::bad_input(&place, problem, advice));
            }
            Ok(array)
        };
        let inputs = wanted("inputs", layers.input.places.len())?;
        let outputs = wanted("outputs", layers.output.places.len())?;
        let samples = inputs.shape[0];
        if outputs.shape[0] != samples {
            let problem = format!("has {samples} inputs and {} outputs", outputs.shape[0]);
            return Err(Error::bad_input(&place, problem, "give one output an input"));
        }
        let finite = |array: &Array| array.values().all(f64::is_finite);
        if !finite(inputs) || !finite(outputs) {
            return Err(Error::bad_input(
                &place,
                "holds numbers that are not finite",
                "leave them out",
            ));
        }
        let labels = find("labels").filter(|labels| labels.len() == samples);
        let labels = labels.and_then(|labels| {
            let label = |value: f64| {
                (value.fract() == 0.0 && (0.0..65_536.0).contains(&value)).then_some(value as u16)
            };
            labels.values().map(label).collect()
        });
        let real = |value: f64| match (layers.output.integers, layers.output.quantization) {
            (Some(signed), Some(grid)) if outputs.number_type.is_integer() => {
                let shift = if signed { 0.0 } else { 128.0 };
                grid.scale * (value - shift - f64::from(grid.zero_point))
            }
            _ => value,
        };
        let outputs: Vec<f64> = outputs.values().map(real).collect();
        let whole = layers.shape(layers.output.tensor).elements();
        Ok(Self {
            samples,
            given_as_integers: inputs.number_type.is_integer() && layers.input.integers.is_some(),
            inputs: placed(
                &inputs.values().collect::<Vec<f64>>(),
                &layers.input.places,
                layers.input.shape.elements(),
            ),
            outputs: placed(&outputs, &layers.output.places, whole),
            labels,
        })
    }

    /// Raw samples for a model that keeps the original's integers.
    pub fn integer_samples(&self, input: &Input) -> Vec<i16> {
        let raw = |&value: &f64| {
            let quantized = match (input.integers, input.quantization) {
                (Some(false), _) if self.given_as_integers => value - 128.0,
                (_, Some(grid)) if !self.given_as_integers => {
                    (value / grid.scale).round_ties_even() + f64::from(grid.zero_point)
                }
                _ => value,
            };
            quantized.clamp(-128.0, 127.0) as i16 + RAW_OFFSET
        };
        self.inputs.iter().map(raw).collect()
    }

    /// The inputs as real numbers.
    pub fn real_inputs(&self, input: &Input) -> Vec<f64> {
        let real = |&value: &f64| match (input.integers, input.quantization) {
            (Some(signed), Some(grid)) if self.given_as_integers => {
                let shift = if signed { 0.0 } else { 128.0 };
                grid.scale * (value - shift - f64::from(grid.zero_point))
            }
            _ => value,
        };
        self.inputs.iter().map(real).collect()
    }

    /// Raw samples for a network of real numbers.
    pub fn raw_samples(&self, input: &Input, scale: &RawScale) -> Vec<i16> {
        self.real_inputs(input).iter().map(|&real| scale.raw(real)).collect()
    }

    /// Runs a model on raw samples and compares what it gives.
    ///
    /// # Errors
    /// The samples are not the model's.
    pub fn compare(
        &self,
        model: &Model<'_>,
        layers: &Layers,
        raw: &[i16],
        scores: bool,
    ) -> Result<Comparison> {
        let outcomes = run_all(model, raw)?;
        let output = model.output();
        let scale = decode_scale(output.scale);
        let elements = output.shape.elements();
        let softmax = model
            .layers()
            .last()
            .is_some_and(|layer| matches!(layer.operator, Operator::Softmax(_)));
        let mut differences = (0.0f64, 0.0f64);
        let (mut agree, mut right, mut reference_right) = (0, 0, 0);
        let (low, high) = self
            .outputs
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
        let close = CLOSE * (high - low).max(scale);
        for (index, (outcome, reference)) in
            outcomes.iter().zip(self.outputs.chunks_exact(elements)).enumerate()
        {
            let answer = |label: usize| reference.get(label).copied().unwrap_or(f64::MIN);
            let best = reference.iter().copied().fold(f64::MIN, f64::max);
            let reference_label = reference.iter().position(|&value| value == best).unwrap_or(0);
            let found: Vec<f64> = outcome
                .scores
                .iter()
                .map(|&score| scale * f64::from(i32::from(score) - i32::from(output.zero_point)))
                .collect();
            let expected = expected(reference, layers, softmax);
            let same: Vec<f64> = found
                .iter()
                .zip(&expected)
                .map(|(found, expected)| (found - expected).abs())
                .collect();
            for difference in &same {
                differences.0 = differences.0.max(difference / scale);
                differences.1 += difference / scale;
            }
            if scores {
                // Of several largest scores each is an answer.
                let label = usize::from(outcome.label);
                agree += usize::from(answer(label) == best);
                if let Some(labels) = &self.labels {
                    right += usize::from(labels[index] == outcome.label);
                    reference_right += usize::from(usize::from(labels[index]) == reference_label);
                }
            } else {
                agree += same.iter().filter(|difference| **difference <= close).count();
            }
        }
        let samples = outcomes.len().max(1);
        let answers = if scores { samples } else { samples * elements };
        let share = |count: usize| count as f64 / samples as f64;
        let judged = scores && self.labels.is_some();
        Ok(Comparison {
            samples: outcomes.len(),
            label_agreement: agree as f64 / answers as f64,
            largest_difference: differences.0,
            mean_difference: differences.1 / (samples * elements) as f64,
            step: scale,
            accuracy: judged.then(|| share(right)),
            reference_accuracy: judged.then(|| share(reference_right)),
        })
    }
}

/// What the deployed model should give: probabilities where it ends in softmax and the original gave
/// scores or logarithms.
fn expected(reference: &[f64], layers: &Layers, softmax: bool) -> Vec<f64> {
    if layers.output.logarithm {
        return reference.iter().map(|value| value.exp()).collect();
    }
    if !softmax || layers.ends_in_softmax() {
        return reference.to_vec();
    }
    let largest = reference.iter().copied().fold(f64::MIN, f64::max);
    let powers: Vec<f64> = reference.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// Samples in the order of memory; what a model does not show is 0.
fn placed(values: &[f64], places: &[usize], whole: usize) -> Vec<f64> {
    let mut result = Vec::with_capacity(values.len() / places.len().max(1) * whole);
    for sample in values.chunks_exact(places.len()) {
        let start = result.len();
        result.resize(start + whole, 0.0);
        for (&value, &place) in sample.iter().zip(places) {
            result[start + place] = value;
        }
    }
    result
}
