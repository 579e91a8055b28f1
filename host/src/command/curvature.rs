//! `curvature`: how the loss bends around a trained network.

use std::path::PathBuf;

use serde::Serialize;

use super::output::Output;
use crate::error::Result;
use crate::report::heat_map::HeatMap;
use crate::report::table::{Table, grouped};
use crate::training::Run;
use crate::training::curvature::{
    Curvature, FixedLoss, Precision, Subset, Surface, measure, surface,
};

/// Measure the Hessian of a trained network's loss, and plot the loss around it
///
/// Prints the largest eigenvalue and the trace of the whole Hessian and of each layer's block, on the first training samples with the labels that were trained on, and
/// saves the loss on a plane of two random directions (each filter's part as long as the filter) as loss_surface.svg in the run's folder.
///
/// Example: tinyhero curvature run --samples 1000 --json curvature.json
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The folder of a training run
    run: PathBuf,
    /// The first N training samples
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = super::positive)]
    samples: usize,
    /// Most steps of each power iteration
    #[arg(long, value_name = "N", default_value_t = Precision::default().iterations, value_parser = super::positive)]
    iterations: usize,
    /// Random vectors for the trace
    #[arg(long, value_name = "N", default_value_t = Precision::default().probes, value_parser = super::positive)]
    probes: usize,
    /// Places along each side of the loss surface; 0 for none
    #[arg(long, value_name = "N", default_value_t = 21)]
    surface: usize,
    /// How far the surface reaches, in lengths of the weights
    #[arg(long, default_value_t = 1.0)]
    extent: f64,
    /// Decides start vectors and directions
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    run: String,
    samples: usize,
    loss: f64,
    whole: Option<Curvature>,
    layers: Vec<Curvature>,
    surface: Option<Surface>,
}

pub fn run(options: &Options) -> Result<()> {
    let output = &options.output;
    let run = Run::resume(&options.run)?;
    let trained = run.folder().trained()?;
    let samples = run.training_samples().limited(options.samples);
    let mut loss = Subset::new(&trained, &samples)?;
    let value = loss.value()?;
    output.line(format_args!(
        "loss {value:.5} on the first {} training samples, seed {}",
        grouped(samples.len() as u64),
        options.seed
    ));
    let precision = Precision {
        iterations: options.iterations,
        probes: options.probes,
        seed: options.seed,
        ..Precision::default()
    };
    let mut curvatures = measure(&mut loss, &precision)?;
    output.table(&table(&curvatures));
    let layers = curvatures.split_off(1.min(curvatures.len()));
    let surface = match options.surface {
        0 => None,
        points => {
            let found = surface(&mut loss, points, options.extent, options.seed)?;
            let path = options.run.join("loss_surface.svg");
            let optimizer = run.options().method.kind().name();
            HeatMap {
                title: format!(
                    "Training loss around the weights, {}, {optimizer}",
                    trained.network.name
                ),
                x_label: "first direction".to_string(),
                y_label: "second direction".to_string(),
                coordinates: &found.coordinates,
                values: &found.losses,
            }
            .save(&path)?;
            output.line(format_args!("loss surface: {}", path.display()));
            Some(found)
        }
    };
    output.json(&Report {
        run: options.run.display().to_string(),
        samples: samples.len(),
        loss: value,
        whole: curvatures.pop(),
        layers,
        surface,
    })
}

fn table(curvatures: &[Curvature]) -> Table {
    let mut table = Table::new(["part", "parameters", "λmax", "trace", "se of trace"]);
    for curvature in curvatures {
        table.row([
            curvature.name.clone(),
            grouped(curvature.parameters as u64),
            format!("{:.4}", curvature.lambda_max),
            format!("{:.3}", curvature.trace),
            format!("{:.3}", curvature.trace_error),
        ]);
    }
    table
}
