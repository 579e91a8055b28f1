//! Quantize and dequantize nodes become what their values say of themselves.
//!
//! Behind this pass a value with a quantization stands for real numbers that lie on its grid. What
//! a file writes as dequantize, operator, quantize is then the operator between quantized values,
//! as other formats write it.

use crate::error::{Error, Result};
use crate::import::graph::{Constant, Element, Graph, Node, Quantization, ValueId};
use crate::import::operation::Operation;

/// Runs the pass; returns how many nodes went.
///
/// # Errors
/// A scale that is not positive, or a zero point outside its type.
pub fn run(graph: &mut Graph) -> Result<usize> {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut gone = 0;
    // What later nodes read in the place of a value.
    let mut instead: Vec<ValueId> = (0..graph.values.len()).collect();
    for mut node in nodes {
        for input in node.inputs.iter_mut().flatten() {
            *input = instead[*input];
        }
        let axis = match node.operation {
            Operation::Quantize { axis } | Operation::Dequantize { axis } => axis,
            _ => {
                graph.nodes.push(node);
                continue;
            }
        };
        let (Some(input), &[output]) = (node.input(0), &node.outputs[..]) else {
            graph.nodes.push(node);
            continue;
        };
        let found = match quantization(graph, &node, axis)? {
            Some(found) => found,
            None => {
                node.operation = Operation::Unknown {
                    why: "has a scale that is not constant".to_string(),
                    advice: "quantize statically".to_string(),
                };
                graph.nodes.push(node);
                continue;
            }
        };
        let quantizes = matches!(node.operation, Operation::Quantize { .. });
        let element = match node.input(2) {
            Some(zero_point) => graph.values[zero_point].element,
            None if quantizes => Element::U8,
            None => graph.values[input].element,
        };
        let known = graph.values[input].quantization.clone();
        if !quantizes && known.is_none() {
            // Weights, or integers that are given to the model or made by a pooling.
            let constant = graph.values[input].constant.is_some();
            let id = if constant {
                // Another dequantization may see the same integers differently.
                let value = graph.values[input].clone();
                instead.push(graph.values.len());
                graph.add(value)
            } else {
                input
            };
            graph.values[id].quantization = Some(found);
            if !constant && node.input(2).is_some() {
                graph.values[id].element = element;
            }
            instead[output] = id;
        } else if !quantizes || known.as_ref() == Some(&found) {
            instead[output] = input;
        } else if known.is_none() && graph.values[input].constant.is_none() {
            graph.values[input].quantization = Some(found);
            graph.values[input].element = element;
            instead[output] = input;
        } else if let Some(Constant::Floats(reals)) = &graph.values[input].constant {
            let Some(integers) = rounded(reals, &found, graph.values[input].shape.as_deref())
            else {
                return Err(wrong(&node, "quantizes a constant along an axis that it lacks"));
            };
            let shape = graph.values[input].shape.clone();
            let value = &mut graph.values[output];
            value.constant = Some(Constant::Integers(integers));
            value.quantization = Some(found);
            (value.shape, value.element) = (shape, element);
        } else {
            // From one grid to another.
            graph.values[output].quantization = Some(found);
            graph.values[output].element = element;
            node.operation = Operation::Identity;
            node.inputs.truncate(1);
            graph.nodes.push(node);
            continue;
        }
        gone += 1;
    }
    for output in &mut graph.outputs {
        *output = instead[*output];
    }
    Ok(gone)
}

fn wrong(node: &Node, problem: &str) -> Error {
    Error::bad_input(format_args!("node '{}'", node.name), problem, "quantize the model again")
}

/// The scale and zero point of a node; none if the scale is not constant.
fn quantization(graph: &Graph, node: &Node, axis: i64) -> Result<Option<Quantization>> {
    let Some(scales) = graph.reals(node.input(1)) else { return Ok(None) };
    let zero_points = match node.input(2) {
        None => vec![0],
        Some(input) => match graph.integers(Some(input)) {
            Some(zero_points) => zero_points.to_vec(),
            None => return Ok(None),
        },
    };
    if scales.is_empty() || !scales.iter().all(|scale| scale.is_finite() && *scale > 0.0) {
        return Err(wrong(node, "has a scale that is not above 0"));
    }
    if zero_points.len() != 1 && zero_points.len() != scales.len() {
        return Err(wrong(node, "has another number of zero points than of scales"));
    }
    let input = node.input(0);
    let rank = graph.shape(input).map_or(0, <[usize]>::len);
    let axis = match (scales.len(), crate::import::axes::axis(axis, rank)) {
        (1, _) => 0,
        (_, Some(axis)) => axis,
        (_, None) => return Err(wrong(node, "has several scales along an axis that is not there")),
    };
    if scales.len() > 1 && graph.shape(input).is_some_and(|shape| shape[axis] != scales.len()) {
        return Err(wrong(node, "has another number of scales than its axis has entries"));
    }
    let element = node.input(2).map_or(Element::U8, |input| graph.values[input].element);
    check_zero_points(&zero_points, element).map_err(|problem| wrong(node, &problem))?;
    Ok(Some(Quantization { scales, zero_points, axis }))
}

/// Whether zero points lie in their type.
pub fn check_zero_points(zero_points: &[i64], element: Element) -> std::result::Result<(), String> {
    let range = match element {
        Element::I8 => -128..=127,
        Element::U8 => 0..=255,
        Element::I16 => -32_768..=32_767,
        Element::Float | Element::Integer | Element::Other => return Ok(()),
    };
    match zero_points.iter().find(|zero_point| !range.contains(*zero_point)) {
        Some(bad) => Err(format!("has a zero point of {bad}, outside its type")),
        None => Ok(()),
    }
}

fn rounded(
    reals: &[f32],
    quantization: &Quantization,
    shape: Option<&[usize]>,
) -> Option<Vec<i64>> {
    let shape = shape?;
    let inner: usize = shape.iter().skip(quantization.axis + 1).product();
    let length = shape.get(quantization.axis).copied().unwrap_or(1).max(1);
    let round = |(position, &real): (usize, &f32)| {
        let index = position / inner.max(1) % length;
        let steps = (f64::from(real) / quantization.scale(index)).round_ties_even();
        steps as i64 + quantization.zero_point(index)
    };
    Some(reals.iter().enumerate().map(round).map(|number| number.clamp(-128, 255)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::graph::Value;

    /// `x → quantize → dequantize → relu → y` with this scale and zero point.
    fn graph(scale: f32, zero_point: i64) -> Graph {
        let mut graph = Graph::default();
        let constant = |name: &str, constant, element| Value {
            shape: Some(vec![]),
            constant: Some(constant),
            element,
            ..Value::named(name)
        };
        let [x, q, real, y] = ["x", "q", "real", "y"].map(|name| graph.add(Value::named(name)));
        let scale = graph.add(constant("scale", Constant::Floats(vec![scale]), Element::Float));
        let zero = graph.add(constant("zero", Constant::Integers(vec![zero_point]), Element::U8));
        graph.inputs = vec![x];
        graph.outputs = vec![y];
        for (operation, inputs, output) in [
            (Operation::Quantize { axis: 1 }, vec![x, scale, zero], q),
            (Operation::Dequantize { axis: 1 }, vec![q, scale, zero], real),
            (Operation::Unary(crate::import::operation::Unary::Relu), vec![real], y),
        ] {
            graph.nodes.push(Node {
                name: format!("node {output}"),
                operator: String::new(),
                operation,
                inputs: inputs.into_iter().map(Some).collect(),
                outputs: vec![output],
            });
        }
        graph
    }

    #[test]
    fn a_pair_becomes_the_grid_of_its_value() {
        let mut graph = graph(0.5, 128);
        assert_eq!(run(&mut graph).unwrap(), 2);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].inputs, [Some(0)]);
        assert_eq!(graph.values[0].quantization, Some(Quantization::tensor(0.5, 128)));
        assert_eq!(graph.values[0].element, Element::U8);
    }

    #[test]
    fn scales_and_zero_points_that_make_no_sense_are_refused() {
        for (scale, zero_point) in [(0.0, 0), (-1.0, 0), (f32::INFINITY, 0), (1.0, 256), (1.0, -1)]
        {
            assert!(run(&mut graph(scale, zero_point)).is_err(), "{scale} {zero_point}");
        }
    }
}
