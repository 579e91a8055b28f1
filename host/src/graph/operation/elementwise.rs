//! A function of single values: in integers a table for all 256 inputs, equation (11).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::requantize::ActivationRange;

use super::{Folded, Folding, Forward, Keys, Order, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::function::{Function, LEAST};
use crate::lowering::{Context, FoldedOperator, Lowered};

/// Largest magnitude of a slope, an alpha, an end or an exponent.
const NUMBER_LIMIT: f64 = 1e3;

/// A function of each value by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elementwise(pub Function);

impl Rules for Elementwise {
    const NAMES: &'static [&'static str] = &Function::NAMES;
    const ORDER: Order = Order::Value;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn read(name: &str, keys: &mut Keys) -> Result<Self, Refusal> {
        let missing = || Refusal::from(format!("has the unknown operation '{name}'"));
        let mut function = Function::named(name).ok_or_else(missing)?;
        for (key, number) in function.numbers() {
            if let Some(given) = keys.take(key)? {
                *number = given;
            }
        }
        Ok(Self(function))
    }

    fn write(&self, keys: &mut Keys) {
        let mut function = self.0;
        for (key, &mut number) in function.numbers() {
            // An end that is not there is not written.
            if number.is_finite() {
                keys.set(key, number);
            }
        }
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        let mut function = self.0;
        let open = [("low", f64::NEG_INFINITY), ("high", f64::INFINITY)];
        for (key, &mut number) in function.numbers() {
            let fits = number.is_finite() && number.abs() <= NUMBER_LIMIT;
            if !fits && !open.contains(&(key, number)) {
                return Err(format!("has {key} {number}"));
            }
        }
        if let Function::Clip { low, high } = self.0
            && low >= high
        {
            return Err(format!("is cut off at {low} and {high}"));
        }
        Ok(Sizes::of(inputs[0]))
    }

    fn forward(&self, pass: &mut Forward<'_>) -> Result<Tensor> {
        let x = pass.input(0)?;
        // Not 1 / (1 + exp(-x)), whose derivative is not a number where the exponential overflows.
        let sigmoid = |x: &Tensor| x.affine(0.5, 0.0)?.tanh()?.affine(0.5, 0.5);
        let hard_sigmoid = |slope: f64| {
            let positive = x.affine(slope, 0.5)?.relu()?;
            positive.sub(&positive.affine(1.0, -1.0)?.relu()?)
        };
        let negative = || x.neg()?.relu();
        // ln(1 + e^−|x|) + max(x, 0)
        let softplus = || -> candle_core::Result<Tensor> {
            let magnitude = x.relu()?.add(&negative()?)?;
            x.relu()?.add(&magnitude.neg()?.exp()?.affine(1.0, 1.0)?.log()?)
        };
        let above_least = |x: &Tensor| x.affine(1.0, -LEAST)?.relu()?.affine(1.0, LEAST);
        Ok(match self.0 {
            Function::Sigmoid => sigmoid(x)?,
            Function::Tanh => x.tanh()?,
            Function::LeakyRelu { slope } => x.relu()?.sub(&negative()?.affine(slope, 0.0)?)?,
            Function::Elu { alpha } => {
                x.relu()?.add(&negative()?.neg()?.exp()?.affine(alpha, -alpha)?)?
            }
            Function::HardSigmoid { slope } => hard_sigmoid(slope)?,
            Function::HardSwish => x.mul(&hard_sigmoid(1.0 / 6.0)?)?,
            Function::Gelu => {
                let error = x.affine(std::f64::consts::FRAC_1_SQRT_2, 0.0)?.erf()?;
                x.mul(&error.affine(0.5, 0.5)?)?
            }
            Function::Swish => x.mul(&sigmoid(x)?)?,
            Function::Clip { low, high } => {
                let mut cut = x.clone();
                if low.is_finite() {
                    cut = cut.affine(1.0, -low)?.relu()?.affine(1.0, low)?;
                }
                if high.is_finite() {
                    cut = cut.affine(-1.0, high)?.relu()?.affine(-1.0, high)?;
                }
                cut
            }
            Function::Absolute => x.relu()?.add(&negative()?)?,
            Function::Exponential => x.exp()?,
            Function::Logarithm => above_least(x)?.log()?,
            Function::Softplus => softplus()?,
            Function::Mish => x.mul(&softplus()?.tanh()?)?,
            Function::Power { exponent } if exponent.fract() == 0.0 && exponent.abs() <= 8.0 => {
                let times = exponent.abs() as usize;
                let mut product = x.affine(0.0, 1.0)?;
                for _ in 0..times {
                    product = product.mul(x)?;
                }
                if exponent < 0.0 { product.recip()? } else { product }
            }
            Function::Power { exponent } => above_least(x)?.log()?.affine(exponent, 0.0)?.exp()?,
        })
    }

    fn fold(&self, folding: &Folding<'_>) -> Result<Folded> {
        folding.layer(*self)
    }
}

impl FoldedOperator for Elementwise {
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) {
        for (value, &input) in output.iter_mut().zip(inputs[0]) {
            *value = self.0.value(f64::from(input)) as f32;
        }
    }

    fn lower(&self, context: &Context<'_>) -> Result<Lowered> {
        let input = context.inputs[0];
        let (output, range) = context.output(0.0);
        let entry = |byte: u8| {
            let real = self.0.value(input.real(byte.cast_signed()));
            let stored = (real / output.scale + 0.5).floor() + f64::from(output.zero_point);
            let clamped = stored.clamp(f64::from(range.min), f64::from(range.max));
            (clamped as i8).cast_unsigned()
        };
        Ok(Lowered {
            operator: Operator::Table(operator::Table { entries: 0 }),
            weights: None,
            constants: (0..=u8::MAX).map(entry).collect(),
            output,
            activation: ActivationRange::FULL,
        })
    }
}
