//! The shape of every value, from the shapes of the inputs.

use crate::import::axes::{axis, broadcast};
use crate::import::graph::{Graph, Node};
use crate::import::operation::{Border, Convolution, Extent, Operation, Reach, WeightOrder};
use crate::import::window::span;

/// The shapes that a node writes; none where they do not follow.
pub fn shapes(graph: &Graph, node: &Node) -> Option<Vec<Vec<usize>>> {
    let input = |position| graph.shape(node.input(position));
    let one = |shape: Vec<usize>| Some(vec![shape]);
    match &node.operation {
        Operation::Convolution(convolution) => one(convolved(convolution, input(0)?, input(1)?)?),
        Operation::TransposedConvolution { .. } => {
            let shape = input(0)?;
            let upward = upward(graph, node)?;
            let Operation::TransposedConvolution { window, .. } = &node.operation else {
                return None;
            };
            let mut result = shape.to_vec();
            let channels = if window.channels_last { shape.len() - 1 } else { 1 };
            result[channels] = upward.outputs;
            let spatial = spatial_axes(shape, window.channels_last);
            for (axis, along) in spatial.zip(&upward.axes) {
                result[axis] = along.output;
            }
            one(result)
        }
        Operation::FullyConnected { outputs_first, .. } => {
            let (data, weights) = (input(0)?, input(1)?);
            let [first, second] = *weights else { return None };
            let (outputs, inputs) = if *outputs_first { (first, second) } else { (second, first) };
            let (&last, before) = data.split_last()?;
            if last == inputs {
                return one([before, &[outputs]].concat());
            }
            // TensorFlow flattens what does not fit.
            let elements: usize = data.iter().product();
            one(vec![elements.checked_div(inputs)?, outputs])
        }
        Operation::Recurrent(sequence) => {
            let [first, second, _] = *input(0)? else { return None };
            let (ways, hidden) = (sequence.directions.len(), sequence.hidden);
            let (all, last) = match sequence.batch_first {
                true => (vec![first, second, ways, hidden], vec![first, ways, hidden]),
                false => (vec![first, ways, second, hidden], vec![ways, second, hidden]),
            };
            let shapes = [all, last.clone(), last];
            Some(shapes.into_iter().take(node.outputs.len()).collect())
        }
        Operation::Pool(pool) => {
            let shape = input(0)?;
            let spatial = spatial_axes(shape, pool.channels_last);
            let mut result = shape.to_vec();
            for (position, axis) in spatial.clone().enumerate() {
                let window = [*pool.kernel.get(position)?, *pool.stride.get(position)?, 1];
                let place = [position, spatial.len()];
                let span = span(&pool.border, place, shape[axis], window, pool.round_up)?;
                result[axis] = span.output;
            }
            one(result)
        }
        Operation::Reduce { keep, .. } => {
            let shape = input(0)?;
            let reduced = reduced(graph, node)?;
            let sizes = shape.iter().enumerate().filter_map(|(axis, &size)| {
                match (reduced.contains(&axis), keep) {
                    (true, true) => Some(1),
                    (true, false) => None,
                    (false, _) => Some(size),
                }
            });
            one(sizes.collect())
        }
        Operation::GlobalAverage | Operation::GlobalMaximum => {
            let shape = input(0)?;
            let sizes = shape.iter().enumerate();
            one(sizes.map(|(axis, &size)| if axis < 2 { size } else { 1 }).collect())
        }
        Operation::DepthToSpace { block, channels_last, .. } => {
            let mut shape = input(0)?.to_vec();
            let (channels, rows) = if *channels_last { (3, 1) } else { (1, 2) };
            let whole = shape.len() == 4 && shape[channels].is_multiple_of(block * block);
            if !whole {
                return None;
            }
            shape[channels] /= block * block;
            shape[rows] = shape[rows].checked_mul(*block)?;
            shape[rows + 1] = shape[rows + 1].checked_mul(*block)?;
            one(shape)
        }
        Operation::SpaceToDepth { block, channels_last } => {
            let mut shape = input(0)?.to_vec();
            let (channels, rows) = if *channels_last { (3, 1) } else { (1, 2) };
            let whole = shape.len() == 4
                && shape[rows].is_multiple_of(*block)
                && shape[rows + 1].is_multiple_of(*block);
            if !whole {
                return None;
            }
            shape[channels] = shape[channels].checked_mul(block * block)?;
            shape[rows] /= block;
            shape[rows + 1] /= block;
            one(shape)
        }
        Operation::Binary(_) => one(broadcast(input(0)?, input(1)?)?),
        Operation::BatchNorm { .. }
        | Operation::Unary(_)
        | Operation::Clip { .. }
        | Operation::ParametricRelu
        | Operation::Softmax { .. }
        | Operation::Identity
        | Operation::Cast { .. }
        | Operation::Quantize { .. }
        | Operation::Dequantize { .. } => {
            let shape = input(0)?.to_vec();
            // A second output of an operator that is dropped, as a mask, is never read.
            Some(vec![shape; node.outputs.len()])
        }
        Operation::Reshape { .. }
        | Operation::Flatten { .. }
        | Operation::Squeeze { .. }
        | Operation::Unsqueeze { .. } => one(reshaped(graph, node)?),
        Operation::Transpose { .. } => {
            let shape = input(0)?;
            one(order(graph, node)?.iter().map(|&axis| shape[axis]).collect())
        }
        Operation::Concatenate { axis: along } => {
            let mut result = input(0)?.to_vec();
            let along = axis(*along, result.len())?;
            for position in 1..node.inputs.len() {
                let shape = input(position)?;
                let fits = shape.len() == result.len()
                    && (0..shape.len()).all(|axis| axis == along || shape[axis] == result[axis]);
                if !fits {
                    return None;
                }
                result[along] = result[along].checked_add(shape[along])?;
            }
            one(result)
        }
        Operation::Split { axis: along, .. } => {
            let shape = input(0)?;
            let along = axis(*along, shape.len())?;
            let parts = parts(graph, node)?;
            let part = |&size: &usize| {
                let mut shape = shape.to_vec();
                shape[along] = size;
                shape
            };
            Some(parts.iter().map(part).collect())
        }
        Operation::Slice { .. } | Operation::SliceBySize | Operation::StridedSlice { .. } => {
            one(cut(graph, node)?.result())
        }
        Operation::Gather { axis: along } => {
            let (data, indexes) = (input(0)?, input(1)?);
            let along = axis(*along, data.len())?;
            one([&data[..along], indexes, &data[along + 1..]].concat())
        }
        Operation::Pad { .. } => {
            let shape = input(0)?;
            let amounts = padding(graph, node)?;
            let sizes = shape.iter().zip(&amounts);
            one(sizes.map(|(size, [before, after])| size + before + after).collect())
        }
        Operation::Resize { .. } => one(resized(graph, node)?),
        Operation::Expand => {
            let wanted = graph.integers(node.input(1))?;
            let wanted: Option<Vec<usize>> =
                wanted.iter().map(|&size| size.try_into().ok()).collect();
            one(broadcast(input(0)?, &wanted?)?)
        }
        Operation::Tile => {
            let times = graph.integers(node.input(1))?;
            let sizes = input(0)?.iter().zip(times);
            let sizes: Option<Vec<usize>> =
                sizes.map(|(size, &times)| size.checked_mul(times.try_into().ok()?)).collect();
            one(sizes?)
        }
        Operation::Shape => one(vec![input(0)?.len()]),
        Operation::Fill { .. }
        | Operation::Pack { .. }
        | Operation::ArgMax
        | Operation::Unknown { .. } => None,
    }
}

/// Axes of rows and columns.
pub fn spatial_axes(shape: &[usize], channels_last: bool) -> std::ops::Range<usize> {
    if channels_last { 1..shape.len().max(2) - 1 } else { 2..shape.len().max(2) }
}

/// Kernel sizes and output channels by the weights' shape.
pub fn kernel(order: WeightOrder, weights: &[usize]) -> Option<(Vec<usize>, usize)> {
    let (&first, rest) = weights.split_first()?;
    match order {
        WeightOrder::OutputInputRowColumn => Some((rest.get(1..)?.to_vec(), first)),
        WeightOrder::InputOutputRowColumn => Some((rest.get(1..)?.to_vec(), *rest.first()?)),
        WeightOrder::OutputRowColumnInput => Some((rest.split_last()?.1.to_vec(), first)),
        WeightOrder::RowColumnOutput => {
            let (&last, kernel) = rest.split_last()?;
            Some((kernel.to_vec(), last))
        }
    }
}

fn convolved(window: &Convolution, shape: &[usize], weights: &[usize]) -> Option<Vec<usize>> {
    let (kernel, outputs) = kernel(window.weights, weights)?;
    let spatial = spatial_axes(shape, window.channels_last);
    if kernel.len() != spatial.len() {
        return None;
    }
    let mut result = shape.to_vec();
    let channels = if window.channels_last { shape.len() - 1 } else { 1 };
    result[channels] = outputs;
    for (position, axis) in spatial.clone().enumerate() {
        let numbers =
            [kernel[position], *window.stride.get(position)?, *window.dilation.get(position)?];
        let place = [position, spatial.len()];
        result[axis] = span(&window.border, place, shape[axis], numbers, false)?.output;
    }
    Some(result)
}

/// A transposed convolution along one axis.
#[derive(Clone, Copy, Debug)]
pub struct UpwardAxis {
    /// Taps, without dilation.
    pub kernel: usize,
    /// From one input pixel's kernel to the next one's.
    pub stride: usize,
    /// Distance of taps.
    pub dilation: usize,
    /// What is cut off before the output.
    pub before: usize,
    /// Size of the output.
    pub output: usize,
}

/// The numbers of a transposed convolution.
#[derive(Clone, Debug)]
pub struct Upward {
    /// Rows and columns; one for a series.
    pub axes: Vec<UpwardAxis>,
    /// Output channels.
    pub outputs: usize,
    /// Groups of channels.
    pub groups: usize,
}

/// The numbers of a transposed convolution, as both formats count them.
pub fn upward(graph: &Graph, node: &Node) -> Option<Upward> {
    let Operation::TransposedConvolution { window, reach } = &node.operation else { return None };
    let (shape, weights) = (graph.shape(node.input(0))?, graph.shape(node.input(1))?);
    let (kernel, per_group) = kernel(window.weights, weights)?;
    let spatial = spatial_axes(shape, window.channels_last);
    let (count, groups) = (spatial.len(), window.groups.max(1));
    if kernel.len() != count {
        return None;
    }
    let stated: Option<Vec<usize>> = match reach {
        Reach::Padded(_) => None,
        Reach::Stated(sizes) => Some(sizes.clone()),
        Reach::Input => {
            let sizes = graph.integers(node.input(3))?;
            let sizes: Vec<usize> =
                sizes.iter().map(|&size| size.try_into().ok()).collect::<Option<_>>()?;
            Some(sizes.get(1..sizes.len().checked_sub(1)?)?.to_vec())
        }
    };
    let axis = |position: usize| {
        let size = shape[spatial.start + position];
        let (stride, dilation) = (*window.stride.get(position)?, *window.dilation.get(position)?);
        let more = match reach {
            Reach::Padded(padded) => padded.get(position).copied().unwrap_or(0),
            Reach::Stated(_) | Reach::Input => 0,
        };
        let steps = size.checked_sub(1)?.checked_mul(stride)?;
        let span = kernel[position].checked_sub(1)?.checked_mul(dilation)?.checked_add(1)?;
        let whole = steps.checked_add(span)?.checked_add(more)?;
        let (before, output) = match (&window.border, &stated) {
            (Border::Amounts(amounts), None) => {
                let amount = |index: usize| amounts.get(index).copied().unwrap_or(0);
                let cut = amount(position) + amount(count + position);
                (amount(position), whole.checked_sub(cut)?)
            }
            (border, stated) => {
                let output = match stated {
                    Some(sizes) => *sizes.get(position)?,
                    None => size.checked_mul(stride)?,
                };
                // TensorFlow's valid windows cut off nothing.
                let valid = *reach == Reach::Input && matches!(border, Border::Amounts(_));
                let cut = if valid { 0 } else { whole.saturating_sub(output) };
                let larger_before =
                    matches!(border, Border::Same { larger_before: true } | Border::Amounts(_));
                (if larger_before { cut.div_ceil(2) } else { cut / 2 }, output)
            }
        };
        let found = UpwardAxis { kernel: kernel[position], stride, dilation, before, output };
        (stride > 0 && dilation > 0 && (1..1 << 16).contains(&output)).then_some(found)
    };
    let axes = (0..count).map(axis).collect::<Option<_>>()?;
    Some(Upward { axes, outputs: per_group.checked_mul(groups)?, groups })
}

/// The shape behind an operation that keeps the numbers in their order.
pub fn reshaped(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    let shape = graph.shape(node.input(0))?;
    let elements: usize = shape.iter().product();
    let listed = |axes: &Option<Vec<i64>>| {
        axes.clone().or_else(|| graph.integers(node.input(1)).map(<[i64]>::to_vec))
    };
    match &node.operation {
        Operation::Reshape { shape: stated, zero_is_zero } => {
            let wanted = match graph.integers(node.input(1)) {
                Some(wanted) => wanted.to_vec(),
                None => stated.clone()?,
            };
            let mut result = Vec::with_capacity(wanted.len());
            for (axis, &size) in wanted.iter().enumerate() {
                result.push(match size {
                    0 if !zero_is_zero => *shape.get(axis)?,
                    -1 => 0,
                    size => usize::try_from(size).ok()?,
                });
            }
            if let Some(open) = wanted.iter().position(|&size| size == -1) {
                let known: usize = result
                    .iter()
                    .enumerate()
                    .filter(|(axis, _)| *axis != open)
                    .try_fold(1usize, |product, (_, &size)| product.checked_mul(size))?;
                result[open] = elements.checked_div(known)?;
            }
            let count = result.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
            (count == elements).then_some(result)
        }
        Operation::Flatten { axis: from } => {
            let rank = shape.len() as i64;
            let from = if *from < 0 { from + rank } else { *from };
            let from = usize::try_from(from).ok().filter(|&from| from <= shape.len())?;
            Some(vec![shape[..from].iter().product(), shape[from..].iter().product()])
        }
        Operation::Squeeze { axes } => {
            let gone: Vec<usize> = match listed(axes) {
                Some(axes) if !axes.is_empty() => {
                    axes.iter().map(|&one| axis(one, shape.len())).collect::<Option<_>>()?
                }
                _ => (0..shape.len()).filter(|&axis| shape[axis] == 1).collect(),
            };
            if gone.iter().any(|&axis| shape[axis] != 1) {
                return None;
            }
            let kept = (0..shape.len()).filter(|axis| !gone.contains(axis));
            Some(kept.map(|axis| shape[axis]).collect())
        }
        Operation::Unsqueeze { axes } => {
            let axes = listed(axes)?;
            let rank = shape.len().checked_add(axes.len()).filter(|&rank| rank <= 8)?;
            let new: Vec<usize> = axes.iter().map(|&one| axis(one, rank)).collect::<Option<_>>()?;
            let mut old = shape.iter();
            (0..rank)
                .map(|axis| if new.contains(&axis) { Some(1) } else { old.next().copied() })
                .collect()
        }
        _ => None,
    }
}

/// Where each axis of a transposed value comes from.
pub fn order(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    let rank = graph.shape(node.input(0))?.len();
    let Operation::Transpose { order } = &node.operation else { return None };
    let order: Vec<usize> = match order.as_deref().or(graph.integers(node.input(1))) {
        Some(order) => order.iter().map(|&one| axis(one, rank)).collect::<Option<_>>()?,
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    sorted.iter().copied().eq(0..rank).then_some(order)
}

/// The axes that a mean goes over.
pub fn reduced(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    let rank = graph.shape(node.input(0))?.len();
    let Operation::Reduce { axes, .. } = &node.operation else { return None };
    let axes = match (axes, node.input(1)) {
        (Some(axes), _) => axes.clone(),
        (None, Some(input)) => graph.integers(Some(input))?.to_vec(),
        (None, None) => (0..rank as i64).collect(),
    };
    axes.iter().map(|&one| axis(one, rank)).collect()
}

/// The sizes of the parts of a split.
pub fn parts(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    let Operation::Split { axis: along, sizes } = &node.operation else { return None };
    let shape = graph.shape(node.input(0))?;
    let whole = shape[axis(*along, shape.len())?];
    let stated = match (sizes, node.input(1)) {
        (Some(sizes), _) => Some(sizes.as_slice()),
        (None, Some(input)) => Some(graph.integers(Some(input))?),
        (None, None) => None,
    };
    let count = node.outputs.len();
    let parts: Vec<usize> = match stated {
        Some(sizes) => {
            sizes.iter().map(|&size| usize::try_from(size).ok()).collect::<Option<_>>()?
        }
        None => {
            let size = whole.div_ceil(count.max(1));
            (0..count).map(|part| size.min(whole.saturating_sub(part * size))).collect()
        }
    };
    (parts.len() == count && parts.iter().sum::<usize>() == whole).then_some(parts)
}

/// What is left of one axis: positions `first`, `first + step`, …
#[derive(Clone, Copy, Debug)]
pub struct CutAxis {
    /// The first position.
    pub first: usize,
    /// From one to the next; may be negative.
    pub step: i64,
    /// How many.
    pub count: usize,
    /// Whether the axis goes.
    pub gone: bool,
}

impl CutAxis {
    /// The position of an entry.
    pub fn at(&self, index: usize) -> usize {
        (self.first as i64 + index as i64 * self.step) as usize
    }
}

/// What is left of each axis.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Axis by axis.
    pub axes: Vec<CutAxis>,
}

impl Cut {
    /// The sizes, axes that go included.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.count).collect()
    }

    /// The sizes of the result.
    pub fn result(&self) -> Vec<usize> {
        self.axes.iter().filter(|axis| !axis.gone).map(|axis| axis.count).collect()
    }
}

/// What a slice leaves.
pub fn cut(graph: &Graph, node: &Node) -> Option<Cut> {
    let shape = graph.shape(node.input(0))?;
    let mut axes: Vec<CutAxis> =
        shape.iter().map(|&count| CutAxis { first: 0, step: 1, count, gone: false }).collect();
    let list = |position: usize| graph.integers(node.input(position));
    match &node.operation {
        Operation::Slice { ranges } => {
            let (starts, ends, named) = match ranges {
                Some([starts, ends, axes]) => (starts.clone(), ends.clone(), axes.clone()),
                None => {
                    let starts = list(1)?.to_vec();
                    let all = (0..starts.len() as i64).collect();
                    let axes = match node.input(3) {
                        Some(_) => list(3)?.to_vec(),
                        None => all,
                    };
                    (starts, list(2)?.to_vec(), axes)
                }
            };
            let steps = match node.input(4) {
                Some(_) => list(4)?.to_vec(),
                None => vec![1; starts.len()],
            };
            for (position, &named) in named.iter().enumerate() {
                let axis = axis(named, shape.len())?;
                let range = [*starts.get(position)?, *ends.get(position)?, *steps.get(position)?];
                axes[axis] = cut_axis(shape[axis], range)?;
            }
        }
        Operation::SliceBySize => {
            let (firsts, sizes) = (list(1)?, list(2)?);
            for (axis, cut) in axes.iter_mut().enumerate() {
                let first = *firsts.get(axis)?;
                let size = *sizes.get(axis)?;
                let end = if size < 0 { shape[axis] as i64 } else { first.checked_add(size)? };
                *cut = cut_axis(shape[axis], [first, end, 1])?;
            }
        }
        Operation::StridedSlice { masks: [begin, end, gone] } => {
            let (begins, ends, steps) = (list(1)?, list(2)?, list(3)?);
            for position in 0..begins.len().min(axes.len()) {
                let bit = |mask: &u32| mask >> position & 1 == 1;
                let step = *steps.get(position)?;
                let size = shape[position];
                let first = *begins.get(position)?;
                if bit(gone) {
                    let first = axis(first, size)?;
                    axes[position] = CutAxis { first, step: 1, count: 1, gone: true };
                    continue;
                }
                let whole = if step < 0 { [size as i64 - 1, i64::MIN] } else { [0, i64::MAX] };
                let first = if bit(begin) { whole[0] } else { first };
                let last = if bit(end) { whole[1] } else { *ends.get(position)? };
                axes[position] = cut_axis(size, [first, last, step])?;
            }
        }
        _ => return None,
    }
    Some(Cut { axes })
}

fn cut_axis(size: usize, [start, end, step]: [i64; 3]) -> Option<CutAxis> {
    let size = size as i64;
    if step == 0 || step == i64::MIN {
        return None;
    }
    let counted =
        |position: i64| if position < 0 { position.saturating_add(size) } else { position };
    let (first, count) = if step > 0 {
        let (first, end) = (counted(start).clamp(0, size), counted(end).clamp(0, size));
        (first, (end - first).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
    } else {
        let first = counted(start).clamp(-1, size - 1);
        let end = counted(end).clamp(-1, size - 1);
        (first, (first - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()))
    };
    let first = usize::try_from(first).ok()?;
    (count > 0).then_some(CutAxis { first, step, count: count as usize, gone: false })
}

/// What is added before and behind each axis.
pub fn padding(graph: &Graph, node: &Node) -> Option<Vec<[usize; 2]>> {
    let Operation::Pad { amounts, paired, .. } = &node.operation else { return None };
    let rank = graph.shape(node.input(0))?.len();
    let amounts = match (amounts, node.input(1)) {
        (Some(amounts), _) => amounts.clone(),
        (None, input) => graph.integers(input)?.to_vec(),
    };
    // Newer files may name the axes.
    let axes: Vec<usize> = match node.input(3) {
        Some(axes) => {
            let axes = graph.integers(Some(axes))?;
            axes.iter().map(|&one| axis(one, rank)).collect::<Option<_>>()?
        }
        None => (0..rank).collect(),
    };
    let mut padding = vec![[0, 0]; rank];
    for (position, &axis) in axes.iter().enumerate() {
        let places = match paired {
            true => [2 * position, 2 * position + 1],
            false => [position, axes.len() + position],
        };
        for (amount, place) in padding[axis].iter_mut().zip(places) {
            *amount = usize::try_from(*amounts.get(place)?).ok().filter(|&size| size < 1 << 16)?;
        }
    }
    Some(padding)
}

/// The shape of a resized image.
fn resized(graph: &Graph, node: &Node) -> Option<Vec<usize>> {
    let Operation::Resize { extent, .. } = &node.operation else { return None };
    let shape = graph.shape(node.input(0))?;
    let larger = |factors: &[f64]| -> Option<Vec<usize>> {
        let sizes = shape.iter().zip(factors).map(|(&size, factor)| {
            let size = (size as f64 * factor).floor();
            (1.0..65_536.0).contains(&size).then_some(size as usize)
        });
        if factors.len() == shape.len() { sizes.collect() } else { None }
    };
    match extent {
        Extent::Factors(factors) => larger(factors),
        Extent::Image => {
            let [height, width] = *graph.integers(node.input(1))? else { return None };
            let [batch, .., channels] = *shape else { return None };
            Some(vec![batch, height.try_into().ok()?, width.try_into().ok()?, channels])
        }
        Extent::Inputs { factors, sizes } => {
            if let Some(sizes) =
                graph.integers(node.input(*sizes)).filter(|sizes| !sizes.is_empty())
            {
                return sizes.iter().map(|&size| size.try_into().ok()).collect();
            }
            larger(&graph.reals(node.input(*factors))?)
        }
    }
}

/// Whether a resized image has the size that its factors give without rounding, so that positions follow from the sizes.
pub fn is_whole_resize(graph: &Graph, node: &Node) -> bool {
    let Operation::Resize { extent, .. } = &node.operation else { return false };
    let factors = match extent {
        Extent::Factors(factors) => Some(factors.clone()),
        Extent::Image => None,
        Extent::Inputs { factors, sizes } => match graph.integers(node.input(*sizes)) {
            Some(sizes) if !sizes.is_empty() => None,
            _ => graph.reals(node.input(*factors)),
        },
    };
    let shape = graph.shape(node.input(0)).unwrap_or_default();
    let exact = |(&size, factor): (&usize, &f64)| {
        let wanted = size as f64 * factor;
        (wanted - wanted.floor()).abs() < 1e-4
    };
    factors.is_none_or(|factors| shape.iter().zip(&factors).all(exact))
}
