//! Layers that multiply: their weights from the file, and columns for numbers as they lie in memory.

use super::{Resolver, Step, refuse};
use crate::import::graph::{Constant, Element, Node, ValueId};
use crate::import::layer::{Kind, Sliding, Weights};
use crate::import::operation::Operation;

/// Constants of a layer before they are put into the order of memory.
pub struct Table {
    /// Sizes.
    pub shape: Vec<usize>,
    /// Real numbers.
    pub reals: Vec<f64>,
    /// Integers with zero point 0, where the file has them and they fit 8 bits.
    pub integers: Option<Vec<i8>>,
    /// The step of each output; one for all.
    pub scales: Vec<f64>,
}

impl Table {
    /// The step of an output.
    pub fn scale(&self, output: usize) -> f64 {
        self.scales.get(output).or(self.scales.first()).copied().unwrap_or(1.0)
    }
}

impl Resolver<'_> {
    /// The constant at an input; `outputs` is the axis that counts outputs.
    pub(super) fn table(&mut self, node: &Node, position: usize, outputs: usize) -> Step<Table> {
        let id = node.input(position);
        let (Some(id), Some(reals)) = (id, self.graph.reals(id)) else {
            return refuse(
                format!("has weights (input {position}) that are not constant"),
                "multiply by constants only",
            );
        };
        if !reals.iter().all(|value| value.is_finite()) {
            return refuse("has weights that are not finite", "train it again");
        }
        let value = &self.graph.values[id];
        let shape = value.shape.clone().unwrap_or_default();
        let mut table = Table { shape, reals, integers: None, scales: Vec::new() };
        let (Some(quantization), Some(Constant::Integers(integers))) =
            (&value.quantization, &value.constant)
        else {
            return Ok(table);
        };
        let by_output = quantization.scales.len() == 1 || quantization.axis == outputs;
        let single = quantization.zero_points.windows(2).all(|pair| pair[0] == pair[1]);
        if by_output && single && matches!(value.element, Element::I8 | Element::U8) {
            let zero_point = quantization.zero_point(0);
            let centred = integers.iter().map(|&number| i8::try_from(number - zero_point).ok());
            table.integers = centred.collect();
            table.scales.clone_from(&quantization.scales);
        }
        if table.integers.is_none() {
            self.count("weights made symmetric");
        }
        Ok(table)
    }

    /// The bias of a layer with so many outputs, zeros where there is none.
    pub(super) fn bias(&self, node: &Node, position: usize, outputs: usize) -> Step<Vec<f64>> {
        let Some(id) = node.input(position) else { return Ok(vec![0.0; outputs]) };
        let Some(bias) = self.graph.reals(Some(id)) else {
            return refuse(
                "has a bias that is not constant",
                "add what varies in a node of its own",
            );
        };
        let bias = if bias.len() == 1 { vec![bias[0]; outputs] } else { bias };
        if bias.len() != outputs || !bias.iter().all(|value| value.is_finite()) {
            return refuse(
                format!("has a bias of {} finite numbers for {outputs} outputs", bias.len()),
                "export the model again",
            );
        }
        Ok(bias)
    }

    pub(super) fn fully_connected(&mut self, node: &Node) -> Step<()> {
        let Operation::FullyConnected { outputs_first, alpha, beta } = node.operation else {
            return Ok(());
        };
        if node.input(0).is_some_and(|id| self.graph.values[id].constant.is_some()) {
            return refuse("multiplies a constant from the left", "put the constant second");
        }
        if node.input(1).is_some_and(|id| self.graph.values[id].constant.is_none()) {
            return refuse(
                "multiplies two values that vary, as attention does",
                "multiply by constants only",
            );
        }
        let view = self.view(node, 0)?;
        let axis = usize::from(!outputs_first);
        let table = self.table(node, 1, axis)?;
        let [first, second] = table.shape[..] else {
            return refuse("has weights that are not a matrix", "use a matrix");
        };
        let (outputs, inputs) = if outputs_first { (first, second) } else { (second, first) };
        let place = |output: usize, input: usize| match outputs_first {
            true => output * inputs + input,
            false => input * outputs + output,
        };
        let mut bias = self.bias(node, 2, outputs)?;
        bias.iter_mut().for_each(|bias| *bias *= beta);
        let shape = view.shape();
        let elements: usize = shape.iter().product();
        if elements != inputs {
            return self.pointwise(node, &table, inputs, outputs, (place, alpha), bias);
        }
        let columns = view.places();
        let whole = self.layers.shape(view.tensor).elements();
        self.weigh(outputs, whole)?;
        let weights = spread(&table, outputs, whole, bias, alpha, |output| {
            columns.iter().enumerate().map(move |(input, &column)| (column, place(output, input)))
        });
        if columns.iter().enumerate().any(|(input, &column)| input != column) {
            self.count("weights reordered");
        }
        let shape = crate::data::SampleShape::new(1, 1, outputs);
        let kind = Kind::FullyConnected { weights };
        let tensor = self.push(node, kind, vec![view.tensor], shape)?;
        let given = self.shape_of(Some(node.outputs[0]))?.to_vec();
        let view = crate::import::view::View::contiguous(tensor, &given);
        self.give(node, view);
        Ok(())
    }

    /// A matrix for each position of an image or a series: a convolution of one pixel.
    fn pointwise(
        &mut self,
        node: &Node,
        table: &Table,
        inputs: usize,
        outputs: usize,
        (place, alpha): (impl Fn(usize, usize) -> usize + Copy, f64),
        bias: Vec<f64>,
    ) -> Step<()> {
        let view = self.view(node, 0)?;
        let image = self.image(node, &view, true)?;
        if image.channels.len() != inputs {
            return refuse(
                format!("reads {} numbers with weights for {inputs}", image.channels.len()),
                "export the model again",
            );
        }
        self.weigh(outputs, image.shape.channels)?;
        let channels = &image.channels;
        let weights = spread(table, outputs, image.shape.channels, bias, alpha, |output| {
            channels
                .iter()
                .enumerate()
                .map(move |(input, &channel)| (channel, place(output, input)))
        });
        let (shape, view) = image.next(0, image.extent, outputs);
        let kind = Kind::Convolution { sliding: Sliding::PIXEL, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.count("matrix as convolution");
        self.give(node, crate::import::view::View { tensor, ..view });
        Ok(())
    }

    /// What a value that is read together with a border has around it.
    pub(super) fn bordered(&self, id: Option<ValueId>) -> Option<(ValueId, [[usize; 2]; 2])> {
        let bordered = self.borders.get(&id?)?;
        Some((bordered.inside, bordered.amounts))
    }
}

/// Weights whose columns lie as numbers lie in memory; numbers that no weight reads have weight 0.
/// `places` gives the column and the place in the table of each weight of an output.
pub fn spread<I: Iterator<Item = (usize, usize)>>(
    table: &Table,
    outputs: usize,
    row_length: usize,
    bias: Vec<f64>,
    factor: f64,
    places: impl Fn(usize) -> I,
) -> Weights {
    let mut reals = vec![0.0; outputs * row_length];
    let mut integers = table.integers.as_ref().map(|_| vec![0i8; outputs * row_length]);
    for output in 0..outputs {
        for (column, place) in places(output) {
            let to = output * row_length + column;
            reals[to] = table.reals[place] * factor;
            if let (Some(integers), Some(from)) = (&mut integers, &table.integers) {
                integers[to] = from[place];
            }
        }
    }
    // A factor that is not 1 stays exact only where it is positive.
    let integers = integers.filter(|_| factor > 0.0).map(|integers| {
        (integers, (0..outputs).map(|output| table.scale(output) * factor).collect())
    });
    Weights { row_length, reals, bias, integers }
}
