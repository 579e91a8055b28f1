//! The forward pass of each operation.

use candle_core::{Tensor, Var};

use crate::error::{Error, Result};
use crate::graph::function::Function;
use crate::graph::network::{NodeSummary, Operation, Padding, Window};
use crate::training::convolution::{Geometry, Pool, average_pool, convolve, max_pool};

/// Mean and (biased) variance of each channel over samples and pixels, as 1×1×1×C.
pub(super) fn statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdim(0)?.mean_keepdim(1)?.mean_keepdim(2)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(0)?.mean_keepdim(1)?.mean_keepdim(2)?;
    Ok((mean, variance))
}

/// One value per channel as 1×1×1×C.
pub(super) fn per_channel(values: &Tensor) -> Result<Tensor> {
    Ok(values.reshape((1, 1, 1, values.elem_count()))?)
}

/// `gamma · (x − mean) / √(variance + epsilon) + beta`.
pub(super) fn normalize(
    x: &Tensor,
    mean: &Tensor,
    variance: &Tensor,
    gamma: &Var,
    beta: &Var,
    epsilon: f64,
) -> Result<Tensor> {
    let deviation = variance.affine(1.0, epsilon)?.sqrt()?;
    let factor = per_channel(gamma.as_tensor())?.div(&deviation)?;
    let scaled = x.broadcast_sub(mean)?.broadcast_mul(&factor)?;
    Ok(scaled.broadcast_add(&per_channel(beta.as_tensor())?)?)
}

/// Operations with weights.
pub(super) fn layer(
    operation: &Operation,
    x: &Tensor,
    summary: &NodeSummary,
    weight: &Var,
    bias: Option<&Var>,
) -> Result<Tensor> {
    let output = match operation {
        Operation::FullyConnected { out_features, .. } => {
            // Features are taken in height, width, channel order, which is how they lie.
            let features = x.flatten_from(1)?;
            let product = features.matmul(&weight.as_tensor().t()?)?;
            product.reshape((product.dim(0)?, 1, 1, *out_features))?
        }
        _ => match geometry(operation, summary)? {
            Some(geometry) => convolve(x, weight.as_tensor(), &geometry)?,
            None => return Err(Error::Tensor(format!("'{}' has no weights", operation.name()))),
        },
    };
    match bias {
        Some(bias) => Ok(output.broadcast_add(&per_channel(bias.as_tensor())?)?),
        None => Ok(output),
    }
}

/// Operations without weights.
pub(super) fn plain(operation: &Operation, x: &Tensor, summary: &NodeSummary) -> Result<Tensor> {
    Ok(match operation {
        Operation::Relu => x.relu()?,
        // min(relu(x), 6) without a clamp, whose derivative candle does not differentiate.
        Operation::Relu6 => {
            let positive = x.relu()?;
            positive.sub(&positive.affine(1.0, -6.0)?.relu()?)?
        }
        Operation::Elementwise(function) => elementwise(*function, x)?,
        Operation::MaxPool2d { .. } => max_pool(x, &pool(operation, summary)?)?,
        Operation::GlobalAveragePool | Operation::AveragePool2d { .. } => {
            average_pool(x, &pool(operation, summary)?)?
        }
        Operation::Flatten => {
            let vector = x.flatten_from(1)?;
            let features = vector.dim(1)?;
            vector.reshape((x.dim(0)?, 1, 1, features))?
        }
        // Left to the loss.
        Operation::Softmax => x.clone(),
        other => return Err(Error::Tensor(format!("'{}' without its parameters", other.name()))),
    })
}

/// A function of each value, made of operations whose derivatives can be differentiated again.
fn elementwise(function: Function, x: &Tensor) -> Result<Tensor> {
    // Not 1 / (1 + exp(-x)), whose derivative is not a number where the exponential overflows.
    let sigmoid = |x: &Tensor| x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5);
    let hard_sigmoid = |slope: f64| {
        let positive = x.affine(slope, 0.5)?.relu()?;
        positive.sub(&positive.affine(1.0, -1.0)?.relu()?)
    };
    let negative = || x.neg()?.relu();
    Ok(match function {
        Function::Sigmoid => sigmoid(x)?,
        Function::Tanh => x.tanh()?,
        Function::LeakyRelu { slope } => x.relu()?.sub(&negative()?.affine(slope, 0.0)?)?,
        Function::Elu { alpha } => {
            x.relu()?.add(&negative()?.neg()?.exp()?.affine(alpha, -alpha)?)?
        }
        Function::HardSigmoid { slope } => hard_sigmoid(slope)?,
        Function::HardSwish => x.mul(&hard_sigmoid(1.0 / 6.0)?)?,
        Function::Gelu => {
            let error = x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?;
            x.mul(&error.affine(0.5, 0.5)?)?
        }
        Function::Swish => x.mul(&sigmoid(x)?)?,
    })
}

/// The window of a node, whose shapes have been checked.
fn window(
    summary: &NodeSummary,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Result<Window> {
    let extents = [summary.input.height, summary.input.width];
    Window::over(extents, kernel, stride, padding)
        .ok_or_else(|| Error::Tensor("a window does not fit its input".to_string()))
}

/// The shapes of a convolution; `None` for other operations.
pub(super) fn geometry(operation: &Operation, summary: &NodeSummary) -> Result<Option<Geometry>> {
    let (kernel, stride, padding, depthwise) = match *operation {
        Operation::Convolution2d { kernel, stride, padding, .. } => {
            (kernel, stride, padding, false)
        }
        Operation::DepthwiseConvolution2d { kernel, stride, padding, .. } => {
            (kernel, stride, padding, true)
        }
        _ => return Ok(None),
    };
    let window = window(summary, kernel, stride, padding)?;
    Ok(Some(Geometry {
        input: [summary.input.height, summary.input.width],
        output: window.output,
        channels: summary.input.channels,
        out_channels: summary.output.channels,
        kernel,
        stride,
        padding: window.padding,
        depthwise,
    }))
}

/// The shapes of a pooling.
///
/// # Errors
/// The operation is another one, or its window does not fit the image.
pub(super) fn pool(operation: &Operation, summary: &NodeSummary) -> Result<Pool> {
    let input = [summary.input.height, summary.input.width];
    let channels = summary.input.channels;
    match *operation {
        Operation::GlobalAveragePool => Ok(Pool::global(input, channels)),
        Operation::AveragePool2d { kernel, stride, padding, count_padding } => {
            let window = window(summary, kernel, stride, padding)?;
            let divisor = count_padding.then_some(kernel[0] * kernel[1]);
            Ok(Pool { window, input, channels, divisor })
        }
        Operation::MaxPool2d { kernel, stride, padding } => {
            let window = window(summary, kernel, stride, padding)?;
            Ok(Pool { window, input, channels, divisor: None })
        }
        _ => Err(Error::Tensor(format!("{operation:?} is not a pooling"))),
    }
}

/// Mean softmax cross-entropy of logits (samples × classes) against classes (samples × 1).
pub(super) fn cross_entropy(
    logits: &Tensor,
    classes: &Tensor,
    smoothing: f64,
    weights: Option<&Tensor>,
) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
    let mut wanted = shifted.gather(classes, 1)?;
    if smoothing > 0.0 {
        let spread = shifted.mean_keepdim(1)?.affine(smoothing, 0.0)?;
        wanted = wanted.affine(1.0 - smoothing, 0.0)?.add(&spread)?;
    }
    let losses = log_sum.sub(&wanted)?;
    match weights {
        None => Ok(losses.mean_all()?),
        Some(weights) => Ok(losses.mul(weights)?.sum_all()?.broadcast_div(&weights.sum_all()?)?),
    }
}
