//! The model file: what it says, and reading it in place.
//!
//! `[header, 32 bytes][description, postcard][zero padding][parameters, 16-byte aligned]`. `docs/model-file.md` in the
//! repository has the byte table and says what obliges a new version. The description is borrowed, not copied: layers
//! are decoded one at a time as the network runs. [`Model::load`] validates everything once; afterwards nothing that
//! reads the model can fail.

mod decode;
mod header;
mod validate;

pub use header::{
    ALIGNMENT, CHECKSUM_PLACE, FORMAT_VERSION, HEADER_BYTES, Header, MAGIC, file_bytes,
};
pub use validate::{LoadError, Reason};

use serde::{Deserialize, Serialize};

use crate::kernel::{Kernels, Portable};
use crate::layer::Layer;
use crate::tensor::{SampleType, Tensor};
use crate::text::Text;

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

/// How raw samples become the network's int8 input, equation (1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputQuantization {
    /// What a raw sample is.
    pub sample_type: SampleType,
    /// Number of affine maps: 1 for all channels together, or one per channel.
    pub maps: u16,
    /// Where the maps begin in the parameters, in bytes, a multiple of 4; see [`crate::kernel::InputMap`].
    pub offset: u32,
}

/// A run that every board can repeat without any data.
///
/// The raw input is made by [`crate::network::SelfTestInput`] from the seed; the digest is that of [`crate::network::LayerDigests`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelfTest {
    /// Start of the pseudo-random input.
    pub seed: u32,
    /// Expected digest over all layers.
    pub digest: u32,
}

/// What stands before the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description<'a> {
    /// Name of the network.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Class labels, separated by line feeds; empty for a network that is no classifier.
    #[serde(borrow)]
    pub labels: Text<'a>,
    /// The raw input and its quantization.
    pub input_quantization: InputQuantization,
    /// The quantized input.
    pub input: Tensor,
    /// Arena that one inference needs, in bytes.
    pub arena_bytes: u32,
    /// The built-in check.
    pub self_test: SelfTest,
    /// Number of layers that follow, 1 to [`MAX_LAYERS`].
    pub layer_count: u16,
}

/// A validated model, read in place.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    description: Description<'a>,
    layers: &'a [u8],
    parameters: &'a [u8],
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

    /// Takes a model file at its word once its header and checksum are right. For a file that the exporter has written and nobody can have
    /// changed since, say one that is part of the application's image: the exporter has validated it.
    ///
    /// With any other file, running the model still reads nothing but the file, the input and the arena, and writes nothing but the arena. But
    /// it may compute anything, or nothing, and take hours: the sizes of layers bound every loop, and nothing bounds the sizes.
    ///
    /// # Errors
    /// The header, the checksum or the description's beginning is wrong.
    pub fn load_trusted(file: &'a [u8]) -> Result<Self, LoadError> {
        let (header, parts) = header::split(file)?;
        let (description, layers) =
            decode::description(parts.description).ok_or(LoadError::model(Reason::Description))?;
        Ok(Self { description, layers, parameters: parts.parameters, digest: header.checksum })
    }

    /// What stands before the layers.
    pub const fn description(&self) -> &Description<'a> {
        &self.description
    }

    /// The layers in the order in which they run.
    pub const fn layers(&self) -> Layers<'a> {
        Layers { bytes: self.layers, remaining: self.description.layer_count }
    }

    /// Weights, channel tables and input maps.
    pub const fn parameters(&self) -> &'a [u8] {
        self.parameters
    }

    /// The file's own CRC-32, which names the model in reports and on the link.
    pub const fn digest(&self) -> u32 {
        self.digest
    }

    /// Bytes of one raw input.
    pub const fn raw_input_bytes(&self) -> usize {
        let quantization = self.description.input_quantization;
        self.description.input.shape.elements() * quantization.sample_type.bytes()
    }

    /// The tensor that the network's last layer writes.
    pub fn output(&self) -> Tensor {
        self.layers().last().map_or(self.description.input, |layer| layer.output)
    }

    /// The class labels.
    pub fn labels(&self) -> impl Iterator<Item = Text<'a>> + use<'a> {
        self.description.labels.lines()
    }
}

/// Decodes one layer after the other.
#[derive(Clone, Copy, Debug)]
pub struct Layers<'a> {
    bytes: &'a [u8],
    remaining: u16,
}

impl<'a> Iterator for Layers<'a> {
    type Item = Layer<'a>;

    fn next(&mut self) -> Option<Layer<'a>> {
        self.remaining = self.remaining.checked_sub(1)?;
        // Loading has decoded every layer once, so this cannot fail afterwards; while loading, an early end is what
        // tells the validator that a layer is broken.
        let (layer, rest) = decode::layer(self.bytes)?;
        self.bytes = rest;
        Some(layer)
    }
}

impl Layers<'_> {
    /// Bytes after the layers decoded so far.
    const fn unread(&self) -> &[u8] {
        self.bytes
    }
}
