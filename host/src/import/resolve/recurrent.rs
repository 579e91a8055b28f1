//! Recurrent operators: their weights in the order of networks here, and the views of what they give.

use super::image::Image;
use super::{Resolver, Step, refuse};
use crate::data::SampleShape;
use crate::import::graph::Node;
use crate::import::layer::{Kind, Recurrent};
use crate::import::operation::{Cell, Sequence};
use crate::import::view::{Steps, View};

/// Inputs by their positions: weights of the input and of the hidden state, bias, lengths, first states, weights of the cell.
const INPUT_WEIGHTS: usize = 1;
const HIDDEN_WEIGHTS: usize = 2;
const BIAS: usize = 3;
const LENGTHS: usize = 4;
const FIRST_STATES: [usize; 2] = [5, 6];
const CELL_WEIGHTS: usize = 7;

/// Gates of the file in the order of networks here: i, f, g, o from i, o, f, g.
const LSTM_ORDER: [usize; 4] = [0, 2, 3, 1];
/// z, r, n as they are.
const GRU_ORDER: [usize; 3] = [0, 1, 2];

impl Resolver<'_> {
    pub(super) fn recurrent(&mut self, node: &Node, sequence: &Sequence) -> Step<()> {
        let view = self.view(node, 0)?;
        if view.axes.len() != 3 {
            return refuse("reads something that is not a series", "give time, batch, channels");
        }
        let series = if sequence.batch_first { view } else { view.transposed(&[1, 0, 2]) };
        let image = self.image(node, &series, true)?;
        if image.swapped || image.shape.height != 1 {
            return refuse(
                "reads a series that lies in memory as an image",
                "reshape to time and channels directly before it only where nothing else is behind",
            );
        }
        self.check_states(node)?;
        let columns = image.extent[1];
        let readers = self.graph.readers();
        let read = |position: usize| node.outputs.get(position).is_some_and(|&id| readers[id] > 0);
        if read(2) {
            return refuse("gives its last cell", "use the hidden states only");
        }
        let whole = read(0);
        let length = sequence.hidden;
        let shape = SampleShape::new(1, if whole { columns } else { 1 }, length);
        let mut tensors = Vec::new();
        for (number, &backward) in sequence.directions.iter().enumerate() {
            let lists = self.gate_lists(node, sequence, number, &image)?;
            let reset = match sequence.cell {
                Cell::Lstm => None,
                Cell::Gru { reset } => Some(reset),
            };
            let kind = Kind::Recurrent(Recurrent { reset, backward, sequence: whole, lists });
            let (name, operator) = (&node.name, &node.operator);
            tensors.push(self.push_as(name, operator, kind, vec![image.tensor], shape, None));
        }
        let count = tensors.len();
        let tensor = match tensors[..] {
            [one] => one,
            _ => {
                let shape = SampleShape::new(1, shape.width, count * length);
                let kind = Kind::Concatenate;
                self.push_as(&node.name, &node.operator, kind, tensors, shape, None)
            }
        };
        let steps = |size: usize, stride: isize| {
            if size > 1 { vec![Steps { size, stride }] } else { vec![] }
        };
        let column = (count * length) as isize;
        let hidden = steps(length, 1);
        if whole {
            let (times, ways) = (steps(columns, column), steps(count, length as isize));
            let axes = match sequence.batch_first {
                true => vec![vec![], times, ways, hidden.clone()],
                false => vec![times, ways, vec![], hidden.clone()],
            };
            self.views[node.outputs[0]] = Some(View { tensor, offset: 0, axes });
        }
        if let Some(&last) = node.outputs.get(1) {
            // The last state of the way back is in the first column.
            let place = |number: usize| match (whole, sequence.directions[number]) {
                (true, false) => (columns - 1) * count * length + number * length,
                _ => number * length,
            };
            let offset = place(0);
            let ways = steps(count, place(count - 1) as isize - offset as isize);
            let axes = match sequence.batch_first {
                true => vec![vec![], ways, hidden],
                false => vec![ways, vec![], hidden],
            };
            self.views[last] = Some(View { tensor, offset, axes });
        }
        Ok(())
    }

    /// First states are zeros, and all columns are read.
    fn check_states(&self, node: &Node) -> Step<()> {
        for position in FIRST_STATES {
            let Some(id) = node.input(position) else { continue };
            match self.graph.reals(Some(id)) {
                Some(values) if values.iter().all(|&value| value == 0.0) => {}
                Some(_) => {
                    return refuse("begins with a state that is not zero", "begin with zeros");
                }
                None => return refuse("begins with a state that varies", "begin with zeros"),
            }
        }
        if node.input(CELL_WEIGHTS).is_some() {
            return refuse("has gates that read the cell (peepholes)", "leave them out");
        }
        if node.input(LENGTHS).is_some() {
            return refuse("has sequence lengths", "export with series of one fixed length");
        }
        Ok(())
    }

    /// The lists of one direction: weights of the input, with a column for each channel in memory, weights of the hidden state, and both biases.
    fn gate_lists(
        &mut self,
        node: &Node,
        sequence: &Sequence,
        number: usize,
        image: &Image,
    ) -> Step<[Vec<f64>; 4]> {
        let order: &[usize] = match sequence.cell {
            Cell::Lstm => &LSTM_ORDER,
            Cell::Gru { .. } => &GRU_ORDER,
        };
        let (length, inputs) = (sequence.hidden, image.channels.len());
        let (rows, channels) = (order.len() * length, image.shape.channels);
        self.weigh(rows, channels.saturating_add(length))?;
        let list = |position: usize, sizes: &[usize]| -> Step<Vec<f64>> {
            let whole = [&[sequence.directions.len()], sizes].concat();
            let values = self.graph.reals(node.input(position));
            match values {
                Some(values)
                    if self.graph.shape(node.input(position)) == Some(&whole[..])
                        && values.iter().all(|value| value.is_finite()) =>
                {
                    let size: usize = sizes.iter().product();
                    Ok(values[number * size..(number + 1) * size].to_vec())
                }
                _ => refuse(
                    format!(
                        "has weights (input {position}) that are not {whole:?} finite constants"
                    ),
                    "export the model again",
                ),
            }
        };
        let weights = list(INPUT_WEIGHTS, &[rows, inputs])?;
        let recurrent = list(HIDDEN_WEIGHTS, &[rows, length])?;
        let bias = match node.input(BIAS) {
            Some(_) => list(BIAS, &[2 * rows])?,
            None => vec![0.0; 2 * rows],
        };
        let mut lists: [Vec<f64>; 4] = Default::default();
        for &gate in order {
            for row in gate * length..(gate + 1) * length {
                let mut spread = vec![0.0; channels];
                for (&channel, weight) in image.channels.iter().zip(&weights[row * inputs..]) {
                    spread[channel] = *weight;
                }
                lists[0].extend(spread);
                lists[1].extend(&recurrent[row * length..(row + 1) * length]);
                lists[2].push(bias[row]);
                lists[3].push(bias[rows + row]);
            }
        }
        Ok(lists)
    }
}
