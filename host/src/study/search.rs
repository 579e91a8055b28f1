//! Which layer gets how many bits, under a budget of bytes and instructions.
//!
//! Every layer is rounded alone to each width, and the divergence of the network's answers measured on
//! unlabelled samples ([`divergences`]). The estimate for a choice of widths is the sum over the
//! layers; the choices that no other one beats in bytes, instructions and estimate are found exactly
//! ([`front`]). Bytes are those of the file that the exporter writes for the core. Instructions are
//! measured: the network with one width for all layers is run on the core's board for each width, and
//! a layer is taken to cost at its width what it costs there.

mod front;

pub use front::{Choice, Cost, Point, front, least};

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

/// Instructions of one inference of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instructions {
    /// All of them.
    pub total: u64,
    /// Those of each layer, by its name.
    pub layers: Vec<(String, u64)>,
}

/// Counts the instructions of a model file.
pub type Meter<'a> = &'a dyn Fn(&[u8]) -> Result<Instructions>;

/// A network whose widths are searched.
pub struct Search<'a> {
    /// The network.
    pub trained: &'a TrainedNetwork,
    /// Raw samples for calibration, unlabelled.
    pub calibration: &'a [i16],
    /// Widths that a layer may have.
    pub widths: Vec<BitWidth>,
    /// The core whose layout the file gets.
    pub core: Option<Core>,
    /// Counts instructions on that core; without it they are 0 everywhere.
    pub meter: Option<Meter<'a>>,
}

/// What is known of every choice before one is tried.
#[derive(Clone, Debug)]
pub struct Costs {
    /// What the model takes apart from layers with weights.
    pub base: Cost,
    /// Divergence of each layer.
    pub divergences: Vec<LayerDivergence>,
    /// Cost and estimate of each layer at each width.
    pub layers: Vec<Vec<Choice>>,
}

/// A choice of widths that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Bytes of the model file.
    pub flash: usize,
    /// Instructions of an inference, counted on the core's board; absent where nobody asks for them.
    pub instructions: Option<u64>,
    /// What the sum over the layers said they would be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions_estimate: Option<u64>,
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
        let counts = self.counts()?;
        let instructions = |name: &str, counts: &Instructions| {
            let mut layers = counts.layers.iter();
            layers.find(|(layer, _)| layer == name).map_or(0, |&(_, count)| count)
        };
        let of_layer = |layer: &LayerDivergence| {
            let choice = |(&(width, estimate), counts): (&(BitWidth, f64), &Instructions)| Choice {
                width,
                cost: Cost {
                    bytes: bytes(&layer.name, width),
                    instructions: instructions(&layer.name, counts),
                },
                estimate,
            };
            layer.widths.iter().zip(&counts).map(choice).collect()
        };
        let layers: Vec<Vec<Choice>> = divergences.iter().map(of_layer).collect();
        let weights = divergences.iter().map(|layer| bytes(&layer.name, widest)).sum::<usize>();
        let with_weights = |counts: &Instructions| {
            divergences.iter().map(|layer| instructions(&layer.name, counts)).sum()
        };
        // What is around the layers does not depend on widths; the most of it is on the safe side.
        let around = counts
            .iter()
            .map(|counts| counts.total.saturating_sub(with_weights(counts)))
            .max()
            .unwrap_or(0);
        let base = Cost { bytes: file.saturating_sub(weights), instructions: around };
        Ok(Costs { base, divergences, layers })
    }

    /// The instructions of the network with each of the widths for all layers.
    fn counts(&self) -> Result<Vec<Instructions>> {
        let count = |&width: &BitWidth| {
            let Some(meter) = self.meter else {
                return Ok(Instructions { total: 0, layers: Vec::new() });
            };
            let quantization = Quantization::new(width).rounded(Rounding::Nearest);
            let network = quantize(self.trained, self.calibration, &quantization)?;
            meter(&export_for(&network, self.core)?.bytes)
        };
        self.widths.iter().map(count).collect()
    }

    /// Quantizes with the widths of a point, measures the file, and runs the samples.
    ///
    /// # Errors
    /// The network cannot be quantized so.
    pub fn attempt(&self, costs: &Costs, point: &Point, test: &Split) -> Result<Tried> {
        let precision = costs.precision(point);
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
        let counted = self.meter.map(|meter| meter(&file)).transpose()?;
        Ok(Tried {
            flash: file.len(),
            instructions: counted.map(|counted| counted.total),
            instructions_estimate: self.meter.map(|_| point.cost.instructions),
            estimate: point.estimate,
            accuracy,
            precision,
        })
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
        let (cost, estimate) = choices.fold((self.base, 0.0), |(cost, estimate), choice| {
            (cost.plus(choice.cost), estimate + choice.estimate)
        });
        Point { cost, estimate, widths: vec![width; self.layers.len()] }
    }
}

/// At most `count` points of a front, spread over its bytes, and as many over its instructions where
/// they differ; by rising bytes, the one with the smallest estimate included.
pub fn spread(front: &[Point], count: usize) -> Vec<Point> {
    let bytes = along(front, count, |point| point.cost.bytes as u64);
    let mut chosen = bytes;
    for point in along(front, count, |point| point.cost.instructions) {
        if !chosen.contains(&point) {
            chosen.push(point);
        }
    }
    chosen.sort_by_key(|point| (point.cost.bytes, point.cost.instructions));
    chosen
}

/// Points spread over one of the costs: the best within each of `count` limits.
fn along(front: &[Point], count: usize, cost: impl Fn(&Point) -> u64) -> Vec<Point> {
    let costs = || front.iter().map(&cost);
    let (Some(least), Some(most)) = (costs().min(), costs().max()) else { return Vec::new() };
    let mut chosen: Vec<Point> = Vec::new();
    for number in 0..count {
        let share = number as f64 / (count.max(2) - 1) as f64;
        let wanted = least as f64 + share * (most - least) as f64;
        let within = front.iter().filter(|point| cost(point) as f64 <= wanted + 0.5);
        let best = within.min_by(|a, b| a.estimate.total_cmp(&b.estimate));
        if let Some(point) = best
            && chosen.last() != Some(point)
        {
            chosen.push(point.clone());
        }
    }
    chosen
}
