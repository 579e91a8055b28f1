//! Line plots as SVG.

use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, Circle, DrawingArea, IntoDrawingArea, LineSeries, PathElement, RGBColor,
    SVGBackend, SeriesLabelPosition, WHITE,
};
use plotters::style::{Color, IntoFont};

use crate::artifact;
use crate::error::{Error, Result};

/// Width and height of a plot in pixels.
const SIZE: (u32, u32) = (760, 460);
/// Colours that stay apart for most colour-blind readers (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, by increasing x; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// A plot of several lines over one x axis.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Meaning and unit of x.
    pub x_label: String,
    /// Meaning and unit of y.
    pub y_label: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Whether each point is marked; for few points.
    pub markers: bool,
}

impl Plot {
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
        let (x, y) = (self.extent(|point| point.0, 0.0), self.extent(|point| point.1, 0.05));
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 20))
            .margin(14)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(x, y)
            .map_err(|reason| failed(&reason))?;
        chart
            .configure_mesh()
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .light_line_style(WHITE)
            .x_label_formatter(&|x| format!("{x}"))
            .axis_desc_style(("sans-serif", 15).into_font())
            .label_style(("sans-serif", 13).into_font())
            .draw()
            .map_err(|reason| failed(&reason))?;
        for (series, &colour) in self.series.iter().zip(COLOURS.iter().cycle()) {
            let finite = series.points.iter().copied().filter(is_finite);
            chart
                .draw_series(LineSeries::new(finite.clone(), colour.stroke_width(2)))
                .map_err(|reason| failed(&reason))?
                .label(&series.name)
                .legend(move |(x, y)| {
                    PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2))
                });
            if self.markers {
                chart
                    .draw_series(finite.map(|point| Circle::new(point, 4, colour.filled())))
                    .map_err(|reason| failed(&reason))?;
            }
        }
        chart
            .configure_series_labels()
            .position(self.legend_position())
            .background_style(WHITE)
            .border_style(RGBColor(150, 150, 150))
            .label_font(("sans-serif", 14).into_font())
            .draw()
            .map_err(|reason| failed(&reason))?;
        area.present().map_err(|reason| failed(&reason))
    }

    /// The corner that the lines leave freest.
    fn legend_position(&self) -> SeriesLabelPosition {
        let (x, y) = (self.extent(|point| point.0, 0.0), self.extent(|point| point.1, 0.05));
        let middle = |range: &Range<f64>| f64::midpoint(range.start, range.end);
        let points = |right: bool, upper: bool| {
            let all = self.series.iter().flat_map(|series| &series.points);
            let inside = |point: &&(f64, f64)| {
                (point.0 >= middle(&x)) == right && (point.1 >= middle(&y)) == upper
            };
            all.filter(|point| is_finite(point)).filter(inside).count()
        };
        let corners = [
            (SeriesLabelPosition::LowerRight, points(true, false)),
            (SeriesLabelPosition::UpperRight, points(true, true)),
            (SeriesLabelPosition::LowerLeft, points(false, false)),
            (SeriesLabelPosition::UpperLeft, points(false, true)),
        ];
        let freest = corners.into_iter().min_by_key(|(_, points)| *points);
        freest.map_or(SeriesLabelPosition::LowerRight, |(corner, _)| corner)
    }

    /// The range of one coordinate over all finite points, widened by a share of itself.
    fn extent(&self, coordinate: impl Fn(&(f64, f64)) -> f64, widening: f64) -> Range<f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let (low, high) = points
            .filter(|point| is_finite(point))
            .map(coordinate)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        match (low.is_finite(), high > low) {
            (false, _) => 0.0..1.0,
            (true, false) => low - 0.5..high + 0.5,
            (true, true) => {
                let margin = (high - low) * widening;
                low - margin..high + margin
            }
        }
    }
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(points: Vec<(f64, f64)>) -> Plot {
        Plot {
            title: "title".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            series: vec![Series { name: "line".into(), points }],
            markers: true,
        }
    }

    #[test]
    fn a_plot_is_svg_with_its_texts_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plot.svg");
        plot(vec![(0.0, 1.0), (1.0, 3.0), (2.0, f64::NAN)]).save(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.starts_with("<svg"), "{text}");
        for expected in ["title", "line", "circle", "polyline"] {
            assert!(text.contains(expected), "{expected} is missing");
        }
    }

    #[test]
    fn a_plot_without_points_or_without_extent_is_still_a_plot() {
        let folder = tempfile::tempdir().unwrap();
        for points in [vec![], vec![(1.0, 1.0)]] {
            plot(points).save(&folder.path().join("plot.svg")).unwrap();
        }
    }
}
