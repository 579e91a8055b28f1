//! Runs operator cases on an implementation and compares every element with its definition.

mod recurrence;

use tinyhero_common::channels::{Channel, Channels};
use tinyhero_common::kernels::Kernels;
use tinyhero_common::layout::PackedWeights;
use tinyhero_common::operator::{
    AddJob, ConcatenateJob, ConvolutionJob, FullyConnectedJob, GateRows, GroupedConvolutionJob,
    GruJob, LstmJob, MaxPool2dJob, MultiplyJob, PoolJob, Recurrence, Resize2dJob, SoftmaxJob,
    TableJob,
};

use crate::case::memory::Memory;
use crate::case::{OperatorCase, Workspace};
use crate::definition::{self, Image, Place, Terms};
use crate::mismatch::{Mismatch, Subject};

impl Subject {
    /// Whether the operator has weights and a channel table.
    pub(crate) const fn has_weights(self) -> bool {
        matches!(
            self,
            Self::Convolution2d
                | Self::DepthwiseConvolution2d
                | Self::FullyConnected
                | Self::TransposedConvolution2d
                | Self::GroupedConvolution2d
        ) || self.is_recurrent()
    }

    /// Whether the operator has a hidden state.
    pub(crate) const fn is_recurrent(self) -> bool {
        matches!(self, Self::Lstm | Self::Gru)
    }

    /// Whether the output takes the place of the first operand.
    pub(crate) const fn is_in_place(self) -> bool {
        matches!(self, Self::AddInPlace | Self::TableInPlace | Self::MultiplyInPlace)
    }

    /// Whether the operator reads two tensors.
    pub(crate) const fn has_other(self) -> bool {
        matches!(
            self,
            Self::Add
                | Self::AddInPlace
                | Self::Multiply
                | Self::MultiplyInPlace
                | Self::Concatenate
        )
    }

    /// Whether the operator looks its values up.
    pub(crate) const fn has_table(self) -> bool {
        matches!(self, Self::Table | Self::TableInPlace)
    }
}

/// Runs the cases `first .. first + count` of one of [`Subject::OPERATORS`]. Returns the number of elements compared.
///
/// Apart from the values it checks that nothing outside the output and the scratch bytes is written, with tensors at odd addresses in
/// half of the cases and with no more scratch than the portable kernels need in half.
///
/// # Errors
/// The first element that is not the defined one.
pub fn operator_cases<K: Kernels>(
    kernels: &mut K,
    workspace: &mut Workspace,
    subject: Subject,
    seed: u32,
    first: u32,
    count: u32,
) -> Result<u32, Mismatch> {
    let mut elements = 0u32;
    for number in first..first.saturating_add(count) {
        let case = workspace.prepare(subject, seed, number);
        elements = elements.saturating_add(
            compare(kernels, &mut workspace.memory(), &case)
                .map_err(|fault| fault.mismatch(subject, seed, number))?,
        );
    }
    Ok(elements)
}

/// The first thing that is wrong after a call.
pub(crate) struct Fault {
    element: u32,
    expected: i32,
    got: i8,
}

impl Fault {
    /// As a mismatch of the case that was called.
    pub const fn mismatch(&self, subject: Subject, seed: u32, case: u32) -> Mismatch {
        let Self { element, expected, got } = *self;
        Mismatch { subject, seed, case, element, expected, got: got as i32 }
    }
}

/// Runs one prepared case. Returns the number of elements compared.
pub(crate) fn compare<K: Kernels>(
    kernels: &mut K,
    memory: &mut Memory<'_>,
    case: &OperatorCase,
) -> Result<u32, Fault> {
    run_case(kernels, memory, case);
    if let Some(got) = memory.guard_damage(case) {
        return Err(Fault { element: Mismatch::GUARD, expected: case.filler.into(), got });
    }
    if case.subject.is_recurrent() {
        recurrence::compare(memory, case)?;
        return Ok(case.output.elements() as u32);
    }
    let depth = usize::from(case.input.channels);
    let mut terms = Terms::of(&[], 1);
    for (index, &got) in memory.output(case).iter().enumerate() {
        if case.subject == Subject::Softmax && index.checked_rem(depth).unwrap_or(0) == 0 {
            let pixel = memory.input(case).get(index..index + depth).unwrap_or(&[]);
            terms = Terms::of(pixel, case.exponent_multiplier);
        }
        let expected = defined(memory, case, terms, index);
        if expected != i64::from(got) {
            return Err(Fault { element: index as u32, expected: expected as i32, got });
        }
    }
    Ok(case.output.elements() as u32)
}

/// Element `index` of the output by definition. `terms` are those of its pixel, for softmax.
fn defined(memory: &Memory<'_>, case: &OperatorCase, terms: Terms, index: usize) -> i64 {
    let input = memory.input(case);
    let place = Place::of(index, case.output);
    let row = usize::try_from(place.channel).unwrap_or(0);
    let image = Image {
        values: input,
        shape: case.input,
        zero_point: case.input_zero_point,
        window: case.window,
    };
    let weighted = |sum: i64| {
        let channel = channel(memory.channels(case), usize::from(case.output.channels), row);
        let sum = sum.wrapping_add(i64::from(channel.bias));
        definition::requantize(sum, channel.rescale, case.output_zero_point, case.activation)
    };
    let value = input.get(index).copied().unwrap_or(0);
    match case.subject {
        Subject::Convolution2d => {
            weighted(definition::convolution(image, memory.row(case, row), place))
        }
        Subject::DepthwiseConvolution2d => {
            weighted(definition::depthwise(image, memory.row(case, row), place))
        }
        Subject::FullyConnected => {
            weighted(definition::fully_connected(memory.row(case, row), input))
        }
        Subject::AveragePool2d => {
            let sum = definition::average(image, place);
            definition::requantize(sum, case.rescale, case.output_zero_point, case.activation)
        }
        Subject::MaxPool2d => definition::clamp(definition::maximum(image, place), case.activation),
        Subject::Add | Subject::AddInPlace => {
            let other = memory.other(case).get(index).copied().unwrap_or(0);
            definition::add(&addition(case), value, other)
        }
        Subject::Table | Subject::TableInPlace => definition::table(memory.entries(), value),
        Subject::MeanPool2d => {
            let mean = definition::mean(image, place);
            definition::requantize(mean, case.rescale, case.output_zero_point, case.activation)
        }
        Subject::Multiply | Subject::MultiplyInPlace => {
            let other = memory.other(case);
            let at = index.checked_rem(other.len()).unwrap_or(0);
            definition::multiply(&product(case), value, other.get(at).copied().unwrap_or(0))
        }
        Subject::Concatenate => {
            let pixel = index.checked_div(usize::from(case.output.channels)).unwrap_or(0);
            let part = |values: &'_ [i8], channels: u16| {
                let start = pixel * usize::from(channels);
                start..(start + usize::from(channels)).min(values.len())
            };
            let other = memory.other(case);
            let first = input.get(part(input, case.input.channels)).unwrap_or(&[]);
            let second = other.get(part(other, case.other.channels)).unwrap_or(&[]);
            definition::concatenate(&side_by_side(case), first, second, row)
        }
        Subject::Resize2d => {
            let axes = [case.rows, case.columns];
            definition::resized(image, case.interpolation, axes, place, case.activation)
        }
        Subject::TransposedConvolution2d => {
            weighted(definition::transposed(image, memory.row(case, row), place))
        }
        Subject::GroupedConvolution2d => {
            let of_group = |channels: u16| channels.checked_div(case.groups).unwrap_or(0);
            let inputs = i32::from(of_group(case.input.channels).cast_signed());
            let outputs = i32::from(of_group(case.output.channels).cast_signed());
            let group = place.channel.checked_div(outputs).unwrap_or(0);
            let channels = [group * inputs, inputs];
            let weights = memory.row(case, row);
            weighted(definition::grouped(image, weights, place, case.dilation, channels))
        }
        _ => terms.probability(value),
    }
}

/// The entry of a channel, read from the table byte by byte as `docs/model-file.md` lays it out.
fn channel(table: &[u8], count: usize, index: usize) -> Channel {
    let byte = |place: usize| table.get(place).copied().unwrap_or(0);
    let bias = index * 4;
    let multiplier = count * 4 + index * 2;
    let rescale = tinyhero_common::requantize::Rescale {
        multiplier: i16::from_le_bytes([byte(multiplier), byte(multiplier + 1)]),
        shift: byte(count * 6 + index).cast_signed(),
    };
    let bias = i32::from_le_bytes([byte(bias), byte(bias + 1), byte(bias + 2), byte(bias + 3)]);
    Channel { bias, rescale }
}

const fn addition(case: &OperatorCase) -> AddJob {
    AddJob {
        rescale: case.add_rescale,
        input_zero_point: case.input_zero_point,
        other_zero_point: case.other_zero_point,
        output_zero_point: case.output_zero_point,
        activation: case.activation,
    }
}

const fn product(case: &OperatorCase) -> MultiplyJob {
    MultiplyJob {
        rescale: case.rescale,
        input_zero_point: case.input_zero_point,
        other_zero_point: case.other_zero_point,
        output_zero_point: case.output_zero_point,
        activation: case.activation,
    }
}

const fn side_by_side(case: &OperatorCase) -> ConcatenateJob {
    ConcatenateJob {
        channels: case.input.channels as usize,
        other_channels: case.other.channels as usize,
        rescale: case.rescale,
        other_rescale: case.other_rescale,
        input_zero_point: case.input_zero_point,
        other_zero_point: case.other_zero_point,
        output_zero_point: case.output_zero_point,
        activation: case.activation,
    }
}

/// Calls the kernel under test.
fn run_case<K: Kernels>(kernels: &mut K, memory: &mut Memory<'_>, case: &OperatorCase) {
    let call = memory.call(case);
    let (input, scratch, output) = (call.input, call.scratch, call.output);
    let weights = PackedWeights {
        bytes: call.packed,
        bit_width: case.bit_width,
        layout: case.layout,
        row_length: case.row_length,
    };
    let entries = if case.subject.has_weights() { case.channel_entries() } else { 0 };
    let Some(channels) = Channels::new(call.channels, entries) else { return };
    let convolution = ConvolutionJob {
        input: case.input,
        output: case.output,
        window: case.window,
        weights,
        channels,
        input_zero_point: case.input_zero_point,
        output_zero_point: case.output_zero_point,
        activation: case.activation,
    };
    let recurrence = Recurrence {
        gates: GateRows {
            weights,
            channels,
            rows: case.rows(),
            inputs: usize::from(case.input.channels),
            hidden: usize::from(case.output.channels),
            gate_bits: case.gate_bits,
        },
        direction: case.direction,
        rescale: case.rescale,
        output_zero_point: case.output_zero_point,
    };
    match case.subject {
        Subject::Lstm => {
            let job = LstmJob { recurrence, cell_bits: case.cell_bits };
            kernels.lstm(&job, input, scratch, output);
        }
        Subject::Gru => {
            let job = GruJob { recurrence, reset: case.reset };
            kernels.gru(&job, input, scratch, output);
        }
        Subject::Convolution2d => kernels.convolution_2d(&convolution, input, scratch, output),
        Subject::DepthwiseConvolution2d => {
            kernels.depthwise_convolution_2d(&convolution, input, scratch, output);
        }
        Subject::FullyConnected => {
            let job = FullyConnectedJob {
                weights,
                channels,
                output_zero_point: case.output_zero_point,
                activation: case.activation,
            };
            kernels.fully_connected(&job, input, scratch, output);
        }
        Subject::AveragePool2d => {
            let job = PoolJob {
                input: case.input,
                output: case.output,
                window: case.window,
                input_zero_point: case.input_zero_point,
                output_zero_point: case.output_zero_point,
                rescale: case.rescale,
                activation: case.activation,
            };
            kernels.average_pool_2d(&job, input, output);
        }
        Subject::MaxPool2d => {
            let (input_shape, output_shape, window) = (case.input, case.output, case.window);
            let activation = case.activation;
            let job = MaxPool2dJob { input: input_shape, output: output_shape, window, activation };
            kernels.max_pool_2d(&job, input, output);
        }
        Subject::Add => kernels.add(&addition(case), input, call.other, output),
        Subject::AddInPlace => kernels.add_in_place(&addition(case), output, call.other),
        Subject::MeanPool2d => {
            let job = PoolJob {
                input: case.input,
                output: case.output,
                window: case.window,
                input_zero_point: case.input_zero_point,
                output_zero_point: case.output_zero_point,
                rescale: case.rescale,
                activation: case.activation,
            };
            kernels.mean_pool_2d(&job, input, output);
        }
        Subject::Multiply => kernels.multiply(&product(case), input, call.other, output),
        Subject::MultiplyInPlace => {
            kernels.multiply_in_place(&product(case), output, call.other);
        }
        Subject::Concatenate => {
            kernels.concatenate(&side_by_side(case), input, call.other, output);
        }
        Subject::Resize2d => {
            let job = Resize2dJob {
                input: case.input,
                output: case.output,
                interpolation: case.interpolation,
                rows: case.rows,
                columns: case.columns,
                activation: case.activation,
            };
            kernels.resize_2d(&job, input, output);
        }
        Subject::TransposedConvolution2d => {
            kernels.transposed_convolution_2d(&convolution, input, scratch, output);
        }
        Subject::GroupedConvolution2d => {
            let (dilation, groups) = (case.dilation, case.groups);
            let job = GroupedConvolutionJob { convolution, dilation, groups };
            kernels.grouped_convolution_2d(&job, input, scratch, output);
        }
        Subject::Table | Subject::TableInPlace => {
            let Some(entries) = call.packed.first_chunk() else { return };
            let job = TableJob { entries };
            if case.subject == Subject::Table {
                kernels.table(&job, input, output);
            } else {
                kernels.table_in_place(&job, output);
            }
        }
        _ => {
            let channels = usize::from(case.input.channels);
            let job = SoftmaxJob { channels, exponent_multiplier: case.exponent_multiplier };
            kernels.softmax(&job, input, output);
        }
    }
}
