//! A model file with its weights laid out for another core.
//!
//! The integers stay what they are: the file is taken apart into the network that it was written from,
//! and written again.

use tinyhero_common::channels::Channels;
use tinyhero_common::input::InputMap;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::PackedWeights;
use tinyhero_common::model::{InputTensor, Model, OutputTensor, Task};
use tinyhero_common::operator::Weights;
use tinyhero_common::tensor::Tensor;
use tinyhero_common::text::Text;

use super::export::export_for;
use super::integer_network::{
    IntegerInput, IntegerLayer, IntegerNetwork, IntegerOutput, IntegerTensor, IntegerWeights,
    OutputTask, decode_scale, set_weights,
};
use super::meaning::notes_in;
use crate::cortex::Core;
use crate::error::{Error, Result};

/// The file with the layout that a core's kernels read, or without a core the portable one.
///
/// # Errors
/// It has recurrent layers, or keeps state.
pub fn relayout(model: &Model<'_>, core: Option<Core>) -> Result<Vec<u8>> {
    Ok(export_for(&network_of(model)?, core)?.bytes)
}

/// The network that a file was written from. Scales of weights are not in it and are 1.
fn network_of(model: &Model<'_>) -> Result<IntegerNetwork> {
    let description = model.description();
    // Rows whose parts are brought to other scales by themselves.
    let parted = model.layers().any(|layer| layer.channel_entries() > layer.rows());
    if parted || description.state_bytes != 0 {
        return Err(Error::bad_input(
            format_args!("model '{}'", description.name),
            "has recurrent layers or state, and cannot be laid out again",
            "make it again with `tinyhero quantize --core`",
        ));
    }
    let input = |input: InputTensor<'_>| {
        let maps = usize::from(input.quantization.maps) * InputMap::BYTES;
        let (maps, _) = section(model, input.quantization.offset, maps).as_chunks();
        IntegerInput {
            name: input.name.to_string(),
            sample_type: input.quantization.sample_type,
            maps: maps.iter().map(|map| InputMap::from_bytes(*map)).collect(),
            tensor: tensor_of(&input.tensor),
        }
    };
    let output = |output: OutputTensor<'_>| IntegerOutput {
        name: output.name.to_string(),
        tensor: usize::from(output.operand.source),
    };
    let mut network = IntegerNetwork {
        name: description.name.to_string(),
        task: OutputTask::Classification { labels: Vec::new() },
        inputs: model.inputs().map(input).collect(),
        layers: model.layers().map(|layer| layer_of(model, &layer)).collect(),
        outputs: model.outputs().map(output).collect(),
        notes: notes_in(model),
    };
    network.task = task_of(&description.task, &network);
    Ok(network)
}

/// Lines of a text; none of an empty one.
fn lines(text: Text<'_>) -> Vec<String> {
    let text = text.to_string();
    if text.is_empty() { Vec::new() } else { text.split('\n').map(str::to_string).collect() }
}

fn task_of(task: &Task<'_>, network: &IntegerNetwork) -> OutputTask {
    match *task {
        Task::Classification { labels } => OutputTask::Classification { labels: lines(labels) },
        Task::Regression { names, units } => {
            let names = lines(names);
            let units = match lines(units) {
                none if none.is_empty() => vec![String::new(); names.len()],
                units => units,
            };
            OutputTask::Regression { names, units }
        }
        Task::Reconstruction { threshold, .. } => {
            let output = network.output();
            // From a sum in squared steps to a mean over the elements in real units.
            let mean = |steps: u32| {
                f64::from(steps) * output.scale.powi(2) / output.shape.elements() as f64
            };
            OutputTask::Reconstruction {
                threshold: (threshold != u32::MAX).then(|| mean(threshold)),
            }
        }
    }
}

fn tensor_of(tensor: &Tensor) -> IntegerTensor {
    IntegerTensor {
        shape: tensor.shape,
        scale: decode_scale(tensor.scale),
        zero_point: tensor.zero_point,
    }
}

fn layer_of(model: &Model<'_>, layer: &Layer<'_>) -> IntegerLayer {
    let mut operator = layer.operator;
    let weights = layer.weights().map(|weights| weights_of(model, layer, weights));
    if let Some(Weights { bit_width, layout, .. }) = layer.weights() {
        set_weights(&mut operator, Weights { bit_width, layout, offset: 0, channels: 0 });
    }
    let constant_bytes = operator.constant_bytes();
    let constants = operator
        .constants_mut()
        .map_or(Vec::new(), |place| section(model, std::mem::take(place), constant_bytes).to_vec());
    IntegerLayer {
        name: layer.name.to_string(),
        operator,
        inputs: layer.inputs.iter().map(|operand| usize::from(operand.source)).collect(),
        weights,
        constants,
        output: tensor_of(&layer.output),
        activation: layer.activation,
    }
}

fn weights_of(model: &Model<'_>, layer: &Layer<'_>, weights: Weights) -> IntegerWeights {
    let Weights { bit_width, layout, offset, channels } = weights;
    let (rows, row_length) = (layer.rows(), layer.row_length());
    let bytes =
        section(model, offset, PackedWeights::bytes_for(bit_width, layout, rows, row_length));
    let packed = PackedWeights { bytes, bit_width, layout, row_length };
    let mut values = Vec::with_capacity(rows * row_length);
    let mut row = vec![0; row_length.next_multiple_of(PackedWeights::PIECE)];
    for index in 0..rows {
        packed.unpack(index, 0, &mut row);
        values.extend_from_slice(&row[..row_length]);
    }
    let table = Channels::new(section(model, channels, rows * Channels::BYTES), rows);
    let channels: Vec<_> = table.into_iter().flat_map(Channels::iter).collect();
    IntegerWeights {
        bit_width,
        row_length,
        values,
        scales: vec![1.0; rows],
        biases: channels.iter().map(|channel| channel.bias).collect(),
        rescales: channels.iter().map(|channel| channel.rescale).collect(),
    }
}

/// A part of the parameters; all of them are there in a model that was loaded.
fn section<'a>(model: &Model<'a>, offset: u32, bytes: usize) -> &'a [u8] {
    let rest = model.parameters().get(offset as usize..).unwrap_or(&[]);
    &rest[..bytes.min(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::SampleShape;
    use crate::deployment::export::export;
    use crate::deployment::quantizer::{Quantization, quantize};
    use crate::graph::network::Network;
    use crate::graph::trained_network::TrainedNetwork;
    use tinyhero_common::bit_width::BitWidth;

    #[test]
    fn a_file_in_another_layout_is_the_file_that_the_network_gives_in_it() {
        for (name, shape) in [
            ("cnn", SampleShape::new(8, 8, 1)),
            ("resnet8", SampleShape::new(9, 8, 2)),
            ("ds-cnn", SampleShape::new(13, 10, 1)),
            ("autoencoder", SampleShape::new(1, 1, 24)),
        ] {
            let network = Network::open(name, shape, 5).unwrap();
            let trained = TrainedNetwork::untrained(network, 5).unwrap();
            let samples: Vec<i16> =
                (0..8 * shape.elements()).map(|at| (at * 7_919 % 251) as i16).collect();
            for bits in [BitWidth::Two, BitWidth::Three, BitWidth::Eight] {
                let network = quantize(&trained, &samples, &Quantization::new(bits)).unwrap();
                let portable = export(&network).unwrap().bytes;
                for core in Core::ALL {
                    let own = export_for(&network, Some(core)).unwrap().bytes;
                    let model = Model::load(&portable).unwrap();
                    assert_eq!(relayout(&model, Some(core)).unwrap(), own, "{name} {core}");
                    let model = Model::load(&own).unwrap();
                    assert_eq!(relayout(&model, None).unwrap(), portable, "{name} {core}");
                }
            }
        }
    }
}
