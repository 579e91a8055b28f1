//! Kernels for a PC, equal to the portable ones to the last bit and some ten times as fast.
//!
//! The portable kernels are the definition that boards are compared with; these serve whoever waits for many inferences. They read any weight layout
//! and use no scratch memory of the model's: weights are widened to 16 bits once ([`WidenedModel`]), a layer's input when it runs, and channels are the
//! lanes of vectors. `tests/tests/host_kernels.rs` holds them to the conformance suite.

mod convolution_2d;
mod depthwise_convolution_2d;
mod elementwise;
mod image;
mod output;
mod pool;
mod widened;

use std::borrow::Cow;

pub use crate::vectors::VARIABLE;
use crate::vectors::{Constants, GROUP, Instructions, Range};
use image::Image;
use tinyhero_common::channels::Channels;
use tinyhero_common::input::InputMap;
use tinyhero_common::kernels::{Kernels, Portable};
use tinyhero_common::layout::PackedWeights;
use tinyhero_common::operator::{AddJob, ConvolutionJob, FullyConnectedJob, MaxPool2dJob, PoolJob};
use tinyhero_common::tensor::SampleType;
pub use widened::WidenedModel;
use widened::{Order, Widened, convolution_order};

/// The kernels, with the memory that they work in.
#[derive(Debug)]
pub struct HostKernels<'w> {
    instructions: Instructions,
    widened: Option<&'w WidenedModel<'w>>,
    image: Image,
    constants: Vec<Constants>,
    taps: Vec<[usize; 2]>,
    sums: Vec<i32>,
    maps: Vec<InputMap>,
}

impl<'w> HostKernels<'w> {
    /// For a model whose weights have been widened, with the best vectors that this processor has; see [`VARIABLE`].
    pub fn new(widened: &'w WidenedModel<'w>) -> Self {
        Self { widened: Some(widened), ..Self::without_model() }
    }

    /// For single layers: each call widens the weights that it is given.
    pub fn without_model() -> Self {
        Self {
            instructions: Instructions::detect(),
            widened: None,
            image: Image::default(),
            constants: Vec::new(),
            taps: Vec::new(),
            sums: Vec::new(),
            maps: Vec::new(),
        }
    }

    /// The same without the processor's wide vectors.
    #[must_use]
    pub fn plain(self) -> Self {
        Self { instructions: Instructions::PLAIN, ..self }
    }

    /// Whether this processor has wide vectors, and they are in use.
    pub const fn has_vectors(&self) -> bool {
        !matches!(self.instructions, Instructions::Plain(_))
    }

    /// The weights of a layer, wide; `None` where that would take too much memory.
    fn widened(
        &self,
        weights: &PackedWeights<'_>,
        rows: usize,
        order: Order,
    ) -> Option<Cow<'w, Widened>> {
        match self.widened {
            Some(model) => model.find(weights, rows, order).map(Cow::Borrowed),
            None => Widened::new(weights, rows, order).map(Cow::Owned),
        }
    }

    /// The constants of all groups of channels.
    fn take_constants(&mut self, channels: Channels<'_>, rows: usize) {
        let mut channels = channels.iter();
        self.constants.clear();
        for _ in 0..rows.div_ceil(GROUP) {
            self.constants.push(Constants::new(channels.by_ref().take(GROUP)));
        }
    }

    /// Whether there was memory for it.
    fn try_convolution(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        output: &mut [i8],
    ) -> Option<()> {
        let rows = usize::from(job.output.channels);
        let weights = self.widened(&job.weights, rows, convolution_order(job))?;
        self.take_constants(job.channels, rows);
        let range = Range { zero_point: job.output_zero_point, activation: job.activation };
        let Self { image, constants, .. } = self;
        image.fill(self.instructions, job, input, job.input.channels.into())?;
        let weights = &weights;
        let work =
            convolution_2d::Convolve { weights, constants, range, image, channels: rows, output };
        self.instructions.run(work);
        Some(())
    }

    /// Whether there was memory for it.
    fn try_depthwise_convolution(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        output: &mut [i8],
    ) -> Option<()> {
        let rows = usize::from(job.output.channels);
        let weights = self.widened(&job.weights, rows, Order::Taps)?;
        self.take_constants(job.channels, rows);
        let range = Range { zero_point: job.output_zero_point, activation: job.activation };
        let Self { image, constants, taps, .. } = self;
        image.fill(self.instructions, job, input, rows.next_multiple_of(GROUP))?;
        depthwise_convolution_2d::taps(job.window, image, taps);
        self.instructions.run(depthwise_convolution_2d::Convolve {
            weights: &weights,
            taps,
            constants,
            range,
            image,
            channels: rows,
            output,
        });
        Some(())
    }
}

impl Kernels for HostKernels<'_> {
    fn quantize_input(
        &mut self,
        maps: &[u8],
        sample_type: SampleType,
        raw: &[u8],
        input: &mut [i8],
    ) {
        let Self { maps: decoded, .. } = self;
        decoded.clear();
        decoded.extend(maps.as_chunks().0.iter().map(|map| InputMap::from_bytes(*map)));
        self.instructions.run(elementwise::Quantize { maps: decoded, sample_type, raw, input });
    }

    fn convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        if self.try_convolution(job, input, output).is_none() {
            Portable.convolution_2d(job, input, scratch, output);
        }
    }

    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        if self.try_depthwise_convolution(job, input, output).is_none() {
            Portable.depthwise_convolution_2d(job, input, scratch, output);
        }
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        input: &[i8],
        scratch: &mut [i8],
        output: &mut [i8],
    ) {
        let rows = output.len();
        let Some(weights) = self.widened(&job.weights, rows, Order::Lines(1)) else {
            Portable.fully_connected(job, input, scratch, output);
            return;
        };
        self.take_constants(job.channels, rows);
        let range = Range { zero_point: job.output_zero_point, activation: job.activation };
        let Self { image, constants, .. } = self;
        image.fill_vector(input);
        let weights = &weights;
        let work =
            convolution_2d::Convolve { weights, constants, range, image, channels: rows, output };
        self.instructions.run(work);
    }

    fn average_pool_2d(&mut self, job: &PoolJob, input: &[i8], output: &mut [i8]) {
        let Self { sums, .. } = self;
        self.instructions.run(pool::Average { job, input, output, sums });
    }

    fn max_pool_2d(&mut self, job: &MaxPool2dJob, input: &[i8], output: &mut [i8]) {
        self.instructions.run(pool::Maximum { job, input, output });
    }

    fn add(&mut self, job: &AddJob, input: &[i8], other: &[i8], output: &mut [i8]) {
        self.instructions.run(elementwise::Sum { job, input: Some(input), other, output });
    }

    fn add_in_place(&mut self, job: &AddJob, input_and_output: &mut [i8], other: &[i8]) {
        let output = input_and_output;
        self.instructions.run(elementwise::Sum { job, input: None, other, output });
    }
}
