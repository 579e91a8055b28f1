//! The forward pass of each operation.

use candle_core::{Tensor, Var};

use crate::error::{Error, Result};
use crate::network::{NodeSummary, Operation, Padding, Window};

/// Mean and (biased) variance of each channel over samples and pixels, as 1×C×1×1.
pub(super) fn statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let mean = x.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3)?;
    let centred = x.broadcast_sub(&mean)?;
    let variance = centred.sqr()?.mean_keepdim(0)?.mean_keepdim(2)?.mean_keepdim(3)?;
    Ok((mean, variance))
}

/// One value per channel as 1×C×1×1.
pub(super) fn per_channel(values: &Tensor) -> Result<Tensor> {
    Ok(values.reshape((1, values.elem_count(), 1, 1))?)
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
            // Features are taken in height, width, channel order.
            let features = x.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?;
            let product = features.matmul(&weight.as_tensor().t()?)?;
            product.reshape((product.dim(0)?, *out_features, 1, 1))?
        }
        Operation::Convolution2d { kernel, stride, padding, .. } => {
            let window = window(summary, *kernel, *stride, *padding)?;
            convolve(x, weight.as_tensor(), &window, 1)?
        }
        Operation::DepthwiseConvolution2d { kernel, stride, padding, .. } => {
            let window = window(summary, *kernel, *stride, *padding)?;
            convolve(x, weight.as_tensor(), &window, summary.input.channels)?
        }
        _ => return Err(Error::Tensor(format!("'{}' has no weights", operation.name()))),
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
        Operation::GlobalAveragePool => x.mean_keepdim(2)?.mean_keepdim(3)?,
        Operation::AveragePool2d { kernel, stride, padding } => {
            let window = window(summary, *kernel, *stride, *padding)?;
            let taps = taps(x, &window, summary)?;
            let count = taps.len() as f64;
            let mut taps = taps.into_iter();
            let first = taps.next().ok_or_else(|| Error::Tensor("an empty window".into()))?;
            let sum = taps.try_fold(first, |sum, tap| sum.add(&tap))?;
            sum.affine(1.0 / count, 0.0)?
        }
        Operation::MaxPool2d { kernel, stride, padding } => {
            let window = window(summary, *kernel, *stride, *padding)?;
            let taps = taps(x, &window, summary)?;
            // candle's own max_pool2d has a wrong gradient.
            Tensor::stack(&taps, 0)?.max(0)?
        }
        Operation::Flatten => {
            let vector = x.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?;
            let features = vector.dim(1)?;
            vector.reshape((x.dim(0)?, features, 1, 1))?
        }
        // Left to the loss.
        Operation::Softmax => x.clone(),
        other => return Err(Error::Tensor(format!("'{}' without its parameters", other.name()))),
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

fn convolve(x: &Tensor, weight: &Tensor, window: &Window, groups: usize) -> Result<Tensor> {
    let padding = window.padding;
    if window.stride[0] != window.stride[1] {
        return Err(Error::bad_input(
            "network",
            "a convolution has different strides down and across, which training does not support",
            "use one stride for both",
        ));
    }
    let even = padding.top == padding.bottom
        && padding.left == padding.right
        && padding.top == padding.left;
    let (x, around) = if even {
        (x.clone(), padding.top)
    } else {
        let padded = x.pad_with_zeros(2, padding.top, padding.bottom)?.pad_with_zeros(
            3,
            padding.left,
            padding.right,
        )?;
        (padded, 0)
    };
    Ok(x.conv2d(weight, around, window.stride[0], 1, groups)?)
}

/// What each tap of a window reads, for every output position.
fn taps(x: &Tensor, window: &Window, summary: &NodeSummary) -> Result<Vec<Tensor>> {
    let padding = window.padding;
    if [padding.top, padding.bottom, padding.left, padding.right] != [0; 4] {
        return Err(Error::bad_input(
            "network",
            "a pooling window is padded, which training does not support",
            "use padding = \"valid\" for pooling",
        ));
    }
    let axis = |tap: usize, stride: usize, outputs: usize| -> Result<Tensor> {
        let places: Vec<u32> = (0..outputs).map(|output| (output * stride + tap) as u32).collect();
        Ok(Tensor::new(places, x.device())?)
    };
    let mut taps = Vec::new();
    for row in 0..window.kernel[0] {
        let rows = axis(row, window.stride[0], summary.output.height)?;
        let lines = x.index_select(&rows, 2)?;
        for column in 0..window.kernel[1] {
            let columns = axis(column, window.stride[1], summary.output.width)?;
            taps.push(lines.index_select(&columns, 3)?);
        }
    }
    Ok(taps)
}

/// Mean softmax cross-entropy of logits (samples × classes) against classes (samples × 1).
pub(super) fn cross_entropy(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(1)?.detach())?;
    let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
    Ok(log_sum.sub(&shifted.gather(classes, 1)?)?.mean_all()?)
}
