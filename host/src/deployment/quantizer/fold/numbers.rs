//! The description's numbers in the form that folded layers hold: shapes and windows in the format's sizes, weights in its order.

use super::super::lower::Geometry;
use super::super::weights::WeightMatrix;
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::network::{Node, Padding, Window};
use crate::graph::weights::NodeParameters;
use tinyhero_common::shape::Shape;

/// A shape in the format's numbers.
pub fn shape(place: &str, shape: SampleShape) -> Result<Shape> {
    let size = |size: usize| {
        u16::try_from(size).map_err(|_| {
            Error::bad_input(
                format_args!("layer '{place}'"),
                format_args!("shape {shape} has a size above 65535"),
                "make the layer or its input smaller",
            )
        })
    };
    Ok(Shape {
        height: size(shape.height)?,
        width: size(shape.width)?,
        channels: size(shape.channels)?,
    })
}

/// Gain and shift per channel: `γ / √(variance + ε)` and `β − mean · gain`.
pub fn batch_norm(parameters: &NodeParameters, epsilon: f64) -> (Vec<f64>, Vec<f64>) {
    let NodeParameters::BatchNorm { gamma, beta, mean, variance } = parameters else {
        return (Vec::new(), Vec::new());
    };
    let gain: Vec<f64> = gamma
        .iter()
        .zip(variance)
        .map(|(&gamma, &variance)| f64::from(gamma) / (f64::from(variance) + epsilon).sqrt())
        .collect();
    let shift = beta.iter().zip(mean).zip(&gain);
    let shift = shift.map(|((&beta, &mean), gain)| f64::from(beta) - f64::from(mean) * gain);
    let shift = shift.collect();
    (gain, shift)
}

/// The weights of a layer, one row an output channel. Those of a convolution turn from `[out, in, row, column]` to
/// `[out, row, column, in]`.
pub fn matrix(parameters: &NodeParameters, convolution: bool) -> WeightMatrix {
    let NodeParameters::Layer { weight, shape, bias } = parameters else {
        return WeightMatrix { row_length: 1, values: Vec::new(), bias: Vec::new() };
    };
    let rows = shape.first().copied().unwrap_or(0);
    let row_length = weight.len() / rows.max(1);
    let depth = if convolution { shape.get(1).copied().unwrap_or(1) } else { 1 };
    let taps = row_length / depth.max(1);
    let mut values = Vec::with_capacity(weight.len());
    for row in weight.chunks_exact(row_length.max(1)) {
        for tap in 0..taps {
            values.extend((0..depth).map(|channel| f64::from(row[channel * taps + tap])));
        }
    }
    let bias = match bias {
        Some(bias) => bias.iter().map(|&bias| f64::from(bias)).collect(),
        None => vec![0.0; rows],
    };
    WeightMatrix { row_length, values, bias }
}

/// Weights of that shape, turned back from the order of [`matrix`].
pub fn unfolded(values: &[f32], shape: &[usize], convolution: bool) -> Vec<f32> {
    let rows = shape.first().copied().unwrap_or(0);
    let row_length = values.len() / rows.max(1);
    let depth = if convolution { shape.get(1).copied().unwrap_or(1) } else { 1 };
    let taps = row_length / depth.max(1);
    let mut weights = Vec::with_capacity(values.len());
    for row in values.chunks_exact(row_length.max(1)) {
        for channel in 0..depth {
            weights.extend((0..taps).map(|tap| row[tap * depth + channel]));
        }
    }
    weights
}

/// A window in the format's numbers.
pub fn geometry(
    node: &Node,
    input: Shape,
    output: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Result<Geometry> {
    let over = [usize::from(input.height), usize::from(input.width)];
    let place = || format!("layer '{}'", node.name);
    let window = Window::over(over, kernel, stride, padding).ok_or_else(|| {
        Error::bad_input(place(), "its window does not fit its input", "change the layer")
    })?;
    let byte = |size: usize| {
        u8::try_from(size).map_err(|_| {
            Error::bad_input(
                place(),
                format_args!("a window, stride or padding of {size} is above 255"),
                "use a smaller window or input",
            )
        })
    };
    let window = tinyhero_common::shape::Window {
        kernel_height: byte(window.kernel[0])?,
        kernel_width: byte(window.kernel[1])?,
        stride_height: byte(window.stride[0])?,
        stride_width: byte(window.stride[1])?,
        padding_top: byte(window.padding.top)?,
        padding_left: byte(window.padding.left)?,
    };
    Ok(Geometry { window, input, output })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_come_back_from_the_order_of_the_matrix() {
        for (shape, convolution) in [(vec![3, 4, 2, 3], true), (vec![5, 7], false)] {
            let count: usize = shape.iter().product();
            let weight: Vec<f32> = (0..count).map(|at| at as f32).collect();
            let layer =
                NodeParameters::Layer { weight: weight.clone(), shape: shape.clone(), bias: None };
            let matrix = matrix(&layer, convolution);
            let values: Vec<f32> = matrix.values.iter().map(|&value| value as f32).collect();
            assert_eq!(unfolded(&values, &shape, convolution), weight);
        }
    }
}
