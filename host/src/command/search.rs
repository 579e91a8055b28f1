//! `search`: a width for every layer, under a budget of bytes and instructions.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;

use super::output::Output;
use super::{model_file, session};
use crate::artifact;
use crate::cortex::Core;
use crate::data::Split;
use crate::deployment::precision;
use crate::device::bench::{Bench, bench};
use crate::device::board::{self, Board};
use crate::error::{Error, Result};
use crate::report::plot::{Plot, Series};
use crate::report::table::{Table, grouped, percent};
use crate::study::search::{
    Choice, Cost, Costs, Instructions, Point, Search, Tried, front, least, spread,
};
use crate::training::{Run, RunFolder};

/// Choose bits for every layer under a budget of bytes, and of instructions
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
    /// Most instructions of an inference, as counted on an emulated board with the core
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
    /// What each layer costs at each width, rounded alone.
    layers: Vec<LayerReport>,
    /// Which samples the accuracies are of.
    part: Option<&'static str>,
    samples: usize,
}

#[derive(Debug, Serialize)]
struct LayerReport {
    name: String,
    weights: usize,
    widths: Vec<WidthReport>,
}

#[derive(Debug, Serialize)]
struct WidthReport {
    bits: u32,
    flash: usize,
    instructions: Option<u64>,
    estimate: f64,
}

impl LayerReport {
    fn all(costs: &Costs, counted: bool) -> Vec<Self> {
        let width = |choice: &Choice| WidthReport {
            bits: choice.width.bits(),
            flash: choice.cost.bytes,
            instructions: counted.then_some(choice.cost.instructions),
            estimate: choice.estimate,
        };
        let layers = costs.divergences.iter().zip(&costs.layers);
        layers
            .map(|(layer, choices)| Self {
                name: layer.name.clone(),
                weights: layer.weights,
                widths: choices.iter().map(width).collect(),
            })
            .collect()
    }
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let folder = RunFolder::open(&options.run)?;
    let (trained, calibration) = (folder.trained()?, folder.calibration()?);
    let board = match (options.instructions, options.core) {
        (Some(_), Some(core)) => Some(board_with(core, output)?),
        _ => None,
    };
    let meter = |file: &[u8]| count(board.as_ref(), file);
    let (part, test) = samples(options, output);
    let mut widths = options.bits.clone();
    widths.sort_unstable();
    widths.dedup();
    let search = Search {
        trained: &trained,
        calibration: &calibration.samples,
        widths,
        core: options.core,
        meter: board.is_some().then_some(&meter),
    };
    output.line("rounding each layer alone");
    let costs = search.costs()?;
    let points = points(options, &costs)?;
    output.line(format_args!("{} choices that no other beats", points.len()));
    let mut tried = Vec::new();
    let attempt = |point: &Point| {
        let found = search.attempt(&costs, point, &test)?;
        let mut line = format!("{} bytes", grouped(found.flash as u64));
        if let Some(instructions) = found.instructions {
            line.push_str(&format!(", {} instructions", grouped(instructions)));
        }
        line.push_str(&format!(", estimate {:.4}", found.estimate));
        if let Some(accuracy) = found.accuracy {
            line.push_str(&format!(", {}", percent(accuracy)));
        }
        output.line(line);
        Ok::<_, Error>(found)
    };
    for point in spread(&points, options.points) {
        tried.push(attempt(&point)?);
    }
    // The few bytes that the description changes by may be too many for the largest.
    tried.retain(|tried| within(options, tried));
    output.line("the same width for every layer:");
    let uniform = search.widths.iter().map(|&width| attempt(&costs.uniform(width)));
    let uniform: Vec<Tried> = uniform.collect::<Result<_>>()?;
    if let Some(error) = largest_error(tried.iter().chain(&uniform)) {
        output.line(format_args!("instructions are the sum over the layers to {}", percent(error)));
    }
    write(options, &tried, &uniform)?;
    let layers = LayerReport::all(&costs, board.is_some());
    let report = Report { front: tried, uniform, layers, part, samples: test.len() };
    output.table(&table(&report.front));
    output.json(&report)
}

/// The emulated board with a core and the most memory, made ready.
fn board_with(core: Core, output: &Output) -> Result<(Board, PathBuf)> {
    let boards = board::emulated()?.into_iter().filter(|board| board.core == core);
    let largest = boards.max_by_key(|board| board.memory.ram.bytes).ok_or_else(|| {
        Error::bad_input(
            format_args!("--core {}", core.name()),
            "no emulated board has this core, so nothing counts its instructions",
            "leave out --instructions",
        )
    })?;
    let mut session = session::prepare(&[largest.name], output)?;
    session.boards.pop().ok_or_else(|| {
        Error::check_failed("search", "no board was made ready", "please report this")
    })
}

/// The instructions of one inference on a board.
fn count(board: Option<&(Board, PathBuf)>, file: &[u8]) -> Result<Instructions> {
    let Some((board, image)) = board else {
        return Ok(Instructions { total: 0, layers: Vec::new() });
    };
    let model = model_file::load(Path::new("model"), file)?;
    let Bench { total, layers, .. } = bench(board, image, file, &model)?;
    let layers = layers.into_iter().map(|layer| (layer.name, layer.count)).collect();
    Ok(Instructions { total, layers })
}

/// The front under both budgets.
fn points(options: &Options, costs: &Costs) -> Result<Vec<Point>> {
    let budget =
        Cost { bytes: options.flash, instructions: options.instructions.unwrap_or(u64::MAX) };
    let points = front(costs.base, &costs.layers, budget);
    if !points.is_empty() {
        return Ok(points);
    }
    let failed = |problem: String, advice: &str| {
        Err(Error::check_failed(options.run.display(), problem, advice))
    };
    let least = least(costs.base, &costs.layers);
    if least.bytes > budget.bytes {
        let (least, most) = (grouped(least.bytes as u64), grouped(budget.bytes as u64));
        let problem = format!("takes at least {least} bytes, more than {most}");
        return failed(problem, "give more --flash, or train a smaller network");
    }
    if least.instructions > budget.instructions {
        let (least, most) = (grouped(least.instructions), grouped(budget.instructions));
        let problem = format!("takes at least {least} instructions, more than {most}");
        return failed(problem, "give more --instructions, or train a smaller network");
    }
    let problem = "takes more bytes or more instructions whatever the widths".to_string();
    failed(problem, "give more of either, or train a smaller network")
}

/// Whether what was tried is within the budgets.
fn within(options: &Options, tried: &Tried) -> bool {
    let most = options.instructions.unwrap_or(u64::MAX);
    tried.flash <= options.flash && tried.instructions.is_none_or(|count| count <= most)
}

/// How far counted instructions are from the sum over the layers at most, as a share.
fn largest_error<'a>(tried: impl Iterator<Item = &'a Tried>) -> Option<f64> {
    let error = |tried: &Tried| {
        let (counted, sum) = tried.instructions.zip(tried.instructions_estimate)?;
        Some(counted.abs_diff(sum) as f64 / counted.max(1) as f64)
    };
    tried.filter_map(error).reduce(f64::max)
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
    let mut table = Table::new(["bytes", "instructions", "estimate", "accuracy", "bits"]);
    for tried in front {
        let bits: Vec<String> = tried
            .precision
            .iter()
            .map(|(layer, width)| format!("{layer} {}", width.bits()))
            .collect();
        table.row([
            grouped(tried.flash as u64),
            tried.instructions.map_or("-".to_string(), grouped),
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
    let mut csv = String::from("flash,instructions,estimate,accuracy,uniform\n");
    for (tried, uniform) in
        front.iter().map(|tried| (tried, "")).chain(uniform.iter().map(|tried| (tried, "yes")))
    {
        let accuracy = tried.accuracy.map_or(String::new(), |accuracy| accuracy.to_string());
        let Tried { flash, estimate, .. } = tried;
        let counted = tried.instructions.map_or(String::new(), |count| count.to_string());
        csv.push_str(&format!("{flash},{counted},{estimate},{accuracy},{uniform}\n"));
    }
    artifact::write_atomically(&options.out.join("front.csv"), csv.as_bytes())?;
    for tried in front {
        let count = tried.instructions.map_or(String::new(), |count| format!("-{count}"));
        let path = options.out.join(format!("{}{count}.toml", tried.flash));
        artifact::write_atomically(&path, precision::to_toml(&tried.precision).as_bytes())?;
    }
    if let Some(best) = front.iter().min_by(|a, b| a.estimate.total_cmp(&b.estimate)) {
        let path = options.out.join("precision.toml");
        artifact::write_atomically(&path, precision::to_toml(&best.precision).as_bytes())?;
    }
    let with_accuracy = front.iter().chain(uniform).all(|tried| tried.accuracy.is_some());
    let value = |tried: &Tried| match tried.accuracy {
        Some(accuracy) if with_accuracy => 100.0 * accuracy,
        _ => tried.estimate,
    };
    let plot = |x_label: &str, x: &dyn Fn(&Tried) -> Option<u64>| {
        let series = |name: &str, tried: &[Tried]| {
            let point = |tried: &Tried| Some((x(tried)? as f64, value(tried)));
            let mut points: Vec<(f64, f64)> = tried.iter().filter_map(point).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series { name: name.to_string(), points }
        };
        Plot {
            title: "Bits for each layer".to_string(),
            x_label: x_label.to_string(),
            y_label: if with_accuracy { "accuracy as deployed, %" } else { "divergence" }
                .to_string(),
            series: vec![series("searched", front), series("one width", uniform)],
            markers: true,
        }
    };
    if options.instructions.is_some() {
        let plot = plot("instructions of an inference", &|tried| tried.instructions);
        plot.save(&options.out.join("instructions.svg"))?;
    }
    let plot = plot("bytes of the model file", &|tried| Some(tried.flash as u64));
    plot.save(&options.out.join("front.svg"))
}
