//! Pixels that move: parts of an image, channels as blocks of pixels and back. Convolutions whose rows
//! of weights hold a single 1 move them exactly.

use super::image::Image;
use super::{Resolver, Step, refuse};
use crate::data::SampleShape;
use crate::import::graph::Node;
use crate::import::layer::{Kind, Sliding, Weights};
use crate::import::view::{Steps, View, merged};

/// Most rows or columns of a window in a model file.
const MOST_WINDOW: usize = 255;

/// The pixels of one axis of memory that a view has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    first: usize,
    step: usize,
    count: usize,
}

impl Resolver<'_> {
    /// A view as an image. Where it has a part of the rows or columns, those become a tensor.
    pub(super) fn image(&mut self, node: &Node, view: &View, channels_last: bool) -> Step<Image> {
        let found = Image::of(&self.layers, view, channels_last);
        if found.is_ok() {
            return found;
        }
        let cropped = self.cropped(node, view.clone())?;
        if cropped == *view {
            return found;
        }
        Image::of(&self.layers, &cropped, channels_last)
    }

    /// A view of whole rows and columns: where it has a part of them, those become a tensor. Others
    /// stay what they are.
    pub(super) fn cropped(&mut self, node: &Node, view: View) -> Step<View> {
        let shape = self.layers.shape(view.tensor);
        let Some(([rows, columns], whole)) = parts(&view, shape) else { return Ok(view) };
        let all = |size: usize| Part { first: 0, step: 1, count: size };
        if rows == all(shape.height) && columns == all(shape.width) {
            return Ok(view);
        }
        // Windows that begin at the first pixel and end behind the last one's.
        let kernel = |part: Part, size: usize| size - (part.count - 1) * part.step;
        let sliding = Sliding {
            kernel: [kernel(rows, shape.height), kernel(columns, shape.width)],
            stride: [rows.step, columns.step],
            border: [0; 4],
        };
        if sliding.kernel.iter().chain(&sliding.stride).any(|&size| size > MOST_WINDOW) {
            return refuse(
                "reads a small part of a large image",
                "cut the part behind the global pooling or fully connected layer, or not at all",
            );
        }
        let [height, width] = sliding.kernel;
        let taps = height * width;
        self.weigh(shape.channels, taps)?;
        let mut reals = vec![0.0; shape.channels * taps];
        let taken = rows.first * width + columns.first;
        reals.chunks_exact_mut(taps).for_each(|row| row[taken] = 1.0);
        let weights = Weights::real(taps, reals, vec![0.0; shape.channels]);
        let result = SampleShape::new(rows.count, columns.count, shape.channels);
        let grid = self.layers.grid(view.tensor);
        let name = format!("{}_part", node.name);
        let kind = if shape.channels == 1 {
            Kind::Convolution { sliding, weights }
        } else {
            Kind::Depthwise { sliding, weights }
        };
        let inputs = vec![view.tensor];
        let tensor = self.push_as(&name, &node.operator, kind, inputs, result, grid);
        self.count("part of an image");
        Ok(whole.onto(tensor, result))
    }

    /// A view of most rows and columns of what a convolution gives becomes a tensor at once, since it
    /// may go into the convolution's border.
    pub(super) fn trimmed(&mut self, node: &Node, view: View) -> Step<View> {
        let shape = self.layers.shape(view.tensor);
        let weighted = self.layers.layer_of(view.tensor).is_some_and(|layer| {
            let kind = &self.layers.layers[layer].kind;
            matches!(kind, Kind::Convolution { .. } | Kind::Depthwise { .. } | Kind::Grouped { .. })
        });
        match parts(&view, shape) {
            Some(([rows, columns], _))
                if weighted
                    && [rows.step, columns.step] == [1, 1]
                    && 2 * rows.count > shape.height
                    && 2 * columns.count > shape.width =>
            {
                self.cropped(node, view)
            }
            _ => Ok(view),
        }
    }

    /// Channels spread over blocks of pixels: every input pixel gives a block.
    pub(super) fn depth_to_space(
        &mut self,
        node: &Node,
        block: usize,
        pixels_first: bool,
        channels_last: bool,
    ) -> Step<()> {
        let view = self.view(node, 0)?;
        let image = self.image(node, &view, channels_last)?;
        let outputs = image.channels.len() / (block * block).max(1);
        let depth = image.shape.channels;
        let row_length = block * block * depth;
        self.weigh(outputs, row_length)?;
        let mut reals = vec![0.0; outputs * row_length];
        for output in 0..outputs {
            for row in 0..block {
                for column in 0..block {
                    let place = row * block + column;
                    let channel = match pixels_first {
                        true => place * outputs + output,
                        false => output * block * block + place,
                    };
                    let [row, column] = image.ordered([row, column]);
                    let tap = row * block + column;
                    reals[output * row_length + tap * depth + image.channels[channel]] = 1.0;
                }
            }
        }
        let weights = Weights::real(row_length, reals, vec![0.0; outputs]);
        let sliding = Sliding { kernel: [block; 2], stride: [block; 2], border: [0; 4] };
        let [rows, columns] = image.extent;
        let (shape, next) = image.next(0, [rows * block, columns * block], outputs);
        let kind = Kind::Transposed { sliding, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.keep_grid(tensor, image.tensor);
        self.count("channels moved to pixels by a convolution");
        self.give(node, View { tensor, ..next });
        Ok(())
    }

    /// Blocks of pixels as channels.
    pub(super) fn space_to_depth(
        &mut self,
        node: &Node,
        block: usize,
        channels_last: bool,
    ) -> Step<()> {
        let view = self.view(node, 0)?;
        let image = self.image(node, &view, channels_last)?;
        let (depth, channels) = (image.shape.channels, image.channels.len());
        let (outputs, row_length) = (channels * block * block, block * block * depth);
        self.weigh(outputs, row_length)?;
        let mut reals = vec![0.0; outputs * row_length];
        for output in 0..outputs {
            let (place, channel) = (output / channels, image.channels[output % channels]);
            let [row, column] = image.ordered([place / block, place % block]);
            reals[output * row_length + (row * block + column) * depth + channel] = 1.0;
        }
        let weights = Weights::real(row_length, reals, vec![0.0; outputs]);
        let sliding = Sliding { kernel: [block; 2], stride: [block; 2], border: [0; 4] };
        let [rows, columns] = image.extent;
        let (shape, next) = image.next(0, [rows / block, columns / block], outputs);
        let kind = Kind::Convolution { sliding, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.keep_grid(tensor, image.tensor);
        self.count("pixels moved to channels by a convolution");
        self.give(node, View { tensor, ..next });
        Ok(())
    }

    /// What only moves has the grid of what it reads, where the file has no other.
    fn keep_grid(&mut self, tensor: usize, source: usize) {
        if self.layers.grid(tensor).is_none() {
            *self.layers.grid_mut(tensor) = self.layers.grid(source);
        }
    }
}

/// Which axes of a view go through rows, columns and channels of memory.
struct Axes {
    view: View,
    /// For each axis, the axis of memory (0 rows, 1 columns) that it goes through.
    memory: Vec<Option<usize>>,
    channel: usize,
}

impl Axes {
    /// The same view over a tensor that has its rows and columns alone.
    fn onto(self, tensor: usize, shape: SampleShape) -> View {
        let strides = [(shape.width * shape.channels) as isize, shape.channels as isize];
        let axes = self.view.axes.into_iter().zip(self.memory);
        let axes = axes.map(|(steps, memory)| match (memory, steps.first()) {
            (Some(memory), Some(first)) => {
                vec![Steps { size: first.size, stride: strides[memory] }]
            }
            _ => steps,
        });
        View { tensor, offset: self.channel, axes: axes.collect() }
    }
}

/// Which rows and columns a view has. `None` where its axes are no rows, columns and channels.
fn parts(view: &View, shape: SampleShape) -> Option<([Part; 2], Axes)> {
    let (row, pixel) = (shape.width * shape.channels, shape.channels);
    let first = [view.offset / row.max(1), view.offset % row.max(1) / pixel.max(1)];
    let mut found = first.map(|first| Part { first, step: 1, count: 1 });
    let mut memory = Vec::with_capacity(view.axes.len());
    let mut merged_view = view.clone();
    for axis in &mut merged_view.axes {
        *axis = merged(axis);
        let of = match axis[..] {
            [Steps { size, stride }] => {
                let stride = usize::try_from(stride).ok().filter(|&stride| stride > 0)?;
                let (number, step) = if stride >= row && stride.is_multiple_of(row) {
                    (0, stride / row)
                } else if stride >= pixel && stride.is_multiple_of(pixel) {
                    (1, stride / pixel)
                } else {
                    memory.push(None);
                    continue;
                };
                let limit = [shape.height, shape.width][number];
                let part = &mut found[number];
                // Two axes of rows, or steps beyond the last.
                if part.count > 1 || part.first + (size - 1) * step >= limit {
                    return None;
                }
                (part.step, part.count) = (step, size);
                Some(number)
            }
            [] => None,
            _ if axis.iter().all(|steps| steps.stride.unsigned_abs() < pixel) => None,
            _ => return None,
        };
        memory.push(of);
    }
    let channel = view.offset % pixel.max(1);
    Some((found, Axes { view: merged_view, memory, channel }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_series_is_found_with_its_step() {
        let shape = SampleShape::new(1, 8, 3);
        let view = View::image(0, shape, 3, false).cut(2, 1, 2, 3).unwrap();
        let ([rows, columns], axes) = parts(&view, shape).unwrap();
        assert_eq!(rows, Part { first: 0, step: 1, count: 1 });
        assert_eq!(columns, Part { first: 1, step: 2, count: 3 });
        let whole = axes.onto(5, SampleShape::new(1, 3, 3));
        assert_eq!(whole, View::image(5, SampleShape::new(1, 3, 3), 3, false));
        // Channels in another order are no part of the pixels.
        let image = SampleShape::new(2, 2, 4);
        let shuffled = View::image(0, image, 4, false).reshaped(&[1, 2, 2, 2, 2]).unwrap();
        let shuffled = shuffled.transposed(&[0, 2, 1, 3, 4]).reshaped(&[1, 4, 2, 2]).unwrap();
        let ([rows, columns], _) = parts(&shuffled, image).unwrap();
        assert_eq!((rows.count, columns.count), (2, 2));
    }
}
