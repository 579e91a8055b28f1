//! `demo`: the whole path on the bundled digits.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

use super::output::Output;
use super::quantize::quantize_run;
use super::session::{self, Session};
use super::train::train_with_progress;
use super::verify::{difference, on_boards, table};
use crate::artifact;
use crate::cortex::Core;
use crate::deployment::export::{export, export_for};
use crate::deployment::integer::{accuracy, evaluate};
use crate::deployment::quantizer::Quantization;
use crate::device::board::{self, Board};
use crate::device::verify::BoardReport;
use crate::error::{Error, Result};
use crate::leftovers::TemporaryFolder;
use crate::report::plot::{Plot, Series};
use crate::report::table::{Table, grouped, percent};
use crate::training::optimizer::{Hero, Method, MomentumParameters, Step};
use crate::training::{EpochRecord, OptimizerKind, Run, RunFolder, TrainingOptions};

/// Show the whole path on the bundled digits: train, quantize, run on every emulated board, compare
///
/// Example: tinyhero demo --out tinyhero-demo --json demo.json
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder for models, tables and plots; a former demo in it is replaced once this one has succeeded
    #[arg(long, default_value = "tinyhero-demo")]
    out: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// The bit width that is deployed.
const DEPLOYED: BitWidth = BitWidth::Four;
/// In the portable layout, which every core runs.
const MODEL_FILE: &str = "hero-4.hero";

/// The same network laid out for a core.
fn core_file(core: Core) -> String {
    format!("hero-4-{}.hero", core.name())
}

#[derive(Debug, Serialize)]
struct Report {
    optimizers: Map<String, Value>,
    model: ModelReport,
    boards: Vec<BoardReport>,
    seconds: Seconds,
}

#[derive(Debug, Serialize)]
struct ModelReport {
    path: String,
    bytes: usize,
    arena: u32,
    digest: String,
}

#[derive(Debug, Serialize)]
struct Seconds {
    setup: f64,
    board_builds: f64,
    rest: f64,
}

/// What one optimizer came to.
struct Trained {
    kind: OptimizerKind,
    records: Vec<EpochRecord>,
    float: f64,
    /// Integer accuracy, widest first.
    integer: Vec<(BitWidth, f64)>,
    /// The model of the deployed width.
    model: Vec<u8>,
}

/// The training of the demo, chosen by the accuracy on the last 823 training rows after training on the others.
fn recipe(optimizer: OptimizerKind) -> TrainingOptions {
    TrainingOptions {
        learning_rate: 0.1,
        epochs: 14,
        method: match optimizer {
            OptimizerKind::Hero => Method::Hero(Hero { rho: 1.0, ..Hero::default() }),
            other => Method::new(other),
        },
        step: Step::Momentum(MomentumParameters { weight_decay: 2e-3, momentum: 0.9 }),
        ..TrainingOptions::new("digits", "cnn", optimizer)
    }
}

pub fn run(options: &Options) -> Result<()> {
    let started = Instant::now();
    let output = &options.output;
    let names: Vec<String> = board::emulated()?.into_iter().map(|board| board.name).collect();
    output.line(format_args!("1. boards: {}", names.join(", ")));
    let session = session::prepare(&names, output)?;

    // A run that is interrupted leaves an earlier demo as it was.
    artifact::create_folder(&options.out)?;
    let work = TemporaryFolder::new(&options.out, ".demo-")
        .map_err(|reason| Error::writing(&options.out, &reason))?;
    output.line("2. training `cnn` on the UCI digits with SGD and with HERO, side by side");
    let trained =
        train_side_by_side(&[OptimizerKind::Sgd, OptimizerKind::Hero], work.path(), output)?;

    output.line("3. accuracy on the 1,797 test digits, integers as deployed");
    let accuracies = accuracy_table(&trained);
    output.table(&accuracies);

    let Some(hero) = trained.iter().find(|trained| trained.kind == OptimizerKind::Hero) else {
        return Err(Error::check_failed("demo", "HERO was not trained", "please report this"));
    };
    let model_path = options.out.join(MODEL_FILE);
    let model = Model::load(&hero.model)
        .map_err(|reason| Error::check_failed(MODEL_FILE, reason, "please report this"))?;
    let arena = model.description().arena_bytes;
    output.line(format_args!(
        "4. {}: {} bytes, {} bytes of arena; running the same network, laid out for each core, on {} boards",
        model_path.display(),
        grouped(hero.model.len() as u64),
        grouped(u64::from(arena)),
        session.boards.len()
    ));
    let test = crate::data::Dataset::open("digits")?.test;
    let host = evaluate(&model, &test.samples, &test.labels)?;
    let laid_out = lay_out(&work.path().join(hero.kind.name()), &session)?;
    let file = |board: &Board| laid_out.get(&board.core).unwrap_or(&hero.model).as_slice();
    let boards = on_boards(&session, &file, &model, &test, &host, output);
    let boards = boards.into_iter().collect::<Result<Vec<_>>>()?;
    let verification = table(&boards);
    output.table(&verification);

    for trained in &trained {
        let from = work.path().join(trained.kind.name());
        let to = options.out.join(trained.kind.name());
        replace_folder(&from, &to)?;
    }
    artifact::write_atomically(&model_path, &hero.model)?;
    for (core, file) in &laid_out {
        artifact::write_atomically(&options.out.join(core_file(*core)), file)?;
    }
    let tables = format!(
        "# tinyhero demo\n\nAccuracy on the 1,797 test digits, integers as deployed:\n\n{accuracies}\n\
         The 4-bit HERO network on the boards, laid out for each one's core:\n\n{verification}"
    );
    artifact::write_atomically(&options.out.join("tables.md"), tables.as_bytes())?;
    save_plots(&options.out, &trained)?;
    output.line(format_args!(
        "5. models, tables.md, accuracy_by_bits.svg and loss.svg are in {}",
        options.out.display()
    ));

    let rest = started.elapsed() - session.setup_time - session.build_time;
    let report = Report {
        optimizers: trained.iter().map(optimizer_json).collect(),
        model: ModelReport {
            path: model_path.display().to_string(),
            bytes: hero.model.len(),
            arena,
            digest: format!("{:08x}", model.digest()),
        },
        seconds: Seconds {
            setup: session.setup_time.as_secs_f64(),
            board_builds: session.build_time.as_secs_f64(),
            rest: rest.as_secs_f64(),
        },
        boards,
    };
    output.line(format_args!(
        "set-up {:.0} s, board builds {:.0} s, the rest {:.0} s",
        report.seconds.setup, report.seconds.board_builds, report.seconds.rest
    ));
    output.json(&report)?;
    for board in &report.boards {
        if let Some(line) = difference(board) {
            output.line(line);
        }
    }
    match report.boards.iter().find(|board| !board.agrees()) {
        None => Ok(()),
        Some(board) => Err(Error::check_failed(
            &board.board,
            "does not agree with the host",
            "please report this with the model file",
        )),
    }
}

/// Trains with each optimizer on a thread of its own: the network is so small that threads within an operation cost more than they
/// give. The results are the same as one after the other.
fn train_side_by_side(
    kinds: &[OptimizerKind],
    work: &Path,
    output: &Output,
) -> Result<Vec<Trained>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = kinds
            .iter()
            .map(|&kind| {
                scope.spawn(move || {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(
                        |reason| Error::check_failed("demo", reason, "close other programs"),
                    )?;
                    pool.install(|| train(kind, work, output))
                })
            })
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Trained>>| {
            thread.join().unwrap_or_else(|_| {
                Err(Error::check_failed(
                    "demo",
                    "a training thread broke off",
                    "please report this",
                ))
            })
        };
        threads.into_iter().map(join).collect()
    })
}

fn train(kind: OptimizerKind, work: &Path, output: &Output) -> Result<Trained> {
    let run = Run::create(&work.join(kind.name()), recipe(kind))?;
    train_with_progress(&run, &AtomicBool::new(false), output)?;
    let test = &run.dataset().test;
    let float = run.float_accuracy(&run.folder().trained()?, test)?;
    let mut integer = Vec::new();
    let mut deployed = None;
    for bit_width in BitWidth::ALL.into_iter().rev() {
        let exported = export(&quantize_run(run.folder(), &Quantization::new(bit_width))?)?;
        let model = Model::load(&exported.bytes)
            .map_err(|reason| Error::check_failed("model", reason, "please report this"))?;
        integer.push((bit_width, accuracy(&model, &test.samples, &test.labels)?.accuracy));
        if bit_width == DEPLOYED {
            deployed = Some(exported.bytes);
        }
    }
    Ok(Trained {
        kind,
        records: run.folder().records()?,
        float,
        integer,
        model: deployed.unwrap_or_default(),
    })
}

/// The deployed network of a run, laid out for the core of every board.
fn lay_out(run: &Path, session: &Session) -> Result<BTreeMap<Core, Vec<u8>>> {
    let network = quantize_run(&RunFolder::open(run)?, &Quantization::new(DEPLOYED))?;
    let mut files = BTreeMap::new();
    for (board, _) in &session.boards {
        if let Entry::Vacant(place) = files.entry(board.core) {
            place.insert(export_for(&network, Some(board.core))?.bytes);
        }
    }
    Ok(files)
}

fn accuracy_table(trained: &[Trained]) -> Table {
    let widths = BitWidth::ALL.iter().rev().map(|width| format!("{} bit", width.bits()));
    let mut table =
        Table::new(["optimizer".to_string(), "float".to_string()].into_iter().chain(widths));
    for trained in trained {
        let integer = trained.integer.iter().map(|(_, accuracy)| percent(*accuracy));
        table.row(
            [trained.kind.name().to_string(), percent(trained.float)].into_iter().chain(integer),
        );
    }
    table
}

fn optimizer_json(trained: &Trained) -> (String, Value) {
    let mut accuracies = Map::new();
    accuracies.insert("float".to_string(), json!(trained.float));
    for (bit_width, accuracy) in &trained.integer {
        accuracies.insert(bit_width.bits().to_string(), json!(accuracy));
    }
    (trained.kind.name().to_string(), Value::Object(accuracies))
}

fn save_plots(folder: &Path, trained: &[Trained]) -> Result<()> {
    let series = |points: fn(&Trained) -> Vec<(f64, f64)>| {
        let name = |kind: OptimizerKind| kind.name().to_uppercase();
        let lines = trained.iter();
        lines.map(|trained| Series { name: name(trained.kind), points: points(trained) }).collect()
    };
    Plot {
        title: "Test accuracy of the deployed integer network".to_string(),
        x_label: "bits per weight".to_string(),
        y_label: "accuracy, %".to_string(),
        series: series(|trained| {
            let points = trained.integer.iter().rev();
            points.map(|(width, accuracy)| (f64::from(width.bits()), 100.0 * accuracy)).collect()
        }),
        markers: true,
    }
    .save(&folder.join("accuracy_by_bits.svg"))?;
    Plot {
        title: "Training loss".to_string(),
        x_label: "epoch".to_string(),
        y_label: "mean cross-entropy".to_string(),
        series: series(|trained| {
            let points = trained.records.iter();
            points.map(|record| (record.epoch as f64, record.loss)).collect()
        }),
        markers: false,
    }
    .save(&folder.join("loss.svg"))
}

/// Puts a finished folder in the place of an older one.
fn replace_folder(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to).map_err(|reason| Error::writing(to, &reason))?;
    }
    std::fs::rename(from, to).map_err(|reason| Error::writing(to, &reason))
}
