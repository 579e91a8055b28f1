//! Poolings, and means over rows and columns.

use super::convolution::fits;
use super::{KEEP_IN_ORDER, Resolver, Step, refuse};
use crate::import::graph::Node;
use crate::import::layer::{Grid, Kind, Sliding};
use crate::import::operation::{Operation, Pool, Reduction};
use crate::import::passes::shapes;
use crate::import::view::{View, merged};
use crate::import::window::{Span, span};

impl Resolver<'_> {
    pub(super) fn pool(&mut self, node: &Node, pool: &Pool) -> Step<()> {
        if pool.dilated {
            return refuse("has dilations", "use a pooling without");
        }
        let (image, more) = self.image_with_border(node, pool.channels_last)?;
        let padded = more != [[0, 0]; 2];
        let axes = pool.kernel.len();
        if !(1..=2).contains(&axes) || pool.stride.len() != axes {
            return refuse("slides over more than two axes", "use images or series");
        }
        let mut spans = [Span { before: 0, after: 0, stated_after: 0, output: image.extent[0] }; 2];
        let mut sliding = Sliding::PIXEL;
        for axis in 2 - axes..2 {
            let position = axis + axes - 2;
            let window = [pool.kernel[position], pool.stride[position], 1];
            let [before, after] = more[axis];
            let size = image.extent[axis] + before + after;
            let found = span(&pool.border, [position, axes], size, window, pool.round_up);
            let Some(found) = found else {
                return refuse("has a window that does not fit its input", "use a smaller kernel");
            };
            spans[axis] = found;
            sliding.kernel[axis] = window[0];
            sliding.stride[axis] = window[1];
        }
        let extent = spans.map(|span| span.output);
        let amounts = [0, 1]
            .map(|axis| [spans[axis].before + more[axis][0], spans[axis].after + more[axis][1]]);
        sliding.kernel = image.ordered(sliding.kernel);
        sliding.stride = image.ordered(sliding.stride);
        let [[top, bottom], [left, right]] = image.ordered(amounts);
        sliding.border = [top, bottom, left, right];
        fits(&sliding)?;
        if padded && pool.maximum && !self.is_never_negative(image.tensor) {
            return refuse(
                "takes the maximum over zeros that are not below all numbers",
                "put ReLU before the padding",
            );
        }
        let beyond = spans.iter().any(|span| span.after > span.stated_after);
        let stated = spans.iter().any(|span| span.before + span.stated_after > 0);
        if !pool.maximum && pool.count_border && beyond && stated {
            return refuse(
                "counts a border and windows that reach beyond it",
                "leave out ceil_mode or count_include_pad",
            );
        }
        let count_border = pool.count_border && !beyond;
        if !pool.maximum && padded && !count_border {
            return refuse(
                "averages over a border in a node of its own",
                "count the border in the pooling",
            );
        }
        let kind = match pool.maximum {
            true => Kind::MaxPool { sliding },
            false => Kind::AveragePool { sliding, count_border },
        };
        let (shape, view) = image.channelwise(0, extent);
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.give(node, View { tensor, ..view });
        if pool.maximum && self.layers.grid(tensor).is_none() {
            *self.layers.grid_mut(tensor) = self.layers.grid(image.tensor);
        }
        Ok(())
    }

    /// Whether a tensor holds no number below 0.
    fn is_never_negative(&self, tensor: usize) -> bool {
        let grid = self.layers.grid(tensor);
        if grid.is_some_and(|grid: Grid| grid.zero_point == i8::MIN) {
            return true;
        }
        let Some(layer) = self.layers.layer_of(tensor).map(|index| &self.layers.layers[index])
        else {
            return false;
        };
        match layer.kind {
            Kind::Relu { .. } => true,
            Kind::MaxPool { .. } => self.is_never_negative(layer.inputs[0]),
            _ => false,
        }
    }

    pub(super) fn global_maximum(&mut self, node: &Node) -> Step<()> {
        let view = self.view(node, 0)?;
        let image = self.image(node, &view, false)?;
        let kernel = [image.shape.height, image.shape.width];
        let sliding = Sliding { kernel, stride: [1, 1], border: [0; 4] };
        fits(&sliding)?;
        let (shape, view) = image.channelwise(0, [1, 1]);
        let tensor = self.push(node, Kind::MaxPool { sliding }, vec![image.tensor], shape)?;
        if self.layers.grid(tensor).is_none() {
            *self.layers.grid_mut(tensor) = self.layers.grid(image.tensor);
        }
        self.give(node, View { tensor, ..view });
        Ok(())
    }

    /// Means, sums or maxima over rows, columns, or both.
    pub(super) fn reduce(&mut self, node: &Node, reduction: Reduction) -> Step<()> {
        let view = self.view(node, 0)?;
        let view = self.cropped(node, view)?;
        let rank = view.axes.len();
        let (axes, keep) = match node.operation {
            Operation::Reduce { keep, .. } => {
                let axes = shapes::reduced(self.graph, node);
                let unknown = ("has axes that are not constant".to_string(), String::new());
                (axes.ok_or(unknown)?, keep)
            }
            _ => ((2..rank).collect(), true),
        };
        let shape = self.layers.shape(view.tensor);
        let (pixel, row) = (shape.channels as isize, (shape.width * shape.channels) as isize);
        let mut whole = [shape.height == 1, shape.width == 1];
        for &axis in &axes {
            for steps in merged(&view.axes[axis]) {
                let rows = steps.stride == row && steps.size == shape.height;
                let columns = steps.stride == pixel && steps.size == shape.width;
                let all = steps.stride == pixel && steps.size == shape.height * shape.width;
                match (rows, columns, all) {
                    (_, _, true) => whole = [true, true],
                    (true, ..) => whole[0] = true,
                    (_, true, _) => whole[1] = true,
                    _ => {
                        return refuse(
                            "takes a mean, sum or maximum over channels or a part of the image",
                            "take it over all rows, all columns, or both",
                        );
                    }
                }
            }
        }
        if view.offset >= shape.channels {
            return refuse("takes it of a part of the image", KEEP_IN_ORDER);
        }
        let mut result = shape;
        if whole[0] {
            result.height = 1;
        }
        if whole[1] {
            result.width = 1;
        }
        let kernel =
            [if whole[0] { shape.height } else { 1 }, if whole[1] { shape.width } else { 1 }];
        let sliding = Sliding { kernel, stride: kernel, border: [0; 4] };
        let kind = match (reduction, whole) {
            (Reduction::Maximum, _) => {
                fits(&sliding)?;
                Kind::MaxPool { sliding }
            }
            (_, [true, true]) => Kind::GlobalAverage,
            _ => {
                fits(&sliding)?;
                Kind::AveragePool { sliding, count_border: false }
            }
        };
        let mut tensor = self.push(node, kind, vec![view.tensor], result)?;
        self.count("mean, sum or maximum as pooling");
        match reduction {
            Reduction::Maximum if self.layers.grid(tensor).is_none() => {
                *self.layers.grid_mut(tensor) = self.layers.grid(view.tensor);
            }
            Reduction::Sum => {
                // A sum is its mean, so often; it has the range that the file states.
                let grid = self.layers.grid(tensor);
                if let Some(grid) = grid {
                    let count = (kernel[0] * kernel[1]) as f64;
                    *self.layers.grid_mut(tensor) =
                        Some(Grid { scale: grid.scale / count, ..grid });
                }
                let count = (kernel[0] * kernel[1]) as f64;
                let gain = vec![count; result.channels];
                let kind = Kind::Affine { gain, shift: vec![0.0; result.channels] };
                let name = format!("{}_sum", node.name);
                tensor = self.push_as(&name, &node.operator, kind, vec![tensor], result, grid);
            }
            _ => {}
        }
        let mut next = View { tensor, ..view };
        for (axis, steps) in next.axes.iter_mut().enumerate() {
            if axes.contains(&axis) {
                steps.clear();
            }
            for steps in steps {
                if steps.stride == row && whole[1] && shape.width > 1 {
                    steps.stride = pixel;
                }
            }
        }
        if !keep {
            let gone: Vec<bool> = (0..rank).map(|axis| axes.contains(&axis)).collect();
            next = next.squeezed(&gone);
        }
        self.give(node, next);
        Ok(())
    }
}
