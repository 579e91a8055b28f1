//! The same search for every optimizer: as many settings tried for each, on the same seeds, judged on validation samples alone.

use std::path::Path;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::report::save_csv;
use super::{
    AtNoise, Entry, Measures, Metric, Part, PlannedRun, RunResult, SEARCH_FOLDER, Sweep, Task,
};
use crate::deployment::quantizer::Rounding;
use crate::error::{Error, Result};
use crate::random::{self, ChaCha8Rng, Purpose};
use crate::statistics::Summary;
use crate::training::TrainingOptions;
use crate::training::optimizer::{Direction, Method, Reduction};

/// Seeds of a search begin so far after those of the comparison, so that nothing is chosen on a seed that is reported.
const SEED_DISTANCE: u64 = 1_000_000;
/// Learning rates that are tried, evenly on a logarithmic scale.
const LEARNING_RATES: (f64, f64) = (0.01, 0.5);
/// Weight decays that are tried, likewise.
const WEIGHT_DECAYS: (f64, f64) = (1e-4, 3e-2);

/// How settings are searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Search {
    /// Settings tried for each optimizer at each label noise; the first are those of the sweep.
    pub trials: usize,
    /// Seeds that each is tried with.
    pub seeds: u64,
    /// Names of the accuracies whose mean is made large.
    pub judges: Vec<String>,
}

/// One setting that was tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The optimizer's name in the sweep.
    pub optimizer: String,
    /// Label noise.
    pub label_noise: f64,
    /// 0 for the sweep's own settings.
    pub index: usize,
    /// What was tried.
    pub settings: Table,
    /// Mean of the judges over the seeds, in 0..1; a run that diverged counts as 0.
    pub score: Summary,
}

/// What a search came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The sweep with the best settings of each optimizer at each label noise.
    pub sweep: Sweep,
    /// All trials, as they were tried.
    pub trials: Vec<Trial>,
}

impl Search {
    /// The judges.
    ///
    /// # Errors
    /// One is unknown, or cannot be measured during a search.
    pub fn metrics(&self) -> Result<Vec<Metric>> {
        let metrics =
            self.judges.iter().map(|judge| judge.parse()).collect::<Result<Vec<Metric>>>()?;
        let simple = |metric: &Metric| {
            matches!(metric, Metric::Float | Metric::PerTensor(_) | Metric::PerChannel(_))
        };
        if metrics.is_empty() || !metrics.iter().all(simple) {
            let advice = "use float, pt2 to pt8 (per tensor) or pc2 to pc8 (per channel)";
            return Err(Error::bad_input(
                "--judge",
                "names nothing that a search measures",
                advice,
            ));
        }
        Ok(metrics)
    }

    /// All runs of the search, below `folder`.
    ///
    /// # Errors
    /// Settings are unknown or out of range.
    pub fn tasks(&self, sweep: &Sweep, folder: &Path) -> Result<Vec<Task>> {
        let measures = self.measures(sweep)?;
        let mut tasks = Vec::new();
        self.visit(sweep, |_, _, runs| {
            for planned in runs {
                let folder = folder.join(SEARCH_FOLDER).join(planned.folder());
                tasks.push(Task { folder, planned, measures: measures.clone() });
            }
            Ok(())
        })?;
        Ok(tasks)
    }

    fn measures(&self, sweep: &Sweep) -> Result<Measures> {
        let mut bits: Vec<u32> = Vec::new();
        for metric in self.metrics()? {
            if let Metric::PerTensor(width) | Metric::PerChannel(width) = metric
                && !bits.contains(&width)
            {
                bits.push(width);
            }
        }
        Ok(Measures {
            part: Part::Validation,
            bits,
            integer: false,
            rounding: Rounding::Nearest,
            curvature_samples: 0,
            limit: sweep.limit,
        })
    }

    /// The best settings, once all runs of [`Search::tasks`] are done.
    ///
    /// # Errors
    /// A result is missing or cannot be read.
    pub fn best(&self, sweep: &Sweep, folder: &Path) -> Result<Found> {
        let metrics = self.metrics()?;
        let measures = self.measures(sweep)?;
        let mut trials: Vec<Trial> = Vec::new();
        self.visit(sweep, |entry, (index, settings), runs| {
            let mut scores = Vec::with_capacity(runs.len());
            for planned in &runs {
                let place = folder.join(SEARCH_FOLDER).join(planned.folder());
                let result = RunResult::read(&place)?
                    .filter(|result| result.answers(planned, &measures))
                    .ok_or_else(|| {
                        Error::bad_input(place.display(), "has no result", "search again")
                    })?;
                let values = metrics.iter().map(|metric| metric.of(&result).unwrap_or(0.0));
                scores.push(values.sum::<f64>() / metrics.len() as f64);
            }
            let label_noise = runs.first().map_or(0.0, |run| run.options.label_noise);
            if let Some(score) = Summary::of(&scores) {
                let optimizer = entry.name.clone();
                trials.push(Trial { optimizer, label_noise, index, settings, score });
            }
            Ok(())
        })?;
        let mut sweep = sweep.clone();
        for entry in &mut sweep.entries {
            let mut chosen: Vec<&Trial> = Vec::new();
            for trial in trials.iter().filter(|trial| trial.optimizer == entry.name) {
                match chosen.iter_mut().find(|best| best.label_noise == trial.label_noise) {
                    Some(best) if trial.score.mean > best.score.mean => *best = trial,
                    Some(_) => {}
                    None => chosen.push(trial),
                }
            }
            for best in chosen.into_iter().filter(|best| !best.settings.is_empty()) {
                let at = entry.at_noise.iter_mut().find(|at| at.label_noise == best.label_noise);
                match at {
                    Some(at) => at.settings.extend(best.settings.clone()),
                    None => entry.at_noise.push(AtNoise {
                        label_noise: best.label_noise,
                        settings: best.settings.clone(),
                    }),
                }
            }
        }
        Ok(Found { sweep, trials })
    }

    /// Calls `visit` for each setting with its number and its runs, in a fixed order.
    fn visit(
        &self,
        sweep: &Sweep,
        mut visit: impl FnMut(&Entry, (usize, Table), Vec<PlannedRun>) -> Result<()>,
    ) -> Result<()> {
        sweep.runs()?;
        let first = sweep.first_seed.wrapping_add(SEED_DISTANCE);
        for &label_noise in &sweep.label_noise {
            for entry in &sweep.entries {
                let start = sweep.run(entry, label_noise, first)?.options;
                for trial in 0..self.trials {
                    let settings =
                        if trial == 0 { Table::new() } else { draw(&start, trial as u64) };
                    let mut tried = entry.clone();
                    tried.name = format!("{}-trial-{trial}", entry.name);
                    tried.at_noise.push(AtNoise { label_noise, settings: settings.clone() });
                    let runs = (first..first.saturating_add(self.seeds))
                        .map(|seed| sweep.run(&tried, label_noise, seed))
                        .collect::<Result<Vec<_>>>()?;
                    visit(entry, (trial, settings), runs)?;
                }
            }
        }
        Ok(())
    }
}

/// Settings number `trial`. Learning rate and weight decay are drawn first, so that all optimizers try the same ones.
fn draw(start: &TrainingOptions, trial: u64) -> Table {
    let mut generator = random::generator(0, Purpose::Search, trial);
    let mut settings = Table::new();
    let mut insert = |key: &str, (low, high): (f64, f64)| {
        let value = logarithmic(low, high, &mut generator);
        settings.insert(key.to_string(), Value::Float(value));
    };
    insert("learning-rate", LEARNING_RATES);
    insert("weight-decay", WEIGHT_DECAYS);
    for (key, range) in ranges(start) {
        insert(key, range);
    }
    settings
}

/// Ranges of a method's own parameters, around what its authors and our own runs found useful.
fn ranges(start: &TrainingOptions) -> Vec<(&'static str, (f64, f64))> {
    let element_wise = (0.1, 3.0);
    match start.method {
        Method::Sgd(_) => vec![],
        Method::Sam(_) => vec![("rho", (0.01, 1.0))],
        Method::Asam(_) => vec![("rho", element_wise)],
        Method::GradL1(_) => vec![("lambda", (1e-4, 1e-1))],
        Method::Hero(hero) | Method::HeroFd(hero) => {
            let rho = match hero.direction {
                Direction::ElementWise => element_wise,
                Direction::LayerWise => (0.005, 0.2),
            };
            let lambda = match hero.reduction {
                Reduction::Mean => (0.5, 500.0),
                Reduction::Sum => (0.01, 3.0),
            };
            vec![("rho", rho), ("lambda", lambda)]
        }
    }
}

/// A number between the two, evenly on a logarithmic scale, with three significant digits so that it can be typed again.
fn logarithmic(low: f64, high: f64, generator: &mut ChaCha8Rng) -> f64 {
    let value = low * (high / low).powf(random::unit(generator));
    format!("{value:.2e}").parse().unwrap_or(value)
}

impl Found {
    /// Writes all trials as CSV.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let heading = ["optimizer", "label_noise", "trial", "settings", "seeds", "score", "sd"];
        let mut lines = vec![heading.map(str::to_string).to_vec()];
        for trial in &self.trials {
            lines.push(vec![
                trial.optimizer.clone(),
                trial.label_noise.to_string(),
                trial.index.to_string(),
                described(&trial.settings),
                trial.score.count.to_string(),
                trial.score.mean.to_string(),
                trial.score.sd.to_string(),
            ]);
        }
        save_csv(path, &lines)
    }
}

/// Settings on one line.
pub(super) fn described(settings: &Table) -> String {
    let pairs = settings.iter().map(|(key, value)| format!("{key} = {value}"));
    pairs.collect::<Vec<_>>().join(", ")
}
