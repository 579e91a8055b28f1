//! `verify`: board and host compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use indicatif::MultiProgress;
use rayon::prelude::*;
use serde::Serialize;

use super::layout_note;
use super::model_file;
use super::output::Output;
use super::samples::Samples;
use super::session::{self, Session};
use super::worth::Worth;
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
    let dataset = options.samples.open(&model, output)?;
    let test = &dataset.test;
    let host = integer::evaluate(&model, &test.samples, &test.labels)?;
    let board_file = match options.negative_control {
        true => plant_wrong_bit(&file, &model, test, &host)?,
        false => file.clone(),
    };
    let worth_of = |outputs: Vec<&[i8]>| -> Option<Worth> { Worth::of(&model, &dataset, &outputs) };
    let host_worth =
        worth_of(host.outcomes.iter().map(|outcome| outcome.scores.as_slice()).collect());
    let mut failures = Vec::new();
    let mut entries = Vec::new();
    let (mut reports, mut worths) = (Vec::new(), Vec::new());
    for (board, outcome) in run_on(options, &board_file, &model, test, &host)? {
        match outcome {
            Ok(report) => {
                let worth = worth_of(report.outputs.iter().map(Vec::as_slice).collect());
                let pair = worth.zip(host_worth);
                entries.push(Entry::Report { report: report.clone(), worth: in_json(pair) });
                reports.push(report);
                worths.extend(pair);
            }
            Err(error) => {
                entries.push(Entry::Failure { board, error: error.to_string() });
                failures.push(error);
            }
        }
    }
    if !reports.is_empty() {
        output.table(&table_of(&reports, &worths));
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
    Report {
        #[serde(flatten)]
        report: BoardReport,
        #[serde(flatten)]
        worth: BTreeMap<String, f64>,
    },
    Failure {
        board: String,
        error: String,
    },
}

/// The figures of board and host by their keys.
fn in_json(worth: Option<(Worth, Worth)>) -> BTreeMap<String, f64> {
    let pairs = worth.map(|(board, host)| {
        [(board.key.to_string(), board.value), (format!("host_{}", host.key), host.value)]
    });
    pairs.into_iter().flatten().collect()
}

/// The reports for a person.
pub fn table(reports: &[BoardReport]) -> Table {
    table_of(reports, &[])
}

/// The reports with a figure of board and host each, if there is another than the accuracy.
fn table_of(reports: &[BoardReport], worths: &[(Worth, Worth)]) -> Table {
    let figure = worths.first().map_or("accuracy", |(worth, _)| worth.name);
    let host_figure = format!("host {figure}");
    let unit = reports.first().map_or(Counts::Instructions.unit(), |report| report.unit);
    let counted = format!("{unit} per inference");
    let mut table = Table::new([
        "board",
        "inputs",
        "identical",
        "layers",
        figure,
        host_figure.as_str(),
        counted.as_str(),
    ]);
    let share = |share: f64| if share.is_nan() { "-".to_string() } else { percent(share) };
    for (place, report) in reports.iter().enumerate() {
        let (own, host) = match worths.get(place) {
            Some((own, host)) => (format!("{:.5}", own.value), format!("{:.5}", host.value)),
            None => (share(report.accuracy), share(report.host_accuracy)),
        };
        table.row([
            report.board.clone(),
            grouped(report.samples as u64),
            grouped(report.identical as u64),
            (if report.layers_identical { "identical" } else { "DIFFER" }).to_string(),
            own,
            host,
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
