//! `train`: a training run.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use indicatif::ProgressBar;
use serde::Serialize;
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;
use toml::Value;

use super::interrupt;
use super::output::Output;
use super::precision::Precision;
use crate::data::{DataOptions, Dataset, Scaling, Split};
use crate::deployment::export::export_for;
use crate::deployment::quantizer::{Quantization, quantize};
use crate::error::{Error, Result};
use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::Initialization;
use crate::report::table::{grouped, percent};
use crate::task::Task;
use crate::training::engine::StatisticsPasses;
use crate::training::optimizer::{Direction, Method, Reduction, Schedule, Step, StepKind};
use crate::training::{
    Augmentation, Balance, EpochRecord, Keep, Observer, OptimizerKind, Outcome, QuantizerOptions,
    Run, RunFolder, TrainingOptions,
};

/// The learning rate at which a network that is trained already goes on, with momentum.
const FURTHER_RATE: f64 = 0.03;

/// Train a network
///
/// With --from it goes on from another run; with --bits the network computes with weights of so many bits while it is trained, and `quantize` takes over
/// their integers.
///
/// The run folder holds the configuration, the last checkpoint, a log of JSON lines and plots. Ctrl-C leaves a checkpoint.
///
/// Example: tinyhero train --data digits --network cnn --optimizer hero --epochs 20 --out run
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("target").required(true).args(["out", "resume"]))]
pub struct Options {
    #[arg(long, required_unless_present_any = ["resume", "from"], help = Dataset::help())]
    data: Option<String>,
    /// mlp, cnn, lenet, resnet8, resnet20, ds-cnn, mobilenet-v1-0.25, har-cnn, tcn, autoencoder, or a TOML file
    #[arg(long, required_unless_present_any = ["resume", "from"])]
    network: Option<String>,
    /// Begin with the network of this run, and read data as it does; options that are not given are that run's, except for the optimizer's
    #[arg(long, value_name = "RUN", conflicts_with_all = ["network", "resume", "scaling", "initialization"])]
    from: Option<PathBuf>,
    #[command(flatten)]
    precision: Precision,
    /// How strongly weights are held at their integers in the end, with --bits [default: 0.01]
    #[arg(long)]
    damping: Option<f64>,
    /// How gradients are made [default: hero; with --bits sgd]
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerKind>,
    /// Size of the perturbation [default: sam 0.05, asam and hero 0.5]
    #[arg(long)]
    rho: Option<f64>,
    /// Weight of the second-order term [default: hero 5, grad-l1 0.01]
    #[arg(long)]
    lambda: Option<f64>,
    /// Direction of HERO's perturbation [default: element-wise]
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Reduction of HERO's second-order term [default: mean]
    #[arg(long, value_enum)]
    reduction: Option<Reduction>,
    /// Epochs at the start without the second-order term [default: hero and grad-l1 1]
    #[arg(long)]
    warmup_epochs: Option<u32>,
    /// How a gradient becomes a step
    #[arg(long, value_enum, default_value = "momentum")]
    step: StepKind,
    /// Learning rate of the first epoch; it falls to 0 along a cosine [default: momentum 0.1, with --from 0.03; adamw 0.001]
    #[arg(long = "lr")]
    learning_rate: Option<f64>,
    /// Multiply the learning rate every N epochs instead of the cosine
    #[arg(long, value_name = "N", value_parser = super::positive)]
    lr_step: Option<usize>,
    /// What it is multiplied by
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1, requires = "lr_step")]
    lr_factor: f64,
    /// Leave the learning rate as it is
    #[arg(long, conflicts_with = "lr_step")]
    lr_constant: bool,
    /// Momentum [default: 0.9]
    #[arg(long)]
    momentum: Option<f64>,
    /// AdamW's share of the mean of gradients that a step keeps [default: 0.9]
    #[arg(long)]
    beta1: Option<f64>,
    /// The same of squared gradients [default: 0.999]
    #[arg(long)]
    beta2: Option<f64>,
    /// Added to the root of their mean [default: 1e-8]
    #[arg(long)]
    epsilon: Option<f64>,
    /// Weight decay [default: momentum 5e-4, adamw 0.01; with --bits 0]
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Passes over the training data
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Samples in a minibatch [default: 64]
    #[arg(long)]
    batch: Option<usize>,
    /// Decides everything random [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Probability with which a training label is redrawn uniformly [default: 0]
    #[arg(long)]
    label_noise: Option<f64>,
    /// Random changes to training samples, several separated by commas. Images: flip, shift, shift-flip. Series: time-shift:0.1 (share of
    /// the sample), noise:0.05 (standard deviations of the channel), amplitude:0.1 (share), negate:COLUMN+COLUMN (half of the time),
    /// background:0.1 (another sample, or a noise that WAV data has in a folder such as _background_noise_, at up to this share)
    /// [default: none]
    #[arg(long, value_name = "CHANGES")]
    augment: Option<Augmentation>,
    /// Share of each label that is spread over all classes [default: 0]
    #[arg(long, value_name = "SHARE")]
    label_smoothing: Option<f64>,
    /// How rare classes are made to count as much as others [default: none]
    #[arg(long, value_enum)]
    balance: Option<Balance>,
    /// What the values of each channel are brought to
    #[arg(long, value_enum, default_value = "standard")]
    scaling: Scaling,
    /// How weights and biases begin
    #[arg(long, value_enum, default_value = "published")]
    initialization: Initialization,
    /// Largest global norm of the gradient
    #[arg(long)]
    clip: Option<f64>,
    /// Passes of a step that batch normalization's running statistics follow
    #[arg(long, value_enum, default_value = "first")]
    statistics: StatisticsPasses,
    /// Only N training samples, drawn from all classes by a fixed seed
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Share of the training samples to keep for validation, drawn by the seed [default: 0]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Which epoch's network the run gives; `best` needs a validation split
    #[arg(long, value_enum, default_value = "last")]
    keep: Keep,
    /// The run folder to make
    #[arg(long, value_name = "RUN")]
    out: Option<PathBuf>,
    /// Go on with this run instead, with the options that it was begun with
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "network"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    data_options: DataOptions,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    run: String,
    finished: bool,
    epochs: usize,
    /// The epoch whose network the run gives.
    kept_epoch: Option<usize>,
    test_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_r2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_error: Option<f64>,
    records: Vec<EpochRecord>,
}

/// What a network's score is called, by its task.
fn scored(task: Task, score: f64) -> String {
    match task {
        Task::Classification => percent(score),
        Task::Regression => format!("R² {score:.4}"),
        Task::Reconstruction => format!("mean squared error {:.5}", -score),
    }
}

impl Options {
    /// The options of a run of its own.
    fn training(&self, data: &str, network: &str) -> Result<TrainingOptions> {
        let quantizer = self.quantizer()?;
        self.beginning_with(TrainingOptions {
            scaling: self.scaling,
            initialization: self.initialization,
            quantizer,
            ..TrainingOptions::new(data, network, OptimizerKind::Hero)
        })
    }

    /// The options of a run that begins with the network of another one.
    fn training_from(&self, other: &RunFolder) -> Result<TrainingOptions> {
        let step = Step::new(self.step);
        let (old, data) = (other.options(), &other.provenance().data);
        self.beginning_with(TrainingOptions {
            data: self.data.clone().unwrap_or_else(|| data.clone()),
            learning_rate: FURTHER_RATE,
            step,
            schedule: Schedule::default(),
            keep: Keep::Last,
            clip: None,
            from: Some(other.path().display().to_string()),
            quantizer: self.quantizer()?,
            ..old.clone()
        })
    }

    fn quantizer(&self) -> Result<Option<QuantizerOptions>> {
        if !self.precision.is_given() {
            return match self.damping {
                None => Ok(None),
                Some(_) => Err(Error::bad_input(
                    "--damping",
                    "is for training with the quantizer in the loop",
                    "give --bits, or leave it out",
                )),
            };
        }
        let (all, widths) = self.precision.widths()?;
        let Some(all) = all else {
            let advice = "give --bits for the layers that are not named";
            return Err(Error::bad_input("train", "has no bit width for all layers", advice));
        };
        let damping = self.damping.unwrap_or(QuantizerOptions::DAMPING);
        Ok(Some(QuantizerOptions::new(all, &widths, damping)))
    }

    /// What is given here over the options of `start`.
    fn beginning_with(&self, start: TrainingOptions) -> Result<TrainingOptions> {
        let in_loop = start.quantizer.is_some();
        let optimizer = match (self.optimizer, &start.from) {
            (Some(optimizer), _) => optimizer,
            (None, _) if in_loop => OptimizerKind::Sgd,
            (None, Some(_)) => start.method.kind(),
            (None, None) => OptimizerKind::Hero,
        };
        let further = start.from.is_some() && self.step == StepKind::Momentum;
        let learning_rate = self.learning_rate.or(further.then_some(FURTHER_RATE));
        let weight_decay = self.weight_decay.or(in_loop.then_some(0.0));
        let common = TrainingOptions {
            schedule: match self.lr_step {
                Some(epochs) => Schedule::Step { epochs, factor: self.lr_factor },
                None if self.lr_constant => Schedule::Constant,
                None if in_loop => Schedule::CosineSteps,
                None => Schedule::Cosine,
            },
            method: Method::new(optimizer),
            clip: self.clip,
            epochs: self.epochs,
            batch: self.batch.unwrap_or(start.batch),
            seed: self.seed.unwrap_or(start.seed),
            label_noise: self.label_noise.unwrap_or(start.label_noise),
            augmentation: self.augment.clone().unwrap_or(start.augmentation),
            label_smoothing: self.label_smoothing.unwrap_or(start.label_smoothing),
            balance: self.balance.unwrap_or(start.balance),
            statistics: self.statistics,
            limit: self.limit.or(start.limit),
            validation: self.validation.unwrap_or(start.validation),
            keep: self.keep,
            data_options: self.data_options.or(&start.data_options),
            ..start
        };
        let name = |value: Option<&'static str>| value.map(|name| Value::String(name.to_string()));
        let given = [
            ("step", name(Some(self.step.name()))),
            ("learning-rate", learning_rate.map(Value::Float)),
            ("momentum", self.momentum.map(Value::Float)),
            ("beta1", self.beta1.map(Value::Float)),
            ("beta2", self.beta2.map(Value::Float)),
            ("epsilon", self.epsilon.map(Value::Float)),
            ("weight-decay", weight_decay.map(Value::Float)),
            ("rho", self.rho.map(Value::Float)),
            ("lambda", self.lambda.map(Value::Float)),
            ("direction", name(self.direction.map(Direction::name))),
            ("reduction", name(self.reduction.map(Reduction::name))),
            ("warmup-epochs", self.warmup_epochs.map(|epochs| Value::Integer(epochs.into()))),
        ];
        common.with("options", given.into_iter().filter_map(|(key, value)| Some((key, value?))))
    }
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let asked = (&options.resume, &options.out, &options.data, &options.network);
    let (run, folder) = match asked {
        (Some(folder), ..) => (Run::resume(folder)?, folder),
        (None, Some(folder), ..) if options.from.is_some() => {
            let other = options.from.as_deref().unwrap_or(folder);
            let other = RunFolder::open(other)?;
            (Run::create_from(folder, options.training_from(&other)?, &other)?, folder)
        }
        (None, Some(folder), Some(data), Some(network)) => {
            (create(folder, options.training(data, network)?, output)?, folder)
        }
        _ => {
            let advice = "give --data, --network and --out, or --from and --out, or --resume";
            return Err(Error::bad_input("train", "has nothing to train", advice));
        }
    };
    let interrupted = interrupt::flag();
    output.line(format_args!(
        "training {} on {} with {}, seed {}",
        run.options().network,
        run.options().data,
        run.options().method.kind().name(),
        run.options().seed
    ));
    let outcome = train_with_progress(&run, &interrupted, output)?;
    if outcome == Outcome::Interrupted {
        return Err(Error::check_failed(
            folder.display(),
            "interrupted; a checkpoint is written",
            format_args!("go on with `tinyhero train --resume {}`", folder.display()),
        ));
    }
    let score = run.float_accuracy(&run.folder().trained()?, &run.dataset().test)?;
    let task = run.folder().network().task;
    output.line(format_args!(
        "{}: finished, {} on the test set",
        folder.display(),
        scored(task, score)
    ));
    let records = run.folder().records()?;
    output.json(&Report {
        run: folder.display().to_string(),
        finished: true,
        epochs: records.len(),
        kept_epoch: run.folder().kept_epoch()?,
        test_accuracy: (task == Task::Classification).then_some(score),
        test_r2: (task == Task::Regression).then_some(score),
        test_error: (task == Task::Reconstruction).then_some(-score),
        records,
    })
}

/// Begins a run, tells what is doubtful about its data, and shows at once what the network will take.
fn create(folder: &Path, options: TrainingOptions, output: &Output) -> Result<Run> {
    let mut notes = Vec::new();
    let limit = options.limit;
    let size = RefCell::new(None);
    let accepts = |trained: &TrainedNetwork, calibration: &Split| {
        *size.borrow_mut() = Some(size_of(trained, calibration)?);
        Ok(())
    };
    let run = Run::create_checked(folder, options, &mut notes, &accepts);
    for note in notes {
        output.line(note);
    }
    let run = run?;
    if let Some(limit) = limit.filter(|limit| *limit < run.dataset().train.len()) {
        output.line(format_args!(
            "{limit} of {} training samples, drawn from all classes by a fixed seed (--limit)",
            run.dataset().train.len()
        ));
    }
    let leaked = run.dataset().leaked();
    if leaked > 0 {
        output.line(format_args!(
            "doubt: {leaked} of {} test samples are among the training samples too, value for value",
            run.dataset().test.len()
        ));
    }
    if let Some((bytes, arena)) = size.into_inner() {
        output.line(format_args!(
            "deployed at 8 bits it will take {} bytes of flash and an arena of {} bytes",
            grouped(bytes as u64),
            grouped(arena as u64)
        ));
    }
    Ok(run)
}

/// Samples that a network with initial weights is lowered with, which ask for no good ranges.
const DRY_SAMPLES: usize = 4;

/// Bytes of the model file and of the arena that a network with initial weights takes at 8 bits.
///
/// # Errors
/// What the integer format cannot express, before anything is trained.
fn size_of(trained: &TrainedNetwork, calibration: &Split) -> Result<(usize, usize)> {
    let samples = calibration.limited(DRY_SAMPLES).samples;
    let network = quantize(trained, &samples, &Quantization::new(BitWidth::Eight))?;
    let exported = export_for(&network.without_task(), None)?;
    let model = Model::load(&exported.bytes).map_err(|reason| {
        Error::check_failed(&trained.network.name, reason, "please report this")
    })?;
    Ok((exported.bytes.len(), model.description().arena_bytes as usize))
}

/// Trains with a bar on a terminal and a line per epoch elsewhere.
pub fn train_with_progress(
    run: &Run,
    interrupted: &AtomicBool,
    output: &Output,
) -> Result<Outcome> {
    let steps = run.steps_per_epoch();
    let done = run.folder().records()?.len();
    let total = run.options().epochs * steps;
    let bar = output.progress(run.options().method.kind().name(), total as u64);
    bar.set_position((done * steps) as u64);
    let name = run.options().method.kind().name();
    let task = run.folder().network().task;
    let mut observer = BarObserver { bar: &bar, steps, name, task, output };
    let outcome = run.train(interrupted, &mut observer);
    bar.finish_and_clear();
    outcome
}

struct BarObserver<'a> {
    bar: &'a ProgressBar,
    steps: usize,
    name: &'static str,
    task: Task,
    output: &'a Output,
}

impl Observer for BarObserver<'_> {
    fn step(&mut self, epoch: usize, step: usize, _steps: usize, loss: f64) {
        self.bar.set_position((epoch * self.steps + step) as u64);
        self.bar.set_message(format!("loss {loss:.4}"));
    }

    fn epoch(&mut self, record: &EpochRecord, epochs: usize) {
        let line = format!(
            "{} epoch {}/{epochs}: loss {:.4}, {}, lr {:.4}, {:.1} s, about {:.0} s left{}",
            self.name,
            record.epoch,
            record.loss,
            match self.task {
                Task::Classification => format!("accuracy {}", percent(record.accuracy)),
                task => scored(task, record.accuracy),
            },
            record.learning_rate,
            record.seconds,
            record.seconds * epochs.saturating_sub(record.epoch) as f64,
            match record.skipped {
                0 => String::new(),
                skipped => format!(", {skipped} steps left out: the loss was not finite"),
            }
        );
        if std::io::stderr().is_terminal() {
            self.bar.set_message(line);
        } else {
            self.output.line(line);
        }
    }
}
