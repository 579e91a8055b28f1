//! The operators: one list, and one file for each.
//!
//! A file holds all that host and board know of its operator: the description that stands in a model file, what a valid one is, what it costs,
//! the job that a kernel gets, and the portable kernel, which defines the result. `docs/arithmetic.md` and the [crate] page say the same in
//! real numbers and in integers. `operators!` lists them; the enum, its reading and every dispatch follow from the list.

mod add;
mod average_pool_2d;
mod concatenate;
mod convolution_2d;
mod depthwise_convolution_2d;
mod fully_connected;
mod grouped_convolution_2d;
mod gru;
mod lstm;
mod max_pool_2d;
mod mean_pool_2d;
mod multiply;
mod pool;
mod recurrence;
mod resize_2d;
mod sigmoid;
mod softmax;
mod span;
mod table;
mod transposed_convolution_2d;
mod weights;

pub use add::{Add, AddJob};
pub use average_pool_2d::AveragePool2d;
pub use concatenate::{Concatenate, ConcatenateJob};
pub use convolution_2d::{Convolution2d, ConvolutionJob};
pub use depthwise_convolution_2d::DepthwiseConvolution2d;
pub use fully_connected::{FullyConnected, FullyConnectedJob};
pub use grouped_convolution_2d::{GroupedConvolution2d, GroupedConvolutionJob};
pub use gru::{Gru, GruJob, Reset};
pub use lstm::{Lstm, LstmJob};
pub use max_pool_2d::{Larger, MaxPool2d, MaxPool2dJob, max_pool_2d_by};
pub use mean_pool_2d::MeanPool2d;
pub use multiply::{Multiply, MultiplyJob};
pub use pool::PoolJob;
pub use recurrence::{Direction, GateRows, Recurrence};
pub use resize_2d::{Interpolation, Resize2d, Resize2dJob, Stretch};
pub use sigmoid::{SIGMOID_TABLE, hyperbolic_tangent, sigmoid};
pub use softmax::{Softmax, SoftmaxJob, power_of_two_fraction};
pub use table::{Table, TableJob};
pub use transposed_convolution_2d::TransposedConvolution2d;
pub use weights::Weights;

pub(crate) use add::{add, add_in_place};
pub(crate) use average_pool_2d::average_pool_2d;
pub(crate) use concatenate::concatenate;
pub(crate) use convolution_2d::convolution_2d;
pub(crate) use depthwise_convolution_2d::depthwise_convolution_2d;
pub(crate) use fully_connected::fully_connected;
pub(crate) use grouped_convolution_2d::grouped_convolution_2d;
pub(crate) use gru::gru;
pub(crate) use lstm::lstm;
pub(crate) use max_pool_2d::max_pool_2d;
pub(crate) use mean_pool_2d::mean_pool_2d;
pub(crate) use multiply::{multiply, multiply_in_place};
pub(crate) use resize_2d::resize_2d;
pub(crate) use softmax::softmax;
pub(crate) use table::{table, table_in_place};
pub(crate) use transposed_convolution_2d::transposed_convolution_2d;

use serde::{Deserialize, Serialize};

use crate::compact::{Read, Reader};
use crate::reason::{Reason, require};
use crate::requantize::ActivationRange;
use crate::shape::{Shape, Window};
use crate::tensor::{Operand, Tensor};

/// Scratch memory begins at a multiple of this in the arena, so that kernels may keep words in it.
pub const SCRATCH_ALIGNMENT: u32 = 4;

/// Gives every operator to the macro `$callback`, after what else it is given: the operator's number in a model file, its name, its method of
/// [`Kernels`](crate::kernels::Kernels), and what the method takes besides the job. After `or` stands the method for an output in the place of
/// the first operand.
macro_rules! operators {
    ($callback:ident $($given:tt)*) => {
        $callback! {
            [$($given)*]
            0 Convolution2d: convolution_2d(input, scratch, output),
            1 DepthwiseConvolution2d: depthwise_convolution_2d(input, scratch, output),
            2 FullyConnected: fully_connected(input, scratch, output),
            3 AveragePool2d: average_pool_2d(input, output),
            4 MaxPool2d: max_pool_2d(input, output),
            5 Add: add(input, other, output) or add_in_place(output, other),
            6 Softmax: softmax(input, output),
            7 Table: table(input, output) or table_in_place(output),
            8 MeanPool2d: mean_pool_2d(input, output),
            9 Multiply: multiply(input, other, output) or multiply_in_place(output, other),
            10 Concatenate: concatenate(input, other, output),
            11 Resize2d: resize_2d(input, output),
            12 TransposedConvolution2d: transposed_convolution_2d(input, scratch, output),
            13 GroupedConvolution2d: grouped_convolution_2d(input, scratch, output),
            14 Lstm: lstm(input, scratch, output),
            15 Gru: gru(input, scratch, output),
        }
    };
}

pub(crate) use operators;

/// A layer without what it computes: what the operator's rules are about.
#[derive(Clone, Copy, Debug)]
pub struct Tensors<'a> {
    /// What it reads.
    pub inputs: &'a [Operand],
    /// What it writes.
    pub output: &'a Tensor,
    /// Where its output is cut off.
    pub activation: ActivationRange,
}

impl<'a> Tensors<'a> {
    /// The first tensor that it reads.
    // Called from many places.
    #[inline(never)]
    pub fn input(&self) -> &'a Tensor {
        self.inputs.first().map_or(self.output, |operand| &operand.tensor)
    }

    /// Whether input and output have as many channels.
    fn same_channels(&self) -> bool {
        self.input().shape.channels == self.output.shape.channels
    }

    /// Checks that every window of the output has at least one tap inside the image.
    fn check_window(&self, window: &Window) -> Result<(), Reason> {
        self.check_spread(window, [1, 1])
    }

    /// The same of a window whose taps lie apart; then, that every window meets the image.
    #[inline(never)]
    fn check_spread(&self, window: &Window, [down, across]: [u8; 2]) -> Result<(), Reason> {
        let axis = |[kernel, stride, padding, dilation]: [u8; 4], input: u16, output: u16| {
            let last_start = (u32::from(output) - 1) * u32::from(stride);
            let last_tap = u32::from(kernel).wrapping_sub(1).wrapping_mul(dilation.into());
            kernel >= 1
                && stride >= 1
                && dilation >= 1
                && u32::from(padding) <= last_tap
                && last_start < u32::from(input) + u32::from(padding)
        };
        let (input, output) = (&self.input().shape, &self.output.shape);
        let Window { kernel_height, stride_height, padding_top, .. } = *window;
        let Window { kernel_width, stride_width, padding_left, .. } = *window;
        let rows = [kernel_height, stride_height, padding_top, down];
        let columns = [kernel_width, stride_width, padding_left, across];
        let rows = axis(rows, input.height, output.height);
        require(rows && axis(columns, input.width, output.width), Reason::Window)
    }
}

/// What the file of an operator says of it. What most operators have in common is the default.
pub trait Rules {
    /// What a kernel gets: the description with everything looked up.
    type Job<'a>;

    /// The name for people.
    const NAME: &'static str;
    /// Number of tensors that it reads.
    const OPERANDS: usize = 1;
    /// Whether its output may take the place of the first tensor that it reads.
    const MAY_OVERWRITE: bool = false;
    /// Bytes of its constants in the parameters.
    const CONSTANT_BYTES: usize = 0;
    /// Entries of the channel table for each row of weights: a row whose parts are brought to another scale by themselves has several. The
    /// first entries of all rows come first, then the second ones.
    const CHANNEL_SETS: usize = 1;
    /// Whether a network that ends in it gives the label of what it reads, not of what it writes.
    const LABEL_FROM_INPUT: bool = false;

    /// Shapes, windows and constants of a valid layer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason>;

    /// The job of a layer. `None` if its weights are not all in the parameters, which loading refuses.
    fn job<'a>(&self, tensors: &Tensors<'_>, parameters: &'a [u8]) -> Option<Self::Job<'a>>;

    /// The weights, for operators that have some.
    fn weights(&self) -> Option<&Weights> {
        None
    }

    /// The same, to be changed.
    fn weights_mut(&mut self) -> Option<&mut Weights> {
        None
    }

    /// Where its constants begin in the parameters, for operators that have some.
    fn constants(&self) -> Option<&u32> {
        None
    }

    /// The same, to be changed.
    fn constants_mut(&mut self) -> Option<&mut u32> {
        None
    }

    /// Rows of weights, for operators that have some.
    fn rows(&self, output: Shape) -> usize {
        usize::from(output.channels)
    }

    /// Weights of a row; 0 for operators without weights.
    fn row_length(&self, _input: Shape, _output: Shape) -> usize {
        0
    }

    /// Multiply-accumulates of one inference; 0 for operators without weights.
    fn macs(&self, input: Shape, output: Shape) -> u64 {
        output.elements() as u64 * self.row_length(input, output) as u64
    }

    /// Elements that it reads for one that it writes, multiply-accumulates aside.
    fn reads_per_output(&self) -> usize {
        1
    }

    /// Scratch bytes without which a layer cannot run. The loader insists only on these, so that whether a file is valid has one answer on
    /// every machine; a fast kernel that finds less than its room leaves the layer to the portable one.
    fn portable_scratch(&self, _input: Shape, _output: Shape) -> usize {
        0
    }

    /// Scratch bytes of a layer, as the exporter plans them: what the kernels need that its layout is made for, and the portable ones.
    fn scratch(&self, input: Shape, output: Shape) -> usize {
        self.portable_scratch(input, output)
    }

    /// The same operator with its first two operands exchanged.
    fn exchanged(&self) -> Self
    where
        Self: Copy,
    {
        *self
    }
}

/// The same expression for every operator, whose description `$operator` is.
macro_rules! each {
    (
        [$self:ident, $operator:ident => $value:expr]
        $($tag:literal $name:ident: $method:ident $arguments:tt $(or $in_place:ident $places:tt)?,)*
    ) => {
        match $self {
            $(Self::$name($operator) => $value,)*
        }
    };
}

macro_rules! define {
    (
        []
        0 $first:ident: $first_method:ident $first_arguments:tt,
        $($tag:literal $name:ident: $method:ident $arguments:tt $(or $in_place:ident $places:tt)?,)*
    ) => {
        /// What a layer computes; the file of each operator defines it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Operator {
            #[doc = concat!("See [`struct@", stringify!($first), "`].")]
            $first($first),
            $(
                #[doc = concat!("See [`struct@", stringify!($name), "`].")]
                $name($name),
            )*
        }

        impl Operator {
            /// The name of every operator, in the order of their numbers in a file.
            pub const NAMES: [&str; [$first::NAME, $($name::NAME,)*].len()] =
                [$first::NAME, $($name::NAME,)*];
        }

        impl $first {
            /// Its number in a model file.
            pub const NUMBER: u32 = 0;
        }

        impl From<$first> for Operator {
            fn from(operator: $first) -> Self {
                Self::$first(operator)
            }
        }

        $(
            impl $name {
                /// Its number in a model file.
                pub const NUMBER: u32 = $tag;
            }

            impl From<$name> for Operator {
                fn from(operator: $name) -> Self {
                    Self::$name(operator)
                }
            }
        )*

        impl Operator {
            /// Reads one of a set of operators, a bit for each by its number; any other is broken.
            // Inlined, so that the compiler sees the set.
            #[inline(always)]
            pub(crate) fn read_of(set: u32, reader: &mut Reader<'_>) -> Self {
                let number = reader.variant(Self::NAMES.len() as u32);
                match number {
                    $($tag if set & (1 << $tag) != 0 => Self::$name($name::read(reader)),)*
                    _ => {
                        reader.require(number == 0 && set & 1 != 0);
                        Self::$first($first::read(reader))
                    }
                }
            }
        }

        // The numbers stand in the list in their order, and a set of them has a bit for each.
        const _: () = {
            let numbers = [0, $($tag,)*];
            assert!(numbers.len() <= u32::BITS as usize);
            let mut index = 0;
            while index < numbers.len() {
                assert!(numbers[index] == index);
                index += 1;
            }
        };
    };
}

operators!(define);

impl<'a> Read<'a> for Operator {
    fn read(reader: &mut Reader<'a>) -> Self {
        Self::read_of(u32::MAX, reader)
    }
}

impl Operator {
    /// The name for people.
    pub const fn name(&self) -> &'static str {
        operators!(each self, operator => Facts::of(operator).name)
    }

    /// Number of tensors that it reads.
    pub const fn operand_count(&self) -> usize {
        operators!(each self, operator => Facts::of(operator).operands)
    }

    /// Whether its output may take the place of the first tensor that it reads.
    pub const fn may_overwrite(&self) -> bool {
        operators!(each self, operator => Facts::of(operator).may_overwrite)
    }

    /// Bytes of its constants in the parameters.
    pub const fn constant_bytes(&self) -> usize {
        operators!(each self, operator => Facts::of(operator).constant_bytes)
    }

    /// Whether a network that ends in it gives the label of what it reads, not of what it writes.
    pub const fn label_from_input(&self) -> bool {
        operators!(each self, operator => Facts::of(operator).label_from_input)
    }

    /// Shapes, windows and constants of a valid layer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        operators!(each self, operator => operator.check(tensors))
    }

    /// The weights, for operators that have some.
    pub fn weights(&self) -> Option<&Weights> {
        operators!(each self, operator => operator.weights())
    }

    /// The same, to be changed.
    pub fn weights_mut(&mut self) -> Option<&mut Weights> {
        operators!(each self, operator => operator.weights_mut())
    }

    /// Where its constants begin in the parameters, for operators that have some.
    pub fn constants(&self) -> Option<&u32> {
        operators!(each self, operator => operator.constants())
    }

    /// The same, to be changed.
    pub fn constants_mut(&mut self) -> Option<&mut u32> {
        operators!(each self, operator => operator.constants_mut())
    }

    /// Entries of the channel table for each row of weights.
    pub const fn channel_sets(&self) -> usize {
        operators!(each self, operator => Facts::of(operator).channel_sets)
    }

    /// Rows of weights, for operators that have some.
    pub fn rows(&self, output: Shape) -> usize {
        operators!(each self, operator => operator.rows(output))
    }

    /// Weights of a row; 0 for operators without weights.
    pub fn row_length(&self, input: Shape, output: Shape) -> usize {
        operators!(each self, operator => operator.row_length(input, output))
    }

    /// Multiply-accumulates of one inference; 0 for operators without weights.
    pub fn macs(&self, input: Shape, output: Shape) -> u64 {
        operators!(each self, operator => operator.macs(input, output))
    }

    /// Elements that it reads for one that it writes, multiply-accumulates aside.
    pub fn reads_per_output(&self) -> usize {
        operators!(each self, operator => operator.reads_per_output())
    }

    /// Scratch bytes without which a layer cannot run.
    pub fn portable_scratch(&self, input: Shape, output: Shape) -> usize {
        operators!(each self, operator => operator.portable_scratch(input, output))
    }

    /// Scratch bytes of a layer, as the exporter plans them.
    pub fn scratch(&self, input: Shape, output: Shape) -> usize {
        operators!(each self, operator => operator.scratch(input, output))
    }

    /// The same operator with its first two operands exchanged.
    pub fn exchanged(&self) -> Self {
        operators!(each self, operator => Self::from(operator.exchanged()))
    }
}

/// The constants of an operator's [`Rules`].
struct Facts {
    name: &'static str,
    operands: usize,
    may_overwrite: bool,
    constant_bytes: usize,
    channel_sets: usize,
    label_from_input: bool,
}

impl Facts {
    const fn of<R: Rules>(_: &R) -> Self {
        Self {
            name: R::NAME,
            operands: R::OPERANDS,
            may_overwrite: R::MAY_OVERWRITE,
            constant_bytes: R::CONSTANT_BYTES,
            channel_sets: R::CHANNEL_SETS,
            label_from_input: R::LABEL_FROM_INPUT,
        }
    }
}
