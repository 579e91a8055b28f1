//! What a model file holds, for people and for programs.

use crate::data::to_hex;
use crate::deployment::integer_network::decode_scale;
use crate::deployment::meaning::notes_in;
use crate::deployment::notes::{Column, Notes};
use crate::plain::plain;
use serde::Serialize;
use tinyhero_common::channels::Channels;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::model::{InputTensor, Model, OutputTensor};
use tinyhero_common::shape::Shape;
use tinyhero_common::tensor::{SampleType, Tensor};

/// A model file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// Name of the network.
    pub name: String,
    /// Length of the file.
    pub bytes: usize,
    /// Arena that one inference needs, in bytes.
    pub arena: u32,
    /// The file's checksum, eight hexadecimal digits.
    pub digest: String,
    /// Digest over all layers of the built-in self-test, eight hexadecimal digits.
    pub self_test: String,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Class names.
    pub labels: Vec<String>,
    /// What the model reads; the first input, where there are several.
    pub input: InspectedInput,
    /// All inputs. Their raw samples follow one another in this order.
    pub inputs: Vec<InspectedInput>,
    /// All outputs; the first has the answer.
    pub outputs: Vec<InspectedOutput>,
    /// Where the model comes from.
    pub provenance: InspectedProvenance,
    /// Layers in the order in which they run.
    pub layers: Vec<InspectedLayer>,
}

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedProvenance {
    /// The program that wrote the file; empty if unknown.
    pub tool: String,
    /// SHA-256 of the trained network in hex; empty if there was none.
    pub network: String,
    /// SHA-256 of the data that it was trained on in hex, if it was.
    pub data: Option<String>,
    /// The rule of the data's split.
    pub split: Option<String>,
    /// The seed of the data's split.
    pub split_seed: Option<u64>,
}

/// What the raw values of a column mean: `value = offset + step * raw`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedColumn {
    /// Its name; its number from 1 where it has none.
    pub name: String,
    /// The unit of its values; empty if unknown.
    pub unit: String,
    /// The value for which raw is 0.
    pub offset: f64,
    /// The value's change from one raw number to the next.
    pub step: f64,
}

impl std::fmt::Display for InspectedColumn {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, unit, offset, step } = self;
        match (*offset, *step) {
            (0.0, 1.0) => write!(formatter, "{name}: raw = value")?,
            _ => write!(formatter, "{name}: raw = (value - {offset:?}) / {step:?}")?,
        }
        if !unit.is_empty() {
            write!(formatter, " {unit}")?;
        }
        Ok(())
    }
}

/// An output of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedOutput {
    /// Its name.
    pub name: String,
    /// Height, width, channels.
    pub shape: [u16; 3],
    /// Real step of the quantized output.
    pub scale: f64,
    /// Value that stands for real zero.
    pub zero_point: i8,
    /// Where it begins in the arena.
    pub offset: u32,
}

/// An input of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedInput {
    /// Its name.
    pub name: String,
    /// `u8` or `i16`.
    pub sample_type: &'static str,
    /// Height, width, channels.
    pub shape: [u16; 3],
    /// Bytes of one raw sample.
    pub bytes: usize,
    /// Real step of the quantized input.
    pub scale: f64,
    /// Value that stands for real zero.
    pub zero_point: i8,
    /// What raw values stand for, one a value of a sample; empty where they are all there is.
    pub column_maps: Vec<InspectedColumn>,
}

/// A layer of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InspectedLayer {
    /// Its name.
    pub name: String,
    /// What it computes.
    pub operator: &'static str,
    /// Bits of each weight; absent for operators without weights.
    pub bits: Option<u32>,
    /// The order of its packed weights; absent for operators without weights.
    pub layout: Option<&'static str>,
    /// Number of weights.
    pub weights: usize,
    /// Bytes of its weights and channel table in the file.
    pub bytes: usize,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Height, width, channels of what it writes.
    pub shape: [u16; 3],
    /// Real step of its output.
    pub scale: f64,
    /// Output value that stands for real zero.
    pub zero_point: i8,
    /// Where its output is cut off.
    pub activation: [i8; 2],
    /// Where its output begins in the arena.
    pub offset: u32,
    /// Scratch bytes that it has while it runs.
    pub scratch: u32,
    /// Scratch bytes that the kernels want which its layout is made for. With less, a board runs the layer with the portable ones.
    pub scratch_wanted: usize,
}

/// Describes a loaded model whose file has `bytes` bytes.
pub fn inspect(model: &Model<'_>, bytes: usize) -> Inspection {
    let description = model.description();
    let notes = notes_in(model);
    let inputs: Vec<InspectedInput> = model
        .inputs()
        .enumerate()
        .map(|(position, input)| inspect_input(&input, columns(&notes, position)))
        .collect();
    let layers: Vec<InspectedLayer> = model.layers().map(|layer| inspect_layer(&layer)).collect();
    Inspection {
        name: description.name.to_string(),
        bytes,
        arena: description.arena_bytes,
        digest: format!("{:08x}", model.digest()),
        self_test: format!("{:08x}", description.self_test.digest),
        macs: layers.iter().map(|layer| layer.macs).sum(),
        labels: model.labels().map(|label| label.to_string()).collect(),
        input: inspect_input(&model.input(), columns(&notes, 0)),
        inputs,
        outputs: model.outputs().map(|output| inspect_output(&output)).collect(),
        provenance: provenance(&notes),
        layers,
    }
}

fn inspect_input(input: &InputTensor<'_>, column_maps: Vec<InspectedColumn>) -> InspectedInput {
    InspectedInput {
        name: input.name.to_string(),
        sample_type: match input.quantization.sample_type {
            SampleType::U8 => "u8",
            SampleType::I16 => "i16",
        },
        shape: sizes(input.tensor.shape),
        bytes: input.raw_bytes(),
        scale: decode_scale(input.tensor.scale),
        zero_point: input.tensor.zero_point,
        column_maps,
    }
}

fn inspect_output(output: &OutputTensor<'_>) -> InspectedOutput {
    let tensor = output.operand.tensor;
    InspectedOutput {
        name: output.name.to_string(),
        shape: sizes(tensor.shape),
        scale: decode_scale(tensor.scale),
        zero_point: tensor.zero_point,
        offset: tensor.offset,
    }
}

/// The columns of the input in that position.
fn columns(notes: &Notes, input: usize) -> Vec<InspectedColumn> {
    let columns = notes.inputs.get(input).map_or(&[][..], |input| &input.columns);
    let column = |(index, column): (usize, &Column)| InspectedColumn {
        name: match column.name.as_str() {
            "" => format!("column {}", index + 1),
            // A name comes from a file: what a terminal obeys is left out.
            name => plain(name),
        },
        unit: plain(&column.unit),
        offset: column.offset,
        step: column.step,
    };
    columns.iter().enumerate().map(column).collect()
}

fn provenance(notes: &Notes) -> InspectedProvenance {
    let data = notes.provenance.data.as_ref();
    InspectedProvenance {
        tool: plain(&notes.provenance.tool),
        network: to_hex(&notes.provenance.network),
        data: data.map(|origin| to_hex(&origin.digest)),
        split: data.map(|origin| plain(&origin.split)),
        split_seed: data.map(|origin| origin.split_seed),
    }
}

impl InspectedLayer {
    /// What there is to say of a layer that a board runs with the portable kernels though its layout has others; `None` for all others.
    pub fn warning(&self) -> Option<String> {
        (usize::try_from(self.scratch).is_ok_and(|bytes| bytes < self.scratch_wanted)).then(|| {
            format!(
                "layer '{}' runs with the portable kernels, slowly: it has {} bytes of scratch memory, those of its layout want {}; \
                 export the model again",
                self.name, self.scratch, self.scratch_wanted
            )
        })
    }
}

/// The name of a layout in reports.
pub const fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::Rows => "rows",
        Layout::ChannelPairs => "channel-pairs",
        Layout::ChannelQuads => "channel-quads",
        Layout::FieldQuads => "field-quads",
        Layout::VectorPairs => "vector-pairs",
        Layout::VectorRows => "vector-rows",
    }
}

/// Bytes of a layer's weights and channel table in the model file.
pub fn parameter_bytes(layer: &Layer<'_>) -> usize {
    layer.weights().map_or(0, |weights| {
        let (rows, row_length) = (layer.rows(), layer.row_length());
        PackedWeights::bytes_for(weights.bit_width, weights.layout, rows, row_length)
            + layer.channel_entries() * Channels::BYTES
    })
}

const fn sizes(shape: Shape) -> [u16; 3] {
    [shape.height, shape.width, shape.channels]
}

fn inspect_layer(layer: &Layer<'_>) -> InspectedLayer {
    let Tensor { shape, offset, zero_point, scale, .. } = layer.output;
    let (rows, row_length) = (layer.rows(), layer.row_length());
    InspectedLayer {
        name: layer.name.to_string(),
        operator: layer.operator.name(),
        bits: layer.weights().map(|weights| weights.bit_width.bits()),
        layout: layer.weights().map(|weights| layout_name(weights.layout)),
        weights: rows * row_length,
        bytes: parameter_bytes(layer),
        macs: layer.macs(),
        shape: sizes(shape),
        scale: decode_scale(scale),
        zero_point,
        activation: [layer.activation.min, layer.activation.max],
        offset,
        scratch: layer.scratch.bytes,
        scratch_wanted: layer.operator.scratch(layer.input().shape, shape),
    }
}
