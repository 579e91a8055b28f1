//! From a trained network to integers: folding, calibration, and the lowering of each operator.
//!
//! [`quantize`] folds batch normalization and activations into the layers before them, runs the folded network in real numbers
//! on calibration samples to learn the range of every tensor, chooses scales, and asks each operator for its integers. Everything is
//! computed in an order that does not depend on the number of threads, so the same network gives the same bytes.

mod calibrate;
mod divergence;
mod equalize;
mod fold;
mod on_grid;
mod rounding;
mod weight_only;

pub use crate::lowering::constants::{add_rescale, exponent_multiplier, input_map, ratio, rescale};
pub use crate::lowering::quantization::{Quantization, Rounding};
pub use crate::lowering::range::RangeMethod;
pub(super) use calibrate::{check_samples, normalize};
pub(super) use divergence::between_scores;
pub use divergence::{LayerDivergence, divergences};
pub(super) use equalize::equalized;
pub(super) use fold::{FoldedNetwork, fold};
pub use on_grid::on_grid;
pub use weight_only::{weight_only, weight_only_values};

use crate::data;
use crate::deployment::integer_network::{
    IntegerInput, IntegerLayer, IntegerNetwork, IntegerOutput, IntegerTensor,
};
use crate::deployment::meaning::notes_of;
use crate::deployment::precision;
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;
use crate::lowering::Context;
use crate::lowering::rounded_matrix::RoundedMatrix;
use crate::lowering::tensor_statistics::TensorStatistics;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::input::InputMap;
use tinyhero_common::shape::Shape;
use tinyhero_common::tensor::SampleType;

/// Quantizes a trained network.
///
/// `calibration` holds raw samples one after the other, each in height, width, channel order; a run
/// keeps such samples from all classes. At least one sample is needed.
///
/// # Errors
/// What the integer format cannot express, with the layer's name.
pub fn quantize(
    trained: &TrainedNetwork,
    calibration: &[i16],
    quantization: &Quantization,
) -> Result<IntegerNetwork> {
    Calibrated::new(trained, calibration, quantization)?.lower(quantization)
}

/// A network with rounded weights and the statistics of its tensors: all that takes long.
pub(super) struct Calibrated {
    trained: TrainedNetwork,
    folded: FoldedNetwork,
    widths: Vec<BitWidth>,
    rounded: Vec<Option<RoundedMatrix>>,
    statistics: Vec<TensorStatistics>,
}

impl Calibrated {
    pub(super) fn new(
        trained: &TrainedNetwork,
        calibration: &[i16],
        quantization: &Quantization,
    ) -> Result<Self> {
        trained.check()?;
        let trained = trained.in_units()?;
        let mut folded = fold(&trained)?;
        check_widths(&folded, quantization)?;
        let widths: Vec<BitWidth> =
            folded.nodes.iter().map(|node| quantization.width_of(&node.name)).collect();
        let mut rounded = rounding::given(&folded, &trained, &widths, quantization.per_tensor);
        if quantization.rounding == Rounding::Descent {
            let reference = fold(&trained)?;
            let wanted = rounding::Wanted { widths: &widths, per_tensor: quantization.per_tensor };
            rounding::round(&mut folded, &reference, &trained, calibration, &wanted, &mut rounded)?;
        }
        let statistics = calibrate::run(&folded, &trained, calibration)?;
        Ok(Self { trained, folded, widths, rounded, statistics })
    }

    /// The network in integers. Of the quantization, what decides on ranges and on weights that are
    /// not rounded yet counts.
    pub(super) fn lower(&self, quantization: &Quantization) -> Result<IntegerNetwork> {
        let Self { trained, folded, widths, rounded, statistics } = self;
        let mut inputs = Vec::with_capacity(folded.inputs.len());
        for (position, (sample_type, normalization, _)) in
            trained.input.parts().into_iter().enumerate()
        {
            let input = RawInput {
                name: &trained.network.inputs[position].name,
                sample_type: self::sample_type(sample_type),
                normalization,
                shape: folded.inputs[position],
            };
            inputs.push(quantize_input(&trained.network.name, &input, &statistics[position])?);
        }
        let output = |(position, &tensor): (usize, &usize)| IntegerOutput {
            name: match folded.outputs.len() {
                1 => "output".to_string(),
                _ => trained.network.nodes[trained.network.outputs[position]].name.clone(),
            },
            tensor,
        };
        let mut network = IntegerNetwork {
            name: trained.network.name.clone(),
            task: folded.task.clone(),
            inputs,
            layers: Vec::with_capacity(folded.nodes.len()),
            outputs: folded.outputs.iter().enumerate().map(output).collect(),
            notes: notes_of(trained),
        };
        for (index, node) in folded.nodes.iter().enumerate() {
            let inputs: Vec<IntegerTensor> =
                node.inputs.iter().map(|&tensor| network.tensor(tensor)).collect();
            let input_statistics: Vec<&TensorStatistics> =
                node.inputs.iter().map(|&tensor| &statistics[tensor]).collect();
            let context = Context {
                name: &node.name,
                inputs: &inputs,
                input_statistics: &input_statistics,
                shape: node.shape,
                statistics: &statistics[folded.tensor_of(index)],
                activation: node.activation,
                decides: folded.decides(index),
                quantization,
                bit_width: widths[index],
                rounded: rounded[index].as_ref(),
            };
            let lowered = node.operator.lower(&context)?;
            network.layers.push(IntegerLayer {
                name: node.name.clone(),
                operator: lowered.operator,
                inputs: node.inputs.clone(),
                weights: lowered.weights,
                constants: lowered.constants,
                output: lowered.output,
                activation: lowered.activation,
            });
        }
        Ok(network)
    }
}

/// Refuses widths of layers that there are not.
fn check_widths(folded: &FoldedNetwork, quantization: &Quantization) -> Result<()> {
    let with_weights = folded.nodes.iter().filter(|node| node.operator.has_weights());
    precision::check(&quantization.widths, with_weights.map(|node| node.name.as_str()))
}

/// The format's name for a raw sample's type.
pub const fn sample_type(sample_type: data::SampleType) -> SampleType {
    match sample_type {
        data::SampleType::U8 => SampleType::U8,
        data::SampleType::I16 => SampleType::I16,
    }
}

/// An input before it is quantized.
#[derive(Clone, Copy)]
struct RawInput<'a> {
    name: &'a str,
    sample_type: SampleType,
    normalization: &'a data::Normalization,
    shape: Shape,
}

/// Scale, zero point and integer maps of an input.
///
/// Where all channels have one map and the raw range is narrow enough, the step is a whole fraction of a raw step, so that no
/// two raw values fall together and none is moved.
fn quantize_input(
    network: &str,
    input: &RawInput<'_>,
    statistics: &TensorStatistics,
) -> Result<IntegerInput> {
    let RawInput { name, sample_type, normalization, shape } = *input;
    let mut low = statistics.min.min(0.0);
    let mut high = statistics.max.max(0.0);
    let steps: Vec<f64> = normalization.inverse_scale.clone();
    let uniform = steps.windows(2).all(|pair| pair[0] == pair[1])
        && normalization.offset.windows(2).all(|pair| pair[0] == pair[1]);
    if sample_type == SampleType::U8 && statistics.raw_max > 127 {
        // Bytes that use their upper half are taken to use all of it.
        for channel in 0..normalization.channels() {
            low = low.min(normalization.real(0, channel));
            high = high.max(normalization.real(255, channel));
        }
    }
    let mut scale = (high - low) / 255.0;
    if uniform && let Some(&step) = steps.first() {
        let fraction = (step / scale + 1e-9).floor();
        if fraction >= 1.0 {
            scale = step / fraction;
        }
    }
    if !(scale.is_finite() && scale > 0.0) {
        scale = 1.0;
    }
    let zero_point = (-128.0 - low / scale).round().clamp(-128.0, 127.0);
    let maps =
        normalization.offset.iter().zip(&steps).enumerate().map(|(channel, (offset, step))| {
            let slope = step / scale;
            input_map(slope, zero_point - offset * slope, sample_type).ok_or_else(|| {
                Error::bad_input(
                    format_args!("network '{network}', {name} channel {channel}"),
                    "varies so little against its mean that its integer map overflows",
                    "remove a constant offset from this channel of the data",
                )
            })
        });
    let mut maps = maps.collect::<Result<Vec<InputMap>>>()?;
    if maps.windows(2).all(|pair| pair[0] == pair[1]) {
        maps.truncate(1);
    }
    let tensor = IntegerTensor { shape, scale, zero_point: zero_point as i8 };
    Ok(IntegerInput { name: name.to_string(), sample_type, maps, tensor })
}

#[cfg(test)]
mod tests;
