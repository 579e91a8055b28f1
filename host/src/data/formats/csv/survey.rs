//! A look at a table before it is read: what separates values, whether there is a header, what the columns hold.

use super::cell::{Cell, begins_with_number, is_time, seconds};
use super::lines::{Lines, Text, split, text};
use crate::data::options::Separator;
use crate::data::source::Source;
use crate::error::{Error, Result};
use std::collections::HashSet;

/// Lines that show what separates values.
const DIALECT_LINES: usize = 64;
/// Most lines that show what columns hold, spread over the whole file, and most bytes of more than a few lines.
const SURVEY_LINES: usize = 8192;
const SURVEY_BYTES: usize = 1 << 22;
const FEW_LINES: usize = 128;
/// Different values of a column that are counted.
const MOST_DISTINCT: usize = 1001;
/// Most columns of a table.
pub const MOST_COLUMNS: usize = (1 << 16) + 1;
/// Names that only a label has.
pub const LABEL_NAMES: [&str; 8] =
    ["label", "labels", "class", "classes", "target", "class_label", "label_id", "class_id"];
/// Separators in the order in which they are preferred.
const SEPARATORS: [Separator; 5] = [
    Separator::Byte(b','),
    Separator::Byte(b';'),
    Separator::Byte(b'\t'),
    Separator::Byte(b'|'),
    Separator::Blanks,
];

/// How a file writes its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What stands between them.
    pub separator: Separator,
    /// Whether decimals follow a comma.
    pub decimal_comma: bool,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers.
    Numbers,
    /// Words.
    Words,
    /// Dates or times of day.
    Times,
    /// Nothing in any row.
    Nothing,
}

/// What the looked-at rows hold in one column.
#[derive(Clone, Debug, Default)]
pub struct ColumnSurvey {
    numbers: usize,
    words: usize,
    times: usize,
    /// Times whose seconds are known.
    read_times: usize,
    /// Words that begin like a number: with a unit, a percent sign or marks for thousands.
    marked_numbers: usize,
    missing: usize,
    /// Whether a number is not whole.
    pub fractions: bool,
    /// A number that is not whole, or a word: for messages.
    pub example: Option<String>,
    /// Least and largest number.
    pub range: Option<(f64, f64)>,
    /// Different values, counted up to a limit.
    pub distinct: HashSet<Box<[u8]>>,
    /// Whether every number is larger than the one before.
    pub rises: bool,
    /// Whether every number is smaller than the one before.
    pub falls: bool,
    previous: Option<f64>,
    steps: Option<(f64, f64)>,
}

impl ColumnSurvey {
    fn add(&mut self, field: &[u8], decimal_comma: bool) {
        if self.distinct.len() < MOST_DISTINCT && !self.distinct.contains(field) {
            self.distinct.insert(field.into());
        }
        match Cell::of(field, decimal_comma) {
            Cell::Missing => self.missing += 1,
            Cell::Number(value) => {
                self.numbers += 1;
                if value.fract() != 0.0 && !self.fractions {
                    self.fractions = true;
                    self.example = Some(text(field));
                }
                let (low, high) = self.range.unwrap_or((value, value));
                self.range = Some((low.min(value), high.max(value)));
                match self.previous {
                    Some(previous) => {
                        let step = value - previous;
                        self.rises &= step > 0.0;
                        self.falls &= step < 0.0;
                        let (low, high) = self.steps.unwrap_or((step, step));
                        self.steps = Some((low.min(step), high.max(step)));
                    }
                    None => (self.rises, self.falls) = (true, true),
                }
                self.previous = Some(value);
            }
            Cell::Word => {
                self.words += 1;
                let is_time = is_time(field);
                self.times += usize::from(is_time);
                self.read_times += usize::from(is_time && seconds(field).is_some());
                self.marked_numbers += usize::from(begins_with_number(field));
                if self.words == 1 {
                    self.example = Some(text(field));
                }
            }
        }
    }

    /// What it holds, by the majority of its values.
    pub fn kind(&self) -> Kind {
        match () {
            () if self.numbers + self.words == 0 => Kind::Nothing,
            () if self.numbers >= self.words => Kind::Numbers,
            () if 2 * self.times >= self.words => Kind::Times,
            () => Kind::Words,
        }
    }

    /// Whether the seconds of all its times are known.
    pub const fn has_seconds(&self) -> bool {
        self.words > 0 && self.read_times == self.words
    }

    /// Whether most of its words are numbers with something more, such as 12.5 %, 3 V or 1,234.
    pub const fn has_marked_numbers(&self) -> bool {
        2 * self.marked_numbers > self.words
    }

    /// Whether every value is 0 or 1, and both occur.
    fn is_flag(&self) -> bool {
        self.range == Some((0.0, 1.0)) && !self.fractions && self.words + self.missing == 0
    }

    /// Whether its numbers rise by the same amount from row to row, as those of rows or of samples in time do.
    pub fn counts(&self) -> bool {
        let even = |(low, high): (f64, f64)| high - low <= 0.01 * high.abs();
        self.rises && self.words + self.missing == 0 && self.steps.is_some_and(even)
    }

    /// Whether whole numbers lie so close together that they may name classes: 0, 1, 2 or 2 and 4, not 0 and 255.
    pub fn is_dense(&self) -> bool {
        let span = self.range.map_or(f64::INFINITY, |(low, high)| high - low + 1.0);
        self.distinct.len() as f64 / span >= 0.25
    }
}

/// What a look at a table shows.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How values are written.
    pub dialect: Dialect,
    /// The fields of the header, as many as a row has; none where the file has no header.
    pub header: Option<Vec<String>>,
    /// The last line of the header, which may have a second one with units.
    pub header_line: u64,
    /// Whether the header counts columns instead of naming them.
    pub counted: bool,
    /// Whether a second line of the header has units.
    pub units: bool,
    /// Whether the first column names rows, for which the header has no field.
    pub row_names: bool,
    /// One for each field of a row.
    pub columns: Vec<ColumnSurvey>,
    /// Rows that were looked at.
    pub rows: usize,
    /// How many columns at the end have a one in exactly one of them: a class each.
    pub flags: usize,
}

/// A line that is looked at.
struct Line {
    number: u64,
    /// Its place among the lines that are no remarks.
    place: usize,
    bytes: Vec<u8>,
}

/// The first lines of a file and others all over it.
struct Sampled {
    lines: Vec<Line>,
    /// One line in so many, as a power of two.
    thinned: u32,
    bytes: usize,
}

impl Sampled {
    /// Reads a file once and keeps few of its lines.
    fn of(source: &Source) -> Result<Self> {
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
    const fn counts(&self, place: usize) -> bool {
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

/// Looks at a table.
///
/// # Errors
/// A line that no table has, or a header that does not fit its rows.
pub fn survey(source: &Source, separator: Option<Separator>) -> Result<Survey> {
    let name = &source.name;
    let sampled = Sampled::of(source)?;
    let first = first_lines(source)?;
    let first: Vec<&[u8]> = first.iter().map(Vec::as_slice).collect();
    let dialect = dialect(&first, separator);
    let mut rows = Vec::with_capacity(sampled.lines.len());
    for Line { number, place, bytes } in &sampled.lines {
        let mut fields = Vec::new();
        if !split(bytes, dialect.separator, &mut fields) {
            let place = format_args!("{name}, line {number}").to_string();
            let problem = "has a quotation mark without its second one";
            return Err(Error::bad_input(place, problem, "close it in the same line"));
        }
        if fields.len() > MOST_COLUMNS {
            let place = format_args!("{name}, line {number}").to_string();
            let features = fields.len() - 1;
            let problem = format_args!("has {features} feature columns, over 65536");
            return Err(Error::bad_input(place, problem, "give fewer or smaller rows"));
        }
        fields.shrink_to_fit();
        rows.push((*number, sampled.counts(*place), fields));
    }
    // A title above the header says nothing of columns.
    let titles =
        rows.windows(2).take_while(|pair| is_title(&pair[0].2, &pair[1].2, dialect)).count();
    rows.drain(..titles.min(2));
    let Some((first_line, _, first_row)) = rows.first() else {
        return Err(Error::bad_input(name, "holds no row", "give a CSV file with samples"));
    };
    let rest: Vec<&[&[u8]]> = rows[1..].iter().map(|(_, _, row)| row.as_slice()).collect();
    let width = width_of(first_row, &rest, dialect);
    let header = Header::find(first_row, &rest, width, dialect);
    if let Header::Odd = header {
        let place = format_args!("{name}, line {first_line}").to_string();
        let found = first_row.len();
        let problem = format_args!(
            "the header or first row has {found} fields, but the rows below have {width}"
        );
        return Err(Error::bad_input(place, problem, "correct or delete this line"));
    }
    let units = matches!(header, Header::Whole) && is_units(&rest, width, dialect);
    let mut columns = vec![ColumnSurvey::default(); width];
    let data = rows.iter().skip(usize::from(!matches!(header, Header::None)) + usize::from(units));
    let mut looked_at = 0;
    for (_, _, row) in data.filter(|(_, counted, row)| *counted && row.len() == width) {
        looked_at += 1;
        for (column, field) in columns.iter_mut().zip(row) {
            column.add(field, dialect.decimal_comma);
        }
    }
    let flags = columns.iter().rev().take_while(|column| column.is_flag()).count();
    let one = |row: &[&[u8]]| {
        let set = row[width - flags..]
            .iter()
            .filter(|field| Cell::of(field, dialect.decimal_comma) == Cell::Number(1.0));
        set.count() == 1
    };
    let first_data = usize::from(!matches!(header, Header::None)) + usize::from(units);
    let whole = rows.iter().skip(first_data).filter(|(_, _, row)| row.len() == width);
    let flags =
        if flags >= 3 && whole.map(|(_, _, row)| row).all(|row| one(row)) { flags } else { 0 };
    let (header, row_names) = match header {
        Header::Whole if units => {
            let pairs = first_row.iter().zip(rest[0]);
            let names = pairs.map(|(name, unit)| match (text(name), text(unit)) {
                (name, unit) if unit.is_empty() || name.ends_with([')', ']']) => name,
                (name, unit) if name.is_empty() => unit,
                (name, unit) => format!("{name} ({})", unit.trim_matches(['(', ')', '[', ']'])),
            });
            (Some(names.collect()), false)
        }
        Header::Whole => (Some(first_row.iter().map(|field| text(field)).collect()), false),
        Header::WithoutRowNames => {
            let names = first_row.iter().map(|field| text(field));
            (Some(std::iter::once(String::new()).chain(names).collect()), true)
        }
        Header::None | Header::Odd => (None, false),
    };
    let header_line = if units { rows[1].0 } else { *first_line };
    let counted = header.is_some() && counts(first_row, dialect);
    Ok(Survey {
        counted,
        units,
        dialect,
        header,
        header_line,
        row_names,
        columns,
        rows: looked_at,
        flags,
    })
}

/// Whether a row is a title: one word in many fields, above a header without empty fields.
fn is_title(row: &[&[u8]], below: &[&[u8]], dialect: Dialect) -> bool {
    let word = |field: &&[u8]| Cell::of(field, dialect.decimal_comma) == Cell::Word;
    row.len() == below.len()
        && row.len() > 1
        && row.first().is_some_and(word)
        && row[1..].iter().all(|field| field.is_empty())
        && below.iter().all(word)
}

/// Whether the row below the header has units: no number where the rows below it have numbers.
fn is_units(rest: &[&[&[u8]]], width: usize, dialect: Dialect) -> bool {
    let [units, rows @ ..] = rest else { return false };
    let number = |field: &[u8]| matches!(Cell::of(field, dialect.decimal_comma), Cell::Number(_));
    let rows: Vec<&&[&[u8]]> = rows.iter().filter(|row| row.len() == width).collect();
    let numeric =
        |column: usize| 2 * rows.iter().filter(|row| number(row[column])).count() > rows.len();
    let word = |field: &[u8]| Cell::of(field, dialect.decimal_comma) == Cell::Word;
    units.len() == width
        && rows.len() >= 2
        && units.iter().any(|field| word(field))
        && !units.iter().any(|field| number(field))
        && (0..width).any(&numeric)
        // A value that is missing or wrong in one column of many is that row's fault.
        && (0..width).filter(|&column| numeric(column)).all(|column| {
            word(units[column]) || units[column].is_empty()
        })
        && (0..width).filter(|&column| numeric(column) && word(units[column])).count() * 2
            > (0..width).filter(|&column| numeric(column)).count()
}

/// Whether a row counts 0, 1, 2 … or 1, 2, 3 …, as columns are numbered.
fn counts(row: &[&[u8]], dialect: Dialect) -> bool {
    let numbers = row.iter().map(|field| match Cell::of(field, dialect.decimal_comma) {
        Cell::Number(value) => Some(value),
        Cell::Missing | Cell::Word => None,
    });
    let Some(numbers) = numbers.collect::<Option<Vec<f64>>>() else { return false };
    numbers.len() >= 3
        && [Some(&0.0), Some(&1.0)].contains(&numbers.first())
        && numbers.windows(2).all(|pair| pair[1] == pair[0] + 1.0)
}

/// Whether a line is a remark, or has separators and nothing between them.
pub fn is_comment(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.starts_with(b"#") || line.iter().all(|byte| b",;|\t \"".contains(byte))
}

/// Whether a line is the one by which spreadsheets name their separator.
pub fn is_separator_line(number: u64, line: &[u8]) -> bool {
    number == 1 && line.len() <= 5 && line.to_ascii_lowercase().starts_with(b"sep=")
}

/// Whether text in a folder is a table: most of its first lines have the same number of values, two or more, and many are numbers.
pub fn looks_like_a_table(start: &[u8]) -> bool {
    // The last line may be cut off.
    let whole = start.iter().rposition(|&byte| byte == b'\n').map_or(start, |end| &start[..end]);
    let mut all = Lines::of("", whole);
    let mut lines = Vec::new();
    while lines.len() < DIALECT_LINES
        && let Ok(Some((number, line))) = all.next()
    {
        if !is_comment(line) && !is_separator_line(number, line) {
            lines.push(line);
        }
    }
    let rows = lines.get(1..).filter(|rows| !rows.is_empty()).unwrap_or(&lines);
    SEPARATORS.iter().any(|&separator| {
        let shape = Shape::of(rows, separator);
        shape.width >= 2 && shape.alike >= 0.9 && shape.numbers >= 0.4
    })
}

/// The first lines that are no remarks.
fn first_lines(source: &Source) -> Result<Vec<Vec<u8>>> {
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

/// How lines look with one separator.
struct Shape {
    /// The most frequent number of fields.
    width: usize,
    /// Share of the lines with that many.
    alike: f64,
    /// Share of the fields that are numbers, decimals after a point or a comma.
    numbers: f64,
}

impl Shape {
    fn of(lines: &[&[u8]], separator: Separator) -> Self {
        let mut fields = Vec::new();
        let (mut widths, mut numbers, mut all) = (Vec::new(), 0usize, 0usize);
        let comma = separator != Separator::Byte(b',');
        for line in lines {
            split(line, separator, &mut fields);
            widths.push(fields.len());
            let is_number = |field: &&&[u8]| {
                let forms = [Cell::of(field, false), Cell::of(field, comma)];
                forms.iter().any(|cell| matches!(cell, Cell::Number(_)))
            };
            numbers += fields.iter().filter(is_number).count();
            all += fields.iter().filter(|field| !field.is_empty()).count();
        }
        let width = most_frequent(widths.iter().copied()).unwrap_or(0);
        let alike = widths.iter().filter(|&&other| other == width).count();
        Self {
            width,
            alike: alike as f64 / widths.len().max(1) as f64,
            numbers: numbers as f64 / all.max(1) as f64,
        }
    }
}

/// The separator that gives rows alike with the most numbers, and whether decimals follow a comma.
fn dialect(lines: &[&[u8]], given: Option<Separator>) -> Dialect {
    let rows = if lines.len() > 1 { &lines[1..] } else { lines };
    let separators = if lines.is_empty() { &[][..] } else { &SEPARATORS[..] };
    let mut best = (SEPARATORS[0], 0.0);
    for &separator in separators {
        let shape = Shape::of(rows, separator);
        if shape.width < 2 {
            continue;
        }
        let mut fields = Vec::new();
        split(lines[0], separator, &mut fields);
        let header_agrees = if fields.len() == shape.width { 0.2 } else { 0.0 };
        // A share of numbers within 2 % is as good: the separator that is preferred wins.
        let score = shape.alike.min(0.9) + shape.numbers + header_agrees + 0.01;
        if score > best.1 + 0.02 {
            best = (separator, score);
        }
    }
    let separator = given.unwrap_or(best.0);
    let mut fields = Vec::new();
    let (mut commas, mut points) = (0, 0);
    for line in rows {
        split(line, separator, &mut fields);
        for field in &fields {
            let with = |comma| matches!(Cell::of(field, comma), Cell::Number(_));
            commas += usize::from(with(true) && !with(false));
            points += usize::from(with(false) && field.contains(&b'.'));
        }
    }
    let decimal_comma = separator != Separator::Byte(b',') && commas > points;
    Dialect { separator, decimal_comma }
}

fn most_frequent(numbers: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts = std::collections::BTreeMap::new();
    for number in numbers {
        *counts.entry(number).or_insert(0usize) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(number, _)| number)
}

/// Fields of a row: of most of them. A first row without a word is a row like the others, and counts.
fn width_of(first: &[&[u8]], rest: &[&[&[u8]]], dialect: Dialect) -> usize {
    let usual = most_frequent(rest.iter().map(|row| row.len())).unwrap_or(first.len());
    let with = |width: usize| rest.iter().filter(|row| row.len() == width).count();
    let is_row = first.iter().all(|field| Cell::of(field, dialect.decimal_comma) != Cell::Word);
    if is_row && with(first.len()) + 1 >= with(usual) { first.len() } else { usual }
}

/// What the first row is.
enum Header {
    /// A row like the others.
    None,
    /// A header with a field for each column.
    Whole,
    /// A header without a field for the first column, which names the rows.
    WithoutRowNames,
    /// Neither a header nor a row.
    Odd,
}

/// Whether the first fields of rows may be names of rows: hardly one comes again, and none is a fraction.
fn names_rows(rest: &[&[&[u8]]], dialect: Dialect) -> bool {
    let names: Vec<&[u8]> = rest.iter().filter_map(|row| row.first().copied()).collect();
    let whole = |name: &&[u8]| match Cell::of(name, dialect.decimal_comma) {
        Cell::Number(value) => value.fract() == 0.0,
        Cell::Word => true,
        Cell::Missing => false,
    };
    let distinct: HashSet<&[u8]> = names.iter().copied().collect();
    names.iter().all(whole) && 10 * distinct.len() >= 9 * names.len()
}

impl Header {
    fn find(first: &[&[u8]], rest: &[&[&[u8]]], width: usize, dialect: Dialect) -> Self {
        let cells: Vec<Cell> =
            first.iter().map(|field| Cell::of(field, dialect.decimal_comma)).collect();
        let numbers = cells.iter().filter(|cell| matches!(cell, Cell::Number(_))).count();
        let words = cells.iter().filter(|cell| **cell == Cell::Word).count();
        if first.len() != width && !rest.is_empty() {
            // One row of another width among others is told by its own line.
            let agree = rest.iter().filter(|row| row.len() == width).count();
            return match () {
                () if words == 0 || agree < 2 => Self::None,
                () if first.len() + 1 == width && numbers == 0 && names_rows(rest, dialect) => {
                    Self::WithoutRowNames
                }
                () => Self::Odd,
            };
        }
        let fractions = |row: &&&[&[u8]]| {
            let has = |field: &&[u8]| match Cell::of(field, dialect.decimal_comma) {
                Cell::Number(value) => value.fract() != 0.0,
                Cell::Missing | Cell::Word => false,
            };
            row.iter().any(has)
        };
        // Numbers of columns over rows of fractions or names, and no such row below.
        let numbered = counts(first, dialect)
            && !rest.iter().any(|row| counts(row, dialect))
            && 2 * rest.iter().filter(fractions).count() > rest.len();
        if numbered {
            return Self::Whole;
        }
        if words == 0 {
            return Self::None;
        }
        let likes: Vec<&&[&[u8]]> = rest.iter().filter(|row| row.len() == width).collect();
        let recurs =
            |column: usize| likes.iter().any(|row| row[column].eq_ignore_ascii_case(first[column]));
        if numbers > 0 {
            // Columns may be named 0, 1, 2 …, beside a word that names the label.
            let found = cells.iter().filter_map(|cell| match cell {
                Cell::Number(value) => Some(*value),
                Cell::Missing | Cell::Word => None,
            });
            let found: Vec<f64> = found.collect();
            let counts = found.windows(2).all(|pair| pair[1] == pair[0] + 1.0);
            let begins = found.first().is_some_and(|first| [0.0, 1.0].contains(first));
            let word_recurs =
                (0..width).any(|column| cells[column] == Cell::Word && recurs(column));
            let named = counts && begins && found.len() >= 3 && !word_recurs;
            // No class is called label.
            let is_label = |column: &usize| {
                let name = String::from_utf8_lossy(first[*column]).to_lowercase();
                LABEL_NAMES.contains(&name.trim()) && !recurs(*column)
            };
            let named = named || (0..width).any(|column| is_label(&column));
            return if named && !likes.is_empty() { Self::Whole } else { Self::None };
        }
        let marks = first.iter().zip(&cells).skip(1);
        // A mark for a missing value stands in a row; an empty name may stand in a header.
        if marks.clone().any(|(field, cell)| *cell == Cell::Missing && !field.is_empty()) {
            return Self::None;
        }
        let below = |column: usize| {
            let is_number = |row: &&&&[&[u8]]| {
                matches!(Cell::of(row[column], dialect.decimal_comma), Cell::Number(_))
            };
            likes.iter().filter(is_number).count()
        };
        let over_numbers = (0..width).any(|column| 2 * below(column) > likes.len());
        let new_words = (0..width).filter(|&column| !recurs(column)).count();
        // Nothing but words in all rows: names do not come again below.
        if likes.is_empty() || over_numbers || 2 * new_words > width {
            Self::Whole
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str) -> Survey {
        survey(&Source::of_bytes("t".into(), text.into()), None).unwrap()
    }

    #[test]
    fn separators_show() {
        for (text, separator, comma) in [
            ("1,2,0\n3,4,1\n", ",", false),
            ("a;b;c\n1,5;2;0\n2,5;3;1\n", ";", true),
            ("a;b;c\n1.5;2;0\n2.5;3;1\n", ";", false),
            ("1\t2\t0\n3\t4\t1\n", "tab", false),
            ("1|2|0\n3|4|1\n", "|", false),
            ("  1.0e0  -2 0\n 3 4   1\n", "space", false),
            ("1, 2, 0\n3, 4, 1\n", ",", false),
            ("x;y,1,2\nz;w,2,3\nx;w,3,4\n", ",", false),
            ("Date;CO;T;RH;\n10/03/2004;2,6;13,6;48,9;\n", ";", true),
            ("sep=;\na;b\n1;2\n3;4\n", ";", false),
            ("a,b,label\n1.5 V,2,x\n2.5 V,3,y\n", ",", false),
            ("time,x\n2015-02-04 17:51:00,23.1\n2015-02-04 17:52:00,23.2\n", ",", false),
            ("\u{feff}a;b\r\n7,1;0\r\n7,2;1\r\n", ";", true),
        ] {
            let found = look(text).dialect;
            let expected = Dialect { separator: separator.parse().unwrap(), decimal_comma: comma };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_header_is_a_row_of_names() {
        for (text, is_header) in [
            ("a,b,label\n1,2,0\n", true),
            ("1,2,0\n3,4,1\n", false),
            ("5.1,?,1.4,0\n4.9,3.0,1.4,0\n", false),
            ("?,?,x\n1,2,x\n3,4,y\n", false),
            ("1,x,0\n3,4,1\n", false),
            ("-0.5,10,x\n0.5,20,y\n", false),
            ("label,0,1,2,3\n5,9,9,9,9\n6,8,8,8,8\n", true),
            ("1,2,3,cat\n4,5,6,dog\n7,8,9,cat\n", false),
            (",a,b,label\n0,1,2,x\n1,3,4,y\n", true),
            ("p,x,n\ne,x,n\np,y,n\ne,y,m\n", false),
            ("cap,odor,class\ne,x,n\np,y,n\ne,y,m\n", true),
            ("M,0.4,15\nF,0.5,7\nM,0.3,9\n", false),
            ("# remark\na,b\n1,2\n", true),
            ("2019,2020,label\n5,6,x\n1,2,y\n", true),
            (",,\na,b,label\n5,6,x\n1,2,y\n", true),
            ("0,1,2\n5.5,6.5,0\n1.5,2.5,1\n", true),
            ("0,1,2\n5,6,0\n1,2,1\n", false),
            ("1,2,3\n0.5,0.5,1\n0,1,2\n1.5,1.5,1\n", false),
        ] {
            assert_eq!(look(text).header.is_some(), is_header, "{text}");
        }
    }

    #[test]
    fn a_header_one_field_short_leaves_out_the_row_names() {
        let found = look("\"a\",\"b\"\n\"1\",5,0\n\"2\",6,1\n\"3\",7,1\n");
        assert!(found.row_names);
        assert_eq!(found.header.unwrap(), ["", "a", "b"]);
        for text in [
            "6,2,malignant,benign\n1,2,0\n3,4,1\n",
            "a,b,c,d,e\n1,2,0\n3,4,1\n",
            "a,b,label\n1.5,2,0,9\n3.5,4,1,9\n2.5,4,1,9\n",
        ] {
            let source = Source::of_bytes("t".into(), text.into());
            let error = survey(&source, None).unwrap_err().to_string();
            assert!(error.contains("line 1: the header or first row has"), "{error}");
        }
        // One row that is too long is that row's fault.
        assert!(look("1,2,3,0\n4,5,6,1\n7,8,1\n").header.is_none());
    }

    #[test]
    fn a_second_header_has_units() {
        let found = look("acc,gyro [rad/s],label\nm/s2,rad/s,\n1.5,2,x\n2.5,3,y\n1,2,x\n");
        assert_eq!(found.header.unwrap(), ["acc (m/s2)", "gyro [rad/s]", "label"]);
        assert_eq!((found.header_line, found.rows), (2, 3));
        // One faulty value, or a row of words among others, is no unit.
        for text in ["a,b,c,label\nx,1,2,0\n1,2,3,0\n4,5,6,1\n", "a,b\nx,u\ny,v\nx,w\n"] {
            assert_eq!(look(text).header_line, 1, "{text}");
        }
    }

    #[test]
    fn a_title_is_no_header_and_empty_names_take_the_second_line() {
        let found = look("Experiment 5,,\na,b,label\n1.5,2,x\n2.5,3,y\n1,2,x\n");
        assert_eq!(
            (found.header.unwrap(), found.header_line),
            (vec!["a".into(), "b".into(), "label".into()], 2)
        );
        let found = look("acc,acc,\nx,y,label\n1.5,2,x\n2.5,3,y\n1,2,x\n");
        assert_eq!(found.header.unwrap(), ["acc (x)", "acc (y)", "label"]);
    }

    #[test]
    fn a_one_in_one_of_several_columns_is_seen() {
        for (text, flags) in [
            ("a,x,y,z\n5,1,0,0\n6,0,1,0\n7,0,0,1\n", 3),
            ("a,x,y,z\n5,1,0,0\n6,1,1,0\n7,0,0,1\n", 0),
            ("a,x,y\n5,1,0\n6,0,1\n", 0),
        ] {
            assert_eq!(look(text).flags, flags, "{text}");
        }
    }

    #[test]
    fn rows_that_take_turns_are_all_seen() {
        for turns in [2, 3, 4, 8, 16, 64] {
            let text: String = (0..100_000).map(|row| format!("{row},{}\n", row % turns)).collect();
            let found = look(&text);
            assert_eq!(found.columns[1].distinct.len(), turns, "{turns}");
            assert!((2048..=8193).contains(&found.rows), "{}", found.rows);
            assert!(found.columns[0].rises);
        }
    }

    #[test]
    fn text_is_not_a_table() {
        assert!(looks_like_a_table(b"1 2 3\n4 5 6\n"));
        assert!(looks_like_a_table(b"a;b\n1,5;2\n2,5;4\n3"));
        assert!(!looks_like_a_table(b"Permission is hereby granted, free of charge,\nto any\n"));
        assert!(!looks_like_a_table(b"words\n"));
    }
}
