//! From a graph with the file's own shapes to layers over tensors in memory.
//!
//! Nodes that only name numbers anew (transpose, reshape, slice …) become views and cost nothing.
//! Everything that cannot be expressed is noted with its node, so that one run names all of it.

mod combination;
mod convolution;
mod elementwise;
mod image;
mod input;
mod pooling;
mod reading;
mod rearranged;
mod recurrent;
mod resize;
mod transposed;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::Unsupported;
use super::axes::axis;
use super::graph::{Element, Graph, Node, ValueId};
use super::layer::{Grid, Input, Kind, Layer, Layers, Output};
use super::operation::{Operation, Reduction};
use super::passes::shapes;
use super::view::View;
use crate::data::SampleShape;
use tinyhero_common::model::{MAX_INPUTS, MAX_OUTPUTS};

/// What is wrong with a node, and what to do.
pub type Refusal = (String, String);
/// A part of resolving a node.
type Step<T> = std::result::Result<T, Refusal>;

/// A refusal.
pub fn refuse<T>(why: impl Into<String>, advice: impl Into<String>) -> Step<T> {
    Err((why.into(), advice.into()))
}

/// Most layers of a model.
const MOST_LAYERS: usize = 1_000;
/// Most weights of a model, zeros for groups and dilation included.
const MOST_WEIGHTS: usize = 1 << 24;
const SHAPES_ADVICE: &str = "export with fixed sizes and a batch of 1";
const KEEP_IN_ORDER: &str = "keep images as images between convolutions";

/// What resolving gives.
#[derive(Debug)]
pub struct Resolved {
    /// The layers, if everything could be resolved.
    pub layers: Option<Layers>,
    /// What could not.
    pub unsupported: Vec<Unsupported>,
    /// How often each rewriting was applied, by name.
    pub passes: BTreeMap<&'static str, usize>,
}

/// Resolves a graph whose shapes are known.
pub fn resolve(graph: &Graph, channels_last: bool) -> Resolved {
    let mut unsupported: Vec<Unsupported> = Vec::new();
    let note = |list: &mut Vec<Unsupported>, node: &str, operator: &str, (why, advice): Refusal| {
        let (node, operator) = (node.to_string(), operator.to_string());
        list.push(Unsupported { node, operator, why, advice });
    };
    for (what, count, most) in
        [("inputs", graph.inputs.len(), MAX_INPUTS), ("outputs", graph.outputs.len(), MAX_OUTPUTS)]
    {
        if !(1..=most).contains(&count) {
            let refusal =
                (format!("are {count}"), format!("divide the model; 1 to {most} are possible"));
            note(&mut unsupported, what, "", refusal);
        }
    }
    if !unsupported.is_empty() {
        return Resolved { layers: None, unsupported, passes: BTreeMap::new() };
    }
    let mut views = vec![None; graph.values.len()];
    let mut inputs: Vec<Input> = Vec::new();
    for (tensor, &id) in graph.inputs.iter().enumerate() {
        match input::input(graph, id, tensor, channels_last) {
            Ok((view, mut input)) => {
                while inputs.iter().any(|other| other.name == input.name) {
                    input.name.push('_');
                }
                views[id] = Some(view);
                inputs.push(input);
            }
            Err(refusal) => {
                let name = if graph.inputs.len() == 1 { "input" } else { &graph.values[id].name };
                note(&mut unsupported, name, "", refusal);
            }
        }
    }
    if !unsupported.is_empty() {
        return Resolved { layers: None, unsupported, passes: BTreeMap::new() };
    }
    let mut resolver = Resolver {
        graph,
        layers: Layers {
            name: graph.name.clone(),
            inputs,
            layers: Vec::new(),
            outputs: Vec::new(),
        },
        views,
        logarithms: HashSet::new(),
        labels: HashSet::new(),
        borders: HashMap::new(),
        passes: BTreeMap::new(),
        weights: 0,
    };
    for node in &graph.nodes {
        if let Operation::Unknown { why, advice } = &node.operation {
            note(&mut unsupported, &node.name, &node.operator, (why.clone(), advice.clone()));
            continue;
        }
        // What depends on something that was refused is not looked at.
        let mut inputs = node.inputs.iter().flatten();
        let known = |&id: &ValueId| {
            graph.values[id].constant.is_some()
                || resolver.views[id].is_some()
                || resolver.borders.contains_key(&id)
        };
        if !inputs.all(known) {
            continue;
        }
        if resolver.layers.layers.len() > MOST_LAYERS {
            let problem = format!("comes behind {MOST_LAYERS} layers, which is the most");
            let refusal = (problem, "use a smaller model".to_string());
            note(&mut unsupported, &node.name, &node.operator, refusal);
            break;
        }
        if let Err(refusal) = resolver.node(node) {
            note(&mut unsupported, &node.name, &node.operator, refusal);
        }
    }
    if unsupported.is_empty() {
        for &id in &graph.outputs {
            if let Err(refusal) = resolver.output(id) {
                note(&mut unsupported, &graph.values[id].name, "output", refusal);
            }
        }
    }
    let layers = unsupported.is_empty().then_some(resolver.layers);
    // A file of nothing but refused nodes gives no layer.
    Resolved { layers, unsupported, passes: resolver.passes }
}

/// A value with a border that the next layer is to add.
#[derive(Clone, Copy, Debug)]
struct Bordered {
    /// The value inside.
    inside: ValueId,
    /// What is added before and behind rows, then columns.
    amounts: [[usize; 2]; 2],
}

struct Resolver<'a> {
    graph: &'a Graph,
    layers: Layers,
    views: Vec<Option<View>>,
    /// Tensors whose logarithms the model gives, and which hold scores here.
    logarithms: HashSet<usize>,
    /// Values that are the position of the largest number of a tensor, whose numbers are given instead.
    labels: HashSet<ValueId>,
    borders: HashMap<ValueId, Bordered>,
    passes: BTreeMap<&'static str, usize>,
    /// Weights so far.
    weights: usize,
}

impl Resolver<'_> {
    /// Counts the weights of a layer before memory is taken for them.
    fn weigh(&mut self, rows: usize, row_length: usize) -> Step<()> {
        let more = rows.saturating_mul(row_length);
        self.weights = self.weights.saturating_add(more);
        if self.weights > MOST_WEIGHTS {
            return refuse(
                format!(
                    "has {more} weights, zeros included, and the model more than {MOST_WEIGHTS}"
                ),
                "use fewer channels, or fewer groups",
            );
        }
        Ok(())
    }

    fn count(&mut self, pass: &'static str) {
        *self.passes.entry(pass).or_insert(0) += 1;
    }

    /// The view of an input that is not constant, for layers: its numbers are those of a tensor, once each.
    fn view(&mut self, node: &Node, position: usize) -> Step<View> {
        let view = self.named(node, position)?;
        if !view.repeats() {
            return Ok(view);
        }
        let view = self.repeated(node, view)?;
        if let Some(id) = node.input(position) {
            self.views[id] = Some(view.clone());
        }
        Ok(view)
    }

    /// The view of an input that is not constant, for nodes that name its numbers anew.
    fn named(&self, node: &Node, position: usize) -> Step<View> {
        let id = node.input(position);
        match id.and_then(|id| self.views[id].clone()) {
            Some(view) => Ok(view),
            None if id.is_some_and(|id| self.borders.contains_key(&id)) => refuse(
                "reads a padded value, which only convolutions and poolings may",
                "pad directly before them",
            ),
            None => {
                refuse(format!("has no input {position} that varies"), "export the model again")
            }
        }
    }

    /// The shape of a value.
    fn shape_of(&self, id: Option<ValueId>) -> Step<&[usize]> {
        match self.graph.shape(id) {
            Some(shape) => Ok(shape),
            None => refuse("has a shape that is not known", SHAPES_ADVICE),
        }
    }

    /// The grid of a value, if it has one.
    fn grid(&self, id: ValueId) -> Step<Option<Grid>> {
        grid(self.graph, id)
    }

    /// Adds a layer and gives its tensor.
    fn push(
        &mut self,
        node: &Node,
        kind: Kind,
        inputs: Vec<usize>,
        shape: SampleShape,
    ) -> Step<usize> {
        let grid = self.grid(node.outputs[0])?;
        Ok(self.push_as(&node.name, &node.operator, kind, inputs, shape, grid))
    }

    fn push_as(
        &mut self,
        name: &str,
        operator: &str,
        kind: Kind,
        inputs: Vec<usize>,
        shape: SampleShape,
        grid: Option<Grid>,
    ) -> usize {
        let mut unique = short(name);
        while self.layers.layers.iter().any(|layer| layer.name == unique) {
            unique.push('_');
        }
        self.layers.layers.push(Layer {
            name: unique,
            operator: operator.to_string(),
            kind,
            inputs,
            shape,
            grid,
        });
        self.layers.tensor_of(self.layers.layers.len() - 1)
    }

    /// Gives the first output of a node a view.
    fn give(&mut self, node: &Node, view: View) {
        self.views[node.outputs[0]] = Some(view);
    }

    /// Gives an output a view over a tensor that exists already. Where the file has another grid for
    /// it, the numbers are brought to that.
    fn give_same(&mut self, node: &Node, output: ValueId, mut view: View) -> Step<()> {
        let wanted = self.grid(output)?;
        let found = self.layers.grid(view.tensor);
        match (wanted, found) {
            (Some(wanted), Some(found)) if !same(wanted, found) => {
                let shape = self.layers.shape(view.tensor);
                let inputs = vec![view.tensor];
                view.tensor = self.push_as(
                    &node.name,
                    &node.operator,
                    Kind::Regrid,
                    inputs,
                    shape,
                    Some(wanted),
                );
            }
            (Some(wanted), None) => *self.layers.grid_mut(view.tensor) = Some(wanted),
            _ => {}
        }
        self.views[output] = Some(view);
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Step<()> {
        match &node.operation {
            Operation::Convolution(window) => self.convolution(node, window),
            Operation::TransposedConvolution { window, .. } => self.transposed(node, window),
            Operation::Resize { sampling, channels_last, .. } => {
                self.resize(node, *sampling, *channels_last)
            }
            Operation::FullyConnected { .. } => self.fully_connected(node),
            Operation::Pool(pool) => self.pool(node, pool),
            Operation::Recurrent(sequence) => self.recurrent(node, sequence),
            Operation::Reduce { reduction, .. } => self.reduce(node, *reduction),
            Operation::GlobalAverage => self.reduce(node, Reduction::Mean),
            Operation::ParametricRelu => self.parametric_relu(node),
            Operation::ArgMax => self.arg_max(node),
            Operation::DepthToSpace { block, pixels_first, channels_last } => {
                self.depth_to_space(node, *block, *pixels_first, *channels_last)
            }
            Operation::SpaceToDepth { block, channels_last } => {
                self.space_to_depth(node, *block, *channels_last)
            }
            Operation::GlobalMaximum => self.global_maximum(node),
            Operation::Concatenate { axis } => self.concatenate(node, *axis),
            Operation::BatchNorm { epsilon } => self.batch_norm(node, *epsilon),
            Operation::Binary(binary) => self.binary(node, *binary),
            Operation::Unary(unary) => self.unary(node, *unary),
            Operation::Clip { ends } => self.clip(node, *ends),
            Operation::Softmax { axis, logarithm, rest } => {
                self.softmax(node, *axis, *logarithm, *rest)
            }
            Operation::Pad { value, .. } => self.pad(node, *value),
            _ => self.rename(node),
        }
    }

    /// Nodes that only name numbers anew.
    fn rename(&mut self, node: &Node) -> Step<()> {
        let view = self.named(node, 0)?;
        let broken = || {
            let why = "takes numbers apart in a way that memory cannot be seen";
            (why.to_string(), KEEP_IN_ORDER.to_string())
        };
        let graph = self.graph;
        let unknown = || ("has sizes that are not constant".to_string(), SHAPES_ADVICE.to_string());
        let (view, pass) = match &node.operation {
            Operation::Identity | Operation::Cast { .. } => (view, "identity"),
            Operation::Reshape { .. }
            | Operation::Flatten { .. }
            | Operation::Squeeze { .. }
            | Operation::Unsqueeze { .. } => {
                let shape = shapes::reshaped(graph, node).ok_or_else(unknown)?;
                (view.reshaped(&shape).ok_or_else(broken)?, "reshape")
            }
            Operation::Transpose { .. } => {
                let order = shapes::order(graph, node).ok_or_else(unknown)?;
                (view.transposed(&order), "transpose")
            }
            Operation::Expand | Operation::Tile => {
                let after = self.shape_of(Some(node.outputs[0]))?;
                (view.repeated(after).ok_or_else(broken)?, "repetition")
            }
            Operation::Slice { .. } | Operation::SliceBySize | Operation::StridedSlice { .. } => {
                let cut = shapes::cut(graph, node).ok_or_else(unknown)?;
                let mut view = view;
                for (axis, part) in cut.axes.iter().enumerate() {
                    view = view.cut(axis, part.first, part.step, part.count).ok_or_else(broken)?;
                }
                let gone: Vec<bool> = cut.axes.iter().map(|axis| axis.gone).collect();
                let view = self.trimmed(node, view)?;
                (view.squeezed(&gone), "slice")
            }
            Operation::Gather { axis: along } => {
                let along = axis(*along, view.axes.len()).ok_or_else(unknown)?;
                let indexes = graph.integers(node.input(1)).ok_or_else(unknown)?;
                let size = view.shape()[along];
                let at = |index: i64| axis(index, size).ok_or_else(unknown);
                let first = at(*indexes.first().ok_or_else(unknown)?)?;
                let scalar = self.shape_of(node.input(1))?.is_empty();
                let step = match indexes {
                    [_] => 1,
                    [_, second, ..] => at(*second)? as i64 - first as i64,
                    [] => 1,
                };
                for (position, &index) in indexes.iter().enumerate() {
                    if at(index)? as i64 != first as i64 + step * position as i64 {
                        return Err(broken());
                    }
                }
                let view = view.cut(along, first, step, indexes.len()).ok_or_else(broken)?;
                let mut gone = vec![false; view.axes.len()];
                gone[along] = scalar;
                (view.squeezed(&gone), "slice")
            }
            Operation::Split { axis: along, .. } => {
                let along = axis(*along, view.axes.len()).ok_or_else(unknown)?;
                let parts = shapes::parts(graph, node).ok_or_else(unknown)?;
                let mut first = 0;
                for (&output, &size) in node.outputs.iter().zip(&parts) {
                    let part = view.cut(along, first, 1, size).ok_or_else(broken)?;
                    self.give_same(node, output, part)?;
                    first += size;
                }
                self.count("slice");
                return Ok(());
            }
            _ => {
                return refuse(
                    "is an operator that is not supported",
                    "replace it by supported ones (docs/your-model.md)",
                );
            }
        };
        self.count(pass);
        self.give_same(node, node.outputs[0], view)
    }

    fn pad(&mut self, node: &Node, value: f64) -> Step<()> {
        let unknown =
            || ("has amounts that are not constant".to_string(), SHAPES_ADVICE.to_string());
        let padding = shapes::padding(self.graph, node).ok_or_else(unknown)?;
        let fill = match node.input(2) {
            Some(input) => {
                let fill = self.graph.reals(Some(input)).ok_or_else(unknown)?;
                fill.first().copied().unwrap_or(0.0)
            }
            None => value,
        };
        if fill != 0.0 {
            return refuse(format!("fills the border with {fill}"), "pad with zeros");
        }
        let padded: Vec<usize> =
            (0..padding.len()).filter(|&axis| padding[axis] != [0, 0]).collect();
        let input = node.input(0).ok_or_else(unknown)?;
        if padded.is_empty() {
            let view = self.view(node, 0)?;
            return self.give_same(node, node.outputs[0], view);
        }
        self.borders.insert(node.outputs[0], Bordered { inside: input, amounts: [[0, 0]; 2] });
        // Which axes are rows and columns, the layer that reads it says.
        self.count("pad");
        let amounts: Vec<[usize; 2]> = padding;
        self.borders.insert(node.outputs[0], spatial(input, &amounts)?);
        Ok(())
    }

    fn output(&mut self, id: ValueId) -> Step<()> {
        let Some(view) = self.views[id].clone() else {
            return refuse("does not depend on the input", "export the model again");
        };
        if view.repeats() {
            return refuse("gives repeated numbers", "end the model before they are repeated");
        }
        let value = &self.graph.values[id];
        let tensor = view.tensor;
        if self.layers.layer_of(tensor).is_none() {
            return refuse("is the input itself", "export a model that computes something");
        }
        if self.layers.is_output(tensor) {
            return refuse("is another output once more", "export it once");
        }
        let mut name = short(&value.name);
        while self.layers.outputs.iter().any(|output| output.name == name) {
            name.push('_');
        }
        self.layers.outputs.push(Output {
            name,
            tensor,
            places: view.places(),
            integers: integers(value.element),
            quantization: self.layers.grid(tensor),
            logarithm: self.logarithms.contains(&tensor),
            label: self.labels.contains(&id),
        });
        Ok(())
    }
}

/// A border of an image with channels first or last: whichever of the axes it touches.
fn spatial(inside: ValueId, padding: &[[usize; 2]]) -> Step<Bordered> {
    let amounts = match padding {
        [[0, 0], [0, 0], rows, columns] => [*rows, *columns],
        [[0, 0], rows, columns, [0, 0]] => [*rows, *columns],
        [[0, 0], [0, 0], columns] | [[0, 0], columns, [0, 0]] => [[0, 0], *columns],
        _ => return refuse("pads batch or channels", "pad rows and columns only"),
    };
    Ok(Bordered { inside, amounts })
}

/// Whether integers of 8 bits are given, and whether they are signed.
const fn integers(element: Element) -> Option<bool> {
    match element {
        Element::I8 => Some(true),
        Element::U8 => Some(false),
        _ => None,
    }
}

/// The grid of a value, if it has one.
fn grid(graph: &Graph, id: ValueId) -> Step<Option<Grid>> {
    let value = &graph.values[id];
    let Some(quantization) = &value.quantization else { return Ok(None) };
    if quantization.scales.len() != 1 {
        return refuse(
            "has several scales for what it computes",
            "quantize activations per tensor",
        );
    }
    let shift = match value.element {
        Element::U8 => 128,
        Element::I8 => 0,
        _ => {
            return refuse("computes with more than 8 bits", "quantize activations to 8 bits");
        }
    };
    match i8::try_from(quantization.zero_point(0) - shift) {
        Ok(zero_point) => Ok(Some(Grid { scale: quantization.scale(0), zero_point })),
        Err(_) => refuse("has a zero point outside its type", "quantize the model again"),
    }
}

/// Whether two grids are one, but for the last digits of a float.
pub fn same(first: Grid, other: Grid) -> bool {
    first.zero_point == other.zero_point && (first.scale / other.scale - 1.0).abs() < 1e-6
}

/// A name without the path that exporters put before it, for model files, whose names are short.
fn short(name: &str) -> String {
    const MOST: usize = 40;
    let last = name.rsplit(['/', ';', ':']).find(|part| part.len() > 1).unwrap_or(name);
    let last: String = last.chars().filter(|letter| !letter.is_control()).take(MOST).collect();
    if last.is_empty() { "layer".to_string() } else { last }
}
