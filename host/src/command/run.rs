//! `run`: one inference on a board.

use std::path::PathBuf;

use serde::Serialize;
use tinyhero_common::model::{self, Model};

use super::input;
use super::model_file;
use super::output::Output;
use super::session;
use crate::data::DataOptions;
use crate::deployment::integer::{SampleParts, run_all};
use crate::deployment::integer_network::decode_scale;
use crate::deployment::meaning::task_of;
use crate::deployment::reconstruction::reconstruct;
use crate::device::board::Board;
use crate::device::client::BatchResult;
use crate::device::verify;
use crate::error::{Error, Result};
use crate::report::table::Table;
use crate::task::Task;

/// Run one inference on a board and show scores and label
///
/// Example: tinyhero run tinyhero-demo/hero-4.hero --on mps2-an386 --input digits:7
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// The board; see `tinyhero boards`
    #[arg(long, value_name = "BOARD")]
    on: String,
    /// A PNG of the model's size, a row of the user's data as text (a window's rows; header and label may be left out), a file of raw
    /// samples as the board reads them, or DATA:INDEX for a test sample
    #[arg(long)]
    input: String,
    #[cfg(feature = "probe")]
    #[command(flatten)]
    probe: super::flash::ProbeOptions,
    #[command(flatten)]
    data_options: DataOptions,
    #[command(flatten)]
    output: Output,
}

/// Most output values that are printed.
const MOST_SHOWN: usize = 32;

/// Names of the values that a model predicts, with their units.
fn output_names(model: &Model<'_>) -> Vec<String> {
    let model::Task::Regression { names, units } = model.description().task else {
        return Vec::new();
    };
    let (names, units) = (names.to_string(), units.to_string());
    let units = units.split('\n').map(String::from).chain(std::iter::repeat(String::new()));
    let named = names.split('\n').zip(units);
    named
        .map(
            |(name, unit)| {
                if unit.is_empty() { name.to_string() } else { format!("{name} ({unit})") }
            },
        )
        .collect()
}

#[derive(Debug, Serialize)]
struct Report {
    board: String,
    label: u16,
    label_name: Option<String>,
    expected_label: Option<u16>,
    scores: Vec<f64>,
    identical_to_host: bool,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let file = model_file::read(&options.model)?;
    let model = model_file::load(&options.model, &file)?;
    let (sample, expected_label) =
        input::read(&options.input, &options.data_options, &model, output)?;
    let host = run_all(&model, &sample)?;
    let raw = SampleParts::of(&model).raw_bytes(&sample);
    let tensor = model.output();
    let (board, batch) = infer(options, &file, &raw, tensor.shape.elements())?;
    let (Some(result), Some(host)) = (batch.results.first(), host.first()) else {
        return Err(Error::check_failed(&board.name, "gave no result", "please report this"));
    };
    let scale = decode_scale(tensor.scale);
    let real = |score: &i8| scale * f64::from(i32::from(*score) - i32::from(tensor.zero_point));
    let labels: Vec<String> = model.labels().map(|label| label.to_string()).collect();
    let report = Report {
        board: board.name.clone(),
        label: result.label,
        label_name: labels.get(usize::from(result.label)).cloned(),
        expected_label,
        scores: result.output.iter().map(real).collect(),
        identical_to_host: result.output == host.scores && result.digest == host.digest,
    };
    let task = task_of(&model);
    if let Some(found) = reconstruct(&model, &sample)? {
        let error = found.errors.first().copied().unwrap_or(0);
        let real = |steps: u32| f64::from(steps) * found.unit;
        let verdict = match found.threshold {
            Some(threshold) if error > threshold => {
                format!(", above the threshold {:.5}: unusual", real(threshold))
            }
            Some(threshold) => format!(", not above the threshold {:.5}: usual", real(threshold)),
            None => String::new(),
        };
        output.line(format_args!("reconstruction error {:.5}{verdict}", real(error)));
    }
    if task != Task::Classification || labels.is_empty() {
        let mut table = Table::new(["output", "value"]);
        let names = output_names(&model);
        for (place, score) in report.scores.iter().enumerate().take(MOST_SHOWN) {
            let name = names.get(place).cloned().unwrap_or_else(|| (place + 1).to_string());
            table.row([name, format!("{score:.5}")]);
        }
        output.table(&table);
        if report.scores.len() > MOST_SHOWN {
            output.line(format_args!("{} output values in all", report.scores.len()));
        }
    } else {
        let mut table = Table::new(["class", "score"]);
        for (label, score) in labels.iter().zip(&report.scores) {
            table.row([label.clone(), format!("{score:.4}")]);
        }
        output.table(&table);
        output.line(format_args!(
            "label: {}{}",
            report.label_name.as_deref().unwrap_or("?"),
            match expected_label.and_then(|label| labels.get(usize::from(label))) {
                Some(expected) => format!(" (the data says {expected})"),
                None => String::new(),
            }
        ));
    }
    output.json(&report)?;
    if report.identical_to_host {
        return Ok(());
    }
    Err(Error::check_failed(
        &board.name,
        "differs from the host on this input",
        "see where with `tinyhero verify`",
    ))
}

/// One inference on the real board behind a probe if one is named, else on the emulated board.
fn infer(
    options: &Options,
    file: &[u8],
    raw: &[u8],
    output_bytes: usize,
) -> Result<(Board, BatchResult)> {
    let names = std::slice::from_ref(&options.on);
    #[cfg(feature = "probe")]
    if options.probe.probe.is_some() {
        let same = |_: &Board| Ok(file.to_vec());
        let (board, _, _, mut client) = options.probe.connect(names, &same, &options.output)?;
        let batch = client.run(raw, raw.len(), output_bytes, &mut |_| {})?;
        return Ok((board, batch));
    }
    let mut session = session::prepare(names, &options.output)?;
    let Some((board, image)) = session.boards.pop() else {
        return Err(Error::bad_input("--on", "names no board", "see `tinyhero boards`"));
    };
    let mut client = verify::start(&board, &image, file)?;
    let batch = client.run(raw, raw.len(), output_bytes, &mut |_| {})?;
    Ok((board, batch))
}
