//! An image of another size, equation (15): by its nearest pixels, or interpolated between them.

use super::{Rules, Tensors};
use crate::compact::described;
use crate::reason::{Reason, require};
use crate::requantize::ActivationRange;
use crate::shape::Shape;
use crate::tensor::Tensor;
use serde::{Deserialize, Serialize};

described! {
    /// What stands between pixels.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
    pub enum Interpolation {
        /// The pixel before.
        Nearest,
        /// The mean of both, each weighted by its nearness.
        Linear,
    }
}

described! {
    #[shared]
    /// Where along one axis an output finds its input: output `i` at `(i · step + start) / divisor`, moved to the nearest end of the image
    /// where it lies outside.
    pub struct Stretch {
        /// From one output to the next, in parts of an input.
        pub step: u16,
        /// Of the first output.
        pub start: i16,
        /// Parts of an input, at least 1.
        pub divisor: u16,
    }
}

described! {
    /// Rows and columns at other distances. Channels, scale and zero point stay.
    pub struct Resize2d {
        /// What stands between pixels.
        pub interpolation: Interpolation,
        /// The rows.
        pub rows: Stretch,
        /// The columns.
        pub columns: Stretch,
    }
}

/// A resizing, ready to run.
#[derive(Clone, Copy, Debug)]
pub struct Resize2dJob {
    /// Shape of the input.
    pub input: Shape,
    /// Shape of the output.
    pub output: Shape,
    /// What stands between pixels.
    pub interpolation: Interpolation,
    /// The rows.
    pub rows: Stretch,
    /// The columns.
    pub columns: Stretch,
    /// Clamp of the output.
    pub activation: ActivationRange,
}

/// Bits of a weight behind the point.
const WEIGHT_BITS: u32 = 10;

impl Rules for Resize2d {
    type Job<'a> = Resize2dJob;

    const NAME: &'static str = "resize-2d";

    fn check(&self, tensors: &Tensors<'_>) -> Result<(), Reason> {
        require(tensors.same_channels(), Reason::ShapeMismatch)?;
        let (input, output): (&Tensor, &Tensor) = (tensors.input(), tensors.output);
        let same = input.zero_point == output.zero_point && input.scale == output.scale;
        require(same, Reason::Quantization)?;
        require(self.rows.divisor > 0 && self.columns.divisor > 0, Reason::Window)
    }

    fn job(&self, tensors: &Tensors<'_>, _parameters: &[u8]) -> Option<Resize2dJob> {
        Some(Resize2dJob {
            input: tensors.input().shape.copied(),
            output: tensors.output.shape.copied(),
            interpolation: self.interpolation,
            rows: self.rows,
            columns: self.columns,
            activation: tensors.activation,
        })
    }

    fn reads_per_output(&self) -> usize {
        match self.interpolation {
            Interpolation::Nearest => 1,
            Interpolation::Linear => 4,
        }
    }
}

/// One output after the other along an axis.
#[derive(Clone, Copy)]
struct Walk {
    /// The input before it; outside the image where this is no place of one.
    place: i32,
    /// Parts of an input behind that.
    rest: u32,
    /// Whole inputs and parts from one output to the next.
    step: (i32, u32),
    divisor: u32,
    /// Inputs.
    extent: usize,
}

impl Walk {
    fn new(stretch: Stretch, extent: u16) -> Self {
        let divisor = i32::from(stretch.divisor);
        let divide = |number: i32| {
            let place = number.checked_div_euclid(divisor).unwrap_or(0);
            (place, number.wrapping_sub(place.wrapping_mul(divisor)) as u32)
        };
        let (place, rest) = divide(stretch.start.into());
        let step = divide(stretch.step.into());
        Self { place, rest, step, divisor: divisor as u32, extent: extent.into() }
    }

    fn advance(&mut self) {
        let (whole, part) = self.step;
        self.place = self.place.saturating_add(whole);
        self.rest = self.rest.wrapping_add(part);
        if self.rest >= self.divisor {
            self.rest = self.rest.wrapping_sub(self.divisor);
            self.place = self.place.saturating_add(1);
        }
    }

    /// The input at or before it, inside the image, and how far behind that it is.
    fn found(&self) -> (usize, u32) {
        let last = self.extent.saturating_sub(1);
        match usize::try_from(self.place) {
            Ok(place) if place < last => (place, self.rest),
            Ok(_) => (last, 0),
            Err(_) => (0, 0),
        }
    }

    /// Two inputs and the weight of the second, in 2^-10.
    fn between(&self) -> [usize; 3] {
        let (place, rest) = self.found();
        let halves = (rest << (WEIGHT_BITS + 1)).wrapping_add(self.divisor);
        let weight = halves.checked_div(self.divisor << 1).unwrap_or(0);
        let next = if weight > 0 { place + 1 } else { place };
        [place, next, weight as usize]
    }
}

pub(crate) fn resize_2d(job: &Resize2dJob, input: &[i8], output: &mut [i8]) {
    let (width, depth) = (usize::from(job.input.width), usize::from(job.input.channels));
    let mut rest = output;
    let mut row = Walk::new(job.rows, job.input.height);
    for _ in 0..job.output.height {
        let mut column = Walk::new(job.columns, job.input.width);
        for _ in 0..job.output.width {
            let Some(pixel) = rest.split_off_mut(..depth) else { return };
            match job.interpolation {
                Interpolation::Nearest => {
                    let place = row.found().0 * width + column.found().0;
                    let values = input.get(place * depth..).unwrap_or(&[]);
                    for (output, &value) in pixel.iter_mut().zip(values) {
                        *output = job.activation.saturate(value.into());
                    }
                }
                Interpolation::Linear => interpolate(job, row, column, input, pixel),
            }
            column.advance();
        }
        row.advance();
    }
}

/// One pixel between four.
fn interpolate(job: &Resize2dJob, row: Walk, column: Walk, input: &[i8], pixel: &mut [i8]) {
    let (width, depth) = (usize::from(job.input.width), usize::from(job.input.channels));
    let [[above, below, down], [left, right, across]] = [row.between(), column.between()];
    let values = |row: usize, column: usize| {
        input.get((row * width + column) * depth..).unwrap_or(&[]).iter()
    };
    let upper = values(above, left).zip(values(above, right));
    let lower = values(below, left).zip(values(below, right));
    let mean = |weight: usize, first: i32, second: i32| {
        let weight = weight as i32;
        first.wrapping_mul((1 << WEIGHT_BITS) - weight).wrapping_add(second.wrapping_mul(weight))
    };
    for ((output, upper), lower) in pixel.iter_mut().zip(upper).zip(lower) {
        let line = |(&left, &right): (&i8, &i8)| mean(across, left.into(), right.into());
        let sum = mean(down, line(upper), line(lower));
        let rounded = sum.wrapping_add(1 << (2 * WEIGHT_BITS - 1)) >> (2 * WEIGHT_BITS);
        *output = job.activation.saturate(rounded);
    }
}
