//! How far an output is from the input that it imitates, in integers: the sum that a model file's threshold is compared with.

use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::model::{Model, Task};

use super::export::export;
use super::integer::{SampleParts, raw_bytes, run_all};
use super::integer_network::{IntegerNetwork, OutputTask};
use crate::error::{Error, Result};

/// Share of usual samples that may count as unusual where nothing else is said.
pub const FALSE_ALARMS: f64 = 0.01;

/// The errors of samples and what the model says of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstructions {
    /// Sum of squared differences of each sample, in squared steps of the output.
    pub errors: Vec<u32>,
    /// The real squared error that 1 stands for, as a mean over a sample's values, in normalized units.
    pub unit: f64,
    /// Largest error of a sample that counts as usual; none if none has been chosen.
    pub threshold: Option<u32>,
}

/// Runs raw samples and measures how far each output is from its input. `None` for a model that does something else.
///
/// # Errors
/// Samples of another size.
pub fn reconstruct(model: &Model<'_>, samples: &[i16]) -> Result<Option<Reconstructions>> {
    let outcomes = run_all(model, samples)?;
    let outputs: Vec<&[i8]> = outcomes.iter().map(|outcome| outcome.scores.as_slice()).collect();
    Ok(of_outputs(model, samples, &outputs))
}

/// The same of outputs that are known, wherever they were computed: one for each raw sample.
pub fn of_outputs(
    model: &Model<'_>,
    samples: &[i16],
    outputs: &[&[i8]],
) -> Option<Reconstructions> {
    let Task::Reconstruction { rescale, threshold } = model.description().task else {
        return None;
    };
    let (input, output) = (model.input(), model.output());
    let elements = input.tensor.shape.elements();
    let start = input.quantization.offset as usize;
    let bytes = usize::from(input.quantization.maps) * InputMap::BYTES;
    let maps = model.parameters().get(start..start + bytes).unwrap_or(&[]);
    let mut quantized = vec![0i8; elements];
    let mut errors = Vec::new();
    let whole = SampleParts::of(model).values().max(1);
    for (sample, scores) in samples.chunks_exact(whole).zip(outputs) {
        // The first input, which the output imitates.
        let raw = raw_bytes(input.quantization.sample_type, &sample[..elements]);
        Portable.quantize_input(maps, input.quantization.sample_type, &raw, &mut quantized);
        let pairs = quantized.iter().zip(*scores);
        let sum: u64 = pairs
            .map(|(&wanted, &found)| {
                let wanted = i32::from(wanted) - i32::from(input.tensor.zero_point);
                let found = i32::from(found) - i32::from(output.zero_point);
                u64::from((rescale.apply(wanted) - found).unsigned_abs()).pow(2)
            })
            .sum();
        errors.push(u32::try_from(sum).unwrap_or(u32::MAX - 1));
    }
    let scale = super::integer_network::decode_scale(output.scale);
    let unit = scale * scale / elements.max(1) as f64;
    Some(Reconstructions { errors, unit, threshold: (threshold != u32::MAX).then_some(threshold) })
}

/// The network with the threshold that so large a share of usual samples exceeds at most.
///
/// # Errors
/// What the exporter refuses.
pub fn with_threshold(
    network: IntegerNetwork,
    usual: &[i16],
    false_alarms: f64,
) -> Result<IntegerNetwork> {
    if !matches!(network.task, OutputTask::Reconstruction { .. }) {
        return Ok(network);
    }
    let file = export(&network)?.bytes;
    let model = Model::load(&file)
        .map_err(|reason| Error::check_failed(&network.name, reason, "please report this"))?;
    let Some(mut found) = reconstruct(&model, usual)? else { return Ok(network) };
    found.errors.sort_unstable();
    let above = (found.errors.len() as f64 * false_alarms).floor() as usize;
    let Some(&threshold) = found.errors.iter().rev().nth(above) else { return Ok(network) };
    let threshold = Some(f64::from(threshold) * found.unit);
    Ok(IntegerNetwork { task: OutputTask::Reconstruction { threshold }, ..network })
}
