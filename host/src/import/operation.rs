//! What a node of an imported model computes: the operators of all formats in one list.

use crate::graph::sampling::Sampling;
use tinyhero_common::operator::Reset;

/// An operation. Axes are counted in the file's own shapes, from 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Convolution; reads the image, the weights, and perhaps a bias.
    Convolution(Convolution),
    /// Convolution from outputs to inputs; reads the image, the weights, and perhaps a bias.
    TransposedConvolution {
        /// Strides and what is cut off.
        window: Convolution,
        /// How large its output is.
        reach: Reach,
    },
    /// `x · W + b`: reads `x`, the weights, and perhaps a bias.
    FullyConnected {
        /// Whether the weights' first index counts outputs.
        outputs_first: bool,
        /// Factor of the product.
        alpha: f64,
        /// Factor of the bias.
        beta: f64,
    },
    /// A layer with a hidden state over a series: reads the series, weights of it and of the hidden state, and perhaps a
    /// bias, lengths, and first states; gives all hidden states, the last one, and the last cell.
    Recurrent(Sequence),
    /// A pooling.
    Pool(Pool),
    /// One number of all along axes, which are given here or by a second input.
    Reduce {
        /// Which.
        reduction: Reduction,
        /// The axes; none if an input has them.
        axes: Option<Vec<i64>>,
        /// Whether they stay with size 1.
        keep: bool,
    },
    /// The position of the largest number along an axis.
    ArgMax,
    /// `x` where positive, else `slope · x`; reads `x` and slopes that are repeated along axes of size 1.
    ParametricRelu,
    /// Channels spread over blocks of pixels.
    DepthToSpace {
        /// Rows and columns of a block.
        block: usize,
        /// Whether the channels of a block's pixels lie beside each other, else those of a channel's.
        pixels_first: bool,
        /// Whether axes are batch, rows, columns, channels.
        channels_last: bool,
    },
    /// Blocks of pixels as channels, those of a pixel beside each other.
    SpaceToDepth {
        /// Rows and columns of a block.
        block: usize,
        /// Whether axes are batch, rows, columns, channels.
        channels_last: bool,
    },
    /// Mean over all axes behind batch and channels.
    GlobalAverage,
    /// Maximum over all axes behind batch and channels.
    GlobalMaximum,
    /// Batch normalization; reads `x`, scale, shift, mean, variance.
    BatchNorm {
        /// Added to the variance.
        epsilon: f64,
    },
    /// Two values, element by element, sizes of 1 repeated.
    Binary(Binary),
    /// One value, element by element.
    Unary(Unary),
    /// `min(max(x, low), high)`, the ends perhaps given by two more inputs.
    Clip {
        /// The ends, where they are not inputs.
        ends: Option<[f64; 2]>,
    },
    /// Probabilities.
    Softmax {
        /// The axis over which they sum to 1; negative ones from the end.
        axis: i64,
        /// Whether their logarithms are given.
        logarithm: bool,
        /// Whether all axes from this one on are taken together.
        rest: bool,
    },
    /// The same numbers in another shape: 0 keeps a size, −1 is what is left.
    Reshape {
        /// The shape; none if an input has it.
        shape: Option<Vec<i64>>,
        /// Whether 0 means size 0.
        zero_is_zero: bool,
    },
    /// All axes from this one on together.
    Flatten {
        /// The first of them.
        axis: i64,
    },
    /// Axes of size 1 taken away; all of them if none are named here or by an input.
    Squeeze {
        /// The axes.
        axes: Option<Vec<i64>>,
    },
    /// Axes of size 1 put in.
    Unsqueeze {
        /// The axes in the new shape; none if an input has them.
        axes: Option<Vec<i64>>,
    },
    /// Axes in another order.
    Transpose {
        /// Where each new axis comes from; none if an input has it, or for the reverse order.
        order: Option<Vec<i64>>,
    },
    /// The input as it is.
    Identity,
    /// The input in another type.
    Cast {
        /// Whether fractions are cut off.
        to_integer: bool,
    },
    /// Several values side by side.
    Concatenate {
        /// Along this axis.
        axis: i64,
    },
    /// Values of one shape put side by side along a new axis.
    Pack {
        /// The axis in the new shape.
        axis: i64,
    },
    /// One value in parts.
    Split {
        /// Along this axis.
        axis: i64,
        /// Sizes; none if an input has them or all are equal.
        sizes: Option<Vec<i64>>,
    },
    /// A part; reads `x`, starts, ends, axes, steps unless they are here.
    Slice {
        /// Starts, ends and axes.
        ranges: Option<[Vec<i64>; 3]>,
    },
    /// A part by first index and size; reads `x`, first indexes, sizes.
    SliceBySize,
    /// A part by first, last and step with axes that go; reads `x`, begins, ends, steps.
    StridedSlice {
        /// Bits of axes whose begin, end does not count, and that go.
        masks: [u32; 3],
    },
    /// Entries by their index; reads `x` and the indexes.
    Gather {
        /// Along this axis.
        axis: i64,
    },
    /// A border; reads `x`, perhaps amounts and a value.
    Pad {
        /// Amounts before each axis, then behind each; none if an input has them.
        amounts: Option<Vec<i64>>,
        /// Whether amounts come in pairs, an axis after the other.
        paired: bool,
        /// What fills it, where no input has it.
        value: f64,
    },
    /// The shape of the input.
    Shape,
    /// A constant of a shape that the input has.
    Fill {
        /// The number, where no input has it.
        value: f64,
        /// Whether it is a whole number.
        integer: bool,
    },
    /// Sizes of 1 repeated up to a shape that an input has.
    Expand,
    /// Repeated as often as an input says for each axis.
    Tile,
    /// An image of another size; reads `x` and perhaps factors or sizes.
    Resize {
        /// What says how much.
        extent: Extent,
        /// How.
        sampling: Sampling,
        /// Whether axes are batch, rows, columns, channels.
        channels_last: bool,
    },
    /// Real numbers rounded to integers; reads `x`, scale, zero point.
    Quantize {
        /// The axis that several scales belong to.
        axis: i64,
    },
    /// Integers as real numbers; reads `q`, scale, zero point.
    Dequantize {
        /// The axis that several scales belong to.
        axis: i64,
    },
    /// Something that is not known here.
    Unknown {
        /// What is wrong.
        why: String,
        /// What to do.
        advice: String,
    },
}

/// How large the output of a transposed convolution is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// As far as the kernels reach, and these rows and columns more at the far ends; one number for a series.
    Padded(Vec<usize>),
    /// These rows and columns; one number for a series.
    Stated(Vec<usize>),
    /// As the input at position 3 says, all axes.
    Input,
}

/// One number of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// The largest.
    Maximum,
}

/// How much larger a resized image becomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Extent {
    /// Factors of all axes.
    Factors(Vec<f64>),
    /// The inputs at these positions hold factors of all axes, and sizes of all axes.
    Inputs {
        /// Position of the factors.
        factors: usize,
        /// Position of the sizes.
        sizes: usize,
    },
    /// The input at position 1 holds height and width.
    Image,
}

/// A convolution's window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Vertical and horizontal stride; one number for a series.
    pub stride: Vec<usize>,
    /// Vertical and horizontal distance of taps.
    pub dilation: Vec<usize>,
    /// What is added around the image.
    pub border: Border,
    /// Groups of channels.
    pub groups: usize,
    /// In which order the weights lie.
    pub weights: WeightOrder,
    /// Whether axes are batch, rows, columns, channels.
    pub channels_last: bool,
}

/// The axes of a convolution's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightOrder {
    /// Output channel, input channel of the group, row, column.
    OutputInputRowColumn,
    /// Input channel, output channel of the group, row, column.
    InputOutputRowColumn,
    /// Output channel, row, column, input channel.
    OutputRowColumnInput,
    /// 1, row, column, output channel: each channel has its own.
    RowColumnOutput,
}

/// What is added around an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Border {
    /// As much as `ceil(size / stride)` outputs need, the larger half behind, or before.
    Same {
        /// Whether the larger half is before.
        larger_before: bool,
    },
    /// Rows and columns before, then behind.
    Amounts(Vec<usize>),
}

/// What a recurrent layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// What makes the next state.
    pub cell: Cell,
    /// Length of the hidden state.
    pub hidden: usize,
    /// For each direction whether it goes from the last column to the first.
    pub directions: Vec<bool>,
    /// Whether axes are batch, time, channels, not time, batch, channels.
    pub batch_first: bool,
}

/// What makes the next state of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Long short-term memory.
    Lstm,
    /// A gated recurrent unit.
    Gru {
        /// Where its reset gate acts.
        reset: Reset,
    },
}

/// A pooling's window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Whether the largest is taken, else the mean.
    pub maximum: bool,
    /// Rows and columns.
    pub kernel: Vec<usize>,
    /// Vertical and horizontal stride.
    pub stride: Vec<usize>,
    /// What is added around the image.
    pub border: Border,
    /// Whether the border counts in a mean.
    pub count_border: bool,
    /// Whether a last window may reach beyond the border.
    pub round_up: bool,
    /// Whether taps lie apart.
    pub dilated: bool,
    /// Whether axes are batch, rows, columns, channels.
    pub channels_last: bool,
}

/// An operation on two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// a + b.
    Add,
    /// a − b.
    Subtract,
    /// a · b.
    Multiply,
    /// a / b.
    Divide,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
    /// a to the power of b.
    Power,
}

/// An operation on one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// max(x, 0).
    Relu,
    /// min(max(x, 0), 6).
    Relu6,
    /// 1 / (1 + e^−x).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// x where positive, else alpha · x.
    LeakyRelu(f64),
    /// x where positive, else alpha · (e^x − 1).
    Elu(f64),
    /// min(max(alpha · x + beta, 0), 1).
    HardSigmoid(f64, f64),
    /// x · min(max(x / 6 + 1/2, 0), 1).
    HardSwish,
    /// x / (1 + e^−x).
    Swish,
    /// x · Φ(x), by the error function or by the hyperbolic tangent.
    Gelu(bool),
    /// e^x.
    Exp,
    /// The natural logarithm.
    Log,
    /// x to the power of this.
    Power(f64),
    /// min(max(x, low), high); an end may be infinite.
    Clip(f64, f64),
    /// ln(1 + e^x).
    Softplus,
    /// x · tanh(ln(1 + e^x)).
    Mish,
    /// The error function.
    Erf,
    /// −x.
    Negate,
    /// |x|.
    Absolute,
    /// The next whole number below.
    Floor,
}
