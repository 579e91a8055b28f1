//! What the runs of a sweep say: rows, paired differences, and both as CSV, Markdown and JSON.

use std::path::Path;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::metric::WAYS;
use super::{Metric, RunResult, Sweep};
use crate::artifact;
use crate::error::{Error, Result};
use crate::report::table::Table;
use crate::statistics::{PairedDifference, Summary};

/// One optimizer at one label noise.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The optimizer's name in the sweep.
    pub optimizer: String,
    /// Label noise.
    pub label_noise: f64,
    /// Runs that were measured.
    pub runs: usize,
    /// Runs whose training diverged; they are in no mean.
    pub diverged: usize,
    /// What was measured.
    pub metrics: Vec<(Metric, Summary)>,
}

/// How an optimizer differs from the baseline at one label noise, seed by seed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The optimizer's name in the sweep.
    pub optimizer: String,
    /// The name of the one that it is compared with.
    pub baseline: String,
    /// Label noise.
    pub label_noise: f64,
    /// What is compared.
    pub metric: Metric,
    /// The optimizer's value less the baseline's.
    #[serde(flatten)]
    pub difference: PairedDifference,
}

/// A sweep's results, put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The bit widths.
    pub bits: Vec<u32>,
    /// By label noise, then optimizer, as the sweep lists them.
    pub rows: Vec<Row>,
    /// By label noise, optimizer, metric.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Of the results that are there.
    pub fn new(sweep: &Sweep, results: &[RunResult]) -> Self {
        let metrics = Metric::all(&sweep.bits);
        let mut rows = Vec::new();
        let mut differences = Vec::new();
        for &label_noise in &sweep.label_noise {
            let of = |name: &str| -> Vec<&RunResult> {
                let these = results.iter().filter(|result| {
                    result.name == name && result.options.label_noise == label_noise
                });
                these.collect()
            };
            let baseline = of(sweep.baseline());
            for entry in &sweep.entries {
                let results = of(&entry.name);
                let summary = |&metric: &Metric| {
                    let values: Vec<f64> =
                        results.iter().filter_map(|result| metric.of(result)).collect();
                    Some((metric, Summary::of(&values)?))
                };
                rows.push(Row {
                    optimizer: entry.name.clone(),
                    label_noise,
                    runs: results.len(),
                    diverged: results.iter().filter(|result| result.diverged.is_some()).count(),
                    metrics: metrics.iter().filter_map(summary).collect(),
                });
                if entry.name == sweep.baseline() {
                    continue;
                }
                for &metric in &metrics {
                    let pair = |result: &&RunResult| {
                        let seed = result.options.seed;
                        let other = baseline.iter().find(|other| other.options.seed == seed)?;
                        Some((metric.of(result)?, metric.of(other)?))
                    };
                    let pairs: Vec<(f64, f64)> = results.iter().filter_map(pair).collect();
                    let found = PairedDifference::of(&pairs).map(|difference| Difference {
                        optimizer: entry.name.clone(),
                        baseline: sweep.baseline().to_string(),
                        label_noise,
                        metric,
                        difference,
                    });
                    differences.extend(found);
                }
            }
        }
        Self { bits: sweep.bits.clone(), rows, differences }
    }

    /// A paired difference, where there is one.
    pub fn difference(
        &self,
        optimizer: &str,
        label_noise: f64,
        metric: Metric,
    ) -> Option<&Difference> {
        self.differences.iter().find(|difference| {
            difference.optimizer == optimizer
                && difference.label_noise == label_noise
                && difference.metric == metric
        })
    }

    /// The tables as Markdown: for each label noise one for each way of quantizing.
    pub fn markdown(&self) -> String {
        let mut noises: Vec<f64> = Vec::new();
        for row in &self.rows {
            if !noises.contains(&row.label_noise) {
                noises.push(row.label_noise);
            }
        }
        let mut text = String::new();
        for noise in noises {
            for way in WAYS {
                let columns: Vec<Metric> = [Metric::Float]
                    .into_iter()
                    .chain(self.bits.iter().map(|&bits| (way.metric)(bits)))
                    .chain([Metric::LambdaMax])
                    .filter(|metric| self.is_measured(*metric, noise))
                    .collect();
                if columns.iter().any(|column| *column == (way.metric)(self.bits[0])) {
                    text += &format!("Label noise {} %, {}:\n\n", 100.0 * noise, way.title);
                    text += &format!("{}\n", self.table(noise, &columns));
                }
            }
        }
        text
    }

    fn is_measured(&self, metric: Metric, noise: f64) -> bool {
        let mut rows = self.rows.iter().filter(|row| row.label_noise == noise);
        rows.any(|row| row.metrics.iter().any(|(found, _)| *found == metric))
    }

    /// Mean ± standard deviation for each optimizer, then its difference from the baseline with standard error and p.
    fn table(&self, noise: f64, columns: &[Metric]) -> Table {
        let heading = columns.iter().map(|column| match column {
            Metric::Float => "float, %".to_string(),
            Metric::LambdaMax => "λmax".to_string(),
            Metric::PerTensor(bits) | Metric::PerChannel(bits) | Metric::Integer(bits) => {
                format!("{bits} bit")
            }
        });
        let mut table =
            Table::new(["optimizer".to_string(), "runs".to_string()].into_iter().chain(heading));
        for row in self.rows.iter().filter(|row| row.label_noise == noise) {
            let cell = |column: &Metric| {
                let summary = row.metrics.iter().find(|(metric, _)| metric == column);
                summary.map_or(String::new(), |(metric, summary)| summary_cell(*metric, summary))
            };
            let runs = match row.diverged {
                0 => row.runs.to_string(),
                diverged => format!("{}, {diverged} diverged", row.runs),
            };
            table.row([row.optimizer.clone(), runs].into_iter().chain(columns.iter().map(cell)));
            let cell = |column: &Metric| {
                let found = self.difference(&row.optimizer, noise, *column);
                found.map_or(String::new(), |found| difference_cell(*column, &found.difference))
            };
            let cells: Vec<String> = columns.iter().map(cell).collect();
            if let Some(first) = self
                .differences
                .iter()
                .find(|found| found.optimizer == row.optimizer && found.label_noise == noise)
            {
                let name = format!("{} − {}", row.optimizer, first.baseline);
                let pairs = first.difference.count.to_string();
                table.row([name, pairs].into_iter().chain(cells));
            }
        }
        table
    }

    /// The JSON of `compare`: rows and paired differences, accuracies in 0..1.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            let find = |wanted: Metric| {
                let found = row.metrics.iter().find(|(metric, _)| *metric == wanted);
                found.map(|(_, summary)| json!({"mean": summary.mean, "sd": summary.sd}))
            };
            let mut bits = Map::new();
            for &width in &self.bits {
                let found = WAYS
                    .iter()
                    .filter_map(|way| Some((way.file.to_string(), find((way.metric)(width))?)));
                bits.insert(width.to_string(), Value::Object(found.collect()));
            }
            let lambda = row.metrics.iter().find(|(metric, _)| *metric == Metric::LambdaMax);
            json!({
                "optimizer": row.optimizer,
                "label_noise": row.label_noise,
                "runs": row.runs,
                "diverged": row.diverged,
                "float": find(Metric::Float),
                "bits": bits,
                "lambda_max": lambda.map(|(_, summary)| summary.mean),
                "lambda_max_sd": lambda.map(|(_, summary)| summary.sd),
            })
        };
        json!({
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "differences": self.differences,
        })
    }

    /// Writes `compare.csv` (means), `differences.csv`, `runs.csv` (every run), `compare.md` and `compare.json`.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path, results: &[RunResult], heading: &str) -> Result<()> {
        let mut means = vec![strings(["optimizer", "label_noise", "metric", "runs", "mean", "sd"])];
        for row in &self.rows {
            for (metric, summary) in &row.metrics {
                means.push(vec![
                    row.optimizer.clone(),
                    row.label_noise.to_string(),
                    metric.to_string(),
                    summary.count.to_string(),
                    summary.mean.to_string(),
                    summary.sd.to_string(),
                ]);
            }
        }
        save_csv(&folder.join("compare.csv"), &means)?;
        let mut lines = vec![strings([
            "optimizer",
            "baseline",
            "label_noise",
            "metric",
            "pairs",
            "mean",
            "standard_error",
            "p",
        ])];
        for found in &self.differences {
            lines.push(vec![
                found.optimizer.clone(),
                found.baseline.clone(),
                found.label_noise.to_string(),
                found.metric.to_string(),
                found.difference.count.to_string(),
                found.difference.mean.to_string(),
                found.difference.standard_error.to_string(),
                found.difference.p.map_or(String::new(), |p| p.to_string()),
            ]);
        }
        save_csv(&folder.join("differences.csv"), &lines)?;
        let metrics = Metric::all(&self.bits);
        let mut lines = vec![strings(["optimizer", "label_noise", "seed", "diverged"])];
        lines[0].extend(metrics.iter().map(Metric::to_string));
        for result in results {
            let mut line = vec![
                result.name.clone(),
                result.options.label_noise.to_string(),
                result.options.seed.to_string(),
                result.diverged.is_some().to_string(),
            ];
            let value =
                |metric: &Metric| metric.of(result).map_or(String::new(), |v| v.to_string());
            line.extend(metrics.iter().map(value));
            lines.push(line);
        }
        save_csv(&folder.join("runs.csv"), &lines)?;
        let text = format!("{heading}\n{}", self.markdown());
        artifact::write_atomically(&folder.join("compare.md"), text.as_bytes())?;
        crate::report::json::write(self, Some(&folder.join("compare.json")))
    }
}

impl Serialize for Comparison {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.json().serialize(serializer)
    }
}

/// What a metric is multiplied by in the tables, and its decimals there.
fn shown(metric: Metric) -> (f64, usize) {
    if metric.is_accuracy() { (100.0, 1) } else { (1.0, 3) }
}

/// Mean ± standard deviation; the mean alone where a single run says nothing of a spread.
fn summary_cell(metric: Metric, summary: &Summary) -> String {
    let (scale, decimals) = shown(metric);
    let (mean, sd) = (scale * summary.mean, scale * summary.sd);
    match summary.count {
        1 => format!("{mean:.decimals$}"),
        _ => format!("{mean:.decimals$} ± {sd:.decimals$}"),
    }
}

/// Mean and standard error, if there is more than one pair, with stars for how unlikely it is by chance: * p < 0.05, ** p < 0.01, *** p < 0.001.
fn difference_cell(metric: Metric, difference: &PairedDifference) -> String {
    let stars = match difference.p {
        Some(p) if p < 0.001 => " ***",
        Some(p) if p < 0.01 => " **",
        Some(p) if p < 0.05 => " *",
        _ => "",
    };
    let (scale, decimals) = shown(metric);
    let (mean, error) = (scale * difference.mean, scale * difference.standard_error);
    match difference.count {
        1 => format!("{mean:+.decimals$}"),
        _ => format!("{mean:+.decimals$} ({error:.decimals$}){stars}"),
    }
}

fn strings<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_string).to_vec()
}

/// Writes lines of cells as CSV.
pub(super) fn save_csv(path: &Path, lines: &[Vec<String>]) -> Result<()> {
    let failed = |reason: &dyn std::fmt::Display| {
        Error::check_failed(path.display(), reason, "please report this")
    };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for line in lines {
        writer.write_record(line).map_err(|reason| failed(&reason))?;
    }
    let bytes = writer.into_inner().map_err(|reason| failed(&reason))?;
    artifact::write_atomically(path, &bytes)
}
