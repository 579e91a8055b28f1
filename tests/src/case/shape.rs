//! Shapes and constants of operator cases: small, odd, and as awkward as a valid model may be.

use core::ops::Range;

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::operator::{
    Convolution2d, DepthwiseConvolution2d, Direction, FullyConnected, GroupedConvolution2d, Gru,
    Interpolation, Lstm, Operator, Reset, SCRATCH_ALIGNMENT, Stretch, Table,
    TransposedConvolution2d, Weights,
};
use tinyhero_common::requantize::{AddRescale, Rescale};
use tinyhero_common::shape::{Shape, Window};

use super::{CHANNELS, ELEMENTS, MARGIN, MAX_MACS, OperatorCase, SCRATCH, WEIGHTS};
use crate::definition;
use crate::generator::Generator;
use crate::mismatch::Subject;

/// A window of one pixel.
const PIXEL: Window = Window {
    kernel_height: 1,
    kernel_width: 1,
    stride_height: 1,
    stride_width: 1,
    padding_top: 0,
    padding_left: 0,
};

/// Every output at its own pixel.
const UNSTRETCHED: Stretch = Stretch { step: 1, start: 0, divisor: 1 };

impl OperatorCase {
    /// The constants of a case.
    pub(super) fn new(generator: &mut Generator, subject: Subject) -> Self {
        let mut case = Self::without_shape(generator, subject, SCRATCH);
        case.choose_shapes(generator);
        case.choose_layout(generator);
        if generator.chance(8) {
            case.scratch_bytes = case.least_scratch();
        }
        case
    }

    /// All that does not depend on the shapes, which are one pixel yet.
    pub(crate) fn without_shape(
        generator: &mut Generator,
        subject: Subject,
        scratch_bytes: usize,
    ) -> Self {
        let bit_width = generator.pick(BitWidth::Two, &BitWidth::ALL);
        let mut case = Self {
            subject,
            input: Shape::vector(1),
            other: Shape::vector(1),
            output: Shape::vector(1),
            window: PIXEL,
            dilation: [1, 1],
            groups: 1,
            interpolation: Interpolation::Nearest,
            rows: UNSTRETCHED,
            columns: UNSTRETCHED,
            bit_width,
            layout: Layout::Rows,
            row_length: 0,
            input_zero_point: generator.zero_point(),
            other_zero_point: generator.zero_point(),
            output_zero_point: generator.zero_point(),
            activation: generator.activation_range(),
            rescale: generator.rescale(),
            other_rescale: Rescale { multiplier: i16::MAX, shift: 1 },
            add_rescale: add_rescale(generator),
            exponent_multiplier: exponent_multiplier(generator),
            gate_bits: 12,
            cell_bits: 12,
            direction: Direction::Forward,
            reset: Reset::Product,
            scratch_bytes,
            misalignment: [0; 4],
            filler: generator.activation(),
        };
        if generator.chance(8) {
            for distance in &mut case.misalignment {
                *distance = generator.below(8) as usize;
            }
        }
        case
    }

    /// Any layout that fits the memory.
    fn choose_layout(&mut self, generator: &mut Generator) {
        if self.subject.has_weights() && generator.chance(12) {
            self.layout = generator.pick(Layout::Rows, &Layout::ALL);
            if self.packed_bytes() > WEIGHTS || self.least_scratch() > SCRATCH {
                self.layout = Layout::Rows;
            }
        }
        self.align_scratch();
    }

    /// Scratch memory begins at a word, the contract of every layout but the portable one.
    pub(crate) fn align_scratch(&mut self) {
        if self.layout != Layout::Rows {
            let [_, _, _, distance] = &mut self.misalignment;
            *distance &= !(SCRATCH_ALIGNMENT as usize - 1);
        }
    }

    fn choose_shapes(&mut self, generator: &mut Generator) {
        match self.subject {
            Subject::Convolution2d => {
                self.choose_window(generator, 64);
                let channels = usize::from(self.input.channels);
                self.row_length = self.window.taps() * channels;
                self.choose_output_channels(generator);
            }
            Subject::DepthwiseConvolution2d => {
                self.choose_window(generator, CHANNELS as u32);
                self.row_length = self.window.taps();
                self.output.channels = self.input.channels;
            }
            Subject::FullyConnected => {
                let inputs = match generator.below(4) {
                    0 => generator.between(1, 9),
                    1 => 8 * generator.between(1, 16),
                    _ => generator.between(1, ELEMENTS as i32 - 128),
                };
                self.input = Shape::vector(inputs as u16);
                self.row_length = inputs as usize;
                self.choose_output_channels(generator);
            }
            Subject::Lstm | Subject::Gru => {
                let most = CHANNELS.checked_div(2 * self.gates()).unwrap_or(1) as i32;
                let hidden = generator.between(1, most) as u16;
                let inputs = generator.between(1, 20) as u16;
                let columns = generator.between(1, 6) as u16;
                self.choose_recurrence(generator, [inputs, hidden, columns]);
            }
            Subject::AveragePool2d => {
                self.choose_window(generator, 64);
                self.output.channels = self.input.channels;
                if !generator.chance(4) {
                    self.rescale = mean(generator, self.window.taps() as u32);
                }
            }
            Subject::MeanPool2d => {
                self.choose_window(generator, 64);
                self.output.channels = self.input.channels;
                self.rescale = step(generator, 7);
            }
            Subject::MaxPool2d => {
                self.choose_window(generator, 64);
                self.output.channels = self.input.channels;
                self.output_zero_point = self.input_zero_point;
            }
            Subject::Resize2d => {
                self.input = image(generator, 64);
                let extents = [self.input.height, self.input.width];
                let [height, width] = extents
                    .map(|extent| generator.between(1, 3 * i32::from(extent)).min(24) as u16);
                self.stretch(generator, [height, width]);
                let fits = ELEMENTS.checked_div(self.output.pixels()).unwrap_or(1) as u16;
                self.input.channels = self.input.channels.min(fits.max(1));
                self.output.channels = self.input.channels;
            }
            Subject::TransposedConvolution2d => {
                self.choose_upward_window(generator);
                let channels = usize::from(self.input.channels);
                self.row_length = self.window.taps() * channels;
                self.choose_output_channels(generator);
            }
            Subject::GroupedConvolution2d => {
                self.choose_window(generator, 64);
                self.spread(generator);
                self.choose_output_channels(generator);
                self.group(generator);
            }
            _ => {
                self.input = image(generator, 64);
                self.output = self.input;
            }
        }
        self.choose_other(generator);
    }

    /// Rows of weights for each value of a hidden state; 1 without one.
    pub(crate) const fn gates(&self) -> usize {
        match self.subject {
            Subject::Lstm => 4,
            Subject::Gru => 3,
            _ => 1,
        }
    }

    /// Rows of weights.
    pub const fn rows(&self) -> usize {
        self.gates() * self.output.channels as usize
    }

    /// Entries of the channel table.
    pub const fn channel_entries(&self) -> usize {
        if self.subject.is_recurrent() { 2 * self.rows() } else { self.rows() }
    }

    /// A recurrent operator over `columns` columns of `inputs` values.
    pub(crate) fn choose_recurrence(&mut self, generator: &mut Generator, sizes: [u16; 3]) {
        let [inputs, hidden, columns] = sizes;
        self.input = Shape { height: 1, width: columns, channels: inputs };
        let all = generator.chance(8);
        self.output = Shape { height: 1, width: if all { columns } else { 1 }, channels: hidden };
        self.row_length = usize::from(inputs) + usize::from(hidden);
        let mut bits = || generator.between(4, 12) as u8;
        (self.gate_bits, self.cell_bits) = (bits(), bits());
        self.direction = generator.pick(Direction::Forward, &[Direction::Backward]);
        self.reset = generator.pick(Reset::Product, &[Reset::State]);
        // From steps of 2^-30, or of 2^-15.
        let bits = if self.subject == Subject::Lstm { 23 } else { 8 };
        self.rescale = step(generator, bits);
    }

    /// Shape and scale of the second operand, and what follows from them.
    pub(crate) fn choose_other(&mut self, generator: &mut Generator) {
        self.other = self.input;
        match self.subject {
            Subject::Multiply | Subject::MultiplyInPlace => {
                if generator.chance(8) {
                    self.other = Shape::vector(self.input.channels);
                }
                self.rescale = step(generator, 8);
            }
            Subject::Concatenate => {
                // Both fit the room that one had.
                let parts = self.input.channels.div_ceil(2).max(1);
                self.input.channels = parts;
                let other = generator.between(1, i32::from(parts));
                self.other = Shape { channels: other as u16, ..self.input };
                self.output = Shape { channels: parts + self.other.channels, ..self.input };
                (self.rescale, self.other_rescale) = (step(generator, 0), step(generator, 0));
            }
            _ => {}
        }
    }

    /// An image, a window, and as many output rows and columns as the image gives, or fewer.
    fn choose_window(&mut self, generator: &mut Generator, most_channels: u32) {
        self.input = image(generator, most_channels);
        let pointwise = generator.chance(3);
        let mut axis = |extent: u16| {
            if pointwise {
                return (1, 1, 0, extent);
            }
            let kernel = match generator.below(8) {
                0 => i32::from(extent),
                1 | 2 => 3,
                _ => generator.between(1, 5),
            };
            let stride = generator.pick(1, &[1, 1, 2, 2, 3, 4, kernel + 1]);
            let padding = if generator.chance(8) { generator.between(0, kernel - 1) } else { 0 };
            let last = i32::from(extent) + padding - 1;
            let most = last.checked_div(stride).unwrap_or(0) + 1;
            let count = if generator.chance(4) { generator.between(1, most) } else { most };
            (kernel as u8, stride as u8, padding as u8, count as u16)
        };
        let (kernel_height, stride_height, padding_top, height) = axis(self.input.height);
        let (kernel_width, stride_width, padding_left, width) = axis(self.input.width);
        self.window = Window {
            kernel_height,
            kernel_width,
            stride_height,
            stride_width,
            padding_top,
            padding_left,
        };
        // Padding can make the output larger than the input: fewer channels then.
        let pixels = usize::from(height) * usize::from(width);
        let fits = ELEMENTS.checked_div(pixels).unwrap_or(1).clamp(1, ELEMENTS) as u16;
        let rows = SCRATCH.checked_div(self.window.taps()).unwrap_or(1).max(1) as u16;
        self.input.channels = self.input.channels.min(fits).min(rows);
        self.output = Shape { height, width, channels: self.input.channels };
    }

    /// Positions of a resizing to that many rows and columns: mostly whole factors by the ways that frameworks count, sometimes any.
    pub(crate) fn stretch(&mut self, generator: &mut Generator, [height, width]: [u16; 2]) {
        self.interpolation = generator.pick(Interpolation::Nearest, &[Interpolation::Linear]);
        self.output_zero_point = self.input_zero_point;
        self.output = Shape { height, width, channels: self.input.channels };
        let mut axis = |extent: u16, output: u16| {
            let (extent, output) = (i32::from(extent), i32::from(output));
            let factor = generator.between(1, 5);
            let [step, start, divisor] = match generator.below(8) {
                0..=2 => [1, 0, factor],
                3 => [2, 1 - factor, 2 * factor],
                4 => [extent, 0, output],
                5 => [2 * extent, extent - output, 2 * output],
                6 => [extent - 1, 0, (output - 1).max(1)],
                _ => [
                    generator.between(0, u16::MAX.into()),
                    generator.between(i16::MIN.into(), i16::MAX.into()),
                    generator.between(1, u16::MAX.into()),
                ],
            };
            Stretch { step: step as u16, start: start as i16, divisor: divisor.max(1) as u16 }
        };
        self.rows = axis(self.input.height, height);
        self.columns = axis(self.input.width, width);
    }

    /// The window of a transposed convolution, and as many output rows and columns as it may give, or fewer.
    fn choose_upward_window(&mut self, generator: &mut Generator) {
        self.input = image(generator, 64);
        let mut axis = |extent: u16| {
            let kernel = generator.pick(2, &[1, 3, 4, 5]);
            let stride = generator.pick(2, &[1, 3, 4, kernel + 1]);
            let padding = if generator.chance(8) { generator.between(0, kernel - 1) } else { 0 };
            let most = i32::from(extent) * stride + kernel - 1 - padding;
            let most = most.clamp(1, 24);
            let count = if generator.chance(4) { generator.between(1, most) } else { most };
            (kernel as u8, stride as u8, padding as u8, count as u16)
        };
        let (kernel_height, stride_height, padding_top, height) = axis(self.input.height);
        let (kernel_width, stride_width, padding_left, width) = axis(self.input.width);
        self.window = Window {
            kernel_height,
            kernel_width,
            stride_height,
            stride_width,
            padding_top,
            padding_left,
        };
        let rows = SCRATCH.checked_div(self.window.taps()).unwrap_or(1).max(1) as u16;
        self.input.channels = self.input.channels.min(rows);
        self.output = Shape { height, width, channels: 1 };
    }

    /// Takes the taps of a window apart, whose windows still begin inside the image.
    pub(crate) fn spread(&mut self, generator: &mut Generator) {
        self.dilation = [0, 1].map(|_| generator.pick(1, &[1, 2, 3, 8, 255]) as u8);
        if generator.chance(8) {
            // Padding of more than a kernel without dilation may have.
            let Window { kernel_height, kernel_width, .. } = self.window;
            let [top, left] = [kernel_height, kernel_width].map(|kernel| i32::from(kernel) - 1);
            let [down, across] = self.dilation.map(i32::from);
            self.window.padding_top = generator.between(0, top * down).min(255) as u8;
            self.window.padding_left = generator.between(0, left * across).min(255) as u8;
        }
        let count = |extent: u16, stride: u8, padding: u8, outputs: u16| {
            let last = i32::from(extent) + i32::from(padding) - 1;
            let most = last.checked_div(stride.into()).unwrap_or(0) + 1;
            i32::from(outputs).min(most) as u16
        };
        let Window { stride_height, stride_width, padding_top, padding_left, .. } = self.window;
        let Shape { height, width, .. } = self.output;
        self.output.height = count(self.input.height, stride_height, padding_top, height);
        self.output.width = count(self.input.width, stride_width, padding_left, width);
        self.row_length = self.window.taps() * usize::from(self.input.channels);
    }

    /// Divides the channels into groups: fewer channels than there are, so that everything still fits.
    pub(crate) fn group(&mut self, generator: &mut Generator) {
        let channels = [self.input.channels, self.output.channels];
        let most = i32::from(channels[0].min(channels[1]));
        self.groups = match generator.below(4) {
            0 => most,
            1 => 1,
            _ => generator.between(1, most),
        } as u16;
        let [inputs, outputs] =
            channels.map(|count| count.wrapping_sub(count.checked_rem(self.groups).unwrap_or(0)));
        self.input.channels = inputs;
        self.output.channels = outputs;
        let of_group = usize::from(inputs.checked_div(self.groups).unwrap_or(1));
        self.row_length = self.window.taps() * of_group;
    }

    /// As many output channels as output, weights and work allow, or fewer.
    fn choose_output_channels(&mut self, generator: &mut Generator) {
        let pixels = self.output.pixels();
        let fits = ELEMENTS.checked_div(pixels).unwrap_or(1);
        let rows = WEIGHTS.checked_div(self.row_length).unwrap_or(1);
        let worth = MAX_MACS.checked_div(pixels * self.row_length).unwrap_or(1);
        let most = fits.min(rows).min(worth).clamp(1, CHANNELS) as i32;
        self.output.channels = generator.between(1, most) as u16;
    }

    /// Bytes of a packed row.
    pub(crate) const fn row_bytes(&self) -> usize {
        (self.row_length * self.bit_width.bits() as usize).div_ceil(8)
    }

    /// Bytes of all packed weights, or of the table.
    pub(crate) const fn packed_bytes(&self) -> usize {
        if self.subject.has_table() {
            return Table::ENTRIES;
        }
        PackedWeights::bytes_for(self.bit_width, self.layout, self.rows(), self.row_length)
    }

    /// What the contract promises a kernel.
    pub(crate) fn least_scratch(&self) -> usize {
        let weights =
            Weights { bit_width: self.bit_width, layout: self.layout, offset: 0, channels: 0 };
        let window = self.window;
        let operator = match self.subject {
            Subject::Convolution2d => Operator::Convolution2d(Convolution2d { window, weights }),
            Subject::DepthwiseConvolution2d => {
                Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, weights })
            }
            Subject::FullyConnected => Operator::FullyConnected(FullyConnected { weights }),
            Subject::TransposedConvolution2d => {
                Operator::TransposedConvolution2d(TransposedConvolution2d { window, weights })
            }
            Subject::GroupedConvolution2d => {
                let [dilation_height, dilation_width] = self.dilation;
                Operator::GroupedConvolution2d(GroupedConvolution2d {
                    window,
                    dilation_height,
                    dilation_width,
                    groups: self.groups,
                    weights,
                })
            }
            Subject::Lstm => Operator::Lstm(self.lstm(weights)),
            Subject::Gru => Operator::Gru(self.gru(weights)),
            _ => return 0,
        };
        operator.scratch(self.input, self.output)
    }

    /// The operator of a case of long short-term memory.
    pub const fn lstm(&self, weights: Weights) -> Lstm {
        let Self { gate_bits, cell_bits, rescale, direction, .. } = *self;
        Lstm { weights, gate_bits, cell_bits, rescale, direction }
    }

    /// The operator of a case of a gated recurrent unit.
    pub const fn gru(&self, weights: Weights) -> Gru {
        let Self { gate_bits, reset, rescale, direction, .. } = *self;
        Gru { weights, gate_bits, reset, rescale, direction }
    }

    pub(crate) const fn input_range(&self) -> Range<usize> {
        let [start, _, _, _] = self.misalignment;
        start..start + self.input.elements()
    }

    pub(crate) const fn other_range(&self) -> Range<usize> {
        let [_, start, _, _] = self.misalignment;
        start..start + self.other.elements()
    }

    pub(crate) const fn output_range(&self) -> Range<usize> {
        let [_, _, distance, _] = self.misalignment;
        MARGIN + distance..MARGIN + distance + self.output.elements()
    }

    pub(crate) const fn scratch_range(&self) -> Range<usize> {
        let [_, _, _, distance] = self.misalignment;
        MARGIN + distance..MARGIN + distance + self.scratch_bytes
    }
}

/// A small image of at most [`ELEMENTS`]: one pixel, one channel, and channel counts around multiples of 4 are frequent.
fn image(generator: &mut Generator, most_channels: u32) -> Shape {
    let height = generator.pick(1, &[2, 3, 4, 5, 6, 7, 8]);
    let width = generator.pick(1, &[2, 3, 4, 5, 6, 7, 9]);
    let fits = ELEMENTS.checked_div(height * width).unwrap_or(1) as u32;
    let channels = match generator.below(4) {
        0 => generator.pick(1, &[2, 3, 5]),
        1 => 4 * generator.between(1, 8) as u32 + generator.pick(0, &[0, 0, 1, 3]),
        _ => generator.between(1, 64) as u32,
    };
    let channels = channels.min(fits).min(most_channels).max(1) as u16;
    Shape { height: height as u16, width: width as u16, channels }
}

/// A rescaling near `1 / taps`.
pub(crate) fn mean(generator: &mut Generator, taps: u32) -> Rescale {
    let bits = 32 - taps.leading_zeros() as i32;
    let shift = bits - 2 + generator.between(0, 2);
    Rescale { multiplier: generator.multiplier(), shift: shift as i8 }
}

/// A rescaling of values that are `2^bits` times as fine as those of int8, mostly by about that.
pub(crate) fn step(generator: &mut Generator, bits: i32) -> Rescale {
    let shift = match generator.below(8) {
        0 => generator.pick(-7, &[23, -6, 0, 1]),
        1 => generator.between(-7, 23),
        _ => bits - 2 + generator.between(-2, 1),
    };
    let mut rescale = Rescale { multiplier: generator.multiplier(), shift: shift as i8 };
    while definition::accumulator_limit(rescale) < 255i64 << bits {
        rescale.shift = rescale.shift.wrapping_add(1);
    }
    rescale
}

/// Multipliers of which mostly one has 15 bits, and any shift.
fn add_rescale(generator: &mut Generator) -> AddRescale {
    let mut multiplier = generator.multiplier();
    let mut other_multiplier = match generator.below(4) {
        0 => generator.pick(1, &[2, i16::MAX]),
        1 => generator.multiplier(),
        _ => generator.between(1, 32_767) as i16,
    };
    if generator.chance(8) {
        core::mem::swap(&mut multiplier, &mut other_multiplier);
    }
    let shift =
        if generator.chance(6) { generator.between(1, 23) } else { generator.between(13, 17) };
    AddRescale { multiplier, other_multiplier, shift: shift as u8 }
}

/// `1 ..= 2^24 − 1`, mostly what scales of 1/256 to 1 give.
fn exponent_multiplier(generator: &mut Generator) -> u32 {
    let value = match generator.below(4) {
        0 => generator.pick(1, &[(1 << 24) - 1, 1 << 20, (1 << 20) + 1, 4_096]),
        1 => generator.below(1 << 24),
        _ => 5_900 + generator.below(1_500_000),
    };
    value.clamp(1, (1 << 24) - 1)
}
