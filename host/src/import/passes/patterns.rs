//! Functions that exporters spell with several nodes.
//!
//! What such nodes compute of one value is tried at some points and compared with the functions that
//! are known. So every way of writing a function is recognised, and nothing that differs from it.

use super::constants::{apply, combine_reals};
use crate::import::graph::{Graph, ValueId};
use crate::import::operation::{Operation, Unary};

/// Functions that are looked for.
const KNOWN: [Unary; 4] =
    [Unary::HardSwish, Unary::Swish, Unary::Gelu(false), Unary::HardSigmoid(1.0 / 6.0, 0.5)];
/// Where they are compared, and how far they may differ.
const POINTS: [f64; 13] = [-7.0, -4.0, -3.1, -2.9, -1.7, -1.0, -0.3, 0.0, 0.2, 1.1, 2.5, 3.3, 6.0];
const TOLERANCE: f64 = 2e-3;
/// Most nodes of a spelled function between its input and its output.
const DEPTH: usize = 8;
/// Most nodes that are tried.
const MOST_TRIES: usize = 1_000;
/// Most values that are looked at for one node.
const MOST_VISITS: usize = 64;

/// Runs the pass; returns how many functions were recognised.
pub fn run(graph: &mut Graph) -> usize {
    let (mut found, mut tries) = (0, 0);
    let writers = graph.writers();
    // From the end, so that a whole function is seen before its parts.
    for index in (0..graph.nodes.len()).rev() {
        if !matches!(graph.nodes[index].operation, Operation::Binary(_) | Operation::Clip { .. }) {
            continue;
        }
        tries += 1;
        if tries > MOST_TRIES {
            break;
        }
        let output = graph.nodes[index].outputs[0];
        let search = Search { graph, writers: &writers, output };
        let Some((function, input)) = search.function() else { continue };
        let node = &mut graph.nodes[index];
        node.operation = Operation::Unary(function);
        node.inputs = vec![Some(input)];
        found += 1;
    }
    if found > 0 {
        graph.drop_unread();
    }
    found
}

struct Search<'a> {
    graph: &'a Graph,
    writers: &'a [Option<usize>],
    output: ValueId,
}

impl Search<'_> {
    /// A known function of a value that this output is, the value as far away as possible.
    fn function(&self) -> Option<(Unary, ValueId)> {
        let mut inputs = Vec::new();
        self.inner(self.output, &mut inputs);
        inputs.iter().rev().find_map(|&input| {
            let is = |function: &&Unary| {
                POINTS.iter().all(|&x| {
                    let found = self.at(self.output, input, x, DEPTH);
                    let expected = apply(**function, x);
                    matches!((found, expected), (Some(found), Some(expected))
                        if (found - expected).abs() < TOLERANCE)
                })
            };
            KNOWN.iter().find(is).map(|&function| (function, input))
        })
    }

    /// Values that the output is computed of, number by number.
    fn inner(&self, value: ValueId, inputs: &mut Vec<ValueId>) {
        let mut at = 0;
        let mut next = vec![value];
        while at < next.len() && next.len() < MOST_VISITS {
            let value = next[at];
            at += 1;
            let Some(node) = self.writers[value].map(|writer| &self.graph.nodes[writer]) else {
                continue;
            };
            // A value that is rounded to integers has to be kept.
            let rounded = value != self.output && self.graph.values[value].quantization.is_some();
            let by_number = matches!(
                node.operation,
                Operation::Binary(_) | Operation::Unary(_) | Operation::Clip { .. }
            );
            if rounded || !by_number {
                continue;
            }
            for &input in node.inputs.iter().flatten() {
                if self.graph.values[input].constant.is_none() && !inputs.contains(&input) {
                    inputs.push(input);
                    next.push(input);
                }
            }
        }
    }

    /// The number of a value where the input has the number `x`.
    fn at(&self, value: ValueId, input: ValueId, x: f64, depth: usize) -> Option<f64> {
        if value == input {
            return Some(x);
        }
        if self.graph.values[value].constant.is_some() {
            let numbers = self.graph.reals(Some(value))?;
            return if let [number] = numbers[..] { Some(number) } else { None };
        }
        let depth = depth.checked_sub(1)?;
        let node = &self.graph.nodes[self.writers[value]?];
        let operand = |position: usize| self.at(node.input(position)?, input, x, depth);
        match node.operation {
            Operation::Unary(unary) => apply(unary, operand(0)?),
            Operation::Binary(binary) => Some(combine_reals(binary, operand(0)?, operand(1)?)),
            Operation::Clip { ends: Some([low, high]) } => Some(operand(0)?.max(low).min(high)),
            Operation::Clip { ends: None } => {
                let low = node.input(1).map_or(Some(f64::MIN), |_| operand(1))?;
                let high = node.input(2).map_or(Some(f64::MAX), |_| operand(2))?;
                Some(operand(0)?.max(low).min(high))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::graph::{Constant, Node, Value};
    use crate::import::operation::Binary;

    #[test]
    fn spelled_functions_are_recognised_and_others_are_not() {
        for (slope, expected) in [(1.0 / 6.0, Some(Unary::HardSwish)), (0.25, None)] {
            let mut graph = Graph::default();
            let x = graph.add(Value::named("x"));
            let gate = graph.add(Value::named("gate"));
            let three = Value { constant: Some(Constant::Floats(vec![3.0])), ..Value::named("3") };
            let three = graph.add(Value { shape: Some(vec![]), ..three });
            let shifted = graph.add(Value::named("shifted"));
            let y = graph.add(Value::named("y"));
            graph.inputs = vec![x];
            graph.outputs = vec![y];
            let mut push = |operation, inputs: &[usize], output| {
                graph.nodes.push(Node {
                    name: format!("node {output}"),
                    operator: String::new(),
                    operation,
                    inputs: inputs.iter().map(|&input| Some(input)).collect(),
                    outputs: vec![output],
                });
            };
            // Nothing reads this one, and nothing comes of it.
            push(Operation::Binary(Binary::Add), &[x, three], shifted);
            push(Operation::Unary(Unary::HardSigmoid(slope, 0.5)), &[x], gate);
            push(Operation::Binary(Binary::Multiply), &[x, gate], y);
            assert_eq!(run(&mut graph), usize::from(expected.is_some()));
            let last = &graph.nodes[graph.nodes.len() - 1];
            if let Some(expected) = expected {
                assert_eq!(last.operation, Operation::Unary(expected));
                assert_eq!(last.inputs, [Some(x)]);
            } else {
                assert_eq!(last.operation, Operation::Binary(Binary::Multiply));
            }
        }
    }
}
