//! Lines of a file that stand for all of them, so that a large one need not be kept.

use super::dialect::DIALECT_LINES;
use super::lines::{Text, is_comment, is_separator_line};
use crate::data::source::Source;
use crate::error::Result;

/// Most lines that show what columns hold, spread over the whole file, and most bytes of more than a few lines.
const SURVEY_LINES: usize = 8192;
const SURVEY_BYTES: usize = 1 << 22;
const FEW_LINES: usize = 128;

/// A line that is looked at.
pub struct Line {
    /// Its number in the file.
    pub number: u64,
    /// Its place among the lines that are no remarks.
    pub place: usize,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// The first lines of a file and others all over it.
pub struct Sampled {
    /// The lines in their order.
    pub lines: Vec<Line>,
    /// One line in so many, as a power of two.
    thinned: u32,
    bytes: usize,
}

impl Sampled {
    /// Reads a file once and keeps few of its lines.
    ///
    /// # Errors
    /// The file cannot be read, or has a line that is too long.
    pub fn of(source: &Source) -> Result<Self> {
        let mut sampled = Self { lines: Vec::new(), thinned: 0, bytes: 0 };
        let mut text = Text::of(source)?;
        let mut place = 0;
        while let Some(mut lines) = text.piece()? {
            while let Some((number, line)) = lines.next()? {
                if is_comment(line) || is_separator_line(number, line) {
                    continue;
                }
                // The first two rows always: one may be a header.
                if place < 2 || sampled.counts(place) {
                    sampled.bytes += line.len();
                    sampled.lines.push(Line { number, place, bytes: line.to_vec() });
                    sampled.thin();
                }
                place += 1;
            }
        }
        Ok(sampled)
    }

    /// Whether the line of that place is one of those all over the file. They are nearly even, but not in step with rows that take
    /// turns, as they would be at equal distances.
    pub const fn counts(&self, place: usize) -> bool {
        /// 2^64 divided by the golden ratio.
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        (place as u64).wrapping_mul(GOLDEN).leading_zeros() >= self.thinned
    }

    /// Leaves out half of the lines when there are too many.
    fn thin(&mut self) {
        while self.lines.len() > SURVEY_LINES
            || (self.bytes > SURVEY_BYTES && self.lines.len() > FEW_LINES)
        {
            self.thinned += 1;
            let lines = std::mem::take(&mut self.lines);
            self.lines = lines
                .into_iter()
                .filter(|line| line.place < 2 || self.counts(line.place))
                .collect();
            self.bytes = self.lines.iter().map(|line| line.bytes.len()).sum();
        }
    }
}

/// The first lines that are no remarks.
///
/// # Errors
/// The file cannot be read.
pub fn first_lines(source: &Source) -> Result<Vec<Vec<u8>>> {
    let mut text = Text::of(source)?;
    let mut first = Vec::new();
    while let Some(mut lines) = text.piece()? {
        while let Some((number, line)) = lines.next()? {
            if is_comment(line) || is_separator_line(number, line) {
                continue;
            }
            first.push(line.to_vec());
            if first.len() == DIALECT_LINES {
                return Ok(first);
            }
        }
    }
    Ok(first)
}
