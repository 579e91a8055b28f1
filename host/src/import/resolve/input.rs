//! How the input lies in memory: as the first layer that looks at rows and columns wants it.

use super::{Refusal, Step, grid, integers, refuse};
use crate::data::SampleShape;
use crate::import::graph::{Graph, ValueId};
use crate::import::layer::Input;
use crate::import::operation::Operation;
use crate::import::passes::shapes;
use crate::import::view::{Steps, View, merged};

/// The view of an input, the tensor of this number, and what is to be known of it.
pub fn input(
    graph: &Graph,
    id: ValueId,
    tensor: usize,
    channels_last: bool,
) -> Step<(View, Input)> {
    let value = &graph.values[id];
    let unknown = || -> Refusal {
        ("has a shape that is not known".to_string(), super::SHAPES_ADVICE.to_string())
    };
    let shape = value.shape.as_deref().ok_or_else(unknown)?;
    if shape.is_empty() || shape.len() > 4 || shape[0] != 1 {
        return refuse(
            format!("has the shape {shape:?}"),
            "export with a batch of 1, and 1 to 3 axes behind it",
        );
    }
    if shape.iter().any(|&size| size == 0 || size > usize::from(u16::MAX)) {
        return refuse(format!("has the shape {shape:?}"), "use sizes from 1 to 65535");
    }
    let (sample, view) = match wanted(graph, id, shape) {
        Some(found) => found,
        None => {
            let sample = match (shape, channels_last) {
                ([_, channels, height, width], false) | ([_, height, width, channels], true) => {
                    SampleShape::new(*height, *width, *channels)
                }
                ([_, channels, width], false) | ([_, width, channels], true) => {
                    SampleShape::new(1, *width, *channels)
                }
                _ => SampleShape::new(1, 1, shape.iter().product()),
            };
            (sample, View::image(0, sample, shape.len(), channels_last))
        }
    };
    let input = Input {
        name: super::short(&value.name),
        shape: sample,
        places: view.places(),
        quantization: grid(graph, id)?,
        integers: integers(value.element),
    };
    Ok((View { tensor, ..view }, input))
}

/// The shape and view that the first convolution or pooling behind the input asks for.
fn wanted(graph: &Graph, id: ValueId, shape: &[usize]) -> Option<(SampleShape, View)> {
    // Views over the input as the user gives it.
    let mut views: Vec<Option<View>> = vec![None; graph.values.len()];
    views[id] = Some(View::contiguous(0, shape));
    for node in &graph.nodes {
        let mut varying = node.inputs.iter().flatten();
        let Some(&source) = varying.find(|&&input| views[input].is_some()) else { continue };
        let view = views[source].clone()?;
        let next = match &node.operation {
            Operation::Convolution(window) | Operation::TransposedConvolution { window, .. } => {
                return arranged(&view, window.channels_last, shape);
            }
            Operation::Pool(pool) => return arranged(&view, pool.channels_last, shape),
            Operation::Recurrent(sequence) => {
                let series = match (sequence.batch_first, view.axes.len()) {
                    (true, _) => view,
                    (false, 3) => view.transposed(&[1, 0, 2]),
                    (false, _) => return None,
                };
                return arranged(&series, true, shape);
            }
            Operation::Resize { channels_last, .. } => {
                return arranged(&view, *channels_last, shape);
            }
            Operation::GlobalAverage | Operation::GlobalMaximum => {
                return arranged(&view, false, shape);
            }
            Operation::DepthToSpace { channels_last, .. }
            | Operation::SpaceToDepth { channels_last, .. } => {
                return arranged(&view, *channels_last, shape);
            }
            Operation::Reshape { .. }
            | Operation::Flatten { .. }
            | Operation::Squeeze { .. }
            | Operation::Unsqueeze { .. } => view.reshaped(&shapes::reshaped(graph, node)?),
            Operation::Transpose { .. } => Some(view.transposed(&shapes::order(graph, node)?)),
            Operation::Identity
            | Operation::Cast { .. }
            | Operation::Unary(_)
            | Operation::Clip { .. }
            | Operation::ParametricRelu
            | Operation::Pad { .. }
            | Operation::BatchNorm { .. }
            | Operation::Binary(_) => Some(view),
            _ => None,
        };
        if let Some(&output) = node.outputs.first() {
            views[output] = next.filter(|next| {
                graph.shape(Some(output)).is_none_or(|shape| shape.len() == next.axes.len())
            });
        }
    }
    None
}

/// The input arranged such that this view of it is an image in the order of memory.
fn arranged(view: &View, channels_last: bool, shape: &[usize]) -> Option<(SampleShape, View)> {
    let rank = view.axes.len();
    if !(3..=4).contains(&rank) || view.offset != 0 {
        return None;
    }
    let order: Vec<usize> = match channels_last {
        true => (1..rank).collect(),
        false => (2..rank).chain([1]).collect(),
    };
    let sizes = view.shape();
    let size = |position: usize| order.get(position).map_or(1, |&axis| sizes[axis]);
    let sample = match rank {
        3 => SampleShape::new(1, size(0), size(1)),
        _ => SampleShape::new(size(0), size(1), size(2)),
    };
    let steps: Vec<Steps> = order.iter().flat_map(|&axis| merged(&view.axes[axis])).collect();
    let mut stride = 1;
    // Steps through the user's order, each with its stride in memory.
    let mut pairs: Vec<(isize, Steps)> = Vec::new();
    for steps in steps.iter().rev() {
        pairs.push((steps.stride, Steps { size: steps.size, stride }));
        stride *= steps.size as isize;
    }
    pairs.sort_by_key(|(given, _)| std::cmp::Reverse(*given));
    let axis = pairs.iter().map(|(_, steps)| *steps).collect();
    let flat = View { tensor: 0, offset: 0, axes: vec![axis] };
    Some((sample, flat.reshaped(shape)?))
}
