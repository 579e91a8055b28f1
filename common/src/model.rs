//! The model file: what it says, and reading it in place.
//!
//! `[header, 32 bytes][description, postcard][zero padding][parameters, 16-byte aligned]`. `docs/model-file.md` in the
//! repository has the byte table and says what obliges a new version. The description is borrowed, not copied: layers
//! are decoded one at a time as the network runs. [`Model::load`] validates everything once; afterwards nothing that
//! reads the model can fail.

mod decode;
mod header;
mod text;
mod validate;

pub use header::{ALIGNMENT, FORMAT_VERSION, HEADER_BYTES, Header, MAGIC, file_bytes};
pub use text::Text;
pub use validate::{LoadError, Reason};

use serde::{Deserialize, Serialize};

use crate::kernel::{Kernels, Portable};
use crate::packing::BitWidth;
use crate::requantize::{ActivationRange, Rescale};

/// Most layers a model may have.
pub const MAX_LAYERS: usize = 256;
/// Longest name of a layer, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// Most work one inference may take, in multiply-accumulates plus elements read and written: `2^28`.
///
/// About 35 times MobileNetV1-0.25 at 96×96. A board at 100 MHz would be busy for several seconds; anything above is
/// taken for a corrupt or hostile file, so that loading and running always end.
pub const MAX_WORK: u64 = 1 << 28;
/// Largest arena a model may ask for, in bytes: 16 MiB.
pub const MAX_ARENA_BYTES: u32 = 1 << 24;

/// Height, width and channels of a tensor; the channel index changes fastest in memory (HWC).
///
/// A vector of `n` features is `1 × 1 × n`. Every dimension is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
    /// Channels, the fastest index.
    pub channels: u16,
}

impl Shape {
    /// A vector of `channels` features.
    pub const fn vector(channels: u16) -> Self {
        Self { height: 1, width: 1, channels }
    }

    /// `height · width`.
    pub const fn pixels(self) -> usize {
        self.height as usize * self.width as usize
    }

    /// `height · width · channels`, which is also the tensor's size in bytes.
    pub const fn elements(self) -> usize {
        self.pixels().saturating_mul(self.channels as usize)
    }
}

/// A real scale as `mantissa · 2^exponent`, for people and for whoever turns outputs back into real numbers.
///
/// Inference never reads it: everything that it needs is in [`Rescale`] values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    /// 24 significant bits.
    pub mantissa: u32,
    /// Power of two.
    pub exponent: i8,
}

/// An int8 activation tensor in the arena: `real = scale · (q − zero_point)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tensor {
    /// Dimensions.
    pub shape: Shape,
    /// Where it begins in the arena, in bytes.
    pub offset: u32,
    /// The int8 value that stands for real zero.
    pub zero_point: i8,
    /// The real step between neighbouring values.
    pub scale: Scale,
}

/// A tensor that a layer reads, and which layer wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// 0 for the network's input, `k` for the output of layer `k − 1`.
    pub source: u16,
    /// The same tensor as the source's, repeated so that a layer is complete in itself.
    pub tensor: Tensor,
}

/// A window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows of the window, at least 1.
    pub kernel_height: u8,
    /// Columns of the window, at least 1.
    pub kernel_width: u8,
    /// Rows from one window to the next, at least 1.
    pub stride_height: u8,
    /// Columns from one window to the next, at least 1.
    pub stride_width: u8,
    /// Padding rows above the image, fewer than `kernel_height`. Below it there are as many as the output needs.
    pub padding_top: u8,
    /// Padding columns left of the image, fewer than `kernel_width`.
    pub padding_left: u8,
}

impl Window {
    /// `kernel_height · kernel_width`.
    pub const fn taps(self) -> usize {
        self.kernel_height as usize * self.kernel_width as usize
    }
}

/// The order in which packed weights lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// One row per output channel in the order kernel row, kernel column, input channel; see [`crate::packing`]. What the portable
    /// kernels read fastest.
    Rows,
    /// Two output channels side by side in fields that a dual 16-bit multiply takes; see [`crate::packing::channel_pairs`]. For full
    /// convolutions and fully connected layers on cores with DSP instructions.
    ChannelPairs,
    /// As `Rows`, for kernels that take four channels at a time and get the scratch memory for it. For depthwise convolutions on
    /// cores with DSP instructions.
    ChannelQuads,
    /// Four output channels side by side; see [`crate::packing::field_quads`]. For every layer with weights on cores with a plain
    /// 32-bit multiply.
    FieldQuads,
    /// Two output channels side by side in vectors of 16 lanes; see [`crate::packing::vector_pairs`]. For full convolutions and fully
    /// connected layers on cores with Helium.
    VectorPairs,
    /// One row per output channel in fields that never straddle bytes; see [`crate::packing::vector_rows`]. For depthwise convolutions
    /// on cores with Helium.
    VectorRows,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 6] = [
        Self::Rows,
        Self::ChannelPairs,
        Self::ChannelQuads,
        Self::FieldQuads,
        Self::VectorPairs,
        Self::VectorRows,
    ];
}

/// Packed weights and what belongs to each output channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    /// Bits of each weight.
    pub bit_width: BitWidth,
    /// Order of the packed weights.
    pub layout: Layout,
    /// Where the packed weights begin in the parameters, in bytes, a multiple of 4.
    pub offset: u32,
    /// Where the channel table begins in the parameters, in bytes, a multiple of 4; see [`crate::kernel::Channels`].
    pub channels: u32,
}

/// What a layer computes. `docs/arithmetic.md` and the [crate] page define each in real numbers and in integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// Equation (3): full convolution over all input channels.
    Convolution2d {
        /// How the kernel slides.
        window: Window,
        /// `output channels × (kernel_height · kernel_width · input channels)` weights.
        weights: Weights,
    },
    /// Equation (4): one kernel per channel.
    DepthwiseConvolution2d {
        /// How the kernel slides.
        window: Window,
        /// `channels × (kernel_height · kernel_width)` weights.
        weights: Weights,
    },
    /// Equation (5): every output reads every input, flattened in memory order.
    FullyConnected {
        /// `outputs × inputs` weights.
        weights: Weights,
    },
    /// Equation (6). Padding counts as real zero and the divisor is always the whole window.
    AveragePool2d {
        /// How the window slides; global pooling is a window of the image's size.
        window: Window,
        /// `scale_in / (scale_out · taps)`.
        rescale: Rescale,
    },
    /// Equation (7). Padding never wins; scale and zero point stay.
    MaxPool2d {
        /// How the window slides.
        window: Window,
    },
    /// Equation (8): element-wise sum of two tensors of one shape.
    Add {
        /// The second tensor.
        other: Operand,
        /// How both are brought to the output's scale.
        rescale: AddRescale,
    },
    /// Equation (9): probabilities over the channels of each pixel, scale 1/256, zero point −128.
    Softmax {
        /// `scale_in · log2(e) · 2^20`, in `1 ..= 2^24 − 1`.
        exponent_multiplier: u32,
    },
}

/// The two multipliers of an [`Operator::Add`] over one shift: `ratio = multiplier / 2^shift`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddRescale {
    /// For the layer's input, `1 ..= 2^15 − 1`.
    pub multiplier: i16,
    /// For the other operand, `1 ..= 2^15 − 1`.
    pub other_multiplier: i16,
    /// Common right shift, `1 ..= 23`.
    pub shift: u8,
}

/// A byte range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// First byte.
    pub offset: u32,
    /// Number of bytes.
    pub bytes: u32,
}

impl Region {
    /// No bytes at all.
    pub const EMPTY: Self = Self { offset: 0, bytes: 0 };

    /// Whether the two have a byte in common.
    pub const fn overlaps(self, other: Self) -> bool {
        let end = self.offset as u64 + self.bytes as u64;
        let other_end = other.offset as u64 + other.bytes as u64;
        self.bytes > 0
            && other.bytes > 0
            && (self.offset as u64) < other_end
            && (other.offset as u64) < end
    }
}

impl Tensor {
    /// The arena bytes that the tensor takes. Valid models have at most [`MAX_ARENA_BYTES`].
    pub const fn region(self) -> Region {
        Region { offset: self.offset, bytes: self.shape.elements() as u32 }
    }
}

/// One step of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer<'a> {
    /// Unique name, from the network's description; at most [`MAX_NAME_BYTES`].
    #[serde(borrow)]
    pub name: Text<'a>,
    /// What it computes.
    pub operator: Operator,
    /// What it reads.
    pub input: Operand,
    /// What it writes.
    pub output: Tensor,
    /// Where its output is cut off: ReLU, ReLU6 or nothing.
    pub activation: ActivationRange,
    /// Arena bytes that its kernel may use while it runs.
    pub scratch: Region,
}

impl Layer<'_> {
    /// The weights, for operators that have some.
    pub const fn weights(&self) -> Option<Weights> {
        match self.operator {
            Operator::Convolution2d { weights, .. }
            | Operator::DepthwiseConvolution2d { weights, .. }
            | Operator::FullyConnected { weights } => Some(weights),
            _ => None,
        }
    }

    /// Weights of one output channel; 0 for operators without weights.
    pub const fn row_length(&self) -> usize {
        match self.operator {
            Operator::Convolution2d { window, .. } => {
                window.taps().saturating_mul(self.input.tensor.shape.channels as usize)
            }
            Operator::DepthwiseConvolution2d { window, .. } => window.taps(),
            Operator::FullyConnected { .. } => self.input.tensor.shape.elements(),
            _ => 0,
        }
    }

    /// Multiply-accumulates of one inference; 0 for operators without weights.
    pub const fn macs(&self) -> u64 {
        self.output.shape.elements() as u64 * self.row_length() as u64
    }
}

/// The integers that a sensor or a data set delivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SampleType {
    /// One byte, 0 to 255.
    U8,
    /// Two bytes, little-endian, −32768 to 32767.
    I16,
}

impl SampleType {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
        }
    }
}

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
