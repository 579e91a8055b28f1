//! Nodes that compute number by number, and softmax.

use super::{Resolver, Step, refuse};
use crate::import::axes::axis;
use crate::import::graph::Node;
use crate::import::layer::Kind;
use crate::import::operation::{Binary, Unary};
use crate::import::passes::constants::advance;
use crate::import::view::View;

impl Resolver<'_> {
    /// A layer that keeps the shape of what it reads, and its output under the same view.
    fn alike(&mut self, node: &Node, view: View, kind: Kind) -> Step<()> {
        let shape = self.layers.shape(view.tensor);
        let tensor = self.push(node, kind, vec![view.tensor], shape)?;
        self.give(node, View { tensor, ..view });
        Ok(())
    }

    pub(super) fn unary(&mut self, node: &Node, unary: Unary) -> Step<()> {
        self.function(node, 0, unary)
    }

    /// A function of the input at this position.
    fn function(&mut self, node: &Node, position: usize, unary: Unary) -> Step<()> {
        let view = self.view(node, position)?;
        let kind = match unary {
            Unary::Relu => Kind::Relu { six: false },
            Unary::Relu6 => Kind::Relu { six: true },
            Unary::Negate => {
                let channels = self.layers.shape(view.tensor).channels;
                Kind::Affine { gain: vec![-1.0; channels], shift: vec![0.0; channels] }
            }
            other => Kind::Function(other),
        };
        self.alike(node, view, kind)
    }

    pub(super) fn clip(&mut self, node: &Node, ends: Option<[f64; 2]>) -> Step<()> {
        let view = self.view(node, 0)?;
        let end = |position: usize, default: f64| match node.input(position) {
            None => Some(default),
            Some(input) => self.graph.reals(Some(input))?.first().copied(),
        };
        let ends = match ends {
            Some([low, high]) => (Some(low), Some(high)),
            None => (end(1, f64::NEG_INFINITY), end(2, f64::INFINITY)),
        };
        // Exporters write the largest float where there is no end.
        let kind = match ends {
            (Some(low), Some(high)) if low <= -1e30 && high >= 1e30 => {
                return self.give_same(node, node.outputs[0], view);
            }
            (Some(0.0), Some(6.0)) => Kind::Relu { six: true },
            (Some(0.0), Some(high)) if high >= 1e30 => Kind::Relu { six: false },
            (Some(low), Some(high)) if low < high => {
                let end = |end: f64, open: f64| if end.abs() >= 1e30 { open } else { end };
                let ends = (end(low, f64::NEG_INFINITY), end(high, f64::INFINITY));
                return self.alike(node, view, Kind::Function(Unary::Clip(ends.0, ends.1)));
            }
            (Some(low), Some(high)) => {
                return refuse(format!("cuts off at {low} and {high}"), "give the lower end first");
            }
            _ => return refuse("has ends that are not constant", "use constant ends"),
        };
        self.count("clip as activation");
        self.alike(node, view, kind)
    }

    pub(super) fn batch_norm(&mut self, node: &Node, epsilon: f64) -> Step<()> {
        let view = self.view(node, 0)?;
        let list = |position: usize| match self.graph.reals(node.input(position)) {
            Some(values) => Ok(values),
            None => refuse("has numbers that are not constant", "export in evaluation mode"),
        };
        let [scale, shift, mean, variance] = [list(1)?, list(2)?, list(3)?, list(4)?];
        let channels = view.shape().get(1).copied().unwrap_or(1);
        let lengths = [&scale, &shift, &mean, &variance];
        if lengths.iter().any(|list| list.len() != channels) {
            return refuse(
                "has another number of channels than its input",
                "export the model again",
            );
        }
        let deviation = |channel: usize| (variance[channel] + epsilon).sqrt();
        let gain: Vec<f64> =
            (0..channels).map(|channel| scale[channel] / deviation(channel)).collect();
        let shift: Vec<f64> =
            (0..channels).map(|channel| shift[channel] - mean[channel] * gain[channel]).collect();
        let by_axis = |values: Vec<f64>| {
            let mut shape = vec![1; view.axes.len()];
            shape[1] = channels;
            (shape, values)
        };
        self.affine(node, view.clone(), by_axis(gain), by_axis(shift))
    }

    /// A constant divided by the second input: its inverse, and factors behind it.
    fn divided(&mut self, node: &Node, constant: (Vec<usize>, Vec<f64>)) -> Step<()> {
        let view = self.view(node, 1)?;
        if constant.1.windows(2).any(|pair| pair[0] != pair[1]) {
            return refuse("divides constants that differ", "multiply by them behind the division");
        }
        let shape = self.layers.shape(view.tensor);
        let name = format!("{}_inverse", node.name);
        let kind = Kind::Function(Unary::Power(-1.0));
        let inputs = vec![view.tensor];
        let tensor = self.push_as(&name, &node.operator, kind, inputs, shape, None);
        let factor = constant.1.first().copied().unwrap_or(1.0);
        if factor == 1.0 && self.grid(node.outputs[0])?.is_none() {
            self.give(node, View { tensor, ..view });
            return Ok(());
        }
        let channels = shape.channels;
        let kind = Kind::Affine { gain: vec![factor; channels], shift: vec![0.0; channels] };
        self.alike(node, View { tensor, ..view }, kind)
    }

    /// `x` above 0, `slope · x` below: a leaky ReLU of one slope, else `slope · x + (1 − slope) · relu(x)`.
    pub(super) fn parametric_relu(&mut self, node: &Node) -> Step<()> {
        let view = self.view(node, 0)?;
        let id = node.input(1);
        let (Some(sizes), Some(slopes)) = (self.graph.shape(id), self.graph.reals(id)) else {
            return refuse("has slopes that are not constant", "export in evaluation mode");
        };
        if let Some(&slope) = slopes.first()
            && slopes.iter().all(|&other| other == slope)
        {
            return self.alike(node, view, Kind::Function(Unary::LeakyRelu(slope)));
        }
        let one = (vec![], vec![0.0]);
        let Kind::Affine { gain, shift } =
            self.by_channel(&view, &(sizes.to_vec(), slopes), &one)?
        else {
            return refuse("has no slopes", "export the model again");
        };
        let shape = self.layers.shape(view.tensor);
        let rest: Vec<f64> = gain.iter().map(|slope| 1.0 - slope).collect();
        let add = |this: &mut Self, part: &str, kind, tensor| {
            let name = format!("{}_{part}", node.name);
            this.push_as(&name, &node.operator, kind, vec![tensor], shape, None)
        };
        let linear = Kind::Affine { gain, shift: shift.clone() };
        let linear = add(self, "slope", linear, view.tensor);
        let cut = add(self, "relu", Kind::Relu { six: false }, view.tensor);
        let cut = add(self, "rest", Kind::Affine { gain: rest, shift }, cut);
        let tensor = self.push(node, Kind::Add, vec![linear, cut], shape)?;
        self.count("slopes by channel as a sum");
        self.give(node, View { tensor, ..view });
        Ok(())
    }

    /// The position of the largest number: the answer of a model that gives the numbers.
    pub(super) fn arg_max(&mut self, node: &Node) -> Step<()> {
        let view = self.view(node, 0)?;
        let shape = self.layers.shape(view.tensor);
        if !self.graph.outputs.contains(&node.outputs[0]) {
            return refuse("is not the last node", "end the model in it, or leave it out");
        }
        if shape.height * shape.width != 1 {
            return refuse("chooses for each pixel", "leave it out; what reads scores can choose");
        }
        self.count("argmax left to the board");
        self.labels.insert(node.outputs[0]);
        self.give(node, view);
        Ok(())
    }

    /// `gain · x + shift` with constants that are repeated along axes of size 1.
    fn affine(
        &mut self,
        node: &Node,
        view: View,
        gain: (Vec<usize>, Vec<f64>),
        shift: (Vec<usize>, Vec<f64>),
    ) -> Step<()> {
        let kind = self.by_channel(&view, &gain, &shift)?;
        self.alike(node, view, kind)
    }

    /// Constants that are repeated along axes of size 1, for each channel of memory.
    fn by_channel(
        &self,
        view: &View,
        gain: &(Vec<usize>, Vec<f64>),
        shift: &(Vec<usize>, Vec<f64>),
    ) -> Step<Kind> {
        let channels = self.layers.shape(view.tensor).channels;
        let mut numbers = vec![None; channels];
        let shape = view.shape();
        let mut index = vec![0; shape.len()];
        for place in view.places() {
            let found = [at(gain, &index), at(shift, &index)];
            let known = &mut numbers[place % channels];
            if known.is_some_and(|known| known != found) {
                return refuse(
                    "multiplies or adds constants that differ from pixel to pixel",
                    "use one for each channel",
                );
            }
            *known = Some(found);
            advance(&mut index, &shape);
        }
        let numbers = numbers.iter().map(|numbers| numbers.unwrap_or([1.0, 0.0]));
        let (gain, shift): (Vec<f64>, Vec<f64>) =
            numbers.map(|[gain, shift]| (gain, shift)).unzip();
        if !gain.iter().chain(&shift).all(|number| number.is_finite()) {
            return refuse("multiplies or adds numbers that are not finite", "train it again");
        }
        Ok(Kind::Affine { gain, shift })
    }

    pub(super) fn binary(&mut self, node: &Node, binary: Binary) -> Step<()> {
        let constant = |position: usize| {
            let id = node.input(position)?;
            self.graph.values[id].constant.as_ref()?;
            Some((self.graph.shape(Some(id))?.to_vec(), self.graph.reals(Some(id))?))
        };
        let one = (vec![], vec![1.0]);
        let zero = (vec![], vec![0.0]);
        let negative = |(shape, values): (Vec<usize>, Vec<f64>)| {
            (shape, values.iter().map(|value| -value).collect())
        };
        let inverse = |(shape, values): (Vec<usize>, Vec<f64>)| {
            (shape, values.iter().map(|value| 1.0 / value).collect())
        };
        let (gain, shift, position) = match (constant(0), constant(1)) {
            (None, None) => return self.two(node, binary),
            (Some(_), Some(_)) => return refuse("has constants only", "export the model again"),
            (None, Some(constant)) => match binary {
                Binary::Add => (one, constant, 0),
                Binary::Subtract => (one, negative(constant), 0),
                Binary::Multiply => (constant, zero, 0),
                Binary::Divide => (inverse(constant), zero, 0),
                _ => match constant_function(binary, &constant.1) {
                    Some(unary) => return self.unary(node, unary),
                    None => {
                        return refuse(
                            "has constants that differ as an operand",
                            "use one number, or addition or multiplication",
                        );
                    }
                },
            },
            (Some(constant), None) => match binary {
                Binary::Add => (one, constant, 1),
                Binary::Multiply => (constant, zero, 1),
                Binary::Subtract => (negative(one), constant, 1),
                Binary::Maximum | Binary::Minimum => match constant_function(binary, &constant.1) {
                    Some(unary) => return self.function(node, 1, unary),
                    None => {
                        return refuse(
                            "has constants that differ as an operand",
                            "use one number, or addition or multiplication",
                        );
                    }
                },
                Binary::Divide => return self.divided(node, constant),
                Binary::Power => {
                    return refuse("takes a power of a constant", "use e^x, with a factor before");
                }
            },
        };
        let view = self.view(node, position)?;
        if self.shape_of(Some(node.outputs[0]))?.iter().product::<usize>()
            != view.shape().iter().product::<usize>()
        {
            return refuse("repeats numbers of its input", "give the constant the smaller shape");
        }
        // Axes that only the constant has.
        let rank = self.shape_of(Some(node.outputs[0]))?.to_vec();
        let view = match view.axes.len() == rank.len() {
            true => view,
            false => match view.reshaped(&rank) {
                Some(view) => view,
                None => return refuse("changes the number of axes", "reshape before"),
            },
        };
        self.affine(node, view, gain, shift)
    }

    pub(super) fn softmax(
        &mut self,
        node: &Node,
        along: i64,
        logarithm: bool,
        rest: bool,
    ) -> Step<()> {
        let view = self.view(node, 0)?;
        let Some(along) = axis(along, view.axes.len()) else {
            return refuse("has an axis that is not there", "export the model again");
        };
        let shape = self.layers.shape(view.tensor);
        let mut steps = view.axes[along].clone();
        if rest {
            steps = view.axes[along..].concat();
        }
        let covered: usize = steps.iter().map(|steps| steps.size).product();
        let within = steps.iter().all(|steps| steps.stride < shape.channels as isize);
        if covered != shape.channels || !within {
            return refuse("does not go over all channels", "take softmax over the channels");
        }
        if logarithm {
            if !self.graph.outputs.contains(&node.outputs[0]) {
                return refuse("is not the last node", "leave the logarithm to the end");
            }
            // Scores have the same order, and the same probabilities.
            self.count("log-softmax as softmax");
        }
        let grid = self.grid(node.outputs[0])?;
        let operator = node.operator.clone();
        let tensor =
            self.push_as(&node.name, &operator, Kind::Softmax, vec![view.tensor], shape, grid);
        if logarithm {
            self.logarithms.insert(tensor);
        }
        self.give(node, View { tensor, ..view });
        Ok(())
    }
}

/// What a maximum, minimum or power with one constant number is.
fn constant_function(binary: Binary, constant: &[f64]) -> Option<Unary> {
    let &number = constant.first()?;
    if !number.is_finite() || constant.iter().any(|&other| other != number) {
        return None;
    }
    match binary {
        Binary::Maximum if number == 0.0 => Some(Unary::Relu),
        Binary::Maximum => Some(Unary::Clip(number, f64::INFINITY)),
        Binary::Minimum => Some(Unary::Clip(f64::NEG_INFINITY, number)),
        Binary::Power => Some(Unary::Power(number)),
        _ => None,
    }
}

/// The number of a constant that is repeated along axes of size 1 and in front.
fn at((shape, values): &(Vec<usize>, Vec<f64>), index: &[usize]) -> f64 {
    let skipped = index.len().saturating_sub(shape.len());
    let pairs = index[skipped..].iter().zip(shape);
    let place =
        pairs.fold(0, |place, (&index, &size)| place * size + if size == 1 { 0 } else { index });
    values.get(place).copied().unwrap_or(0.0)
}
