//! Single layers over the whole range that the loader accepts, against their definition.
//!
//! [`operator_cases`](crate::operator_cases) and [`differential_cases`](crate::differential_cases) take many small jobs; these are few and of
//! any size: kernels and strides up to 255, kernels larger than the image, long and narrow images, rows of up to 66,000 weights,
//! pools at the limit of 16-bit lanes, images that scratch memory has room for in pieces only. Their work is bounded all the same, by the
//! number of outputs. `tests/tests/layers.rs` counts that the shapes that matter occur.

mod shape;

use core::fmt;

use tinyhero_common::channels::Channels;
use tinyhero_common::kernels::Kernels;
use tinyhero_common::layout::Layout;

use crate::case::memory::Memory;
use crate::case::{Aligned, MARGIN, OperatorCase, range};
use crate::differential::FastKernel;
use crate::generator::Generator;
use crate::mismatch::{Mismatch, Subject};
use crate::operator::compare;

/// Layers of each kernel that a board of every kernel set runs.
pub const BOARD_LAYERS: u32 = 600;

/// Most elements of an input, and weights of a row: more than 2^16, the longest row of the vector kernels.
const INPUT: usize = 66_000;
/// Most elements of another operand.
const OTHER: usize = 16 * 1024;
/// Most elements of an output.
const OUTPUT: usize = 20_000;
/// Most weights.
const WEIGHTS: usize = 256 * 1024;
/// Most bytes of packed weights: four rows of the longest, in which some layouts count.
const PACKED: usize = 264 * 1024;
/// Most output channels.
const CHANNELS: usize = 700;
/// Most scratch bytes: what a depthwise window of 255 x 255 takes in [`Layout::FieldQuads`].
const SCRATCH: usize = 1280 * 1024;
/// Bytes on either side of output and scratch bytes that must stay as they are.
const WATCHED: usize = MARGIN;
/// Room on both sides, for odd alignments, and for scratch bytes that nobody needs.
const ROOM: usize = 6 * MARGIN;

/// The memory that layers run in, 2 MB.
#[derive(Clone, Copy, Debug)]
pub struct LayerMemory {
    input: Aligned<[i8; INPUT + ROOM]>,
    other: Aligned<[i8; OTHER + ROOM]>,
    output: Aligned<[i8; OUTPUT + ROOM]>,
    scratch: Aligned<[i8; SCRATCH + ROOM]>,
    weights: [i8; WEIGHTS],
    packed: Aligned<[u8; PACKED]>,
    channels: Aligned<[u8; CHANNELS * Channels::BYTES]>,
}

impl Default for LayerMemory {
    fn default() -> Self {
        Self::new()
    }
}

impl LayerMemory {
    /// Memory without a layer in it.
    pub const fn new() -> Self {
        Self {
            input: Aligned([0; INPUT + ROOM]),
            other: Aligned([0; OTHER + ROOM]),
            output: Aligned([0; OUTPUT + ROOM]),
            scratch: Aligned([0; SCRATCH + ROOM]),
            weights: [0; WEIGHTS],
            packed: Aligned([0; PACKED]),
            channels: Aligned([0; CHANNELS * Channels::BYTES]),
        }
    }

    /// Makes a layer: its constants are returned, its tensors, weights and channel table are filled in.
    pub fn prepare(&mut self, kernel: FastKernel, seed: u32, case: u32) -> OperatorCase {
        let mut generator = generator(kernel, seed, case);
        let case = OperatorCase::layer(&mut generator, kernel);
        self.memory().prepare(&mut generator, &case);
        case
    }

    /// The input of the layer that was prepared.
    pub fn input(&self, case: &OperatorCase) -> &[i8] {
        range(&self.input.0, case.input_range())
    }

    /// The weights, one row after the other.
    pub fn weights(&self, case: &OperatorCase) -> &[i8] {
        range(&self.weights, 0..case.row_length * case.rows())
    }

    /// The weights as the layout has them.
    pub fn packed(&self, case: &OperatorCase) -> &[u8] {
        self.packed.0.get(..case.packed_bytes()).unwrap_or(&[])
    }

    /// The channel table.
    pub fn channels(&self, case: &OperatorCase) -> &[u8] {
        let bytes = case.channel_entries() * Channels::BYTES;
        self.channels.0.get(..bytes).unwrap_or(&[])
    }

    const fn memory(&mut self) -> Memory<'_> {
        Memory {
            input: &mut self.input.0,
            other: &mut self.other.0,
            output: &mut self.output.0,
            scratch: &mut self.scratch.0,
            weights: &mut self.weights,
            packed: &mut self.packed.0,
            channels: &mut self.channels.0,
            watched: WATCHED,
        }
    }
}

/// The constants of a layer, without its tensors and weights.
pub fn layer_case(kernel: FastKernel, seed: u32, case: u32) -> OperatorCase {
    OperatorCase::layer(&mut generator(kernel, seed, case), kernel)
}

fn generator(kernel: FastKernel, seed: u32, case: u32) -> Generator {
    let kind = (kernel.subject as u32) << 24 ^ (kernel.layout as u32) << 16 ^ 0x4C61_0000;
    Generator::new(seed ^ kind, case)
}

/// Runs the layers `first .. first + count` of a kernel, with exactly the scratch memory that the layout promises in most. Returns how many
/// elements were compared.
///
/// # Errors
/// The first element that is not the defined one, or a byte beside output and scratch memory that was written.
pub fn layer_cases<K: Kernels>(
    kernels: &mut K,
    memory: &mut LayerMemory,
    kernel: FastKernel,
    seed: u32,
    first: u32,
    count: u32,
) -> Result<u32, LayerMismatch> {
    let mut elements = 0u32;
    for number in first..first.saturating_add(count) {
        let case = memory.prepare(kernel, seed, number);
        let compared = compare(kernels, &mut memory.memory(), &case).map_err(|fault| {
            let mismatch = fault.mismatch(kernel.subject, seed, number);
            LayerMismatch { layout: kernel.layout, mismatch }
        })?;
        elements = elements.saturating_add(compared);
    }
    Ok(elements)
}

/// A layer whose result is not the defined one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerMismatch {
    /// The layout that the kernel takes.
    pub layout: Layout,
    /// The rest.
    pub mismatch: Mismatch,
}

impl LayerMismatch {
    /// As numbers, for a link that knows no more.
    pub const fn to_words(self) -> [u32; 7] {
        let [subject, seed, case, element, expected, got] = self.mismatch.to_words();
        [self.layout as u32, subject, seed, case, element, expected, got]
    }

    /// Back from [`LayerMismatch::to_words`]; `None` if the first words are no kernel.
    pub fn from_words(words: [u32; 7]) -> Option<Self> {
        let [layout, rest @ ..] = words;
        let layout = *Layout::ALL.get(usize::try_from(layout).ok()?)?;
        Some(Self { layout, mismatch: Mismatch::from_words(rest)? })
    }
}

/// Prints the failing call: the layer is made again. Its weights are too many to print; [`LayerMemory::prepare`] makes them. For the host; boards
/// send the words.
impl fmt::Display for LayerMismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { subject, seed, case, .. } = self.mismatch;
        let layout = self.layout;
        write!(formatter, "layer of {subject:?} in {layout:?}, seed {seed}, case {case}: ")?;
        self.mismatch.print_fault(formatter)?;
        write!(formatter, "{:?}", layer_case(FastKernel { subject, layout }, seed, case))
    }
}

impl core::error::Error for LayerMismatch {}

/// The operators of which every board runs layers, beside its fast kernels for layouts: most have no weights; the others have them in the
/// portable layout, and where a kernel of some core reads another, in that one too.
pub const ON_EVERY_BOARD: [FastKernel; 20] = [
    FastKernel { subject: Subject::AveragePool2d, layout: Layout::Rows },
    FastKernel { subject: Subject::MaxPool2d, layout: Layout::Rows },
    FastKernel { subject: Subject::Add, layout: Layout::Rows },
    FastKernel { subject: Subject::AddInPlace, layout: Layout::Rows },
    FastKernel { subject: Subject::Softmax, layout: Layout::Rows },
    FastKernel { subject: Subject::Table, layout: Layout::Rows },
    FastKernel { subject: Subject::TableInPlace, layout: Layout::Rows },
    FastKernel { subject: Subject::MeanPool2d, layout: Layout::Rows },
    FastKernel { subject: Subject::Multiply, layout: Layout::Rows },
    FastKernel { subject: Subject::MultiplyInPlace, layout: Layout::Rows },
    FastKernel { subject: Subject::Concatenate, layout: Layout::Rows },
    FastKernel { subject: Subject::Resize2d, layout: Layout::Rows },
    FastKernel { subject: Subject::TransposedConvolution2d, layout: Layout::Rows },
    FastKernel { subject: Subject::GroupedConvolution2d, layout: Layout::Rows },
    FastKernel { subject: Subject::GroupedConvolution2d, layout: Layout::ChannelPairs },
    FastKernel { subject: Subject::GroupedConvolution2d, layout: Layout::ChannelQuads },
    FastKernel { subject: Subject::Lstm, layout: Layout::Rows },
    FastKernel { subject: Subject::Lstm, layout: Layout::ChannelPairs },
    FastKernel { subject: Subject::Gru, layout: Layout::Rows },
    FastKernel { subject: Subject::Gru, layout: Layout::ChannelPairs },
];

/// The operators with layouts, in the portable one.
pub const IN_ROWS: [FastKernel; 3] = [
    FastKernel { subject: Subject::Convolution2d, layout: Layout::Rows },
    FastKernel { subject: Subject::DepthwiseConvolution2d, layout: Layout::Rows },
    FastKernel { subject: Subject::FullyConnected, layout: Layout::Rows },
];
