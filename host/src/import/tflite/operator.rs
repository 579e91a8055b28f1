//! From the operators of a TensorFlow Lite file to operations.

use super::flatbuffer::Table;
use crate::graph::sampling::{Coordinates, Method, PositionRounding, Sampling};
use crate::import::graph::{Constant, Value, ValueId};
use crate::import::operation::{
    Binary, Border, Convolution, Extent, Operation, Pool, Reach, Reduction, Unary, WeightOrder,
};

/// Names of the operators by their numbers (`BuiltinOperator` of `schema.fbs`).
const NAMES: [&str; 151] = [
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EMBEDDING_LOOKUP",
    "FLOOR",
    "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP",
    "L2_NORMALIZATION",
    "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOGISTIC",
    "LSH_PROJECTION",
    "LSTM",
    "MAX_POOL_2D",
    "MUL",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RNN",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SVDF",
    "TANH",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "CALL",
    "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE",
    "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "GATHER",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TRANSPOSE",
    "MEAN",
    "SUB",
    "DIV",
    "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "STRIDED_SLICE",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "EXP",
    "TOPK_V2",
    "SPLIT",
    "LOG_SOFTMAX",
    "DELEGATE",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "CAST",
    "PRELU",
    "MAXIMUM",
    "ARG_MAX",
    "MINIMUM",
    "LESS",
    "NEG",
    "PADV2",
    "GREATER",
    "GREATER_EQUAL",
    "LESS_EQUAL",
    "SELECT",
    "SLICE",
    "SIN",
    "TRANSPOSE_CONV",
    "SPARSE_TO_DENSE",
    "TILE",
    "EXPAND_DIMS",
    "EQUAL",
    "NOT_EQUAL",
    "LOG",
    "SUM",
    "SQRT",
    "RSQRT",
    "SHAPE",
    "POW",
    "ARG_MIN",
    "FAKE_QUANT",
    "REDUCE_PROD",
    "REDUCE_MAX",
    "PACK",
    "LOGICAL_OR",
    "ONE_HOT",
    "LOGICAL_AND",
    "LOGICAL_NOT",
    "UNPACK",
    "REDUCE_MIN",
    "FLOOR_DIV",
    "REDUCE_ANY",
    "SQUARE",
    "ZEROS_LIKE",
    "FILL",
    "FLOOR_MOD",
    "RANGE",
    "RESIZE_NEAREST_NEIGHBOR",
    "LEAKY_RELU",
    "SQUARED_DIFFERENCE",
    "MIRROR_PAD",
    "ABS",
    "SPLIT_V",
    "UNIQUE",
    "CEIL",
    "REVERSE_V2",
    "ADD_N",
    "GATHER_ND",
    "COS",
    "WHERE",
    "RANK",
    "ELU",
    "REVERSE_SEQUENCE",
    "MATRIX_DIAG",
    "QUANTIZE",
    "MATRIX_SET_DIAG",
    "ROUND",
    "HARD_SWISH",
    "IF",
    "WHILE",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "SCATTER_ND",
    "SELECT_V2",
    "DENSIFY",
    "SEGMENT_SUM",
    "BATCH_MATMUL",
    "PLACEHOLDER_FOR_GREATER_OP_CODES",
    "CUMSUM",
    "CALL_ONCE",
    "BROADCAST_TO",
    "RFFT2D",
    "CONV_3D",
    "IMAG",
    "REAL",
    "COMPLEX_ABS",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE",
    "REDUCE_ALL",
    "CONV_3D_TRANSPOSE",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE",
    "RANDOM_UNIFORM",
    "MULTINOMIAL",
    "GELU",
];

/// What an operator is called.
pub fn name(number: i32, custom: &str) -> String {
    let known = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
    match known {
        Some(&"CUSTOM") => format!("CUSTOM {custom}"),
        Some(name) => (*name).to_string(),
        None => format!("operator {number}"),
    }
}

/// An operation, and the number of the activation behind it.
pub struct Described {
    /// What it computes.
    pub operation: Operation,
    /// `ActivationFunctionType`.
    pub activation: i8,
}

/// Most rows and columns of a block of pixels.
const MOST_BLOCK: usize = 64;

fn reduce(options: &Options<'_, '_>, reduction: Reduction) -> Operation {
    Operation::Reduce { reduction, axes: None, keep: options.byte(0) != 0 }
}

fn unknown(why: impl Into<String>, advice: impl Into<String>) -> Operation {
    Operation::Unknown { why: why.into(), advice: advice.into() }
}

/// The fields of an operator's options, with defaults where they are left out.
struct Options<'a, 'b>(Option<&'a Table<'b>>);

impl Options<'_, '_> {
    fn byte(&self, number: usize) -> i8 {
        self.0.map_or(0, |table| table.byte(number, 0))
    }

    fn int(&self, number: usize, default: i32) -> i32 {
        self.0.map_or(default, |table| table.int(number, default))
    }

    fn float(&self, number: usize, default: f32) -> f64 {
        f64::from(self.0.map_or(default, |table| table.float(number, default)))
    }

    /// Sizes of a window; `None` where one is below 1 or absurd.
    fn sizes(&self, numbers: [usize; 2], default: i32) -> Option<Vec<usize>> {
        numbers
            .iter()
            .map(|&number| {
                let size = self.int(number, default);
                u16::try_from(size).ok().filter(|&size| size > 0).map(usize::from)
            })
            .collect()
    }

    fn border(&self) -> Option<Border> {
        match self.byte(0) {
            0 => Some(Border::Same { larger_before: false }),
            1 => Some(Border::Amounts(Vec::new())),
            _ => None,
        }
    }
}

/// What an operator computes; inputs are put into the common order.
pub fn operation(
    number: i32,
    options: Option<&Table<'_>>,
    [first, weights]: [Option<&Value>; 2],
    inputs: &mut Vec<Option<ValueId>>,
) -> Described {
    let options = Options(options);
    let name = usize::try_from(number).ok().and_then(|number| NAMES.get(number)).copied();
    let with = |operation: Operation, field: usize| Described {
        operation,
        activation: options.byte(field),
    };
    let absurd = || unknown("has a window or stride below 1 or far too large", "convert again");
    match name.unwrap_or("") {
        "CONV_2D" => {
            let (stride, dilation) = (options.sizes([2, 1], 1), options.sizes([5, 4], 1));
            let operation = match (stride, dilation, options.border()) {
                (Some(stride), Some(dilation), Some(border)) => {
                    Operation::Convolution(Convolution {
                        stride,
                        dilation,
                        border,
                        groups: 0,
                        weights: WeightOrder::OutputRowColumnInput,
                        channels_last: true,
                    })
                }
                _ => absurd(),
            };
            with(operation, 3)
        }
        "DEPTHWISE_CONV_2D" => {
            let (stride, dilation) = (options.sizes([2, 1], 1), options.sizes([6, 5], 1));
            let operation = match (stride, dilation, options.border()) {
                (Some(stride), Some(dilation), Some(border)) => {
                    Operation::Convolution(Convolution {
                        stride,
                        dilation,
                        border,
                        groups: 0,
                        weights: WeightOrder::RowColumnOutput,
                        channels_last: true,
                    })
                }
                _ => absurd(),
            };
            with(operation, 4)
        }
        "FULLY_CONNECTED" if options.byte(1) != 0 => Described {
            operation: unknown("has shuffled weights", "convert without that option"),
            activation: 0,
        },
        "FULLY_CONNECTED" => {
            with(Operation::FullyConnected { outputs_first: true, alpha: 1.0, beta: 1.0 }, 0)
        }
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" => {
            let (stride, kernel) = (options.sizes([2, 1], 0), options.sizes([4, 3], 0));
            let operation = match (stride, kernel, options.border()) {
                (Some(stride), Some(kernel), Some(border)) => Operation::Pool(Pool {
                    maximum: name == Some("MAX_POOL_2D"),
                    kernel,
                    stride,
                    border,
                    count_border: false,
                    round_up: false,
                    dilated: false,
                    channels_last: true,
                }),
                _ => absurd(),
            };
            with(operation, 5)
        }
        "ADD" => with(Operation::Binary(Binary::Add), 0),
        "SUB" => with(Operation::Binary(Binary::Subtract), 0),
        "MUL" => with(Operation::Binary(Binary::Multiply), 0),
        "DIV" => with(Operation::Binary(Binary::Divide), 0),
        "CONCATENATION" => with(Operation::Concatenate { axis: options.int(0, 0).into() }, 1),
        "TRANSPOSE_CONV" => {
            let (stride, border) = (options.sizes([2, 1], 1), options.border());
            // Inputs are the output's shape, the weights, the image, the bias.
            if let [shape, weights, image, rest @ ..] = &inputs[..] {
                let bias = rest.first().copied().flatten();
                *inputs = vec![*image, *weights, bias, *shape];
            }
            let operation = match (stride, border) {
                (Some(stride), Some(border)) => Operation::TransposedConvolution {
                    window: Convolution {
                        stride,
                        dilation: vec![1, 1],
                        border,
                        groups: 1,
                        weights: WeightOrder::OutputRowColumnInput,
                        channels_last: true,
                    },
                    reach: Reach::Input,
                },
                _ => absurd(),
            };
            with(operation, 3)
        }
        other => {
            Described { operation: plain(other, &options, [first, weights], inputs), activation: 0 }
        }
    }
}

/// Operators without an activation of their own.
fn plain(
    name: &str,
    options: &Options<'_, '_>,
    [first, second]: [Option<&Value>; 2],
    inputs: &mut Vec<Option<ValueId>>,
) -> Operation {
    use Operation as O;
    let unary = Operation::Unary;
    match name {
        "RELU" => unary(Unary::Relu),
        "RELU6" => unary(Unary::Relu6),
        "RELU_N1_TO_1" => O::Clip { ends: Some([-1.0, 1.0]) },
        "LOGISTIC" => unary(Unary::Sigmoid),
        "TANH" => unary(Unary::Tanh),
        "LEAKY_RELU" => unary(Unary::LeakyRelu(options.float(0, 0.0))),
        "ELU" => unary(Unary::Elu(1.0)),
        "HARD_SWISH" => unary(Unary::HardSwish),
        "GELU" => unary(Unary::Gelu(options.byte(0) != 0)),
        "EXP" => unary(Unary::Exp),
        "LOG" => unary(Unary::Log),
        "SQRT" => unary(Unary::Power(0.5)),
        "RSQRT" => unary(Unary::Power(-0.5)),
        "SQUARE" => unary(Unary::Power(2.0)),
        "FLOOR" => unary(Unary::Floor),
        "NEG" => unary(Unary::Negate),
        "ABS" => unary(Unary::Absolute),
        "MAXIMUM" => O::Binary(Binary::Maximum),
        "MINIMUM" => O::Binary(Binary::Minimum),
        "POW" => O::Binary(Binary::Power),
        "SOFTMAX" if (options.float(0, 1.0) - 1.0).abs() > 1e-6 => {
            unknown("has a beta other than 1", "scale the layer before instead")
        }
        "SOFTMAX" => O::Softmax { axis: -1, logarithm: false, rest: false },
        "LOG_SOFTMAX" => O::Softmax { axis: -1, logarithm: true, rest: false },
        "RESHAPE" => {
            let stated = options.0.and_then(|table| table.ints(0)).unwrap_or_default();
            let stated: Vec<i64> = stated.into_iter().map(i64::from).collect();
            let given = second.is_some_and(|second| second.constant.is_some());
            // Exporters write both; the input counts.
            O::Reshape {
                shape: (!given && !stated.is_empty()).then_some(stated),
                zero_is_zero: true,
            }
        }
        "EXPAND_DIMS" => O::Unsqueeze { axes: None },
        "SQUEEZE" => {
            let axes = options.0.and_then(|table| table.ints(0)).unwrap_or_default();
            inputs.truncate(1);
            O::Squeeze { axes: Some(axes.into_iter().map(i64::from).collect()) }
        }
        "TRANSPOSE" => O::Transpose { order: None },
        "MEAN" => reduce(options, Reduction::Mean),
        "SUM" => reduce(options, Reduction::Sum),
        "REDUCE_MAX" => reduce(options, Reduction::Maximum),
        "ARG_MAX" => O::ArgMax,
        "PRELU" => O::ParametricRelu,
        "DEPTH_TO_SPACE" | "SPACE_TO_DEPTH" => {
            let block = usize::try_from(options.int(0, 0)).ok();
            match block.filter(|block| (1..=MOST_BLOCK).contains(block)) {
                Some(block) if name == "SPACE_TO_DEPTH" => {
                    O::SpaceToDepth { block, channels_last: true }
                }
                Some(block) => O::DepthToSpace { block, pixels_first: true, channels_last: true },
                None => unknown("has no sensible block size", "convert again"),
            }
        }
        "PAD" | "PADV2" => {
            // A value of another input is looked up there.
            O::Pad { amounts: None, paired: true, value: 0.0 }
        }
        "QUANTIZE" | "DEQUANTIZE" => O::Identity,
        "CAST" => O::Cast { to_integer: false },
        "SHAPE" => O::Shape,
        "FILL" => O::Fill { value: 0.0, integer: false },
        "PACK" => O::Pack { axis: options.int(1, 0).into() },
        "GATHER" => O::Gather { axis: options.int(0, 0).into() },
        "SPLIT" => {
            // Inputs are the axis and the value.
            inputs.reverse();
            inputs.truncate(1);
            match first.and_then(|first| first.constant.as_ref()) {
                Some(Constant::Integers(axis)) => {
                    O::Split { axis: axis.first().copied().unwrap_or(0), sizes: None }
                }
                _ => unknown("splits along an axis that is not constant", "convert again"),
            }
        }
        "SLICE" => O::SliceBySize,
        "STRIDED_SLICE" if options.int(2, 0) != 0 || options.int(3, 0) != 0 => {
            unknown("has an ellipsis or a new axis", "slice with plain ranges")
        }
        "STRIDED_SLICE" => O::StridedSlice {
            masks: [0, 1, 4].map(|number| options.int(number, 0).cast_unsigned()),
        },
        "TILE" => O::Tile,
        "BROADCAST_TO" => O::Expand,
        "RESIZE_NEAREST_NEIGHBOR" => {
            let (coordinates, rounding) = match (options.byte(0) != 0, options.byte(1) != 0) {
                (true, _) => (Coordinates::AlignedCorners, PositionRounding::HalfUp),
                (_, true) => (Coordinates::HalfOutput, PositionRounding::Floor),
                _ => (Coordinates::Asymmetric, PositionRounding::Floor),
            };
            let sampling = Sampling { method: Method::Nearest { rounding }, coordinates };
            O::Resize { extent: Extent::Image, sampling, channels_last: true }
        }
        "RESIZE_BILINEAR" => {
            // Two fields of older files come first.
            let coordinates = match (options.byte(2) != 0, options.byte(3) != 0) {
                (true, _) => Coordinates::AlignedCorners,
                (_, true) => Coordinates::HalfPixel,
                _ => Coordinates::Asymmetric,
            };
            let sampling = Sampling { method: Method::Linear, coordinates };
            O::Resize { extent: Extent::Image, sampling, channels_last: true }
        }
        "WHILE" | "IF" | "CALL" | "CALL_ONCE" => unknown(
            "is control flow, which has no fixed work",
            "convert with the loop unrolled (unroll=True), or use convolutions over time",
        ),
        "VAR_HANDLE" | "READ_VARIABLE" | "ASSIGN_VARIABLE" => unknown(
            "keeps state between samples, which is not supported",
            "give the model a whole window of samples",
        ),
        "LSTM"
        | "UNIDIRECTIONAL_SEQUENCE_LSTM"
        | "BIDIRECTIONAL_SEQUENCE_LSTM"
        | "RNN"
        | "UNIDIRECTIONAL_SEQUENCE_RNN"
        | "BIDIRECTIONAL_SEQUENCE_RNN"
        | "SVDF" => unknown("is recurrent, which is not supported", "use convolutions over time"),
        _ => unknown(
            "is an operator that is not supported",
            "replace it by supported ones (docs/your-model.md)",
        ),
    }
}
