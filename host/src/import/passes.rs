//! Rewrites of a graph, each with a name for the report.

pub mod constants;
pub mod patterns;
pub mod quantization;
pub mod shapes;

use std::collections::BTreeMap;

use super::graph::{Constant, Graph};
use crate::error::Result;

/// Most numbers of all computed constants together, but for the last.
const MOST_NUMBERS: usize = 1 << 23;

/// Runs all passes; gives how often each did something.
///
/// # Errors
/// Numbers that make no sense, as a scale of 0.
pub fn run(graph: &mut Graph) -> Result<BTreeMap<&'static str, usize>> {
    let mut counts = BTreeMap::new();
    graph.drop_unread();
    counts.insert("quantize and dequantize", quantization::run(graph)?);
    counts.insert("constant", fold(graph));
    counts.insert("function of several nodes", patterns::run(graph));
    graph.drop_unread();
    Ok(counts)
}

/// Computes what does not depend on the input, and the shape of everything else.
fn fold(graph: &mut Graph) -> usize {
    let nodes = std::mem::take(&mut graph.nodes);
    let mut folded = 0;
    let mut left = MOST_NUMBERS;
    for node in nodes {
        if left > 0 && constants::fold(graph, &node) {
            folded += 1;
            let computed = graph.constant(node.outputs.first().copied()).map_or(0, Constant::len);
            left = left.saturating_sub(computed);
            continue;
        }
        if let Some(shapes) = shapes::shapes(graph, &node) {
            for (&output, shape) in node.outputs.iter().zip(shapes) {
                // What the file states is not relied on.
                graph.values[output].shape = constants::count(&shape).map(|_| shape);
            }
        } else {
            for &output in &node.outputs {
                graph.values[output].shape = None;
            }
        }
        graph.nodes.push(node);
    }
    folded
}
