//! From the layers of a quantized model to a network of integers.
//!
//! Weights, scales, zero points and ranges stay as they are. Only the ratio of scales loses bits: it
//! has 15 here, 31 in other runtimes.

use super::Unsupported;
use super::layer::{Grid, Input, Kind, Layer, Layers, Sliding, Weights};
use super::operation::Unary;
use super::passes::constants::apply;
use crate::data::SampleShape;
use crate::deployment::integer_network::{
    IntegerInput, IntegerLayer, IntegerNetwork, IntegerOutput, IntegerTensor, IntegerWeights,
    OutputTask,
};
use crate::deployment::meaning::TOOL;
use crate::deployment::notes::{Column, InputNotes, Notes, Provenance};
use crate::deployment::quantizer::{add_rescale, exponent_multiplier, input_map, rescale};
use crate::graph::sampling::WIDE_POSITIONS;
use crate::graph::task::Task;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::Layout;
use tinyhero_common::operator::{
    Add, AveragePool2d, Concatenate, Convolution2d, DepthwiseConvolution2d, FullyConnected,
    GroupedConvolution2d, MaxPool2d, MeanPool2d, Multiply, Operator, Softmax, Table,
    TransposedConvolution2d, Weights as Place,
};
use tinyhero_common::requantize::{ActivationRange, Rescale};
use tinyhero_common::shape::{Shape, Window};
use tinyhero_common::tensor::SampleType;

/// A raw sample is the model's integer plus this, so that it is a byte.
pub const RAW_OFFSET: i16 = 128;
/// Ratio of scales for a channel whose own is out of range: its output hardly varies.
const CONSTANT_RATIO: f64 = 1.0 / 256.0;
/// Largest magnitude of a bias.
const BIAS_MAX: f64 = (1 << 30) as f64;

type Refusal = (String, String);
type Step<T> = std::result::Result<T, Refusal>;

fn refuse<T>(why: impl Into<String>, advice: impl Into<String>) -> Step<T> {
    Err((why.into(), advice.into()))
}

/// Whether every range that integers need is stated, so that nothing has to be calibrated.
pub fn is_quantized(layers: &Layers) -> bool {
    let fused = fuse(layers);
    fused.inputs.iter().all(|input| input.quantization.is_some())
        && fused.layers.iter().all(|layer| layer.grid.is_some() || layer.kind == Kind::Softmax)
}

/// The network; or what integers cannot express.
pub fn lower(
    layers: &Layers,
    task: Task,
    class_names: Vec<String>,
    source: &str,
) -> std::result::Result<IntegerNetwork, Vec<Unsupported>> {
    let fused = fuse(layers);
    let task = match task {
        Task::Classification => OutputTask::Classification { labels: class_names },
        Task::Regression => OutputTask::Regression { names: Vec::new(), units: Vec::new() },
        Task::Reconstruction => OutputTask::Reconstruction { threshold: None },
    };
    let notes = notes(layers, source);
    let mut unsupported = Vec::new();
    let mut note = |node: &str, operator: &str, (why, advice): Refusal| {
        let (node, operator) = (node.to_string(), operator.to_string());
        unsupported.push(Unsupported { node, operator, why, advice });
    };
    let mut inputs = Vec::with_capacity(fused.inputs.len());
    for input in &fused.inputs {
        let map = input_map(1.0, f64::from(-RAW_OFFSET), SampleType::U8);
        let (Ok(tensor), Some(map)) = (tensor(input.shape, input.quantization), map) else {
            let refusal = ("has no scale".to_string(), "quantize the input too".to_string());
            note(&input.name, "", refusal);
            return Err(unsupported);
        };
        let name = if fused.inputs.len() == 1 { "input" } else { &input.name };
        let (name, sample_type) = (name.to_string(), SampleType::U8);
        inputs.push(IntegerInput { name, sample_type, maps: vec![map], tensor });
    }
    let mut network = IntegerNetwork {
        name: fused.name.clone(),
        task,
        inputs,
        layers: Vec::new(),
        outputs: fused.outputs,
        notes,
    };
    let mut tensors: Vec<Option<IntegerTensor>> =
        network.inputs.iter().map(|input| Some(input.tensor)).collect();
    for layer in &fused.layers {
        let inputs: Option<Vec<IntegerTensor>> =
            layer.inputs.iter().map(|&number| tensors[number]).collect();
        let Some(inputs) = inputs else {
            tensors.push(None);
            continue;
        };
        match lower_layer(layer, &inputs) {
            Ok(lowered) => {
                tensors.push(Some(lowered.output));
                network.layers.push(lowered);
            }
            Err(refusal) => {
                note(&layer.name, &layer.operator, refusal);
                tensors.push(None);
            }
        }
    }
    if unsupported.is_empty() { Ok(network) } else { Err(unsupported) }
}

/// Samples with at most so many values have a column for each.
const MOST_COLUMNS: usize = 256;

/// What raw bytes stand for, and where the model comes from.
fn notes(layers: &Layers, source: &str) -> Notes {
    let notes = |input: &Input| {
        let shape = input.shape;
        let column = input.quantization.map(|grid| Column {
            name: String::new(),
            unit: String::new(),
            offset: -grid.scale * f64::from(i16::from(grid.zero_point) + RAW_OFFSET),
            step: grid.scale,
        });
        // Images come as bytes, other data in its own units.
        let is_image = shape.height > 1 && shape.width > 1;
        let count = match layers.inputs.len() {
            1 if is_image || shape.elements() > MOST_COLUMNS => 0,
            1 => shape.elements(),
            // Several come together, and say what they are.
            _ => shape.channels.min(MOST_COLUMNS),
        };
        let columns = column.map_or_else(Vec::new, |column| vec![column; count]);
        InputNotes { columns, ..InputNotes::default() }
    };
    Notes {
        inputs: layers.inputs.iter().map(notes).collect(),
        provenance: Provenance {
            tool: TOOL.to_string(),
            imported_from: Some(source.to_string()),
            ..Provenance::default()
        },
    }
}

/// Layers with their activations, affine maps folded away.
struct Fused {
    layers: Vec<FusedLayer>,
    name: String,
    inputs: Vec<Input>,
    outputs: Vec<IntegerOutput>,
}

struct FusedLayer {
    name: String,
    operator: String,
    kind: Kind,
    inputs: Vec<usize>,
    shape: SampleShape,
    grid: Option<Grid>,
    activation: Option<bool>,
}

/// Affine maps go into the weights before them, activations into what comes before them, where
/// nothing else reads what is between.
fn fuse(source: &Layers) -> Fused {
    let mut layers = source.clone();
    let mut activations: Vec<Option<bool>> = vec![None; layers.layers.len()];
    let mut index = 0;
    while index < layers.layers.len() {
        let layer = layers.layers[index].clone();
        let before = layers.layer_of(layer.inputs[0]);
        let alone = |layers: &Layers| layers.readers()[layer.inputs[0]] == 1;
        let Some(before) = before.filter(|_| alone(&layers)) else {
            index += 1;
            continue;
        };
        let merged = match &layer.kind {
            Kind::Affine { gain, shift } => {
                let target = &mut layers.layers[before];
                let free = target.grid.is_none() && activations[before].is_none();
                match &mut target.kind {
                    Kind::Convolution { weights, .. }
                    | Kind::Depthwise { weights, .. }
                    | Kind::Grouped { weights, .. }
                    | Kind::Transposed { weights, .. }
                    | Kind::FullyConnected { weights }
                        if free =>
                    {
                        weights.scale_rows(gain, shift);
                        true
                    }
                    _ => false,
                }
            }
            Kind::Relu { six } => {
                let target = &layers.layers[before];
                let able = matches!(
                    target.kind,
                    Kind::Convolution { .. }
                        | Kind::Depthwise { .. }
                        | Kind::Grouped { .. }
                        | Kind::Transposed { .. }
                        | Kind::Resize(_)
                        | Kind::FullyConnected { .. }
                        | Kind::Add
                        | Kind::Multiply
                        | Kind::Affine { .. }
                        | Kind::AveragePool { .. }
                        | Kind::GlobalAverage
                        | Kind::Regrid
                );
                let kept = activations[before].is_none_or(|kept| kept == *six);
                if able && kept {
                    activations[before] = Some(*six);
                }
                able && kept
            }
            _ => false,
        };
        if !merged {
            index += 1;
            continue;
        }
        if layer.grid.is_some() {
            layers.layers[before].grid = layer.grid;
        }
        layers.remove(index);
        activations.remove(index);
    }
    // Poolings and activations without a range of their own have that of what they read.
    for index in 0..layers.layers.len() {
        let layer = &layers.layers[index];
        let keeps =
            matches!(layer.kind, Kind::MaxPool { .. } | Kind::Relu { .. } | Kind::Resize(_));
        if layer.grid.is_none() && keeps {
            layers.layers[index].grid = layers.grid(layers.layers[index].inputs[0]);
        }
    }
    let one = layers.outputs.len() == 1;
    let outputs = layers.outputs.into_iter();
    let outputs = outputs.map(|output| IntegerOutput {
        name: if one { "output".to_string() } else { output.name },
        tensor: output.tensor,
    });
    let fused = layers.layers.into_iter().zip(activations);
    Fused {
        layers: fused
            .map(|(layer, activation)| {
                let Layer { name, operator, kind, inputs, shape, grid } = layer;
                FusedLayer { name, operator, kind, inputs, shape, grid, activation }
            })
            .collect(),
        name: layers.name,
        inputs: layers.inputs,
        outputs: outputs.collect(),
    }
}

fn shape(shape: SampleShape) -> Step<Shape> {
    let size = |size: usize| u16::try_from(size).ok();
    match (size(shape.height), size(shape.width), size(shape.channels)) {
        (Some(height), Some(width), Some(channels)) => Ok(Shape { height, width, channels }),
        _ => refuse("has a size above 65535", "use a smaller input"),
    }
}

fn tensor(size: SampleShape, grid: Option<Grid>) -> Step<IntegerTensor> {
    let Some(Grid { scale, zero_point }) = grid else {
        return refuse(
            "has no range for its output",
            "quantize all values, or give --bits so that all ranges are measured again",
        );
    };
    Ok(IntegerTensor { shape: shape(size)?, scale, zero_point })
}

fn byte(size: usize) -> Step<u8> {
    match u8::try_from(size) {
        Ok(size) => Ok(size),
        Err(_) => refuse(format!("has a window or stride of {size}"), "use at most 255"),
    }
}

/// For operators whose output has the scale of their input.
fn keep_scale(input: &IntegerTensor, output: &mut IntegerTensor, place: &str) -> Step<()> {
    if !super::resolve::same(grid_of(input), grid_of(output)) {
        return refuse(
            format!("changes the scale in {place}"),
            "quantize the model again, with one scale before and behind",
        );
    }
    (output.scale, output.zero_point) = (input.scale, input.zero_point);
    Ok(())
}

fn window(sliding: &Sliding) -> Step<Window> {
    let [top, _, left, _] = sliding.border;
    Ok(Window {
        kernel_height: byte(sliding.kernel[0])?,
        kernel_width: byte(sliding.kernel[1])?,
        stride_height: byte(sliding.stride[0])?,
        stride_width: byte(sliding.stride[1])?,
        padding_top: byte(top)?,
        padding_left: byte(left)?,
    })
}

fn range(output: &IntegerTensor, activation: Option<bool>) -> ActivationRange {
    let mut range = ActivationRange::FULL;
    if let Some(six) = activation {
        range.min = output.zero_point;
        if six {
            let top = (6.0 / output.scale).round() + f64::from(output.zero_point);
            range.max = top.clamp(-128.0, 127.0) as i8;
        }
    }
    range
}

fn ratio_of(ratio: f64) -> Step<Rescale> {
    match rescale(ratio) {
        Some(rescale) => Ok(rescale),
        None => refuse(
            format!("needs a ratio of scales of {ratio:e}, outside 2^-25 to 2^6"),
            "quantize the model again with other calibration samples",
        ),
    }
}

fn lower_layer(layer: &FusedLayer, inputs: &[IntegerTensor]) -> Step<IntegerLayer> {
    let input = inputs[0];
    let mut activation = layer.activation;
    let mut weights = None;
    let mut constants = Vec::new();
    let mut output = match layer.kind {
        Kind::Softmax => {
            IntegerTensor { shape: shape(layer.shape)?, scale: 1.0 / 256.0, zero_point: i8::MIN }
        }
        _ => tensor(layer.shape, layer.grid)?,
    };
    let place = Place { bit_width: BitWidth::Eight, layout: Layout::Rows, offset: 0, channels: 0 };
    let mean = |sliding: &Sliding, gain: f64| -> Step<Operator> {
        let ratio = input.scale * gain / output.scale;
        Ok(Operator::AveragePool2d(AveragePool2d {
            window: window(sliding)?,
            rescale: ratio_of(ratio)?,
        }))
    };
    let operator = match &layer.kind {
        Kind::Convolution { sliding, weights: table } => {
            weights = Some(integers(table, &input, &output)?);
            Operator::Convolution2d(Convolution2d { window: window(sliding)?, weights: place })
        }
        Kind::Depthwise { sliding, weights: table } => {
            weights = Some(integers(table, &input, &output)?);
            Operator::DepthwiseConvolution2d(DepthwiseConvolution2d {
                window: window(sliding)?,
                weights: place,
            })
        }
        Kind::Grouped { sliding, dilation, groups, weights: table } => {
            weights = Some(integers(table, &input, &output)?);
            let [dilation_height, dilation_width] = *dilation;
            Operator::GroupedConvolution2d(GroupedConvolution2d {
                window: window(sliding)?,
                dilation_height: byte(dilation_height)?,
                dilation_width: byte(dilation_width)?,
                // Not more than the channels, which fit.
                groups: u16::try_from(*groups).unwrap_or(u16::MAX),
                weights: place,
            })
        }
        Kind::Transposed { sliding, weights: table } => {
            weights = Some(integers(table, &input, &output)?);
            let window = window(sliding)?;
            Operator::TransposedConvolution2d(TransposedConvolution2d { window, weights: place })
        }
        Kind::Resize(sampling) => {
            keep_scale(&input, &mut output, "a resizing")?;
            let extent = |shape: Shape| [shape.height, shape.width].map(usize::from);
            match sampling.operator(extent(input.shape), extent(output.shape)) {
                Some(operator) => Operator::Resize2d(operator),
                None => return refuse(WIDE_POSITIONS, "resize by a whole factor"),
            }
        }
        Kind::FullyConnected { weights: table } => {
            weights = Some(integers(table, &input, &output)?);
            Operator::FullyConnected(FullyConnected { weights: place })
        }
        Kind::Affine { gain, shift } => {
            let table = Weights::real(1, gain.clone(), shift.clone());
            weights = Some(integers(&table, &input, &output)?);
            Operator::DepthwiseConvolution2d(DepthwiseConvolution2d {
                window: window(&Sliding::PIXEL)?,
                weights: place,
            })
        }
        Kind::AveragePool { sliding, count_border } => {
            let [rows, columns] = sliding.kernel;
            if *count_border || sliding.is_inside() {
                mean(sliding, 1.0 / (rows * columns) as f64)?
            } else {
                // Means are taken in parts of 2^-7 of a step.
                let rescale = ratio_of(input.scale / 128.0 / output.scale)?;
                Operator::MeanPool2d(MeanPool2d { window: window(sliding)?, rescale })
            }
        }
        Kind::GlobalAverage => {
            let kernel = [usize::from(input.shape.height), usize::from(input.shape.width)];
            let sliding = Sliding { kernel, stride: [1, 1], border: [0; 4] };
            mean(&sliding, 1.0 / (kernel[0] * kernel[1]) as f64)?
        }
        Kind::Regrid => mean(&Sliding::PIXEL, 1.0)?,
        Kind::Relu { six } => {
            activation = Some(*six);
            if super::resolve::same(grid_of(&input), grid_of(&output)) {
                output.scale = input.scale;
                Operator::MaxPool2d(MaxPool2d { window: window(&Sliding::PIXEL)? })
            } else {
                mean(&Sliding::PIXEL, 1.0)?
            }
        }
        Kind::MaxPool { sliding } => {
            keep_scale(&input, &mut output, "a max pooling")?;
            Operator::MaxPool2d(MaxPool2d { window: window(sliding)? })
        }
        Kind::Add => {
            let [first, second] = inputs else {
                return refuse("adds something other than two values", "add two at a time");
            };
            match add_rescale(first.scale / output.scale, second.scale / output.scale) {
                Some(rescale) => Operator::Add(Add { rescale }),
                None => {
                    return refuse("adds numbers far beyond its own range", "quantize it again");
                }
            }
        }
        Kind::Multiply => {
            let [first, second] = inputs else {
                return refuse(
                    "multiplies something other than two values",
                    "multiply two at a time",
                );
            };
            let rescale = ratio_of(first.scale * second.scale / output.scale)?;
            Operator::Multiply(Multiply { rescale })
        }
        Kind::Concatenate => {
            let [first, second] = inputs else {
                return refuse("puts more than two values side by side", "please report this");
            };
            let rescale = ratio_of(first.scale / output.scale)?;
            let other_rescale = ratio_of(second.scale / output.scale)?;
            Operator::Concatenate(Concatenate { rescale, other_rescale })
        }
        Kind::Softmax => {
            Operator::Softmax(Softmax { exponent_multiplier: exponent_multiplier(input.scale) })
        }
        Kind::Recurrent(_) => {
            return refuse(
                "is a recurrent layer with 8-bit gates",
                "give the float model, and calibration samples by --check or --data",
            );
        }
        Kind::Function(function) => {
            constants = table(*function, &input, &output)?;
            Operator::Table(Table { entries: 0 })
        }
    };
    Ok(IntegerLayer {
        name: layer.name.clone(),
        operator,
        inputs: layer.inputs.clone(),
        weights,
        constants,
        activation: range(&output, activation),
        output,
    })
}

/// What a function gives for each of the 256 integers of its input, as a byte at `q mod 256`.
fn table(function: Unary, input: &IntegerTensor, output: &IntegerTensor) -> Step<Vec<u8>> {
    let entry = |byte: u8| {
        let real = apply(function, input.real(byte.cast_signed()));
        // Where it has no value, as the logarithm of a negative number, the least stands.
        let real = real.unwrap_or(f64::NEG_INFINITY);
        let stored = (real / output.scale + 0.5).floor() + f64::from(output.zero_point);
        (stored.clamp(-128.0, 127.0) as i8).cast_unsigned()
    };
    Ok((0..=u8::MAX).map(entry).collect())
}

const fn grid_of(tensor: &IntegerTensor) -> Grid {
    Grid { scale: tensor.scale, zero_point: tensor.zero_point }
}

/// The integers of a layer's weights: the file's own, or rounded to 8 bits for each output.
fn integers(
    table: &Weights,
    input: &IntegerTensor,
    output: &IntegerTensor,
) -> Step<IntegerWeights> {
    let (values, scales) = match &table.integers {
        Some((values, scales)) => (values.clone(), scales.clone()),
        None => rounded(table),
    };
    let mut weights = IntegerWeights {
        bit_width: BitWidth::Eight,
        row_length: table.row_length,
        values,
        scales,
        biases: Vec::with_capacity(table.rows()),
        rescales: Vec::with_capacity(table.rows()),
    };
    for row in 0..table.rows() {
        let range = row * table.row_length..(row + 1) * table.row_length;
        let mut scale = weights.scales[row];
        let ratio = input.scale * scale / output.scale;
        let empty = weights.values[range.clone()].iter().all(|&weight| weight == 0);
        let large = table.bias[row].abs() / (input.scale * scale) > BIAS_MAX;
        if rescale(ratio).is_none() || large {
            // What such a channel gives hardly depends on the input.
            let magnitude: f64 =
                weights.values[range.clone()].iter().map(|&weight| f64::from(weight).abs()).sum();
            if !empty && magnitude * 255.0 * ratio > 0.5 {
                return refuse(
                    format!(
                        "needs a ratio of scales of {ratio:e} in output {row}, outside 2^-25 to 2^6"
                    ),
                    "quantize the model again with other calibration samples",
                );
            }
            weights.values[range.clone()].fill(0);
            scale = CONSTANT_RATIO * output.scale / input.scale;
            weights.scales[row] = scale;
        }
        let sum: i64 = weights.values[range].iter().map(|&weight| i64::from(weight)).sum();
        let bias = (table.bias[row] / (input.scale * scale)).round()
            - (i64::from(input.zero_point) * sum) as f64;
        if bias.abs() > f64::from(i32::MAX) {
            return refuse(
                format!("has a bias of 33 bits in output {row}"),
                "quantize the model again",
            );
        }
        weights.biases.push(bias as i32);
        weights.rescales.push(ratio_of(input.scale * scale / output.scale)?);
    }
    Ok(weights)
}

/// Weights of 8 bits, one step for each output.
fn rounded(table: &Weights) -> (Vec<i8>, Vec<f64>) {
    let mut values = Vec::with_capacity(table.reals.len());
    let mut scales = Vec::with_capacity(table.rows());
    for row in table.reals.chunks_exact(table.row_length.max(1)) {
        let largest = row.iter().fold(0.0f64, |largest, weight| largest.max(weight.abs()));
        let scale = if largest > 0.0 { largest / 127.0 } else { 1.0 };
        values.extend(row.iter().map(|weight| (weight / scale).round_ties_even() as i8));
        scales.push(scale);
    }
    (values, scales)
}
