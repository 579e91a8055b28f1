//! From the nodes of an ONNX file to operations.

use tinyhero_common::operator::Reset;

use super::message::Node;
use crate::graph::sampling::{Coordinates, Method, PositionRounding, Sampling};
use crate::import::operation::{
    Binary, Border, Cell, Convolution, Extent, Operation, Pool, Reach, Reduction, Sequence, Unary,
    WeightOrder,
};

/// Most rows and columns of a block of pixels.
const MOST_BLOCK: usize = 64;

/// What a node with an attribute or operator that is not known becomes.
pub fn unknown(why: impl Into<String>, advice: impl Into<String>) -> Operation {
    Operation::Unknown { why: why.into(), advice: advice.into() }
}

/// Whole numbers of an attribute as sizes; `None` where one is negative or far too large.
fn sizes(node: &Node<'_>, name: &str, default: &[usize]) -> Option<Vec<usize>> {
    let Some(values) = node.integers(name) else { return Some(default.to_vec()) };
    let size = |&value: &i64| u16::try_from(value).ok().map(usize::from);
    values.iter().map(size).collect()
}

/// What a standard operator computes, in that version of the operators.
pub fn operation(node: &Node<'_>, opset: i64) -> Operation {
    use Operation as O;
    let axis = |default| node.integer("axis", default);
    let unary = Operation::Unary;
    match node.operator.as_str() {
        "Conv" => window(node).map_or_else(|why| why, O::Convolution),
        "ConvTranspose" => transposed(node),
        "Gemm" => gemm(node),
        "MatMul" => O::FullyConnected { outputs_first: false, alpha: 1.0, beta: 1.0 },
        "MaxPool" => pool(node, true),
        "AveragePool" => pool(node, false),
        "GlobalAveragePool" => O::GlobalAverage,
        "GlobalMaxPool" => O::GlobalMaximum,
        "ReduceMean" => reduce(node, Reduction::Mean),
        "ReduceSum" => reduce(node, Reduction::Sum),
        "ReduceMax" => reduce(node, Reduction::Maximum),
        "ArgMax" => O::ArgMax,
        "PRelu" => O::ParametricRelu,
        "DepthToSpace" | "SpaceToDepth" => blocks(node),
        "BatchNormalization" if node.outputs.iter().skip(1).any(|name| !name.is_empty()) => {
            unknown("is in training mode", "export the model in evaluation mode (model.eval())")
        }
        "BatchNormalization" => O::BatchNorm { epsilon: node.float("epsilon", 1e-5) },
        "Add" | "Sum" if node.inputs.len() == 2 => O::Binary(Binary::Add),
        "Sub" => O::Binary(Binary::Subtract),
        "Mul" => O::Binary(Binary::Multiply),
        "Div" => O::Binary(Binary::Divide),
        "Max" if node.inputs.len() == 2 => O::Binary(Binary::Maximum),
        "Min" if node.inputs.len() == 2 => O::Binary(Binary::Minimum),
        "Pow" => O::Binary(Binary::Power),
        "Relu" => unary(Unary::Relu),
        "Clip" => O::Clip {
            ends: (opset < 11)
                .then(|| [node.float("min", f32::NEG_INFINITY), node.float("max", f32::INFINITY)]),
        },
        "Sigmoid" => unary(Unary::Sigmoid),
        "Tanh" => unary(Unary::Tanh),
        "LeakyRelu" => unary(Unary::LeakyRelu(node.float("alpha", 0.01))),
        "Celu" if node.float("alpha", 1.0) == 1.0 => unary(Unary::Elu(1.0)),
        "Elu" => unary(Unary::Elu(node.float("alpha", 1.0))),
        "HardSigmoid" => {
            unary(Unary::HardSigmoid(node.float("alpha", 0.2), node.float("beta", 0.5)))
        }
        "HardSwish" => unary(Unary::HardSwish),
        "Gelu" => unary(Unary::Gelu(node.text("approximate") == "tanh")),
        "Exp" => unary(Unary::Exp),
        "Log" => unary(Unary::Log),
        "Sqrt" => unary(Unary::Power(0.5)),
        "Reciprocal" => unary(Unary::Power(-1.0)),
        "Softplus" => unary(Unary::Softplus),
        "Mish" => unary(Unary::Mish),
        "Erf" => unary(Unary::Erf),
        "Neg" => unary(Unary::Negate),
        "Abs" => unary(Unary::Absolute),
        "Floor" => unary(Unary::Floor),
        "Softmax" | "LogSoftmax" => O::Softmax {
            axis: axis(if opset < 13 { 1 } else { -1 }),
            logarithm: node.operator == "LogSoftmax",
            rest: opset < 13,
        },
        "Reshape" => O::Reshape {
            shape: node.integers("shape"),
            zero_is_zero: node.integer("allowzero", 0) != 0,
        },
        "Flatten" => O::Flatten { axis: axis(1) },
        "Squeeze" => O::Squeeze { axes: node.integers("axes") },
        "Unsqueeze" => O::Unsqueeze { axes: node.integers("axes") },
        "Transpose" => O::Transpose { order: node.integers("perm") },
        "Identity" | "Dropout" => O::Identity,
        "Cast" => O::Cast { to_integer: !matches!(node.integer("to", 1), 1 | 10 | 11 | 16) },
        "Concat" => O::Concatenate { axis: axis(1) },
        "Split" => O::Split { axis: axis(0), sizes: node.integers("split") },
        "Slice" => O::Slice {
            ranges: node.integers("starts").zip(node.integers("ends")).map(|(starts, ends)| {
                let all = (0..starts.len() as i64).collect();
                [starts, ends, node.integers("axes").unwrap_or(all)]
            }),
        },
        "Gather" => O::Gather { axis: axis(0) },
        "Pad" => match node.text("mode") {
            "" | "constant" => O::Pad {
                amounts: node.integers("pads").or_else(|| node.integers("paddings")),
                paired: false,
                value: node.float("value", 0.0),
            },
            mode => unknown(format!("pads with mode '{mode}'"), "pad with zeros"),
        },
        "Shape" => match (node.attribute("start"), node.attribute("end")) {
            (None, None) => O::Shape,
            _ => unknown("takes a part of the shape", "export with fixed sizes"),
        },
        "Expand" => O::Expand,
        "Tile" => O::Tile,
        "Resize" | "Upsample" => resize(node, opset),
        "QuantizeLinear" if node.integer("block_size", 0) == 0 => O::Quantize { axis: axis(1) },
        "DequantizeLinear" if node.integer("block_size", 0) == 0 => O::Dequantize { axis: axis(1) },
        "If" | "Loop" | "Scan" => unknown(
            "is control flow, which has no fixed work",
            "export the model with the loop unrolled, or without it",
        ),
        "LSTM" | "GRU" => recurrent(node).map_or_else(|why| why, O::Recurrent),
        "RNN" => unknown("is a plain recurrent layer", "use LSTM or GRU"),
        "Attention"
        | "MultiHeadAttention"
        | "LayerNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "RMSNormalization" => unknown(
            "depends on statistics of the sample, which is not supported",
            "use batch normalization, whose numbers are fixed after training",
        ),
        "DynamicQuantizeLinear" | "MatMulInteger" | "ConvInteger" | "DynamicQuantizeMatMul" => {
            unknown(
                "quantizes at run time",
                "quantize statically (onnxruntime.quantization.quantize_static), or give the float model",
            )
        }
        _ => unknown(
            "is an operator that is not supported",
            "replace it by supported ones (docs/your-model.md)",
        ),
    }
}

fn reduce(node: &Node<'_>, reduction: Reduction) -> Operation {
    if node.integer("noop_with_empty_axes", 0) != 0 {
        return unknown("may reduce nothing", "name the axes");
    }
    let keep = node.integer("keepdims", 1) != 0;
    Operation::Reduce { reduction, axes: node.integers("axes"), keep }
}

/// Channels as blocks of pixels, or the other way round.
fn blocks(node: &Node<'_>) -> Operation {
    let block = usize::try_from(node.integer("blocksize", 0)).ok();
    let Some(block) = block.filter(|block| (1..=MOST_BLOCK).contains(block)) else {
        return unknown("has no sensible blocksize", "export the model again");
    };
    match (node.operator.as_str(), node.text("mode")) {
        ("SpaceToDepth", _) => Operation::SpaceToDepth { block, channels_last: false },
        (_, "" | "DCR") => {
            Operation::DepthToSpace { block, pixels_first: true, channels_last: false }
        }
        (_, "CRD") => Operation::DepthToSpace { block, pixels_first: false, channels_last: false },
        (_, mode) => unknown(format!("has mode '{mode}'"), "use DCR or CRD"),
    }
}

fn window(node: &Node<'_>) -> Result<Convolution, Operation> {
    let absurd = || unknown("has a negative or huge size", "export the model again");
    let spatial = sizes(node, "kernel_shape", &[]).ok_or_else(absurd)?.len();
    // A kernel's shape may be left out; the strides then say how many axes there are.
    let list = |name: &str, default: usize| {
        let all = vec![default; if spatial == 0 { 2 } else { spatial }];
        sizes(node, name, &all).ok_or_else(absurd)
    };
    let groups = usize::try_from(node.integer("group", 1)).ok().filter(|&groups| groups > 0);
    Ok(Convolution {
        stride: list("strides", 1)?,
        dilation: list("dilations", 1)?,
        border: border(node)?,
        groups: groups.ok_or_else(absurd)?,
        weights: WeightOrder::OutputInputRowColumn,
        channels_last: false,
    })
}

fn border(node: &Node<'_>) -> Result<Border, Operation> {
    match node.text("auto_pad") {
        "" | "NOTSET" => {
            let amounts = sizes(node, "pads", &[]);
            let amounts = amounts
                .ok_or_else(|| unknown("has a negative or huge padding", "pad by at least 0"))?;
            Ok(Border::Amounts(amounts))
        }
        "VALID" => Ok(Border::Amounts(Vec::new())),
        "SAME_UPPER" => Ok(Border::Same { larger_before: false }),
        "SAME_LOWER" => Ok(Border::Same { larger_before: true }),
        other => Err(unknown(format!("has auto_pad '{other}'"), "give its pads")),
    }
}

fn transposed(node: &Node<'_>) -> Operation {
    let mut window = match window(node) {
        Ok(window) => window,
        Err(why) => return why,
    };
    window.weights = WeightOrder::InputOutputRowColumn;
    let (stated, padded) = (sizes(node, "output_shape", &[]), sizes(node, "output_padding", &[]));
    match (stated, padded) {
        (Some(stated), _) if !stated.is_empty() => {
            Operation::TransposedConvolution { window, reach: Reach::Stated(stated) }
        }
        (Some(_), Some(padded)) => {
            Operation::TransposedConvolution { window, reach: Reach::Padded(padded) }
        }
        _ => unknown("has a negative or huge size", "export the model again"),
    }
}

/// A recurrent layer; what is wrong with it otherwise.
fn recurrent(node: &Node<'_>) -> Result<Sequence, Operation> {
    let directions = match node.text("direction") {
        "" | "forward" => vec![false],
        "reverse" => vec![true],
        "bidirectional" => vec![false, true],
        other => return Err(unknown(format!("has direction '{other}'"), "use forward")),
    };
    let is_lstm = node.operator == "LSTM";
    let standard: &[&str] =
        if is_lstm { &["sigmoid", "tanh", "tanh"] } else { &["sigmoid", "tanh"] };
    let names = node.texts("activations");
    let repeated = names.iter().zip(standard.iter().cycle());
    if !names.is_empty()
        && (names.len() != standard.len() * directions.len()
            || !repeated.into_iter().all(|(name, standard)| name.eq_ignore_ascii_case(standard)))
    {
        let why = format!("has the activations {}", names.join(", "));
        return Err(unknown(why, "use sigmoid for the gates and tanh for the rest"));
    }
    if node.attribute("clip").is_some() {
        return Err(unknown("clips its sums", "export without clip"));
    }
    if node.integer("input_forget", 0) != 0 {
        return Err(unknown("couples input and forget gate", "export without input_forget"));
    }
    let hidden = u16::try_from(node.integer("hidden_size", 0)).ok().filter(|&hidden| hidden > 0);
    let Some(hidden) = hidden else {
        return Err(unknown("has no sensible hidden_size", "export the model again"));
    };
    let reset = match node.integer("linear_before_reset", 0) {
        0 => Reset::State,
        _ => Reset::Product,
    };
    Ok(Sequence {
        cell: if is_lstm { Cell::Lstm } else { Cell::Gru { reset } },
        hidden: hidden.into(),
        directions,
        batch_first: node.integer("layout", 0) != 0,
    })
}

fn gemm(node: &Node<'_>) -> Operation {
    if node.integer("transA", 0) != 0 {
        return unknown("transposes its first input", "multiply from the other side");
    }
    Operation::FullyConnected {
        outputs_first: node.integer("transB", 0) != 0,
        alpha: node.float("alpha", 1.0),
        beta: node.float("beta", 1.0),
    }
}

fn pool(node: &Node<'_>, maximum: bool) -> Operation {
    let Some(kernel) = sizes(node, "kernel_shape", &[]).filter(|kernel| !kernel.is_empty()) else {
        return unknown("has no kernel_shape", "export the model again");
    };
    let ones = vec![1; kernel.len()];
    let dilated = sizes(node, "dilations", &ones).is_none_or(|dilations| dilations != ones);
    let border = match border(node) {
        Ok(border) => border,
        Err(why) => return why,
    };
    match sizes(node, "strides", &ones) {
        Some(stride) => Operation::Pool(Pool {
            maximum,
            kernel,
            stride,
            border,
            count_border: node.integer("count_include_pad", 0) != 0,
            round_up: node.integer("ceil_mode", 0) != 0,
            dilated,
            channels_last: false,
        }),
        None => unknown("has a negative or huge stride", "export the model again"),
    }
}

fn resize(node: &Node<'_>, opset: i64) -> Operation {
    // The first two versions count from the corners of pixels and take the one before.
    let old = node.operator == "Upsample" || opset < 11;
    let text = |name: &str, default| match node.text(name) {
        "" => default,
        _ if old && name != "mode" => default,
        text => text,
    };
    let rounding = match text("nearest_mode", if old { "floor" } else { "round_prefer_floor" }) {
        "floor" => PositionRounding::Floor,
        "ceil" => PositionRounding::Ceil,
        "round_prefer_floor" => PositionRounding::HalfDown,
        "round_prefer_ceil" => PositionRounding::HalfUp,
        other => return unknown(format!("has nearest_mode '{other}'"), "use floor"),
    };
    let method = match text("mode", "nearest") {
        "nearest" => Method::Nearest { rounding },
        "linear" => Method::Linear,
        mode => {
            return unknown(format!("resizes with mode '{mode}'"), "use nearest or linear");
        }
    };
    let counted = if old { "asymmetric" } else { "half_pixel" };
    let coordinates = match text("coordinate_transformation_mode", counted) {
        "asymmetric" => Coordinates::Asymmetric,
        "half_pixel" => Coordinates::HalfPixel,
        "pytorch_half_pixel" => Coordinates::HalfPixelUnlessOne,
        "tf_half_pixel_for_nn" => Coordinates::HalfOutput,
        "align_corners" => Coordinates::AlignedCorners,
        coordinates => {
            return unknown(
                format!("resizes with coordinates '{coordinates}'"),
                "use asymmetric, half_pixel or align_corners",
            );
        }
    };
    if node.integer("antialias", 0) != 0 {
        return unknown("resizes with antialias", "resize without");
    }
    if node.attribute("axes").is_some() {
        return unknown("names the axes that it resizes", "give factors for all axes");
    }
    match node.text("keep_aspect_ratio_policy") {
        "" | "stretch" => {}
        policy => {
            return unknown(format!("has keep_aspect_ratio_policy '{policy}'"), "use stretch");
        }
    }
    let extent = match (node.operator.as_str(), opset) {
        // Its first version has the factors as an attribute.
        ("Upsample", ..9) => match node.floats("scales") {
            Some(factors) => Extent::Factors(factors),
            None => return unknown("has no scales", "export the model again"),
        },
        ("Upsample", _) | (_, ..11) => Extent::Inputs { factors: 1, sizes: usize::MAX },
        _ => Extent::Inputs { factors: 2, sizes: 3 },
    };
    let sampling = Sampling { method, coordinates };
    Operation::Resize { extent, sampling, channels_last: false }
}
