//! Errors of usual and of unusual samples as SVG: two histograms over one logarithmic axis, with the threshold between them.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, DrawingArea, IntoDrawingArea, LineSeries, PathElement, RGBColor, Rectangle,
    SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::{Color, IntoFont};

use crate::artifact;
use crate::error::{Error, Result};

/// Width and height of a plot in pixels.
const SIZE: (u32, u32) = (760, 440);
/// Bars over the whole range.
const BARS: usize = 40;

/// Errors of samples by kind.
#[derive(Clone, Debug)]
pub struct ErrorHistogram<'a> {
    /// What it shows.
    pub title: String,
    /// Errors of usual samples.
    pub usual: &'a [f64],
    /// Errors of unusual samples; may be none.
    pub unusual: &'a [f64],
    /// What counts as unusual lies above it.
    pub threshold: Option<f64>,
}

impl ErrorHistogram<'_> {
    /// Writes the plot as SVG.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text = String::new();
        self.draw(&SVGBackend::with_string(&mut text, SIZE).into_drawing_area()).map_err(
            |reason| Error::check_failed(path.display(), reason, "please report this plot"),
        )?;
        artifact::write_atomically(path, text.as_bytes())
    }

    fn draw(&self, area: &DrawingArea<SVGBackend<'_>, Shift>) -> std::result::Result<(), String> {
        let failed = |reason: &dyn std::fmt::Display| reason.to_string();
        area.fill(&WHITE).map_err(|reason| failed(&reason))?;
        let (low, high) = self.range();
        let kinds = [
            ("usual", self.usual, RGBColor(0, 114, 178)),
            ("unusual", self.unusual, RGBColor(213, 94, 0)),
        ];
        let shares = kinds.map(|(_, errors, _)| shares(errors, low, high));
        let largest = shares.iter().flatten().fold(0.0f64, |largest, &share| largest.max(share));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(low..high, 0.0..largest.max(0.01) * 1.08)
            .map_err(|reason| failed(&reason))?;
        chart
            .configure_mesh()
            .x_desc("reconstruction error (normalized units squared, logarithmic)")
            .y_desc("share of the samples")
            .light_line_style(WHITE)
            .x_label_formatter(&|logarithm| format!("{:.2e}", logarithm.exp()))
            .axis_desc_style(("sans-serif", 15).into_font())
            .label_style(("sans-serif", 13).into_font())
            .draw()
            .map_err(|reason| failed(&reason))?;
        let width = (high - low) / BARS as f64;
        for ((name, errors, colour), shares) in kinds.iter().zip(&shares) {
            if errors.is_empty() {
                continue;
            }
            let bars = shares.iter().enumerate().filter(|(_, share)| **share > 0.0);
            let bars = bars.map(|(place, &share)| {
                let start = low + place as f64 * width;
                Rectangle::new([(start, 0.0), (start + width, share)], colour.mix(0.5).filled())
            });
            let colour = *colour;
            chart
                .draw_series(bars)
                .map_err(|reason| failed(&reason))?
                .label(format!("{} {name} samples", errors.len()))
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(6))
                });
        }
        if let Some(threshold) = self.threshold.filter(|threshold| *threshold > 0.0) {
            let at = threshold.ln().clamp(low, high);
            let black = RGBColor(0, 0, 0);
            chart
                .draw_series(LineSeries::new(
                    [(at, 0.0), (at, largest.max(0.01) * 1.08)],
                    black.stroke_width(2),
                ))
                .map_err(|reason| failed(&reason))?
                .label("threshold")
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 20, y)], black.stroke_width(2))
                });
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE)
            .border_style(RGBColor(150, 150, 150))
            .label_font(("sans-serif", 14).into_font())
            .draw()
            .map_err(|reason| failed(&reason))?;
        area.present().map_err(|reason| failed(&reason))
    }

    /// Logarithms of the least and the largest error and threshold.
    fn range(&self) -> (f64, f64) {
        let all = self.usual.iter().chain(self.unusual).chain(&self.threshold);
        let drawn = all.filter(|error| error.is_finite() && **error > 0.0);
        let (low, high) = drawn.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), error| {
            (low.min(error.ln()), high.max(error.ln()))
        });
        if low < high { (low, high) } else { (-1.0, 1.0) }
    }
}

/// The share of errors in each bar; an error of 0 stands in the first one.
fn shares(errors: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut counts = vec![0.0; BARS];
    for error in errors.iter().filter(|error| error.is_finite()) {
        let place = (error.ln() - low) / (high - low) * BARS as f64;
        // Casts clip; the largest error lies on the last border.
        let place = (place.max(0.0) as usize).min(BARS - 1);
        counts[place] += 1.0 / errors.len() as f64;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_errors_are_counted_and_the_threshold_is_drawn() {
        let counted: f64 = shares(&[0.0, 0.1, 1.0, 10.0], 0.1f64.ln(), 10f64.ln()).iter().sum();
        assert!((counted - 1.0).abs() < 1e-9);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("errors.svg");
        let mut plot = ErrorHistogram {
            title: "title".into(),
            usual: &[0.1, 0.2, 0.15],
            unusual: &[1.0, 2.0],
            threshold: Some(0.3),
        };
        plot.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["3 usual samples", "2 unusual samples", "threshold"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        (plot.usual, plot.unusual, plot.threshold) = (&[], &[], None);
        plot.save(&path).unwrap();
    }
}
