//! What the quantizer in the loop is asked to do; a part of a run's configuration.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tinyhero_common::bit_width::BitWidth;

use crate::deployment::precision::Widths;
use crate::deployment::quantizer::Quantization;
use crate::error::{Error, Result};

/// The quantizer in the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct QuantizerOptions {
    /// Bits of every weight.
    pub bits: u32,
    /// How strongly latent weights are pulled toward their integers at the end; it begins at 0.
    pub damping: f64,
    /// Bits of layers that have others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, u32>,
}

impl QuantizerOptions {
    /// The damping that was best.
    pub const DAMPING: f64 = 0.01;

    /// With these widths.
    pub fn new(bit_width: BitWidth, widths: &Widths, damping: f64) -> Self {
        let layers = widths.iter().map(|(layer, width)| (layer.clone(), width.bits())).collect();
        Self { bits: bit_width.bits(), damping, layers }
    }

    /// The same for the quantizer.
    ///
    /// # Errors
    /// A number of bits is out of range.
    pub fn quantization(&self) -> Result<Quantization> {
        let layers = self.layers.iter().map(|(layer, &bits)| Ok((layer.clone(), width(bits)?)));
        Ok(Quantization::new(width(self.bits)?).with_widths(layers.collect::<Result<Widths>>()?))
    }

    /// Bits of a layer.
    ///
    /// # Errors
    /// They are out of range.
    pub fn width_of(&self, layer: &str) -> Result<BitWidth> {
        width(self.layers.get(layer).copied().unwrap_or(self.bits))
    }

    /// The share of the damping in step `step` of `steps`.
    pub fn damping_at(&self, step: usize, steps: usize) -> f64 {
        let share = step as f64 / steps.max(1) as f64;
        self.damping * 0.5 * (1.0 - (std::f64::consts::PI * share).cos())
    }

    /// Refuses values that make no sense.
    ///
    /// # Errors
    /// Names the option.
    pub fn check(&self) -> Result<()> {
        self.quantization()?;
        if self.damping.is_finite() && self.damping >= 0.0 {
            return Ok(());
        }
        Err(Error::out_of_range("--damping", "a number of at least 0"))
    }
}

fn width(bits: u32) -> Result<BitWidth> {
    BitWidth::from_bits(bits).ok_or_else(|| Error::out_of_range("--bits", "from 2 to 8"))
}
