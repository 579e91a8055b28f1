//! Recurrent layers of TensorFlow Lite files: the loop that Keras makes of an LSTM, and the operator that older converters write.

use std::collections::HashSet;

use super::Reader;
use super::flatbuffer::Table;
use crate::error::Result;
use crate::import::graph::{Constant, Graph, Node, Value, ValueId};
use crate::import::operation::{Cell, Operation, Sequence};

/// Gates by number: input, forget, candidate, output.
const GATES: usize = 4;
/// The order in which the operator's weights have them.
const ORDER: [usize; GATES] = [0, 3, 1, 2];
/// Most variables of a loop.
const MOST_VARIABLES: usize = 64;
/// Most steps from the sum of the gates to its parts.
const MOST_STEPS: usize = 32;

/// An LSTM that a loop's body computes.
struct Found {
    /// Loop variables: the series, and the hidden state and cell.
    series: usize,
    states: [usize; 2],
    /// Loop variables that become the new hidden state in another shape.
    copies: Vec<usize>,
    hidden: usize,
    /// Gate by gate: weights of the input, of the hidden state, bias.
    lists: [Vec<f64>; 3],
}

impl Reader<'_> {
    /// Adds the node of a loop that is an LSTM. False if it is something else.
    pub(super) fn recurrent_loop(
        &mut self,
        name: &str,
        options: Option<&Table<'_>>,
        inputs: &[Option<ValueId>],
        outputs: &[ValueId],
    ) -> Result<bool> {
        let graph = |number: usize| {
            let index = usize::try_from(options?.int(number, 0)).ok()?;
            // The body of a loop within a loop is not looked into.
            self.inner(*self.subgraphs.get(index)?)
        };
        let (Some(condition), Some(body)) = (graph(0), graph(1)) else { return Ok(false) };
        let Some(found) = Body::new(&body).and_then(|body| body.lstm()) else { return Ok(false) };
        if self.steps(&condition, &body, inputs) != self.length(inputs, found.series) {
            return Ok(false);
        }
        let input = |variable: usize| inputs.get(variable).copied().flatten();
        let output = |variable: usize| outputs.get(variable).copied();
        let Some(series) = input(found.series) else { return Ok(false) };
        let states = found.states.map(input);
        let (Some(state), Some(cell)) = (output(found.states[0]), output(found.states[1])) else {
            return Ok(false);
        };
        let last = self.recurrent(name, found.hidden, &found.lists, [series], states, cell, false);
        let given = found.copies.iter().filter_map(|&variable| output(variable));
        for (number, value) in given.chain([state]).enumerate() {
            self.reshape(&format!("{name}_state_{number}"), last, value);
        }
        Ok(true)
    }

    /// The length of a loop variable that begins as a series: time, batch of 1, channels.
    fn length(&self, inputs: &[Option<ValueId>], variable: usize) -> Option<usize> {
        match self.graph.shape(inputs.get(variable).copied().flatten())? {
            [length, 1, _] => Some(*length),
            _ => None,
        }
    }

    /// How often a loop runs whose counters begin at 0 and go up by 1.
    fn steps(&self, condition: &Graph, body: &Graph, inputs: &[Option<ValueId>]) -> Option<usize> {
        let writers = body.writers();
        let mut steps = None;
        let compared = condition.nodes.iter().filter(|node| node.operator != "LOGICAL_AND");
        for node in compared {
            let variable = condition.inputs.iter().position(|&id| Some(id) == node.input(0))?;
            let most = *condition.integers(node.input(1))?.first()?;
            let begins = *self.graph.integers(inputs.get(variable).copied().flatten())?.first()?;
            let next = body.nodes.get(writers[*body.outputs.get(variable)?]?)?;
            let counted = next.operator == "ADD"
                && next.input(0) == body.inputs.get(variable).copied()
                && body.integers(next.input(1)) == Some(&[1]);
            if node.operator != "LESS" || begins != 0 || !counted {
                return None;
            }
            let most = usize::try_from(most).ok()?;
            steps = Some(steps.map_or(most, |steps: usize| steps.min(most)));
        }
        steps
    }

    /// The operator of older converters, in floats or with quantized weights. False if it has something that is not known.
    pub(super) fn sequence_lstm(
        &mut self,
        name: &str,
        options: Option<&Table<'_>>,
        inputs: &[Option<ValueId>],
        outputs: &[ValueId],
    ) -> Result<bool> {
        let input = |position: usize| inputs.get(position).copied().flatten();
        let flag = |number: usize| options.is_some_and(|table| table.byte(number, 0) != 0);
        let clips =
            options.is_some_and(|table| table.float(1, 0.0) > 0.0 || table.float(2, 0.0) > 0.0);
        let tanh = options.is_some_and(|table| table.byte(0, 0) == 4);
        // Peepholes, projection, normalization of layers, and coupled gates.
        let others = (9..12).chain(16..18).chain(20..24).any(|at| input(at).is_some());
        let (Some(series), &[output], false, false, true) =
            (input(0), outputs, clips, others, tanh)
        else {
            return Ok(false);
        };
        // Input, forget, cell, output.
        let joined = |first: usize| -> Option<Vec<f64>> {
            let parts: Option<Vec<Vec<f64>>> =
                (first..first + GATES).map(|at| self.graph.reals(input(at))).collect();
            Some(parts?.concat())
        };
        let hidden = self.graph.shape(input(5)).and_then(|shape| shape.last().copied());
        let (Some(hidden), Some(first), Some(second), Some(bias)) =
            (hidden, joined(1), joined(5), joined(12))
        else {
            return Ok(false);
        };
        let cell = self.graph.add(Value::named(format!("{name} cell")));
        let lists = [first, second, bias];
        let batch_first = !flag(3);
        self.recurrent(name, hidden, &lists, [series], [None, None], cell, batch_first);
        let all = self.graph.nodes.last().map_or(output, |node| node.outputs[0]);
        self.reshape(&format!("{name}_states"), all, output);
        Ok(true)
    }

    /// Adds a recurrent node; gives the value of its last hidden state.
    #[expect(clippy::too_many_arguments, reason = "they are the inputs and outputs of one node")]
    fn recurrent(
        &mut self,
        name: &str,
        hidden: usize,
        lists: &[Vec<f64>; 3],
        [series]: [ValueId; 1],
        states: [Option<ValueId>; 2],
        cell: ValueId,
        batch_first: bool,
    ) -> ValueId {
        let rows = GATES * hidden;
        let mut constant = |list: &[f64], after: Option<&[f64]>, columns: usize| {
            let row = columns * hidden;
            let gate = |&gate: &usize| list[gate * row..(gate + 1) * row].iter().copied();
            let values: Vec<f64> = match list.len() == GATES * row {
                true => ORDER.iter().flat_map(gate).chain(after.unwrap_or(&[]).to_vec()).collect(),
                // Of another size than it should have, which resolving refuses.
                false => list.to_vec(),
            };
            let mut shape = vec![1, rows, columns];
            if after.is_some() {
                shape = vec![1, 2 * rows];
            }
            let floats = values.iter().map(|&value| value as f32).collect();
            let constant = Some(Constant::Floats(floats));
            let value = Value { shape: Some(shape), constant, ..Value::named(name) };
            Some(self.graph.add(value))
        };
        let columns = |list: &[f64]| list.len() / rows.max(1);
        let first = constant(&lists[0], None, columns(&lists[0]));
        let second = constant(&lists[1], None, hidden);
        let bias = constant(&lists[2], Some(&vec![0.0; rows]), 1);
        let [all, last] =
            ["all", "last"].map(|part| self.graph.add(Value::named(format!("{name} {part}"))));
        let [state, memory] = states;
        self.graph.nodes.push(Node {
            name: name.to_string(),
            operator: "LSTM".to_string(),
            operation: Operation::Recurrent(Sequence {
                cell: Cell::Lstm,
                hidden,
                directions: vec![false],
                batch_first,
            }),
            inputs: vec![Some(series), first, second, bias, None, state, memory],
            outputs: vec![all, last, cell],
        });
        last
    }

    /// Adds a node that gives `to` the numbers of `from` in its own shape.
    fn reshape(&mut self, name: &str, from: ValueId, to: ValueId) {
        let shape = self.graph.values[to].shape.clone().unwrap_or_default();
        let shape = shape.into_iter().map(|size| i64::try_from(size).unwrap_or(0)).collect();
        self.graph.nodes.push(Node {
            name: name.to_string(),
            operator: "LSTM".to_string(),
            operation: Operation::Reshape { shape: Some(shape), zero_is_zero: true },
            inputs: vec![Some(from)],
            outputs: vec![to],
        });
    }
}

/// A loop's body, to be looked through from its outputs.
struct Body<'a> {
    graph: &'a Graph,
    writers: Vec<Option<usize>>,
}

impl<'a> Body<'a> {
    fn new(graph: &'a Graph) -> Option<Self> {
        let writers = graph.writers();
        let count = graph.inputs.len();
        (count == graph.outputs.len() && count <= MOST_VARIABLES).then_some(Self { graph, writers })
    }

    fn node(&self, id: ValueId) -> Option<&'a Node> {
        self.graph.nodes.get(self.writers[id]?)
    }

    /// What an operator of that name reads to write the value.
    fn reads(&self, id: ValueId, operator: &str) -> Option<&'a [Option<ValueId>]> {
        self.node(id).filter(|node| node.operator == operator).map(|node| &node.inputs[..])
    }

    fn one(&self, id: ValueId, operator: &str) -> Option<ValueId> {
        match self.reads(id, operator)? {
            [Some(input)] => Some(*input),
            _ => None,
        }
    }

    /// Two operands, in both orders.
    fn two(&self, id: ValueId, operator: &str) -> Option<[[ValueId; 2]; 2]> {
        match self.reads(id, operator)? {
            [Some(first), Some(second)] => Some([[*first, *second], [*second, *first]]),
            _ => None,
        }
    }

    /// What stands behind reshapes.
    fn behind(&self, mut id: ValueId) -> ValueId {
        for _ in 0..MOST_STEPS {
            let next = ["RESHAPE", "SQUEEZE", "EXPAND_DIMS"].iter().find_map(|operator| {
                self.reads(id, operator).and_then(|inputs| inputs.first().copied().flatten())
            });
            match next {
                Some(next) => id = next,
                None => break,
            }
        }
        id
    }

    /// The LSTM whose new hidden state one of the outputs is.
    fn lstm(&self) -> Option<Found> {
        let variables = 0..self.graph.inputs.len();
        variables
            .clone()
            .find_map(|hidden| variables.clone().find_map(|cell| self.lstm_of(hidden, cell)))
    }

    fn lstm_of(&self, hidden: usize, cell: usize) -> Option<Found> {
        let graph = self.graph;
        let [new, new_cell] = [hidden, cell].map(|variable| graph.outputs[variable]);
        let old_cell = graph.inputs[cell];
        // h' = sigmoid(o) · tanh(c')
        let output = self.two(new, "MUL")?.into_iter().find_map(|[gate, tangent]| {
            (self.one(tangent, "TANH")? == new_cell).then(|| self.one(gate, "LOGISTIC"))?
        })?;
        // c' = sigmoid(f) · c + sigmoid(i) · tanh(g)
        let [forget, input, candidate] =
            self.two(new_cell, "ADD")?.into_iter().find_map(|[kept, fresh]| {
                let forget = self.two(kept, "MUL")?.into_iter().find_map(|[gate, before]| {
                    (before == old_cell).then(|| self.one(gate, "LOGISTIC"))?
                })?;
                let fresh = self.two(fresh, "MUL")?.into_iter().find_map(|[gate, tangent]| {
                    Some([self.one(gate, "LOGISTIC")?, self.one(tangent, "TANH")?])
                })?;
                Some([forget, fresh[0], fresh[1]])
            })?;
        // All four are parts of one sum.
        let gates = [input, forget, candidate, output];
        let split = self.node(input).filter(|node| node.operator == "SPLIT")?;
        let places: Option<Vec<usize>> = gates
            .iter()
            .map(|gate| split.outputs.iter().position(|output| output == gate))
            .collect();
        let places = places?;
        let distinct: HashSet<usize> = places.iter().copied().collect();
        if split.outputs.len() != GATES || distinct.len() != GATES {
            return None;
        }
        let length = *graph.shape(Some(graph.inputs[hidden]))?.last()?;
        let sum = self.sum(split.input(0)?, graph.inputs[hidden])?;
        let (series, tables) = sum.finish(GATES * length)?;
        // The gates' own order.
        let arranged = |list: &[f64]| -> Option<Vec<f64>> {
            let size = list.len() / GATES;
            (list.len() == size * GATES).then(|| {
                let gate = |&place: &usize| list[place * size..(place + 1) * size].to_vec();
                places.iter().flat_map(gate).collect()
            })
        };
        let [first, second, bias] = &tables;
        let lists = [arranged(first)?, arranged(second)?, arranged(bias)?];
        let series = graph.inputs.iter().position(|&input| input == series)?;
        let unchanged = graph.outputs[series] == graph.inputs[series];
        let copies = (0..graph.outputs.len())
            .filter(|&variable| variable != hidden && self.behind(graph.outputs[variable]) == new)
            .collect();
        let states = [hidden, cell];
        unchanged.then_some(Found { series, states, copies, hidden: length, lists })
    }

    /// The parts of a sum of products and constants.
    fn sum(&self, id: ValueId, hidden: ValueId) -> Option<Sum> {
        let mut sum = Sum::default();
        let mut left = vec![id];
        for _ in 0..MOST_STEPS {
            let Some(id) = left.pop() else { return Some(sum) };
            let id = self.behind(id);
            if let Some(values) = self.graph.reals(Some(id)) {
                sum.bias.push(values);
            } else if let Some([[first, second], _]) = self.two(id, "ADD") {
                left.extend([first, second]);
            } else {
                let [data, weights, bias] = *self.reads(id, "FULLY_CONNECTED")? else {
                    return None;
                };
                let (data, weights) = (self.behind(data?), self.graph.reals(weights)?);
                if let Some(bias) = bias {
                    sum.bias.push(self.graph.reals(Some(bias))?);
                }
                if data == hidden {
                    sum.hidden.replace(weights).map_or(Some(()), |_| None)?;
                } else {
                    let series = *self.reads(data, "GATHER")?.first()?;
                    sum.input.replace((series?, weights)).map_or(Some(()), |_| None)?;
                }
            }
        }
        None
    }
}

/// What a sum of all gates is made of.
#[derive(Default)]
struct Sum {
    input: Option<(ValueId, Vec<f64>)>,
    hidden: Option<Vec<f64>>,
    bias: Vec<Vec<f64>>,
}

impl Sum {
    /// The series, and weights of the input, of the hidden state, and the bias of so many rows.
    fn finish(self, rows: usize) -> Option<(ValueId, [Vec<f64>; 3])> {
        let (series, input) = self.input?;
        let mut bias = vec![0.0; rows];
        for part in self.bias {
            if part.len() != rows {
                return None;
            }
            bias.iter_mut().zip(part).for_each(|(sum, value)| *sum += value);
        }
        Some((series, [input, self.hidden?, bias]))
    }
}
