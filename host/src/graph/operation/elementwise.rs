//! A function of single values: in integers a table for all 256 inputs, equation (11).

use candle_core::Tensor;
use tinyhero_common::operator::{self, Operator};
use tinyhero_common::requantize::ActivationRange;

use super::{Folded, Folding, Forward, Keys, Order, Refusal, Rules, Sizes};
use crate::data::SampleShape;
use crate::error::Result;
use crate::graph::function::Function;
use crate::lowering::{Context, FoldedOperator, Lowered};

/// Largest slope or alpha.
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
        let plain = Function::named(name, None, None).ok_or_else(missing)?;
        let slope = if plain.slope().is_some() { keys.take("slope")? } else { None };
        let alpha = if plain.alpha().is_some() { keys.take("alpha")? } else { None };
        Function::named(name, slope, alpha).map(Self).ok_or_else(missing)
    }

    fn write(&self, keys: &mut Keys) {
        if let Some(slope) = self.0.slope() {
            keys.set("slope", slope);
        }
        if let Some(alpha) = self.0.alpha() {
            keys.set("alpha", alpha);
        }
    }

    fn sizes(&self, inputs: &[SampleShape]) -> Result<Sizes, String> {
        for number in [self.0.slope(), self.0.alpha()].into_iter().flatten() {
            if !(number.is_finite() && number.abs() <= NUMBER_LIMIT) {
                return Err(format!("has a slope or alpha of {number}"));
            }
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
