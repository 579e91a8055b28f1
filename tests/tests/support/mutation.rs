//! Damaged model files whose checksum is right: what a loader has to judge by content alone.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Portable;
use tinyhero_common::layer::Layer;
use tinyhero_common::model::{Model, Reason, Task};
use tinyhero_common::network::{LayerDigests, run};
use tinyhero_common::operator::{
    Add, AveragePool2d, Concatenate, Convolution2d, DepthwiseConvolution2d, FullyConnected,
    GroupedConvolution2d, Gru, Lstm, MaxPool2d, MeanPool2d, Multiply, Operator, Resize2d, Softmax,
    Table, TransposedConvolution2d, Weights,
};
use tinyhero_common::requantize::Rescale;
use tinyhero_common::shape::{Element, Region, Window};
use tinyhero_common::tensor::{Operand, Operands, SampleType, Tensor};
use tinyhero_tests::Generator;

use crate::crafted::{Crafted, assemble, repair};

/// A valid model to begin with.
fn valid(generator: &mut Generator) -> Crafted {
    if generator.chance(1) { Crafted::every_operator() } else { Crafted::random(generator) }
}

/// The file of a seed and a number: a valid model, damaged in its described fields, its bytes or its parameters, or random
/// bytes under a right header. Length and checksum are right in all but a few.
pub fn mutated_file(seed: u32, number: u32) -> Vec<u8> {
    let mut generator = Generator::new(seed, number);
    let generator = &mut generator;
    match generator.below(16) {
        0 => random_file(generator),
        1 | 2 => damaged_bytes(generator),
        3 => recut(generator),
        4..7 => {
            let mut model = valid(generator);
            for _ in 0..generator.between(1, 6) {
                damage_parameters(generator, &mut model);
            }
            model.file()
        }
        _ => {
            let mut model = valid(generator);
            for _ in 0..generator.between(1, 3) {
                damage_field(generator, &mut model);
            }
            if generator.chance(12) {
                model.relink();
            }
            if generator.chance(8) {
                model.repack();
            }
            model.file()
        }
    }
}

/// Random bytes with a right header around them.
fn random_file(generator: &mut Generator) -> Vec<u8> {
    let bytes = |generator: &mut Generator, limit| {
        let length = generator.below(limit) as usize;
        // Small numbers are what lengths, shapes and variants are made of.
        let small = generator.chance(8);
        let byte = |_| if small { generator.below(6) as u8 } else { generator.next_word() as u8 };
        (0..length).map(byte).collect::<Vec<u8>>()
    };
    let (description, parameters) = (bytes(generator, 300), bytes(generator, 200));
    if generator.chance(2) {
        // No header at all.
        return description;
    }
    assemble(&description, &parameters)
}

/// A valid file with a few bytes changed anywhere.
fn damaged_bytes(generator: &mut Generator) -> Vec<u8> {
    let mut file = valid(generator).file();
    for _ in 0..generator.between(1, 8) {
        let place = generator.below(file.len() as u32) as usize;
        file[place] = match generator.below(3) {
            0 => file[place] ^ (1 << generator.below(8)),
            1 => generator.pick(0, &[1, 127, 128, 255]),
            _ => generator.next_word() as u8,
        };
    }
    repair(&mut file);
    file
}

/// One model's description with another's parameters, or a part of its own.
fn recut(generator: &mut Generator) -> Vec<u8> {
    let model = Crafted::random(generator);
    let mut description = model.description_bytes();
    let mut parameters = model.parameters.clone();
    match generator.below(4) {
        0 => parameters = Crafted::random(generator).parameters,
        1 => parameters.truncate(generator.below(parameters.len() as u32 + 1) as usize),
        2 => description.truncate(generator.below(description.len() as u32 + 1) as usize),
        _ => {
            let place = generator.below(description.len() as u32) as usize;
            description.insert(place, generator.next_word() as u8);
        }
    }
    assemble(&description, &parameters)
}

/// Other weights, biases, multipliers or input maps.
fn damage_parameters(generator: &mut Generator, model: &mut Crafted) {
    let place = generator.below(model.parameters.len() as u32) as usize;
    if generator.chance(8) {
        model.parameters[place] ^= 1 << generator.below(8);
    } else {
        model.parameters[place] = generator.next_word() as u8;
    }
}

/// A number near the old one, or at an edge, or any.
fn number(generator: &mut Generator, old: u32, most: u32) -> u32 {
    let value = match generator.below(8) {
        0 => generator.pick(0, &[1, 255, 256, 65_535, u32::MAX, u32::MAX - 3, 1 << 24]),
        1 => generator.below(most),
        2 => old.wrapping_mul(2),
        3 => generator.below(40),
        _ => old.wrapping_add(generator.pick(1, &[u32::MAX, 2, u32::MAX - 1, 4, u32::MAX - 3])),
    };
    value.min(most)
}

fn short(generator: &mut Generator, field: &mut u16) {
    *field = number(generator, u32::from(*field), u32::from(u16::MAX)) as u16;
}

fn byte(generator: &mut Generator, field: &mut u8) {
    *field = number(generator, u32::from(*field), 255) as u8;
}

fn word(generator: &mut Generator, field: &mut u32) {
    *field = number(generator, *field, u32::MAX);
}

/// One described field, or the order of the layers.
fn damage_field(generator: &mut Generator, model: &mut Crafted) {
    let count = model.layers.len();
    if count == 0 || generator.chance(3) {
        damage_description(generator, model);
        return;
    }
    let index = generator.below(count as u32) as usize;
    if generator.chance(1) {
        let layer = model.layers[index].clone();
        match generator.below(3) {
            0 => drop(model.layers.remove(index)),
            1 => model.layers.push(layer),
            _ => model.layers.swap(0, index),
        }
        return;
    }
    if generator.chance(1) {
        // The operator of another layer, with what it has of weights.
        model.layers[index].operator =
            model.layers[generator.below(count as u32) as usize].operator;
        return;
    }
    damage_layer(generator, &mut model.layers[index]);
}

fn damage_description(generator: &mut Generator, model: &mut Crafted) {
    let description = &mut model.description;
    let index = generator.below(model.inputs.len() as u32) as usize;
    let input = &mut model.inputs[index];
    match generator.below(13) {
        0 => word(generator, &mut description.arena_bytes),
        1 => short(generator, &mut description.layer_count),
        2 => short(generator, &mut input.quantization.maps),
        3 => word(generator, &mut input.quantization.offset),
        4 => {
            let types = generator.pick(SampleType::U8, &[SampleType::I16]);
            input.quantization.sample_type = types;
        }
        5 => {
            let labels = generator.pick("", &["a\nb\nc", "\n\n", "é"]).into();
            let rescale = damaged_rescale(generator);
            description.task = match generator.below(3) {
                0 => Task::Classification { labels },
                1 => Task::Regression { names: labels, units: labels },
                _ => Task::Reconstruction { rescale, threshold: generator.next_word() },
            };
        }
        6 => word(generator, &mut description.self_test.digest),
        7 => short(generator, &mut description.input_count),
        8 => short(generator, &mut description.output_count),
        9 => word(generator, &mut description.state_bytes),
        10 => damage_operand(generator, &mut model.outputs[0].operand),
        _ => damage_tensor(generator, &mut input.tensor),
    }
}

fn damage_layer(generator: &mut Generator, layer: &mut Layer<'static>) {
    match generator.below(12) {
        0 | 1 => damage_tensor(generator, &mut layer.output),
        2 => damage_inputs(generator, &mut layer.inputs),
        3 => layer.activation.min = generator.activation(),
        4 => layer.activation = generator.activation_range(),
        5 => damage_region(generator, &mut layer.scratch),
        _ => match &mut layer.operator {
            Operator::GroupedConvolution2d(grouped) if generator.chance(6) => {
                match generator.below(3) {
                    0 => short(generator, &mut grouped.groups),
                    1 => byte(generator, &mut grouped.dilation_height),
                    _ => byte(generator, &mut grouped.dilation_width),
                }
            }
            Operator::Resize2d(Resize2d { rows, columns, .. }) => {
                let axis = if generator.chance(8) { rows } else { columns };
                match generator.below(3) {
                    0 => short(generator, &mut axis.step),
                    1 => axis.start = generator.next_word() as i16,
                    _ => short(generator, &mut axis.divisor),
                }
            }
            Operator::Convolution2d(Convolution2d { window, weights })
            | Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, weights })
            | Operator::TransposedConvolution2d(TransposedConvolution2d { window, weights })
            | Operator::GroupedConvolution2d(GroupedConvolution2d { window, weights, .. }) => {
                if generator.chance(8) {
                    damage_window(generator, window);
                } else {
                    damage_weights(generator, weights);
                }
            }
            Operator::FullyConnected(FullyConnected { weights }) => {
                damage_weights(generator, weights)
            }
            Operator::AveragePool2d(AveragePool2d { window, rescale }) => {
                if generator.chance(8) {
                    damage_window(generator, window);
                } else {
                    *rescale = damaged_rescale(generator);
                }
            }
            Operator::Lstm(Lstm { weights, gate_bits: bits, rescale, .. })
            | Operator::Gru(Gru { weights, gate_bits: bits, rescale, .. }) => {
                match generator.below(3) {
                    0 => damage_weights(generator, weights),
                    1 => byte(generator, bits),
                    _ => *rescale = damaged_rescale(generator),
                }
            }
            Operator::MaxPool2d(MaxPool2d { window }) => damage_window(generator, window),
            Operator::Add(Add { rescale }) => match generator.below(4) {
                0 => damage_inputs(generator, &mut layer.inputs),
                1 => byte(generator, &mut rescale.shift),
                2 => rescale.multiplier = generator.next_word() as i16,
                _ => rescale.other_multiplier = generator.next_word() as i16,
            },
            Operator::Softmax(Softmax { exponent_multiplier }) => {
                word(generator, exponent_multiplier)
            }
            Operator::Table(Table { entries }) => word(generator, entries),
            Operator::MeanPool2d(MeanPool2d { window, rescale }) => {
                if generator.chance(8) {
                    damage_window(generator, window);
                } else {
                    *rescale = damaged_rescale(generator);
                }
            }
            Operator::Multiply(Multiply { rescale }) => match generator.below(2) {
                0 => damage_inputs(generator, &mut layer.inputs),
                _ => *rescale = damaged_rescale(generator),
            },
            Operator::Concatenate(Concatenate { rescale, other_rescale }) => {
                match generator.below(3) {
                    0 => damage_inputs(generator, &mut layer.inputs),
                    1 => *rescale = damaged_rescale(generator),
                    _ => *other_rescale = damaged_rescale(generator),
                }
            }
        },
    }
}

fn damaged_rescale(generator: &mut Generator) -> Rescale {
    let mut rescale = generator.rescale();
    if generator.chance(4) {
        rescale.shift = generator.activation();
    }
    rescale
}

fn damage_tensor(generator: &mut Generator, tensor: &mut Tensor) {
    match generator.below(9) {
        8 => tensor.element = generator.pick(Element::I8, &Element::ALL),
        0 => short(generator, &mut tensor.shape.height),
        1 => short(generator, &mut tensor.shape.width),
        2 => short(generator, &mut tensor.shape.channels),
        3 | 4 => word(generator, &mut tensor.offset),
        5 => tensor.scale.exponent = generator.activation(),
        _ => tensor.zero_point = generator.zero_point(),
    }
}

/// One of the tensors that are read, or how many they are.
fn damage_inputs(generator: &mut Generator, inputs: &mut Operands) {
    let count = inputs.len() as u32;
    match generator.below(6) {
        0 => inputs.truncate(inputs.len().saturating_sub(1)),
        1 if count > 0 => {
            // There may be as many as there is room for.
            let _ = inputs.push(inputs[0]);
        }
        _ if count > 0 => {
            let index = generator.below(count) as usize;
            damage_operand(generator, &mut inputs[index]);
        }
        _ => {}
    }
}

fn damage_operand(generator: &mut Generator, operand: &mut Operand) {
    if generator.chance(8) {
        short(generator, &mut operand.source);
    } else {
        damage_tensor(generator, &mut operand.tensor);
    }
}

fn damage_region(generator: &mut Generator, region: &mut Region) {
    let field = if generator.chance(8) { &mut region.offset } else { &mut region.bytes };
    word(generator, field);
}

fn damage_window(generator: &mut Generator, window: &mut Window) {
    let field = match generator.below(6) {
        0 => &mut window.kernel_height,
        1 => &mut window.kernel_width,
        2 => &mut window.stride_height,
        3 => &mut window.stride_width,
        4 => &mut window.padding_top,
        _ => &mut window.padding_left,
    };
    byte(generator, field);
}

fn damage_weights(generator: &mut Generator, weights: &mut Weights) {
    match generator.below(3) {
        0 => word(generator, &mut weights.offset),
        1 => word(generator, &mut weights.channels),
        _ => weights.bit_width = generator.pick(BitWidth::Two, &BitWidth::ALL),
    }
}

/// What became of a file.
pub enum Outcome {
    Refused(Reason),
    /// Runs; the digest over its layers on the test input.
    Accepted {
        digest: u32,
        work: u64,
    },
}

/// The raw input that an accepted file is run on, the same on host and board.
pub fn test_input(model: &Model<'_>) -> Vec<u8> {
    let seed = model.digest();
    tinyhero_common::network::SelfTestInput::new(seed).take(model.raw_input_bytes()).collect()
}

/// Multiply-accumulates and window elements of one inference.
pub fn work(model: &Model<'_>) -> u64 {
    let of_layer = |layer: Layer<'_>| {
        let taps = match layer.operator {
            Operator::AveragePool2d(AveragePool2d { window, .. })
            | Operator::MaxPool2d(MaxPool2d { window })
            | Operator::MeanPool2d(MeanPool2d { window, .. }) => window.taps(),
            _ => 1,
        };
        layer.macs() + (layer.output.shape.elements() * taps) as u64
    };
    model.layers().map(of_layer).sum()
}

/// Loads a file, and runs it twice if it is accepted: in an arena of 0x55 and in one of 0xAA. The results must be the same, that is,
/// no layer reads a byte that none has written, and nothing outside the plan is touched.
pub fn judge(file: &[u8]) -> Outcome {
    let model = match Model::load(file) {
        Ok(model) => model,
        Err(error) => return Outcome::Refused(error.reason),
    };
    let input = test_input(&model);
    let size = model.description().arena_bytes as usize;
    let once = |filler: i8| {
        let mut arena = vec![filler; size + 64];
        let mut digests = LayerDigests::default();
        let output = run(&model, &mut Portable, &mut digests, &input, &mut arena).unwrap();
        let result = (output.label, output.scores.to_vec(), digests.finish());
        assert_eq!(result.1.len(), model.output().shape.elements());
        assert!(arena[size..].iter().all(|&byte| byte == filler), "written behind the arena");
        result
    };
    let (first, second) = (once(0x55), once(-0x56));
    assert_eq!(first, second, "the result depends on what was in the arena");
    Outcome::Accepted { digest: first.2, work: work(&model) }
}

/// An accepted file, for a run on a board.
pub struct Accepted {
    /// The number of [`mutated_file`] that made it.
    pub number: u32,
    /// The file.
    pub file: Vec<u8>,
    /// The raw input, [`test_input`].
    pub input: Vec<u8>,
    /// The digest over all layers on that input, as the host computes it.
    pub digest: u32,
}

/// The first `count` accepted files of a seed that a small board can take: at most so many bytes of file, arena and work.
pub fn accepted_files(
    seed: u32,
    count: usize,
    file_bytes: usize,
    arena_bytes: u32,
    most_work: u64,
) -> Vec<Accepted> {
    (0..u32::MAX)
        .filter_map(|number| {
            let file = mutated_file(seed, number);
            if file.len() > file_bytes {
                return None;
            }
            let model = Model::load(&file).ok()?;
            if model.description().arena_bytes > arena_bytes || work(&model) > most_work {
                return None;
            }
            let input = test_input(&model);
            match judge(&file) {
                Outcome::Accepted { digest, .. } => Some(Accepted { number, file, input, digest }),
                Outcome::Refused(_) => None,
            }
        })
        .take(count)
        .collect()
}
