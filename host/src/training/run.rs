//! One training run with its data.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::DType;

use super::augmentation::{Augmentation, Changes};
use super::batch::{
    self, Balance, Batches, add_label_noise, class_weights, normalize, take_validation,
};
use super::calibration;
use super::folder::{RunFolder, best_epoch};
use super::log::{self, EpochRecord};
use super::options::{Keep, TrainingOptions};
use crate::data::{DataOptions, Dataset, Normalization, Split};
use crate::deployment::quantizer::on_grid;
use crate::error::{Error, Result};
use crate::graph::input::InputMeaning;
use crate::graph::network::Network;
use crate::graph::provenance::Provenance;
use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::NodeParameters;
use crate::statistics::r2;
use crate::task::Task;
use crate::training::checkpoint::{Checkpoint, Position};
use crate::training::engine::{Emphasis, TrainingGraph};
use crate::training::in_loop::{self, InLoop};
use crate::training::optimizer::{
    Gradient, Progress, StepOutcome, StepRule, StepState, apply, check_second_order, take_step,
};

/// So many times the loss of knowing nothing at the end is a run that has diverged.
const DIVERGED: f64 = 100.0;
/// And so many times it at any epoch is one that will not come back.
const HOPELESS: f64 = 1e6;
/// Decides which samples a limit leaves, whatever the seed of the training.
pub const DRAW_SEED: u64 = 0;

/// Longest time without a checkpoint.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// Test samples, drawn from all classes, that an epoch's accuracy is measured on where there is no validation split.
const MONITORED_SAMPLES: usize = 2_000;
/// Samples that go through the network at once when it is only evaluated.
const EVALUATION_BATCH: usize = 256;
/// Steps in a row that may be left out before the run is given up.
const LARGEST_SKIPPED_RUN: usize = 20;

/// Is told how a run gets on.
pub trait Observer {
    /// A step has been taken: epochs completed, steps completed of `steps` in this epoch, and the loss before the step.
    fn step(&mut self, _epoch: usize, _step: usize, _steps: usize, _loss: f64) {}

    /// An epoch has been completed.
    fn epoch(&mut self, _record: &EpochRecord, _epochs: usize) {}
}

impl Observer for () {}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All epochs are done.
    Finished,
    /// It was asked to stop and can be resumed.
    Interrupted,
}

/// A training run with its data and its folder.
#[derive(Debug)]
pub struct Run {
    folder: RunFolder,
    dataset: Dataset,
    train: Split,
}

impl Run {
    /// Begins a run in `folder`, which must not hold one already.
    ///
    /// # Errors
    /// Options out of range, data or network that cannot be opened, a folder in use.
    pub fn create(folder: &Path, options: TrainingOptions) -> Result<Self> {
        Self::create_checked(folder, options, &mut Vec::new(), &|_, _| Ok(()))
    }

    /// Begins a run if `accepts` has nothing against its network with initial weights, of which calibration samples are given. What
    /// is guessed or doubtful about the data is told in `notes`, also where an error follows.
    ///
    /// # Errors
    /// As [`Run::create`], and those of `accepts`; then there is no folder yet.
    pub fn create_checked(
        folder: &Path,
        options: TrainingOptions,
        notes: &mut Vec<String>,
        accepts: &dyn Fn(&TrainedNetwork, &Split) -> Result<()>,
    ) -> Result<Self> {
        options.check()?;
        refuse_used(folder)?;
        let own = Network::task_of(&options.network)?;
        let task = options.data_options.task.or(own).unwrap_or_default();
        if let Some(own) = own.filter(|own| *own != task) {
            let place = format!("--task {}", task.option());
            let problem = format!("{} has the task '{}'", options.network, own.name());
            return Err(Error::bad_input(
                place,
                problem,
                "leave it out, or change the network file",
            ));
        }
        check_emphasis(&options, task)?;
        let asked = DataOptions { task: Some(task), ..options.data_options.clone() };
        let mut dataset = Dataset::open_with(&options.data, options.seed, &asked, notes)?;
        let provenance = Provenance::of(&dataset, options.seed);
        let mut train = training_part(&mut dataset, &options)?;
        let channels = dataset.shape.channels;
        let normalization = Normalization::measure(&train, channels, options.scaling);
        let calibration = calibration::draw(&train);
        add_label_noise(&mut train, dataset.classes(), options.label_noise, options.seed);
        let answers = match task {
            Task::Classification => dataset.classes(),
            Task::Regression => dataset.outputs.len(),
            Task::Reconstruction => dataset.shape.elements(),
        };
        if answers == 0 {
            let problem = format_args!("has nothing that the task '{}' could learn", task.option());
            return Err(Error::bad_input(&options.data, problem, "name it with --label"));
        }
        let network = Network { task, ..Network::open(&options.network, dataset.shape, answers)? };
        check_output(&network, answers, &dataset, &options.network)?;
        let input = InputMeaning::of(&dataset, normalization);
        changes(&options.augmentation, &dataset, &input)?;
        let in_loop = options.quantizer.is_some();
        let (initialization, seed) = (options.initialization, options.seed);
        let parameters = NodeParameters::initial(&network, options.initialization, options.seed)?;
        let (start, from) = (network.clone(), Some(provenance.clone()));
        let initial = TrainedNetwork {
            network: start,
            parameters,
            grids: Vec::new(),
            input: input.clone(),
            provenance: from,
        };
        accepts(&initial, &calibration)?;
        let held_out = (task == Task::Reconstruction && !dataset.validation.is_empty())
            .then(|| dataset.validation.drawn(MONITORED_SAMPLES, DRAW_SEED));
        let folder = RunFolder::create(
            folder,
            options,
            network,
            input,
            provenance,
            &calibration,
            held_out.as_ref(),
        )?;
        let run = Self { folder, dataset, train };
        if in_loop {
            let start = NodeParameters::initial(run.network(), initialization, seed)?;
            run.begin_at(start, &calibration.samples)?;
        }
        Ok(run)
    }

    /// Begins a run in `folder` with the network of another one, which is read with that one's
    /// meaning. `options` say what is done with it; data that is not that of the other run is
    /// split by their seed.
    ///
    /// # Errors
    /// Options out of range, data that cannot be opened or does not fit the network, a folder in use.
    pub fn create_from(folder: &Path, options: TrainingOptions, other: &RunFolder) -> Result<Self> {
        options.check()?;
        refuse_used(folder)?;
        let seed = match options.data == other.provenance().data {
            true => other.provenance().split_seed,
            false => options.seed,
        };
        let (said, convention) = (&options.data_options, other.convention());
        let mut dataset =
            Dataset::open_by(&options.data, seed, &convention, said, &mut Vec::new())?;
        let provenance = Provenance::of(&dataset, seed);
        let mut train = training_part(&mut dataset, &options)?;
        let calibration = calibration::draw(&train);
        add_label_noise(&mut train, dataset.classes(), options.label_noise, options.seed);
        let (network, input) = (other.network().clone(), other.input().clone());
        let answers = match network.task {
            Task::Classification => dataset.classes(),
            Task::Regression => dataset.outputs.len(),
            Task::Reconstruction => dataset.shape.elements(),
        };
        check_output(&network, answers, &dataset, &options.network)?;
        let start = other.trained()?.parameters;
        let folder =
            RunFolder::create(folder, options, network, input, provenance, &calibration, None)?;
        let run = Self { folder, dataset, train };
        run.begin_at(start, &calibration.samples)?;
        Ok(run)
    }

    /// Writes the checkpoint that the first step starts from.
    fn begin_at(&self, parameters: Vec<NodeParameters>, calibration: &[i16]) -> Result<()> {
        let (parameters, grid_steps) = match &self.options().quantizer {
            None => (parameters, Vec::new()),
            Some(quantizer) => {
                let trained = TrainedNetwork {
                    network: self.network().clone(),
                    parameters,
                    grids: Vec::new(),
                    input: self.folder.input().clone(),
                    provenance: None,
                };
                let gridded = on_grid(&trained, calibration, &quantizer.quantization()?)?;
                in_loop::start(&gridded.parameters, &gridded.grids, &trained.parameters)
            }
        };
        let (position, step) = (Position::default(), StepState::default());
        let checkpoint = Checkpoint { position, parameters, step, grid_steps };
        self.folder.write_checkpoint(Keep::Last, &checkpoint)
    }

    /// Opens the run in `folder` with its data, which is converted as it was when the run was begun.
    ///
    /// # Errors
    /// There is none, or its data cannot be opened any more or has changed.
    pub fn resume(folder: &Path) -> Result<Self> {
        let folder = RunFolder::open(folder)?;
        let (options, provenance) = (folder.options(), folder.provenance());
        let seed = provenance.split_seed;
        let (convention, none) = (folder.convention(), DataOptions::default());
        let mut dataset =
            Dataset::open_by(&provenance.data, seed, &convention, &none, &mut Vec::new())?;
        if dataset.digest != provenance.digest {
            return Err(Error::bad_input(
                &provenance.data,
                format_args!("has changed since the run {} began", folder.path().display()),
                "give it back its former contents, or train again with another --out",
            ));
        }
        let mut train = training_part(&mut dataset, options)?;
        add_label_noise(&mut train, dataset.classes(), options.label_noise, options.seed);
        Ok(Self { folder, dataset, train })
    }

    /// The folder, with all that later commands need.
    pub const fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The options that the run was begun with.
    pub const fn options(&self) -> &TrainingOptions {
        self.folder.options()
    }

    /// The data.
    pub const fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The training samples, in the order of the data, as far as the run uses them.
    pub const fn training_samples(&self) -> &Split {
        &self.train
    }

    /// Steps of one epoch.
    pub fn steps_per_epoch(&self) -> usize {
        batch::count(self.train.len(), self.options().batch)
    }

    /// Trains until all epochs are done or `interrupted` is set, from the last checkpoint if there is one.
    ///
    /// # Errors
    /// Files cannot be written; or the loss stays not finite, with advice.
    pub fn train(&self, interrupted: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let method = self.options().method.rule();
        if method.needs_second_order() {
            check_second_order()?;
        }
        let mut rule = self.options().step.rule();
        let mut grid_steps = Vec::new();
        let (parameters, mut position) = if let Some(checkpoint) = self.folder.checkpoint()? {
            rule.restore(checkpoint.step);
            grid_steps = checkpoint.grid_steps;
            (checkpoint.parameters, checkpoint.position)
        } else {
            let parameters = NodeParameters::initial(
                self.network(),
                self.options().initialization,
                self.options().seed,
            )?;
            (parameters, Position::default())
        };
        let mut graph = TrainingGraph::new(self.network(), &parameters, DType::F32)?;
        graph.statistics_passes = self.options().statistics;
        graph.emphasis = Emphasis {
            smoothing: self.options().label_smoothing,
            class_weights: match self.options().balance {
                Balance::Weights => class_weights(&self.train.labels, self.dataset.classes()),
                Balance::None | Balance::Batches => Vec::new(),
            },
        };
        let changes = changes(&self.options().augmentation, &self.dataset, self.folder.input())?;
        let mut in_loop = match &self.options().quantizer {
            Some(options) => Some(InLoop::new(&graph, self.network(), &grid_steps, options)?),
            None => None,
        };
        let mut records = self.folder.records()?;
        records.truncate(position.epoch);
        let mut skipped_in_a_row = 0;
        let mut saved = Instant::now();

        while position.epoch < self.options().epochs {
            let started = Instant::now();
            let epoch = position.epoch;
            let mut batches = Batches::new(
                &self.train,
                &self.folder.input().normalization,
                &changes,
                self.options().balance,
                self.options().batch,
                self.options().seed,
                epoch,
            );
            let steps = batches.count();
            let rate = |step: usize| {
                let factor = self.options().schedule.factor_of_step(
                    epoch,
                    self.options().epochs,
                    step,
                    steps,
                );
                self.options().learning_rate * factor
            };
            let mut index = 0;
            while let Some(minibatch) = batches.next() {
                index += 1;
                // Drawing the batches that are already done leaves the generators where they were.
                if index <= position.step {
                    continue;
                }
                if interrupted.load(Ordering::Relaxed) {
                    self.save(Keep::Last, &graph, in_loop.as_ref(), rule.as_ref(), position)?;
                    self.plot(&records)?;
                    return Ok(Outcome::Interrupted);
                }
                if self.network().task == Task::Regression {
                    let values = self.normalized(&minibatch.values);
                    graph.set_values(&minibatch.samples, &values)?;
                } else {
                    graph.set_batch(&minibatch.samples, &minibatch.labels)?;
                }
                let progress = Progress { epoch };
                let (clip, rule) = (self.options().clip, rule.as_mut());
                let outcome = match in_loop.as_mut().zip(self.options().quantizer.as_ref()) {
                    None => take_step(
                        rule,
                        method.as_ref(),
                        &mut graph,
                        progress,
                        rate(index - 1),
                        clip,
                    )?,
                    Some((in_loop, options)) => {
                        let (step, all) =
                            (epoch * steps + index - 1, self.options().epochs * steps);
                        let gradient = method.gradient(&mut graph, progress)?;
                        let damping = options.damping_at(step, all);
                        let values = in_loop.backward(gradient.values, damping)?;
                        let gradient = Gradient { values, ..gradient };
                        // The last step moves nothing, so that its integers are those that stay.
                        let rate = if step + 1 == all { 0.0 } else { rate(index - 1) };
                        let outcome = apply(rule, in_loop.parameters(), gradient, rate, clip)?;
                        in_loop.forward(&graph)?;
                        outcome
                    }
                };
                match outcome {
                    StepOutcome::Taken { loss } => {
                        skipped_in_a_row = 0;
                        let sum = f64::from_bits(position.loss_bits) + loss;
                        position.loss_bits = sum.to_bits();
                        observer.step(epoch, index, steps, loss);
                    }
                    StepOutcome::Skipped => {
                        skipped_in_a_row += 1;
                        position.skipped += 1;
                        if skipped_in_a_row >= LARGEST_SKIPPED_RUN {
                            return Err(Error::check_failed(
                                self.folder.path().display(),
                                format_args!(
                                    "the loss was not finite in {LARGEST_SKIPPED_RUN} steps in a row in epoch {}",
                                    epoch + 1
                                ),
                                "lower --lr or --rho, or add --clip 1, and train again",
                            ));
                        }
                    }
                }
                position.step = index;
                if saved.elapsed() > CHECKPOINT_INTERVAL {
                    self.save(Keep::Last, &graph, in_loop.as_ref(), &*rule, position)?;
                    saved = Instant::now();
                }
            }
            let taken = steps - position.skipped.min(steps);
            let mean = f64::from_bits(position.loss_bits) / taken as f64;
            self.check_convergence(epoch, taken, mean)?;
            let record = EpochRecord {
                epoch: epoch + 1,
                loss: mean,
                accuracy: self.monitor(&graph)?,
                learning_rate: rate(0),
                skipped: position.skipped,
                seconds: started.elapsed().as_secs_f64(),
            };
            position = Position { epoch: epoch + 1, ..Position::default() };
            observer.epoch(&record, self.options().epochs);
            let best = best_epoch(&records).map(|best| best.accuracy);
            let improves = best.is_none_or(|best| record.accuracy > best);
            records.push(record);
            if self.options().keep == Keep::Best && improves {
                self.save(Keep::Best, &graph, in_loop.as_ref(), rule.as_ref(), position)?;
            }
            // The log first: what it holds beyond the checkpoint is cut off when the run is resumed.
            self.folder.write_records(&records)?;
            self.save(Keep::Last, &graph, in_loop.as_ref(), rule.as_ref(), position)?;
            saved = Instant::now();
        }
        self.plot(&records)?;
        Ok(Outcome::Finished)
    }

    /// Ends a run that has diverged: no step of an epoch could be taken, or the loss is far beyond that of knowing nothing.
    fn check_convergence(&self, epoch: usize, taken: usize, mean: f64) -> Result<()> {
        let classes = self.dataset.classes().max(1) as f64;
        let of_knowing_nothing = match self.network().task {
            Task::Classification => classes.ln().max(1.0),
            // Of what has mean 0 and standard deviation 1.
            Task::Regression | Task::Reconstruction => 1.0,
        };
        let is_last = epoch + 1 == self.options().epochs;
        let most = of_knowing_nothing * if is_last { DIVERGED } else { HOPELESS };
        let epoch = epoch + 1;
        let problem = match () {
            () if taken == 0 => {
                format!(
                    "the loss was not finite in any step of epoch {epoch}: training has diverged"
                )
            }
            () if mean > most || mean.is_nan() => format!(
                "the loss of epoch {epoch} is {mean:.3e}, where knowing nothing gives about \
                 {of_knowing_nothing:.1}: training has diverged"
            ),
            () => return Ok(()),
        };
        let advice = "lower --lr or --rho, or add --clip 1, and train again";
        Err(Error::check_failed(self.folder.path().display(), problem, advice))
    }

    /// Values to predict as the network learns them, with mean 0 and standard deviation 1.
    fn normalized(&self, values: &[f32]) -> Vec<f32> {
        let outputs = self.folder.input().outputs.iter().cycle();
        let pairs = values.iter().zip(outputs);
        pairs.map(|(&value, by)| ((f64::from(value) - by.offset) / by.step) as f32).collect()
    }

    const fn network(&self) -> &Network {
        self.folder.network()
    }

    fn plot(&self, records: &[EpochRecord]) -> Result<()> {
        let title = format!("{}, {}", self.network().name, self.options().method.kind().name());
        log::plot(self.folder.path(), &title, records)
    }

    fn save(
        &self,
        keep: Keep,
        graph: &TrainingGraph,
        in_loop: Option<&InLoop>,
        rule: &dyn StepRule,
        position: Position,
    ) -> Result<()> {
        let (parameters, grid_steps) = match in_loop {
            None => (graph.node_parameters()?, Vec::new()),
            Some(in_loop) => {
                (in_loop.latent_parameters(graph)?, in_loop.steps(self.network().nodes.len())?)
            }
        };
        let checkpoint = Checkpoint { position, parameters, step: rule.state(), grid_steps };
        self.folder.write_checkpoint(keep, &checkpoint)
    }

    fn monitor(&self, graph: &TrainingGraph) -> Result<f64> {
        if self.dataset.validation.is_empty() {
            self.score(graph, &self.dataset.test.drawn(MONITORED_SAMPLES, DRAW_SEED))
        } else {
            self.score(graph, &self.dataset.validation)
        }
    }

    /// Share of right labels, R² of a regression (mean over its outputs), or the negated mean squared error of a reconstruction.
    fn score(&self, graph: &TrainingGraph, split: &Split) -> Result<f64> {
        let elements = self.dataset.shape.elements();
        let outputs = self.network().output()?.elements();
        let mut right = 0usize;
        let mut squared_error = 0.0;
        let mut all = Vec::new();
        let batches = split.samples.chunks(EVALUATION_BATCH * elements);
        for (raw, labels) in batches.zip(split.labels.chunks(EVALUATION_BATCH)) {
            let mut samples = Vec::with_capacity(raw.len());
            normalize(raw, &self.folder.input().normalization, &mut samples);
            let predicted = graph.predict(&samples)?;
            if self.network().task == Task::Regression {
                all.extend_from_slice(&predicted);
            } else if self.network().reconstructs() {
                let errors = predicted.iter().zip(&samples).map(|(a, b)| f64::from(a - b).powi(2));
                squared_error += errors.sum::<f64>();
            } else {
                let scores = predicted.chunks_exact(outputs).zip(labels);
                right += scores
                    .filter(|(scores, label)| largest(scores) == usize::from(**label))
                    .count();
            }
        }
        if self.network().task == Task::Regression {
            return Ok(mean_r2(&all, &self.normalized(&split.values), outputs));
        }
        if self.network().reconstructs() {
            return Ok(-squared_error / split.samples.len().max(1) as f64);
        }
        Ok(right as f64 / split.len().max(1) as f64)
    }

    /// The float network's share of right labels on a split; see [`EpochRecord::accuracy`] for autoencoders.
    ///
    /// # Errors
    /// The tensor library refuses.
    pub fn float_accuracy(&self, trained: &TrainedNetwork, split: &Split) -> Result<f64> {
        let graph = TrainingGraph::new(&trained.network, &trained.parameters, DType::F32)?;
        self.score(&graph, split)
    }
}

/// The random changes of a run's samples.
fn changes(
    augmentation: &Augmentation,
    dataset: &Dataset,
    input: &InputMeaning,
) -> Result<Changes> {
    let channels = dataset.shape.channels;
    let columns = if dataset.columns.len() == channels { &dataset.columns[..] } else { &[] };
    let zero = |channel: usize| {
        // Where the value itself is 0, not the raw number that stands for it.
        let raw = columns.get(channel).map_or(0.0, |column| -column.offset / column.step);
        let Normalization { offset, inverse_scale } = &input.normalization;
        let pick = |list: &[f64]| list.get(channel).or(list.first()).copied().unwrap_or(0.0);
        ((raw - pick(offset)) * pick(inverse_scale)) as f32
    };
    let changes = augmentation.of(dataset.shape, columns, (0..channels).map(zero).collect())?;
    Ok(changes.with_noises(&dataset.background))
}

/// Refuses what has no meaning without classes.
fn check_emphasis(options: &TrainingOptions, task: Task) -> Result<()> {
    let (smoothing, balance) = (options.label_smoothing > 0.0, !options.balance.is_none());
    let option = if smoothing { "--label-smoothing" } else { "--balance" };
    if task == Task::Classification || !(smoothing || balance) {
        return Ok(());
    }
    let problem = format_args!("is for classes, and the task is '{}'", task.option());
    Err(Error::bad_input(option, problem, "leave it out"))
}

/// The samples that a run trains on, taken from its data; the validation split that the options ask for goes into the data set.
fn training_part(dataset: &mut Dataset, options: &TrainingOptions) -> Result<Split> {
    let mut train = dataset.train.drawn(options.limit.unwrap_or(usize::MAX), DRAW_SEED);
    if options.validation > 0.0 {
        if !dataset.validation.is_empty() {
            let problem = "has a validation split of its own";
            return Err(Error::bad_input(&options.data, problem, "leave --validation out"));
        }
        dataset.validation = take_validation(&mut train, options.validation, options.seed);
        if train.is_empty() || dataset.validation.is_empty() {
            let problem = format_args!("leaves {} samples to train", train.len());
            return Err(Error::bad_input("--validation", problem, "give another share"));
        }
    }
    if options.keep == Keep::Best && dataset.validation.is_empty() {
        let problem = "needs a validation split to choose the best epoch on";
        return Err(Error::bad_input("--keep best", problem, "add --validation 0.1"));
    }
    Ok(train)
}

/// Refuses a folder that holds a run.
fn refuse_used(folder: &Path) -> Result<()> {
    if !RunFolder::exists(folder) {
        return Ok(());
    }
    Err(Error::bad_input(
        folder.display(),
        "already holds a run",
        format_args!("go on with `--resume {}` or give another --out", folder.display()),
    ))
}

/// Refuses a network whose output is not what its task compares with the data.
fn check_output(network: &Network, expected: usize, dataset: &Dataset, name: &str) -> Result<()> {
    let found = network.output()?.elements();
    if found == expected {
        return Ok(());
    }
    let advice = match network.task == Task::Classification && found == dataset.shape.elements() {
        true => {
            "end it with a layer of that size, or set task = \"reconstruct\" for an autoencoder"
        }
        false => "end the network with a layer of that size",
    };
    let problem = format_args!("gives {found} values where the data needs {expected}");
    Err(Error::bad_input(name, problem, advice))
}

/// The coefficient of determination of each of `outputs` predicted values, and its mean.
fn mean_r2(predicted: &[f32], values: &[f32], outputs: usize) -> f64 {
    let of = |place: usize| {
        let pick = |all: &[f32]| -> Vec<f64> {
            all.iter().skip(place).step_by(outputs).map(|&value| f64::from(value)).collect()
        };
        r2(&pick(predicted), &pick(values))
    };
    (0..outputs).map(of).sum::<f64>() / outputs.max(1) as f64
}

/// Index of the largest score; the lowest of several.
fn largest(scores: &[f32]) -> usize {
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    best
}
