//! Why a model file is refused.

/// The kinds of [`LoadError`](crate::model::LoadError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Reason {
    /// The file does not begin with `HERO`.
    Magic,
    /// The file has another format version than [`FORMAT_VERSION`](crate::model::FORMAT_VERSION); see [`version_of`](crate::model::version_of).
    Version,
    /// The file is shorter or longer than its header says.
    Length,
    /// The CRC-32 does not match: the file is damaged.
    Checksum,
    /// The header's sections overlap or leave the file.
    Sections,
    /// The description cannot be decoded.
    Description,
    /// There are no inputs, outputs or layers, too many, or bytes after the last one.
    LayerCount,
    /// A layer cannot be decoded, or a name is too long.
    Layer,
    /// A tensor has an empty or too large shape.
    Shape,
    /// A tensor's values are of a type that its operator does not know.
    Element,
    /// A layer reads more or fewer tensors than its operator.
    OperandCount,
    /// The task does not fit inputs and outputs.
    Task,
    /// Input and output shapes do not belong together.
    ShapeMismatch,
    /// A window is empty, padded by more than itself, or leaves the image.
    Window,
    /// A layer reads something other than what the layer it names wrote.
    Source,
    /// A tensor or scratch region leaves the arena.
    ArenaBounds,
    /// A region is overwritten while it is still needed.
    ArenaOverlap,
    /// The arena is larger than the limit, or than the layers need.
    ArenaSize,
    /// Scratch memory is too small for the portable kernels, or not aligned.
    Scratch,
    /// Input maps, weights or tables leave the parameters, are not aligned, or do not follow one another.
    Parameters,
    /// A multiplier or shift is outside its range.
    Rescale,
    /// An activation range has its ends the wrong way round, or a softmax has one.
    Activation,
    /// Some input could overflow the 32-bit accumulator.
    Accumulator,
    /// The input's affine map could overflow, or there are as many maps as neither one nor the channels.
    InputMap,
    /// Scales or zero points that an operator must keep are changed.
    Quantization,
    /// The work of one inference exceeds the limit.
    Work,
    /// The kernels leave out the layer's operator.
    Operator,
    /// Bits that belong to nothing are not zero: those between weights, maps and tables.
    Padding,
    /// A weight lies outside its bit width, for which some layouts have room.
    Weight,
    /// The file does not begin where a core can read words in place. An engine asks for it, [`Model::load`](crate::model::Model::load) does not.
    Alignment,
}

impl Reason {
    /// One sentence for a person.
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Magic => "it is not a tinyhero model (the first four bytes are not HERO)",
            Self::Version => "it has a format version that this program does not know",
            Self::Length => "it is shorter or longer than its header says",
            Self::Checksum => "its checksum does not match: the file is damaged",
            Self::Sections => "the header's sections overlap or leave the file",
            Self::Description => "the description cannot be decoded",
            Self::LayerCount => {
                "it has no inputs, outputs or layers, too many, or bytes after the last one"
            }
            Self::Layer => {
                "the layer cannot be decoded (its operator may be newer than this program), or its name is too long"
            }
            Self::Shape => "a tensor's shape is empty or too large",
            Self::Element => "a tensor's values are of a type that the operator does not know",
            Self::OperandCount => "a layer reads more or fewer tensors than its operator",
            Self::Task => "its task does not fit its inputs and outputs",
            Self::ShapeMismatch => "input and output shapes do not belong together",
            Self::Window => "a window is empty, padded by more than itself, or leaves the image",
            Self::Source => "it reads something other than what the layer it names wrote",
            Self::ArenaBounds => "a region leaves the arena",
            Self::ArenaOverlap => "a region is overwritten while it is still needed",
            Self::ArenaSize => "the arena is larger than the limit or than the layers need",
            Self::Scratch => "its scratch memory is too small or not aligned",
            Self::Parameters => {
                "weights or tables leave the parameters, are not aligned, or do not follow one another"
            }
            Self::Rescale => "a multiplier or shift is outside its range",
            Self::Activation => {
                "an activation range has its ends the wrong way round, or a softmax has one"
            }
            Self::Accumulator => "some input could overflow the 32-bit accumulator",
            Self::InputMap => "the input's affine maps do not fit the input or could overflow",
            Self::Quantization => "it changes a scale or zero point that it must keep",
            Self::Work => "one inference takes more work than the limit",
            Self::Operator => "the firmware leaves out its operator",
            Self::Padding => "bits that belong to no weight, map or table are not zero",
            Self::Weight => "a weight lies outside its bit width",
            Self::Alignment => {
                "it does not begin at a multiple of 4 in memory (put it into a static of `repr(align(16))`)"
            }
        }
    }
}

/// `Err(reason)` unless the condition holds.
pub(crate) fn require(condition: bool, reason: Reason) -> Result<(), Reason> {
    if condition { Ok(()) } else { Err(reason) }
}
