//! The operations of a network: one list, and one file for each.
//!
//! A file holds all that the host knows of its operation: its fields and their keys in network files, how many inputs
//! it reads, the shape of its output, its numbers and how they begin, its values for training, made of operations that
//! can be differentiated twice, and the layers of integers that it becomes. `operations!` lists them; the enum, its
//! reading and every dispatch follow from the list.

mod add;
mod average_pool_2d;
mod batch_norm;
mod concatenate;
mod convolution_2d;
mod depthwise_convolution_2d;
mod elementwise;
mod flatten;
mod folding;
mod forward;
mod fully_connected;
mod global_average_pool;
mod grouped_convolution_2d;
mod gru;
mod keys;
mod lstm;
mod max_pool_2d;
mod multiply;
mod recurrent;
mod relu;
mod resize_2d;
mod softmax;
mod transposed_convolution_2d;
mod windowed;

pub use add::Add;
pub use average_pool_2d::AveragePool2d;
pub use batch_norm::{BatchNorm, DEFAULT_EPSILON};
pub use concatenate::Concatenate;
pub use convolution_2d::Convolution2d;
pub use depthwise_convolution_2d::DepthwiseConvolution2d;
pub use elementwise::Elementwise;
pub use flatten::Flatten;
pub use folding::{Folded, FoldedInput, FoldedLayer, Folding, Source};
pub use forward::Forward;
pub use fully_connected::FullyConnected;
pub use global_average_pool::GlobalAveragePool;
pub use grouped_convolution_2d::GroupedConvolution2d;
pub use gru::Gru;
pub use keys::{Keys, Refusal};
pub use lstm::Lstm;
pub use max_pool_2d::MaxPool2d;
pub use multiply::Multiply;
pub use recurrent::Recurrent;
pub use relu::Relu;
pub use resize_2d::{Resize2d, ResizeExtent};
pub use softmax::Softmax;
pub use transposed_convolution_2d::TransposedConvolution2d;

use std::ops::RangeInclusive;

use candle_core::Tensor;

use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::ParameterRule;

/// Gives every operation to the macro `$callback`, after what else it is given. Messages name them in this order.
macro_rules! operations {
    ($callback:ident $($given:tt)*) => {
        $callback! {
            [$($given)*]
            Convolution2d,
            DepthwiseConvolution2d,
            FullyConnected,
            AveragePool2d,
            MaxPool2d,
            GlobalAveragePool,
            BatchNorm,
            Relu,
            Add,
            Flatten,
            Softmax,
            Elementwise,
            Multiply,
            Concatenate,
            Resize2d,
            TransposedConvolution2d,
            GroupedConvolution2d,
            Lstm,
            Gru,
        }
    };
}

/// How an operation looks at what it reads. Integers keep an image that was flattened as an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As an image: rows, columns and channels matter.
    Image,
    /// Value by value, so that its output is as flat as its first input.
    Value,
    /// As all values in the order of memory.
    Memory,
}

/// Shape and cost of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Shape of its output.
    pub output: SampleShape,
    /// Multiply-accumulates for each value of the output.
    pub macs_per_value: usize,
}

impl Sizes {
    /// An output that takes no multiplication.
    pub const fn of(output: SampleShape) -> Self {
        Self { output, macs_per_value: 0 }
    }
}

/// What the file of an operation says of it. What most operations have in common is the default.
pub trait Rules: Sized {
    /// Its names in network files and reports; several where a field decides.
    const NAMES: &'static [&'static str];
    /// How many inputs it reads.
    const INPUTS: RangeInclusive<usize> = 1..=1;
    /// How it looks at them.
    const ORDER: Order = Order::Image;
    /// Whether it may only be the last one of a network.
    const ONLY_LAST: bool = false;

    /// Which of its names it has.
    fn name(&self) -> &'static str {
        Self::NAMES[0]
    }

    /// The operation of that name, one of its own, from the keys of a network file.
    ///
    /// # Errors
    /// A key is missing or has no sense.
    fn read(name: &str, keys: &mut Keys) -> Result<Self, Refusal>;

    /// Its keys, each of them, so that the text means the same whatever the defaults become.
    fn write(&self, _keys: &mut Keys) {}

    /// Shape and cost for inputs of these shapes, as many as it reads.
    ///
    /// # Errors
    /// Why it cannot read them, or what is wrong with its fields.
    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String>;

    /// Its numbers, for a first input and an output of these shapes.
    fn parameters(&self, _input: SampleShape, _output: SampleShape) -> Vec<ParameterRule> {
        Vec::new()
    }

    /// Its values.
    ///
    /// # Errors
    /// The tensor library refuses.
    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor>;

    /// The layers of integers that it becomes.
    ///
    /// # Errors
    /// What the integer format cannot express, with the layer's name.
    fn fold(&self, folding: &Folding<'_>) -> Result<Folded>;
}

macro_rules! define {
    ([] $($name:ident,)*) => {
        /// What a node computes; the file of each operation defines it.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Operation {
            $(
                #[doc = concat!("See [`struct@", stringify!($name), "`].")]
                $name($name),
            )*
        }

        $(
            impl From<$name> for Operation {
                fn from(operation: $name) -> Self {
                    Self::$name(operation)
                }
            }
        )*

        impl Operation {
            /// The names of every operation in network files.
            pub fn names() -> Vec<&'static str> {
                [$($name::NAMES),*].concat()
            }

            /// The operation of that name, from the keys of a network file; `None` if there is none.
            ///
            /// # Errors
            /// A key is missing or has no sense.
            pub fn read(name: &str, keys: &mut Keys) -> Result<Option<Self>, Refusal> {
                $(
                    if $name::NAMES.contains(&name) {
                        return Ok(Some(Self::$name($name::read(name, keys)?)));
                    }
                )*
                Ok(None)
            }
        }
    };
}

operations!(define);

/// The same expression for every operation, whose fields `$operation` are.
macro_rules! each {
    ([$self:ident, $operation:ident => $value:expr] $($name:ident,)*) => {
        match $self {
            $(Self::$name($operation) => $value,)*
        }
    };
}

/// The constants of an operation's [`Rules`].
struct Facts {
    inputs: RangeInclusive<usize>,
    order: Order,
    only_last: bool,
}

impl Facts {
    const fn of<R: Rules>(_: &R) -> Self {
        Self { inputs: R::INPUTS, order: R::ORDER, only_last: R::ONLY_LAST }
    }
}

impl Operation {
    fn facts(&self) -> Facts {
        operations!(each self, operation => Facts::of(operation))
    }

    /// The name in network files and reports.
    pub fn name(&self) -> &'static str {
        operations!(each self, operation => operation.name())
    }

    /// How many inputs it reads.
    pub fn inputs(&self) -> RangeInclusive<usize> {
        self.facts().inputs
    }

    /// How it looks at them.
    pub fn order(&self) -> Order {
        self.facts().order
    }

    /// Whether it may only be the last one of a network.
    pub fn only_last(&self) -> bool {
        self.facts().only_last
    }

    /// Writes its keys.
    pub fn write(&self, keys: &mut Keys) {
        operations!(each self, operation => operation.write(keys));
    }

    /// Shape and cost for inputs of these shapes, as many as it reads.
    ///
    /// # Errors
    /// Why it cannot read them, or what is wrong with its fields.
    pub fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        operations!(each self, operation => operation.sizes(inputs))
    }

    /// Its numbers, for a first input and an output of these shapes.
    pub fn parameters(&self, input: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        operations!(each self, operation => operation.parameters(input, output))
    }

    /// Its values.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        operations!(each self, operation => operation.forward(pass))
    }

    /// The layers of integers that it becomes.
    ///
    /// # Errors
    /// What the integer format cannot express, with the layer's name.
    pub fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        operations!(each self, operation => operation.fold(folding))
    }
}

/// Most values that one node may give or hold; beyond this a description is taken for a mistake.
pub const ELEMENT_LIMIT: usize = 1 << 24;

/// Product of sizes, refused beyond [`ELEMENT_LIMIT`].
///
/// # Errors
/// It is larger.
pub fn product(sizes: &[usize]) -> Result<usize, String> {
    sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .filter(|&product| product <= ELEMENT_LIMIT)
        .ok_or_else(|| format!("is larger than {ELEMENT_LIMIT} values"))
}

/// The rules of a layer with weights, and a bias where it has one.
fn weighted(
    weight: ParameterRule,
    bias: bool,
    outputs: usize,
    fan_in: usize,
) -> Vec<ParameterRule> {
    let bias = bias.then(|| ParameterRule::bias(outputs, fan_in));
    std::iter::once(weight).chain(bias).collect()
}
