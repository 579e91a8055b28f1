//! Operators on integers, taken apart: dequantized inputs, the plain operator, a quantized output.

use super::message::Node as Source;
use super::{Reader, operator};
use crate::error::Result;
use crate::import::graph::{Node, Quantization, Value, ValueId};
use crate::import::operation::Operation;

/// Where an integer operator has its tensors.
struct Arrangement {
    /// The operator on real numbers.
    plain: &'static str,
    /// Positions of inputs, each followed by scale and zero point.
    inputs: &'static [usize],
    /// Position of a bias without scale.
    bias: Option<usize>,
    /// Position of the output's scale.
    output: usize,
}

fn arrangement(operator: &str) -> Option<Arrangement> {
    let new = |plain, inputs, bias, output| Some(Arrangement { plain, inputs, bias, output });
    match operator {
        "QLinearConv" => new("Conv", &[0, 3], Some(8), 6),
        "QGemm" => new("Gemm", &[0, 3], Some(6), 7),
        "QLinearMatMul" => new("MatMul", &[0, 3], None, 6),
        "QLinearAdd" => new("Add", &[0, 3], None, 6),
        "QLinearMul" => new("Mul", &[0, 3], None, 6),
        "QLinearLeakyRelu" => new("LeakyRelu", &[0], None, 3),
        "QLinearSigmoid" => new("Sigmoid", &[0], None, 3),
        "QLinearSoftmax" => new("Softmax", &[0], None, 3),
        "QLinearAveragePool" => new("AveragePool", &[0], None, 3),
        "QLinearGlobalAveragePool" => new("GlobalAveragePool", &[0], None, 3),
        "QLinearReduceMean" => new("ReduceMean", &[0], None, 3),
        "QLinearConcat" => new("Concat", &[], None, 0),
        _ => None,
    }
}

/// Whether a node computes on integers.
pub fn is_integer_operator(node: &Source<'_>) -> bool {
    arrangement(&node.operator).is_some()
}

impl Reader<'_> {
    /// Adds the nodes that an integer operator stands for.
    pub(super) fn integer_node(
        &mut self,
        node: &Source<'_>,
        name: &str,
        inputs: &[Option<ValueId>],
    ) -> Result<()> {
        let Some(arrangement) = arrangement(&node.operator) else { return Ok(()) };
        let input = |position: usize| inputs.get(position).copied().flatten();
        let concatenates = arrangement.plain == "Concat";
        let positions: Vec<usize> = match concatenates {
            true => (2..inputs.len()).step_by(3).collect(),
            false => arrangement.inputs.to_vec(),
        };
        let mut read = Vec::new();
        for &position in &positions {
            let [tensor, scale, zero_point] = [0, 1, 2].map(|next| input(position + next));
            let (Some(_), Some(_)) = (tensor, scale) else {
                return Err(self.broken(format_args!("node '{name}' lacks an input")));
            };
            // The weights' scales belong to output channels.
            let axis = match (arrangement.plain, node.integer("transB", 0)) {
                ("Conv", _) => 0,
                ("Gemm", transposed) => i64::from(transposed == 0),
                _ => 1,
            };
            let real = self.graph.add(Value::named(format!("{name}_input_{position}")));
            self.graph.nodes.push(Node {
                name: format!("{name}_input_{position}"),
                operator: "DequantizeLinear".to_string(),
                operation: Operation::Dequantize { axis },
                inputs: vec![tensor, scale, zero_point],
                outputs: vec![real],
            });
            read.push(Some(real));
        }
        if let Some(bias) = arrangement.bias.and_then(input) {
            let scales = |position| self.graph.reals(input(position));
            let (Some(first), Some(second)) = (scales(1), scales(4)) else {
                return Err(self.broken(format_args!("node '{name}' has scales that vary")));
            };
            let scale = first.first().copied().unwrap_or(1.0);
            let scales = second.iter().map(|other| scale * other).collect();
            let quantization = Quantization { scales, zero_points: vec![0], axis: 0 };
            let mut value = self.graph.values[bias].clone();
            // A bias of QGemm may be a matrix of one row.
            value.shape = value.constant.as_ref().map(|constant| vec![constant.len()]);
            value.quantization = Some(quantization);
            read.push(Some(self.graph.add(value)));
        }
        let plain = Source { operator: arrangement.plain.to_string(), ..copy(node) };
        let operation = match operator::operation(&plain, self.opset) {
            Operation::Softmax { axis, logarithm, .. } => {
                let rest = node.integer("opset", 13) < 13;
                Operation::Softmax { axis, logarithm, rest }
            }
            _ if node.integer("channels_last", 0) != 0 => operator::unknown(
                "has its channels last, which other operators of ONNX have not",
                "export with channels first",
            ),
            operation => operation,
        };
        let output = node.outputs.first().cloned().unwrap_or_default();
        let (scale, zero_point) = (input(arrangement.output), input(arrangement.output + 1));
        let operator = node.operator.clone();
        if scale.is_none() {
            // QGemm without an output scale gives real numbers.
            let outputs = vec![self.define(Value::named(output))?];
            self.graph.nodes.push(Node {
                name: name.to_string(),
                operator,
                operation,
                inputs: read,
                outputs,
            });
            return Ok(());
        }
        let real = self.graph.add(Value::named(format!("{name}_real")));
        self.graph.nodes.push(Node {
            name: name.to_string(),
            operator,
            operation,
            inputs: read,
            outputs: vec![real],
        });
        let outputs = vec![self.define(Value::named(output))?];
        self.graph.nodes.push(Node {
            name: format!("{name}_output"),
            operator: "QuantizeLinear".to_string(),
            operation: Operation::Quantize { axis: 1 },
            inputs: vec![Some(real), scale, zero_point],
            outputs,
        });
        Ok(())
    }
}

/// The node with its attributes; inputs and outputs are dealt with apart.
fn copy<'a>(node: &'a Source<'_>) -> Source<'a> {
    let attributes = node.attributes.iter().map(|attribute| super::Attribute {
        name: attribute.name.clone(),
        integer: attribute.integer,
        float: attribute.float,
        text: attribute.text.clone(),
        texts: attribute.texts.clone(),
        integers: attribute.integers.clone(),
        floats: attribute.floats.clone(),
        tensor: None,
        has_graph: attribute.has_graph,
    });
    Source { attributes: attributes.collect(), inputs: vec![String::new(); 2], ..Source::default() }
}
