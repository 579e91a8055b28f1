//! Images of another size, and values that are repeated, which is the same where whole pixels are.

use super::{Resolver, Step, refuse};
use crate::data::SampleShape;
use crate::graph::sampling::{Sampling, WIDE_POSITIONS};
use crate::import::graph::Node;
use crate::import::layer::Kind;
use crate::import::passes::shapes;
use crate::import::view::{Steps, View, merged};

/// Most numbers of a resized image.
const MOST_NUMBERS: usize = 1 << 24;

impl Resolver<'_> {
    pub(super) fn resize(
        &mut self,
        node: &Node,
        sampling: Sampling,
        channels_last: bool,
    ) -> Step<()> {
        let view = self.view(node, 0)?;
        let image = self.image(node, &view, channels_last)?;
        let rank = view.axes.len();
        let sizes = self.shape_of(Some(node.outputs[0]))?;
        let before = view.shape();
        let spatial = if channels_last { 1..rank - 1 } else { 2..rank };
        if (0..rank).any(|axis| !spatial.contains(&axis) && sizes[axis] != before[axis]) {
            return refuse("resizes batch or channels", "resize rows and columns only");
        }
        if !shapes::is_whole_resize(self.graph, node) {
            return refuse(
                "resizes by a factor that does not give a whole size",
                "give the sizes, or another factor",
            );
        }
        let extent = match sizes[spatial] {
            [rows, columns] => [rows, columns],
            [columns] => [1, columns],
            _ => [1, 1],
        };
        let (shape, next) = image.channelwise(0, extent);
        let tensor = self.push_resize(node, sampling, image.tensor, shape)?;
        self.give_same(node, node.outputs[0], View { tensor, ..next })
    }

    fn push_resize(
        &mut self,
        node: &Node,
        sampling: Sampling,
        tensor: usize,
        shape: SampleShape,
    ) -> Step<usize> {
        let before = self.layers.shape(tensor);
        let extents = [[before.height, before.width], [shape.height, shape.width]];
        if extents[0] == extents[1] {
            return Ok(tensor);
        }
        if shape.elements() > MOST_NUMBERS {
            return refuse(format!("gives an image of {shape}"), "resize to a smaller size");
        }
        if sampling.operator(extents[0], extents[1]).is_none() {
            return refuse(WIDE_POSITIONS, "resize by a whole factor");
        }
        // What is computed has the range of what is read.
        let grid = self.layers.grid(tensor);
        let kind = Kind::Resize(sampling);
        Ok(self.push_as(&node.name, &node.operator, kind, vec![tensor], shape, grid))
    }

    /// A tensor that has the numbers of a view as often as the view has them, where those are pixels side by side.
    pub(super) fn repeated(&mut self, node: &Node, view: View) -> Step<View> {
        let refused = || {
            refuse(
                "reads numbers that are repeated in another way than pixels of an image",
                "resize images by nearest pixels instead",
            )
        };
        let shape = self.layers.shape(view.tensor);
        if view.offset >= shape.channels {
            return refused();
        }
        let (row, pixel) = ((shape.width * shape.channels) as isize, shape.channels as isize);
        let mut factors = [None, None];
        // For each axis what it is without repetitions, how often its numbers are repeated, and of which axis of memory it is.
        let mut found = Vec::with_capacity(view.axes.len());
        for axis in &view.axes {
            let steps = merged(axis);
            let (own, times) = match &steps[..] {
                [own @ .., Steps { size, stride: 0 }] => (own.to_vec(), *size),
                own => (own.to_vec(), 1),
            };
            let memory = match own[..] {
                [Steps { size, stride }] if stride == row && size == shape.height => Some(0),
                [Steps { size, stride }] if stride == pixel && size == shape.width => Some(1),
                _ => None,
            };
            if let Some(memory) = memory {
                factors[memory] = Some(times);
            } else if own.iter().any(|steps| steps.stride == 0 || steps.stride >= pixel) {
                return refused();
            }
            found.push((own, times, memory));
        }
        // An axis of one number that is repeated is one of memory that has one.
        for (own, times, memory) in &mut found {
            if *times == 1 || memory.is_some() {
                continue;
            }
            let free = [(0, shape.height), (1, shape.width)]
                .into_iter()
                .find(|&(memory, size)| size == 1 && factors[memory].is_none());
            match free {
                Some((free, _)) if own.is_empty() => {
                    factors[free] = Some(*times);
                    *memory = Some(free);
                }
                _ => return refused(),
            }
        }
        let [down, across] = factors.map(|factor| factor.unwrap_or(1));
        let larger = SampleShape {
            height: shape.height * down,
            width: shape.width * across,
            channels: shape.channels,
        };
        let tensor = self.push_resize(node, Sampling::REPEATED, view.tensor, larger)?;
        self.count("repetition as resizing");
        let axes = found.into_iter().map(|(own, _, memory)| {
            let steps = match memory {
                Some(0) => {
                    Steps { size: larger.height, stride: (larger.width * larger.channels) as isize }
                }
                Some(_) => Steps { size: larger.width, stride: pixel },
                None => return own,
            };
            if steps.size > 1 { vec![steps] } else { vec![] }
        });
        Ok(View { tensor, offset: view.offset, axes: axes.collect() })
    }
}
