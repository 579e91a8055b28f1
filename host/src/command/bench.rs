//! `bench`: what a model costs on a board.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use tinyhero_common::bit_width::BitWidth;

use super::layout_note;
use super::model_file;
use super::output::Output;
use super::session;
use crate::artifact;
use crate::cortex::Core;
use crate::data::SampleShape;
use crate::deployment::export::export_for;
use crate::deployment::integer_network::IntegerNetwork;
#[cfg(feature = "probe")]
use crate::device::bench::measure;
use crate::device::bench::{Asked, Bench, bench, untrained_for};
use crate::device::board::Board;
#[cfg(feature = "probe")]
use crate::device::verify::Counts;
use crate::error::{Error, Result};
use crate::report::table::{Table, grouped};

/// Count instructions or cycles per layer on boards, and show RAM and flash
///
/// Emulated boards count instructions, exactly and repeatably; they are not cycles. A real board, behind a --probe, counts its core's cycles.
///
/// With --network nothing needs to be trained: it says what a network will take, and what the boards' format refuses.
///
/// Example: tinyhero bench --network resnet8 --bits 4 --on mps2-an386
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    #[arg(required_unless_present = "network", conflicts_with = "network")]
    model: Option<PathBuf>,
    /// A network of the zoo or a TOML file, with random weights, instead
    #[arg(long, requires = "bits")]
    network: Option<String>,
    /// Height, width and channels of a sample of --network [default: its file's or the zoo's]
    #[arg(long, value_name = "HxWxC", requires = "network")]
    input: Option<SampleShape>,
    /// Classes of --network, or values that it predicts [default: the zoo's, else 10]
    #[arg(long, value_name = "N", requires = "network", value_parser = super::positive)]
    classes: Option<usize>,
    /// Bits of each weight of --network
    #[arg(long, requires = "network", value_parser = super::bit_width)]
    bits: Option<BitWidth>,
    /// Boards, separated by commas; see `tinyhero boards`
    #[arg(long, value_name = "BOARD,…", value_delimiter = ',', required = true)]
    on: Vec<String>,
    /// An earlier run's --json file: shows what has changed since
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    #[cfg(feature = "probe")]
    #[command(flatten)]
    probe: super::flash::ProbeOptions,
    #[command(flatten)]
    output: Output,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let subject = Subject::of(options)?;
    let earlier = match &options.compare {
        Some(path) => Earlier::read(path)?,
        None => Earlier::default(),
    };
    let mut benches = Vec::new();
    let mut failures = Vec::new();
    for outcome in run_on(options, &subject)? {
        match outcome {
            Ok(bench) => {
                show(&bench, &earlier, output);
                benches.push(bench);
            }
            Err(error) => failures.push(error),
        }
    }
    if let (Subject::File(file), Some(path)) = (&subject, &options.model) {
        layout_note::on_boards(&model_file::load(path, file)?, &options.on, output)?;
    }
    output.json(&benches)?;
    // The last line says why the command fails; boards before it say it here.
    let last = failures.pop();
    for error in failures {
        output.line(error);
    }
    last.map_or(Ok(()), Err)
}

/// Measures on the real board behind a probe if one is named, else on the emulated boards. One that fails does not keep the others
/// from it.
fn run_on(options: &Options, subject: &Subject) -> Result<Vec<Result<Bench>>> {
    let output = &options.output;
    let place = |board: &Board| options.model.clone().unwrap_or_else(|| board.name.clone().into());
    #[cfg(feature = "probe")]
    if options.probe.probe.is_some() {
        let on_board = |board: &Board| subject.file_for(board.core);
        let connected = options.probe.connect(&options.on, &on_board, output)?;
        let (board, image, file, mut client) = connected;
        let model = model_file::load(&place(&board), &file)?;
        return Ok(vec![measure(&mut client, &board, Counts::Cycles, &image, &file, &model)]);
    }
    let session = session::prepare(&options.on, output)?;
    let on_board = |(board, image): &(Board, PathBuf)| {
        let file = subject.file_for(board.core)?;
        bench(board, image, &file, &model_file::load(&place(board), &file)?)
    };
    Ok(session.boards.par_iter().map(on_board).collect())
}

/// What is measured.
enum Subject {
    /// A model file, the same for every board.
    File(Vec<u8>),
    /// A network that every board gets in the layout of its own kernels.
    Network(Box<IntegerNetwork>),
}

impl Subject {
    fn of(options: &Options) -> Result<Self> {
        match (&options.model, &options.network, options.bits) {
            (Some(path), _, _) => Ok(Self::File(model_file::read(path)?)),
            (None, Some(network), Some(bits)) => {
                let asked = Asked { input: options.input, classes: options.classes };
                Ok(Self::Network(Box::new(untrained_for(network, asked, bits)?)))
            }
            _ => Err(Error::bad_input("bench", "has nothing to run", "give a model file")),
        }
    }

    fn file_for(&self, core: Core) -> Result<Vec<u8>> {
        match self {
            Self::File(file) => Ok(file.clone()),
            Self::Network(network) => Ok(export_for(network, Some(core))?.bytes),
        }
    }
}

/// Counts of an earlier run, by board and layer.
#[derive(Default)]
struct Earlier(Vec<EarlierBench>);

#[derive(Deserialize)]
struct EarlierBench {
    board: String,
    total: u64,
    layers: Vec<EarlierLayer>,
}

#[derive(Deserialize)]
struct EarlierLayer {
    name: String,
    count: u64,
}

impl Earlier {
    fn read(path: &Path) -> Result<Self> {
        let text = artifact::read_text(path)?;
        serde_json::from_str(&text).map(Self).map_err(|reason| {
            Error::bad_input(path.display(), reason, "give a file that `bench --json` wrote")
        })
    }

    fn board(&self, name: &str) -> Option<&EarlierBench> {
        self.0.iter().find(|bench| bench.board == name)
    }
}

/// How much a count has changed, as `+1.2 %`.
fn change(count: u64, earlier: u64) -> String {
    format!("{:+.1} %", 100.0 * (count as f64 / earlier.max(1) as f64 - 1.0))
}

fn show(bench: &Bench, earlier: &Earlier, output: &Output) {
    let earlier = earlier.board(&bench.board);
    let since = earlier.map_or_else(String::new, |earlier| {
        format!(", {} since {}", change(bench.total, earlier.total), grouped(earlier.total))
    });
    output.line(format_args!(
        "{}: {} {}, {} MACs, {:.2} {} per MAC{since}",
        bench.board,
        grouped(bench.total),
        bench.unit,
        grouped(bench.macs),
        bench.total as f64 / bench.macs.max(1) as f64,
        bench.unit
    ));
    let mut headings =
        vec!["layer", "operator", "bits", "MACs", "bytes", bench.unit, "share", "per MAC"];
    if earlier.is_some() {
        headings.push("change");
    }
    let mut table = Table::new(headings);
    for layer in &bench.layers {
        let per_mac = match layer.macs {
            0 => String::new(),
            macs => format!("{:.2}", layer.count as f64 / macs as f64),
        };
        let mut row = vec![
            layer.name.clone(),
            layer.operator.to_string(),
            layer.bits.map_or_else(String::new, |bits| bits.to_string()),
            grouped(layer.macs),
            grouped(layer.bytes as u64),
            grouped(layer.count),
            format!("{:.1} %", 100.0 * layer.share),
            per_mac,
        ];
        if let Some(earlier) = earlier {
            let same = earlier.layers.iter().find(|other| other.name == layer.name);
            row.push(same.map_or_else(|| "new".into(), |same| change(layer.count, same.count)));
        }
        table.row(row);
    }
    output.table(&table);
    let flash = &bench.flash;
    output.line(format_args!(
        "flash: {} bytes of firmware ({} of instructions, {} of constants), {} bytes of model ({} of parameters, {} of \
         description); RAM: {} bytes of arena, {} bytes of stack",
        grouped(flash.code),
        grouped(flash.text),
        grouped(flash.constants),
        grouped(flash.model),
        grouped(flash.parameters),
        grouped(flash.description),
        grouped(u64::from(bench.ram.arena)),
        grouped(u64::from(bench.ram.stack))
    ));
    if let Some(server) = &bench.server {
        output.line(format_args!(
            "server: {} {} an inference beside the engine ({:.2} %), {} inputs a request, {:.0} inferences a second here",
            grouped(server.count),
            bench.unit,
            100.0 * server.overhead,
            server.inputs_per_request,
            server.inferences_per_second
        ));
    }
}
