//! `search`: a width for every layer, under a budget of bytes.

use std::path::PathBuf;

use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;

use super::output::Output;
use crate::artifact;
use crate::cortex::Core;
use crate::data::Split;
use crate::deployment::precision;
use crate::error::{Error, Result};
use crate::report::plot::{Plot, Series};
use crate::report::table::{Table, grouped, percent};
use crate::study::search::{Point, Search, Tried, front, spread};
use crate::training::{Run, RunFolder};

/// Choose bits for every layer under a budget of bytes
///
/// Each layer is rounded alone, and how much that changes the network's answers on the run's calibration samples is what its bits are worth. Widths of the
/// front are then tried as deployed.
///
/// Example: tinyhero search run --flash 25000 --core m4 --out widths
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The folder of a training run
    run: PathBuf,
    /// Most bytes of the model file
    #[arg(long, value_name = "BYTES", value_parser = super::positive)]
    flash: usize,
    /// Most instructions of an inference
    #[arg(long, value_name = "N", requires = "core")]
    instructions: Option<u64>,
    /// Count bytes as the layout for this core stores them
    #[arg(long, value_enum)]
    core: Option<Core>,
    /// Widths that a layer may have
    #[arg(long, value_delimiter = ',', value_parser = super::bit_width, default_value = "2,3,4,5,6,8")]
    bits: Vec<BitWidth>,
    /// How many points of the front are tried
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = super::positive)]
    points: usize,
    /// Only the first N samples for the accuracy of each
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Folder for precision files, front.csv and front.svg
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    front: Vec<Tried>,
    uniform: Vec<Tried>,
    /// Which samples the accuracies are of.
    part: Option<&'static str>,
    samples: usize,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    if options.instructions.is_some() {
        return Err(Error::bad_input(
            "--instructions",
            "needs a table of measured instructions for every layer and width, which there is none of",
            "leave it out, and compare points with `tinyhero bench`",
        ));
    }
    let folder = RunFolder::open(&options.run)?;
    let (trained, calibration) = (folder.trained()?, folder.calibration()?);
    let (part, test) = samples(options, output);
    let mut widths = options.bits.clone();
    widths.sort_unstable();
    widths.dedup();
    let search =
        Search { trained: &trained, calibration: &calibration.samples, widths, core: options.core };
    output.line("rounding each layer alone");
    let costs = search.costs()?;
    let points = front(costs.base, &costs.layers, options.flash);
    let Some(smallest) = points.first() else {
        let least = front(costs.base, &costs.layers, usize::MAX);
        return Err(Error::check_failed(
            options.run.display(),
            format_args!(
                "takes at least {} bytes, more than {}",
                grouped(least.first().map_or(0, |point| point.bytes) as u64),
                grouped(options.flash as u64)
            ),
            "give more --flash, or train a smaller network",
        ));
    };
    output.line(format_args!(
        "{} choices that no other beats, from {} to {} bytes",
        points.len(),
        grouped(smallest.bytes as u64),
        grouped(points.last().map_or(0, |point| point.bytes) as u64)
    ));
    let mut tried = Vec::new();
    let attempt = |point: &Point| {
        let found = search.attempt(costs.precision(point), point.estimate, &test)?;
        output.line(format_args!(
            "{} bytes, estimate {:.4}{}",
            grouped(found.flash as u64),
            found.estimate,
            found.accuracy.map_or(String::new(), |accuracy| format!(", {}", percent(accuracy)))
        ));
        Ok::<_, Error>(found)
    };
    for point in spread(&points, options.points) {
        tried.push(attempt(&point)?);
    }
    // The few bytes that the description changes by may be too many for the largest.
    tried.retain(|tried| tried.flash <= options.flash);
    output.line("the same width for every layer:");
    let uniform = search.widths.iter().map(|&width| attempt(&costs.uniform(width)));
    let uniform: Vec<Tried> = uniform.collect::<Result<_>>()?;
    write(options, &tried, &uniform)?;
    let report = Report { front: tried, uniform, part, samples: test.len() };
    output.table(&table(&report.front));
    output.json(&report)
}

/// The samples that accuracies are measured on: the validation split where there is one.
fn samples(options: &Options, output: &Output) -> (Option<&'static str>, Split) {
    let limit = options.limit.unwrap_or(usize::MAX);
    match Run::resume(&options.run) {
        Ok(run) => {
            let data = run.dataset();
            let (name, split) = match data.validation.is_empty() {
                true => ("test", &data.test),
                false => ("validation", &data.validation),
            };
            output.line(format_args!("accuracies are those of the {name} split"));
            (Some(name), split.limited(limit))
        }
        Err(reason) => {
            output.line(format_args!("no accuracies: {reason}"));
            (None, Split::default())
        }
    }
}

fn table(front: &[Tried]) -> Table {
    let mut table = Table::new(["bytes", "estimate", "accuracy", "bits"]);
    for tried in front {
        let bits: Vec<String> = tried
            .precision
            .iter()
            .map(|(layer, width)| format!("{layer} {}", width.bits()))
            .collect();
        table.row([
            grouped(tried.flash as u64),
            format!("{:.4}", tried.estimate),
            tried.accuracy.map_or("-".to_string(), percent),
            bits.join(", "),
        ]);
    }
    table
}

/// Precision files, `front.csv` and `front.svg`.
fn write(options: &Options, front: &[Tried], uniform: &[Tried]) -> Result<()> {
    artifact::create_folder(&options.out)?;
    let mut csv = String::from("flash,estimate,accuracy,uniform\n");
    for (tried, uniform) in
        front.iter().map(|tried| (tried, "")).chain(uniform.iter().map(|tried| (tried, "yes")))
    {
        let accuracy = tried.accuracy.map_or(String::new(), |accuracy| accuracy.to_string());
        csv.push_str(&format!("{},{},{accuracy},{uniform}\n", tried.flash, tried.estimate));
    }
    artifact::write_atomically(&options.out.join("front.csv"), csv.as_bytes())?;
    for tried in front {
        let path = options.out.join(format!("{}.toml", tried.flash));
        artifact::write_atomically(&path, precision::to_toml(&tried.precision).as_bytes())?;
    }
    if let Some(best) = front.last() {
        let path = options.out.join("precision.toml");
        artifact::write_atomically(&path, precision::to_toml(&best.precision).as_bytes())?;
    }
    let with_accuracy = front.iter().chain(uniform).all(|tried| tried.accuracy.is_some());
    let value = |tried: &Tried| match tried.accuracy {
        Some(accuracy) if with_accuracy => 100.0 * accuracy,
        _ => tried.estimate,
    };
    let series = |name: &str, tried: &[Tried]| Series {
        name: name.to_string(),
        points: tried.iter().map(|tried| (tried.flash as f64, value(tried))).collect(),
    };
    let plot = Plot {
        title: "Bits for each layer".to_string(),
        x_label: "bytes of the model file".to_string(),
        y_label: if with_accuracy { "accuracy as deployed, %" } else { "divergence" }.to_string(),
        series: vec![series("searched", front), series("one width", uniform)],
        markers: true,
    };
    plot.save(&options.out.join("front.svg"))
}
