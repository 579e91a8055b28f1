//! Weights as the vectors read them: 16 bits each, two at a time, channels in lanes.
//!
//! Whatever layout and width a model has, its weights are unpacked once, for all inferences. Memory is bounded: what would take too much is left to
//! the portable kernels.

use std::marker::PhantomData;

use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::kernels::Kernels;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::model::Model;
use tinyhero_common::network::run;
use tinyhero_common::operator::{
    AddJob, ConvolutionJob, FullyConnectedJob, MaxPool2dJob, PoolJob, SoftmaxJob,
};

use crate::error::{Error, Result};
use crate::vectors::{GROUP, LANES, Pairs, channel};

/// Most bytes of a layer's weights.
const LAYER_BYTES: usize = 64 << 20;
/// Most bytes of a model's weights.
const MODEL_BYTES: usize = 256 << 20;

/// How the weights of a row meet the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In so many lines, one after the other in memory each. Pairs are neighbours in a line; the last of an odd line meets a zero.
    Lines(usize),
    /// One for each tap of the same channel. Pairs are neighbouring taps; the last of an odd number meets a zero.
    Taps,
}

/// The weights of a layer: of each group of channels, of each line, each pair as two vectors.
#[derive(Clone, Debug)]
pub struct Widened {
    /// Lines of a row.
    pub lines: usize,
    /// Pairs of a line.
    pub pairs: usize,
    values: Vec<[Pairs; 2]>,
}

impl Widened {
    /// Unpacks `rows` rows. `None` if that takes too much memory.
    pub fn new(weights: &PackedWeights<'_>, rows: usize, order: Order) -> Option<Self> {
        let lines = match order {
            Order::Lines(lines) => lines.max(1),
            Order::Taps => 1,
        };
        let length = weights.row_length / lines;
        if length == 0 {
            return None;
        }
        let pairs = length.div_ceil(2);
        let groups = rows.div_ceil(GROUP);
        let vectors = groups.checked_mul(lines)?.checked_mul(pairs)?;
        if vectors.checked_mul(size_of::<[Pairs; 2]>())? > LAYER_BYTES {
            return None;
        }
        let mut values = vec![[Pairs::default(); 2]; vectors];
        let mut row = vec![0i8; weights.row_length];
        let position: [usize; GROUP] = std::array::from_fn(|wanted| {
            (0..GROUP).find(|&position| channel(position) == wanted).unwrap_or(0)
        });
        for number in 0..rows {
            weights.unpack(number, 0, &mut row);
            let first = number / GROUP * lines * pairs;
            let position = position[number % GROUP];
            let (vector, lane) = (position / LANES, position % LANES);
            for (line, weights) in row.chunks_exact(length.max(1)).enumerate() {
                for (pair, weights) in weights.chunks(2).enumerate() {
                    let place = &mut values[first + line * pairs + pair][vector].0;
                    for (half, &weight) in weights.iter().enumerate() {
                        place[2 * lane + half] = i16::from(weight);
                    }
                }
            }
        }
        Some(Self { lines, pairs, values })
    }

    /// The weights of each group.
    pub fn groups(&self) -> impl Iterator<Item = &[[Pairs; 2]]> {
        self.values.chunks_exact((self.lines * self.pairs).max(1))
    }

    const fn bytes(&self) -> usize {
        self.values.len() * size_of::<[Pairs; 2]>()
    }
}

/// What tells the weights of a model's layers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    address: usize,
    bytes: usize,
    bit_width: BitWidth,
    layout: Layout,
    row_length: usize,
    rows: usize,
    order: Order,
}

impl Key {
    fn new(weights: &PackedWeights<'_>, rows: usize, order: Order) -> Self {
        let PackedWeights { bytes, bit_width, layout, row_length } = *weights;
        Self {
            address: bytes.as_ptr().addr(),
            bytes: bytes.len(),
            bit_width,
            layout,
            row_length,
            rows,
            order,
        }
    }
}

/// The weights of all layers of a model. While it lives the model's file is borrowed, so that an address in it names the same weights.
#[derive(Debug, Default)]
pub struct WidenedModel<'m> {
    layers: Vec<(Key, Widened)>,
    bytes: usize,
    file: PhantomData<&'m [u8]>,
}

impl<'m> WidenedModel<'m> {
    /// Unpacks the weights of every layer.
    ///
    /// # Errors
    /// The model cannot run at all.
    pub fn new(model: &Model<'m>) -> Result<Self> {
        let mut found = Self::default();
        let raw = vec![0; model.raw_input_bytes()];
        let mut arena = vec![0; model.description().arena_bytes as usize];
        run(model, &mut Collector(&mut found), &mut (), &raw, &mut arena)
            .map_err(|problem| Error::check_failed("model", problem, "please report this"))?;
        Ok(found)
    }

    /// The weights of a layer; `None` if they would take too much memory.
    pub fn find(&self, weights: &PackedWeights<'_>, rows: usize, order: Order) -> Option<&Widened> {
        let wanted = Key::new(weights, rows, order);
        self.layers.iter().find(|(key, _)| *key == wanted).map(|(_, widened)| widened)
    }

    fn add(&mut self, weights: &PackedWeights<'_>, rows: usize, order: Order) {
        if self.find(weights, rows, order).is_some() {
            return;
        }
        let Some(widened) = Widened::new(weights, rows, order) else { return };
        if self.bytes + widened.bytes() > MODEL_BYTES {
            return;
        }
        self.bytes += widened.bytes();
        self.layers.push((Key::new(weights, rows, order), widened));
    }
}

/// How a full convolution reads its weights.
pub fn convolution_order(job: &ConvolutionJob<'_>) -> Order {
    Order::Lines(usize::from(job.window.kernel_height))
}

/// Goes through a model's layers as if they ran, and computes nothing.
struct Collector<'f, 'm>(&'f mut WidenedModel<'m>);

impl Kernels for Collector<'_, '_> {
    fn convolution_2d(&mut self, job: &ConvolutionJob<'_>, _: &[i8], _: &mut [i8], _: &mut [i8]) {
        self.0.add(&job.weights, job.output.channels.into(), convolution_order(job));
    }

    fn depthwise_convolution_2d(
        &mut self,
        job: &ConvolutionJob<'_>,
        _: &[i8],
        _: &mut [i8],
        _: &mut [i8],
    ) {
        self.0.add(&job.weights, job.output.channels.into(), Order::Taps);
    }

    fn fully_connected(
        &mut self,
        job: &FullyConnectedJob<'_>,
        _: &[i8],
        _: &mut [i8],
        output: &mut [i8],
    ) {
        self.0.add(&job.weights, output.len(), Order::Lines(1));
    }

    fn average_pool_2d(&mut self, _: &PoolJob, _: &[i8], _: &mut [i8]) {}

    fn max_pool_2d(&mut self, _: &MaxPool2dJob, _: &[i8], _: &mut [i8]) {}

    fn add(&mut self, _: &AddJob, _: &[i8], _: &[i8], _: &mut [i8]) {}

    fn add_in_place(&mut self, _: &AddJob, _: &mut [i8], _: &[i8]) {}

    fn softmax(&mut self, _: &SoftmaxJob, _: &[i8], _: &mut [i8]) {}
}
