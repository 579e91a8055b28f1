//! `inspect`: what a model file holds.

use std::path::PathBuf;

use super::model_file;
use super::output::Output;
use crate::deployment::inspect::{InspectedLayer, inspect};
use crate::error::Result;
use crate::report::table::{Table, grouped};

/// Validate a model file and show its layers, shapes, bits, bytes, arena, scales and digest
///
/// Example: tinyhero inspect tinyhero-demo/hero-4.hero
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// Most columns that are printed.
const MOST_COLUMNS: usize = 32;

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let bytes = model_file::read(&options.model)?;
    let model = model_file::load(&options.model, &bytes)?;
    let inspection = inspect(&model, bytes.len());
    output.line(format_args!(
        "{}: {} layers, {} bytes of file, {} bytes of arena, {} MACs, digest {}",
        inspection.name,
        inspection.layers.len(),
        grouped(inspection.bytes as u64),
        grouped(u64::from(inspection.arena)),
        grouped(inspection.macs),
        inspection.digest
    ));
    let shape = |[height, width, channels]: [u16; 3]| format!("{height}x{width}x{channels}");
    output.line(format_args!(
        "input: {} {}, scale {:.6}, zero point {}",
        inspection.input.sample_type,
        shape(inspection.input.shape),
        inspection.input.scale,
        inspection.input.zero_point
    ));
    let columns = &inspection.input.column_maps;
    for column in columns.iter().take(MOST_COLUMNS) {
        output.line(format_args!("  {column}"));
    }
    if columns.len() > MOST_COLUMNS {
        let more = columns.len() - MOST_COLUMNS;
        output.line(format_args!("  and {more} more columns, all of which --json has"));
    }
    if let Some(data) = &inspection.provenance.data {
        output.line(format_args!("trained on data with SHA-256 {data}"));
    }
    if !inspection.labels.is_empty() {
        output.line(format_args!("classes: {}", inspection.labels.join(", ")));
    }
    let mut table = Table::new([
        "layer", "operator", "output", "bits", "weights", "bytes", "MACs", "scale", "zero",
        "clamp", "arena at", "scratch",
    ]);
    for layer in &inspection.layers {
        table.row([
            layer.name.clone(),
            layer.operator.to_string(),
            shape(layer.shape),
            layer.bits.map_or_else(String::new, |bits| bits.to_string()),
            grouped(layer.weights as u64),
            grouped(layer.bytes as u64),
            grouped(layer.macs),
            format!("{:.6}", layer.scale),
            layer.zero_point.to_string(),
            format!("{}..{}", layer.activation[0], layer.activation[1]),
            grouped(u64::from(layer.offset)),
            grouped(u64::from(layer.scratch)),
        ]);
    }
    output.table(&table);
    for warning in inspection.layers.iter().filter_map(InspectedLayer::warning) {
        output.line(warning);
    }
    output.json(&inspection)
}
