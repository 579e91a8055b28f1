//! A board's fast kernels against the portable ones, on the same random jobs, larger than those of [`operator_cases`](crate::operator_cases).
//!
//! Long rows, many channels and wide images reach the loops that small cases do not: unrolled rounds, divided windows, tiles that end
//! in the middle of an image row. The portable kernels, held to the definition elsewhere, say what is right.

use core::fmt;

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::channels::Channels;
use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::operator::{
    Convolution2d, ConvolutionJob, DepthwiseConvolution2d, FullyConnected, FullyConnectedJob,
    Operator, Weights,
};
use tinyhero_common::requantize::ActivationRange;
use tinyhero_common::shape::{Shape, Window};

use crate::case::{Aligned, channel_entry, fill, write};
use crate::generator::Generator;
use crate::mismatch::Subject;
use crate::scalar::random_weight;

/// Most elements of a tensor.
const ELEMENTS: usize = 4096;
/// Most weights, and bytes of packed weights.
const WEIGHTS: usize = 16 * 1024;
/// Most output channels.
const CHANNELS: usize = 160;
/// Most scratch bytes.
const SCRATCH: usize = 8 * 1024;
/// Most multiply-accumulates of a case, so that boards get through many.
const MAX_MACS: usize = 10_000;

/// The memory that cases run in, 50 kB.
#[derive(Clone, Copy, Debug)]
pub struct DifferentialMemory {
    input: Aligned<[i8; ELEMENTS]>,
    got: Aligned<[i8; ELEMENTS]>,
    output: Aligned<[i8; ELEMENTS]>,
    scratch: Aligned<[i8; SCRATCH]>,
    weights: [i8; WEIGHTS],
    packed: Aligned<[u8; WEIGHTS]>,
    channels: Aligned<[u8; CHANNELS * Channels::BYTES]>,
}

impl Default for DifferentialMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl DifferentialMemory {
    /// Memory without a case in it.
    pub const fn new() -> Self {
        Self {
            input: Aligned([0; ELEMENTS]),
            got: Aligned([0; ELEMENTS]),
            output: Aligned([0; ELEMENTS]),
            scratch: Aligned([0; SCRATCH]),
            weights: [0; WEIGHTS],
            packed: Aligned([0; WEIGHTS]),
            channels: Aligned([0; CHANNELS * Channels::BYTES]),
        }
    }
}

/// The constants of one job; everything else follows from the seed and the case's number.
#[derive(Clone, Copy, Debug)]
pub struct DifferentialCase {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// The window of a convolution.
    pub window: Window,
    /// Bits of a weight.
    pub bit_width: BitWidth,
    /// Zero point of the input.
    pub input_zero_point: i8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// An operator with weights, and the layout that they are packed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FastKernel {
    /// [`Subject::Convolution2d`], [`Subject::DepthwiseConvolution2d`] or [`Subject::FullyConnected`].
    pub subject: Subject,
    /// What the fast kernel reads.
    pub layout: Layout,
}

impl FastKernel {
    /// What the kernels for cores with DSP instructions take.
    pub const DSP: [Self; 3] = [
        Self { subject: Subject::Convolution2d, layout: Layout::ChannelPairs },
        Self { subject: Subject::DepthwiseConvolution2d, layout: Layout::ChannelQuads },
        Self { subject: Subject::FullyConnected, layout: Layout::ChannelPairs },
    ];
    /// What the kernels for cores with a plain 32-bit multiply take.
    pub const MUL32: [Self; 3] = [
        Self { subject: Subject::Convolution2d, layout: Layout::FieldQuads },
        Self { subject: Subject::DepthwiseConvolution2d, layout: Layout::FieldQuads },
        Self { subject: Subject::FullyConnected, layout: Layout::FieldQuads },
    ];
    /// What the kernels for cores with Helium take.
    pub const HELIUM: [Self; 3] = [
        Self { subject: Subject::Convolution2d, layout: Layout::VectorPairs },
        Self { subject: Subject::DepthwiseConvolution2d, layout: Layout::VectorRows },
        Self { subject: Subject::FullyConnected, layout: Layout::VectorPairs },
    ];
}

/// A job on which a fast kernel and the portable one differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The kernel.
    pub kernel: FastKernel,
    /// The seed of the cases.
    pub seed: u32,
    /// The case's number.
    pub case: u32,
    /// Which element of the output.
    pub element: u32,
    /// What the portable kernel gives.
    pub expected: i8,
    /// What came out.
    pub got: i8,
}

impl Difference {
    /// As numbers, for a link that knows no more.
    pub const fn to_words(self) -> [u32; 7] {
        [
            self.kernel.subject as u32,
            self.kernel.layout as u32,
            self.seed,
            self.case,
            self.element,
            self.expected as u32,
            self.got as u32,
        ]
    }

    /// Back from [`Difference::to_words`]; `None` if the first words are no kernel.
    pub fn from_words(words: [u32; 7]) -> Option<Self> {
        let [subject, layout, seed, case, element, expected, got] = words;
        let subject = *Subject::ALL.get(usize::try_from(subject).ok()?)?;
        let layout = *Layout::ALL.get(usize::try_from(layout).ok()?)?;
        let [expected, got] = [expected as u8, got as u8].map(u8::cast_signed);
        Some(Self { kernel: FastKernel { subject, layout }, seed, case, element, expected, got })
    }
}

/// Prints the failing call: the case is made again. For the host; boards send the words.
impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, seed, case, element, expected, got } = *self;
        let FastKernel { subject, layout } = kernel;
        let constants = DifferentialCase::new(&mut generator(kernel, seed, case), kernel);
        write!(
            formatter,
            "{subject:?} in {layout:?}, seed {seed}, case {case}: element {element} is {got}, portable {expected}, in {constants:?}"
        )
    }
}

impl core::error::Error for Difference {}

fn generator(kernel: FastKernel, seed: u32, case: u32) -> Generator {
    Generator::new(seed ^ ((kernel.subject as u32) << 24) ^ ((kernel.layout as u32) << 16), case)
}

impl DifferentialCase {
    fn new(generator: &mut Generator, kernel: FastKernel) -> Self {
        let mut case = Self {
            input: Shape::vector(1),
            output: Shape::vector(1),
            window: Window {
                kernel_height: 1,
                kernel_width: 1,
                stride_height: 1,
                stride_width: 1,
                padding_top: 0,
                padding_left: 0,
            },
            bit_width: generator.pick(BitWidth::Two, &BitWidth::ALL),
            input_zero_point: generator.zero_point(),
            output_zero_point: generator.zero_point(),
            activation: if generator.chance(3) {
                generator.activation_range()
            } else {
                ActivationRange::FULL
            },
        };
        let channels = |generator: &mut Generator, most: i32| match generator.below(4) {
            0 => generator.between(1, 9),
            1 | 2 => 4 * generator.between(1, most / 4),
            _ => generator.between(1, most),
        };
        let inputs = match kernel.subject {
            Subject::FullyConnected => channels(generator, 1024),
            _ => channels(generator, 128),
        };
        let outputs = channels(generator, CHANNELS as i32);
        let [height, width] = match kernel.subject {
            Subject::FullyConnected => [1, 1],
            _ => [generator.between(1, 24), generator.between(1, 24)],
        };
        case.input = Shape { height: height as u16, width: width as u16, channels: inputs as u16 };
        if kernel.subject != Subject::FullyConnected {
            case.choose_window(generator, kernel.subject);
        }
        case.output.channels = match kernel.subject {
            Subject::DepthwiseConvolution2d => case.input.channels,
            _ => outputs as u16,
        };
        while !case.fits(kernel) {
            case.shrink(kernel.subject);
        }
        case
    }

    fn choose_window(&mut self, generator: &mut Generator, subject: Subject) {
        // The shapes of the networks that boards run, and others.
        let kernel = match (subject, generator.below(4)) {
            (Subject::DepthwiseConvolution2d, 0..3) => [3, 3],
            (_, 0) => [1, 1],
            (_, 1) => [3, 3],
            _ => [generator.between(1, 10), generator.between(1, 5)],
        };
        let [height, width] = kernel;
        let padded = generator.chance(10);
        let mut padding = |kernel: i32| if padded { generator.between(0, kernel - 1) } else { 0 };
        let [padding_top, padding_left] = [padding(height), padding(width)];
        let stride = generator.pick(1, &[1, 1, 2, 2, 3, 4]);
        let stride_width = if generator.chance(2) { generator.between(1, 4) } else { stride };
        self.window = Window {
            kernel_height: height as u8,
            kernel_width: width as u8,
            stride_height: stride as u8,
            stride_width: stride_width as u8,
            padding_top: padding_top as u8,
            padding_left: padding_left as u8,
        };
    }

    /// As many output rows and columns as begin inside the image.
    fn slide(&mut self) {
        let count = |extent: u16, padding: u8, stride: u8| {
            let last = extent + u16::from(padding) - 1;
            last.checked_div(u16::from(stride)).unwrap_or(0) + 1
        };
        let window = self.window;
        self.output.height = count(self.input.height, window.padding_top, window.stride_height);
        self.output.width = count(self.input.width, window.padding_left, window.stride_width);
    }

    fn fits(&mut self, kernel: FastKernel) -> bool {
        self.slide();
        let rows = usize::from(self.output.channels);
        let row_length = self.row_length(kernel.subject);
        let bytes = PackedWeights::bytes_for(self.bit_width, kernel.layout, rows, row_length);
        let plain = PackedWeights::bytes_for(self.bit_width, Layout::Rows, rows, row_length);
        self.input.elements() <= ELEMENTS
            && self.output.elements() <= ELEMENTS
            && self.output.elements().saturating_mul(row_length) <= MAX_MACS
            && row_length.saturating_mul(rows) <= WEIGHTS
            && bytes.max(plain) <= WEIGHTS
            && self.scratch_bytes(kernel) <= SCRATCH
    }

    /// Halves the largest dimension.
    fn shrink(&mut self, subject: Subject) {
        let half = |value: u16| value.div_ceil(2);
        let pixels = self.input.height.max(self.input.width);
        let depthwise = subject == Subject::DepthwiseConvolution2d;
        let channels = if depthwise { 0 } else { self.output.channels };
        if pixels.saturating_mul(4) >= self.input.channels.max(channels) && pixels > 1 {
            self.input.height = half(self.input.height);
            self.input.width = half(self.input.width);
        } else if channels >= self.input.channels && channels > 1 {
            self.output.channels = half(channels);
        } else if self.input.channels > 1 {
            self.input.channels = half(self.input.channels);
            if depthwise {
                self.output.channels = self.input.channels;
            }
        } else {
            let window = &mut self.window;
            window.kernel_height = window.kernel_height.div_ceil(2);
            window.kernel_width = window.kernel_width.div_ceil(2);
            window.padding_top = 0;
            window.padding_left = 0;
        }
    }

    fn row_length(&self, subject: Subject) -> usize {
        match subject {
            Subject::Convolution2d => self.window.taps() * usize::from(self.input.channels),
            Subject::DepthwiseConvolution2d => self.window.taps(),
            _ => self.input.elements(),
        }
    }

    fn scratch_bytes(&self, kernel: FastKernel) -> usize {
        let (bit_width, layout, window) = (self.bit_width, kernel.layout, self.window);
        let weights = Weights { bit_width, layout, offset: 0, channels: 0 };
        let operator = match kernel.subject {
            Subject::Convolution2d => Operator::Convolution2d(Convolution2d { window, weights }),
            Subject::DepthwiseConvolution2d => {
                Operator::DepthwiseConvolution2d(DepthwiseConvolution2d { window, weights })
            }
            _ => Operator::FullyConnected(FullyConnected { weights }),
        };
        operator.scratch(self.input, self.output)
    }
}

/// Runs cases `first .. first + count` of a fast kernel and of the portable one, with exactly the scratch memory that the layout
/// promises; returns how many elements were compared.
///
/// # Errors
/// The first element that differs.
pub fn differential_cases<K: Kernels>(
    kernels: &mut K,
    memory: &mut DifferentialMemory,
    kernel: FastKernel,
    seed: u32,
    first: u32,
    count: u32,
) -> Result<u32, Difference> {
    let mut elements = 0u32;
    for number in first..first.saturating_add(count) {
        let mut generator = generator(kernel, seed, number);
        let case = DifferentialCase::new(&mut generator, kernel);
        memory.prepare(&mut generator, &case, kernel);
        let length = case.output.elements();
        memory.run(kernels, &case, kernel);
        // The result of the kernel under test moves aside, and the portable kernel writes its own.
        for (aside, &got) in memory.got.0.iter_mut().zip(&memory.output.0).take(length) {
            *aside = got;
        }
        memory.run(&mut Portable, &case, kernel);
        let got = memory.got.0.iter();
        for (element, (&expected, &got)) in memory.output.0.iter().zip(got).take(length).enumerate()
        {
            if expected != got {
                let element = element as u32;
                return Err(Difference { kernel, seed, case: number, element, expected, got });
            }
        }
        elements = elements.saturating_add(length as u32);
    }
    Ok(elements)
}

impl DifferentialMemory {
    /// Input, weights and channel table of a case.
    fn prepare(&mut self, generator: &mut Generator, case: &DifferentialCase, kernel: FastKernel) {
        let row_length = case.row_length(kernel.subject);
        let rows = usize::from(case.output.channels);
        if let Some(input) = self.input.0.get_mut(..case.input.elements()) {
            fill(generator, input);
        }
        let extreme = generator.chance(2);
        let mut weights = self.weights.as_mut_slice();
        for channel in 0..rows {
            let (row, rest) = weights.split_at_mut_checked(row_length).unwrap_or_default();
            weights = rest;
            let mut magnitude = 0i32;
            for weight in row.iter_mut() {
                *weight = if extreme {
                    case.bit_width.min() as i8
                } else {
                    random_weight(generator, case.bit_width, false)
                };
                magnitude = magnitude.wrapping_add(i32::from(*weight).wrapping_abs());
            }
            let (bias, rescale) = channel_entry(generator, magnitude.wrapping_mul(128), 0);
            let table = &mut self.channels.0;
            write(table, channel * 4, &bias.to_le_bytes());
            write(table, rows * 4 + channel * 2, &rescale.multiplier.to_le_bytes());
            write(table, rows * 6 + channel, &rescale.shift.to_le_bytes());
        }
        let bytes = PackedWeights::bytes_for(case.bit_width, kernel.layout, rows, row_length);
        let weights = self.weights.get(..rows * row_length).unwrap_or(&[]);
        let packed = self.packed.0.get_mut(..bytes).unwrap_or(&mut []);
        packed.fill(0);
        // It cannot fail: the weights are in range and the bytes are as many as the layout takes.
        let _ = PackedWeights::pack(weights, row_length, case.bit_width, kernel.layout, packed);
    }

    /// Runs the case into the output, which holds something else before.
    fn run<K: Kernels>(&mut self, kernels: &mut K, case: &DifferentialCase, kernel: FastKernel) {
        let row_length = case.row_length(kernel.subject);
        let rows = usize::from(case.output.channels);
        let layout = kernel.layout;
        let bytes = PackedWeights::bytes_for(case.bit_width, layout, rows, row_length);
        let weights = PackedWeights {
            bytes: self.packed.0.get(..bytes).unwrap_or(&[]),
            bit_width: case.bit_width,
            layout,
            row_length,
        };
        let Some(channels) = Channels::new(&self.channels.0, rows) else { return };
        let input = self.input.0.get(..case.input.elements()).unwrap_or(&[]);
        let output = self.output.0.get_mut(..case.output.elements()).unwrap_or(&mut []);
        for value in &mut *output {
            *value = !*value;
        }
        let scratch = self.scratch.0.get_mut(..case.scratch_bytes(kernel)).unwrap_or(&mut []);
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
        match kernel.subject {
            Subject::Convolution2d => kernels.convolution_2d(&convolution, input, scratch, output),
            Subject::DepthwiseConvolution2d => {
                kernels.depthwise_convolution_2d(&convolution, input, scratch, output);
            }
            _ => {
                let job = FullyConnectedJob {
                    weights,
                    channels,
                    output_zero_point: case.output_zero_point,
                    activation: case.activation,
                };
                kernels.fully_connected(&job, input, scratch, output);
            }
        }
    }
}
