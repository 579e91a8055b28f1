//! Model files that no loader should accept, for what takes them at their word: sizes of 0 and of the largest, shapes that do not belong
//! together, sections that are not there.

use tinyhero_common::layer::Layer;
use tinyhero_common::layout::Layout;
use tinyhero_common::model::{MAX_LAYERS, Model};
use tinyhero_common::operator::{
    Add, AveragePool2d, Concatenate, Convolution2d, DepthwiseConvolution2d, FullyConnected,
    GroupedConvolution2d, Gru, Lstm, MaxPool2d, MeanPool2d, Multiply, Operator, Resize2d, Softmax,
    Table, TransposedConvolution2d, Weights,
};
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::shape::{Element, Shape, Window};
use tinyhero_common::tensor::Operands;
use tinyhero_tests::Generator;

use crate::crafted::Crafted;

/// What one inference may take at most, so that a board gets through many.
const MOST_STEPS: u64 = 60_000;

/// The file of a seed and a number, most of its weights in `layouts`: a valid model with one to four fields that are wrong.
pub fn hostile_file(layouts: &'static [Layout], seed: u32, number: u32) -> Vec<u8> {
    let mut generator = Generator::new(seed, number);
    let generator = &mut generator;
    if generator.chance(5) {
        return one_size_of_zero(generator, layouts);
    }
    let layouts = if generator.chance(14) { layouts } else { &Layout::ALL };
    // Some kernels take windows of three by three alone.
    let kernel = generator.pick(None, &[Some(3)]);
    let mut model = Crafted::random_in(generator, layouts, kernel);
    for _ in 0..generator.between(1, 4) {
        damage(generator, &mut model);
    }
    // Operands that follow their sources bring the damage to the kernels; others stay what they were.
    if generator.chance(10) {
        model.relink();
    }
    if generator.chance(8) {
        model.repack();
    }
    model.file()
}

/// A model that the fast kernels take in all but one size, which is 0.
fn one_size_of_zero(generator: &mut Generator, layouts: &'static [Layout]) -> Vec<u8> {
    let mut model = Crafted::random_in(generator, layouts, Some(3));
    for layer in &mut model.layers {
        layer.activation = ActivationRange::FULL;
    }
    let index = generator.below(model.layers.len() as u32) as usize;
    let layer = &mut model.layers[index];
    let shape = &mut layer.output.shape;
    let of_window = match &mut layer.operator {
        Operator::Convolution2d(Convolution2d { window, .. })
        | Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, .. })
        | Operator::AveragePool2d(AveragePool2d { window, .. })
        | Operator::MaxPool2d(MaxPool2d { window })
        | Operator::MeanPool2d(MeanPool2d { window, .. })
        | Operator::TransposedConvolution2d(TransposedConvolution2d { window, .. })
        | Operator::GroupedConvolution2d(GroupedConvolution2d { window, .. }) => Some(window),
        _ => None,
    };
    match (of_window, generator.below(7)) {
        (Some(window), 0) => window.kernel_height = 0,
        (Some(window), 1) => window.kernel_width = 0,
        (Some(window), 2) => window.stride_height = 0,
        (Some(window), 3) => window.stride_width = 0,
        (_, 4) => shape.height = 0,
        (_, 5) => shape.channels = 0,
        _ => shape.width = 0,
    }
    model.relink();
    model.file()
}

/// A file for the test: the loader refuses it, it can be taken at its word, and running it ends soon.
pub fn is_worth_running(file: &[u8], arena_bytes: u32) -> bool {
    Model::load(file).is_err()
        && Model::load_trusted(file).is_ok_and(|model| {
            model.description().arena_bytes <= arena_bytes && steps(&model) <= MOST_STEPS
        })
}

/// More than the kernels' loops go round in one inference.
fn steps(model: &Model<'_>) -> u64 {
    let at_least_one = |size: u16| u64::from(size.max(1));
    let of_layer = |layer: Layer<'_>| {
        let Shape { height, width, channels } = layer.output.shape;
        let input = layer.input().shape;
        let window = match layer.operator {
            Operator::Convolution2d(Convolution2d { window, .. })
            | Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, .. })
            | Operator::AveragePool2d(AveragePool2d { window, .. })
            | Operator::MaxPool2d(MaxPool2d { window })
            | Operator::MeanPool2d(MeanPool2d { window, .. })
            | Operator::TransposedConvolution2d(TransposedConvolution2d { window, .. })
            | Operator::GroupedConvolution2d(GroupedConvolution2d { window, .. }) => {
                window.taps() as u64 + 1
            }
            Operator::FullyConnected(_) => {
                at_least_one(input.height).saturating_mul(at_least_one(input.width))
            }
            _ => 1,
        };
        let channels = match layer.operator {
            Operator::Convolution2d(_)
            | Operator::FullyConnected(_)
            | Operator::TransposedConvolution2d(_)
            | Operator::GroupedConvolution2d(_) => {
                at_least_one(channels).saturating_mul(at_least_one(input.channels))
            }
            _ => at_least_one(channels).max(at_least_one(input.channels)),
        };
        [at_least_one(height), at_least_one(width), channels, window]
            .into_iter()
            .fold(1, u64::saturating_mul)
    };
    model.layers().take(MAX_LAYERS).map(of_layer).fold(0, u64::saturating_add)
}

/// A size, most often an edge.
fn size(generator: &mut Generator, old: u32) -> u32 {
    match generator.below(8) {
        0..=2 => 0,
        3 => generator.pick(1, &[2, 3, 4, 5, 8, 15, 16, 17, 31, 33, 64]),
        4 => generator.pick(254, &[255, 256, 257, 65_534, 65_535]),
        5 => generator.below(24),
        _ => old.wrapping_add(generator.pick(1, &[u32::MAX, 2, 3, 4])),
    }
}

fn damage(generator: &mut Generator, model: &mut Crafted) {
    let count = model.layers.len() as u32;
    if generator.chance(3) {
        let input = &mut model.inputs[0];
        match generator.below(6) {
            0 => {
                let maps = &mut input.quantization.maps;
                *maps = size(generator, u32::from(*maps)) as u16;
            }
            1 => input.quantization.offset = size(generator, 0),
            2 => damage_shape(generator, &mut model.outputs[0].operand.tensor.shape),
            3 => input.tensor.element = generator.pick(Element::I8, &Element::ALL),
            _ => damage_shape(generator, &mut input.tensor.shape),
        }
        return;
    }
    let index = generator.below(count) as usize;
    if generator.chance(2) {
        // The operator of another layer, with what it has of weights.
        model.layers[index].operator = model.layers[generator.below(count) as usize].operator;
        return;
    }
    let layer = &mut model.layers[index];
    match generator.below(12) {
        0..=4 => damage_shape(generator, &mut layer.output.shape),
        5 => damage_inputs(generator, &mut layer.inputs),
        6 => layer.scratch.bytes = size(generator, layer.scratch.bytes),
        7 => layer.scratch.offset = size(generator, layer.scratch.offset),
        8 => layer.output.offset = size(generator, layer.output.offset),
        _ => damage_operator(generator, layer),
    }
}

/// Another shape, type or place of one tensor that is read, or more or fewer tensors.
fn damage_inputs(generator: &mut Generator, inputs: &mut Operands) {
    let count = inputs.len() as u32;
    if count == 0 {
        return;
    }
    match generator.below(6) {
        0 => inputs.truncate(inputs.len() - 1),
        1 => {
            // There may be as many as there is room for.
            let _ = inputs.push(inputs[0]);
        }
        kind => {
            let tensor = &mut inputs[generator.below(count) as usize].tensor;
            match kind {
                2 => tensor.element = generator.pick(Element::I8, &Element::ALL),
                3 => tensor.offset = size(generator, tensor.offset),
                _ => damage_shape(generator, &mut tensor.shape),
            }
        }
    }
}

fn damage_shape(generator: &mut Generator, shape: &mut Shape) {
    let field = match generator.below(3) {
        0 => &mut shape.height,
        1 => &mut shape.width,
        _ => &mut shape.channels,
    };
    *field = size(generator, u32::from(*field)) as u16;
}

fn damage_operator(generator: &mut Generator, layer: &mut Layer<'static>) {
    match &mut layer.operator {
        Operator::GroupedConvolution2d(grouped) if generator.chance(6) => {
            match generator.below(3) {
                0 => grouped.groups = size(generator, grouped.groups.into()) as u16,
                1 => grouped.dilation_height = size(generator, 1) as u8,
                _ => grouped.dilation_width = size(generator, 1) as u8,
            }
        }
        Operator::Resize2d(Resize2d { rows, columns, .. }) => {
            let axis = if generator.chance(8) { rows } else { columns };
            match generator.below(3) {
                0 => axis.step = size(generator, axis.step.into()) as u16,
                1 => axis.start = size(generator, 0) as i16,
                _ => axis.divisor = size(generator, axis.divisor.into()) as u16,
            }
        }
        Operator::Convolution2d(Convolution2d { window, weights })
        | Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, weights })
        | Operator::TransposedConvolution2d(TransposedConvolution2d { window, weights })
        | Operator::GroupedConvolution2d(GroupedConvolution2d { window, weights, .. }) => {
            if generator.chance(11) {
                damage_window(generator, window);
            } else {
                damage_weights(generator, weights);
            }
        }
        Operator::FullyConnected(FullyConnected { weights }) => damage_weights(generator, weights),
        Operator::Lstm(Lstm { weights, gate_bits: bits, rescale, .. })
        | Operator::Gru(Gru { weights, gate_bits: bits, rescale, .. }) => {
            damage_weights(generator, weights);
            *bits = generator.pick(*bits, &[0, 3, 13, 255]);
            rescale.shift = generator.activation();
        }
        Operator::AveragePool2d(AveragePool2d { window, rescale })
        | Operator::MeanPool2d(MeanPool2d { window, rescale }) => {
            damage_window(generator, window);
            rescale.shift = generator.activation();
        }
        Operator::MaxPool2d(MaxPool2d { window }) => damage_window(generator, window),
        Operator::Add(Add { rescale }) => rescale.shift = generator.next_word() as u8,
        Operator::Softmax(Softmax { exponent_multiplier }) => {
            *exponent_multiplier = generator.next_word()
        }
        Operator::Multiply(Multiply { rescale }) => rescale.shift = generator.activation(),
        Operator::Concatenate(Concatenate { other_rescale, .. }) => {
            other_rescale.shift = generator.activation();
        }
        Operator::Table(Table { entries }) => *entries = size(generator, *entries) & !3,
    }
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
    *field = size(generator, u32::from(*field)) as u8;
}

fn damage_weights(generator: &mut Generator, weights: &mut Weights) {
    match generator.below(4) {
        0 => weights.offset = size(generator, weights.offset) & !3,
        1 => weights.channels = size(generator, weights.channels) & !3,
        2 => weights.offset = generator.pick(u32::MAX - 3, &[1 << 31, 1 << 24]),
        _ => {
            let widths = &tinyhero_common::bit_width::BitWidth::ALL;
            weights.bit_width = generator.pick(widths[0], widths);
        }
    }
}
