//! Plots of a comparison.

use std::path::Path;

use super::metric::WAYS;
use super::{Comparison, Metric};
use crate::error::Result;
use crate::report::plot::{Plot, Series};

/// Saves accuracy by bit width, for each label noise and way of quantizing, and accuracy by label noise where there are several.
///
/// # Errors
/// A file cannot be written.
pub fn save_plots(comparison: &Comparison, folder: &Path) -> Result<()> {
    let mut noises: Vec<f64> = comparison.rows.iter().map(|row| row.label_noise).collect();
    noises.sort_by(f64::total_cmp);
    noises.dedup();
    for &noise in &noises {
        for way in WAYS {
            let series = by_optimizer(comparison, |name| {
                let mut widths = comparison.bits.clone();
                widths.sort_unstable();
                let point = |bits: &u32| {
                    Some((f64::from(*bits), mean(comparison, name, noise, (way.metric)(*bits))?))
                };
                widths.iter().filter_map(point).collect()
            });
            if series.is_empty() {
                continue;
            }
            Plot {
                title: format!("Test accuracy, {}, {} % label noise", way.title, 100.0 * noise),
                x_label: "bits per weight".to_string(),
                y_label: "accuracy, %".to_string(),
                series,
                markers: true,
            }
            .save(&folder.join(format!(
                "accuracy_{}_noise_{}.svg",
                way.file,
                100.0 * noise
            )))?;
        }
    }
    if noises.len() < 2 {
        return Ok(());
    }
    let low = comparison.bits.iter().min().copied().unwrap_or(4);
    let metrics =
        [("float".to_string(), Metric::Float), (format!("{low}_bit"), Metric::PerChannel(low))];
    for (file, metric) in metrics {
        let series = by_optimizer(comparison, |name| {
            let point =
                |noise: &f64| Some((100.0 * noise, mean(comparison, name, *noise, metric)?));
            noises.iter().filter_map(point).collect()
        });
        Plot {
            title: format!("Test accuracy, {}", file.replace('_', " ")),
            x_label: "label noise, %".to_string(),
            y_label: "accuracy, %".to_string(),
            series,
            markers: true,
        }
        .save(&folder.join(format!("accuracy_by_noise_{file}.svg")))?;
    }
    Ok(())
}

/// One line for each optimizer that has points.
fn by_optimizer(comparison: &Comparison, points: impl Fn(&str) -> Vec<(f64, f64)>) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for row in &comparison.rows {
        if series.iter().all(|line| line.name != row.optimizer) {
            let points = points(&row.optimizer);
            series.push(Series { name: row.optimizer.clone(), points });
        }
    }
    series.retain(|line| !line.points.is_empty());
    series
}

/// Mean of a metric in percent.
fn mean(comparison: &Comparison, optimizer: &str, noise: f64, metric: Metric) -> Option<f64> {
    let row = comparison
        .rows
        .iter()
        .find(|row| row.optimizer == optimizer && row.label_noise == noise)?;
    let (_, summary) = row.metrics.iter().find(|(found, _)| *found == metric)?;
    Some(100.0 * summary.mean)
}
