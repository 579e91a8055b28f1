//! What can be compared of two runs.

use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::RunResult;
use crate::error::{Error, Result};

/// One number of a run's result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Accuracy of the float network.
    Float,
    /// Accuracy with weights rounded to so many bits, one scale per tensor.
    PerTensor(u32),
    /// The same with one scale per output channel.
    PerChannel(u32),
    /// Accuracy of the deployed integer network with weights of so many bits.
    Integer(u32),
    /// Largest eigenvalue of the training loss's Hessian.
    LambdaMax,
}

/// A way of giving weights few bits.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// In names of files.
    pub file: &'static str,
    /// In headings.
    pub title: &'static str,
    /// Its metric for a bit width.
    pub metric: fn(u32) -> Metric,
}

/// All ways, in the order of reports.
pub const WAYS: [Way; 3] = [
    Way {
        file: "per_tensor",
        title: "weights rounded, one scale per tensor",
        metric: Metric::PerTensor,
    },
    Way {
        file: "per_channel",
        title: "weights rounded, one scale per output channel",
        metric: Metric::PerChannel,
    },
    Way { file: "integer", title: "integer network as deployed", metric: Metric::Integer },
];

impl Metric {
    /// All metrics for these bit widths, in the order of reports.
    pub fn all(bits: &[u32]) -> Vec<Self> {
        let low_bit = WAYS.iter().flat_map(|way| bits.iter().map(|&bits| (way.metric)(bits)));
        [Self::Float].into_iter().chain(low_bit).chain([Self::LambdaMax]).collect()
    }

    /// Its value in a result, if it was measured.
    pub fn of(self, result: &RunResult) -> Option<f64> {
        let at = |bits: u32| result.bits.get(&bits);
        match self {
            Self::Float => result.float,
            Self::PerTensor(bits) => at(bits).map(|bits| bits.per_tensor),
            Self::PerChannel(bits) => at(bits).map(|bits| bits.per_channel),
            Self::Integer(bits) => at(bits).and_then(|bits| bits.integer),
            Self::LambdaMax => result.lambda_max,
        }
    }

    /// Whether it is a share of right answers.
    pub fn is_accuracy(self) -> bool {
        self != Self::LambdaMax
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Float => write!(formatter, "float"),
            Self::PerTensor(bits) => write!(formatter, "pt{bits}"),
            Self::PerChannel(bits) => write!(formatter, "pc{bits}"),
            Self::Integer(bits) => write!(formatter, "int{bits}"),
            Self::LambdaMax => write!(formatter, "lambda_max"),
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::all(&[2, 3, 4, 5, 6, 7, 8]);
        known.into_iter().find(|metric| metric.to_string() == text).ok_or_else(|| {
            let advice = "use float, pt2 to pt8 (per tensor) or pc2 to pc8 (per channel)";
            Error::bad_input("--judge", format_args!("'{text}' is not measured"), advice)
        })
    }
}
