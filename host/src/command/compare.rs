//! `compare`: optimizers side by side.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use toml::Value;

use super::interrupt;
use super::output::{self, Output};
use super::samples::telling;
use crate::artifact;
use crate::data::{DataOptions, Dataset};
use crate::deployment::quantizer::Rounding;
use crate::error::{Error, Result};
use crate::graph::network::Network;
use crate::report::json;
use crate::study::compare::{
    Comparison, Entry, FOUND_FILE, PlannedRun, RunResult, SWEEP_FILE, Search, Sweep, Task, collect,
    execute, save_plots,
};
use crate::training::{Augmentation, Outcome, RunFolder};

/// Compare optimizers over label noises, seeds and bit widths
///
/// Trains each optimizer with each label noise and seed, rounds the weights to each bit width (per tensor, per channel, and as the deployed integer network) and
/// reports mean and standard deviation, paired differences with standard error and p, and the Hessian's largest eigenvalue. A sweep that was interrupted or
/// killed goes on when the same command is given again.
///
/// Example: tinyhero compare --data digits-1797 --network mlp --optimizers sgd,hero --seeds 4 --label-noise 0,0.4 --bits 4,3 --epochs 30 --lr 0.03 --clip 1
/// --set hero.direction=layer-wise --set hero.reduction=sum --set hero.rho=0.02 --set hero.lambda=0.1 --out comparison
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["out", "resume"]))]
pub struct Options {
    #[arg(long, help = Dataset::help())]
    data: Option<String>,
    /// mlp, cnn, lenet, resnet8, resnet20, ds-cnn, mobilenet-v1-0.25, har-cnn, tcn, or a TOML file
    #[arg(long)]
    network: Option<String>,
    /// Optimizers: sgd, sam, asam, grad-l1, hero, or NAME:KIND for one more of a kind
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    optimizers: Vec<String>,
    /// Bit widths [default: 8,6,5,4,3,2]
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = super::bit_width)]
    bits: Vec<tinyhero_common::bit_width::BitWidth>,
    /// Number of seeds [default: 3]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first seed; the others follow [default: 0]
    #[arg(long, value_name = "SEED")]
    first_seed: Option<u64>,
    /// Probabilities with which training labels are redrawn uniformly [default: 0]
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    label_noise: Vec<f64>,
    /// The optimizer that the others are compared with [default: the first]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Learning rate of all optimizers
    #[arg(long = "lr", value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Weight decay of all optimizers
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Passes over the training data
    #[arg(long)]
    epochs: Option<usize>,
    /// Samples in a minibatch
    #[arg(long)]
    batch: Option<usize>,
    /// Largest global norm of the gradient
    #[arg(long)]
    clip: Option<f64>,
    /// Random changes to training samples; see `tinyhero train --help`
    #[arg(long, value_name = "CHANGES")]
    augment: Option<Augmentation>,
    /// A training setting, named as in a run's configuration.toml: of one optimizer (hero.rho=0.02) or of all (momentum=0.8)
    #[arg(long, value_name = "[NAME.]KEY=VALUE")]
    set: Vec<String>,
    /// A file with all of these; options on the command line win
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Only N training samples and N test samples, drawn from all classes by a fixed seed
    #[arg(long, value_name = "N", value_parser = super::positive)]
    limit: Option<usize>,
    /// Training samples on which λmax is measured, 0 for not at all [default: 1000]
    #[arg(long, value_name = "N")]
    curvature_samples: Option<usize>,
    /// Leave out the deployed integer networks
    #[arg(long)]
    no_integer: bool,
    /// How their weights become integers [default: descent]
    #[arg(long, value_enum)]
    rounding: Option<Rounding>,
    /// First search learning rate, weight decay and own parameters of each optimizer with the same number of trials, on the validation split
    #[arg(long)]
    search: bool,
    /// Settings that the search tries for each optimizer and label noise
    #[arg(long, value_name = "N", default_value_t = 24, requires = "search", value_parser = super::positive)]
    trials: usize,
    /// Seeds that each is tried with, others than those of the comparison
    #[arg(long, value_name = "N", default_value_t = 4, requires = "search", value_parser = clap::value_parser!(u64).range(1..))]
    search_seeds: u64,
    /// Validation accuracies whose mean decides: float, pt2 … pt8 (per tensor), pc2 … pc8 (per channel)
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LIST",
        requires = "search",
        default_value = "float,pt4,pt3"
    )]
    judge: Vec<String>,
    /// Runs at the same time [default: one for each core]
    #[arg(long, value_name = "N", value_parser = super::positive)]
    jobs: Option<usize>,
    /// Print each run that is still to do as a shell line, instead of running
    #[arg(long, conflicts_with_all = ["only", "collect"])]
    plan: bool,
    /// Make only this run, as --plan names it, and no tables
    #[arg(long, value_name = "RUN", requires = "resume", conflicts_with = "collect")]
    only: Option<PathBuf>,
    /// Make tables of the results that are there, also taking those in other folders of the same sweep
    #[arg(long, value_name = "FOLDER", num_args = 0.., requires = "resume")]
    collect: Option<Vec<PathBuf>>,
    /// Folder for runs, tables and plots
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the sweep in this folder instead, as it was begun
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "network", "settings", "optimizers", "set", "search"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    data_options: DataOptions,
    #[command(flatten)]
    output: Output,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let (sweep, folder) = match (&options.resume, &options.out) {
        (Some(folder), _) => {
            let path = folder.join(SWEEP_FILE);
            if !path.exists() {
                let advice = "give the --out folder of `tinyhero compare`";
                return Err(Error::bad_input(
                    folder.display(),
                    "holds no sweep (no compare.toml)",
                    advice,
                ));
            }
            (Sweep::read(&path)?, folder)
        }
        (None, Some(folder)) => {
            let sweep = options.sweep()?;
            check_inputs(&sweep, output)?;
            check_earlier(&sweep, folder)?;
            artifact::write_atomically(&folder.join(SWEEP_FILE), sweep.to_toml()?.as_bytes())?;
            (sweep, folder)
        }
        (None, None) => {
            return Err(Error::bad_input("compare", "has no folder", "give --out or --resume"));
        }
    };
    let stages = Stages { options, folder, output, interrupted: interrupt::flag() };
    if let Some(only) = &options.only {
        return stages.only(&sweep, only);
    }
    let sweep = match stages.searched(sweep)? {
        Some(sweep) => sweep,
        None => return Ok(()),
    };
    let tasks = sweep.tasks(folder)?;
    if !stages.complete(&tasks, "compare")? {
        return Ok(());
    }
    let others = options.collect.as_deref().unwrap_or_default();
    let (results, missing) = collect(&tasks, folder, others)?;
    let comparison = Comparison::new(&sweep, &results);
    comparison.save(folder, &results, &heading(&sweep)?)?;
    save_plots(&comparison, folder)?;
    output.text(&comparison.markdown());
    output.line(format_args!(
        "{} runs; compare.md, compare.csv, differences.csv, runs.csv and plots are in {}",
        results.len(),
        folder.display()
    ));
    json::write(&comparison, output.json.as_deref())?;
    match missing.first() {
        None => Ok(()),
        Some(first) => Err(missing_runs(folder, missing.len(), first)),
    }
}

impl Options {
    /// The sweep that the options describe.
    fn sweep(&self) -> Result<Sweep> {
        let mut sweep = match &self.settings {
            Some(path) => Sweep::read(path)?,
            None => Sweep::default(),
        };
        replace(&mut sweep.data, &self.data);
        replace(&mut sweep.network, &self.network);
        sweep.data_options = self.data_options.or(&sweep.data_options);
        replace(&mut sweep.seeds, &self.seeds);
        replace(&mut sweep.first_seed, &self.first_seed);
        replace(&mut sweep.curvature_samples, &self.curvature_samples);
        if !self.label_noise.is_empty() {
            sweep.label_noise.clone_from(&self.label_noise);
        }
        if !self.bits.is_empty() {
            sweep.bits = self.bits.iter().map(|width| width.bits()).collect();
        }
        if !self.optimizers.is_empty() {
            let known = std::mem::take(&mut sweep.entries);
            let entry = |text: &String| match known.iter().find(|entry| entry.name == *text) {
                Some(entry) => Ok(entry.clone()),
                None => Entry::parse(text),
            };
            sweep.entries = self.optimizers.iter().map(entry).collect::<Result<_>>()?;
        }
        sweep.baseline = self.baseline.clone().or(sweep.baseline);
        sweep.limit = self.limit.or(sweep.limit);
        sweep.integer &= !self.no_integer;
        sweep.rounding = self.rounding.unwrap_or(sweep.rounding);
        if self.search {
            let judges = self.judge.clone();
            let search = Search { trials: self.trials, seeds: self.search_seeds, judges };
            search.metrics()?;
            sweep.search = Some(search);
        }
        let float = |value: Option<f64>| value.map(Value::Float);
        let whole = |value: Option<usize>| {
            value.map(|value| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX)))
        };
        let common = [
            ("learning-rate", float(self.learning_rate)),
            ("weight-decay", float(self.weight_decay)),
            ("epochs", whole(self.epochs)),
            ("batch", whole(self.batch)),
            ("clip", float(self.clip)),
            (
                "augmentation",
                self.augment.as_ref().map(|augment| Value::String(augment.to_string())),
            ),
        ];
        for (key, value) in common {
            if let Some(value) = value {
                sweep.common.insert(key.to_string(), value);
            }
        }
        for assignment in &self.set {
            sweep.set(assignment)?;
        }
        // Everything that can be wrong is found before anything is written.
        sweep.runs()?;
        Ok(sweep)
    }
}

fn replace<T: Clone>(place: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        place.clone_from(value);
    }
}

/// The parts of a comparison, one after the other.
struct Stages<'a> {
    options: &'a Options,
    folder: &'a Path,
    output: &'a Output,
    interrupted: Arc<AtomicBool>,
}

impl Stages<'_> {
    /// Makes one run.
    fn only(&self, sweep: &Sweep, only: &Path) -> Result<()> {
        let mut tasks = match &sweep.search {
            Some(search) => search.tasks(sweep, self.folder)?,
            None => Vec::new(),
        };
        let found = self.folder.join(FOUND_FILE);
        if sweep.search.is_none() {
            tasks.extend(sweep.tasks(self.folder)?);
        } else if found.exists() {
            tasks.extend(Sweep::read(&found)?.tasks(self.folder)?);
        }
        let wanted = self.folder.join(only);
        let Some(task) = tasks.into_iter().find(|task| task.folder == wanted) else {
            let advice = "use a line that --plan prints";
            return Err(Error::bad_input(
                "--only",
                format_args!("{} is no run of this sweep", only.display()),
                advice,
            ));
        };
        self.work(&[task], "run").map(|_| ())
    }

    /// The sweep with the settings that a search found, if one was asked for. `None` if only its plan was printed.
    fn searched(&self, sweep: Sweep) -> Result<Option<Sweep>> {
        let Some(search) = &sweep.search else { return Ok(Some(sweep)) };
        let tasks = search.tasks(&sweep, self.folder)?;
        if !self.complete(&tasks, "search")? {
            return Ok(None);
        }
        let others = self.options.collect.as_deref().unwrap_or_default();
        let (_, missing) = collect(&tasks, self.folder, others)?;
        if let Some(first) = missing.first() {
            return Err(missing_runs(self.folder, missing.len(), first));
        }
        let mut found = search.best(&sweep, self.folder)?;
        found.save(&self.folder.join("search.csv"))?;
        found.sweep.search = None;
        let text = found.sweep.to_toml()?;
        artifact::write_atomically(&self.folder.join(FOUND_FILE), text.as_bytes())?;
        self.output.line(format_args!(
            "searched: search.csv has all trials, {FOUND_FILE} the settings found"
        ));
        Ok(Some(found.sweep))
    }

    /// Makes all runs, or prints their plan, or leaves them to --collect. Whether results may be read now.
    fn complete(&self, tasks: &[Task], what: &str) -> Result<bool> {
        if self.options.collect.is_some() {
            return Ok(true);
        }
        let mut left = Vec::new();
        for task in tasks {
            let done = RunResult::read(&task.folder)?
                .is_some_and(|result| result.answers(&task.planned, &task.measures));
            if !done {
                left.push(task.clone());
            }
        }
        if self.options.plan {
            for task in &left {
                let run = task.folder.strip_prefix(self.folder).unwrap_or(&task.folder);
                // The plan is the result, wherever other lines go.
                output::result(format_args!(
                    "tinyhero compare --resume {} --only {}",
                    quoted(self.folder),
                    quoted(run)
                ));
            }
            return Ok(left.is_empty());
        }
        self.work(&left, what)
    }

    fn work(&self, tasks: &[Task], what: &str) -> Result<bool> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = self.options.jobs.unwrap_or(cores).min(tasks.len()).max(1);
        let total = tasks.len();
        let bar = self.output.progress(what, total as u64);
        let started = Instant::now();
        let said = Mutex::new(Instant::now());
        let done = |count: usize| {
            bar.set_position(count as u64);
            let Ok(mut said) = said.lock() else { return };
            // A line now and then where there is no bar.
            if bar.is_hidden() && (said.elapsed() > Duration::from_secs(20) || count == total) {
                *said = Instant::now();
                let seconds = started.elapsed().as_secs_f64();
                let rest = seconds / count as f64 * (total - count) as f64;
                self.output.line(format_args!(
                    "{what}: {count} of {total} runs, {seconds:.0} s, about {rest:.0} s left"
                ));
            }
        };
        let outcome = execute(tasks, jobs, &self.interrupted, &done);
        bar.finish_and_clear();
        match outcome? {
            Outcome::Finished => Ok(true),
            Outcome::Interrupted => Err(Error::check_failed(
                self.folder.display(),
                "interrupted; finished runs and checkpoints are kept",
                format_args!("go on with `tinyhero compare --resume {}`", self.folder.display()),
            )),
        }
    }
}

/// Refuses data and networks that cannot be compared, before anything is written.
fn check_inputs(sweep: &Sweep, output: &Output) -> Result<()> {
    let (data, seed, said) = (&sweep.data, sweep.first_seed, &sweep.data_options);
    let dataset = telling(output, |told| Dataset::open_with(data, seed, said, told))?;
    let network = Network::open(&sweep.network, dataset.shape, dataset.classes())?;
    if network.reconstructs() {
        let problem = "gives no labels, so there is no accuracy to compare";
        return Err(Error::bad_input(&sweep.network, problem, "compare networks that classify"));
    }
    let held_out = |run: &PlannedRun| run.options.validation > 0.0;
    if sweep.search.is_some()
        && dataset.validation.is_empty()
        && !sweep.runs()?.iter().all(held_out)
    {
        let problem = "has no validation split to search on";
        let advice = "hold out a share of the training samples with --set validation=0.1";
        return Err(Error::bad_input(&sweep.data, problem, advice));
    }
    Ok(())
}

/// Refuses a folder whose runs were made with other settings, before anything in it is changed.
fn check_earlier(sweep: &Sweep, folder: &Path) -> Result<()> {
    for task in sweep.tasks(folder)? {
        if RunFolder::exists(&task.folder)
            && RunFolder::stored_options(&task.folder)? != task.planned.options
        {
            return Err(Error::bad_input(
                task.folder.display(),
                "holds a run with other settings",
                "give another --out, or another name to this optimizer (NAME:KIND)",
            ));
        }
    }
    Ok(())
}

fn missing_runs(folder: &Path, count: usize, first: &Task) -> Error {
    Error::check_failed(
        folder.display(),
        format_args!("{count} results are missing, the first is {}", first.folder.display()),
        "make them with the lines that --plan prints",
    )
}

/// What stands above the tables.
fn heading(sweep: &Sweep) -> Result<String> {
    let (first, baseline) = (sweep.first_seed, sweep.baseline());
    let seeds = match sweep.seeds {
        1 => format!(
            "Seed {first} alone, accuracies in % on the test split; below each optimizer its difference from {baseline} in points. With more seeds there are\n\
             standard deviations and tests."
        ),
        _ => format!(
            "Mean ± standard deviation over seeds {first} to {}, accuracies in % on the test split; below each optimizer its paired difference\n\
             from {baseline} in points (standard error); * p < 0.05, ** p < 0.01, *** p < 0.001 in a two-sided paired t-test.",
            sweep.seed_range().end.saturating_sub(1)
        ),
    };
    Ok(format!(
        "# {} on {}\n\n{seeds} λmax: largest eigenvalue of the training loss's Hessian on the\n\
         first {} training samples.\n\n```toml\n{}```\n",
        sweep.network,
        sweep.data,
        sweep.curvature_samples,
        sweep.to_toml()?
    ))
}

/// A path as one word for a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
