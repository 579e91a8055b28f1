//! `evaluate`: what a model's answers are worth, by the host in the board's arithmetic.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use tinyhero_common::model::{Model, Task};

use super::model_file;
use super::output::Output;
use super::samples::Samples;
use super::worth::{reals, unusual};
use crate::artifact;
use crate::data::Dataset;
use crate::deployment::figures::{Classification, Reconstruction, Regression};
use crate::deployment::integer::{self, Outcome};
use crate::deployment::reconstruction::reconstruct;
use crate::error::{Error, Result};
use crate::plain::plain;
use crate::report::confusion::ConfusionPlot;
use crate::report::histogram::ErrorHistogram;
use crate::report::points::PointPlot;
use crate::report::table::{Table, grouped, percent};

/// Run a model on the host in the board's arithmetic and report what its answers are worth
///
/// A classifier: accuracy, confusion matrix, precision and recall of each class. A regression: errors and R². A reconstruction: errors,
/// the share above the model's threshold, and the area under the curve where the data names unusual samples.
///
/// Example: tinyhero evaluate tinyhero-demo/hero-4.hero --data digits
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The model file
    model: PathBuf,
    #[command(flatten)]
    samples: Samples,
    /// Also write every prediction, a row a sample
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
    /// Also draw plots into a folder: the confusion matrix, predicted against true values, or errors with the threshold
    #[arg(long, value_name = "DIR")]
    plots: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Most classes whose confusion is printed.
const MOST_SHOWN: usize = 20;

pub fn run(options: &Options) -> Result<()> {
    let bytes = model_file::read(&options.model)?;
    let model = model_file::load(&options.model, &bytes)?;
    let dataset = options.samples.open(&model, &options.output)?;
    match model.description().task {
        Task::Classification { .. } => classification(options, &model, &dataset),
        Task::Regression { .. } => regression(options, &model, &dataset),
        Task::Reconstruction { .. } => reconstruction(options, &model, &dataset),
    }
}

impl Options {
    /// The model's name in plots.
    fn title(&self) -> String {
        let stem = self.model.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        plain(&stem.unwrap_or_default())
    }

    /// Saves a plot and tells where.
    fn save(&self, folder: &Path, name: &str, plot: impl Fn(&Path) -> Result<()>) -> Result<()> {
        let path = folder.join(name);
        plot(&path)?;
        self.output.line(format_args!("plot: {}", path.display()));
        Ok(())
    }
}

fn scores(outcomes: &[Outcome]) -> impl Iterator<Item = &[i8]> {
    outcomes.iter().map(|outcome| outcome.scores.as_slice())
}

fn classification(options: &Options, model: &Model<'_>, dataset: &Dataset) -> Result<()> {
    let (output, test) = (&options.output, &dataset.test);
    let evaluation = integer::evaluate(model, &test.samples, &test.labels)?;
    let names: Vec<String> = match model.labels().count() {
        0 => dataset.class_names.clone(),
        _ => model.labels().map(|label| label.to_string()).collect(),
    };
    let answers: Vec<u16> = evaluation.outcomes.iter().map(|outcome| outcome.label).collect();
    let scores = reals(model, scores(&evaluation.outcomes));
    let seconds: Vec<f64> = match names.len() {
        2 => scores.iter().skip(1).step_by(2).copied().collect(),
        _ => Vec::new(),
    };
    let figures = Classification::of(&names, &test.labels, &answers, &seconds);
    output.line(format_args!(
        "{} of {} right: {}",
        grouped(figures.correct as u64),
        grouped(figures.samples as u64),
        percent(figures.accuracy)
    ));
    let share = |share: Option<f64>| share.map_or_else(|| "-".to_string(), percent);
    let mut table = Table::new(["class", "samples", "precision", "recall", "F1"]);
    for class in &figures.classes {
        table.row([
            class.name.clone(),
            grouped(class.count as u64),
            share(class.precision),
            share(class.recall),
            share(class.f1),
        ]);
    }
    output.table(&table);
    if names.len() <= MOST_SHOWN {
        let heading = std::iter::once("is \\ answer".to_string()).chain(names.iter().cloned());
        let mut table = Table::new(heading);
        for (name, row) in names.iter().zip(&figures.confusion) {
            let counts = row.iter().map(|&count| grouped(count as u64));
            table.row(std::iter::once(name.clone()).chain(counts));
        }
        output.table(&table);
    }
    if let Some(auc) = figures.auc {
        output.line(format_args!("area under the curve: {auc:.4}"));
    }
    if let Some(folder) = &options.plots {
        let title = format!(
            "{}: {} of {} right, {}",
            options.title(),
            grouped(figures.correct as u64),
            grouped(figures.samples as u64),
            percent(figures.accuracy)
        );
        let plot = ConfusionPlot { title, names: &names, counts: &figures.confusion };
        options.save(folder, "confusion.svg", |path| plot.save(path))?;
    }
    if let Some(path) = &options.predictions {
        let mut heading = vec!["sample".to_string(), "class".to_string(), "answer".to_string()];
        heading.extend(names.iter().map(|name| format!("score {name}")));
        let name = |class: u16| names.get(usize::from(class)).cloned().unwrap_or_default();
        let rows = test.labels.iter().zip(&answers).zip(scores.chunks(names.len().max(1)));
        let rows = rows.enumerate().map(|(row, ((&label, &answer), scores))| {
            let mut fields = vec![row.to_string(), name(label), name(answer)];
            fields.extend(scores.iter().map(|score| format!("{score:.6}")));
            fields
        });
        write_csv(path, &heading, rows)?;
    }
    output.json(&figures)
}

fn regression(options: &Options, model: &Model<'_>, dataset: &Dataset) -> Result<()> {
    let (output, test) = (&options.output, &dataset.test);
    let outputs = model.output().shape.elements();
    if test.values.len() != test.len() * outputs {
        let problem = format!(
            "has {} values to predict a sample, where the model predicts {outputs}",
            test.values.len().checked_div(test.len()).unwrap_or(0)
        );
        return Err(Error::bad_input(&dataset.name, problem, "name the columns with --label"));
    }
    let predicted = reals(model, scores(&integer::run_all(model, &test.samples)?));
    let values: Vec<f64> = test.values.iter().map(|&value| f64::from(value)).collect();
    let names: Vec<(String, String)> = match dataset.outputs.len() == outputs {
        true => {
            let named = dataset.outputs.iter().enumerate().map(|(place, column)| {
                let name = column.name.clone().unwrap_or_else(|| format!("output {}", place + 1));
                (name, column.unit.clone().unwrap_or_default())
            });
            named.collect()
        }
        false => {
            (0..outputs).map(|place| (format!("output {}", place + 1), String::new())).collect()
        }
    };
    let figures = Regression::of(&names, &predicted, &values);
    let mut table =
        Table::new(["value", "unit", "mean absolute error", "root mean square error", "R²"]);
    for one in &figures.outputs {
        table.row([
            one.name.clone(),
            one.unit.clone(),
            format!("{:.5}", one.mean_absolute_error),
            format!("{:.5}", one.root_mean_square_error),
            format!("{:.5}", one.r2),
        ]);
    }
    output.line(format_args!("{} samples: R² {:.4}", grouped(figures.samples as u64), figures.r2));
    output.table(&table);
    if let Some(folder) = &options.plots {
        for (place, figures) in figures.outputs.iter().enumerate() {
            let of = |all: &[f64]| -> Vec<f64> {
                all.iter().skip(place).step_by(outputs).copied().collect()
            };
            let quantity = match figures.unit.is_empty() {
                true => figures.name.clone(),
                false => format!("{} ({})", figures.name, figures.unit),
            };
            let title = format!("{}: R² {:.4}", options.title(), figures.r2);
            let points = of(&values).into_iter().zip(of(&predicted)).collect();
            let plot = PointPlot { title, quantity, points };
            let name = match outputs {
                1 => "predicted.svg".to_string(),
                _ => format!("predicted_{}.svg", place + 1),
            };
            options.save(folder, &name, |path| plot.save(path))?;
        }
    }
    if let Some(path) = &options.predictions {
        let mut heading = vec!["sample".to_string()];
        for (name, _) in &names {
            heading.extend([name.clone(), format!("predicted {name}")]);
        }
        let rows = values.chunks(outputs).zip(predicted.chunks(outputs)).enumerate();
        let rows = rows.map(|(row, (values, predicted))| {
            let mut fields = vec![row.to_string()];
            for (value, predicted) in values.iter().zip(predicted) {
                fields.extend([value.to_string(), format!("{predicted:.6}")]);
            }
            fields
        });
        write_csv(path, &heading, rows)?;
    }
    output.json(&figures)
}

fn reconstruction(options: &Options, model: &Model<'_>, dataset: &Dataset) -> Result<()> {
    let (output, test) = (&options.output, &dataset.test);
    let Some(found) = reconstruct(model, &test.samples)? else {
        return Err(Error::bad_input(
            options.model.display(),
            "reconstructs nothing",
            "see inspect",
        ));
    };
    let real = |error: u32| f64::from(error) * found.unit;
    let errors: Vec<f64> = found.errors.iter().map(|&error| real(error)).collect();
    let name = |label: &u16| dataset.class_names.get(usize::from(*label));
    let unusual = unusual(model, dataset);
    let figures = Reconstruction::of(&errors, &unusual, found.threshold.map(real));
    let strange = unusual.iter().filter(|unusual| **unusual).count();
    output.line(format_args!(
        "{} usual samples: mean reconstruction error {:.5} (normalized units squared)",
        grouped((figures.samples - strange) as u64),
        figures.error
    ));
    let [quarter, half, most, all] = figures.quantiles;
    output.line(format_args!(
        "25 % of them are below {quarter:.5}, 50 % below {half:.5}, 95 % below {most:.5}, all up to {all:.5}"
    ));
    match (figures.threshold, figures.false_alarms) {
        (Some(threshold), Some(alarms)) => output.line(format_args!(
            "threshold {threshold:.5} ({} squared output steps): {} of the usual samples are above it",
            found.threshold.unwrap_or(u32::MAX),
            percent(alarms)
        )),
        _ => output.line("the model has no threshold"),
    }
    if let (Some(hits), Some(auc)) = (figures.hits, figures.auc) {
        output.line(format_args!(
            "{} unusual samples: {} are above the threshold; area under the curve {auc:.4}",
            grouped(strange as u64),
            percent(hits)
        ));
    } else if let Some(auc) = figures.auc {
        output.line(format_args!("area under the curve: {auc:.4}"));
    }
    if let Some(folder) = &options.plots {
        let of = |wanted: bool| -> Vec<f64> {
            let pairs = errors.iter().zip(&unusual).filter(|(_, unusual)| **unusual == wanted);
            pairs.map(|(error, _)| *error).collect()
        };
        let title = match figures.auc {
            Some(auc) => format!("{}: area under the curve {auc:.4}", options.title()),
            None => options.title(),
        };
        let (usual, strange) = (of(false), of(true));
        let plot = ErrorHistogram {
            title,
            usual: &usual,
            unusual: &strange,
            threshold: figures.threshold,
        };
        options.save(folder, "errors.svg", |path| plot.save(path))?;
    }
    if let Some(path) = &options.predictions {
        let heading = ["sample", "class", "unusual", "error", "squared steps"].map(String::from);
        let rows = test.labels.iter().zip(&unusual).zip(errors.iter().zip(&found.errors));
        let rows = rows.enumerate().map(|(row, ((label, unusual), (error, steps)))| {
            let class = name(label).cloned().unwrap_or_default();
            vec![
                row.to_string(),
                class,
                unusual.to_string(),
                format!("{error:.6}"),
                steps.to_string(),
            ]
        });
        write_csv(path, &heading, rows)?;
    }
    output.json(&figures)
}

/// Writes rows in one step.
fn write_csv(
    path: &Path,
    heading: &[String],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<()> {
    let mut text = String::new();
    let mut line = |fields: &[String]| {
        let quoted: Vec<String> = fields
            .iter()
            .map(|field| match field.contains([',', '"', '\n', '\r']) {
                true => format!("\"{}\"", field.replace('"', "\"\"")),
                false => field.clone(),
            })
            .collect();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{}", quoted.join(","));
    };
    line(heading);
    rows.for_each(|fields| line(&fields));
    artifact::write_atomically(path, text.as_bytes())
}
