//! Everything that is checked once, so that nothing has to be checked while a network runs.

use crate::channels::Channels;
use crate::input::InputMap;
use crate::kernels::Kernels;
use crate::layer::{Layer, MAX_NAME_BYTES};
use crate::layout::PackedWeights;
use crate::model::layers::is_left_out;
use crate::model::{
    ALIGNMENT, InputTensor, LayerOf, MAX_ARENA_BYTES, MAX_INPUTS, MAX_LAYERS, MAX_OUTPUTS,
    MAX_WORK, Model, Task,
};
use crate::operator::{SCRATCH_ALIGNMENT, Weights};
use crate::reason::{Reason, require};
use crate::shape::{Element, Region, Shape};
use crate::tensor::{Operand, Tensor};

/// Largest number of elements of a tensor.
const MAX_ELEMENTS: usize = MAX_ARENA_BYTES as usize;

/// Why a model file is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadError {
    /// What is wrong.
    pub reason: Reason,
    /// The layer in which it is wrong, counted from 0; `None` for the file as a whole.
    pub layer: Option<u16>,
}

impl LoadError {
    pub(super) const fn model(reason: Reason) -> Self {
        Self { reason, layer: None }
    }
}

impl core::fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.layer {
            Some(layer) => write!(formatter, "layer {layer}: {}", self.reason.sentence()),
            None => formatter.write_str(self.reason.sentence()),
        }
    }
}

impl core::error::Error for LoadError {}

/// Checks a model whose header and checksum are right.
pub(super) fn validate<K: Kernels>(model: &Model<'_>) -> Result<(), LoadError> {
    let mut sections = Sections { parameters: model.parameters, end: 0 };
    let mut used_arena = validate_inputs(model, &mut sections).map_err(LoadError::model)?;
    let mut work = 0u64;
    // What the layer before wrote; a first layer reads an input.
    let mut previous = None;
    let mut layers = model.layers_of::<K>();
    for index in 0..model.description.layer_count {
        let at_layer = |reason| LoadError { reason, layer: Some(index) };
        let next = layers.next();
        let Some(LayerOf { layer, .. }) = &next else {
            let left_out = is_left_out::<K>(layers.unread());
            return Err(at_layer(if left_out { Reason::Operator } else { Reason::Layer }));
        };
        // Layers are decoded again and again, by their readers and in every run: a name must not make that expensive.
        require(layer.name.len() <= MAX_NAME_BYTES, Reason::Layer).map_err(at_layer)?;
        let end = validate_layer::<K>(model, index, layer, previous).map_err(at_layer)?;
        previous = Some(layer.output);
        used_arena = used_arena.max(end);
        work = work.saturating_add(work_of(layer));
        if work > MAX_WORK {
            return Err(at_layer(Reason::Work));
        }
        if let Some(weights) = layer.weights() {
            validate_weights(&mut sections, layer, weights).map_err(at_layer)?;
        }
        if let Some(&offset) = layer.operator.constants() {
            sections.next(offset, layer.operator.constant_bytes()).map_err(at_layer)?;
        }
    }
    let nothing_left = layers.unread().is_empty();
    require(nothing_left, Reason::LayerCount).map_err(LoadError::model)?;
    validate_outputs::<K>(model, previous).map_err(LoadError::model)?;
    sections.skip_to(model.parameters.len()).map_err(LoadError::model)?;
    let exact = u64::from(model.description.arena_bytes) == used_arena;
    require(exact, Reason::ArenaSize).map_err(LoadError::model)
}

/// The parameters, taken section by section in the order in which the description names them. So every byte belongs to one section, or to
/// none and is zero, and what validation takes is bounded by the file's length.
struct Sections<'a> {
    parameters: &'a [u8],
    /// Where the last section ended.
    end: usize,
}

impl<'a> Sections<'a> {
    /// Goes on to `place`, over fewer zeros than the widest alignment asks for.
    fn skip_to(&mut self, place: usize) -> Result<(), Reason> {
        let gap = self.parameters.get(self.end..place).ok_or(Reason::Parameters)?;
        require(gap.len() < ALIGNMENT, Reason::Parameters)?;
        self.end = place;
        require(gap.iter().all(|&byte| byte == 0), Reason::Padding)
    }

    /// Takes the next section.
    fn next(&mut self, offset: u32, bytes: usize) -> Result<&'a [u8], Reason> {
        require(offset.is_multiple_of(4), Reason::Parameters)?;
        self.skip_to(offset as usize)?;
        self.end = self.end.saturating_add(bytes);
        self.parameters.get(offset as usize..self.end).ok_or(Reason::Parameters)
    }
}

/// Checks what stands before the layers; returns where the inputs end in the arena.
fn validate_inputs(model: &Model<'_>, sections: &mut Sections<'_>) -> Result<u64, Reason> {
    let description = &model.description;
    let within = |count: u16, most: usize| count >= 1 && usize::from(count) <= most;
    let counts = within(description.input_count, MAX_INPUTS)
        && within(description.output_count, MAX_OUTPUTS)
        && within(description.layer_count, MAX_LAYERS);
    require(counts, Reason::LayerCount)?;
    require(description.arena_bytes <= MAX_ARENA_BYTES, Reason::ArenaSize)?;
    // No operator of this version keeps anything.
    require(description.state_bytes == 0, Reason::ArenaSize)?;
    let mut used = 0;
    let mut inputs = model.inputs();
    while let Some(input) = inputs.next() {
        used = validate_input(model, &input, sections)?.max(used);
        let region = input.tensor.region();
        let clash = inputs.into_iter().any(|other| region.overlaps(other.tensor.region()));
        require(!clash, Reason::ArenaOverlap)?;
    }
    Ok(used)
}

/// Checks one input; returns where it ends in the arena.
fn validate_input(
    model: &Model<'_>,
    input: &InputTensor<'_>,
    sections: &mut Sections<'_>,
) -> Result<u64, Reason> {
    require(input.name.len() <= MAX_NAME_BYTES, Reason::Layer)?;
    let end = validate_tensor(model, input.tensor)?;
    let quantization = input.quantization;
    let channels = input.tensor.shape.channels;
    require(quantization.maps == 1 || quantization.maps == channels, Reason::InputMap)?;
    let bytes = usize::from(quantization.maps) * InputMap::BYTES;
    let maps = sections.next(quantization.offset, bytes)?;
    for bytes in maps.as_chunks::<{ InputMap::BYTES }>().0 {
        let map = InputMap::from_bytes(*bytes);
        require(map.is_valid(quantization.sample_type), Reason::InputMap)?;
        let [.., unused] = *bytes;
        require(unused == 0, Reason::Padding)?;
    }
    Ok(end)
}

/// Checks that the outputs are there at the end, and that they are what the task is about.
fn validate_outputs<K: Kernels>(model: &Model<'_>, previous: Option<Tensor>) -> Result<(), Reason> {
    for output in model.outputs() {
        require(output.name.len() <= MAX_NAME_BYTES, Reason::Layer)?;
        validate_operand::<K>(model, model.description.layer_count, output.operand, previous)?;
    }
    match model.description.task {
        Task::Classification { .. } | Task::Regression { .. } => Ok(()),
        Task::Reconstruction { rescale, .. } => {
            require(rescale.is_valid(), Reason::Rescale)?;
            let (input, output) = (model.input().tensor.shape, model.output().shape);
            require(input.elements() == output.elements(), Reason::Task)
        }
    }
}

/// Checks shape, type and place of a tensor; returns where it ends in the arena.
fn validate_tensor(model: &Model<'_>, tensor: Tensor) -> Result<u64, Reason> {
    let Shape { height, width, channels } = tensor.shape;
    let elements = u64::from(height) * u64::from(width) * u64::from(channels);
    require(elements > 0 && elements <= MAX_ELEMENTS as u64, Reason::Shape)?;
    require(tensor.element == Element::I8, Reason::Element)?;
    validate_region(model, tensor.region())
}

/// Checks that a region lies inside the arena; returns where it ends.
fn validate_region(model: &Model<'_>, region: Region) -> Result<u64, Reason> {
    let end = u64::from(region.offset) + u64::from(region.bytes);
    require(end <= u64::from(model.description.arena_bytes), Reason::ArenaBounds)?;
    Ok(end)
}

/// Checks everything about a layer but its weights; returns the end of what it uses of the arena. `previous` is what the
/// layer before it wrote.
fn validate_layer<K: Kernels>(
    model: &Model<'_>,
    index: u16,
    layer: &Layer<'_>,
    previous: Option<Tensor>,
) -> Result<u64, Reason> {
    // First of all, so that the compiler sees which operators never come further.
    require(K::computes(layer), Reason::Operator)?;
    let count = layer.operator.operand_count();
    require(layer.inputs.len() == count, Reason::OperandCount)?;
    let mut end = validate_tensor(model, layer.output)?;
    require(layer.activation.min <= layer.activation.max, Reason::Activation)?;
    if layer.scratch.bytes > 0 {
        end = end.max(validate_region(model, layer.scratch)?);
    }
    let scratch = layer.scratch.bytes as usize;
    let needed = layer.operator.portable_scratch(layer.input().shape, layer.output.shape);
    let aligned = layer.scratch.offset.is_multiple_of(SCRATCH_ALIGNMENT) || scratch == 0;
    require(scratch >= needed && aligned, Reason::Scratch)?;

    let output = layer.output.region();
    require(!layer.scratch.overlaps(output), Reason::ArenaOverlap)?;
    let mut others = layer.inputs.iter();
    let mut may_be_output = layer.operator.may_overwrite();
    while let Some(&operand) = others.next() {
        validate_operand::<K>(model, index, operand, previous)?;
        let input = operand.tensor.region();
        let in_place = may_be_output && input == output;
        let clash = (input.overlaps(output) && !in_place)
            || input.overlaps(layer.scratch)
            || others.clone().any(|other| input.overlaps(other.tensor.region()));
        require(!clash, Reason::ArenaOverlap)?;
        // Only the first may be.
        may_be_output = false;
    }
    layer.operator.check(&layer.tensors())?;
    Ok(end)
}

/// Checks that an operand is what its source wrote, and that nothing has overwritten it since.
fn validate_operand<K: Kernels>(
    model: &Model<'_>,
    reader: u16,
    operand: Operand,
    previous: Option<Tensor>,
) -> Result<(), Reason> {
    let inputs = model.description.input_count;
    let layers_before = operand.source.checked_sub(inputs);
    // Nearly every layer reads the one before it; only the others cost a pass over the layers in between.
    if let (Some(source), Some(previous)) = (layers_before, previous)
        && source + 1 == reader
    {
        return require(operand.tensor == previous, Reason::Source);
    }
    // From here on, the number of layers that have run when the operand is complete.
    let complete = match layers_before {
        Some(source) => {
            require(source < reader, Reason::Source)?;
            source + 1
        }
        None => {
            let written = model.inputs().nth(usize::from(operand.source));
            let same = written.is_some_and(|input| operand.tensor == input.tensor);
            require(same, Reason::Source)?;
            0
        }
    };
    let region = operand.tensor.region();
    for (index, LayerOf { layer, .. }) in (0..reader).zip(model.layers_of::<K>()) {
        if index + 1 == complete {
            require(operand.tensor == layer.output, Reason::Source)?;
        }
        let overwritten = region.overlaps(layer.output.region()) || region.overlaps(layer.scratch);
        require(index < complete || !overwritten, Reason::ArenaOverlap)?;
    }
    Ok(())
}

/// Multiply-accumulates, or window elements, plus elements read and written.
fn work_of(layer: &Layer<'_>) -> u64 {
    let outputs = layer.output.shape.elements() as u64;
    layer
        .macs()
        .saturating_add(outputs.saturating_mul(layer.operator.reads_per_output() as u64))
        .saturating_add(layer.input().shape.elements() as u64)
}

/// Checks weights and channel table, and proves that no input can overflow an accumulator:
/// `Σ|w| · 128 + |bias| ≤` the limit of the channel's rescaling.
fn validate_weights(
    sections: &mut Sections<'_>,
    layer: &Layer<'_>,
    weights: Weights,
) -> Result<(), Reason> {
    let Weights { bit_width, layout, .. } = weights;
    let (rows, row_length) = (layer.rows(), layer.row_length());
    let bytes = PackedWeights::bytes_for(bit_width, layout, rows, row_length);
    let bytes = sections.next(weights.offset, bytes)?;
    let packed = PackedWeights { bytes, bit_width, layout, row_length };
    let entries = layer.channel_entries();
    let table = sections.next(weights.channels, entries.saturating_mul(Channels::BYTES))?;
    let channels = Channels::new(table, entries).ok_or(Reason::Parameters)?;
    let (padded_rows, padded_length) = packed.padded(rows);
    for row in 0..padded_rows {
        let length = if row < rows { row_length } else { 0 };
        let magnitude = row_magnitude(&packed, row, length, padded_length)?;
        // Behind the last row there is no entry. Each entry of a row is for a part of it, which is no larger than the whole.
        let mut entry = if row < rows { row } else { entries };
        while entry < entries {
            let channel = channels.entry(entry);
            require(channel.rescale.is_valid(), Reason::Rescale)?;
            let bound = magnitude * 128 + u64::from(channel.bias.unsigned_abs());
            require(bound <= u64::from(channel.rescale.accumulator_limit()), Reason::Accumulator)?;
            entry = entry.saturating_add(rows);
        }
    }
    Ok(())
}

/// `Σ|w|` of the first `length` weights of a packed row; what stands behind them, up to `padded_length`, must be zero bits.
fn row_magnitude(
    packed: &PackedWeights<'_>,
    row: usize,
    length: usize,
    padded_length: usize,
) -> Result<u64, Reason> {
    const PIECE: usize = 4 * PackedWeights::PIECE;
    let (min, max) = (packed.bit_width.min(), packed.bit_width.max());
    let empty = packed.empty();
    let mut magnitude = 0u64;
    let mut first = 0;
    while first < padded_length {
        let mut weights = [0i8; PIECE];
        packed.unpack(row, first, &mut weights);
        let mut sum = 0u32;
        for (index, &weight) in (first..padded_length).zip(&weights) {
            if index >= length {
                require(weight == empty, Reason::Padding)?;
            } else {
                let weight = i32::from(weight);
                require(weight >= min && weight <= max, Reason::Weight)?;
                sum += weight.unsigned_abs();
            }
        }
        magnitude += u64::from(sum);
        first += PIECE;
    }
    require(packed.ends_clear(row), Reason::Padding)?;
    Ok(magnitude)
}
