//! The one layer loop: every host and every board runs a model through [`run`].

use crate::checksum::Digest;
use crate::error::RunError;
use crate::input::InputMap;
use crate::kernels::{Kernels, argmax};
use crate::layer::Layer;
use crate::model::{LayerOf, Model};
use crate::operator::{Operator, Rules, operators};
use crate::parameters::section;
use crate::shape::Region;
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
pub fn run<'a, K: Kernels>(
    model: &Model<'_>,
    kernels: &mut K,
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
        let maps_bytes = usize::from(quantization.maps) * InputMap::BYTES;
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
    let mut layers = model.layers_of::<K>();
    loop {
        // Borrowed where it is, because moving it out would copy every layer in every run.
        let next = layers.next();
        let Some(LayerOf { layer, .. }) = &next else { break };
        run_layer(model, kernels, layer, arena);
        observer.layer_done(index, layer, tensor(arena, &layer.output));
        let number = usize::from(description.input_count).wrapping_add(index);
        if usize::from(outcome.source) == number {
            // Now, because what the last layer reads may be gone in the end.
            let from_input = layer.operator.label_from_input();
            let deciding = if from_input { layer.input() } else { &layer.output };
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

/// The arena's bytes in one layer's run. What the operator has none of is empty, and so is `input` where the output takes its place.
struct Memory<'a> {
    input: &'a [i8],
    other: &'a [i8],
    scratch: &'a mut [i8],
    output: &'a mut [i8],
}

impl<'a> Memory<'a> {
    /// `None` in a model that was not validated: regions overlap, leave the arena, or there is no output, for which kernels would go round
    /// for nothing.
    fn of(layer: &Layer<'_>, arena: &'a mut [i8]) -> Option<Self> {
        // An empty range counts as overlapping the range it lies in, so what is absent goes to the arena's end.
        let end = arena.len();
        let range = |region: Region| match region.bytes {
            0 => end..end,
            _ => range(region),
        };
        let output = layer.output.region();
        let input = layer.input().region();
        let input = if input == output { Region::EMPTY } else { input };
        let other = layer.inputs.get(1).map_or(Region::EMPTY, |other| other.tensor.region());
        let ranges = [range(input), range(other), range(layer.scratch), range(output)];
        let [input, other, scratch, output] = arena.get_disjoint_mut(ranges).ok()?;
        (!output.is_empty()).then_some(Self { input, other, scratch, output })
    }
}

/// Calls the kernel of every operator.
macro_rules! run {
    (
        [$operator:expr, $kernels:ident, $tensors:expr, $parameters:expr, $memory:ident]
        $(
            $tag:literal $name:ident: $method:ident($($argument:ident),*)
            $(or $in_place:ident($($place:ident),*))?,
        )*
    ) => {
        match $operator {
            $(Operator::$name(operator) => {
                if let Some(job) = operator.job($tensors, $parameters) {
                    $(if $memory.input.is_empty() {
                        $kernels.$in_place(&job, $($memory.$place),*);
                        return;
                    })?
                    $kernels.$method(&job, $($memory.$argument),*);
                }
            })*
        }
    };
}

/// Runs one layer of a validated model.
#[inline(never)]
fn run_layer<K: Kernels>(model: &Model<'_>, kernels: &mut K, layer: &Layer<'_>, arena: &mut [i8]) {
    // Such a layer is not loaded. Asked again, so that the compiler sees what is never run.
    if !K::computes(layer) {
        return;
    }
    let Some(memory) = Memory::of(layer, arena) else { return };
    let (tensors, parameters) = (&layer.tensors(), model.parameters());
    operators!(run & layer.operator, kernels, tensors, parameters, memory);
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
