//! Convolutions: plain, depthwise, grouped, dilated, over images and series.

use super::image::Image;
use super::reading::{Table, spread};
use super::{Resolver, Step, refuse};
use crate::import::graph::Node;
use crate::import::layer::{Kind, Sliding};
use crate::import::operation::{Border, Convolution, WeightOrder};
use crate::import::passes::shapes::kernel;
use crate::import::view::View;
use crate::import::window::span;

/// Most rows or columns of a window in a model file.
const MOST_WINDOW: usize = 255;

/// Instructions of a grouped convolution on a Cortex-M4 for a tap of an output, measured with one weight a tap by
/// `tinyhero bench kws_multiplier.hero --on mps2-an386`, and for each further weight of it.
const OF_TAP: usize = 85;
const OF_WEIGHT: usize = 6;
/// Tenths of an instruction of its fast kernels for a weight, where these take the convolution: in groups of one channel, and of more.
const OF_FAST: [usize; 2] = [45, 28];
/// Tenths of an instruction of a dense convolution's fast kernel for a weight, zeros included, and of a depthwise one's.
const OF_DENSE: usize = 14;
const OF_DEPTHWISE: usize = 90;

impl Resolver<'_> {
    /// The image at the first input, and what is added around it beside the layer's own border.
    pub(super) fn image_with_border(
        &mut self,
        node: &Node,
        channels_last: bool,
    ) -> Step<(Image, [[usize; 2]; 2])> {
        match self.bordered(node.input(0)) {
            Some((inside, amounts)) => {
                let view = match self.views[inside].clone() {
                    Some(view) if view.repeats() => self.repeated(node, view)?,
                    Some(view) => view,
                    None => return refuse("reads a constant border", "export the model again"),
                };
                Ok((self.image(node, &view, channels_last)?, amounts))
            }
            None => {
                let view = self.view(node, 0)?;
                Ok((self.image(node, &view, channels_last)?, [[0, 0]; 2]))
            }
        }
    }

    pub(super) fn convolution(&mut self, node: &Node, window: &Convolution) -> Step<()> {
        let output_axis = match window.weights {
            WeightOrder::OutputInputRowColumn
            | WeightOrder::InputOutputRowColumn
            | WeightOrder::OutputRowColumnInput => 0,
            WeightOrder::RowColumnOutput => 3,
        };
        let table = self.table(node, 1, output_axis)?;
        let Some((sizes, outputs)) = kernel(window.weights, &table.shape) else {
            return refuse("has weights of an unknown shape", "export the model again");
        };
        let (image, more) = self.image_with_border(node, window.channels_last)?;
        let slides = slides(window, &sizes, &image, more)?;
        let channels = image.channels.len();
        let per_group = match window.weights {
            WeightOrder::OutputInputRowColumn | WeightOrder::InputOutputRowColumn => table.shape[1],
            WeightOrder::OutputRowColumnInput => table.shape[table.shape.len() - 1],
            WeightOrder::RowColumnOutput => 1,
        };
        let groups = channels / per_group.max(1);
        let stated = window.groups == groups || window.groups == 0;
        if per_group == 0
            || groups * per_group != channels
            || outputs % groups.max(1) != 0
            || !stated
        {
            return refuse(
                format!(
                    "has weights for {per_group} channels in {} groups, but reads {channels}",
                    window.groups
                ),
                "export the model again",
            );
        }
        let bias = self.bias(node, 2, outputs)?;
        let taps =
            Taps { order: window.weights, sizes, per_group, outputs, swapped: image.swapped };
        if let Some(native) = slides.native([groups, outputs], &image) {
            return self.grouped(node, &table, &taps, &image, native, bias);
        }
        fits(&slides.sliding)?;
        let depthwise = groups == channels && outputs == channels && channels > 1;
        if depthwise && image.channels.len() == image.shape.channels {
            return self.depthwise(node, &table, &taps, &image, slides, bias);
        }
        if window.weights == WeightOrder::RowColumnOutput && channels == 1 {
            self.count("depthwise of one channel as convolution");
        } else if groups > 1 {
            self.count("groups as zero weights");
        }
        let depth = image.shape.channels;
        let [rows, columns] = slides.sliding.kernel;
        let row_length = rows * columns * depth;
        self.weigh(outputs, row_length)?;
        if slides.dilation != [1, 1] {
            self.count("dilation as zero weights");
        }
        let group_outputs = outputs / groups;
        let weights = spread(&table, outputs, row_length, bias, 1.0, |output| {
            let group = output / group_outputs;
            let (taps, image, slides) = (&taps, &image, &slides);
            slides.taps().flat_map(move |(tap, row, column)| {
                (0..per_group).map(move |input| {
                    let channel = image.channels[group * per_group + input];
                    (tap * depth + channel, taps.place(output, input, row, column))
                })
            })
        });
        let (shape, view) = image.next(0, slides.extent, outputs);
        let kind = Kind::Convolution { sliding: slides.sliding, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.give(node, View { tensor, ..view });
        Ok(())
    }

    /// A convolution whose weights of zero are left out.
    fn grouped(
        &mut self,
        node: &Node,
        table: &Table,
        taps: &Taps,
        image: &Image,
        native: Native,
        bias: Vec<f64>,
    ) -> Step<()> {
        let Native { sliding, dilation, groups, extent } = native;
        let [rows, columns] = sliding.kernel;
        let row_length = rows * columns * taps.per_group;
        self.weigh(taps.outputs, row_length)?;
        let weights = spread(table, taps.outputs, row_length, bias, 1.0, |output| {
            (0..rows).flat_map(move |row| {
                (0..columns).flat_map(move |column| {
                    let tap = row * columns + column;
                    (0..taps.per_group).map(move |input| {
                        let from = taps.place(output, input, row, column);
                        (tap * taps.per_group + input, from)
                    })
                })
            })
        });
        let (shape, view) = image.next(0, extent, taps.outputs);
        let kind = Kind::Grouped { sliding, dilation, groups, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.give(node, View { tensor, ..view });
        Ok(())
    }

    fn depthwise(
        &mut self,
        node: &Node,
        table: &Table,
        taps: &Taps,
        image: &Image,
        slides: Slides,
        bias: Vec<f64>,
    ) -> Step<()> {
        // Row by row in the order of memory, which may be another one than the model's.
        let mut logical = vec![0; image.channels.len()];
        for (channel, &place) in image.channels.iter().enumerate() {
            logical[place] = channel;
        }
        let [rows, columns] = slides.sliding.kernel;
        if slides.dilation != [1, 1] {
            self.count("dilation as zero weights");
        }
        self.weigh(logical.len(), rows * columns)?;
        let ordered = Table {
            shape: table.shape.clone(),
            reals: table.reals.clone(),
            integers: table.integers.clone(),
            scales: logical.iter().map(|&channel| table.scale(channel)).collect(),
        };
        let bias = logical.iter().map(|&channel| bias[channel]).collect();
        let weights = spread(&ordered, logical.len(), rows * columns, bias, 1.0, |row| {
            let channel = logical[row];
            slides.taps().map(move |(tap, row, column)| (tap, taps.place(channel, 0, row, column)))
        });
        let (shape, view) = image.channelwise(0, slides.extent);
        let kind = Kind::Depthwise { sliding: slides.sliding, weights };
        let tensor = self.push(node, kind, vec![image.tensor], shape)?;
        self.give(node, View { tensor, ..view });
        Ok(())
    }
}

/// Where weights lie in the file.
struct Taps {
    order: WeightOrder,
    /// Kernel sizes of the file, one for a series.
    sizes: Vec<usize>,
    per_group: usize,
    outputs: usize,
    swapped: bool,
}

impl Taps {
    /// The place of a weight whose row and column are counted as they lie in memory.
    fn place(&self, output: usize, input: usize, row: usize, column: usize) -> usize {
        let (row, column) = if self.swapped { (column, row) } else { (row, column) };
        let [rows, columns] = match self.sizes[..] {
            [columns] => [1, columns],
            [rows, columns] => [rows, columns],
            _ => [1, 1],
        };
        match self.order {
            WeightOrder::OutputInputRowColumn | WeightOrder::InputOutputRowColumn => {
                ((output * self.per_group + input) * rows + row) * columns + column
            }
            WeightOrder::OutputRowColumnInput => {
                ((output * rows + row) * columns + column) * self.per_group + input
            }
            WeightOrder::RowColumnOutput => (row * columns + column) * self.outputs + output,
        }
    }
}

/// A window as it lies in memory.
pub struct Slides {
    /// With dilation filled up.
    pub sliding: Sliding,
    /// What it was dilated by.
    pub dilation: [usize; 2],
    /// The kernel without dilation.
    kernel: [usize; 2],
    /// Rows and columns of the output as the model counts them.
    pub extent: [usize; 2],
}

/// A convolution for the operator that knows groups and dilation.
struct Native {
    /// The kernel without dilation.
    sliding: Sliding,
    dilation: [usize; 2],
    groups: usize,
    extent: [usize; 2],
}

impl Slides {
    /// The convolution without weights of zero, where these would be so many that no fast kernel makes up for them, or where no window of a
    /// model file has room for them.
    fn native(&self, [groups, outputs]: [usize; 2], image: &Image) -> Option<Native> {
        let in_order = image.channels.iter().copied().eq(0..image.shape.channels);
        let taps: usize = self.kernel.iter().product();
        let filled: usize = self.sliding.kernel.iter().product();
        let depthwise = groups == image.channels.len() && outputs == groups && groups > 1;
        let per_group = image.channels.len() / groups.max(1);
        let undilated = self.dilation == [1, 1];
        let fast = undilated
            && match per_group {
                1 => self.kernel == [3, 3],
                _ => (outputs / groups.max(1)).is_multiple_of(2),
            };
        let native = 10 * (OF_TAP + OF_WEIGHT * per_group) * taps;
        let native = match fast {
            true => OF_FAST[usize::from(per_group > 1)] * per_group * taps,
            false => native,
        };
        let worth = match depthwise {
            true if undilated => return None,
            true => native <= OF_DEPTHWISE * filled,
            false => native <= OF_DENSE * filled * image.channels.len(),
        };
        let wide = fits(&self.sliding).is_err();
        let [top, bottom, left, right] = self.sliding.border;
        let [rows, columns] = self.sliding.kernel;
        let possible = [self.kernel, self.sliding.stride, self.dilation, [top, left]]
            .into_iter()
            .flatten()
            .all(|size| size <= MOST_WINDOW)
            && top.max(bottom) < rows
            && left.max(right) < columns;
        (in_order && possible && (worth || wide)).then_some(Native {
            sliding: Sliding { kernel: self.kernel, ..self.sliding },
            dilation: self.dilation,
            groups,
            extent: self.extent,
        })
    }

    /// Every tap that has a weight: its place in the window, its row and column without dilation.
    fn taps(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let [height, width] = self.sliding.kernel;
        let [down, right] = self.dilation;
        (0..height).step_by(down).flat_map(move |row| {
            (0..width)
                .step_by(right)
                .map(move |column| (row * width + column, row / down, column / right))
        })
    }
}

fn slides(
    window: &Convolution,
    sizes: &[usize],
    image: &Image,
    more: [[usize; 2]; 2],
) -> Step<Slides> {
    let numbers = |list: &[usize]| match *list {
        [columns] => Some([1, columns]),
        [rows, columns] => Some([rows, columns]),
        _ => None,
    };
    let [Some(kernel), Some(stride), Some(dilation)] =
        [sizes, &window.stride, &window.dilation].map(numbers)
    else {
        return refuse("slides over more than two axes", "use images or series");
    };
    let (border, kernel_border) = (&window.border, sizes.len());
    let mut slides = Slides { sliding: Sliding::PIXEL, dilation, kernel, extent: [1, 1] };
    let mut amounts = [[0, 0]; 2];
    for axis in 0..2 {
        let position = (axis + kernel_border).checked_sub(2);
        let size = image.extent[axis];
        let [before, after] = more[axis];
        let found = match position {
            Some(position) => span(
                border,
                [position, kernel_border],
                size + before + after,
                [kernel[axis], stride[axis], dilation[axis]],
                false,
            ),
            None => span(&Border::Amounts(Vec::new()), [0, 1], size, [1, 1, 1], false),
        };
        let Some(found) = found else {
            return refuse("has a window that does not fit its input", "use a smaller kernel");
        };
        amounts[axis] = [found.before + before, found.after + after];
        slides.extent[axis] = found.output;
        slides.sliding.kernel[axis] = (kernel[axis] - 1) * dilation[axis] + 1;
        slides.sliding.stride[axis] = stride[axis];
    }
    slides.sliding.kernel = image.ordered(slides.sliding.kernel);
    slides.sliding.stride = image.ordered(slides.sliding.stride);
    slides.dilation = image.ordered(slides.dilation);
    let [[top, bottom], [left, right]] = image.ordered(amounts);
    slides.sliding.border = [top, bottom, left, right];
    slides.kernel = image.ordered(kernel);
    Ok(slides)
}

/// Refuses windows that a model file cannot state.
pub fn fits(sliding: &Sliding) -> Step<()> {
    let [top, bottom, left, right] = sliding.border;
    let [rows, columns] = sliding.kernel;
    if top.max(bottom) >= rows.max(1) || left.max(right) >= columns.max(1) {
        return refuse(
            "pads by as much as its kernel, so that windows see nothing",
            "pad by less than the kernel",
        );
    }
    let largest = [sliding.kernel, sliding.stride].into_iter().flatten().max().unwrap_or(0);
    if largest > MOST_WINDOW {
        return refuse(
            format!("has a window or stride of {largest}"),
            format!("use at most {MOST_WINDOW}"),
        );
    }
    Ok(())
}
