//! The one layer loop: every host and every board runs a model through [`run`].

use crate::checksum::Digest;
use crate::error::RunError;
use crate::kernel::{Add, Convolution, FullyConnected, Kernels, Pool, Softmax, argmax};
use crate::layer::Layer;
use crate::model::Model;
use crate::operator::{Operator, Weights};
use crate::parameters::{section, weights_of};
use crate::requantize::Rescale;
use crate::shape::{Region, Shape, Window};
use crate::tensor::Tensor;

/// Is told of every layer that has run; `()` does nothing.
pub trait Observer {
    /// The raw input has been quantized; layers begin.
    fn begin(&mut self) {}

    /// Layer `index` has written `output`.
    fn layer_done(&mut self, index: usize, layer: &Layer<'_>, output: &[i8]);
}

impl Observer for () {
    fn layer_done(&mut self, _index: usize, _layer: &Layer<'_>, _output: &[i8]) {}
}

impl<O: Observer> Observer for &mut O {
    fn begin(&mut self) {
        (**self).begin();
    }

    fn layer_done(&mut self, index: usize, layer: &Layer<'_>, output: &[i8]) {
        (**self).layer_done(index, layer, output);
    }
}

/// One digest over the outputs of all layers.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerDigests {
    all: Digest,
}

impl LayerDigests {
    /// The digest over the layers seen so far: FNV-1a over their single digests, in order.
    pub const fn finish(&self) -> u32 {
        self.all.finish()
    }
}

impl Observer for LayerDigests {
    fn layer_done(&mut self, _index: usize, _layer: &Layer<'_>, output: &[i8]) {
        self.all = self.all.combine(Digest::new().update(output).finish());
    }
}

/// The output of a run, in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// The first of the network's outputs.
    pub scores: &'a [i8],
    /// Index of the winning class: the largest value of the first output, or of what a softmax that wrote it reads, because
    /// rounded probabilities tie more often than the values they come from. Ties go to the lowest index.
    pub label: usize,
}

/// Runs a model on one raw input. The arena's former content does not matter.
///
/// # Errors
/// [`RunError`] if the raw input has the wrong length or the arena is too small; nothing is run then.
pub fn run<'a>(
    model: &Model<'_>,
    kernels: &mut impl Kernels,
    observer: &mut impl Observer,
    raw_input: &[u8],
    arena: &'a mut [i8],
) -> Result<Output<'a>, RunError> {
    let description = model.description();
    if raw_input.len() != model.raw_input_bytes() {
        return Err(RunError::InputLength);
    }
    let arena = arena.get_mut(..description.arena_bytes as usize).ok_or(RunError::ArenaTooSmall)?;

    let mut raw = raw_input;
    for input in model.inputs() {
        // Together they have as many bytes as there are.
        let samples = raw.split_off(..input.raw_bytes()).unwrap_or_default();
        let quantization = input.quantization;
        let maps_bytes = usize::from(quantization.maps) * crate::kernel::InputMap::BYTES;
        let maps = section(model.parameters(), quantization.offset, maps_bytes);
        let values = arena.get_mut(range(input.tensor.region()));
        if let (Some(maps), Some(values)) = (maps, values) {
            kernels.quantize_input(maps, quantization.sample_type, samples, values);
        }
    }
    observer.begin();

    let outcome = model.outcome();
    let mut label = 0;
    let mut index = 0usize;
    let mut layers = model.layers();
    loop {
        // Borrowed where it is, because moving it out would copy every layer in every run.
        let next = layers.next();
        let Some(layer) = &next else { break };
        run_layer(model, kernels, layer, arena);
        observer.layer_done(index, layer, tensor(arena, &layer.output));
        let number = usize::from(description.input_count).wrapping_add(index);
        if usize::from(outcome.source) == number {
            // Now, because what a softmax reads may be gone in the end.
            let deciding = match layer.operator {
                Operator::Softmax { .. } => layer.input(),
                _ => &layer.output,
            };
            label = argmax(tensor(arena, deciding));
        }
        index = index.wrapping_add(1);
    }
    let scores = tensor(arena, &outcome.tensor);
    Ok(Output { scores, label })
}

/// The bytes of a tensor. Loading has checked that it lies inside the arena.
#[inline(never)]
fn tensor<'a>(arena: &'a [i8], tensor: &Tensor) -> &'a [i8] {
    arena.get(range(tensor.region())).unwrap_or(&[])
}

const fn range(region: Region) -> core::ops::Range<usize> {
    let start = region.offset as usize;
    start..start + region.bytes as usize
}

/// Runs one layer of a validated model.
#[inline(never)]
fn run_layer<K: Kernels>(model: &Model<'_>, kernels: &mut K, layer: &Layer<'_>, arena: &mut [i8]) {
    // Such a layer is not loaded. Asked again, so that the compiler sees what is never run.
    if !K::computes(layer) {
        return;
    }
    let input = range(layer.input().region());
    let output = range(layer.output.region());
    // Only in a model that was not validated: its kernels would go round for nothing.
    if output.is_empty() {
        return;
    }
    // An empty range counts as overlapping the range it lies in, so an absent scratch goes to the arena's end.
    let scratch = match layer.scratch.bytes {
        0 => arena.len()..arena.len(),
        _ => range(layer.scratch),
    };
    if let (Operator::Add { rescale }, [_, other]) = (layer.operator, &*layer.inputs) {
        let job = Add {
            rescale,
            input_zero_point: layer.input().zero_point,
            other_zero_point: other.tensor.zero_point,
            output_zero_point: layer.output.zero_point,
            activation: layer.activation,
        };
        let other = range(other.tensor.region());
        if input == output {
            if let Ok([input, other]) = arena.get_disjoint_mut([input, other]) {
                kernels.add_in_place(&job, input, other);
            }
        } else if let Ok([input, other, output]) = arena.get_disjoint_mut([input, other, output]) {
            kernels.add(&job, input, other, output);
        }
        return;
    }
    let Ok([input, output, scratch]) = arena.get_disjoint_mut([input, output, scratch]) else {
        return;
    };
    match layer.operator {
        Operator::Convolution2d { window, weights } => {
            if let Some(job) = convolution(model, layer, window, weights) {
                kernels.convolution_2d(&job, input, scratch, output);
            }
        }
        Operator::DepthwiseConvolution2d { window, weights } => {
            if let Some(job) = convolution(model, layer, window, weights) {
                kernels.depthwise_convolution_2d(&job, input, scratch, output);
            }
        }
        Operator::FullyConnected { weights } => {
            if let Some((weights, channels)) = weights_of(model.parameters(), layer, weights) {
                let job = FullyConnected {
                    weights,
                    channels,
                    output_zero_point: layer.output.zero_point,
                    activation: layer.activation,
                };
                kernels.fully_connected(&job, input, scratch, output);
            }
        }
        Operator::AveragePool2d { window, rescale } => {
            kernels.average_pool_2d(&pool(layer, window, rescale), input, output);
        }
        Operator::MaxPool2d { window } => {
            let unused = Rescale { multiplier: 0, shift: 1 };
            kernels.max_pool_2d(&pool(layer, window, unused), input, output);
        }
        Operator::Softmax { exponent_multiplier } => {
            let channels = usize::from(layer.output.shape.channels);
            kernels.softmax(&Softmax { channels, exponent_multiplier }, input, output);
        }
        Operator::Add { .. } => {}
    }
}

fn convolution<'a>(
    model: &Model<'a>,
    layer: &Layer<'_>,
    window: Window,
    weights: Weights,
) -> Option<Convolution<'a>> {
    let (weights, channels) = weights_of(model.parameters(), layer, weights)?;
    let input = *layer.input();
    Some(Convolution {
        input: input.shape,
        output: layer.output.shape,
        window,
        weights,
        channels,
        input_zero_point: input.zero_point,
        output_zero_point: layer.output.zero_point,
        activation: layer.activation,
    })
}

fn pool(layer: &Layer<'_>, window: Window, rescale: Rescale) -> Pool {
    let input = layer.input();
    // Field by field: as a whole, the compiler would copy it with a routine that has no other use and takes 1.3 kB on Cortex-M0.
    let Shape { height, width, channels } = input.shape;
    Pool {
        input: Shape { height, width, channels },
        output: layer.output.shape,
        window,
        input_zero_point: input.zero_point,
        output_zero_point: layer.output.zero_point,
        rescale,
        activation: layer.activation,
    }
}

/// The raw input of a model's self-test: bytes of a xorshift generator (Marsaglia, "Xorshift RNGs", 2003, the triple
/// 13, 17, 5), the high byte of each 32-bit state. For two-byte samples they are taken in pairs.
#[derive(Clone, Copy, Debug)]
pub struct SelfTestInput(u32);

impl SelfTestInput {
    /// Begins at a seed; zero, which the generator cannot leave, counts as one.
    pub const fn new(seed: u32) -> Self {
        Self(if seed == 0 { 1 } else { seed })
    }
}

impl Iterator for SelfTestInput {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        let [_, _, _, high] = self.0.to_le_bytes();
        Some(high)
    }
}

/// Runs the model's self-test, with `raw_input` as room for its input.
///
/// Returns whether the digest over all layers is the expected one.
///
/// # Errors
/// [`RunError`] if `raw_input` is shorter than a raw input, or the arena too small.
pub fn self_test(
    model: &Model<'_>,
    kernels: &mut impl Kernels,
    raw_input: &mut [u8],
    arena: &mut [i8],
) -> Result<bool, RunError> {
    let expected = model.description().self_test;
    let raw_input = raw_input.get_mut(..model.raw_input_bytes()).ok_or(RunError::InputLength)?;
    for (byte, value) in raw_input.iter_mut().zip(SelfTestInput::new(expected.seed)) {
        *byte = value;
    }
    let mut digests = LayerDigests::default();
    run(model, kernels, &mut digests, raw_input, arena)?;
    Ok(digests.finish() == expected.digest)
}
