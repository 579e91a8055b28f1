//! `verify`: board and host compared.

use std::path::PathBuf;

use indicatif::MultiProgress;
use rayon::prelude::*;
use serde::Serialize;

use super::layout_note;
use super::model_file;
use super::output::Output;
use super::samples::Samples;
use super::session::{self, Session};
use crate::data::Split;
use crate::deployment::integer::{self, Evaluation};
#[cfg(feature = "probe")]
use crate::device::board::Board;
#[cfg(feature = "probe")]
use crate::device::verify::compare;
use crate::device::verify::{BoardReport, Counts, plant_wrong_bit, verify_board};
use crate::error::{Error, Result};
use crate::report::table::{Table, grouped, percent};
use tinyhero_common::model::Model;

/// Run the same inputs on boards and on the host and compare every output and every layer
///
/// Exit code 1 if anything differs.
///
/// Example: tinyhero verify tinyhero-demo/hero-4.hero --data digits --on mps2-an386,microbit
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    #[command(flatten)]
    samples: Samples,
    /// Boards, separated by commas; see `tinyhero boards`
    #[arg(long, value_name = "BOARD,…", value_delimiter = ',', required = true)]
    on: Vec<String>,
    /// Flip one weight bit of the board's copy, checksum repaired: differences must be found, exit code 1
    #[arg(long)]
    negative_control: bool,
    #[cfg(feature = "probe")]
    #[command(flatten)]
    probe: super::flash::ProbeOptions,
    #[command(flatten)]
    output: Output,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let file = model_file::read(&options.model)?;
    let model = model_file::load(&options.model, &file)?;
    let test = options.samples.open(&model, output)?;
    let host = integer::evaluate(&model, &test.samples, &test.labels)?;
    let board_file = match options.negative_control {
        true => plant_wrong_bit(&file, &model, &test, &host)?,
        false => file.clone(),
    };
    let mut failures = Vec::new();
    let mut entries = Vec::new();
    let mut reports = Vec::new();
    for (board, outcome) in run_on(options, &board_file, &model, &test, &host)? {
        match outcome {
            Ok(report) => {
                entries.push(Entry::Report(report.clone()));
                reports.push(report);
            }
            Err(error) => {
                entries.push(Entry::Failure { board, error: error.to_string() });
                failures.push(error);
            }
        }
    }
    if !reports.is_empty() {
        output.table(&table(&reports));
    }
    for report in &reports {
        if let Some(line) = difference(report) {
            output.line(line);
        }
    }
    layout_note::on_boards(&model, &options.on, output)?;
    output.json(&entries)?;
    // The last line says why the command fails; boards before it say it here.
    if let Some(last) = failures.pop() {
        for error in failures {
            output.line(error);
        }
        return Err(last);
    }
    match reports.iter().find(|report| !report.agrees()) {
        None if options.negative_control => Err(Error::check_failed(
            options.on.join(","),
            "the planted wrong bit was not found",
            "please report this",
        )),
        None => Ok(()),
        Some(report) if options.negative_control => Err(Error::check_failed(
            &report.board,
            "the planted wrong bit was found, as it must be",
            "run without --negative-control to check the model itself",
        )),
        Some(report) => Err(Error::check_failed(
            &report.board,
            format_args!("{} of {} inputs are identical", report.identical, report.samples),
            "please report this with the model file",
        )),
    }
}

/// Verifies on the real board behind a probe if one is named, else on the emulated boards.
fn run_on(
    options: &Options,
    board_file: &[u8],
    model: &Model<'_>,
    test: &Split,
    host: &Evaluation,
) -> Result<Vec<(String, Result<BoardReport>)>> {
    let output = &options.output;
    #[cfg(feature = "probe")]
    if options.probe.probe.is_some() {
        let same = |_: &Board| Ok(board_file.to_vec());
        let (board, _, _, mut client) = options.probe.connect(&options.on, &same, output)?;
        let bar = output.progress(&board.name, test.len() as u64);
        let mut progress = |done| bar.set_position(done as u64);
        let counts = Counts::Cycles;
        let report = compare(&mut client, &board, counts, model, test, host, &mut progress);
        bar.finish_and_clear();
        return Ok(vec![(board.name.clone(), report)]);
    }
    let session = session::prepare(&options.on, output)?;
    let reports = on_boards(&session, &|_| board_file, model, test, host, output);
    Ok(session.boards.iter().map(|(board, _)| board.name.clone()).zip(reports).collect())
}

/// Verifies on all boards, each with its own file of the model, as many at a time as the machine has cores; reports in the order of the
/// boards. One that fails does not keep the others from it.
pub fn on_boards<'f>(
    session: &Session,
    board_file: &(dyn Fn(&Board) -> &'f [u8] + Sync),
    model: &Model<'_>,
    test: &Split,
    host: &Evaluation,
    output: &Output,
) -> Vec<Result<BoardReport>> {
    let bars = MultiProgress::with_draw_target(output.draw_target());
    session
        .boards
        .par_iter()
        .map(|(board, image)| {
            let bar = bars.add(output.progress(&board.name, test.len() as u64));
            let file = board_file(board);
            let report = verify_board(board, image, file, model, test, host, &mut |done| {
                bar.set_position(done as u64);
            });
            bar.finish_and_clear();
            report
        })
        .collect()
}

/// What there is to say of a board.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Report(BoardReport),
    Failure { board: String, error: String },
}

/// The reports for a person.
pub fn table(reports: &[BoardReport]) -> Table {
    let unit = reports.first().map_or(Counts::Instructions.unit(), |report| report.unit);
    let counted = format!("{unit} per inference");
    let mut table = Table::new([
        "board",
        "inputs",
        "identical",
        "layers",
        "accuracy",
        "host accuracy",
        counted.as_str(),
    ]);
    let share = |share: f64| if share.is_nan() { "-".to_string() } else { percent(share) };
    for report in reports {
        table.row([
            report.board.clone(),
            grouped(report.samples as u64),
            grouped(report.identical as u64),
            (if report.layers_identical { "identical" } else { "DIFFER" }).to_string(),
            share(report.accuracy),
            share(report.host_accuracy),
            grouped(report.instructions_per_inference),
        ]);
    }
    table
}

/// A line about the first difference, if there is one.
pub fn difference(report: &BoardReport) -> Option<String> {
    let difference = report.first_difference.as_ref()?;
    Some(format!(
        "{}: first difference at input {}, layer {}: label {} on the board, {} on the host",
        report.board,
        difference.sample,
        difference.layer.as_deref().unwrap_or("none (output only)"),
        difference.board_label,
        difference.host_label
    ))
}
