//! `bench`: what a model costs on a board.

use std::path::PathBuf;

use rayon::prelude::*;
use tinyhero_common::packing::BitWidth;

use super::model_file;
use super::output::Output;
use super::session;
use crate::bench::{Bench, bench};
use crate::error::{Error, Result};
use crate::export::export_for;
use crate::integer_network::IntegerNetwork;
use crate::network::{NAMES, Network};
use crate::quantizer::{Quantization, quantize};
use crate::random::{self, Purpose};
use crate::report::table::{Table, grouped};
use crate::target::board::Core;
use crate::trained_network::TrainedNetwork;

/// Count instructions per layer on boards, and show RAM and flash
///
/// Emulated boards count instructions, exactly and repeatably; they are not cycles.
///
/// Example: tinyhero bench --network resnet8 --bits 4 --on mps2-an386
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    #[arg(required_unless_present = "network", conflicts_with = "network")]
    model: Option<PathBuf>,
    /// A network of the zoo with random weights instead
    #[arg(long, requires = "bits")]
    network: Option<String>,
    /// Bits of each weight of --network
    #[arg(long, requires = "network", value_parser = super::bit_width)]
    bits: Option<BitWidth>,
    /// Boards, separated by commas; see `tinyhero boards`
    #[arg(long, value_name = "BOARD,…", value_delimiter = ',', required = true)]
    on: Vec<String>,
    #[command(flatten)]
    output: Output,
}

/// Random samples that stand in for training data.
const RANDOM_SAMPLES: usize = 8;

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let subject = Subject::of(options)?;
    let session = session::prepare(&options.on, output)?;
    let benches = session
        .boards
        .par_iter()
        .map(|(board, image)| {
            let file = subject.file_for(board.core)?;
            let place = options.model.clone().unwrap_or_else(|| PathBuf::from(&board.name));
            bench(board, image, &file, &model_file::load(&place, &file)?)
        })
        .collect::<Result<Vec<_>>>()?;
    for bench in &benches {
        show(bench, output);
    }
    output.json(&benches)
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
                Ok(Self::Network(Box::new(untrained(network, bits)?)))
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

/// A zoo network with random weights, calibrated on random samples.
fn untrained(name: &str, bit_width: BitWidth) -> Result<IntegerNetwork> {
    let Some((shape, classes)) = Network::default_input(name) else {
        return Err(Error::bad_input(
            format_args!("--network {name}"),
            "is not in the zoo",
            format_args!("use one of {}", NAMES.join(", ")),
        ));
    };
    let trained = TrainedNetwork::untrained(Network::open(name, shape, classes)?, 0)?;
    let mut generator = random::generator(0, Purpose::Order, 0);
    let samples: Vec<i16> = (0..RANDOM_SAMPLES * shape.elements())
        .map(|_| random::below(256, &mut generator) as i16)
        .collect();
    quantize(&trained, &samples, &Quantization::new(bit_width))
}

fn show(bench: &Bench, output: &Output) {
    output.line(format_args!(
        "{}: {} {}, {} MACs, {:.2} {} per MAC",
        bench.board,
        grouped(bench.total),
        bench.unit,
        grouped(bench.macs),
        bench.total as f64 / bench.macs.max(1) as f64,
        bench.unit
    ));
    let mut table =
        Table::new(["layer", "operator", "bits", "MACs", bench.unit, "share", "per MAC"]);
    for layer in &bench.layers {
        let share = 100.0 * layer.count as f64 / bench.total.max(1) as f64;
        let per_mac = match layer.macs {
            0 => String::new(),
            macs => format!("{:.2}", layer.count as f64 / macs as f64),
        };
        table.row([
            layer.name.clone(),
            layer.operator.to_string(),
            layer.bits.map_or_else(String::new, |bits| bits.to_string()),
            grouped(layer.macs),
            grouped(layer.count),
            format!("{share:.1} %"),
            per_mac,
        ]);
    }
    output.line(table);
    output.line(format_args!(
        "flash: {} bytes of firmware, {} bytes of model; RAM: {} bytes of arena, {} bytes of stack",
        grouped(bench.flash.code),
        grouped(bench.flash.model),
        grouped(u64::from(bench.ram.arena)),
        grouped(u64::from(bench.ram.stack))
    ));
    output.line(format_args!(
        "server: {} {} an inference beside the engine ({:.2} %), {} inputs a request, {:.0} inferences a second here",
        grouped(bench.server.count),
        bench.unit,
        100.0 * bench.server.overhead,
        bench.server.inputs_per_request,
        bench.server.inferences_per_second
    ));
}
