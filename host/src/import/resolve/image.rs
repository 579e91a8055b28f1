//! A view as an image: which axes of memory are its rows, columns and channels.

use super::{KEEP_IN_ORDER, Step, refuse};
use crate::data::SampleShape;
use crate::import::layer::Layers;
use crate::import::view::{View, merged};

/// A value that is an image.
#[derive(Clone, Debug)]
pub struct Image {
    /// The tensor.
    pub tensor: usize,
    /// Its shape in memory.
    pub shape: SampleShape,
    /// Rows and columns as the model sees them.
    pub extent: [usize; 2],
    /// For each channel of the model its channel in memory.
    pub channels: Vec<usize>,
    /// Whether the model's rows are the columns of memory.
    pub swapped: bool,
    view: View,
    channels_last: bool,
}

impl Image {
    /// The view as an image.
    pub fn of(layers: &Layers, view: &View, channels_last: bool) -> Step<Self> {
        let shape = layers.shape(view.tensor);
        let rank = view.axes.len();
        let not = || {
            (
                "reads something that does not lie in memory as an image".to_string(),
                KEEP_IN_ORDER.to_string(),
            )
        };
        if !(2..=4).contains(&rank) || !view.axes[0].is_empty() {
            return Err(not());
        }
        let (channel_axis, spatial) = match channels_last {
            true => (rank - 1, 1..rank - 1),
            false => (1, 2..rank),
        };
        let row = (shape.width * shape.channels) as isize;
        let rows = (shape.height, row);
        let columns = (shape.width, shape.channels as isize);
        let covers = |axis: usize, (size, stride): (usize, isize)| match merged(&view.axes[axis])[..]
        {
            [] => size == 1,
            [steps] => steps.size == size && (steps.stride == stride),
            _ => false,
        };
        let axes: Vec<usize> = spatial.collect();
        let swapped = match axes[..] {
            [] if shape.height * shape.width == 1 => false,
            [only] if shape.height == 1 && covers(only, columns) => false,
            // A series that lies in memory as a column is one all the same.
            [only] if shape.width == 1 && covers(only, rows) => true,
            [first, second] if covers(first, rows) && covers(second, columns) => false,
            [first, second] if covers(first, columns) && covers(second, rows) => true,
            _ => return Err(not()),
        };
        let mut only = view.clone();
        only.axes = vec![view.axes[channel_axis].clone()];
        let channels = only.places();
        if channels.iter().any(|&place| place >= shape.channels) {
            return refuse(
                "reads a part of an image's rows or columns",
                "cut the part behind the global pooling or fully connected layer, or not at all",
            );
        }
        let sizes = view.shape();
        let extent = match axes[..] {
            [first, second] => [sizes[first], sizes[second]],
            [only] => [1, sizes[only]],
            _ => [1, 1],
        };
        Ok(Self {
            tensor: view.tensor,
            shape,
            extent,
            channels,
            // A series counts its columns last, so a column of memory is swapped.
            swapped,
            view: view.clone(),
            channels_last,
        })
    }

    /// Two numbers for the model's rows and columns in the order of memory.
    pub fn ordered<T: Copy>(&self, [first, second]: [T; 2]) -> [T; 2] {
        if self.swapped { [second, first] } else { [first, second] }
    }

    /// The view of a layer's output with these rows and columns of the model and new channels.
    pub fn next(&self, tensor: usize, extent: [usize; 2], channels: usize) -> (SampleShape, View) {
        let [height, width] = self.ordered(extent);
        let shape = SampleShape::new(height, width, channels);
        (shape, self.arranged(tensor, shape))
    }

    /// The same of a layer that treats every channel of memory alike.
    pub fn channelwise(&self, tensor: usize, extent: [usize; 2]) -> (SampleShape, View) {
        let (shape, mut view) = self.next(tensor, extent, self.shape.channels);
        let axis = if self.channels_last { view.axes.len() - 1 } else { 1 };
        view.axes[axis].clone_from(&self.view.axes[axis]);
        view.offset = self.view.offset;
        (shape, view)
    }

    fn arranged(&self, tensor: usize, shape: SampleShape) -> View {
        let rank = self.view.axes.len();
        let mut view = View::image(tensor, shape, 4, self.channels_last);
        let (rows, columns) = if self.channels_last { (1, 2) } else { (2, 3) };
        if self.swapped {
            view.axes.swap(rows, columns);
        }
        match rank {
            // What is left has size 1.
            3 => drop(view.axes.remove(rows)),
            2 => drop(view.axes.drain(rows..=columns)),
            _ => {}
        }
        view
    }
}
