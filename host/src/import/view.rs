//! How the axes of a model's value lie in memory.
//!
//! Tensors lie as height, width, channels. A value of a model is a *view* of one: each of its axes
//! is a list of steps through memory. Transposing, reshaping, squeezing and slicing then change only
//! the view, never the numbers; whether an image is written channels first or last is no question
//! any more, and a fully connected layer finds for each of its columns the number that it means.

use crate::data::SampleShape;

/// Steps through memory: `size` positions, `stride` numbers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// How many, at least 2.
    pub size: usize,
    /// Numbers from one to the next.
    pub stride: isize,
}

/// The axes of a value over a tensor in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The tensor: inputs first, then the output of each layer.
    pub tensor: usize,
    /// Where its first number lies.
    pub offset: usize,
    /// The steps of each axis, the slowest first; none for an axis of size 1.
    pub axes: Vec<Vec<Steps>>,
}

impl View {
    /// A value whose axes lie in the order of memory.
    pub fn contiguous(tensor: usize, shape: &[usize]) -> Self {
        let mut stride = 1;
        let mut axes: Vec<Vec<Steps>> = Vec::with_capacity(shape.len());
        for &size in shape.iter().rev() {
            axes.push(steps(size, stride));
            stride *= size as isize;
        }
        axes.reverse();
        Self { tensor, offset: 0, axes }
    }

    /// A batch of one image with these axes over a tensor of that shape: channels first or last.
    /// With fewer axes a series, or a vector.
    pub fn image(tensor: usize, shape: SampleShape, rank: usize, channels_last: bool) -> Self {
        let channels = steps(shape.channels, 1);
        let columns = steps(shape.width, shape.channels as isize);
        let rows = steps(shape.height, (shape.width * shape.channels) as isize);
        let spatial = match rank {
            0..=2 => vec![],
            3 if shape.width == 1 => vec![rows],
            3 => vec![columns],
            _ => vec![rows, columns],
        };
        let mut axes = vec![vec![]];
        if !channels_last {
            axes.push(channels.clone());
        }
        axes.extend(spatial);
        if channels_last {
            axes.push(channels);
        }
        Self { tensor, offset: 0, axes }
    }

    /// The sizes of its axes.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(|axis| axis.iter().map(|steps| steps.size).product()).collect()
    }

    /// The place in memory of every number, in the value's own order.
    pub fn places(&self) -> Vec<usize> {
        let mut places = vec![self.offset as isize];
        for steps in self.axes.iter().flatten() {
            places = places
                .iter()
                .flat_map(|&place| {
                    (0..steps.size as isize).map(move |index| place + index * steps.stride)
                })
                .collect();
        }
        places.into_iter().map(|place| place.max(0) as usize).collect()
    }

    /// The same numbers with their axes in another order.
    pub fn transposed(&self, order: &[usize]) -> Self {
        let axes = order.iter().map(|&axis| self.axes[axis].clone()).collect();
        Self { axes, ..self.clone() }
    }

    /// The same numbers in another shape. `None` where an axis would have to be cut between steps.
    pub fn reshaped(&self, shape: &[usize]) -> Option<Self> {
        let mut rest: Vec<Steps> = self.axes.iter().flatten().copied().collect();
        rest = merged(&rest);
        rest.reverse();
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape {
            let mut wanted = size;
            let mut axis = Vec::new();
            while wanted > 1 {
                let next = rest.pop()?;
                if wanted % next.size == 0 {
                    wanted /= next.size;
                    axis.push(next);
                } else if next.size % wanted == 0 {
                    let inner = next.size / wanted;
                    let outer = next.stride * inner as isize;
                    axis.push(Steps { size: wanted, stride: outer });
                    rest.push(Steps { size: inner, stride: next.stride });
                    wanted = 1;
                } else {
                    return None;
                }
            }
            axes.push(axis);
        }
        rest.is_empty().then_some(Self { axes, ..self.clone() })
    }

    /// Positions `first`, `first + step`, … of an axis. `None` where it would be cut between steps.
    pub fn cut(&self, axis: usize, first: usize, step: i64, count: usize) -> Option<Self> {
        let mut view = self.clone();
        let steps = merged(&self.axes[axis]);
        let whole: usize = steps.iter().map(|steps| steps.size).product();
        if first == 0 && step == 1 && count == whole {
            return Some(view);
        }
        if count == 1 {
            // One position: its place follows from the steps whatever they are.
            let mut rest = first;
            for steps in steps.iter().rev() {
                view.offset =
                    view.offset.checked_add_signed((rest % steps.size) as isize * steps.stride)?;
                rest /= steps.size;
            }
            view.axes[axis] = vec![];
            return Some(view);
        }
        let [one] = steps[..] else {
            // A part of the slowest steps alone.
            let (slowest, inner) = steps.split_first()?;
            let block: usize = inner.iter().map(|steps| steps.size).product();
            if step != 1 || !first.is_multiple_of(block) || !count.is_multiple_of(block) {
                return None;
            }
            view.offset =
                view.offset.checked_add_signed((first / block) as isize * slowest.stride)?;
            let outer = Steps { size: count / block, stride: slowest.stride };
            view.axes[axis] =
                [outer].into_iter().filter(|steps| steps.size > 1).chain(inner.to_vec()).collect();
            return Some(view);
        };
        view.offset = view.offset.checked_add_signed(first as isize * one.stride)?;
        view.axes[axis] = vec![Steps { size: count, stride: one.stride * step as isize }];
        Some(view)
    }

    /// The same numbers, each axis as often as the shape is longer; new axes come first.
    pub fn repeated(&self, shape: &[usize]) -> Option<Self> {
        let mut axes = vec![Vec::new(); shape.len().checked_sub(self.axes.len())?];
        axes.extend(self.axes.iter().cloned());
        for (axis, &size) in axes.iter_mut().zip(shape) {
            let own: usize = axis.iter().map(|steps| steps.size).product();
            if own == 0 || !size.is_multiple_of(own) {
                return None;
            }
            if size > own {
                axis.insert(0, Steps { size: size / own, stride: 0 });
            }
        }
        Some(Self { axes, ..self.clone() })
    }

    /// Whether some number occurs more than once.
    pub fn repeats(&self) -> bool {
        self.axes.iter().flatten().any(|steps| steps.stride == 0)
    }

    /// The view with axes of size 1 where none are; `shape` has the same sizes but for those.
    pub fn squeezed(&self, gone: &[bool]) -> Self {
        let kept = self.axes.iter().zip(gone).filter(|(_, gone)| !**gone);
        Self { axes: kept.map(|(axis, _)| axis.clone()).collect(), ..self.clone() }
    }
}

/// The steps of one axis in memory.
fn steps(size: usize, stride: isize) -> Vec<Steps> {
    if size > 1 { vec![Steps { size, stride }] } else { vec![] }
}

/// Steps of which one continues the other are one.
pub fn merged(list: &[Steps]) -> Vec<Steps> {
    let mut result: Vec<Steps> = Vec::with_capacity(list.len());
    for &steps in list {
        match result.last_mut() {
            Some(last) if last.stride == steps.stride * steps.size as isize => {
                *last = Steps { size: last.size * steps.size, stride: steps.stride };
            }
            _ => result.push(steps),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flattening_an_image_with_channels_first_names_the_places_of_its_numbers() {
        let view = View::image(0, SampleShape::new(2, 3, 4), 4, false);
        assert_eq!(view.shape(), [1, 4, 2, 3]);
        let flat = view.reshaped(&[1, 24]).unwrap();
        let places = flat.places();
        // The second number of the model is channel 0, row 0, column 1.
        assert_eq!(places[..4], [0, 4, 8, 12]);
        assert_eq!(places[6], 1);
        let mut sorted = places;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..24));
    }

    #[test]
    fn transposing_there_and_back_changes_nothing() {
        let view = View::image(0, SampleShape::new(5, 6, 7), 4, false);
        let last = view.transposed(&[0, 2, 3, 1]);
        assert!(last.places().into_iter().eq(0..210));
        assert_eq!(last.transposed(&[0, 3, 1, 2]), view);
    }

    #[test]
    fn a_channel_shuffle_is_a_view() {
        let view = View::image(0, SampleShape::new(1, 1, 6), 4, false);
        let shuffled = view.reshaped(&[1, 2, 3, 1, 1]).unwrap().transposed(&[0, 2, 1, 3, 4]);
        let shuffled = shuffled.reshaped(&[1, 6, 1, 1]).unwrap();
        assert_eq!(shuffled.places(), [0, 3, 1, 4, 2, 5]);
        assert_eq!(view.reshaped(&[1, 4, 2]), None);
    }

    #[test]
    fn parts_begin_at_their_offset() {
        let view = View::image(0, SampleShape::new(1, 8, 3), 3, false);
        assert_eq!(view.cut(2, 7, 1, 1).unwrap().places(), [21, 22, 23]);
        assert_eq!(view.cut(1, 1, 1, 2).unwrap().shape(), [1, 2, 8]);
        assert_eq!(view.cut(2, 6, -3, 2).unwrap().places(), [18, 9, 19, 10, 20, 11]);
    }
}
