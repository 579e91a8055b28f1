//! What whoever quantizes can choose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tinyhero_common::bit_width::BitWidth;

use super::range::RangeMethod;

/// Bits of the layers that are named.
pub type Widths = BTreeMap<String, BitWidth>;

/// How weights become integers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// Each to the nearest integer, for itself
    Nearest,
    /// Such that each layer's output changes least on the calibration samples
    #[default]
    Descent,
}

/// How a network is quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantization {
    /// Bits of every weight, first and last layer included.
    pub bit_width: BitWidth,
    /// Bits of layers that have others than that.
    pub widths: Widths,
    /// One weight scale for a whole layer instead of one per output channel.
    pub per_tensor: bool,
    /// How weights become integers.
    pub rounding: Rounding,
    /// How activation ranges follow from what calibration saw.
    pub range: RangeMethod,
    /// Search the weight scale with the smallest output error instead of the one that the largest weight asks for; where weights are
    /// rounded to the nearest.
    pub search_weight_scale: bool,
    /// Choose biases such that weights rounded to the nearest keep the mean of each channel.
    pub correct_bias: bool,
}

impl Quantization {
    /// The default way for a bit width, per channel.
    ///
    /// The scale search is worth most at 2 and 3 bits, where clipping a few large weights makes all others finer. At 4 bits and
    /// one scale per channel the scale of the largest weight was as good on digits and better on Fashion-MNIST.
    pub const fn new(bit_width: BitWidth) -> Self {
        Self {
            bit_width,
            widths: Widths::new(),
            per_tensor: false,
            rounding: Rounding::Descent,
            range: RangeMethod::SquaredError,
            search_weight_scale: bit_width.bits() <= 3,
            correct_bias: true,
        }
    }

    /// The same with another rounding.
    pub fn rounded(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// The same with other bits for some layers.
    pub fn with_widths(self, widths: Widths) -> Self {
        Self { widths, ..self }
    }

    /// Bits of a layer.
    pub fn width_of(&self, layer: &str) -> BitWidth {
        self.widths.get(layer).copied().unwrap_or(self.bit_width)
    }

    /// The same with one scale per tensor, which always gains from the search.
    pub fn per_tensor(self) -> Self {
        Self { per_tensor: true, search_weight_scale: true, ..self }
    }
}
