//! A model as layers over tensors in memory: what views have been resolved into, and what becomes a
//! network of real numbers or of integers.

use super::operation::Unary;
use crate::data::SampleShape;
use crate::graph::sampling::Sampling;
use tinyhero_common::operator::Reset;

/// The layers of a model.
#[derive(Clone, Debug)]
pub struct Layers {
    /// Name for reports.
    pub name: String,
    /// What goes in, at least one.
    pub inputs: Vec<Input>,
    /// Layers, each behind those that it reads.
    pub layers: Vec<Layer>,
    /// What comes out, at least one; the first has the answer.
    pub outputs: Vec<Output>,
}

/// An input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name, unique.
    pub name: String,
    /// Its shape in memory.
    pub shape: SampleShape,
    /// The place in memory of every number that the user gives, in the model's order.
    pub places: Vec<usize>,
    /// Scale and zero point as int8, where the model has them.
    pub quantization: Option<Grid>,
    /// Whether the user gives integers of 8 bits, and whether they are signed.
    pub integers: Option<bool>,
}

/// An output.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name, unique.
    pub name: String,
    /// The tensor: inputs first, then the output of each layer.
    pub tensor: usize,
    /// The place in memory of every number that the user gets, in the model's order.
    pub places: Vec<usize>,
    /// Whether the user gets integers of 8 bits, and whether they are signed.
    pub integers: Option<bool>,
    /// Scale and zero point as int8, where the model has them.
    pub quantization: Option<Grid>,
    /// Whether the model gives logarithms of probabilities; the last layer then gives scores.
    pub logarithm: bool,
    /// Whether the model gives the position of the largest number; the last layer gives the numbers.
    pub label: bool,
}

/// `real = scale · (q − zero_point)` with `q` in −128 ..= 127.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// The step.
    pub scale: f64,
    /// What stands for 0.
    pub zero_point: i8,
}

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Its name, unique.
    pub name: String,
    /// The operator of the file that it comes from.
    pub operator: String,
    /// What it computes.
    pub kind: Kind,
    /// Tensors that it reads: inputs first, then the output of each layer.
    pub inputs: Vec<usize>,
    /// Shape of its output.
    pub shape: SampleShape,
    /// Scale and zero point of its output, where the model has them.
    pub grid: Option<Grid>,
}

/// A window with its border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// Rows and columns.
    pub kernel: [usize; 2],
    /// Vertical and horizontal stride.
    pub stride: [usize; 2],
    /// Rows and columns added: top, bottom, left, right.
    pub border: [usize; 4],
}

impl Sliding {
    /// One pixel after the other.
    pub const PIXEL: Self = Self { kernel: [1, 1], stride: [1, 1], border: [0; 4] };

    /// Whether it adds nothing around the image.
    pub const fn is_inside(&self) -> bool {
        matches!(self.border, [0, 0, 0, 0])
    }
}

/// Weights, one row an output, each in the order row, column, input channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Weights of one output.
    pub row_length: usize,
    /// Real numbers, row by row.
    pub reals: Vec<f64>,
    /// One for each output.
    pub bias: Vec<f64>,
    /// Integers of at most 8 bits with zero point 0, and the step of each row, where the model has
    /// them.
    pub integers: Option<(Vec<i8>, Vec<f64>)>,
}

impl Weights {
    /// Real weights.
    pub const fn real(row_length: usize, reals: Vec<f64>, bias: Vec<f64>) -> Self {
        Self { row_length, reals, bias, integers: None }
    }

    /// Number of outputs.
    pub const fn rows(&self) -> usize {
        self.bias.len()
    }

    /// Replaces each output `y` by `gain · y + shift`.
    pub fn scale_rows(&mut self, gain: &[f64], shift: &[f64]) {
        for (row, &gain) in self.reals.chunks_exact_mut(self.row_length.max(1)).zip(gain) {
            row.iter_mut().for_each(|weight| *weight *= gain);
        }
        for ((bias, gain), shift) in self.bias.iter_mut().zip(gain).zip(shift) {
            *bias = *bias * gain + shift;
        }
        if let Some((integers, scales)) = &mut self.integers {
            let rows = integers.chunks_exact_mut(self.row_length.max(1));
            for ((row, scale), &gain) in rows.zip(scales).zip(gain) {
                if gain < 0.0 {
                    row.iter_mut().for_each(|weight| *weight = weight.saturating_neg());
                }
                // A channel that is switched off.
                if gain == 0.0 {
                    row.fill(0);
                } else {
                    *scale *= gain.abs();
                }
            }
        }
    }
}

/// A recurrent layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Recurrent {
    /// Where the reset gate of a gated recurrent unit acts; none for long short-term memory.
    pub reset: Option<Reset>,
    /// Whether columns are read from the last to the first.
    pub backward: bool,
    /// Whether it gives all hidden states, not the last alone.
    pub sequence: bool,
    /// Weights of the input, of the hidden state, and their biases, gate by gate in the order of network files.
    pub lists: [Vec<f64>; 4],
}

/// What a layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Convolution over all channels.
    Convolution {
        /// How it slides.
        sliding: Sliding,
        /// Rows of kernel row, kernel column, input channel.
        weights: Weights,
    },
    /// One kernel a channel.
    Depthwise {
        /// How it slides.
        sliding: Sliding,
        /// Rows of kernel row, kernel column.
        weights: Weights,
    },
    /// Convolution of each group of channels, with taps apart.
    Grouped {
        /// How it slides; the kernel is counted without what lies between its taps.
        sliding: Sliding,
        /// Vertical and horizontal distance of taps.
        dilation: [usize; 2],
        /// Groups of channels.
        groups: usize,
        /// Rows of kernel row, kernel column, input channel of the group.
        weights: Weights,
    },
    /// Every input pixel adds its kernel to the output.
    Transposed {
        /// Strides are the output's; of the border, what is cut off above and left counts.
        sliding: Sliding,
        /// Rows of kernel row, kernel column, input channel.
        weights: Weights,
    },
    /// An image of another size.
    Resize(Sampling),
    /// All numbers of the input in the order of memory.
    FullyConnected {
        /// Rows of numbers in that order.
        weights: Weights,
    },
    /// `gain · x + shift` for each channel.
    Affine {
        /// Factors.
        gain: Vec<f64>,
        /// Summands.
        shift: Vec<f64>,
    },
    /// max(x, 0), cut at 6 or not.
    Relu {
        /// Whether it is cut at 6.
        six: bool,
    },
    /// Another function of one number.
    Function(Unary),
    /// Mean over a window.
    AveragePool {
        /// How it slides.
        sliding: Sliding,
        /// Whether the border counts as zeros.
        count_border: bool,
    },
    /// Maximum over a window; the border never wins.
    MaxPool {
        /// How it slides.
        sliding: Sliding,
    },
    /// Mean over the image.
    GlobalAverage,
    /// Sum of two tensors of one shape.
    Add,
    /// Product of two tensors of one shape, or of an image and a vector of its channels.
    Multiply,
    /// The channels of several tensors side by side.
    Concatenate,
    /// A layer with a hidden state over the columns of an image of height 1.
    Recurrent(Recurrent),
    /// From one grid to another.
    Regrid,
    /// Probabilities over the channels of each pixel.
    Softmax,
}

impl Layers {
    /// The layer that writes a tensor; `None` for an input.
    pub fn layer_of(&self, tensor: usize) -> Option<usize> {
        tensor.checked_sub(self.inputs.len())
    }

    /// The tensor that a layer writes.
    pub const fn tensor_of(&self, layer: usize) -> usize {
        self.inputs.len() + layer
    }

    /// The shape of a tensor.
    pub fn shape(&self, tensor: usize) -> SampleShape {
        match self.layer_of(tensor) {
            None => self.inputs[tensor].shape,
            Some(layer) => self.layers[layer].shape,
        }
    }

    /// The grid of a tensor.
    pub fn grid(&self, tensor: usize) -> Option<Grid> {
        match self.layer_of(tensor) {
            None => self.inputs[tensor].quantization,
            Some(layer) => self.layers[layer].grid,
        }
    }

    /// The same, to be changed.
    pub fn grid_mut(&mut self, tensor: usize) -> &mut Option<Grid> {
        match self.layer_of(tensor) {
            None => &mut self.inputs[tensor].quantization,
            Some(layer) => &mut self.layers[layer].grid,
        }
    }

    /// Whether a tensor is an output.
    pub fn is_output(&self, tensor: usize) -> bool {
        self.outputs.iter().any(|output| output.tensor == tensor)
    }

    /// How often each tensor is read; outputs once more.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.inputs.len() + self.layers.len()];
        for &tensor in self.layers.iter().flat_map(|layer| &layer.inputs) {
            readers[tensor] += 1;
        }
        for output in &self.outputs {
            readers[output.tensor] += 1;
        }
        readers
    }

    /// Takes a layer out; what read it reads its first input.
    pub fn remove(&mut self, index: usize) {
        let gone = self.tensor_of(index);
        let layer = self.layers.remove(index);
        let instead = layer.inputs[0];
        let renumber = |tensor: &mut usize| {
            if *tensor == gone {
                *tensor = instead;
            } else if *tensor > gone {
                *tensor -= 1;
            }
        };
        self.layers.iter_mut().flat_map(|layer| &mut layer.inputs).for_each(renumber);
        self.outputs.iter_mut().map(|output| &mut output.tensor).for_each(renumber);
    }
}
