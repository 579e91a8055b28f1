//! Shapes of layers: drawn from the whole range, then as many outputs as the work allows.

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layout::PackedWeights;
use tinyhero_common::layout::channel_pairs::PairColumns;
use tinyhero_common::layout::channel_quads::QuadColumns;
use tinyhero_common::layout::field_quads::QuadStrip;
use tinyhero_common::layout::vector_pairs::Strips;
use tinyhero_common::layout::vector_rows::Blocks;
use tinyhero_common::shape::{Shape, Window};

use super::{CHANNELS, INPUT, OTHER, OUTPUT, PACKED, SCRATCH, WEIGHTS};
use crate::case::shape::{mean, step};
use crate::case::{MAX_HIDDEN, OperatorCase};
use crate::definition;
use crate::differential::FastKernel;
use crate::generator::Generator;
use crate::mismatch::Subject;

/// Multiply-accumulates, or window elements, of most layers.
const USUAL_WORK: usize = 8_000;
/// Of some.
const MUCH_WORK: usize = 40_000;
/// Of a few: four of the longest rows.
const MOST_WORK: usize = 264_000;
/// Elements of the input of most layers.
const USUAL_INPUT: usize = 4_000;
/// Sums of this many pixels just fit lanes of 16 bits.
const LANE_PIXELS: usize = 256;
/// Most channels of a softmax, which the loader states.
const SOFTMAX_CHANNELS: u16 = (1 << 14) - 1;
/// The longest row of the vector kernels.
const VECTOR_ROW: usize = 1 << 16;
/// The largest kernel and stride.
const LARGEST: i32 = u8::MAX as i32;

/// How a window lies along one direction of the image.
#[derive(Clone, Copy)]
struct Axis {
    extent: u16,
    kernel: u8,
    stride: u8,
    padding: u8,
}

impl Axis {
    /// Both directions, with strides and paddings for kernels that have been chosen.
    fn both(generator: &mut Generator, extents: [u16; 2], kernels: [i32; 2]) -> [Self; 2] {
        let sparse = generator.chance(1);
        let ([height, width], [rows, columns]) = (extents, kernels);
        [Self::new(generator, height, rows, sparse), Self::new(generator, width, columns, sparse)]
    }

    /// `sparse` windows leave pixels out between them.
    fn new(generator: &mut Generator, extent: u16, kernel: i32, sparse: bool) -> Self {
        let kernel = kernel.clamp(1, LARGEST);
        let stride = match generator.below(8) {
            _ if sparse => kernel + generator.between(1, 4),
            0..=2 => 1,
            3 => 2,
            4 => generator.between(1, 4),
            5 => kernel + generator.between(1, 9),
            6 => generator.between(1, LARGEST),
            _ => generator.pick(kernel, &[LARGEST]),
        };
        let padding = match generator.below(4) {
            0 | 1 => 0,
            2 => generator.between(0, kernel - 1),
            _ => kernel - 1,
        };
        let [kernel, stride, padding] = [kernel, stride.min(LARGEST), padding].map(|v| v as u8);
        Self { extent, kernel, stride, padding }
    }

    /// Windows that begin inside the image.
    fn outputs(self) -> usize {
        let last = usize::from(self.extent) + usize::from(self.padding) - 1;
        last.checked_div(self.stride.into()).unwrap_or(0) + 1
    }
}

/// A kernel's extent in an image of that many pixels.
fn kernel(generator: &mut Generator, extent: u16) -> i32 {
    let extent = i32::from(extent);
    match generator.below(8) {
        0 | 1 => 3,
        2 => generator.between(1, 5),
        3 => extent,
        4 => extent + generator.between(1, 12),
        5 => generator.between(1, LARGEST),
        6 => generator.pick(LARGEST, &[1, 2]),
        _ => 1,
    }
}

/// Height and width of an image.
fn extents(generator: &mut Generator) -> [u16; 2] {
    let long = if generator.chance(2) { 2000 } else { 400 };
    let [height, width] = match generator.below(8) {
        0 => [1, generator.between(1, long)],
        1 => [generator.between(1, long), 1],
        2 => [generator.between(100, 400), generator.between(1, 8)],
        3 => [generator.between(1, 8), generator.between(100, 400)],
        4 => [generator.between(1, 3), generator.between(1, 3)],
        _ => [generator.between(1, 24), generator.between(1, 24)],
    };
    [height as u16, width as u16]
}

/// A number of channels.
fn channels(generator: &mut Generator) -> usize {
    let channels = match generator.below(8) {
        0 => 1,
        1 | 2 => generator.between(1, 9),
        3 => 4 * generator.between(1, 16),
        4 => 16 * generator.between(1, 4) + generator.between(-1, 1),
        5 => generator.between(1, 128),
        6 => generator.between(1, CHANNELS as i32),
        _ => generator.between(CHANNELS as i32 / 2, CHANNELS as i32),
    };
    channels as usize
}

/// Multiply-accumulates that a layer may take.
fn work(generator: &mut Generator) -> usize {
    match generator.below(64) {
        0 => MOST_WORK,
        1..8 => MUCH_WORK,
        _ => USUAL_WORK,
    }
}

/// As many of something as fit, at least one, where one takes `each` of `all`.
fn fit(all: usize, each: usize) -> usize {
    all.checked_div(each).unwrap_or(all).max(1)
}

impl OperatorCase {
    /// The constants of a layer.
    pub(super) fn layer(generator: &mut Generator, kernel: FastKernel) -> Self {
        let mut case = Self::without_shape(generator, kernel.subject, 0);
        case.layout = kernel.layout;
        case.align_scratch();
        match kernel.subject {
            Subject::Convolution2d | Subject::DepthwiseConvolution2d => case.draw_window(generator),
            Subject::FullyConnected => case.draw_rows(generator),
            Subject::Lstm | Subject::Gru => case.draw_recurrence(generator),
            Subject::AveragePool2d | Subject::MaxPool2d | Subject::MeanPool2d => {
                case.draw_pool(generator);
            }
            Subject::Softmax => case.draw_softmax(generator),
            Subject::Resize2d => case.draw_resized(generator),
            Subject::TransposedConvolution2d => case.draw_upward(generator),
            Subject::GroupedConvolution2d => case.draw_groups(generator),
            _ => case.draw_addition(generator),
        }
        case.choose_other(generator);
        case.scratch_bytes = case.least_scratch();
        if generator.chance(4) {
            case.scratch_bytes += generator.below(32) as usize;
        }
        case
    }

    /// A convolution of either kind.
    fn draw_window(&mut self, generator: &mut Generator) {
        let depthwise = self.subject == Subject::DepthwiseConvolution2d;
        let [mut height, mut width] = extents(generator);
        let [rows, columns] = match generator.below(8) {
            // Windows that kernels of their own take, over images wide enough that they are cut along a row.
            0 if depthwise => {
                height = generator.between(1, 5) as u16;
                width = generator.between(26, 120) as u16;
                [generator.between(1, 3), generator.between(1, 4)]
            }
            1 if depthwise => [generator.between(1, 3), generator.between(1, 4)],
            0 => [1, 1],
            2 if depthwise && generator.chance(3) => [LARGEST, LARGEST],
            1 | 2 => [3, 3],
            3 => {
                [height, width] = [height.min(200), width.min(200)];
                let mut above = |extent: u16| i32::from(extent) + generator.between(1, 12);
                [above(height), above(width)]
            }
            _ => [kernel(generator, height), kernel(generator, width)],
        };
        let axes = Axis::both(generator, [height, width], [rows, columns]);
        let taps = usize::from(axes[0].kernel) * usize::from(axes[1].kernel);
        let room = if generator.chance(1) { INPUT } else { USUAL_INPUT };
        let pixels = usize::from(height) * usize::from(width);
        let mut inputs = channels(generator).min(fit(room, pixels));
        if !depthwise {
            inputs = inputs.min(fit(INPUT, taps));
        }
        self.row_length = if depthwise { taps } else { taps * inputs };
        let outputs = fit(work(generator), self.row_length).min(OUTPUT);
        let rows = fit(WEIGHTS, self.row_length).min(outputs);
        let mut filters = if depthwise { inputs } else { channels(generator) }.min(rows);
        while self.packed_size(filters) > PACKED {
            filters = filters.div_ceil(2);
        }
        if depthwise {
            inputs = filters;
        }
        self.input = Shape { height, width, channels: inputs as u16 };
        self.output.channels = filters as u16;
        self.lay(generator, axes, fit(outputs, filters));
        self.fit_scratch();
    }

    fn packed_size(&self, rows: usize) -> usize {
        PackedWeights::bytes_for(self.bit_width, self.layout, rows, self.row_length)
    }

    /// The window of a transposed convolution, and at most `pixels` of the outputs that it may give along each axis.
    fn lay_upward(
        &mut self,
        generator: &mut Generator,
        [(vertical, rows), (horizontal, columns)]: [(Axis, usize); 2],
        pixels: usize,
    ) {
        self.lay(generator, [vertical, horizontal], pixels);
        let mut height = rows.min(u16::MAX.into()).min(pixels);
        if generator.chance(8) {
            height = height.min(usize::from(self.output.height));
        }
        self.output.height = height as u16;
        self.output.width = columns.min(u16::MAX.into()).min(fit(pixels, height)) as u16;
    }

    /// The window, and at most `pixels` places for it: along a row of the image first, or along a column.
    fn lay(&mut self, generator: &mut Generator, axes: [Axis; 2], pixels: usize) {
        let [vertical, horizontal] = axes;
        self.window = Window {
            kernel_height: vertical.kernel,
            kernel_width: horizontal.kernel,
            stride_height: vertical.stride,
            stride_width: horizontal.stride,
            padding_top: vertical.padding,
            padding_left: horizontal.padding,
        };
        let [mut height, mut width] = [vertical.outputs(), horizontal.outputs()];
        if generator.chance(4) {
            height = generator.between(1, height as i32) as usize;
            width = generator.between(1, width as i32) as usize;
        }
        if generator.chance(10) {
            width = width.min(pixels);
            height = height.min(fit(pixels, width));
        } else {
            height = height.min(pixels);
            width = width.min(fit(pixels, height));
        }
        self.output.height = height as u16;
        self.output.width = width as u16;
    }

    /// Fewer outputs while any layout would take more scratch memory than there is, whatever kernels this build has.
    fn fit_scratch(&mut self) {
        while most_scratch(self.window, self.bit_width, self.input, self.output) > SCRATCH {
            if self.output.height > 1 {
                self.output.height = self.output.height.div_ceil(2);
            } else if self.output.width > 1 {
                self.output.width = self.output.width.div_ceil(2);
            } else {
                return;
            }
        }
    }

    /// A fully connected layer.
    fn draw_rows(&mut self, generator: &mut Generator) {
        let mut work = work(generator);
        let inputs = match generator.below(8) {
            0 => generator.between(1, 9),
            1 => 16 * generator.between(1, 64),
            2 => generator.between(1, 1024),
            3 => generator.between(1025, 8192),
            4 => 32 * generator.between(33, 256),
            5 => generator.between(8193, 60_000),
            6 => generator.pick(60_000, &[65_535, 65_536, 65_537, INPUT as i32]),
            _ => generator.between(1, 4096),
        };
        let mut inputs = inputs as usize;
        if inputs > 8192 && generator.chance(6) {
            // Long rows take long: not too many of them.
            inputs /= 4;
        }
        if inputs > 8192 && generator.chance(4) {
            work = MOST_WORK;
        }
        // A vector has at most 2^16 − 1 channels.
        let even = u16::from(inputs.is_multiple_of(2));
        self.input = match u16::try_from(inputs) {
            Ok(channels) if !generator.chance(3) => Shape::vector(channels),
            _ => {
                let height = 1 + even;
                let channels = (inputs / usize::from(height)).min(u16::MAX.into());
                Shape { height, width: 1, channels: channels as u16 }
            }
        };
        self.row_length = self.input.elements();
        let outputs = fit(work, self.row_length).min(fit(WEIGHTS, self.row_length));
        let mut filters = channels(generator).min(outputs);
        while self.packed_size(filters) > PACKED {
            filters = filters.div_ceil(2);
        }
        self.output.channels = filters as u16;
    }

    /// A recurrent operator.
    fn draw_recurrence(&mut self, generator: &mut Generator) {
        let work = work(generator);
        let hidden = generator.between(1, MAX_HIDDEN as i32);
        let hidden = if generator.chance(8) { hidden.min(12) } else { hidden };
        let inputs = channels(generator).min(400) as i32;
        let weights = self.gates() * hidden as usize * (hidden + inputs) as usize;
        let columns = generator.between(1, fit(work, weights).min(400) as i32);
        self.choose_recurrence(generator, [inputs as u16, hidden as u16, columns as u16]);
    }

    /// A pooling of either kind.
    fn draw_pool(&mut self, generator: &mut Generator) {
        let [mut height, mut width] = extents(generator);
        let mut whole = true;
        match generator.below(8) {
            0 => {
                // As many pixels as 16-bit lanes take.
                height = generator.pick(16, &[2, 4, 8, 32, 64, 128]);
                width = fit(LANE_PIXELS, height.into()) as u16;
            }
            1 => {
                let sizes = [[3, 86], [16, 17], [129, 2], [20, 20], [2, 255]];
                [height, width] = generator.pick([2, 129], &sizes);
            }
            2 => [height, width] = [height.min(255), width.min(255)],
            _ => whole = false,
        }
        let [rows, columns] = if whole {
            [height.into(), width.into()]
        } else {
            [kernel(generator, height), kernel(generator, width)]
        };
        let mut axes = Axis::both(generator, [height, width], [rows, columns]);
        if whole && !generator.chance(3) {
            // Mostly a single output, the mean of the image.
            axes = axes.map(|axis| Axis { padding: 0, stride: axis.kernel, ..axis });
        }
        let taps = usize::from(axes[0].kernel) * usize::from(axes[1].kernel);
        let outputs = fit(work(generator), taps).min(OUTPUT);
        let pixels = usize::from(height) * usize::from(width);
        let channels = channels(generator).min(fit(USUAL_INPUT, pixels).max(5)).min(outputs);
        self.input = Shape { height, width, channels: channels as u16 };
        self.output.channels = self.input.channels;
        self.lay(generator, axes, fit(outputs, channels));
        if self.subject == Subject::MaxPool2d {
            self.output_zero_point = self.input_zero_point;
            return;
        }
        if self.subject == Subject::MeanPool2d {
            self.rescale = step(generator, 7);
            return;
        }
        if !generator.chance(3) {
            self.rescale = mean(generator, taps as u32);
        }
        while definition::accumulator_limit(self.rescale) < 255 * taps as i64 {
            self.rescale.shift = self.rescale.shift.wrapping_add(1);
        }
    }

    /// An image and another size of it.
    fn draw_resized(&mut self, generator: &mut Generator) {
        let [height, width] = extents(generator);
        let pixels = usize::from(height) * usize::from(width);
        let mut channels = channels(generator).min(fit(USUAL_INPUT, pixels));
        let mut outputs = extents(generator);
        while usize::from(outputs[0]) * usize::from(outputs[1]) > OUTPUT {
            outputs = outputs.map(|extent| extent.div_ceil(2));
        }
        channels = channels.min(fit(OUTPUT, usize::from(outputs[0]) * usize::from(outputs[1])));
        self.input = Shape { height, width, channels: channels as u16 };
        self.stretch(generator, outputs);
    }

    /// A transposed convolution.
    fn draw_upward(&mut self, generator: &mut Generator) {
        let [height, width] = extents(generator);
        let kernels = [kernel(generator, height.min(40)), kernel(generator, width.min(40))];
        let axes = Axis::both(generator, [height, width], kernels);
        let taps = usize::from(axes[0].kernel) * usize::from(axes[1].kernel);
        let pixels = usize::from(height) * usize::from(width);
        let inputs = channels(generator).min(fit(USUAL_INPUT, pixels)).min(fit(INPUT, taps));
        self.row_length = taps * inputs;
        // The definition goes through all taps of every output.
        let outputs = fit(work(generator), self.row_length).min(OUTPUT);
        let filters = channels(generator).min(fit(WEIGHTS, self.row_length)).min(outputs);
        self.input = Shape { height, width, channels: inputs as u16 };
        self.output.channels = filters as u16;
        let axes = axes.map(|axis| {
            // As many outputs as the strides give.
            let most = usize::from(axis.extent) * usize::from(axis.stride)
                + usize::from(axis.kernel - axis.padding)
                - 1;
            (axis, most.max(1))
        });
        self.lay_upward(generator, axes, fit(outputs, filters));
    }

    /// A grouped convolution.
    fn draw_groups(&mut self, generator: &mut Generator) {
        self.draw_window(generator);
        self.spread(generator);
        self.group(generator);
        let taps = self.window.taps() * usize::from(self.input.channels);
        let outputs = fit(fit(MOST_WORK, taps), self.output.channels.into());
        let height = usize::from(self.output.height).min(outputs);
        self.output.height = height as u16;
        self.output.width = self.output.width.min(fit(outputs, height) as u16);
    }

    /// Two tensors of the same shape.
    fn draw_addition(&mut self, generator: &mut Generator) {
        let [height, width] = extents(generator);
        let room = if generator.chance(1) { OTHER } else { USUAL_INPUT };
        let pixels = usize::from(height) * usize::from(width);
        let channels = channels(generator).min(fit(room, pixels));
        self.input = Shape { height, width, channels: channels as u16 };
        self.output = self.input;
    }

    /// Classes, sometimes as many as the loader admits, and their pixels.
    fn draw_softmax(&mut self, generator: &mut Generator) {
        let channels = match generator.below(32) {
            0 => SOFTMAX_CHANNELS,
            1 => generator.between(700, SOFTMAX_CHANNELS.into()) as u16,
            _ => channels(generator) as u16,
        };
        let [height, width] = extents(generator);
        let height = usize::from(height).min(fit(1000, channels.into()));
        let width = usize::from(width).min(fit(1000, usize::from(channels) * height));
        self.input = Shape { height: height as u16, width: width as u16, channels };
        self.output = self.input;
    }
}

/// The most scratch memory that a convolution of either kind takes in any layout.
fn most_scratch(window: Window, bit_width: BitWidth, input: Shape, output: Shape) -> usize {
    let strips = Strips::new(window, bit_width, input, output).bytes;
    let pairs = PairColumns::new(window, bit_width, input, output).scratch_bytes();
    let quads =
        QuadColumns::new(window, input, output).map_or(0, |columns| columns.scratch_bytes());
    let strip = QuadStrip::new(window, output).scratch_bytes();
    let blocks = Blocks::new(window, input, output).map_or(0, |blocks| blocks.bytes);
    strips.max(pairs).max(quads).max(strip).max(blocks)
}

/// The longest row that is drawn goes beyond the longest one of the vector kernels.
const _: () = assert!(INPUT > VECTOR_ROW && INPUT <= WEIGHTS && 4 * INPUT <= PACKED);
