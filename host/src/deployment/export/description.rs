//! The postcard part of a model file.

use super::parameters::Parameters;
use crate::deployment::integer_network::{IntegerNetwork, encode_scale, set_weights};
use crate::deployment::plan::ArenaPlan;
use crate::error::{Error, Result};
use tinyhero_common::layer::Layer;
use tinyhero_common::model::{Description, InputQuantization, SelfTest};
use tinyhero_common::operator::Operator;
use tinyhero_common::requantize::AddRescale;
use tinyhero_common::tensor::{Operand, Tensor};

/// Writes description and layers.
pub fn write(
    network: &IntegerNetwork,
    plan: &ArenaPlan,
    parameters: &Parameters,
    self_test: SelfTest,
) -> Result<Vec<u8>> {
    let writer = Writer::new(network, plan)?;
    let labels = labels(network)?;
    let description = Description {
        name: network.name.as_str().into(),
        labels: labels.as_str().into(),
        input_quantization: InputQuantization {
            sample_type: network.sample_type,
            // As many as the input has channels, which fit 16 bits.
            maps: network.input_maps.len() as u16,
            offset: parameters.input_maps,
        },
        input: writer.tensors[0],
        arena_bytes: plan.arena_bytes,
        self_test,
        // At most MAX_LAYERS, checked before planning.
        layer_count: network.layers.len() as u16,
    };
    let encoding = |problem: postcard::Error| {
        Error::bad_input(
            format_args!("network '{}'", network.name),
            format_args!("cannot be described: {problem}"),
            "please report this with the network's file",
        )
    };
    let mut bytes = postcard::to_allocvec(&description).map_err(encoding)?;
    for &index in &plan.order {
        let layer = writer.layer(index, parameters);
        bytes.extend(postcard::to_allocvec(&layer).map_err(encoding)?);
    }
    Ok(bytes)
}

/// Class names, one a line.
fn labels(network: &IntegerNetwork) -> Result<String> {
    match network.labels.iter().find(|label| label.is_empty() || label.contains('\n')) {
        Some(label) => Err(Error::bad_input(
            format_args!("network '{}'", network.name),
            format_args!("class name {label:?} is empty or has several lines"),
            "rename the class",
        )),
        None => Ok(network.labels.join("\n")),
    }
}

struct Writer<'a> {
    network: &'a IntegerNetwork,
    plan: &'a ArenaPlan,
    /// Every tensor, numbered as in the network.
    tensors: Vec<Tensor>,
    /// The number of each tensor in the file: 0 for the input, then 1 + when its layer runs.
    sources: Vec<u16>,
}

impl<'a> Writer<'a> {
    fn new(network: &'a IntegerNetwork, plan: &'a ArenaPlan) -> Result<Self> {
        let mut sources = vec![0; network.layers.len() + 1];
        for (source, &index) in (1u16..).zip(&plan.order) {
            sources[index + 1] = source;
        }
        let tensor = |(number, &offset): (usize, &u32)| {
            let tensor = network.tensor(number);
            let name = number.checked_sub(1).map_or("input", |index| &network.layers[index].name);
            let scale = encode_scale(tensor.scale).ok_or_else(|| {
                Error::bad_input(
                    format_args!("layer '{name}'"),
                    format_args!("its scale {:e} is out of range", tensor.scale),
                    "check that the calibration samples are sensible",
                )
            })?;
            Ok(Tensor { shape: tensor.shape, offset, zero_point: tensor.zero_point, scale })
        };
        let tensors = plan.offsets.iter().enumerate().map(tensor).collect::<Result<_>>()?;
        Ok(Self { network, plan, tensors, sources })
    }

    fn operand(&self, number: usize) -> Operand {
        Operand { source: self.sources[number], tensor: self.tensors[number] }
    }

    fn layer(&self, index: usize, parameters: &Parameters) -> Layer<'a> {
        let layer = &self.network.layers[index];
        let mut operator = layer.operator;
        let mut inputs = layer.inputs.clone();
        if let Some(place) = parameters.weights[index] {
            set_weights(&mut operator, place);
        }
        if let Operator::Add { other, rescale } = &mut operator {
            // What is written over must be the first operand.
            if self.plan.overwrites[index].is_some_and(|tensor| inputs[0] != tensor) {
                inputs.reverse();
                *rescale = AddRescale {
                    multiplier: rescale.other_multiplier,
                    other_multiplier: rescale.multiplier,
                    shift: rescale.shift,
                };
            }
            *other = self.operand(inputs[1]);
        }
        Layer {
            name: layer.name.as_str().into(),
            operator,
            input: self.operand(inputs[0]),
            output: self.tensors[index + 1],
            activation: layer.activation,
            scratch: self.plan.scratch[index],
        }
    }
}
