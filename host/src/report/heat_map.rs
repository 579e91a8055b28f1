//! A quantity over a plane as SVG: colours on a logarithmic scale, with a legend.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    ChartBuilder, DrawingArea, IntoDrawingArea, RGBColor, Rectangle, SVGBackend, WHITE,
};
use plotters::style::{Color, IntoFont};

use crate::artifact;
use crate::error::{Error, Result};

/// Width and height of a plot in pixels, and of the part that the legend takes.
const SIZE: (u32, u32) = (640, 540);
const LEGEND_WIDTH: u32 = 110;
/// Steps of the legend.
const LEGEND_STEPS: usize = 64;
/// From low to high: dark blue, green, yellow (points of the perceptually even map "viridis", CC0).
const COLOURS: [[f64; 3]; 5] = [
    [68.0, 1.0, 84.0],
    [59.0, 82.0, 139.0],
    [33.0, 145.0, 140.0],
    [94.0, 201.0, 98.0],
    [253.0, 231.0, 37.0],
];

/// Values over a square grid.
#[derive(Clone, Debug)]
pub struct HeatMap<'a> {
    /// What it shows.
    pub title: String,
    /// Meaning of x.
    pub x_label: String,
    /// Meaning of y.
    pub y_label: String,
    /// Coordinates of rows and columns, increasing.
    pub coordinates: &'a [f64],
    /// `values[row][column]`; only positive ones are coloured.
    pub values: &'a [Vec<f64>],
}

impl HeatMap<'_> {
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
        let positive = self.values.iter().flatten().filter(|value| is_drawn(**value));
        let (low, high) = positive
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value.ln()), high.max(value.ln()))
            });
        let (low, high) = if low < high { (low, high) } else { (-1.0, 1.0) };
        let (map, legend) = area.split_horizontally(SIZE.0 - LEGEND_WIDTH);
        let half = match self.coordinates {
            [first, second, ..] => (second - first) / 2.0,
            _ => 0.5,
        };
        let first = self.coordinates.first().copied().unwrap_or(0.0) - half;
        let last = self.coordinates.last().copied().unwrap_or(0.0) + half;
        let mut chart = ChartBuilder::on(&map)
            .caption(&self.title, ("sans-serif", 17))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(52)
            .build_cartesian_2d(first..last, first..last)
            .map_err(|reason| failed(&reason))?;
        chart
            .configure_mesh()
            .disable_mesh()
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .axis_desc_style(("sans-serif", 15).into_font())
            .label_style(("sans-serif", 13).into_font())
            .draw()
            .map_err(|reason| failed(&reason))?;
        let cells = self.coordinates.iter().zip(self.values).flat_map(|(y, row)| {
            let cells = self.coordinates.iter().zip(row).filter(|(_, value)| is_drawn(**value));
            cells.map(move |(x, value)| (*x, *y, *value))
        });
        let rectangles = cells.map(|(x, y, value)| {
            let style = colour((value.ln() - low) / (high - low)).filled();
            Rectangle::new([(x - half, y - half), (x + half, y + half)], style)
        });
        chart.draw_series(rectangles).map_err(|reason| failed(&reason))?;
        draw_legend(&legend, low, high)?;
        area.present().map_err(|reason| failed(&reason))
    }
}

/// A column of colours, `low` and `high` being natural logarithms.
fn draw_legend(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    low: f64,
    high: f64,
) -> std::result::Result<(), String> {
    let failed = |reason: &dyn std::fmt::Display| reason.to_string();
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_top(44)
        .margin_bottom(54)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..1.0, low..high)
        .map_err(|reason| failed(&reason))?;
    chart
        .configure_mesh()
        .disable_mesh()
        .disable_x_axis()
        .y_desc("loss")
        .y_label_formatter(&|logarithm| format!("{:.3}", logarithm.exp()))
        .label_style(("sans-serif", 13).into_font())
        .draw()
        .map_err(|reason| failed(&reason))?;
    let step = (high - low) / LEGEND_STEPS as f64;
    let rectangles = (0..LEGEND_STEPS).map(|index| {
        let share = (index as f64 + 0.5) / LEGEND_STEPS as f64;
        let bottom = low + index as f64 * step;
        Rectangle::new([(0.0, bottom), (1.0, bottom + step)], colour(share).filled())
    });
    chart.draw_series(rectangles).map_err(|reason| failed(&reason))?;
    Ok(())
}

fn is_drawn(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

/// The colour of a share from 0 to 1.
fn colour(share: f64) -> RGBColor {
    let place = share.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let index = (place as usize).min(COLOURS.len() - 2);
    let part = place - index as f64;
    let [red, green, blue] = [0, 1, 2].map(|channel| {
        let mixed = COLOURS[index][channel] * (1.0 - part) + COLOURS[index + 1][channel] * part;
        // Between two colours, so in 0..=255.
        mixed.round() as u8
    });
    RGBColor(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_positive_cell_is_drawn_and_the_ends_have_the_end_colours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.svg");
        let values = vec![vec![0.1, 1.0], vec![f64::NAN, 10.0]];
        let map = HeatMap {
            title: "title".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            coordinates: &[-1.0, 1.0],
            values: &values,
        };
        map.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("title"), "{text}");
        // Background, three cells, the legend.
        assert_eq!(text.matches("<rect").count(), 1 + 3 + LEGEND_STEPS);
        assert_eq!(colour(0.0), RGBColor(68, 1, 84));
        assert_eq!(colour(1.0), RGBColor(253, 231, 37));
        assert_eq!(colour(0.5), RGBColor(33, 145, 140));
    }
}
