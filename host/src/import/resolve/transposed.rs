//! Transposed convolutions, over images and series.

use super::reading::{Table, spread};
use super::{Resolver, Step, convolution, refuse};
use crate::import::graph::Node;
use crate::import::layer::{Kind, Sliding};
use crate::import::operation::{Convolution, WeightOrder};
use crate::import::passes::shapes;
use crate::import::view::View;

impl Resolver<'_> {
    pub(super) fn transposed(&mut self, node: &Node, window: &Convolution) -> Step<()> {
        let inputs_first = window.weights == WeightOrder::InputOutputRowColumn;
        let table = self.table(node, 1, usize::from(inputs_first))?;
        let view = self.view(node, 0)?;
        let image = self.image(node, &view, window.channels_last)?;
        let Some(upward) = shapes::upward(self.graph, node) else {
            return refuse("has a window that does not fit its input", "export the model again");
        };
        let (outputs, groups) = (upward.outputs, upward.groups);
        let group_outputs = outputs / groups;
        let inputs = match window.weights {
            WeightOrder::InputOutputRowColumn => table.shape[0],
            _ => table.shape.last().copied().unwrap_or(0) * groups,
        };
        if inputs != image.channels.len() || inputs % groups != 0 || inputs == 0 {
            return refuse(
                format!(
                    "has weights for {inputs} channels in {groups} groups, but reads {}",
                    image.channels.len()
                ),
                "export the model again",
            );
        }
        let bias = self.bias(node, 2, outputs)?;
        let axes = match upward.axes[..] {
            [rows, columns] => [rows, columns],
            [columns] => [
                shapes::UpwardAxis { kernel: 1, stride: 1, dilation: 1, before: 0, output: 1 },
                columns,
            ],
            _ => return refuse("slides over more than two axes", "use images or series"),
        };
        let taps = axes.map(|axis| (axis.kernel - 1) * axis.dilation + 1);
        let extent = axes.map(|axis| axis.output);
        let dilation = image.ordered(axes.map(|axis| axis.dilation));
        let [top, left] = image.ordered(axes.map(|axis| axis.before));
        let sliding = Sliding {
            kernel: image.ordered(taps),
            stride: image.ordered(axes.map(|axis| axis.stride)),
            border: [top, 0, left, 0],
        };
        convolution::fits(&sliding)?;
        for axis in 0..2 {
            let reach = image.extent[axis] * axes[axis].stride + taps[axis];
            if extent[axis] + axes[axis].before >= reach {
                return refuse(
                    "gives an output that goes on where no kernel reaches",
                    "give less output_padding",
                );
            }
        }
        if groups > 1 {
            self.count("groups as zero weights");
        }
        if dilation != [1, 1] {
            self.count("dilation as zero weights");
        }
        let depth = image.shape.channels;
        let [rows, columns] = sliding.kernel;
        let row_length = rows * columns * depth;
        self.weigh(outputs, row_length)?;
        let kernel = axes.map(|axis| axis.kernel);
        let per_group = inputs / groups;
        let place = |output: usize, input: usize, row: usize, column: usize| {
            let [row, column] = image.ordered([row, column]);
            let tap = row * kernel[1] + column;
            match window.weights {
                WeightOrder::InputOutputRowColumn => {
                    (input * group_outputs + output % group_outputs) * kernel[0] * kernel[1] + tap
                }
                _ => (output * kernel[0] * kernel[1] + tap) * per_group + input % per_group,
            }
        };
        // Scales of a group's outputs are those of all groups.
        let scales = match table.scales.len() {
            count if count == group_outputs && count > 1 => {
                (0..outputs).map(|output| table.scales[output % group_outputs]).collect()
            }
            _ => table.scales.clone(),
        };
        let table = Table { scales, ..table };
        let weights = spread(&table, outputs, row_length, bias, 1.0, |output| {
            let group = output / group_outputs;
            let (place, image) = (&place, &image);
            (0..rows).step_by(dilation[0]).flat_map(move |row| {
                (0..columns).step_by(dilation[1]).flat_map(move |column| {
                    (group * per_group..(group + 1) * per_group).map(move |input| {
                        let tap = row * columns + column;
                        let [row, column] = [row / dilation[0], column / dilation[1]];
                        let from = place(output, input, row, column);
                        (tap * depth + image.channels[input], from)
                    })
                })
            })
        });
        let (shape, view) = image.next(0, extent, outputs);
        let kind = Kind::Transposed { sliding, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.give(node, View { tensor, ..view });
        Ok(())
    }
}
