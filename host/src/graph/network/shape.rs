//! Shape inference, cost counts, and the checks of a description.

use super::{Network, Node, NodeInput, NodeSummary, Operation, Padding};
use crate::data::SampleShape;
use crate::error::{Error, Result};

/// Most values that one node may give; beyond this a description is taken for a mistake.
const ELEMENT_LIMIT: usize = 1 << 24;
/// Most nodes, and most values and trained numbers of all nodes together: what a training's memory follows from.
const NODE_LIMIT: usize = 1_000;
const SUM_LIMIT: usize = 1 << 26;
/// Largest slope or alpha of a function.
const NUMBER_LIMIT: f64 = 1e3;

/// Rows and columns of zeros on each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaddingAmounts {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

/// A sliding window with its padding in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: PaddingAmounts,
    /// Output rows and columns.
    pub output: [usize; 2],
}

impl Window {
    /// The window over an input of `height` x `width`, or `None` if it does not fit once.
    pub fn over(
        [height, width]: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: Padding,
    ) -> Option<Self> {
        if kernel.contains(&0) || stride.contains(&0) {
            return None;
        }
        let amounts = match padding {
            Padding::Valid => PaddingAmounts::default(),
            Padding::Explicit(amounts) => amounts,
            Padding::Same => {
                let total = |size: usize, kernel: usize, stride: usize| {
                    let steps = size.div_ceil(stride).max(1) - 1;
                    steps.saturating_mul(stride).saturating_add(kernel).saturating_sub(size)
                };
                let rows = total(height, kernel[0], stride[0]);
                let columns = total(width, kernel[1], stride[1]);
                PaddingAmounts {
                    top: rows / 2,
                    bottom: rows - rows / 2,
                    left: columns / 2,
                    right: columns - columns / 2,
                }
            }
        };
        // A window that lies wholly in the padding would see nothing.
        if amounts.top.max(amounts.bottom) >= kernel[0]
            || amounts.left.max(amounts.right) >= kernel[1]
        {
            return None;
        }
        let count = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
            let padded = size.checked_add(before)?.checked_add(after)?;
            padded.checked_sub(kernel).map(|rest| rest / stride + 1)
        };
        let output = [
            count(height, amounts.top, amounts.bottom, kernel[0], stride[0])?,
            count(width, amounts.left, amounts.right, kernel[1], stride[1])?,
        ];
        Some(Self { kernel, stride, padding: amounts, output })
    }
}

/// Checks the description and computes shapes and costs of every node.
pub fn summarize(network: &Network) -> Result<Vec<NodeSummary>> {
    if network.nodes.is_empty() {
        return Err(Error::bad_input(place(network), "has no layer", "add one"));
    }
    if network.nodes.len() > NODE_LIMIT {
        return Err(Error::bad_input(
            place(network),
            format_args!("has {} layers, more than {NODE_LIMIT}", network.nodes.len()),
            "leave out some",
        ));
    }
    if network.input.elements() == 0 || network.input.elements() > ELEMENT_LIMIT {
        return Err(Error::bad_input(
            place(network),
            format_args!("input {} is empty or too large", network.input),
            "give a smaller shape, each size at least 1",
        ));
    }
    let mut summaries: Vec<NodeSummary> = Vec::with_capacity(network.nodes.len());
    let (mut values, mut parameters) = (0, 0);
    for (index, node) in network.nodes.iter().enumerate() {
        let error = |problem: String, advice: &str| {
            Error::bad_input(
                format_args!("{}, layer '{}'", place(network), node.name),
                problem,
                advice,
            )
        };
        if network.nodes[..index].iter().any(|other| other.name == node.name) {
            return Err(error(
                "has the name of an earlier layer".to_string(),
                "give each layer its own name",
            ));
        }
        let wanted = node.operation.inputs();
        if !wanted.contains(&node.inputs.len()) {
            let wanted = match (wanted.start(), wanted.end()) {
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(error(
                format!(
                    "reads {} inputs, but {} reads {wanted}",
                    node.inputs.len(),
                    node.operation.name()
                ),
                "correct its inputs",
            ));
        }
        let mut shapes = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            shapes.push(match *input {
                NodeInput::Network => network.input,
                NodeInput::Node(before) if before < index => summaries[before].output,
                NodeInput::Node(_) => {
                    return Err(error(
                        "reads a later layer".to_string(),
                        "order layers so that inputs come first",
                    ));
                }
            });
        }
        if node.operation == Operation::Softmax && index + 1 != network.nodes.len() {
            return Err(error("is not the last layer".to_string(), "put softmax last"));
        }
        let summary = summarize_node(node, &shapes)
            .map_err(|problem| error(problem, "change the layer or the input"))?;
        // Each is bounded, so these do not overflow.
        values += summary.output.elements();
        parameters += summary.parameters;
        if values.max(parameters) > SUM_LIMIT {
            let problem = format!(
                "makes it {values} values and {parameters} trained numbers in all, more than {SUM_LIMIT}"
            );
            return Err(error(problem, "use smaller or fewer layers"));
        }
        summaries.push(summary);
    }
    Ok(summaries)
}

fn place(network: &Network) -> String {
    format!("network '{}'", network.name)
}

fn summarize_node(node: &Node, shapes: &[SampleShape]) -> std::result::Result<NodeSummary, String> {
    let input = shapes[0];
    let window = |kernel: [usize; 2], stride: [usize; 2], padding| {
        Window::over([input.height, input.width], kernel, stride, padding)
            .ok_or_else(|| misfit(input, kernel, stride, padding))
    };
    let (output, macs_per_output, weights, others) = match node.operation {
        Operation::Convolution2d { out_channels, kernel, stride, padding, bias } => {
            let output = window(kernel, stride, padding)?.output;
            let terms = product(&[kernel[0], kernel[1], input.channels])?;
            let weights = product(&[terms, out_channels])?;
            (
                SampleShape::new(output[0], output[1], out_channels),
                terms,
                weights,
                usize::from(bias) * out_channels,
            )
        }
        Operation::DepthwiseConvolution2d { kernel, stride, padding, bias } => {
            let output = window(kernel, stride, padding)?.output;
            let terms = product(&kernel)?;
            let weights = product(&[terms, input.channels])?;
            (
                SampleShape::new(output[0], output[1], input.channels),
                terms,
                weights,
                usize::from(bias) * input.channels,
            )
        }
        Operation::FullyConnected { out_features, bias } => {
            let terms = input.elements();
            let weights = product(&[terms, out_features])?;
            (SampleShape::new(1, 1, out_features), terms, weights, usize::from(bias) * out_features)
        }
        Operation::AveragePool2d { kernel, stride, padding, .. }
        | Operation::MaxPool2d { kernel, stride, padding } => {
            let output = window(kernel, stride, padding)?.output;
            (SampleShape::new(output[0], output[1], input.channels), 0, 0, 0)
        }
        Operation::BatchNorm { epsilon } => {
            if !(epsilon > 0.0 && epsilon < 1.0) {
                return Err(format!("epsilon {epsilon} is not between 0 and 1"));
            }
            (input, 0, 0, 2 * input.channels)
        }
        Operation::GlobalAveragePool => (SampleShape::new(1, 1, input.channels), 0, 0, 0),
        Operation::Flatten => (SampleShape::new(1, 1, input.elements()), 0, 0, 0),
        Operation::Add if shapes[1] != input => {
            return Err(format!("adds {input} and {}", shapes[1]));
        }
        Operation::Multiply => {
            let other = shapes[1];
            // Either may be the vector.
            let (image, vector) = if input.height * input.width >= other.height * other.width {
                (input, other)
            } else {
                (other, input)
            };
            if vector != image && vector != SampleShape::new(1, 1, image.channels) {
                return Err(format!("multiplies {input} by {other}"));
            }
            (image, 0, 0, 0)
        }
        Operation::Concatenate => {
            let mut channels = 0usize;
            for shape in shapes {
                if (shape.height, shape.width) != (input.height, input.width) {
                    return Err(format!("puts {input} and {shape} side by side"));
                }
                channels = channels.saturating_add(shape.channels);
            }
            (SampleShape::new(input.height, input.width, channels), 0, 0, 0)
        }
        Operation::Elementwise(function) => {
            for number in [function.slope(), function.alpha()].into_iter().flatten() {
                if !(number.is_finite() && number.abs() <= NUMBER_LIMIT) {
                    return Err(format!("has a slope or alpha of {number}"));
                }
            }
            (input, 0, 0, 0)
        }
        Operation::Add | Operation::Relu | Operation::Relu6 => (input, 0, 0, 0),
        Operation::Softmax if input.height * input.width != 1 => {
            return Err(format!("reads {input} instead of a vector"));
        }
        Operation::Softmax => (input, 0, 0, 0),
    };
    let elements = product(&[output.height, output.width, output.channels])?;
    if elements == 0 {
        return Err("gives no output".to_string());
    }
    Ok(NodeSummary {
        input,
        output,
        macs: elements as u64 * macs_per_output as u64,
        weights,
        parameters: weights + others,
    })
}

/// Why a window does not fit its input.
fn misfit(input: SampleShape, kernel: [usize; 2], stride: [usize; 2], padding: Padding) -> String {
    let [rows, columns] = kernel;
    if kernel.contains(&0) || stride.contains(&0) {
        return format!("kernel {rows}x{columns} or stride {}x{} is 0", stride[0], stride[1]);
    }
    let PaddingAmounts { top, bottom, left, right } = match padding {
        Padding::Explicit(amounts) => amounts,
        Padding::Same | Padding::Valid => PaddingAmounts::default(),
    };
    if top.max(bottom) >= rows || left.max(right) >= columns {
        return format!(
            "padding [{top}, {bottom}, {left}, {right}] does not fit its kernel {rows}x{columns}, \
             which would see nothing but padding at the edge: each must be smaller than the kernel"
        );
    }
    let padded = match padding {
        Padding::Explicit(_) => " with its padding",
        Padding::Same | Padding::Valid => "",
    };
    format!("kernel {rows}x{columns} does not fit its input {input}{padded}")
}

/// Product of sizes, refused beyond [`ELEMENT_LIMIT`].
fn product(sizes: &[usize]) -> std::result::Result<usize, String> {
    sizes
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size))
        .filter(|&product| product <= ELEMENT_LIMIT)
        .ok_or_else(|| format!("is larger than {ELEMENT_LIMIT} values"))
}
