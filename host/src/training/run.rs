//! One training run and its directory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::DType;

use super::batch::{Batches, add_label_noise, normalize, take_validation};
use super::log::{self, EpochRecord};
use super::options::{Keep, TrainingOptions};
use crate::artifact;
use crate::data::{Dataset, Normalization, Split};
use crate::error::{Error, Result};
use crate::graph::network::Network;
use crate::graph::trained_network::{DataReference, NodeParameters, TrainedNetwork};
use crate::training::checkpoint::{Checkpoint, Position};
use crate::training::engine::TrainingGraph;
use crate::training::optimizer::{Momentum, Progress, StepOutcome, check_second_order};

const CONFIGURATION: &str = "configuration.toml";
const NETWORK: &str = "network.toml";
const CHECKPOINT: &str = "checkpoint.safetensors";
const BEST: &str = "best.safetensors";
const LOG: &str = "log.jsonl";

/// Longest time without a checkpoint.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(60);

/// Test samples that an epoch's accuracy is measured on where there is no validation split.
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

/// A training run with its data and its directory.
#[derive(Debug)]
pub struct Run {
    folder: PathBuf,
    options: TrainingOptions,
    dataset: Dataset,
    train: Split,
    normalization: Normalization,
    network: Network,
}

impl Run {
    /// Begins a run in `folder`, which must not hold one already.
    ///
    /// # Errors
    /// Options out of range, data or network that cannot be opened, a folder in use.
    pub fn create(folder: &Path, options: TrainingOptions) -> Result<Self> {
        options.check()?;
        if Self::exists(folder) {
            return Err(Error::bad_input(
                folder.display(),
                "already holds a run",
                format_args!("go on with `--resume {}` or give another --out", folder.display()),
            ));
        }
        let run = Self::open(folder, options, None)?;
        let configuration = toml::to_string(&run.options).map_err(|reason| {
            Error::check_failed(folder.display(), reason, "please report this")
        })?;
        artifact::create_folder(folder)?;
        artifact::write_atomically(&folder.join(NETWORK), run.network.to_toml().as_bytes())?;
        artifact::write_atomically(&folder.join(CONFIGURATION), configuration.as_bytes())?;
        Ok(run)
    }

    /// Whether `folder` holds a run, finished or not.
    pub fn exists(folder: &Path) -> bool {
        folder.join(CONFIGURATION).exists()
    }

    /// The options of the run in `folder`.
    ///
    /// # Errors
    /// There is none, or they are not what this program writes.
    pub fn stored_options(folder: &Path) -> Result<TrainingOptions> {
        let path = folder.join(CONFIGURATION);
        if !path.exists() {
            let problem = "holds no training run (no configuration.toml)";
            let advice = "give the --out folder of `tinyhero train`";
            return Err(Error::bad_input(folder.display(), problem, advice));
        }
        let options: TrainingOptions = toml::from_str(&artifact::read_toml(&path)?)
            .map_err(|reason| Error::bad_input(path.display(), reason, "correct this line"))?;
        options.check()?;
        Ok(options)
    }

    /// Opens the run in `folder`.
    ///
    /// # Errors
    /// There is none, or its data cannot be opened any more.
    pub fn resume(folder: &Path) -> Result<Self> {
        let options = Self::stored_options(folder)?;
        let network = artifact::read_toml(&folder.join(NETWORK))?;
        Self::open(folder, options, Some(&network))
    }

    fn open(folder: &Path, options: TrainingOptions, network: Option<&str>) -> Result<Self> {
        let mut dataset = Dataset::open_with_seed(&options.data, options.seed)?;
        let mut train = dataset.train.limited(options.limit.unwrap_or(usize::MAX));
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
        let normalization = Normalization::measure(&train, dataset.shape.channels, options.scaling);
        add_label_noise(&mut train, dataset.classes(), options.label_noise, options.seed);
        let network = match network {
            Some(text) => {
                let place = folder.join(NETWORK).display().to_string();
                Network::from_toml(text, &place, dataset.shape, dataset.classes())?
            }
            None => Network::open(&options.network, dataset.shape, dataset.classes())?,
        };
        let output = network.output()?;
        let expected =
            if network.is_autoencoder() { dataset.shape.elements() } else { dataset.classes() };
        if output.elements() != expected {
            return Err(Error::bad_input(
                &options.network,
                format_args!("gives {} values where the data needs {expected}", output.elements()),
                "end the network with a layer of that size",
            ));
        }
        Ok(Self { folder: folder.to_path_buf(), options, dataset, train, normalization, network })
    }

    /// The options that the run was begun with.
    pub const fn options(&self) -> &TrainingOptions {
        &self.options
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
        self.train.len().div_ceil(self.options.batch)
    }

    /// The epochs so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn records(&self) -> Result<Vec<EpochRecord>> {
        log::read(&self.folder.join(LOG))
    }

    /// Trains until all epochs are done or `interrupted` is set, from the last checkpoint if there is one.
    ///
    /// # Errors
    /// Files cannot be written; or the loss stays not finite, with advice.
    pub fn train(&self, interrupted: &AtomicBool, observer: &mut dyn Observer) -> Result<Outcome> {
        let method = self.options.method();
        if method.needs_second_order() {
            check_second_order()?;
        }
        let mut momentum = Momentum::new(self.options.momentum_parameters());
        let checkpoint_path = self.folder.join(CHECKPOINT);
        let (parameters, mut position) = if checkpoint_path.exists() {
            let checkpoint = Checkpoint::read(&checkpoint_path, &self.network)?;
            momentum.restore(checkpoint.momentum);
            (checkpoint.parameters, checkpoint.position)
        } else {
            let parameters = NodeParameters::initial(
                &self.network,
                self.options.initialization,
                self.options.seed,
            )?;
            (parameters, Position::default())
        };
        let mut graph = TrainingGraph::new(&self.network, &parameters, DType::F32)?;
        graph.statistics_passes = self.options.statistics;
        let mut records = self.records()?;
        records.truncate(position.epoch);
        let mut skipped_in_a_row = 0;
        let mut saved = Instant::now();

        while position.epoch < self.options.epochs {
            let started = Instant::now();
            let epoch = position.epoch;
            let factor = self.options.schedule.factor(epoch, self.options.epochs);
            let learning_rate = self.options.learning_rate * factor;
            let mut batches = Batches::new(
                &self.train,
                self.dataset.shape,
                &self.normalization,
                self.options.augmentation,
                self.options.batch,
                self.options.seed,
                epoch,
            );
            let steps = batches.count();
            let mut index = 0;
            while let Some((samples, labels)) = batches.next() {
                index += 1;
                // Drawing the batches that are already done leaves the generators where they were.
                if index <= position.step {
                    continue;
                }
                if interrupted.load(Ordering::Relaxed) {
                    self.save(CHECKPOINT, &graph, &momentum, position)?;
                    self.plot(&records)?;
                    return Ok(Outcome::Interrupted);
                }
                graph.set_batch(&samples, &labels)?;
                let progress = Progress { epoch };
                match momentum.step(method.as_ref(), &mut graph, progress, learning_rate)? {
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
                                self.folder.display(),
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
                    self.save(CHECKPOINT, &graph, &momentum, position)?;
                    saved = Instant::now();
                }
            }
            let taken = (steps - position.skipped.min(steps)).max(1);
            let record = EpochRecord {
                epoch: epoch + 1,
                loss: f64::from_bits(position.loss_bits) / taken as f64,
                accuracy: self.monitor(&graph)?,
                learning_rate,
                skipped: position.skipped,
                seconds: started.elapsed().as_secs_f64(),
            };
            position = Position { epoch: epoch + 1, ..Position::default() };
            observer.epoch(&record, self.options.epochs);
            let best = best_epoch(&records).map(|best| best.accuracy);
            let improves = best.is_none_or(|best| record.accuracy > best);
            records.push(record);
            if self.options.keep == Keep::Best && improves {
                self.save(BEST, &graph, &momentum, position)?;
            }
            // The log first: what it holds beyond the checkpoint is cut off when the run is resumed.
            log::write(&self.folder.join(LOG), &records)?;
            self.save(CHECKPOINT, &graph, &momentum, position)?;
            saved = Instant::now();
        }
        self.plot(&records)?;
        Ok(Outcome::Finished)
    }

    fn plot(&self, records: &[EpochRecord]) -> Result<()> {
        let title = format!("{}, {}", self.network.name, self.options.optimizer.name());
        log::plot(&self.folder, &title, records)
    }

    fn save(
        &self,
        file: &str,
        graph: &TrainingGraph,
        momentum: &Momentum,
        position: Position,
    ) -> Result<()> {
        let parameters = graph.node_parameters()?;
        let checkpoint = Checkpoint { position, parameters, momentum: momentum.buffers().to_vec() };
        checkpoint.write(&self.folder.join(file), &self.network)
    }

    fn monitor(&self, graph: &TrainingGraph) -> Result<f64> {
        if self.dataset.validation.is_empty() {
            self.score(graph, &self.dataset.test.limited(MONITORED_SAMPLES))
        } else {
            self.score(graph, &self.dataset.validation)
        }
    }

    /// Share of right labels, or the negated mean squared error of an autoencoder.
    fn score(&self, graph: &TrainingGraph, split: &Split) -> Result<f64> {
        let elements = self.dataset.shape.elements();
        let outputs = self.network.output()?.elements();
        let mut right = 0usize;
        let mut squared_error = 0.0;
        let batches = split.samples.chunks(EVALUATION_BATCH * elements);
        for (raw, labels) in batches.zip(split.labels.chunks(EVALUATION_BATCH)) {
            let mut samples = Vec::with_capacity(raw.len());
            normalize(raw, &self.normalization, &mut samples);
            let predicted = graph.predict(&samples)?;
            if self.network.is_autoencoder() {
                let errors = predicted.iter().zip(&samples).map(|(a, b)| f64::from(a - b).powi(2));
                squared_error += errors.sum::<f64>();
            } else {
                let scores = predicted.chunks_exact(outputs).zip(labels);
                right += scores
                    .filter(|(scores, label)| largest(scores) == usize::from(**label))
                    .count();
            }
        }
        if self.network.is_autoencoder() {
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

    /// Whether all epochs are done.
    ///
    /// # Errors
    /// The checkpoint cannot be read.
    pub fn is_finished(&self) -> Result<bool> {
        let path = self.folder.join(CHECKPOINT);
        Ok(path.exists()
            && Checkpoint::read(&path, &self.network)?.position.epoch >= self.options.epochs)
    }

    /// The epoch whose network the run gives, 1 for the first; `None` before one is completed.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn kept_epoch(&self) -> Result<Option<usize>> {
        let records = self.records()?;
        let kept = match self.options.keep {
            Keep::Last => records.last(),
            Keep::Best => best_epoch(&records),
        };
        Ok(kept.map(|record| record.epoch))
    }

    /// The network as of the last checkpoint, or of the best epoch so far where that is to be kept.
    ///
    /// # Errors
    /// There is no checkpoint yet.
    pub fn trained(&self) -> Result<TrainedNetwork> {
        let path = self.folder.join(match self.options.keep {
            Keep::Last => CHECKPOINT,
            Keep::Best => BEST,
        });
        if !path.exists() {
            return Err(Error::bad_input(
                self.folder.display(),
                "has no checkpoint yet",
                format_args!("go on with `tinyhero train --resume {}`", self.folder.display()),
            ));
        }
        let checkpoint = Checkpoint::read(&path, &self.network)?;
        Ok(TrainedNetwork {
            network: self.network.clone(),
            parameters: checkpoint.parameters,
            normalization: self.normalization.clone(),
            class_names: self.dataset.class_names.clone(),
            data: DataReference {
                name: self.options.data.clone(),
                split_seed: self.options.seed,
                sample_type: self.dataset.sample_type,
                columns: self.dataset.columns.clone(),
            },
        })
    }
}

/// The epoch with the highest accuracy, the first of several.
fn best_epoch(records: &[EpochRecord]) -> Option<&EpochRecord> {
    let mut found: Option<&EpochRecord> = None;
    for record in records {
        if found.is_none_or(|best| record.accuracy > best.accuracy) {
            found = Some(record);
        }
    }
    found
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
