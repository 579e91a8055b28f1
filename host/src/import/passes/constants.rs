//! What does not depend on the input is computed: sizes, indexes, weights turned around.

use candle_core::cpu::erf::erf_f64;

use crate::graph::function::Function;
use crate::import::axes::{axis, broadcast};
use crate::import::graph::{Constant, Graph, Node, Quantization, Value};
use crate::import::operation::{Binary, Operation, Unary};

/// Most numbers of a computed constant, and of what a node gives.
const MOST_NUMBERS: usize = 1 << 22;

/// Numbers with their shape.
#[derive(Clone, Debug)]
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f64>,
    integer: bool,
}

impl Numbers {
    fn vector(values: Vec<f64>, integer: bool) -> Self {
        Self { shape: vec![values.len()], values, integer }
    }

    /// The values at places that a function gives for each index of a shape.
    fn picked(&self, shape: Vec<usize>, place: impl Fn(&[usize]) -> Option<usize>) -> Option<Self> {
        let count = count(&shape)?;
        let mut index = vec![0; shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(*self.values.get(place(&index)?)?);
            advance(&mut index, &shape);
        }
        Some(Self { shape, values, integer: self.integer })
    }
}

/// The next index in the order of memory.
pub fn advance(index: &mut [usize], shape: &[usize]) {
    for (index, &size) in index.iter_mut().zip(shape).rev() {
        *index += 1;
        if *index < size {
            return;
        }
        *index = 0;
    }
}

/// The number of values of a shape that is not too large.
pub fn count(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size))?;
    (count <= MOST_NUMBERS).then_some(count)
}

/// The place of an index in memory, where sizes of 1 are repeated and leading sizes may be missing.
fn broadcast_place(index: &[usize], shape: &[usize]) -> usize {
    let skipped = index.len() - shape.len();
    let pairs = index[skipped..].iter().zip(shape);
    pairs.fold(0, |place, (&index, &size)| place * size + if size == 1 { 0 } else { index })
}

/// The result of a node whose inputs are constant, or that asks only for a shape.
///
/// Returns whether there is one.
pub fn fold(graph: &mut Graph, node: &Node) -> bool {
    let [output] = node.outputs[..] else { return false };
    if let Some(kept) = fold_quantized(graph, node) {
        let name = std::mem::take(&mut graph.values[output].name);
        graph.values[output] = Value { name, ..kept };
        return true;
    }
    let Some(result) = compute(graph, node) else { return false };
    let constant = match result.integer {
        true => Constant::Integers(result.values.iter().map(|&value| value as i64).collect()),
        false => Constant::Floats(result.values.iter().map(|&value| value as f32).collect()),
    };
    let value = &mut graph.values[output];
    value.shape = Some(result.shape);
    value.constant = Some(constant);
    true
}

/// Quantized weights that are only put into another shape or order stay quantized.
fn fold_quantized(graph: &Graph, node: &Node) -> Option<Value> {
    let input = node.input(0)?;
    let value = &graph.values[input];
    let quantization = value.quantization.as_ref()?;
    let shape = value.shape.as_deref()?;
    let numbers = || {
        Some(Numbers {
            shape: shape.to_vec(),
            values: value.constant.as_ref()?.numbers(),
            integer: true,
        })
    };
    let single = quantization.scales.len() == 1;
    let (result, axis) = match &node.operation {
        Operation::Identity => (numbers()?, quantization.axis),
        Operation::Transpose { .. } => {
            let order = super::shapes::order(graph, node)?;
            let axis = order.iter().position(|&axis| axis == quantization.axis)?;
            (transpose(&numbers()?, &order)?, axis)
        }
        _ if single => {
            let shape = super::shapes::reshaped(graph, node)?;
            (Numbers { shape, ..numbers()? }, 0)
        }
        _ => return None,
    };
    Some(Value {
        name: String::new(),
        element: value.element,
        shape: Some(result.shape),
        constant: Some(Constant::Integers(result.values.iter().map(|&v| v as i64).collect())),
        quantization: Some(Quantization { axis, ..quantization.clone() }),
    })
}

fn numbers(graph: &Graph, node: &Node, position: usize) -> Option<Numbers> {
    let id = node.input(position)?;
    let value = &graph.values[id];
    let integer =
        matches!(value.constant, Some(Constant::Integers(_))) && value.quantization.is_none();
    Some(Numbers { shape: value.shape.clone()?, values: graph.reals(Some(id))?, integer })
}

fn compute(graph: &Graph, node: &Node) -> Option<Numbers> {
    let input = |position| numbers(graph, node, position);
    match &node.operation {
        Operation::Shape => {
            let shape = graph.shape(node.input(0))?;
            Some(Numbers::vector(shape.iter().map(|&size| size as f64).collect(), true))
        }
        Operation::Fill { value, integer } => {
            let filled = input(1);
            let shape = sizes(&input(0)?)?;
            let value =
                filled.as_ref().and_then(|filled| filled.values.first().copied()).unwrap_or(*value);
            let integer = filled.map_or(*integer, |filled| filled.integer);
            let values = vec![value; count(&shape)?];
            Some(Numbers { shape, values, integer })
        }
        Operation::Identity => input(0),
        Operation::Cast { to_integer } => {
            let mut numbers = input(0)?;
            numbers.integer = *to_integer;
            if *to_integer {
                numbers.values.iter_mut().for_each(|value| *value = value.trunc());
            }
            Some(numbers)
        }
        Operation::Reshape { .. }
        | Operation::Flatten { .. }
        | Operation::Squeeze { .. }
        | Operation::Unsqueeze { .. } => {
            let numbers = input(0)?;
            Some(Numbers { shape: super::shapes::reshaped(graph, node)?, ..numbers })
        }
        Operation::Transpose { .. } => {
            let numbers = input(0)?;
            transpose(&numbers, &super::shapes::order(graph, node)?)
        }
        Operation::Unary(unary) => {
            let mut numbers = input(0)?;
            for value in &mut numbers.values {
                *value = apply(*unary, *value)?;
            }
            Some(numbers)
        }
        Operation::Binary(binary) => {
            let (first, second) = (input(0)?, input(1)?);
            let shape = broadcast(&first.shape, &second.shape)?;
            let mut index = vec![0; shape.len()];
            let integer = first.integer && second.integer;
            let mut values = Vec::new();
            for _ in 0..count(&shape)? {
                let first = *first.values.get(broadcast_place(&index, &first.shape))?;
                let second = *second.values.get(broadcast_place(&index, &second.shape))?;
                values.push(combine(*binary, first, second, integer)?);
                advance(&mut index, &shape);
            }
            Some(Numbers { shape, values, integer })
        }
        Operation::Gather { axis: along } => {
            let (data, indexes) = (input(0)?, input(1)?);
            let along = axis(*along, data.shape.len())?;
            let size = data.shape[along];
            let at = |number: f64| axis(number as i64, size);
            let rank = indexes.shape.len();
            let mut shape = data.shape[..along].to_vec();
            shape.extend(&indexes.shape);
            shape.extend(&data.shape[along + 1..]);
            data.picked(shape, |index| {
                let (before, rest) = index.split_at(along);
                let (middle, after) = rest.split_at(rank);
                let picked = at(*indexes.values.get(broadcast_place(middle, &indexes.shape))?)?;
                let whole: Vec<usize> =
                    before.iter().copied().chain([picked]).chain(after.iter().copied()).collect();
                Some(broadcast_place(&whole, &data.shape))
            })
        }
        Operation::Concatenate { axis: along } => {
            let parts: Option<Vec<Numbers>> = (0..node.inputs.len()).map(input).collect();
            concatenate(&parts?, *along)
        }
        Operation::Pack { axis: along } => {
            let parts: Option<Vec<Numbers>> = (0..node.inputs.len()).map(input).collect();
            let mut parts = parts?;
            let along = axis(*along, parts.first()?.shape.len() + 1)?;
            for part in &mut parts {
                if part.shape.len() < along {
                    return None;
                }
                part.shape.insert(along, 1);
            }
            concatenate(&parts, along as i64)
        }
        Operation::Slice { .. } | Operation::SliceBySize | Operation::StridedSlice { .. } => {
            let data = input(0)?;
            let cut = super::shapes::cut(graph, node)?;
            let sliced = data.picked(cut.shape(), |index| {
                let whole: Vec<usize> = index
                    .iter()
                    .zip(cut.axes.iter())
                    .map(|(&index, axis)| axis.at(index))
                    .collect();
                Some(broadcast_place(&whole, &data.shape))
            })?;
            Some(Numbers { shape: cut.result(), ..sliced })
        }
        Operation::Expand => {
            let (data, wanted) = (input(0)?, sizes(&input(1)?)?);
            let shape = broadcast(&data.shape, &wanted)?;
            data.picked(shape, |index| Some(broadcast_place(index, &data.shape)))
        }
        Operation::Tile => {
            let (data, times) = (input(0)?, sizes(&input(1)?)?);
            let shape = data.shape.iter().zip(&times);
            let shape: Option<Vec<usize>> =
                shape.map(|(size, times)| size.checked_mul(*times)).collect();
            data.picked(shape?, |index| {
                let inside: Vec<usize> =
                    index.iter().zip(&data.shape).map(|(index, size)| index % size).collect();
                Some(broadcast_place(&inside, &data.shape))
            })
        }
        _ => None,
    }
}

fn sizes(numbers: &Numbers) -> Option<Vec<usize>> {
    let sizes: Option<Vec<usize>> = numbers
        .values
        .iter()
        .map(|&size| (0.0..=MOST_NUMBERS as f64).contains(&size).then_some(size as usize))
        .collect();
    sizes.filter(|sizes| sizes.len() <= 8)
}

fn transpose(numbers: &Numbers, order: &[usize]) -> Option<Numbers> {
    let shape: Vec<usize> = order.iter().map(|&axis| numbers.shape[axis]).collect();
    numbers.picked(shape, |index| {
        let mut whole = vec![0; index.len()];
        for (&index, &axis) in index.iter().zip(order) {
            whole[axis] = index;
        }
        Some(broadcast_place(&whole, &numbers.shape))
    })
}

fn concatenate(parts: &[Numbers], along: i64) -> Option<Numbers> {
    let first = parts.first()?;
    let along = axis(along, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[along] = 0;
    for part in parts {
        if part.shape.len() != shape.len() {
            return None;
        }
        shape[along] = shape[along].checked_add(part.shape[along])?;
    }
    let outer: usize = shape[..along].iter().product();
    let mut values = Vec::with_capacity(count(&shape)?);
    for block in 0..outer {
        for part in parts {
            let length: usize = part.shape[along..].iter().product();
            values.extend(part.values.get(block * length..(block + 1) * length)?);
        }
    }
    (values.len() == count(&shape)?).then(|| Numbers {
        shape,
        values,
        integer: parts.iter().all(|part| part.integer),
    })
}

fn combine(binary: Binary, first: f64, second: f64, integer: bool) -> Option<f64> {
    Some(match binary {
        Binary::Add => first + second,
        Binary::Subtract => first - second,
        Binary::Multiply => first * second,
        Binary::Divide if integer && second == 0.0 => return None,
        Binary::Divide if integer => (first / second).trunc(),
        Binary::Divide => first / second,
        Binary::Maximum => first.max(second),
        Binary::Minimum => first.min(second),
        Binary::Power => first.powf(second),
    })
}

/// An operation on two real numbers.
pub fn combine_reals(binary: Binary, first: f64, second: f64) -> f64 {
    combine(binary, first, second, false).unwrap_or(f64::NAN)
}

/// The value of a function; `None` where it is not a number.
pub fn apply(unary: Unary, x: f64) -> Option<f64> {
    let value = match unary {
        Unary::Relu => x.max(0.0),
        Unary::Relu6 => x.clamp(0.0, 6.0),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Tanh => x.tanh(),
        Unary::LeakyRelu(alpha) => {
            if x >= 0.0 {
                x
            } else {
                alpha * x
            }
        }
        Unary::Elu(alpha) => {
            if x >= 0.0 {
                x
            } else {
                alpha * x.exp_m1()
            }
        }
        Unary::HardSigmoid(alpha, beta) => (alpha * x + beta).clamp(0.0, 1.0),
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Power(exponent) => x.powf(exponent),
        Unary::Clip(low, high) => x.max(low).min(high),
        Unary::Softplus => Function::Softplus.value(x),
        Unary::Mish => Function::Mish.value(x),
        Unary::Negate => -x,
        Unary::Absolute => x.abs(),
        Unary::Floor => x.floor(),
        Unary::Swish => x / (1.0 + (-x).exp()),
        Unary::Erf => erf_f64(x),
        Unary::Gelu(_) => x * 0.5 * (1.0 + erf_f64(x * std::f64::consts::FRAC_1_SQRT_2)),
    };
    (!value.is_nan()).then_some(value)
}
