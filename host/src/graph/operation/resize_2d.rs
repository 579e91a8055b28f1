//! An image of another size, equation (15). Scale and zero point stay.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use tinyhero_common::operator::{self, Interpolation, Operator, Stretch};
use tinyhero_common::shape::Shape;

use super::windowed::Pair;
use super::{Folded, Folding, Forward, Keys, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::{Error, Result};
use crate::graph::sampling::{Coordinates, Method, PositionRounding, Sampling, WIDE_POSITIONS};
use crate::lowering::{Context, FoldedOperator, Lowered, range_of_input};

/// How large a resized image becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeExtent {
    /// So many times as high and as wide.
    Factor([usize; 2]),
    /// Height and width.
    Size([usize; 2]),
}

/// An image of another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resize2d {
    /// The size.
    pub extent: ResizeExtent,
    /// What its pixels take of the other image.
    pub sampling: Sampling,
}

/// The methods by their names in network files.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MethodName {
    Nearest,
    Linear,
}

impl Resize2d {
    /// Height and width of the output.
    fn output(&self, input: SampleShape) -> Option<[usize; 2]> {
        match self.extent {
            ResizeExtent::Size(size) => Some(size),
            ResizeExtent::Factor([down, across]) => {
                Some([input.height.checked_mul(down)?, input.width.checked_mul(across)?])
            }
        }
    }
}

impl Rules for Resize2d {
    const NAMES: &'static [&'static str] = &["resize-2d"];

    fn read(_: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        let factor = keys.take::<Pair>("factor")?.map(Pair::sizes);
        let size = keys.take::<Pair>("size")?.map(Pair::sizes);
        let extent = match (factor, size) {
            (Some(factor), None) => ResizeExtent::Factor(factor),
            (None, Some(size)) => ResizeExtent::Size(size),
            _ => return Err("needs one of 'factor' and 'size'".into()),
        };
        let rounding = keys.take::<PositionRounding>("rounding")?;
        let method = match keys.or("method", MethodName::Nearest)? {
            MethodName::Nearest => {
                Method::Nearest { rounding: rounding.unwrap_or(PositionRounding::Floor) }
            }
            MethodName::Linear if rounding.is_some() => {
                return Err("has 'rounding', which only nearest resizing uses".into());
            }
            MethodName::Linear => Method::Linear,
        };
        let usual = match method {
            Method::Nearest { .. } => Coordinates::Asymmetric,
            Method::Linear => Coordinates::HalfPixel,
        };
        let coordinates = keys.or("coordinates", usual)?;
        Ok(Self { extent, sampling: Sampling { method, coordinates } })
    }

    fn write(&self, keys: &mut Keys) {
        match self.extent {
            ResizeExtent::Factor(factor) => keys.set("factor", factor),
            ResizeExtent::Size(size) => keys.set("size", size),
        }
        match self.sampling.method {
            Method::Nearest { rounding } => {
                keys.set("method", MethodName::Nearest);
                keys.set("rounding", rounding);
            }
            Method::Linear => keys.set("method", MethodName::Linear),
        }
        keys.set("coordinates", self.sampling.coordinates);
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let input = inputs[0];
        let [height, width] = self.output(input).ok_or("is too large")?;
        if height == 0 || width == 0 {
            return Err("gives no output".to_string());
        }
        match self.sampling.operator([input.height, input.width], [height, width]) {
            Some(_) => Ok(Sizes::of(SampleShape::new(height, width, input.channels))),
            None => Err(format!("{WIDE_POSITIONS}: {input} to {height}x{width}")),
        }
    }

    /// Along each axis a product with a matrix that has the weights of the inputs.
    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let (x, input, output) = (pass.input(0)?, pass.input, pass.output);
        let wide = || Error::Tensor(WIDE_POSITIONS.to_string());
        let sizes = [[input.height, input.width], [output.height, output.width]];
        let operator = self.sampling.operator(sizes[0], sizes[1]).ok_or_else(wide)?;
        let matrix = |stretch, outputs: usize, inputs: usize| -> Result<Tensor> {
            let weights = weights(stretch, operator.interpolation, outputs, inputs);
            let matrix = Tensor::from_vec(weights, (outputs, inputs), &Device::Cpu)?;
            Ok(matrix.to_dtype(x.dtype())?.to_device(x.device())?)
        };
        let samples = x.dim(0)?;
        let lines = x.reshape((samples, input.height, input.width * input.channels))?;
        let rows = matrix(operator.rows, output.height, input.height)?.broadcast_matmul(&lines)?;
        let columns = rows.reshape((samples * output.height, input.width, input.channels))?;
        let all =
            matrix(operator.columns, output.width, input.width)?.broadcast_matmul(&columns)?;
        Ok(all.reshape((samples, output.height, output.width, output.channels))?)
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        let (input, output) = (folding.input(), folding.output);
        let extents = [input, output].map(|shape| [shape.height, shape.width].map(usize::from));
        match self.sampling.operator(extents[0], extents[1]) {
            Some(operator) => folding.layer(ResizeLayer { operator, input, output }),
            None => Err(folding.refuse(WIDE_POSITIONS, "resize by a whole factor")),
        }
    }
}

/// For every output along an axis, the input before it, the next one, and the share of that.
fn positions(
    stretch: Stretch,
    interpolation: Interpolation,
    outputs: usize,
    inputs: usize,
) -> Vec<(usize, usize, f32)> {
    let last = inputs.saturating_sub(1);
    let position = |output: usize| {
        let parts = output as i64 * i64::from(stretch.step) + i64::from(stretch.start);
        let divisor = i64::from(stretch.divisor);
        let before = match usize::try_from(parts.div_euclid(divisor)) {
            Ok(before) if before < last => before,
            Ok(_) => return (last, last, 0.0),
            Err(_) => return (0, 0, 0.0),
        };
        let share = match interpolation {
            Interpolation::Nearest => 0.0,
            Interpolation::Linear => parts.rem_euclid(divisor) as f32 / divisor as f32,
        };
        (before, before + 1, share)
    };
    (0..outputs).map(position).collect()
}

/// The same as a matrix, a row an output.
fn weights(
    stretch: Stretch,
    interpolation: Interpolation,
    outputs: usize,
    inputs: usize,
) -> Vec<f32> {
    let mut weights = vec![0.0; outputs * inputs];
    let found = positions(stretch, interpolation, outputs, inputs);
    for (row, (before, next, share)) in weights.chunks_exact_mut(inputs.max(1)).zip(found) {
        row[before] += 1.0 - share;
        row[next] += share;
    }
    weights
}

/// A resizing.
struct ResizeLayer {
    operator: operator::Resize2d,
    input: Shape,
    output: Shape,
}

impl FoldedOperator for ResizeLayer {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        let (depth, width) = (usize::from(self.input.channels), usize::from(self.input.width));
        let axis = |stretch, outputs: u16, inputs: u16| {
            positions(stretch, self.operator.interpolation, outputs.into(), inputs.into())
        };
        let rows = axis(self.operator.rows, self.output.height, self.input.height);
        let columns = axis(self.operator.columns, self.output.width, self.input.width);
        let places = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
        for (pixel, (row, column)) in output.chunks_exact_mut(depth).zip(places) {
            let values = |row: usize, column: usize| &inputs[0][(row * width + column) * depth..];
            let corner = values(row.0, column.0);
            let others = [(row.0, column.1), (row.1, column.0), (row.1, column.1)];
            let [right, below, last] = others.map(|(row, column)| values(row, column));
            for (channel, value) in pixel.iter_mut().enumerate() {
                let mean = |first: f32, second: f32, share: f32| first + (second - first) * share;
                let upper = mean(corner[channel], right[channel], column.2);
                let lower = mean(below[channel], last[channel], column.2);
                *value = mean(upper, lower, row.2);
            }
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        Ok(range_of_input(Operator::Resize2d(self.operator), context))
    }

    fn commutes_with_activation(&self) -> bool {
        self.operator.interpolation == Interpolation::Nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_and_integers_read_the_same_pixels() {
        let (input, output) = (SampleShape::new(3, 4, 2), SampleShape::new(7, 5, 2));
        let methods = [Method::Nearest { rounding: PositionRounding::HalfUp }, Method::Linear];
        for method in methods {
            let sampling = Sampling { method, coordinates: Coordinates::HalfPixel };
            let resize = Resize2d { extent: ResizeExtent::Size([7, 5]), sampling };
            let values: Vec<f32> = (0..24).map(|at| (at * at % 17) as f32 - 5.0).collect();
            let x = Tensor::from_vec(values.clone(), (1, 3, 4, 2), &Device::Cpu).unwrap();
            let mut pass = Forward {
                inputs: &[&x],
                parameters: &[],
                input,
                output,
                training: true,
                statistics: None,
            };
            let y = resize.forward(&mut pass).unwrap();
            let y: Vec<f32> = y.flatten_all().unwrap().to_vec1().unwrap();
            let layer = ResizeLayer {
                operator: sampling.operator([3, 4], [7, 5]).unwrap(),
                input: Shape { height: 3, width: 4, channels: 2 },
                output: Shape { height: 7, width: 5, channels: 2 },
            };
            let mut folded = vec![0.0; 70];
            layer.forward(&[&values], &mut folded);
            for (trained, folded) in y.iter().zip(&folded) {
                assert!((trained - folded).abs() < 1e-5, "{trained} {folded}");
            }
        }
    }
}
