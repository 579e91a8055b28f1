//! `inspect`: what a model file holds.

use std::path::PathBuf;

use tinyhero_common::model::Model;
use tinyhero_common::tensor::SampleType;

use super::input;
use super::model_file;
use super::output::Output;
use crate::data::DataOptions;
use crate::deployment::constants::{self, Language, Worked};
use crate::deployment::inspect::{InspectedLayer, inspect};
use crate::deployment::integer::{run_all, self_test_input};
use crate::error::{Error, Result};
use crate::plain::plain;
use crate::report::table::{Table, grouped};

/// Validate a model file and show its layers, shapes, bits, bytes, arena, scales and digest
///
/// With --constants it prints what a firmware has to know instead: what raw numbers mean, class names, and a worked sample.
///
/// Example: tinyhero inspect tinyhero-demo/hero-4.hero
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// Print constants for a firmware as source text in this language instead
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    constants: Option<Language>,
    /// The worked sample of --constants, as `run` takes it: a row of text, a picture, DATA:INDEX [default: the self-test's]
    #[arg(long, requires = "constants")]
    input: Option<String>,
    #[command(flatten)]
    data_options: DataOptions,
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
    if let Some(language) = options.constants {
        print_constants(options, &model, bytes.len(), language)?;
        return output.json(&inspection);
    }
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
    for input in &inspection.inputs {
        let name = match inspection.inputs.len() {
            1 => "input".to_string(),
            _ => format!("input '{}'", input.name),
        };
        output.line(format_args!(
            "{name}: {} {}, scale {:.6}, zero point {}",
            input.sample_type,
            shape(input.shape),
            input.scale,
            input.zero_point
        ));
        let columns = &input.column_maps;
        for column in columns.iter().take(MOST_COLUMNS) {
            output.line(format_args!("  {column}"));
        }
        if columns.len() > MOST_COLUMNS {
            let more = columns.len() - MOST_COLUMNS;
            output.line(format_args!("  and {more} more columns, all of which --json has"));
        }
    }
    if inspection.outputs.len() > 1 {
        for given in &inspection.outputs {
            output.line(format_args!(
                "output '{}': {}, scale {:.6}, zero point {}, in the arena at {}",
                given.name,
                shape(given.shape),
                given.scale,
                given.zero_point,
                given.offset
            ));
        }
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

/// Prints the constants alone, so that they can be redirected into a file.
fn print_constants(
    options: &Options,
    model: &Model<'_>,
    bytes: usize,
    language: Language,
) -> Result<()> {
    // Lines about the sample go to standard error.
    let aside = Output { json: Some("-".into()) };
    let (raw, origin) = match &options.input {
        Some(input) => {
            let (raw, _) = input::read(input, &options.data_options, model, &aside)?;
            (raw, plain(input))
        }
        None => {
            let bytes = self_test_input(model);
            let raw = match model.input().quantization.sample_type {
                SampleType::U8 => bytes.iter().map(|&byte| i16::from(byte)).collect(),
                SampleType::I16 => {
                    let pairs = bytes.as_chunks::<2>().0.iter();
                    pairs.map(|pair| i16::from_le_bytes(*pair)).collect()
                }
            };
            (raw, "the pseudo-random input of the self-test".to_string())
        }
    };
    let outcomes = run_all(model, &raw)?;
    let Some(outcome) = outcomes.first() else {
        let problem = "the model gives nothing for this sample";
        return Err(Error::bad_input("--input", problem, "give a whole sample"));
    };
    let worked = Worked { origin: &origin, raw: &raw, outcome };
    options.output.text(&constants::text(model, bytes, &worked, language));
    Ok(())
}
