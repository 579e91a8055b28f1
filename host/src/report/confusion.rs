//! A confusion matrix as SVG: a row for each class, a column for each answer, with counts.

use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, IntoDrawingArea, RGBColor, Rectangle, SVGBackend, Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{BLACK, Color, IntoFont, TextStyle};

use crate::artifact;
use crate::error::{Error, Result};

/// Pixels that all cells together take at most, each way, and a cell at most.
const CELLS: i32 = 640;
const LARGEST_CELL: i32 = 56;
/// Room for names and headings.
const MARGIN: (i32, i32) = (150, 110);
/// Characters of a name that are shown.
const MOST_CHARACTERS: usize = 16;
/// Most classes of which a cell has room for its count.
const MOST_WITH_COUNTS: usize = 24;

/// How often samples of a class got an answer.
#[derive(Clone, Debug)]
pub struct ConfusionPlot<'a> {
    /// What it shows.
    pub title: String,
    /// Class names.
    pub names: &'a [String],
    /// `counts[class][answer]`.
    pub counts: &'a [Vec<usize>],
}

impl ConfusionPlot<'_> {
    /// Writes the plot as SVG.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let count = i32::try_from(self.names.len()).unwrap_or(1).max(1);
        let cell = (CELLS / count).clamp(1, LARGEST_CELL);
        let size = |margin: i32| (margin + cell * count + 20).unsigned_abs();
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, (size(MARGIN.0), size(MARGIN.1)));
        self.draw(&area.into_drawing_area(), cell).map_err(|reason| {
            Error::check_failed(path.display(), reason, "please report this plot")
        })?;
        artifact::write_atomically(path, text.as_bytes())
    }

    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        cell: i32,
    ) -> std::result::Result<(), String> {
        let failed = |reason: &dyn std::fmt::Display| reason.to_string();
        let style = |size: i32, horizontal: HPos| -> TextStyle<'_> {
            TextStyle::from(("sans-serif", size).into_font())
                .pos(Pos::new(horizontal, VPos::Center))
        };
        let write = |text: String, place: (i32, i32), style: TextStyle<'_>| {
            area.draw(&Text::new(text, place, style)).map_err(|reason| failed(&reason))
        };
        let (left, top) = MARGIN;
        area.fill(&WHITE).map_err(|reason| failed(&reason))?;
        write(self.title.clone(), (20, 22), style(18, HPos::Left))?;
        write("class \\ answer".to_string(), (left - 8, top - 14), style(13, HPos::Right))?;
        let names_size = (cell - 2).clamp(6, 13);
        let place = |index: usize| cell * i32::try_from(index).unwrap_or(0);
        for (index, name) in self.names.iter().enumerate() {
            let middle = place(index) + cell / 2;
            let short: String = name.chars().take(MOST_CHARACTERS).collect();
            write(short.clone(), (left - 8, top + middle), style(names_size, HPos::Right))?;
            // Every second name of a column stands higher, so that neighbours do not meet.
            let row = if index % 2 == 0 { top - 14 } else { top - 32 };
            write(short, (left + middle, row), style(names_size, HPos::Center))?;
        }
        for (class, row) in self.counts.iter().enumerate() {
            let all: usize = row.iter().sum();
            for (answer, &count) in row.iter().enumerate() {
                let share = count as f64 / all.max(1) as f64;
                let (x, y) = (left + place(answer), top + place(class));
                let corners = [(x, y), (x + cell - 1, y + cell - 1)];
                area.draw(&Rectangle::new(corners, colour(share, class == answer).filled()))
                    .map_err(|reason| failed(&reason))?;
                if count > 0 && self.names.len() <= MOST_WITH_COUNTS {
                    let ink = if share > 0.6 { WHITE } else { BLACK };
                    let text = style(names_size, HPos::Center).color(&ink);
                    write(count.to_string(), (x + cell / 2, y + cell / 2), text)?;
                }
            }
        }
        area.present().map_err(|reason| failed(&reason))
    }
}

/// From nearly white to blue for right answers, to orange for wrong ones.
fn colour(share: f64, right: bool) -> RGBColor {
    let full = if right { [0.0, 114.0, 178.0] } else { [213.0, 94.0, 0.0] };
    // A few wrong answers among many samples are to be seen, too.
    let strength = share.clamp(0.0, 1.0).sqrt();
    let [red, green, blue] = full.map(|part| (244.0 + (part - 244.0) * strength).round() as u8);
    RGBColor(red, green, blue)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_drawn_and_counts_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusion.svg");
        let names = ["no", "yes <b>"].map(String::from);
        let counts = vec![vec![90, 7], vec![0, 3]];
        let title = "title".to_string();
        ConfusionPlot { title, names: &names, counts: &counts }.save(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        // The background and four cells.
        assert_eq!(text.matches("<rect").count(), 5, "{text}");
        for word in ["title", "90", "7", "3", "yes &lt;b&gt;"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let many: Vec<String> = (0..300).map(|class| class.to_string()).collect();
        let counts = vec![vec![1; 300]; 300];
        let plot = ConfusionPlot { title: String::new(), names: &many, counts: &counts };
        plot.save(&path).unwrap();
    }
}
