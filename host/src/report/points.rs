//! Predicted against true values as SVG: a point a sample, and the line on which they would be equal.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, DrawingArea, IntoDrawingArea, LineSeries, RGBColor, SVGBackend, WHITE,
};
use plotters::style::{Color, IntoFont};

use crate::artifact;
use crate::error::{Error, Result};

/// Width and height of a plot in pixels.
const SIZE: (u32, u32) = (560, 540);
/// Most points that are drawn, taken evenly from all.
const MOST_POINTS: usize = 4_000;

/// True and predicted values of one quantity.
#[derive(Clone, Debug)]
pub struct PointPlot {
    /// What it shows.
    pub title: String,
    /// The quantity with its unit.
    pub quantity: String,
    /// True and predicted value of each sample; those that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

impl PointPlot {
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
        let range = self.range();
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(range.clone(), range.clone())
            .map_err(|reason| failed(&reason))?;
        chart
            .configure_mesh()
            .x_desc(format!("true {}", self.quantity))
            .y_desc(format!("predicted {}", self.quantity))
            .light_line_style(WHITE)
            .axis_desc_style(("sans-serif", 15).into_font())
            .label_style(("sans-serif", 13).into_font())
            .draw()
            .map_err(|reason| failed(&reason))?;
        let step = self.points.len().div_ceil(MOST_POINTS).max(1);
        let finite = self.points.iter().step_by(step).filter(|(x, y)| (x + y).is_finite());
        let blue = RGBColor(0, 114, 178).mix(0.6);
        chart
            .draw_series(finite.map(|&point| Circle::new(point, 3, blue.filled())))
            .map_err(|reason| failed(&reason))?;
        let equal = [(range.start, range.start), (range.end, range.end)];
        let orange = RGBColor(213, 94, 0).stroke_width(2);
        chart.draw_series(LineSeries::new(equal, orange)).map_err(|reason| failed(&reason))?;
        area.present().map_err(|reason| failed(&reason))
    }

    /// From the least to the largest number, a little widened.
    fn range(&self) -> Range<f64> {
        let all = self.points.iter().flat_map(|&(x, y)| [x, y]).filter(|value| value.is_finite());
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        match (low.is_finite(), high > low) {
            (false, _) => 0.0..1.0,
            (true, false) => low - 0.5..high + 0.5,
            (true, true) => low - 0.03 * (high - low)..high + 0.03 * (high - low),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finite_points_and_the_line_are_drawn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("points.svg");
        let points = vec![(1.0, 1.1), (2.0, f64::NAN), (3.0, 2.5)];
        let plot = PointPlot { title: "title".into(), quantity: "y (K)".into(), points };
        plot.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("<circle").count(), 2, "{text}");
        assert!(text.contains("predicted y (K)"), "{text}");
        for points in [vec![], vec![(5.0, 5.0)]] {
            PointPlot { points, ..plot.clone() }.save(&path).unwrap();
        }
    }
}
