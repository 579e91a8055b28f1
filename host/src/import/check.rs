//! Comparison with what the original framework gave for the same inputs.

use std::path::Path;

use serde::Serialize;
use tinyhero_common::model::{Model, OutputTensor};
use tinyhero_common::operator::Operator;

use super::integer::RAW_OFFSET;
use super::layer::{Input, Layers};
use crate::artifact;
use crate::data::npy::{Array, read_npz};
use crate::deployment::integer::{Answer, run_outputs};
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
    /// What was given to each input.
    pub inputs: Vec<Given>,
    /// What each output gave, sample by sample in the order of memory, as real numbers.
    pub outputs: Vec<Vec<f64>>,
    /// The right answers, where there is one a sample.
    pub labels: Option<Vec<u16>>,
}

/// What was given to an input.
#[derive(Clone, Debug)]
pub struct Given {
    /// The numbers, sample by sample in the order of memory.
    pub values: Vec<f64>,
    /// Whether those are the model's integers.
    pub as_integers: bool,
}

/// How both compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Number of samples.
    pub samples: usize,
    /// Share of samples with the same answer; for outputs that are no scores, share of numbers that
    /// differ by at most 5 % of the range.
    pub label_agreement: f64,
    /// Largest difference of a number, in steps of its output.
    pub largest_difference: f64,
    /// Mean difference in steps of the outputs.
    pub mean_difference: f64,
    /// Mean difference of the outputs, each in parts of its range.
    pub relative_difference: f64,
    /// The same for each output.
    pub outputs: Vec<OutputComparison>,
    /// Share of right answers here.
    pub accuracy: Option<f64>,
    /// Share of right answers there.
    pub reference_accuracy: Option<f64>,
}

/// How both give one output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputComparison {
    /// Its name.
    pub name: String,
    /// Share of numbers that differ by at most 5 % of the range.
    pub close: f64,
    /// Largest difference of a number, in steps.
    pub largest_difference: f64,
    /// Mean difference, in steps.
    pub mean_difference: f64,
}

/// The array of an input or output: `inputs` or `inputs_0` for the first, `inputs_1` for the next.
fn named(what: &str, position: usize) -> [String; 2] {
    match position {
        0 => [what.to_string(), format!("{what}_0")],
        _ => [format!("{what}_{position}"), format!("{what}_{position}")],
    }
}

impl Golden {
    /// Reads `inputs`, `outputs` and, where they are there, `labels`. Those of several inputs or
    /// outputs are `inputs_0`, `inputs_1` and so on, in the model's order.
    ///
    /// # Errors
    /// The file cannot be read, lacks one of them, or has others than the model.
    pub fn read(path: &Path, layers: &Layers) -> Result<Self> {
        let bytes = artifact::read(path)?;
        let place = path.display().to_string();
        let arrays = Arrays { arrays: read_npz(&bytes, &place, MOST_BYTES)?, place: &place };
        let mut samples = None;
        let mut inputs = Vec::with_capacity(layers.inputs.len());
        for (position, input) in layers.inputs.iter().enumerate() {
            let array = arrays.wanted("inputs", position, input.places.len(), &mut samples)?;
            let values: Vec<f64> = array.values().collect();
            inputs.push(Given {
                values: placed(&values, &input.places, input.shape.elements()),
                as_integers: array.number_type.is_integer() && input.integers.is_some(),
            });
        }
        let mut outputs = Vec::with_capacity(layers.outputs.len());
        for (position, output) in layers.outputs.iter().enumerate() {
            let whole = layers.shape(output.tensor).elements();
            if output.label {
                let array = arrays.wanted("outputs", position, 1, &mut samples)?;
                let label = |value: f64| output.places.get(value as usize).copied();
                outputs.push(array.values().flat_map(|value| only(whole, label(value))).collect());
                continue;
            }
            let array = arrays.wanted("outputs", position, output.places.len(), &mut samples)?;
            let real = |value: f64| match (output.integers, output.quantization) {
                (Some(signed), Some(grid)) if array.number_type.is_integer() => {
                    let shift = if signed { 0.0 } else { 128.0 };
                    grid.scale * (value - shift - f64::from(grid.zero_point))
                }
                _ => value,
            };
            let values: Vec<f64> = array.values().map(real).collect();
            outputs.push(placed(&values, &output.places, whole));
        }
        let samples = samples.unwrap_or(0);
        let labels = arrays.find("labels", 0).filter(|labels| labels.len() == samples);
        let labels = labels.and_then(|labels| {
            let label = |value: f64| {
                (value.fract() == 0.0 && (0.0..65_536.0).contains(&value)).then_some(value as u16)
            };
            labels.values().map(label).collect()
        });
        Ok(Self { samples, inputs, outputs, labels })
    }

    /// Raw samples for a model that keeps the original's integers, all inputs one after the other.
    pub fn integer_samples(&self, layers: &Layers) -> Vec<i16> {
        let raw = |given: &Given, input: &Input| -> Vec<i16> {
            let raw = |&value: &f64| {
                let quantized = match (input.integers, input.quantization) {
                    (Some(false), _) if given.as_integers => value - 128.0,
                    (_, Some(grid)) if !given.as_integers => {
                        (value / grid.scale).round_ties_even() + f64::from(grid.zero_point)
                    }
                    _ => value,
                };
                quantized.clamp(-128.0, 127.0) as i16 + RAW_OFFSET
            };
            given.values.iter().map(raw).collect()
        };
        let pairs = self.inputs.iter().zip(&layers.inputs);
        self.joined(&pairs.map(|(given, input)| raw(given, input)).collect::<Vec<_>>())
    }

    /// What an input was given, as real numbers.
    pub fn real_inputs(&self, layers: &Layers, position: usize) -> Vec<f64> {
        let (given, input) = (&self.inputs[position], &layers.inputs[position]);
        let real = |&value: &f64| match (input.integers, input.quantization) {
            (Some(signed), Some(grid)) if given.as_integers => {
                let shift = if signed { 0.0 } else { 128.0 };
                grid.scale * (value - shift - f64::from(grid.zero_point))
            }
            _ => value,
        };
        given.values.iter().map(real).collect()
    }

    /// Samples of all inputs one after the other, from the values of each input.
    pub fn joined(&self, inputs: &[Vec<i16>]) -> Vec<i16> {
        let samples = self.samples.max(1);
        let sample = |sample: usize| {
            inputs.iter().flat_map(move |values| {
                let elements = values.len() / samples;
                &values[sample * elements..(sample + 1) * elements]
            })
        };
        (0..self.samples).flat_map(sample).copied().collect()
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
        let answers = run_outputs(model, raw)?;
        let samples = answers.len().max(1);
        let mut outputs = Vec::with_capacity(self.outputs.len());
        let (mut largest, mut sum, mut relative) = (0.0f64, 0.0, 0.0);
        let (mut close, mut numbers) = (0, 0);
        for (position, output) in model.outputs().enumerate().take(self.outputs.len()) {
            let found = self.compare_output(&answers, model, &output, layers, position);
            largest = largest.max(found.largest);
            sum += found.sum;
            relative += found.sum * found.step / (found.range * found.numbers.max(1) as f64);
            close += found.close;
            numbers += found.numbers;
            outputs.push(OutputComparison {
                name: layers.outputs[position].name.clone(),
                close: found.close as f64 / found.numbers.max(1) as f64,
                largest_difference: found.largest,
                mean_difference: found.sum / found.numbers.max(1) as f64,
            });
        }
        let elements = model.output().shape.elements();
        let (mut agree, mut right, mut reference_right) = (0, 0, 0);
        for (index, (answer, reference)) in
            answers.iter().zip(self.outputs[0].chunks_exact(elements)).enumerate()
        {
            let best = reference.iter().copied().fold(f64::MIN, f64::max);
            let reference_label = reference.iter().position(|&value| value == best).unwrap_or(0);
            // Of several largest scores each is an answer.
            agree += usize::from(reference.get(answer.label) == Some(&best));
            if let Some(labels) = &self.labels {
                right += usize::from(usize::from(labels[index]) == answer.label);
                reference_right += usize::from(usize::from(labels[index]) == reference_label);
            }
        }
        let share = |count: usize| count as f64 / samples as f64;
        let judged = scores && self.labels.is_some();
        Ok(Comparison {
            samples: answers.len(),
            label_agreement: match scores {
                true => share(agree),
                false => close as f64 / numbers.max(1) as f64,
            },
            largest_difference: largest,
            mean_difference: sum / numbers.max(1) as f64,
            relative_difference: relative / self.outputs.len().max(1) as f64,
            outputs,
            accuracy: judged.then(|| share(right)),
            reference_accuracy: judged.then(|| share(reference_right)),
        })
    }

    fn compare_output(
        &self,
        answers: &[Answer],
        model: &Model<'_>,
        output: &OutputTensor<'_>,
        layers: &Layers,
        position: usize,
    ) -> Differences {
        let tensor = output.operand.tensor;
        let step = decode_scale(tensor.scale);
        let elements = tensor.shape.elements();
        let softmax = model
            .layers()
            .nth(usize::from(output.operand.source).wrapping_sub(layers.inputs.len()))
            .is_some_and(|layer| matches!(layer.operator, Operator::Softmax(_)));
        let (low, high) = self.outputs[position]
            .iter()
            .fold((f64::MAX, f64::MIN), |(low, high), &value| (low.min(value), high.max(value)));
        let range = (high - low).max(step);
        let mut found = Differences { largest: 0.0, sum: 0.0, close: 0, numbers: 0, step, range };
        let references = self.outputs[position].chunks_exact(elements);
        for (answer, reference) in answers.iter().zip(references) {
            let expected = expected(reference, layers, position, softmax);
            for (&value, expected) in answer.outputs[position].iter().zip(&expected) {
                let real = step * f64::from(i32::from(value) - i32::from(tensor.zero_point));
                let difference = (real - expected).abs();
                found.largest = found.largest.max(difference / step);
                found.sum += difference / step;
                found.close += usize::from(difference <= CLOSE * range);
                found.numbers += 1;
            }
        }
        found
    }
}

/// Differences of one output, in its steps.
struct Differences {
    largest: f64,
    sum: f64,
    /// How many numbers are close.
    close: usize,
    numbers: usize,
    step: f64,
    /// From the least to the largest number of the original.
    range: f64,
}

/// The arrays of a file.
struct Arrays<'a> {
    arrays: Vec<(String, Array)>,
    place: &'a str,
}

impl Arrays<'_> {
    fn find(&self, what: &str, position: usize) -> Option<&Array> {
        let names = named(what, position);
        let mut arrays = self.arrays.iter();
        arrays.find(|(found, _)| names.contains(found)).map(|(_, array)| array)
    }

    /// An array with so many finite numbers a sample, and as many samples as the others.
    fn wanted(
        &self,
        what: &str,
        position: usize,
        elements: usize,
        samples: &mut Option<usize>,
    ) -> Result<&Array> {
        let advice = "save what the original model was given and gave as `inputs` and `outputs`, \
                      or `inputs_0`, `inputs_1` …";
        let [name, other] = named(what, position);
        let Some(array) = self.find(what, position) else {
            let problem = format!("has no array `{name}`");
            return Err(Error::bad_input(self.place, problem, advice));
        };
        let count = array.shape.first().copied().unwrap_or(0);
        if count == 0 || array.len() != count.saturating_mul(elements) {
            let problem = format!(
                "has `{name}` of shape {:?}, but the model has {elements} values a sample",
                array.shape
            );
            return Err(Error::bad_input(self.place, problem, advice));
        }
        let first = *samples.get_or_insert(count);
        if first != count {
            let problem = format!("has {first} samples in other arrays and {count} in `{other}`");
            return Err(Error::bad_input(self.place, problem, "give one output an input"));
        }
        if !array.values().all(f64::is_finite) {
            let problem = "holds numbers that are not finite";
            return Err(Error::bad_input(self.place, problem, "leave them out"));
        }
        Ok(array)
    }
}

/// What the deployed model should give: probabilities where it ends in softmax and the original gave
/// scores or logarithms.
fn expected(reference: &[f64], layers: &Layers, output: usize, softmax: bool) -> Vec<f64> {
    if layers.outputs[output].logarithm {
        return reference.iter().map(|value| value.exp()).collect();
    }
    if !softmax || layers.ends_in_softmax(output) || layers.outputs[output].label {
        return reference.to_vec();
    }
    let largest = reference.iter().copied().fold(f64::MIN, f64::max);
    let powers: Vec<f64> = reference.iter().map(|value| (value - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// All probability at one place.
fn only(whole: usize, place: Option<usize>) -> impl Iterator<Item = f64> {
    (0..whole).map(move |other| f64::from(Some(other) == place))
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
