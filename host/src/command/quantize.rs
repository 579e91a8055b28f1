//! `quantize`: from a run to a model file.

use std::path::PathBuf;

use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::layer::Layer;
use tinyhero_common::layout::{Layout, PackedWeights};
use tinyhero_common::model::Model;

use super::layout_note;
use super::output::Output;
use super::precision::Precision;
use crate::artifact;
use crate::cortex::Core;
use crate::deployment::export::export_for;
use crate::deployment::integer_network::IntegerNetwork;
use crate::deployment::precision::Widths;
use crate::deployment::quantizer::{Quantization, Rounding, quantize};
use crate::deployment::reconstruction::{FALSE_ALARMS, with_threshold};
use crate::error::{Error, Result};
use crate::report::table::grouped;
use crate::training::RunFolder;

/// Fold, calibrate, quantize, plan memory and write a model file
///
/// The run folder has all that this needs: the data may be gone.
///
/// Example: tinyhero quantize run --bits 4 --out model.hero
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The folder of a training run
    run: PathBuf,
    #[command(flatten)]
    precision: Precision,
    /// One weight scale per layer instead of one per output channel
    #[arg(long)]
    per_tensor: bool,
    /// How weights become integers
    #[arg(long, value_enum, default_value = "descent")]
    rounding: Rounding,
    /// Lay the weights out for this core; every core runs every layout with the same bits
    #[arg(long, value_enum)]
    core: Option<Core>,
    /// The model file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    path: String,
    bytes: usize,
    arena: u32,
    arena_lower_bound: u32,
    digest: String,
    bits: u32,
    /// Bits of the layers that have others.
    precision: Widths,
    per_tensor: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let run = RunFolder::open(&options.run)?;
    if !run.is_finished()? {
        output.line(format_args!(
            "note: this run is not finished; `tinyhero train --resume {}` goes on",
            options.run.display()
        ));
    }
    let (all, widths) = options.precision.widths()?;
    let mut quantization = wanted(&run, all, widths)?.rounded(options.rounding);
    if options.per_tensor {
        quantization = quantization.per_tensor();
    }
    let network = quantize_run(&run, &quantization)?;
    let exported = export_for(&network, options.core)?;
    let model = Model::load(&exported.bytes).map_err(|reason| {
        Error::check_failed(options.out.display(), reason, "please report this")
    })?;
    artifact::write_atomically(&options.out, &exported.bytes)?;
    let report = Report {
        path: options.out.display().to_string(),
        bytes: exported.bytes.len(),
        arena: model.description().arena_bytes,
        arena_lower_bound: exported.plan.lower_bound,
        digest: format!("{:08x}", model.digest()),
        bits: quantization.bit_width.bits(),
        precision: quantization.widths,
        per_tensor: options.per_tensor,
    };
    output.line(format_args!(
        "{}: {} bytes, arena {} bytes (no order of layers needs less than {}), digest {}",
        report.path,
        grouped(report.bytes as u64),
        grouped(u64::from(report.arena)),
        grouped(u64::from(report.arena_lower_bound)),
        report.digest
    ));
    let widened: usize = model.layers().map(|layer| widened_bytes(&layer)).sum();
    if widened > 0 {
        output.line(format_args!(
            "the layout for this core takes {} bytes more than weights side by side would",
            grouped(widened as u64)
        ));
    }
    if options.core.is_none() {
        layout_note::without_core(&network, output)?;
    }
    output.json(&report)
}

/// The widths of a run: those that are given, else those that it was trained for.
fn wanted(run: &RunFolder, all: Option<BitWidth>, widths: Widths) -> Result<Quantization> {
    let trained_for = run.options().quantizer.as_ref();
    if let Some(own) = trained_for.filter(|_| all.is_none()) {
        let mut own = own.quantization()?;
        own.widths.extend(widths);
        return Ok(own);
    }
    match all {
        Some(width) => Ok(Quantization::new(width).with_widths(widths)),
        None if widths.is_empty() => {
            Err(Error::bad_input("quantize", "has no bit width", "give --bits, 2 to 8"))
        }
        // Layers that the file leaves out show up in the quantizer's list.
        None => every_layer(run, widths),
    }
}

/// Widths that leave no layer out.
fn every_layer(run: &RunFolder, widths: Widths) -> Result<Quantization> {
    let network = run.network();
    let left_out: Vec<&str> = (network.nodes.iter().zip(network.summaries()?))
        .filter(|(node, summary)| summary.weights > 0 && !widths.contains_key(&node.name))
        .map(|(node, _)| node.name.as_str())
        .collect();
    if left_out.is_empty() {
        return Ok(Quantization::new(BitWidth::Eight).with_widths(widths));
    }
    Err(Error::bad_input(
        "quantize",
        format_args!("has no bit width for {}", left_out.join(", ")),
        "name them in the precision file, or give --bits for all others",
    ))
}

/// Bytes that a layer's layout takes beyond what weights side by side would.
fn widened_bytes(layer: &Layer<'_>) -> usize {
    layer.weights().map_or(0, |weights| {
        let rows = layer.rows();
        let bytes =
            |layout| PackedWeights::bytes_for(weights.bit_width, layout, rows, layer.row_length());
        bytes(weights.layout).saturating_sub(bytes(Layout::Rows))
    })
}

/// Quantizes a run, calibrated on the training samples that it keeps. The threshold of a reconstruction is such that 1 % of the held out
/// samples are above it, or of the calibration samples where none were held out.
pub fn quantize_run(run: &RunFolder, quantization: &Quantization) -> Result<IntegerNetwork> {
    let samples = run.calibration()?.samples;
    let network = quantize(&run.trained()?, &samples, quantization)?;
    let usual = run.held_out()?.map_or(samples, |held_out| held_out.samples);
    with_threshold(network, &usual, FALSE_ALARMS)
}
