//! The postcard part of a model file.

use super::parameters::Parameters;
use crate::deployment::integer_network::{IntegerNetwork, OutputTask, encode_scale, set_weights};
use crate::deployment::plan::ArenaPlan;
use crate::deployment::quantizer::rescale;
use crate::error::{Error, Result};
use tinyhero_common::input::InputMap;
use tinyhero_common::layer::Layer;
use tinyhero_common::model::{
    Description, InputQuantization, InputTensor, OutputTensor, SelfTest, Task,
};
use tinyhero_common::shape::Element;
use tinyhero_common::tensor::{Operand, Tensor};

/// Writes description and layers.
pub fn write(
    network: &IntegerNetwork,
    plan: &ArenaPlan,
    parameters: &Parameters,
    self_test: SelfTest,
) -> Result<Vec<u8>> {
    let writer = Writer::new(network, plan)?;
    let task = Texts::of(network)?;
    let description = Description {
        name: network.name.as_str().into(),
        task: task.task(network)?,
        arena_bytes: plan.arena_bytes,
        state_bytes: 0,
        self_test,
        // At most MAX_INPUTS and MAX_OUTPUTS, checked before planning.
        input_count: network.inputs.len() as u16,
        output_count: network.outputs.len() as u16,
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
    let mut offset = 0;
    for (input, &tensor) in network.inputs.iter().zip(&writer.tensors) {
        // As many as the input has channels, which fit 16 bits.
        let maps = input.maps.len() as u16;
        let quantization = InputQuantization { sample_type: input.sample_type, maps, offset };
        let input = InputTensor { name: input.name.as_str().into(), quantization, tensor };
        bytes.extend(postcard::to_allocvec(&input).map_err(encoding)?);
        offset += u32::from(maps) * InputMap::BYTES as u32;
    }
    for output in &network.outputs {
        let (name, operand) = (output.name.as_str().into(), writer.operand(output.tensor));
        bytes.extend(postcard::to_allocvec(&OutputTensor { name, operand }).map_err(encoding)?);
    }
    for &index in &plan.order {
        let layer = writer.layer(index, parameters);
        bytes.extend(postcard::to_allocvec(&layer).map_err(encoding)?);
    }
    Ok(bytes)
}

/// What a task says in words: class names, or names and units of numbers, one a line.
struct Texts {
    names: String,
    units: String,
}

impl Texts {
    fn of(network: &IntegerNetwork) -> Result<Self> {
        let lines = |what: &str, lines: &[String]| match lines
            .iter()
            .find(|line| line.is_empty() || line.contains('\n'))
        {
            Some(line) => Err(Error::bad_input(
                format_args!("network '{}'", network.name),
                format_args!("{what} name {line:?} is empty or has several lines"),
                format_args!("rename the {what}"),
            )),
            None => Ok(lines.join("\n")),
        };
        Ok(match &network.task {
            OutputTask::Classification { labels } => {
                Self { names: lines("class", labels)?, units: String::new() }
            }
            OutputTask::Regression { names, units } => {
                let none = units.iter().all(String::is_empty);
                let units = if none { String::new() } else { units.join("\n") };
                Self { names: lines("output", names)?, units }
            }
            OutputTask::Reconstruction { .. } => {
                Self { names: String::new(), units: String::new() }
            }
        })
    }

    fn task(&self, network: &IntegerNetwork) -> Result<Task<'_>> {
        let (names, units) = (self.names.as_str().into(), self.units.as_str().into());
        Ok(match &network.task {
            OutputTask::Classification { .. } => Task::Classification { labels: names },
            OutputTask::Regression { .. } => Task::Regression { names, units },
            OutputTask::Reconstruction { threshold } => {
                let output = network.output();
                let rescale = rescale(network.tensor(0).scale / output.scale).ok_or_else(|| {
                    Error::bad_input(
                        format_args!("network '{}'", network.name),
                        "its output has a range very different from the input that it imitates",
                        "train it for longer",
                    )
                })?;
                // A mean over the elements in real units to a sum in squared steps.
                let steps = |mean: f64| {
                    (mean * output.shape.elements() as f64 / output.scale.powi(2)).round() as u32
                };
                Task::Reconstruction { rescale, threshold: threshold.map_or(u32::MAX, steps) }
            }
        })
    }
}

struct Writer<'a> {
    network: &'a IntegerNetwork,
    plan: &'a ArenaPlan,
    /// Every tensor, numbered as in the network.
    tensors: Vec<Tensor>,
    /// The number of each tensor in the file: inputs first, then layers as they run.
    sources: Vec<u16>,
}

impl<'a> Writer<'a> {
    fn new(network: &'a IntegerNetwork, plan: &'a ArenaPlan) -> Result<Self> {
        let inputs = network.inputs.len();
        let mut sources: Vec<u16> = (0u16..).take(inputs + network.layers.len()).collect();
        for (source, &index) in (inputs as u16..).zip(&plan.order) {
            sources[inputs + index] = source;
        }
        let tensor = |(number, &offset): (usize, &u32)| {
            let tensor = network.tensor(number);
            let name = match network.layer_of(number) {
                None => &network.inputs[number].name,
                Some(index) => &network.layers[index].name,
            };
            let scale = encode_scale(tensor.scale).ok_or_else(|| {
                Error::bad_input(
                    format_args!("layer '{name}'"),
                    format_args!("its scale {:e} is out of range", tensor.scale),
                    "check that the calibration samples are sensible",
                )
            })?;
            Ok(Tensor {
                shape: tensor.shape,
                element: Element::I8,
                offset,
                zero_point: tensor.zero_point,
                scale,
            })
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
        if let (Some(constants), Some(place)) =
            (operator.constants_mut(), parameters.constants[index])
        {
            *constants = place;
        }
        // What is written over must be the first operand.
        if self.plan.overwrites[index].is_some_and(|tensor| inputs[0] != tensor) {
            inputs.reverse();
            operator = operator.exchanged();
        }
        Layer {
            name: layer.name.as_str().into(),
            operator,
            inputs: inputs.iter().map(|&tensor| self.operand(tensor)).collect(),
            output: self.tensors[self.network.inputs.len() + index],
            activation: layer.activation,
            scratch: self.plan.scratch[index],
        }
    }
}
