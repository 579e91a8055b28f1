//! Which layer gets how many bits, under a budget of bytes.
//!
//! Every layer is rounded alone to each width, and the divergence of the network's answers measured on
//! unlabelled samples ([`divergences`]). The estimate for a choice of widths is the sum over the
//! layers; the choices that no other one beats in bytes and estimate are found exactly ([`front`]).
//! Bytes are those of the file that the exporter writes for the core.

mod front;

pub use front::{Choice, Point, front};

use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

use crate::cortex::Core;
use crate::data::Split;
use crate::deployment::export::{export_for, layer_bytes};
use crate::deployment::integer::accuracy;
use crate::deployment::precision::Widths;
use crate::deployment::quantizer::{
    LayerDivergence, Quantization, Rounding, divergences, quantize,
};
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;

/// A network whose widths are searched.
#[derive(Debug)]
pub struct Search<'a> {
    /// The network.
    pub trained: &'a TrainedNetwork,
    /// Raw samples for calibration, unlabelled.
    pub calibration: &'a [i16],
    /// Widths that a layer may have.
    pub widths: Vec<BitWidth>,
    /// The core whose layout the file gets.
    pub core: Option<Core>,
}

/// What is known of every choice before one is tried.
#[derive(Clone, Debug)]
pub struct Costs {
    /// Bytes of the file apart from weights and their tables.
    pub base: usize,
    /// Divergence of each layer.
    pub divergences: Vec<LayerDivergence>,
    /// Bytes and estimate of each layer at each width.
    pub layers: Vec<Vec<Choice>>,
}

/// A choice of widths that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Bytes of the model file.
    pub flash: usize,
    /// Instructions of an inference; absent, for they are not measured here.
    pub instructions: Option<u64>,
    /// Sum over the layers of the divergence of each alone.
    pub estimate: f64,
    /// Share of right answers as deployed; absent without samples.
    pub accuracy: Option<f64>,
    /// Bits of each layer.
    pub precision: Widths,
}

impl Search<'_> {
    /// Measures what each layer costs at each width.
    ///
    /// # Errors
    /// The network cannot be quantized.
    pub fn costs(&self) -> Result<Costs> {
        let divergences = divergences(self.trained, self.calibration, &self.widths, false)?;
        let widest = self.widths.iter().copied().max().unwrap_or(BitWidth::Eight);
        let quantization = Quantization::new(widest).rounded(Rounding::Nearest);
        let network = quantize(self.trained, self.calibration, &quantization)?;
        let file = export_for(&network, self.core)?.bytes.len();
        let bytes = |name: &str, width: BitWidth| {
            let layer = network.layers.iter().find(|layer| layer.name == name);
            layer.and_then(|layer| layer_bytes(&network, layer, width, self.core)).unwrap_or(0)
        };
        let weights = divergences.iter().map(|layer| bytes(&layer.name, widest)).sum::<usize>();
        let of_layer = |layer: &LayerDivergence| {
            let choice = |&(width, estimate): &(BitWidth, f64)| Choice {
                width,
                bytes: bytes(&layer.name, width),
                estimate,
            };
            layer.widths.iter().map(choice).collect()
        };
        let layers = divergences.iter().map(of_layer).collect();
        Ok(Costs { base: file.saturating_sub(weights), divergences, layers })
    }

    /// Quantizes with a choice, measures the file, and runs the samples.
    ///
    /// # Errors
    /// The network cannot be quantized so.
    pub fn attempt(&self, precision: Widths, estimate: f64, test: &Split) -> Result<Tried> {
        let widest = self.widths.iter().copied().max().unwrap_or(BitWidth::Eight);
        let quantization = Quantization::new(widest).with_widths(precision.clone());
        let network = quantize(self.trained, self.calibration, &quantization)?;
        let file = export_for(&network, self.core)?.bytes;
        let model = Model::load(&file)
            .map_err(|reason| Error::check_failed("model", reason, "please report this"))?;
        let accuracy = match test.is_empty() {
            true => None,
            false => Some(accuracy(&model, &test.samples, &test.labels)?.accuracy),
        };
        Ok(Tried { flash: file.len(), instructions: None, estimate, accuracy, precision })
    }
}

impl Costs {
    /// The widths of a point by the layers' names.
    pub fn precision(&self, point: &Point) -> Widths {
        let names = self.divergences.iter().map(|layer| layer.name.clone());
        names.zip(point.widths.iter().copied()).collect()
    }

    /// The same width for all layers.
    pub fn uniform(&self, width: BitWidth) -> Point {
        let choices = self
            .layers
            .iter()
            .filter_map(|layer| layer.iter().find(|choice| choice.width == width));
        let (bytes, estimate) = choices.fold((self.base, 0.0), |(bytes, estimate), choice| {
            (bytes + choice.bytes, estimate + choice.estimate)
        });
        Point { bytes, estimate, widths: vec![width; self.layers.len()] }
    }
}

/// At most `count` points of a front, spread over its bytes, the last one included.
pub fn spread(front: &[Point], count: usize) -> Vec<Point> {
    let (Some(first), Some(last)) = (front.first(), front.last()) else { return Vec::new() };
    let mut chosen: Vec<Point> = Vec::new();
    for number in 0..count {
        let share = number as f64 / (count.max(2) - 1) as f64;
        let wanted = first.bytes as f64 + share * (last.bytes - first.bytes) as f64;
        let at_most = front.iter().rev().find(|point| point.bytes as f64 <= wanted + 0.5);
        if let Some(point) = at_most
            && chosen.last().is_none_or(|last| last.bytes < point.bytes)
        {
            chosen.push(point.clone());
        }
    }
    chosen
}
