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
}

/// Below 0, the slope of `leaky-relu` where a network file does not say it.
pub const LEAKY_SLOPE: f64 = 0.01;
/// The slope of `hard-sigmoid` where a network file does not say it.
pub const HARD_SLOPE: f64 = 1.0 / 6.0;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The normal distribution's density and distribution function.
fn normal(x: f64) -> (f64, f64) {
    let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (density, 0.5 * (1.0 + erf_f64(x * std::f64::consts::FRAC_1_SQRT_2)))
}

impl Function {
    /// The names of all functions.
    pub const NAMES: [&str; 8] =
        ["sigmoid", "tanh", "leaky-relu", "elu", "hard-sigmoid", "hard-swish", "gelu", "swish"];

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
        }
    }

    /// The function of that name, with these numbers where it has them. `None` if there is none.
    pub fn named(name: &str, slope: Option<f64>, alpha: Option<f64>) -> Option<Self> {
        let functions = [
            Self::Sigmoid,
            Self::Tanh,
            Self::LeakyRelu { slope: slope.unwrap_or(LEAKY_SLOPE) },
            Self::Elu { alpha: alpha.unwrap_or(1.0) },
            Self::HardSigmoid { slope: slope.unwrap_or(HARD_SLOPE) },
            Self::HardSwish,
            Self::Gelu,
            Self::Swish,
        ];
        functions.into_iter().find(|function| function.name() == name)
    }

    /// Its slope, if it has one that can be chosen.
    pub const fn slope(self) -> Option<f64> {
        match self {
            Self::LeakyRelu { slope } | Self::HardSigmoid { slope } => Some(slope),
            _ => None,
        }
    }

    /// Its alpha, if it has one.
    pub const fn alpha(self) -> Option<f64> {
        match self {
            Self::Elu { alpha } => Some(alpha),
            _ => None,
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
        }
    }

    /// The derivative of its derivative at `x`.
    pub fn second_derivative(self, x: f64) -> f64 {
        let sigmoid_slope = sigmoid(x) * sigmoid(-x);
        let bend = 1.0 - 2.0 * sigmoid(x);
        match self {
            Self::Sigmoid => sigmoid_slope * bend,
            Self::Tanh => -2.0 * x.tanh() * (1.0 - x.tanh().powi(2)),
            Self::LeakyRelu { .. } | Self::HardSigmoid { .. } => 0.0,
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
            let function = Function::named(name, Some(0.2), Some(1.3)).unwrap();
            assert_eq!(function.name(), name);
            // Away from the kinks at 0, 2.5 and 3.
            for x in [-7.3, -3.6, -2.7, -1.1, -0.4, 0.3, 1.7, 2.8, 4.1, 9.2] {
                let slope = |of: fn(Function, f64) -> f64| {
                    (of(function, x + step) - of(function, x - step)) / (2.0 * step)
                };
                let (first, second) = (function.derivative(x), function.second_derivative(x));
                assert!((slope(Function::value) - first).abs() < 1e-8, "{name} at {x}");
                assert!((slope(Function::derivative) - second).abs() < 1e-8, "{name} at {x}");
            }
        }
        assert_eq!(Function::named("cosine", None, None), None);
        assert_eq!(Function::Sigmoid.value(-1000.0), 0.0);
        assert_eq!(Function::Swish.value(-1000.0), 0.0);
    }
}
