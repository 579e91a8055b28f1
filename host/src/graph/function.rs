//! Functions of single values: what they are called, and their first two derivatives.

use candle_core::cpu::erf::erf_f64;

/// A function that is applied to every value of a tensor by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// `1 / (1 + e^−x)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x` above 0, `slope · x` below.
    LeakyRelu {
        /// The slope below 0.
        slope: f64,
    },
    /// `x` above 0, `alpha · (e^x − 1)` below.
    Elu {
        /// The limit at −∞ is `−alpha`.
        alpha: f64,
    },
    /// `slope · x + 1/2`, cut off at 0 and 1.
    HardSigmoid {
        /// The slope at 0.
        slope: f64,
    },
    /// `x` times the hard sigmoid of slope 1/6.
    HardSwish,
    /// `x · Φ(x)` with the normal distribution's Φ.
    Gelu,
    /// `x / (1 + e^−x)`.
    Swish,
    /// `x` cut off at both ends, of which one may be infinite.
    Clip {
        /// The least value.
        low: f64,
        /// The largest value.
        high: f64,
    },
    /// The magnitude of `x`.
    Absolute,
    /// `e^x`.
    Exponential,
    /// The natural logarithm; below [`LEAST`] that of `LEAST`.
    Logarithm,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `x · tanh(ln(1 + e^x))`.
    Mish,
    /// `x^exponent`. Where the exponent is not whole, numbers below [`LEAST`] count as `LEAST`; where it
    /// is negative, numbers nearer to 0 than that.
    Power {
        /// The exponent.
        exponent: f64,
    },
}

/// The smallest number that logarithms, roots and inverses are taken of.
pub const LEAST: f64 = 1e-6;

/// Below 0, the slope of `leaky-relu` where a network file does not say it.
pub const LEAKY_SLOPE: f64 = 0.01;
/// The slope of `hard-sigmoid` where a network file does not say it.
pub const HARD_SLOPE: f64 = 1.0 / 6.0;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// What a power is taken of, so that there is one.
fn base(x: f64, exponent: f64) -> f64 {
    if exponent.fract() != 0.0 {
        x.max(LEAST)
    } else if exponent < 0.0 && x.abs() < LEAST {
        LEAST.copysign(x)
    } else {
        x
    }
}

/// The normal distribution's density and distribution function.
fn normal(x: f64) -> (f64, f64) {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (density, 0.5 * (1.0 + erf_f64(x * std::f64::consts::FRAC_1_SQRT_2)))
}

impl Function {
    /// The names of all functions.
    pub const NAMES: [&str; 15] = [
        "sigmoid",
        "tanh",
        "leaky-relu",
        "elu",
        "hard-sigmoid",
        "hard-swish",
        "gelu",
        "swish",
        "clip",
        "absolute",
        "exponential",
        "logarithm",
        "softplus",
        "mish",
        "power",
    ];

    /// The name in network files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Elu { .. } => "elu",
            Self::HardSigmoid { .. } => "hard-sigmoid",
            Self::HardSwish => "hard-swish",
            Self::Gelu => "gelu",
            Self::Swish => "swish",
            Self::Clip { .. } => "clip",
            Self::Absolute => "absolute",
            Self::Exponential => "exponential",
            Self::Logarithm => "logarithm",
            Self::Softplus => "softplus",
            Self::Mish => "mish",
            Self::Power { .. } => "power",
        }
    }

    /// The function of that name, its numbers as they are where a network file does not say them. `None`
    /// if there is none.
    pub fn named(name: &str) -> Option<Self> {
        let functions = [
            Self::Sigmoid,
            Self::Tanh,
            Self::LeakyRelu { slope: LEAKY_SLOPE },
            Self::Elu { alpha: 1.0 },
            Self::HardSigmoid { slope: HARD_SLOPE },
            Self::HardSwish,
            Self::Gelu,
            Self::Swish,
            Self::Clip { low: f64::NEG_INFINITY, high: f64::INFINITY },
            Self::Absolute,
            Self::Exponential,
            Self::Logarithm,
            Self::Softplus,
            Self::Mish,
            Self::Power { exponent: 2.0 },
        ];
        functions.into_iter().find(|function| function.name() == name)
    }

    /// Its numbers that can be chosen, each with its key in network files.
    pub fn numbers(&mut self) -> Vec<(&'static str, &mut f64)> {
        match self {
            Self::LeakyRelu { slope } | Self::HardSigmoid { slope } => vec![("slope", slope)],
            Self::Elu { alpha } => vec![("alpha", alpha)],
            Self::Clip { low, high } => vec![("low", low), ("high", high)],
            Self::Power { exponent } => vec![("exponent", exponent)],
            _ => Vec::new(),
        }
    }

    /// The function at `x`.
    pub fn value(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid => sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::LeakyRelu { slope } => x * if x > 0.0 { 1.0 } else { slope },
            Self::Elu { .. } if x > 0.0 => x,
            Self::Elu { alpha } => alpha * x.exp_m1(),
            Self::HardSigmoid { slope } => (slope * x + 0.5).clamp(0.0, 1.0),
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Gelu => x * normal(x).1,
            Self::Swish => x * sigmoid(x),
            Self::Clip { low, high } => x.max(low).min(high),
            Self::Absolute => x.abs(),
            Self::Exponential => x.exp(),
            Self::Logarithm => x.max(LEAST).ln(),
            Self::Softplus => softplus(x),
            Self::Mish => x * softplus(x).tanh(),
            Self::Power { exponent } => base(x, exponent).powf(exponent),
        }
    }

    /// Its derivative at `x`.
    pub fn derivative(self, x: f64) -> f64 {
        match self {
            Self::Sigmoid => sigmoid(x) * sigmoid(-x),
            Self::Tanh => 1.0 - x.tanh().powi(2),
            Self::LeakyRelu { slope } => {
                if x > 0.0 {
                    1.0
                } else {
                    slope
                }
            }
            Self::Elu { .. } if x > 0.0 => 1.0,
            Self::Elu { alpha } => alpha * x.exp(),
            Self::HardSigmoid { slope } => {
                let inside = (slope * x).abs() < 0.5;
                if inside { slope } else { 0.0 }
            }
            Self::HardSwish => {
                if x.abs() < 3.0 {
                    x / 3.0 + 0.5
                } else {
                    f64::from(x > 0.0)
                }
            }
            Self::Gelu => {
                let (density, distribution) = normal(x);
                distribution + x * density
            }
            Self::Swish => sigmoid(x) * (1.0 + x * sigmoid(-x)),
            Self::Clip { low, high } => f64::from(low < x && x < high),
            Self::Absolute => 1.0f64.copysign(x),
            Self::Exponential => x.exp(),
            Self::Logarithm if x > LEAST => 1.0 / x,
            Self::Logarithm => 0.0,
            Self::Softplus => sigmoid(x),
            Self::Mish => {
                let tanh = softplus(x).tanh();
                tanh + x * (1.0 - tanh * tanh) * sigmoid(x)
            }
            Self::Power { exponent } if base(x, exponent) == x => exponent * x.powf(exponent - 1.0),
            Self::Power { .. } => 0.0,
        }
    }

    /// The derivative of its derivative at `x`.
    pub fn second_derivative(self, x: f64) -> f64 {
        let sigmoid_slope = sigmoid(x) * sigmoid(-x);
        let bend = 1.0 - 2.0 * sigmoid(x);
        match self {
            Self::Sigmoid => sigmoid_slope * bend,
            Self::Tanh => -2.0 * x.tanh() * (1.0 - x.tanh().powi(2)),
            Self::LeakyRelu { .. }
            | Self::HardSigmoid { .. }
            | Self::Clip { .. }
            | Self::Absolute => 0.0,
            Self::Elu { .. } if x > 0.0 => 0.0,
            Self::Elu { alpha } => alpha * x.exp(),
            Self::HardSwish => {
                if x.abs() < 3.0 {
                    1.0 / 3.0
                } else {
                    0.0
                }
            }
            Self::Gelu => normal(x).0 * (2.0 - x * x),
            Self::Swish => sigmoid_slope * (2.0 + x * bend),
            Self::Exponential => x.exp(),
            Self::Logarithm if x > LEAST => -1.0 / (x * x),
            Self::Logarithm => 0.0,
            Self::Softplus => sigmoid_slope,
            Self::Mish => {
                let tanh = softplus(x).tanh();
                let (rise, sigmoid) = (1.0 - tanh * tanh, sigmoid(x));
                rise * (2.0 * sigmoid + x * (sigmoid_slope - 2.0 * tanh * sigmoid * sigmoid))
            }
            Self::Power { exponent } if base(x, exponent) == x => {
                exponent * (exponent - 1.0) * x.powf(exponent - 2.0)
            }
            Self::Power { .. } => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_values() {
        let step = 1e-5;
        for name in Function::NAMES {
            let mut function = Function::named(name).unwrap();
            for (key, number) in function.numbers() {
                *number = match key {
                    "slope" => 0.2,
                    "alpha" => 1.3,
                    "low" => -1.5,
                    "high" => 2.5,
                    _ => 3.0,
                };
            }
            assert_eq!(function.name(), name);
            // Away from the kinks at 0, 2.5 and 3.
            for x in [-7.3, -3.6, -2.7, -1.1, -0.4, 0.3, 1.7, 2.8, 4.1, 9.2] {
                let slope = |of: fn(Function, f64) -> f64| {
                    (of(function, x + step) - of(function, x - step)) / (2.0 * step)
                };
                let (first, second) = (function.derivative(x), function.second_derivative(x));
                let near = |found: f64, expected: f64| {
                    (found - expected).abs() < 1e-8 * expected.abs().max(1.0)
                };
                assert!(near(slope(Function::value), first), "{name} at {x}");
                assert!(near(slope(Function::derivative), second), "{name} at {x}");
            }
        }
        assert_eq!(Function::named("cosine"), None);
        assert_eq!(Function::Power { exponent: 0.5 }.value(4.0), 2.0);
        assert_eq!(Function::Power { exponent: -1.0 }.value(0.0), 1.0 / LEAST);
        assert_eq!(Function::Sigmoid.value(-1000.0), 0.0);
        assert_eq!(Function::Swish.value(-1000.0), 0.0);
    }
}
