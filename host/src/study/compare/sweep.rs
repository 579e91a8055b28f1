//! What is compared.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tinyhero_common::bit_width::BitWidth;
use toml::{Table, Value};

use super::{Measures, Part, RUNS_FOLDER, Search, Task};
use crate::artifact;
use crate::data::DataOptions;
use crate::deployment::quantizer::Rounding;
use crate::error::{Error, Result};
use crate::training::{OptimizerKind, TrainingOptions};

/// Settings that a sweep decides itself.
const RESERVED: [&str; 8] =
    ["data", "data-options", "network", "optimizer", "method", "seed", "label-noise", "limit"];

/// All runs of a comparison; the contents of a settings file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sweep {
    /// Name or path of the data.
    pub data: String,
    /// Name or path of the network.
    pub network: String,
    /// Probabilities with which training labels are redrawn.
    pub label_noise: Vec<f64>,
    /// Number of seeds.
    pub seeds: u64,
    /// The first seed; the others follow.
    pub first_seed: u64,
    /// Bit widths.
    pub bits: Vec<u32>,
    /// Whether the deployed integer networks are measured, too.
    pub integer: bool,
    /// How their weights become integers.
    pub rounding: Rounding,
    /// Training samples on which λmax is measured; 0 for not at all.
    pub curvature_samples: usize,
    /// Only so many training samples and test samples, drawn from all classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Name of the optimizer that the others are compared with; the first by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Search the best settings first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// What the user says of the data.
    #[serde(skip_serializing_if = "DataOptions::is_empty")]
    pub data_options: DataOptions,
    /// Training settings of all optimizers, with the names of a run's `configuration.toml`.
    pub common: Table,
    /// The optimizers.
    #[serde(rename = "optimizer")]
    pub entries: Vec<Entry>,
}

/// One optimizer with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entry {
    /// Its name in reports and folders.
    pub name: String,
    /// The method.
    pub kind: OptimizerKind,
    /// Its own training settings; they win over the common ones.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub settings: Table,
    /// Settings for a single label noise; they win over the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_noise: Vec<AtNoise>,
}

/// Settings for a single label noise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct AtNoise {
    /// The label noise.
    pub label_noise: f64,
    /// Training settings.
    pub settings: Table,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// The optimizer's name in the sweep.
    pub name: String,
    /// The complete settings.
    pub options: TrainingOptions,
}

impl Default for Sweep {
    fn default() -> Self {
        Self {
            data: String::new(),
            network: String::new(),
            label_noise: vec![0.0],
            seeds: 3,
            first_seed: 0,
            bits: vec![8, 6, 5, 4, 3, 2],
            integer: true,
            rounding: Rounding::default(),
            curvature_samples: 1_000,
            limit: None,
            baseline: None,
            search: None,
            data_options: DataOptions::default(),
            common: Table::new(),
            entries: Vec::new(),
        }
    }
}

impl Sweep {
    /// Reads a settings file; what it leaves out has its default.
    ///
    /// # Errors
    /// The file cannot be read or holds something unknown.
    pub fn read(path: &Path) -> Result<Self> {
        toml::from_str(&artifact::read_toml(path)?).map_err(|reason| {
            Error::bad_input(path.display(), reason, "correct this line (docs/comparison.md)")
        })
    }

    /// The sweep as a settings file.
    ///
    /// # Errors
    /// A setting that TOML cannot express.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self)
            .map_err(|reason| Error::bad_input("settings", reason, "give other settings"))
    }

    /// Sets `NAME.KEY=VALUE` for one optimizer, `KEY=VALUE` for all.
    ///
    /// # Errors
    /// It is not of this form, or names an optimizer that is not there.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        let place = format!("--set {assignment}");
        let Some((key, value)) = assignment.split_once('=') else {
            let advice = "write NAME.KEY=VALUE or KEY=VALUE, as in hero.rho=0.02";
            return Err(Error::bad_input(place, "has no '='", advice));
        };
        let table = match key.rsplit_once('.') {
            None => &mut self.common,
            Some((name, _)) => {
                let names = self.names();
                match self.entries.iter_mut().find(|entry| entry.name == name) {
                    Some(entry) => &mut entry.settings,
                    None => {
                        let problem = format!("no optimizer is called '{name}'");
                        let advice = format!("use one of {names}");
                        return Err(Error::bad_input(place, problem, advice));
                    }
                }
            }
        };
        let key = key.rsplit('.').next().unwrap_or(key);
        table.insert(full_name(key).to_string(), parse(value));
        Ok(())
    }

    /// The optimizers' names, for messages.
    fn names(&self) -> String {
        self.entries.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The name of the optimizer that the others are compared with.
    pub fn baseline(&self) -> &str {
        let first = self.entries.first().map_or("", |entry| entry.name.as_str());
        self.baseline.as_deref().unwrap_or(first)
    }

    /// The bit widths.
    ///
    /// # Errors
    /// One is not from 2 to 8.
    pub fn bit_widths(&self) -> Result<Vec<BitWidth>> {
        let width = |&bits: &u32| {
            let advice = "give numbers from 2 to 8";
            BitWidth::from_bits(bits).ok_or_else(|| {
                Error::bad_input("--bits", format_args!("{bits} is no width"), advice)
            })
        };
        self.bits.iter().map(width).collect()
    }

    /// What is measured of each run.
    ///
    /// # Errors
    /// A bit width is out of range.
    pub fn measures(&self) -> Result<Measures> {
        self.bit_widths()?;
        Ok(Measures {
            part: Part::Test,
            bits: self.bits.clone(),
            integer: self.integer,
            rounding: self.rounding,
            curvature_samples: self.curvature_samples,
            limit: self.limit,
        })
    }

    /// The seeds.
    pub fn seed_range(&self) -> std::ops::Range<u64> {
        self.first_seed..self.first_seed.saturating_add(self.seeds)
    }

    /// Every run: by seed, then label noise, then optimizer, so that a sweep that is cut short has complete comparisons.
    ///
    /// # Errors
    /// Something is missing, out of range or unknown.
    pub fn runs(&self) -> Result<Vec<PlannedRun>> {
        self.check()?;
        let mut runs = Vec::new();
        for seed in self.seed_range() {
            for &label_noise in &self.label_noise {
                for entry in &self.entries {
                    runs.push(self.run(entry, label_noise, seed)?);
                }
            }
        }
        Ok(runs)
    }

    /// Every run with its folder below `folder`.
    ///
    /// # Errors
    /// Something is missing, out of range or unknown.
    pub fn tasks(&self, folder: &Path) -> Result<Vec<Task>> {
        let measures = self.measures()?;
        let task = |planned: PlannedRun| Task {
            folder: folder.join(RUNS_FOLDER).join(planned.folder()),
            planned,
            measures: measures.clone(),
        };
        Ok(self.runs()?.into_iter().map(task).collect())
    }

    /// One run of the sweep.
    ///
    /// # Errors
    /// A setting is unknown or out of range.
    pub fn run(&self, entry: &Entry, label_noise: f64, seed: u64) -> Result<PlannedRun> {
        let place = format!("settings of '{}'", entry.name);
        let start = TrainingOptions::new(&self.data, &self.network, entry.kind);
        let at_noise = entry.at_noise.iter().filter(|at| at.label_noise == label_noise);
        let layers = [&self.common, &entry.settings].into_iter();
        let mut settings = Table::new();
        for (key, value) in layers.chain(at_noise.map(|at| &at.settings)).flatten() {
            if RESERVED.contains(&key.as_str()) {
                let problem = format_args!("'{key}' is decided by the sweep");
                return Err(Error::bad_input(&place, problem, "leave it out"));
            }
            settings.insert(key.clone(), value.clone());
        }
        let settings = settings.iter().map(|(key, value)| (key.as_str(), value.clone()));
        let mut options = start.with(&place, settings)?;
        options.seed = seed;
        options.label_noise = label_noise;
        options.limit = self.limit;
        options.data_options = self.data_options.clone();
        options.check()?;
        Ok(PlannedRun { name: entry.name.clone(), options })
    }

    fn check(&self) -> Result<()> {
        let require = |holds: bool, option: &str, problem: &str, advice: &str| {
            if holds { Ok(()) } else { Err(Error::bad_input(option, problem, advice)) }
        };
        require(!self.data.is_empty(), "--data", "is missing", "name the data to train on")?;
        require(!self.network.is_empty(), "--network", "is missing", "name the network to train")?;
        let advice = "name at least one, as in --optimizers sgd,hero";
        require(!self.entries.is_empty(), "--optimizers", "is empty", advice)?;
        require(self.seeds > 0, "--seeds", "is 0", "give at least 1")?;
        require(!self.label_noise.is_empty(), "--label-noise", "is empty", "give at least one")?;
        self.bit_widths()?;
        for (index, entry) in self.entries.iter().enumerate() {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if entry.name.is_empty() || !entry.name.chars().all(plain) {
                let advice = "use letters, digits, '-' and '_'";
                return Err(Error::bad_input(
                    "--optimizers",
                    format_args!("'{}' is no name", entry.name),
                    advice,
                ));
            }
            if self.entries[..index].iter().any(|other| other.name == entry.name) {
                let problem = format!("'{}' is there twice", entry.name);
                return Err(Error::bad_input(
                    "--optimizers",
                    problem,
                    "write NAME:KIND for a second one",
                ));
            }
        }
        let baseline = self.baseline();
        if !self.entries.iter().any(|entry| entry.name == baseline) {
            let problem = format!("no optimizer is called '{baseline}'");
            let advice = format!("use one of {}", self.names());
            return Err(Error::bad_input("--baseline", problem, advice));
        }
        Ok(())
    }
}

impl Entry {
    /// `NAME`, which is a method's name, or `NAME:KIND`.
    ///
    /// # Errors
    /// The method is unknown.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, kind) = text.split_once(':').unwrap_or((text, text));
        let kind = <OptimizerKind as clap::ValueEnum>::from_str(kind, false).map_err(|_| {
            let kinds: Vec<&str> = <OptimizerKind as clap::ValueEnum>::value_variants()
                .iter()
                .map(|kind| kind.name())
                .collect();
            let problem = format!("'{kind}' is no optimizer");
            let advice = format!("use NAME or NAME:KIND with one of {}", kinds.join(", "));
            Error::bad_input("--optimizers", problem, advice)
        })?;
        Ok(Self { name: name.to_string(), kind, settings: Table::new(), at_noise: Vec::new() })
    }
}

impl PlannedRun {
    /// Its folder below the folder of all runs.
    pub fn folder(&self) -> PathBuf {
        let noise = format!("noise-{}", self.options.label_noise);
        [self.name.clone(), noise, format!("seed-{}", self.options.seed)].iter().collect()
    }
}

/// Names of settings that are shorter on the command line.
fn full_name(key: &str) -> &str {
    match key {
        "lr" => "learning-rate",
        "augment" => "augmentation",
        other => other,
    }
}

/// A TOML value; what is none is a text.
fn parse(text: &str) -> Value {
    let document: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    let value = document.and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_string()))
}
