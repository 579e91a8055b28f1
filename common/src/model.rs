//! The model file: what it says, and reading it in place.
//!
//! `[header, 32 bytes][description, postcard][zero padding][parameters, 16-byte aligned][notes]`. `docs/model-file.md` in the
//! repository has the byte table and says what obliges a new version. The description is borrowed, not copied: layers
//! are read one at a time as the network runs. [`Model::load`] validates everything once; afterwards nothing that
//! reads the model can fail.

mod header;
mod layers;
mod validate;

pub use crate::reason::Reason;
use header::Parts;
pub use header::{
    ALIGNMENT, CHECKSUM_PLACE, FORMAT_VERSION, HEADER_BYTES, Header, MAGIC, file_bytes, version_of,
};
pub use validate::LoadError;

use serde::{Deserialize, Serialize};

use crate::compact::{Read, Reader, described};
use crate::kernels::{Kernels, Portable};
use crate::layer::Layer;
use crate::requantize::Rescale;
use crate::tensor::{Operand, SampleType, Tensor};
use crate::text::Text;
pub(crate) use layers::LayerOf;

/// Most inputs a model may have.
pub const MAX_INPUTS: usize = 8;
/// Most outputs a model may have.
pub const MAX_OUTPUTS: usize = 8;
/// Most layers a model may have.
pub const MAX_LAYERS: usize = 256;

/// Most work one inference may take, in multiply-accumulates plus elements read and written: `2^28`.
///
/// About 35 times MobileNetV1-0.25 at 96×96. With one to three instructions for each in its own layout, a board at 100 MHz is busy for
/// several seconds; in a layout that is left to the portable kernels, with ten times as many, for a minute, and a Cortex-M0 at 16 MHz for
/// minutes. Anything above is taken for a corrupt or hostile file, so that running always ends. Loading ends sooner: its time grows with the
/// length of the file and the square of the number of layers, whatever work they are.
pub const MAX_WORK: u64 = 1 << 28;
/// Largest arena a model may ask for, in bytes: 16 MiB.
pub const MAX_ARENA_BYTES: u32 = 1 << 24;

described! {
    /// How raw samples become one of the network's int8 inputs, equation (1).
    pub struct InputQuantization {
        /// What a raw sample is.
        pub sample_type: SampleType,
        /// Number of affine maps: 1 for all channels together, or one per channel.
        pub maps: u16,
        /// Where the maps begin in the parameters, in bytes, a multiple of 4; see [`crate::input::InputMap`].
        pub offset: u32,
    }
}

described! {
    /// A run that every board can repeat without any data.
    ///
    /// The raw input is made by [`crate::network::SelfTestInput`] from the seed; the digest is that of [`crate::network::LayerDigests`].
    pub struct SelfTest {
        /// Start of the pseudo-random input.
        pub seed: u32,
        /// Expected digest over all layers.
        pub digest: u32,
    }
}

/// What the outputs are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task<'a> {
    /// The largest value of the first output is the answer.
    Classification {
        /// Class labels in the order of the outputs, separated by line feeds.
        #[serde(borrow)]
        labels: Text<'a>,
    },
    /// Every value of the first output stands for a number, `scale · (q − zero_point)`.
    Regression {
        /// Names of the numbers in the order of the outputs, separated by line feeds.
        names: Text<'a>,
        /// Their units, separated by line feeds; an empty line where there is none, and nothing at all if there are none.
        units: Text<'a>,
    },
    /// The first output imitates the first input, and what it fails to imitate is unusual.
    Reconstruction {
        /// From the input's values, less their zero point, to steps of the output.
        rescale: Rescale,
        /// Largest sum of squared differences, in squared steps of the output, of a sample that counts as usual;
        /// `u32::MAX` if none has been chosen.
        threshold: u32,
    },
}

impl<'a> Read<'a> for Task<'a> {
    fn read(reader: &mut Reader<'a>) -> Self {
        match reader.variant(3) {
            0 => Self::Classification { labels: Text::read(reader) },
            1 => Self::Regression { names: Text::read(reader), units: Text::read(reader) },
            _ => Self::Reconstruction { rescale: Rescale::read(reader), threshold: reader.word() },
        }
    }
}

described! {
    /// What stands before inputs, outputs and layers.
    #[derive(Copy)]
    pub struct Description<'a> {
        /// Name of the network.
        #[serde(borrow)]
        pub name: Text<'a>,
        /// What the outputs are for.
        #[serde(borrow)]
        pub task: Task<'a>,
        /// Arena that one inference needs, in bytes.
        pub arena_bytes: u32,
        /// The first bytes of the arena, which one inference leaves to the next. They begin as zeros.
        pub state_bytes: u32,
        /// The built-in check.
        pub self_test: SelfTest,
        /// Number of [`InputTensor`]s that follow, 1 to [`MAX_INPUTS`].
        pub input_count: u16,
        /// Number of [`OutputTensor`]s that follow them, 1 to [`MAX_OUTPUTS`].
        pub output_count: u16,
        /// Number of layers that follow these, 1 to [`MAX_LAYERS`].
        pub layer_count: u16,
    }
}

described! {
    /// One of the network's inputs.
    #[derive(Copy)]
    pub struct InputTensor<'a> {
        /// Unique name, at most [`MAX_NAME_BYTES`](crate::layer::MAX_NAME_BYTES).
        #[serde(borrow)]
        pub name: Text<'a>,
        /// The raw input and its quantization.
        pub quantization: InputQuantization,
        /// The quantized input.
        pub tensor: Tensor,
    }
}

impl InputTensor<'_> {
    /// Bytes of the raw samples.
    pub const fn raw_bytes(&self) -> usize {
        self.tensor.shape.elements().saturating_mul(self.quantization.sample_type.bytes())
    }
}

described! {
    /// One of the network's outputs.
    #[derive(Copy)]
    pub struct OutputTensor<'a> {
        /// Unique name, at most [`MAX_NAME_BYTES`](crate::layer::MAX_NAME_BYTES).
        #[serde(borrow)]
        pub name: Text<'a>,
        /// The tensor and what wrote it; nothing overwrites it before the end of the run.
        pub operand: Operand,
    }
}

/// A validated model, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    description: Description<'a>,
    inputs: Described<'a, InputTensor<'a>>,
    raw_input_bytes: usize,
    outputs: Described<'a, OutputTensor<'a>>,
    outcome: Operand,
    layers: Described<'a, Layer<'a>>,
    parameters: &'a [u8],
    notes: &'a [u8],
    digest: u32,
}

impl<'a> Model<'a> {
    /// Validates a whole model file, which must begin and end with the slice. The answer is the same on every machine, whatever kernels it
    /// has.
    ///
    /// Flash regions are larger than the file in them: cut them to [`file_bytes`] first. Where the slice lies in memory does not matter here; the
    /// kernels of a core read words, so its engine asks for alignment.
    ///
    /// # Errors
    /// [`LoadError`] says what is wrong and in which layer.
    pub fn load(file: &'a [u8]) -> Result<Self, LoadError> {
        Self::load_for::<Portable>(file)
    }

    /// The same for kernels that may leave out operators, and with them the code that would validate these.
    ///
    /// # Errors
    /// As for [`Model::load`], and [`Reason::Operator`].
    pub fn load_for<K: Kernels>(file: &'a [u8]) -> Result<Self, LoadError> {
        let model = Self::load_trusted(file)?;
        validate::validate::<K>(&model)?;
        Ok(model)
    }

    /// Checks only the header and the checksum. For a file that the exporter has written and nobody can have
    /// changed since, say one that is part of the application's image: the exporter has validated it.
    ///
    /// With any other file, running the model still reads nothing but the file, the input and the arena, and writes nothing but the arena. But
    /// it may compute anything, or nothing, and take hours: the sizes of layers bound every loop, and nothing bounds the sizes.
    ///
    /// # Errors
    /// The header, the checksum or what stands before the layers is wrong.
    pub fn load_trusted(file: &'a [u8]) -> Result<Self, LoadError> {
        let (header, parts) = header::split(file)?;
        Self::read(header, &parts).ok_or(LoadError::model(Reason::Description))
    }

    fn read(header: Header, parts: &Parts<'a>) -> Option<Self> {
        let mut reader = Reader::new(parts.description);
        let description = Description::read(&mut reader);
        let inputs = Described::new(reader.rest()?, description.input_count);
        let mut raw_input_bytes = 0usize;
        let behind = inputs.for_each_of_all(|input: InputTensor<'_>| {
            raw_input_bytes = raw_input_bytes.saturating_add(input.raw_bytes());
        })?;
        let outputs = Described::new(behind, description.output_count);
        let behind = outputs.for_each_of_all(|_: OutputTensor<'_>| {})?;
        let layers = Described::new(behind, description.layer_count);
        // There is one in every valid model. In others, this is one without a value.
        let outcome = OutputTensor::read(&mut Reader::new(outputs.unread())).operand;
        let digest = header.checksum;
        let Parts { parameters, notes, .. } = *parts;
        Some(Self {
            description,
            inputs,
            raw_input_bytes,
            outputs,
            outcome,
            layers,
            parameters,
            notes,
            digest,
        })
    }

    /// What stands before inputs, outputs and layers.
    pub const fn description(&self) -> &Description<'a> {
        &self.description
    }

    /// The network's inputs. Their raw samples follow one another in this order.
    pub const fn inputs(&self) -> Described<'a, InputTensor<'a>> {
        self.inputs
    }

    /// The network's outputs.
    pub const fn outputs(&self) -> Described<'a, OutputTensor<'a>> {
        self.outputs
    }

    /// The layers in the order in which they run.
    pub const fn layers(&self) -> Described<'a, Layer<'a>> {
        self.layers
    }

    /// The same, read for a kernel set: they end before a layer whose operator it leaves out.
    pub(crate) const fn layers_of<K: Kernels>(&self) -> Described<'a, LayerOf<'a, K>> {
        let Described { bytes, remaining, .. } = self.layers;
        Described::new(bytes, remaining)
    }

    /// The first layer that a kernel set does not compute.
    pub fn first_not_computed<K: Kernels>(&self) -> Option<u16> {
        let mut layers = self.layers_of::<K>();
        for index in 0..self.description.layer_count {
            let next = layers.next();
            let Some(LayerOf { layer, .. }) = &next else {
                return layers::is_left_out::<K>(layers.unread()).then_some(index);
            };
            if !K::computes(layer) {
                return Some(index);
            }
        }
        None
    }

    /// Weights, channel tables, constants and input maps.
    pub const fn parameters(&self) -> &'a [u8] {
        self.parameters
    }

    /// What the exporter wrote for people and programs on a PC: what the raw samples mean, and where the model comes from. Inference and
    /// loading leave it unread.
    pub const fn notes(&self) -> &'a [u8] {
        self.notes
    }

    /// The file's own CRC-32, which names the model in reports and on the link.
    pub const fn digest(&self) -> u32 {
        self.digest
    }

    /// Bytes of one raw input, all of the network's inputs one after the other.
    pub const fn raw_input_bytes(&self) -> usize {
        self.raw_input_bytes
    }

    /// The first of the network's inputs; nearly every network has no other.
    pub fn input(&self) -> InputTensor<'a> {
        let mut inputs = self.inputs();
        // There is one in every valid model. In others, this is one without a value.
        inputs.next().unwrap_or_else(|| InputTensor::read(&mut Reader::new(&[])))
    }

    /// The tensor of the first of the network's outputs; nearly every network has no other.
    pub fn output(&self) -> Tensor {
        self.outcome().tensor
    }

    /// The first output.
    pub(crate) const fn outcome(&self) -> &Operand {
        &self.outcome
    }

    /// The class labels.
    pub fn labels(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        let labels = match self.description.task {
            Task::Classification { labels } => labels,
            Task::Regression { .. } | Task::Reconstruction { .. } => Text::default(),
        };
        labels.lines()
    }
}

/// Reads one input, output or layer after the other.
#[derive(Debug)]
pub struct Described<'a, T> {
    bytes: &'a [u8],
    remaining: u16,
    what: core::marker::PhantomData<fn() -> T>,
}

// Not derived, which would ask it of `T`.
impl<T> Clone for Described<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Described<'_, T> {}

#[expect(private_bounds, reason = "what can be read is decided in this crate")]
impl<'a, T: Read<'a>> Described<'a, T> {
    const fn new(bytes: &'a [u8], remaining: u16) -> Self {
        Self { bytes, remaining, what: core::marker::PhantomData }
    }

    /// Bytes after what has been read so far.
    const fn unread(&self) -> &'a [u8] {
        self.bytes
    }

    /// Calls `each` and returns what follows all of them. `None` if one is broken.
    fn for_each_of_all(mut self, each: impl FnMut(T)) -> Option<&'a [u8]> {
        self.by_ref().for_each(each);
        (self.remaining == 0).then_some(self.bytes)
    }
}

impl<'a, T: Read<'a>> Iterator for Described<'a, T> {
    type Item = T;

    #[inline(never)]
    fn next(&mut self) -> Option<T> {
        let remaining = self.remaining.checked_sub(1)?;
        let mut reader = Reader::new(self.bytes);
        // Made where it is returned, so that no layer is copied.
        let mut value = Some(T::read(&mut reader));
        match reader.rest() {
            Some(rest) => (self.bytes, self.remaining) = (rest, remaining),
            // Loading has read everything once, so this cannot happen afterwards; while loading, an early end is what tells the validator
            // that something is broken.
            None => value = None,
        }
        value
    }
}

#[cfg(test)]
mod tests;
