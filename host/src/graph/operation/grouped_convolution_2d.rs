//! Convolution in groups of channels, with taps apart, equation (17).

use std::sync::OnceLock;

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};

use super::windowed::{self, Pair};
use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes, product, weighted as rules};
use crate::convolution::{self, convolve};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::parameters::{Initial, ParameterKind, ParameterRule};
use crate::lowering::weights::WeightMatrix;
use crate::lowering::{Context, FoldedOperator, Geometry, Linear, Lowered, Reads, Taps, weighted};
use crate::window::{Padding, Sliding};

/// Convolution of each group of input channels to a group of output channels. Weights: output channel, input channel of the group, row, column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupedConvolution2d {
    /// Output channels.
    pub out_channels: usize,
    /// How the kernel slides, over zeros around the input; it is counted without what lies between its taps.
    pub sliding: Sliding,
    /// Vertical and horizontal distance of taps.
    pub dilation: [usize; 2],
    /// Groups, which divide the channels of input and output.
    pub groups: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl GroupedConvolution2d {
    /// The window with what lies between its taps.
    fn spread(&self) -> Option<Sliding> {
        let reach = |axis: usize| {
            let between = self.sliding.kernel[axis].checked_sub(1)?;
            between.checked_mul(self.dilation[axis])?.checked_add(1)
        };
        Some(Sliding { kernel: [reach(0)?, reach(1)?], ..self.sliding })
    }
}

impl Rules for GroupedConvolution2d {
    const NAMES: &'static [&'static str] = &["grouped-convolution-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        Ok(Self {
            out_channels: keys.required("out-channels")?,
            dilation: keys.take::<Pair>("dilation")?.map_or([1, 1], Pair::sizes),
            groups: keys.or("groups", 1)?,
            sliding: windowed::read(keys, |_| [1, 1], Padding::Same)?,
            bias: keys.or("bias", true)?,
        })
    }

    fn write(&self, keys: &mut Keys) {
        keys.set("out-channels", self.out_channels);
        windowed::write(&self.sliding, keys);
        keys.set("dilation", self.dilation);
        keys.set("groups", self.groups);
        keys.set("bias", self.bias);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let (channels, groups) = (inputs[0].channels, self.groups);
        let divides = |count: usize| count.is_multiple_of(groups);
        if groups == 0 || !divides(channels) || !divides(self.out_channels) {
            return Err(format!(
                "has {groups} groups, which do not divide {channels} channels into {}",
                self.out_channels
            ));
        }
        if self.dilation.contains(&0) {
            return Err("has a dilation of 0".to_string());
        }
        let sliding = self.spread().ok_or("has a kernel that is too large")?;
        let [height, width] = windowed::over(&sliding, inputs[0])?.output;
        let [rows, columns] = self.sliding.kernel;
        let terms = product(&[rows, columns, channels / groups])?;
        product(&[terms, self.out_channels])?;
        let output = SampleShape::new(height, width, self.out_channels);
        Ok(Sizes { output, macs_per_value: terms })
    }

    fn parameters(&self, input: SampleShape, output: SampleShape) -> Vec<ParameterRule> {
        let [rows, columns] = self.sliding.kernel;
        let inputs = input.channels / self.groups.max(1);
        let fan_in = rows * columns * inputs;
        let fan_out = rows * columns * output.channels / self.groups.max(1);
        let weight = ParameterRule::weight(
            vec![output.channels, inputs, rows, columns],
            ParameterKind::ConvolutionWeight,
            Initial::Convolution { fan_in, fan_out },
        );
        rules(weight, self.bias, output.channels, fan_in)
    }

    /// Convolutions of the groups, or depthwise ones where a group is a channel, with zeros between the taps.
    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let (x, weights) = (pass.input(0)?, between_zeros(pass.parameter(0)?, self.dilation)?);
        let sliding = self.spread().unwrap_or(self.sliding);
        let (inputs, outputs) =
            (pass.input.channels / self.groups, pass.output.channels / self.groups);
        let geometry = |inputs: usize, outputs: usize, depthwise: bool| {
            let input = SampleShape { channels: inputs, ..pass.input };
            let output = SampleShape { channels: outputs, ..pass.output };
            windowed::convolution(&sliding, input, output, depthwise)
        };
        let (_, per_group, rows, columns) = weights.dims4()?;
        let y = if inputs == 1 && self.groups > 1 {
            let geometry: convolution::Geometry = geometry(self.groups, self.groups, true)?;
            let by_group = weights.reshape((self.groups, outputs, rows, columns))?;
            let part = |output: usize| -> Result<Tensor> {
                Ok(convolve(x, &by_group.narrow(1, output, 1)?.contiguous()?, &geometry)?)
            };
            let parts = (0..outputs).map(part).collect::<Result<Vec<Tensor>>>()?;
            let (samples, height, width, _) = parts[0].dims4()?;
            let all = Tensor::stack(&parts, 4)?;
            all.reshape((samples, height, width, pass.output.channels))?
        } else {
            let geometry = geometry(per_group, outputs, false)?;
            let part = |group: usize| -> Result<Tensor> {
                let x = x.narrow(3, group * inputs, inputs)?.contiguous()?;
                let weights = weights.narrow(0, group * outputs, outputs)?.contiguous()?;
                Ok(convolve(&x, &weights, &geometry)?)
            };
            let parts = (0..self.groups).map(part).collect::<Result<Vec<Tensor>>>()?;
            Tensor::cat(&parts, 3)?
        };
        pass.biased(y)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let (input, output) = (folding.input(), folding.output);
        let extents = [usize::from(input.height), usize::from(input.width)];
        let Some(mut window) = self.spread().and_then(|sliding| sliding.over(extents)) else {
            return Err(folding.refuse("its window does not fit its input", "change the layer"));
        };
        window.kernel = self.sliding.kernel;
        let window = windowed::in_bytes(&window, folding)?;
        let byte = |size: usize| {
            let advice = "use a smaller one";
            u8::try_from(size)
                .map_err(|_| folding.refuse(&format!("a dilation of {size} is above 255"), advice))
        };
        let dilation = [byte(self.dilation[0])?, byte(self.dilation[1])?];
        let geometry = Geometry { window, taps: Taps::Apart(dilation), input, output };
        folding.layer(GroupedLayer {
            geometry,
            dilation,
            // Not more than the channels, which fit.
            groups: u16::try_from(self.groups).unwrap_or(u16::MAX),
            matrix: folding.parameters.matrix(true),
            transposed: OnceLock::new(),
        })
    }
}

/// Kernels with zeros between their taps.
fn between_zeros(weights: &Tensor, [down, across]: [usize; 2]) -> Result<Tensor> {
    let (outputs, inputs, rows, columns) = weights.dims4()?;
    let (tall, wide) = ((rows - 1) * down + 1, (columns - 1) * across + 1);
    let lines = weights.reshape((outputs * inputs, rows, 1, columns))?;
    let lines = lines.pad_with_zeros(2, 0, down - 1)?;
    let lines = lines.reshape((outputs * inputs, rows * down, columns, 1))?;
    let all = lines.pad_with_zeros(3, 0, across - 1)?;
    let all = all.reshape((outputs * inputs, rows * down, columns * across))?;
    let all = all.narrow(1, 0, tall)?.narrow(2, 0, wide)?.contiguous()?;
    Ok(all.reshape((outputs, inputs, tall, wide))?)
}

/// A grouped convolution with folded weights, one row per output channel, in the order kernel row, kernel column, input channel of the group.
struct GroupedLayer {
    geometry: Geometry,
    dilation: [u8; 2],
    groups: u16,
    matrix: WeightMatrix,
    transposed: OnceLock<Vec<f32>>,
}

impl GroupedLayer {
    /// Input and output channels of a group.
    fn of_group(&self) -> [usize; 2] {
        let Geometry { input, output, .. } = self.geometry;
        [input, output].map(|shape| usize::from(shape.channels) / usize::from(self.groups.max(1)))
    }
}

impl FoldedOperator for GroupedLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let weights = self.transposed.get_or_init(|| self.matrix.transposed());
        let channels = self.matrix.rows();
        let depth = usize::from(self.geometry.input.channels);
        let [per_group, outputs] = self.of_group();
        for pixel in output.chunks_exact_mut(channels) {
            for (value, &bias) in pixel.iter_mut().zip(&self.matrix.bias) {
                *value = bias as f32;
            }
        }
        self.geometry.for_each_tap(|pixel, tap, place| {
            let sums = &mut output[pixel * channels..(pixel + 1) * channels];
            let values = &inputs[0][place * depth..(place + 1) * depth];
            let groups = sums.chunks_exact_mut(outputs).zip(values.chunks_exact(per_group));
            for (group, (sums, values)) in groups.enumerate() {
                for (input, &value) in values.iter().enumerate() {
                    let line = (tap * per_group + input) * channels + group * outputs;
                    for (sum, &weight) in sums.iter_mut().zip(&weights[line..]) {
                        *sum += value * weight;
                    }
                }
            }
        });
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let window = self.geometry.window;
        let [dilation_height, dilation_width] = self.dilation;
        let groups = self.groups;
        let [per_group, outputs] = self.of_group();
        weighted::lower(
            &self.matrix,
            context,
            |row, column| row / outputs * per_group + column % per_group,
            |weights| {
                Operator::GroupedConvolution2d(operator::GroupedConvolution2d {
                    window,
                    dilation_height,
                    dilation_width,
                    groups,
                    weights,
                })
            },
        )
    }

    fn linear(&self) -> Option<Linear<'_>> {
        let reads = Reads::GroupWindows(&self.geometry, usize::from(self.groups));
        Some(Linear { matrix: &self.matrix, reads })
    }

    fn set_matrix(&mut self, matrix: WeightMatrix) {
        self.matrix = matrix;
        self.transposed = OnceLock::new();
    }

    fn fold_affine(&mut self, gain: &[f64], shift: &[f64]) -> bool {
        self.matrix.fold_affine(gain, shift);
        self.transposed = OnceLock::new();
        true
    }
}
