//! Nodes that bring several values together: sums, products, channels side by side.

use super::image::Image;
use super::{Resolver, Step, refuse};
use crate::data::SampleShape;
use crate::import::axes::axis;
use crate::import::graph::Node;
use crate::import::layer::{Grid, Kind, Sliding, Weights};
use crate::import::operation::Binary;
use crate::import::view::{Steps, View, merged};

/// The axes of a view, each in as few steps as it has.
fn axes(view: &View) -> Vec<Vec<Steps>> {
    view.axes.iter().map(|axis| merged(axis)).collect()
}

impl Resolver<'_> {
    /// Two values that both vary.
    pub(super) fn two(&mut self, node: &Node, binary: Binary) -> Step<()> {
        let kind = match binary {
            Binary::Add | Binary::Subtract => Kind::Add,
            Binary::Multiply => Kind::Multiply,
            _ => {
                return refuse(
                    "combines two values that vary in another way than by a sum, difference or product",
                    "add or multiply them",
                );
            }
        };
        let (mut first, mut second) = (self.view(node, 0)?, self.view(node, 1)?);
        first = self.cropped(node, first)?;
        second = self.cropped(node, second)?;
        if kind == Kind::Multiply && self.is_vector(&first) && !self.is_vector(&second) {
            std::mem::swap(&mut first, &mut second);
        }
        let together = |this: &Self, first: &View, second: &View| {
            this.layers.shape(first.tensor) == this.layers.shape(second.tensor)
                && axes(first) == axes(second)
                && first.offset == second.offset
        };
        if !together(self, &first, &second) && first.shape() == second.shape() {
            // Channels that lie elsewhere are brought side by side, in the model's order.
            for channels_last in [false, true] {
                let images =
                    [&first, &second].map(|view| Image::of(&self.layers, view, channels_last));
                let [Ok(one), Ok(other)] = images else { continue };
                first = self.in_order(node, one)?;
                second = self.in_order(node, other)?;
                break;
            }
        }
        let shape = self.layers.shape(first.tensor);
        let alike = shape == self.layers.shape(second.tensor)
            && axes(&first) == axes(&second)
            && first.offset == second.offset;
        let channelwise = kind == Kind::Multiply && self.scales_channels(&first, &second);
        if !alike && !channelwise {
            return refuse(
                "combines values of different shape, or whose channels lie in different orders",
                "combine values of one shape; a product may have a vector of channels",
            );
        }
        if binary == Binary::Subtract {
            second.tensor = self.negated(node, second.tensor);
        }
        let inputs = vec![first.tensor, second.tensor];
        let tensor = self.push(node, kind, inputs, shape)?;
        self.give(node, View { tensor, ..first });
        Ok(())
    }

    /// A tensor with the other sign, on the same grid turned around where it has one.
    fn negated(&mut self, node: &Node, tensor: usize) -> usize {
        let shape = self.layers.shape(tensor);
        let grid = self
            .layers
            .grid(tensor)
            .map(|grid| Grid { zero_point: (-1 - i16::from(grid.zero_point)) as i8, ..grid });
        let gain = vec![-1.0; shape.channels];
        let kind = Kind::Affine { gain, shift: vec![0.0; shape.channels] };
        let name = format!("{}_negative", node.name);
        self.push_as(&name, &node.operator, kind, vec![tensor], shape, grid)
    }

    fn is_vector(&self, view: &View) -> bool {
        let shape = self.layers.shape(view.tensor);
        shape.height * shape.width == 1
    }

    /// Whether the second is a vector with a number for each channel of the first.
    fn scales_channels(&self, image: &View, vector: &View) -> bool {
        let channels = self.layers.shape(image.tensor).channels;
        let fits = self.layers.shape(vector.tensor) == SampleShape::new(1, 1, channels);
        let whole =
            image.shape().iter().product::<usize>() == self.layers.shape(image.tensor).elements();
        let pairs = axes(image).into_iter().zip(axes(vector));
        let mut covered = 1;
        for (image, vector) in pairs {
            if !vector.is_empty() && vector != image {
                return false;
            }
            covered *= vector.iter().map(|steps| steps.size).product::<usize>();
        }
        fits && whole
            && covered == channels
            && image.axes.len() == vector.axes.len()
            && image.offset == 0
            && vector.offset == 0
    }

    pub(super) fn concatenate(&mut self, node: &Node, along: i64) -> Step<()> {
        let rank = self.shape_of(Some(node.outputs[0]))?.len();
        let channels_last = match axis(along, rank) {
            Some(1) if rank > 2 => false,
            Some(last) if last + 1 == rank => true,
            _ => {
                return refuse(
                    "puts values side by side along rows, columns or the batch",
                    "concatenate channels",
                );
            }
        };
        let mut parts = Vec::with_capacity(node.inputs.len());
        for position in 0..node.inputs.len() {
            if node.input(position).is_some_and(|id| self.graph.values[id].constant.is_some()) {
                return refuse("puts a constant beside a value", "concatenate values that vary");
            }
            let view = self.view(node, position)?;
            let image = self.image(node, &view, channels_last)?;
            parts.push(self.whole(node, image)?);
        }
        let Some((first, _)) = parts.first() else {
            return refuse("reads nothing", "export the model again");
        };
        let (extent, size) = (first.extent, [first.shape.height, first.shape.width]);
        let same = |(image, _): &(Image, usize)| {
            image.extent == extent && [image.shape.height, image.shape.width] == size
        };
        if !parts.iter().all(same) {
            return refuse("puts images of different size side by side", "bring them to one size");
        }
        let channels = parts.iter().map(|(image, _)| image.channels.len()).sum();
        let (shape, view) = first.next(0, extent, channels);
        let tensors: Vec<usize> = parts.iter().map(|(_, tensor)| *tensor).collect();
        let [mut tensor, ref rest @ ..] = tensors[..] else {
            return refuse("reads nothing", "export the model again");
        };
        let mut so_far = parts[0].0.channels.len();
        for (&other, (image, _)) in rest.iter().zip(&parts[1..]) {
            if other == tensor {
                return refuse("puts a value beside itself", "multiply the weights behind it by 2");
            }
            so_far += image.channels.len();
            let inputs = vec![tensor, other];
            let shape = SampleShape { channels: so_far, ..shape };
            tensor = self.push(node, Kind::Concatenate, inputs, shape)?;
        }
        self.give(node, View { tensor, ..view });
        Ok(())
    }

    /// The view of an image's channels alone, in the model's order.
    fn in_order(&mut self, node: &Node, image: Image) -> Step<View> {
        let (image, tensor) = self.whole(node, image)?;
        let (_, view) = image.next(tensor, image.extent, image.channels.len());
        Ok(View { tensor, ..view })
    }

    /// The tensor with an image's channels alone, in the model's order: a convolution of one pixel
    /// that picks them where they do not lie so already.
    fn whole(&mut self, node: &Node, image: Image) -> Step<(Image, usize)> {
        let channels = image.channels.len();
        let depth = image.shape.channels;
        if channels == depth && image.channels.iter().copied().eq(0..depth) {
            let tensor = image.tensor;
            return Ok((image, tensor));
        }
        self.weigh(channels, depth)?;
        let mut reals = vec![0.0; channels * depth];
        for (row, &channel) in image.channels.iter().enumerate() {
            reals[row * depth + channel] = 1.0;
        }
        let weights = Weights::real(depth, reals, vec![0.0; channels]);
        let kind = Kind::Convolution { sliding: Sliding::PIXEL, weights };
        let grid = self.layers.grid(image.tensor);
        let shape = SampleShape { channels, ..image.shape };
        let inputs = vec![image.tensor];
        let name = format!("{}_part", node.name);
        let tensor = self.push_as(&name, &node.operator, kind, inputs, shape, grid);
        self.count("channels picked by a convolution");
        Ok((image, tensor))
    }
}
