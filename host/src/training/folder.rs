//! The folder of a run: everything that a later command needs, without the data.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::calibration;
use super::checkpoint::{Checkpoint, Position};
use super::in_loop::snap;
use super::log::{self, EpochRecord};
use super::options::{Keep, TrainingOptions};
use crate::artifact;
use crate::data::{Convention, SampleShape, Split};
use crate::error::{Error, Result};
use crate::graph::input::InputMeaning;
use crate::graph::network::Network;
use crate::graph::provenance::Provenance;
use crate::graph::trained_network::TrainedNetwork;
use crate::training::optimizer::{OptimizerKind, StepState};

/// All options; it is written last, so that a folder with it is complete.
const CONFIGURATION: &str = "configuration.toml";
/// The layers.
const NETWORK: &str = "network.toml";
/// What raw samples and answers mean.
const INPUT: &str = "input.toml";
/// The data: where it was, its digest, its split.
const PROVENANCE: &str = "provenance.toml";
/// Training samples from all classes, for the quantizer.
const CALIBRATION: &str = "calibration.safetensors";
/// Validation samples of a reconstruction, for its threshold.
const HELD_OUT: &str = "held-out.safetensors";
/// Weights and the optimizer's state.
const CHECKPOINT: &str = "checkpoint.safetensors";
/// The same as of the best epoch.
const BEST: &str = "best.safetensors";
const LOG: &str = "log.jsonl";

/// A run as its folder has it.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    options: TrainingOptions,
    network: Network,
    input: InputMeaning,
    provenance: Provenance,
}

impl RunFolder {
    /// Whether `path` holds a run, finished or not.
    pub fn exists(path: &Path) -> bool {
        path.join(CONFIGURATION).exists()
    }

    /// Begins a run in the folder `path`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn create(
        path: &Path,
        options: TrainingOptions,
        network: Network,
        input: InputMeaning,
        provenance: Provenance,
        calibration: &Split,
        held_out: Option<&Split>,
    ) -> Result<Self> {
        artifact::create_folder(path)?;
        artifact::write_atomically(&path.join(NETWORK), network.to_toml().as_bytes())?;
        write_toml(&path.join(INPUT), &input)?;
        write_toml(&path.join(PROVENANCE), &provenance)?;
        calibration::write(&path.join(CALIBRATION), calibration, network.sample_shape())?;
        if let Some(held_out) = held_out {
            calibration::write(&path.join(HELD_OUT), held_out, network.sample_shape())?;
        }
        write_toml(&path.join(CONFIGURATION), &options)?;
        Ok(Self { path: path.to_path_buf(), options, network, input, provenance })
    }

    /// Writes a network that was trained elsewhere as a run that is finished. `data` is the name of what it was calibrated on.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn import(
        path: &Path,
        data: &str,
        trained: &TrainedNetwork,
        calibration: &Split,
    ) -> Result<Self> {
        let mut options = TrainingOptions::new(data, &trained.network.name, OptimizerKind::Sgd);
        options.epochs = 1;
        artifact::create_folder(path)?;
        let checkpoint = Checkpoint {
            position: Position { epoch: options.epochs, ..Position::default() },
            parameters: trained.parameters.clone(),
            step: StepState { buffers: Vec::new(), taken: 0 },
            grid_steps: Vec::new(),
        };
        checkpoint.write(&path.join(CHECKPOINT), &trained.network)?;
        Self::create(
            path,
            options,
            trained.network.clone(),
            trained.input.clone(),
            trained.provenance.clone().unwrap_or_else(|| Provenance::imported("", None)),
            calibration,
            None,
        )
    }

    /// Opens the run in the folder `path`. The data is not needed.
    ///
    /// # Errors
    /// There is none, or it was made by a version that kept less.
    pub fn open(path: &Path) -> Result<Self> {
        for file in [NETWORK, INPUT, PROVENANCE, CALIBRATION] {
            if Self::exists(path) && !path.join(file).exists() {
                return Err(Error::bad_input(
                    path.display(),
                    format_args!("holds a run of an earlier version, without {file}"),
                    "train again with another --out",
                ));
            }
        }
        let options = Self::stored_options(path)?;
        let input: InputMeaning = read_toml(&path.join(INPUT), artifact::read_text)?;
        let provenance = read_toml(&path.join(PROVENANCE), artifact::read_toml)?;
        let place = path.join(NETWORK);
        let text = artifact::read_toml(&place)?;
        let network = Network::stored(&text, &place.display().to_string())?;
        let shapes: Vec<SampleShape> = network.inputs.iter().map(|input| input.shape).collect();
        if !input.belongs_to(&shapes) {
            return Err(Error::bad_input(
                path.join(INPUT).display(),
                format_args!("does not belong to samples of {}", network.sample_shape()),
                "train again with another --out",
            ));
        }
        Ok(Self { path: path.to_path_buf(), options, network, input, provenance })
    }

    /// The options of the run in the folder `path`.
    ///
    /// # Errors
    /// There is none, or they are not what this program writes.
    pub fn stored_options(path: &Path) -> Result<TrainingOptions> {
        let configuration = path.join(CONFIGURATION);
        if !configuration.exists() {
            let problem = "holds no training run (no configuration.toml)";
            let advice = "give the --out folder of `tinyhero train`";
            return Err(Error::bad_input(path.display(), problem, advice));
        }
        let options: TrainingOptions = read_toml(&configuration, artifact::read_toml)?;
        options.check()?;
        Ok(options)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The options that the run was begun with.
    pub const fn options(&self) -> &TrainingOptions {
        &self.options
    }

    /// What is trained.
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// What raw samples and answers mean.
    pub const fn input(&self) -> &InputMeaning {
        &self.input
    }

    /// The data that it is trained on.
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// How other data is converted for this network.
    pub fn convention(&self) -> Convention {
        self.input.convention(self.network.sample_shape(), self.network.task)
    }

    /// The training samples that the quantizer learns ranges from: at most [`CALIBRATION_SAMPLES`](calibration::CALIBRATION_SAMPLES),
    /// drawn from all classes when the run was begun.
    ///
    /// # Errors
    /// The file cannot be read or belongs to another network.
    pub fn calibration(&self) -> Result<Split> {
        calibration::read(&self.path.join(CALIBRATION), self.network.sample_shape())
    }

    /// Samples that were held out for validation, from which a reconstruction's threshold follows; `None` where there were none.
    ///
    /// # Errors
    /// The file cannot be read or belongs to another network.
    pub fn held_out(&self) -> Result<Option<Split>> {
        let path = self.path.join(HELD_OUT);
        path.exists().then(|| calibration::read(&path, self.network.sample_shape())).transpose()
    }

    /// The epochs so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn records(&self) -> Result<Vec<EpochRecord>> {
        log::read(&self.path.join(LOG))
    }

    pub(super) fn write_records(&self, records: &[EpochRecord]) -> Result<()> {
        log::write(&self.path.join(LOG), records)
    }

    /// The last checkpoint, if there is one.
    pub(super) fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let path = self.path.join(CHECKPOINT);
        match path.exists() {
            true => self.read_checkpoint(&path).map(Some),
            false => Ok(None),
        }
    }

    fn read_checkpoint(&self, path: &Path) -> Result<Checkpoint> {
        Checkpoint::read(path, &self.network, self.options.step.rule().buffer_names())
    }

    pub(super) fn write_checkpoint(&self, keep: Keep, checkpoint: &Checkpoint) -> Result<()> {
        checkpoint.write(&self.path.join(file_of(keep)), &self.network)
    }

    /// Whether all epochs are done.
    ///
    /// # Errors
    /// The checkpoint cannot be read.
    pub fn is_finished(&self) -> Result<bool> {
        let done = |position: Position| position.epoch >= self.options.epochs;
        Ok(self.checkpoint()?.is_some_and(|checkpoint| done(checkpoint.position)))
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
        let path = self.path.join(file_of(self.options.keep));
        if !path.exists() {
            return Err(Error::bad_input(
                self.path.display(),
                "has no checkpoint yet",
                format_args!("go on with `tinyhero train --resume {}`", self.path.display()),
            ));
        }
        let Checkpoint { parameters, grid_steps, .. } = self.read_checkpoint(&path)?;
        let (parameters, grids) = match &self.options.quantizer {
            Some(options) => snap(&self.network, parameters, &grid_steps, options)?,
            None => (parameters, Vec::new()),
        };
        Ok(TrainedNetwork {
            network: self.network.clone(),
            parameters,
            grids,
            input: self.input.clone(),
            provenance: Some(self.provenance.clone()),
        })
    }
}

const fn file_of(keep: Keep) -> &'static str {
    match keep {
        Keep::Last => CHECKPOINT,
        Keep::Best => BEST,
    }
}

fn write_toml(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = toml::to_string(value)
        .map_err(|reason| Error::check_failed(path.display(), reason, "please report this"))?;
    artifact::write_atomically(path, text.as_bytes())
}

fn read_toml<T: DeserializeOwned>(path: &Path, read: fn(&Path) -> Result<String>) -> Result<T> {
    toml::from_str(&read(path)?)
        .map_err(|reason| Error::bad_input(path.display(), reason, "correct this line"))
}

/// The epoch with the highest accuracy, the first of several.
pub(super) fn best_epoch(records: &[EpochRecord]) -> Option<&EpochRecord> {
    let mut found: Option<&EpochRecord> = None;
    for record in records {
        if found.is_none_or(|best| record.accuracy > best.accuracy) {
            found = Some(record);
        }
    }
    found
}
