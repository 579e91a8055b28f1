//! Shape inference, cost counts, and the checks of a description.

use super::{Network, Node, NodeInput, NodeSummary};
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::operation::{ELEMENT_LIMIT, product};
use tinyhero_common::model::{MAX_INPUTS, MAX_OUTPUTS};

/// Most nodes, and most values and trained numbers of all nodes together: what a training's memory follows from.
const NODE_LIMIT: usize = 1_000;
const SUM_LIMIT: usize = 1 << 26;

/// Checks the description and computes shapes and costs of every node.
pub fn summarize(network: &Network) -> Result<Vec<NodeSummary>> {
    if network.nodes.is_empty() {
        return Err(Error::bad_input(place(network), "has no layer", "add one"));
    }
    if network.nodes.len() > NODE_LIMIT {
        return Err(Error::bad_input(
            place(network),
            format_args!("has {} layers, more than {NODE_LIMIT}", network.nodes.len()),
            "leave out some",
        ));
    }
    check_ends(network)?;
    let mut summaries: Vec<NodeSummary> = Vec::with_capacity(network.nodes.len());
    let (mut values, mut parameters) = (0, 0);
    for (index, node) in network.nodes.iter().enumerate() {
        let error = |problem: String, advice: &str| {
            Error::bad_input(
                format_args!("{}, layer '{}'", place(network), node.name),
                problem,
                advice,
            )
        };
        if network.nodes[..index].iter().any(|other| other.name == node.name) {
            return Err(error(
                "has the name of an earlier layer".to_string(),
                "give each layer its own name",
            ));
        }
        let wanted = node.operation.inputs();
        if !wanted.contains(&node.inputs.len()) {
            let wanted = match (wanted.start(), wanted.end()) {
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(error(
                format!(
                    "reads {} inputs, but {} reads {wanted}",
                    node.inputs.len(),
                    node.operation.name()
                ),
                "correct its inputs",
            ));
        }
        let mut shapes = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            shapes.push(match *input {
                NodeInput::Network(position) => match network.inputs.get(position) {
                    Some(input) => input.shape,
                    None => {
                        let problem = "reads an input that there is not".to_string();
                        return Err(error(problem, "correct its inputs"));
                    }
                },
                NodeInput::Node(before) if before < index => summaries[before].output,
                NodeInput::Node(_) => {
                    return Err(error(
                        "reads a later layer".to_string(),
                        "order layers so that inputs come first",
                    ));
                }
            });
        }
        let is_read = || {
            let reads = |node: &Node| node.inputs.contains(&NodeInput::Node(index));
            network.nodes.iter().any(reads)
        };
        if node.operation.only_last() && (!network.outputs.contains(&index) || is_read()) {
            let advice = format!("put {} last", node.operation.name());
            return Err(error("is not the last layer".to_string(), &advice));
        }
        let summary = summarize_node(node, &shapes)
            .map_err(|problem| error(problem, "change the layer or the input"))?;
        // Each is bounded, so these do not overflow.
        values += summary.output.elements();
        parameters += summary.parameters;
        if values.max(parameters) > SUM_LIMIT {
            let problem = format!(
                "makes it {values} values and {parameters} trained numbers in all, more than {SUM_LIMIT}"
            );
            return Err(error(problem, "use smaller or fewer layers"));
        }
        summaries.push(summary);
    }
    Ok(summaries)
}

/// Checks inputs and outputs.
fn check_ends(network: &Network) -> Result<()> {
    let refuse =
        |problem: String, advice: &str| Err(Error::bad_input(place(network), problem, advice));
    if !(1..=MAX_INPUTS).contains(&network.inputs.len()) {
        let problem = format!("has {} inputs", network.inputs.len());
        return refuse(problem, &format!("use 1 to {MAX_INPUTS}"));
    }
    for (index, input) in network.inputs.iter().enumerate() {
        let elements = input.shape.elements();
        if elements == 0 || elements > ELEMENT_LIMIT {
            let problem = format!("input {} is empty or too large", input.shape);
            return refuse(problem, "give a smaller shape, each size at least 1");
        }
        let taken = network.inputs[..index].iter().any(|other| other.name == input.name)
            || network.nodes.iter().any(|node| node.name == input.name);
        if taken || input.name.is_empty() {
            let problem = format!("input '{}' has a name that something else has", input.name);
            return refuse(problem, "give each input and layer its own name");
        }
    }
    if network.sample_values() > ELEMENT_LIMIT {
        let problem = format!("has samples of {} values", network.sample_values());
        return refuse(problem, "give smaller inputs");
    }
    if !(1..=MAX_OUTPUTS).contains(&network.outputs.len()) {
        let problem = format!("has {} outputs", network.outputs.len());
        return refuse(problem, &format!("use 1 to {MAX_OUTPUTS}"));
    }
    for (index, output) in network.outputs.iter().enumerate() {
        if *output >= network.nodes.len() || network.outputs[..index].contains(output) {
            return refuse(
                "has an output that is no layer, or the same one twice".to_string(),
                "list different layers",
            );
        }
    }
    Ok(())
}

fn place(network: &Network) -> String {
    format!("network '{}'", network.name)
}

fn summarize_node(node: &Node, shapes: &[SampleShape]) -> std::result::Result<NodeSummary, String> {
    let sizes = node.operation.sizes(shapes)?;
    let (input, output) = (shapes[0], sizes.output);
    let elements = product(&[output.height, output.width, output.channels])?;
    if elements == 0 {
        return Err("gives no output".to_string());
    }
    let (mut weights, mut parameters) = (0, 0);
    for rule in node.operation.parameters(input, output) {
        let count = product(&rule.shape)?;
        weights += if rule.is_weight() { count } else { 0 };
        parameters += if rule.kind.is_some() { count } else { 0 };
    }
    Ok(NodeSummary {
        input,
        output,
        macs: (elements as u64).saturating_mul(sizes.macs_per_value as u64),
        weights,
        parameters,
    })
}
