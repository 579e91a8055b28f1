//! From text to the numbers of a table, by the roles of its columns.

use super::cell::{Cell, is_missing, seconds};
use super::lines::{Text, is_comment, is_separator_line, split, text};
use super::roles::{MOST_CATEGORIES, Origin, Plan};
use super::survey::Survey;
use crate::data::format::File;
use crate::data::options::Missing;
use crate::data::table::{Answers, Table, Values, Vocabulary};
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Longest class name in bytes.
const LONGEST_NAME: usize = 256;
/// Most classes.
const MOST_CLASSES: usize = 1000;
/// Most groups.
const MOST_GROUPS: usize = 1 << 20;
/// Most rows of a file.
const MOST_ROWS: usize = 1 << 24;
/// Most feature values of a file, all rows together.
const MOST_VALUES: usize = 1 << 27;
/// Characters of a field that an error quotes.
const MOST_QUOTED: usize = 40;
/// A gap is a step in time of so many usual ones.
const GAP: f64 = 1.5;

/// What the words in all files of the data stand for.
pub struct Words {
    /// Classes.
    pub labels: Vocabulary,
    /// Groups.
    pub groups: Vocabulary,
    /// The words of each feature.
    pub categories: Vec<Vocabulary>,
    /// The fields that stood for a class or a group before, as they were written.
    written: [Written; 2],
}

/// What fields stood for.
#[derive(Default)]
struct Written {
    known: HashMap<Box<[u8]>, u32>,
    last: (Vec<u8>, u32),
}

impl Written {
    /// Most fields that are remembered.
    const MOST: usize = 4096;

    fn find(&mut self, field: &[u8]) -> Option<u32> {
        // Most rows have what the row before has; no class is written with nothing.
        if !field.is_empty() && self.last.0 == field {
            return Some(self.last.1);
        }
        let found = *self.known.get(field)?;
        self.last = (field.to_vec(), found);
        Some(found)
    }

    fn remember(&mut self, field: &[u8], place: u32) {
        if self.known.len() < Self::MOST {
            self.known.insert(field.into(), place);
        }
    }
}

impl Words {
    /// None yet but the categories that a network knows.
    pub fn new(plan: &Plan) -> Self {
        let categories = plan.features.iter().map(|feature| {
            let known = feature.categories.iter().flatten();
            let mut words = Vocabulary::default();
            known.for_each(|word| {
                words.place(word);
            });
            words
        });
        Self {
            labels: Vocabulary::default(),
            groups: Vocabulary::default(),
            categories: categories.collect(),
            written: Default::default(),
        }
    }
}

/// How a file is read.
pub struct Reading<'a> {
    /// The file.
    pub file: &'a File,
    /// How it is written.
    pub survey: &'a Survey,
    /// What its columns are.
    pub plan: &'a Plan,
    /// What becomes of missing values.
    pub missing: Missing,
    /// Whether labels are values to predict.
    pub values: bool,
}

impl Reading<'_> {
    /// The rows of the file.
    ///
    /// # Errors
    /// One line that names the file and the row.
    pub fn parse(&self, words: &mut Words) -> Result<Table> {
        let source = &self.file.source;
        let mut table = Table::new(source.name.clone(), self.file.part, self.plan.features.len());
        if self.values {
            table.answers = Answers::Values(Vec::new());
        }
        let of_file = self.of_names(words)?;
        let mut times = Values::new(1);
        let mut text = Text::of(source)?;
        while let Some(mut lines) = text.piece()? {
            let (mut fields, mut numbers) = (Vec::new(), Vec::new());
            while let Some((line, bytes)) = lines.next()? {
                let is_header = self.survey.header.is_some() && line <= self.survey.header_line;
                if is_header || is_comment(bytes) || is_separator_line(line, bytes) {
                    continue;
                }
                if !split(bytes, self.survey.dialect.separator, &mut fields) {
                    let problem = "has a quotation mark without its second one";
                    return Err(self.at(line, problem, "close it in the same line"));
                }
                if fields.iter().all(|field| field.is_empty()) {
                    continue;
                }
                numbers.clear();
                self.row(line, &fields, words, &mut numbers, of_file, &mut table, &mut times)?;
            }
        }
        if table.rows() == 0 {
            let (problem, advice) = ("holds no row", "give a CSV file with samples");
            return Err(Error::bad_input(&source.name, problem, advice));
        }
        table.find_gaps(&times, GAP);
        Ok(table)
    }

    /// Appends a row, unless it is to be dropped.
    #[expect(clippy::too_many_arguments, reason = "what a row is made of and where it goes")]
    fn row(
        &self,
        line: u64,
        fields: &[&[u8]],
        words: &mut Words,
        numbers: &mut Vec<f64>,
        of_file: (u32, u32),
        table: &mut Table,
        times: &mut Values,
    ) -> Result<()> {
        if fields.len() != self.plan.width {
            let (found, wanted) = (fields.len(), self.plan.width);
            let problem = format!("has {found} columns instead of {wanted}");
            return Err(self.at(line, &problem, "correct the row"));
        }
        let too_large = |problem: String| self.at(line, &problem, "give fewer or smaller rows");
        if table.rows() == MOST_ROWS {
            return Err(too_large(format!("is beyond the {MOST_ROWS} rows that are read")));
        }
        if table.values.len() + self.plan.features.len() > MOST_VALUES {
            return Err(too_large(format!("is beyond the {MOST_VALUES} values that are read")));
        }
        if !self.features(line, fields, words, numbers)? {
            table.dropped += 1;
            return Ok(());
        }
        self.answer(line, fields, words, of_file.0, table)?;
        table.groups.push(self.group(fields, words, of_file.1, line)?);
        if let Some(column) = self.plan.time {
            times.push(match Cell::of(fields[column], self.survey.dialect.decimal_comma) {
                Cell::Number(time) => time,
                Cell::Missing | Cell::Word => seconds(fields[column]).unwrap_or(f64::NAN),
            });
        }
        table.values.extend(numbers.drain(..));
        table.lines.push(line);
        Ok(())
    }

    fn at(&self, line: u64, problem: &str, advice: &str) -> Error {
        let name = &self.file.source.name;
        Error::bad_input(format_args!("{name}, line {line}"), problem, advice)
    }

    /// How messages name a column.
    fn title(&self, column: usize) -> String {
        let name = self.survey.header.as_ref().and_then(|names| names.get(column));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("column {} ({})", column + 1, start(name)),
            None => format!("column {}", column + 1),
        }
    }

    /// Label and group where the file's name says them.
    fn of_names(&self, words: &mut Words) -> Result<(u32, u32)> {
        let path = &self.file.place;
        let find = |origin: &Origin, words: &mut Vocabulary, option: &str| -> Result<u32> {
            match origin {
                Origin::Names(place) => {
                    let name = place.of(path).ok_or_else(|| {
                        let problem =
                            format!("its name has nothing for {option} {}", place.option());
                        Error::bad_input(path, problem, "rename the file or choose another option")
                    })?;
                    Ok(words.place(&canonical(&name)))
                }
                Origin::Columns(_) | Origin::Nowhere => Ok(0),
            }
        };
        Ok((
            find(&self.plan.label, &mut words.labels, "--label")?,
            find(&self.plan.group, &mut words.groups, "--group")?,
        ))
    }

    /// Appends the features of a row. `false` if the row is to be dropped.
    fn features(
        &self,
        line: u64,
        fields: &[&[u8]],
        words: &mut Words,
        numbers: &mut Vec<f64>,
    ) -> Result<bool> {
        for (feature, categories) in self.plan.features.iter().zip(&mut words.categories) {
            let column = feature.column;
            let field = fields[column];
            if feature.words {
                if field.is_empty() || field == b"?" {
                    match self.missing {
                        Missing::Drop => return Ok(false),
                        // A row without the word has none of the category's columns set.
                        Missing::Fill => numbers.push(-1.0),
                        Missing::Refuse => return Err(self.missing_value(line, column, field)),
                    }
                    continue;
                }
                numbers.push(self.category(
                    line,
                    column,
                    feature.categories.is_some(),
                    field,
                    categories,
                )?);
                continue;
            }
            match Cell::of(field, self.survey.dialect.decimal_comma) {
                Cell::Number(value) => numbers.push(value),
                Cell::Missing => match self.missing {
                    Missing::Drop => return Ok(false),
                    Missing::Fill => numbers.push(f64::NAN),
                    Missing::Refuse => return Err(self.missing_value(line, column, field)),
                },
                Cell::Word => {
                    let problem =
                        format!("{} holds {}, not a number", self.title(column), quoted(field));
                    return Err(self.at(
                        line,
                        &problem,
                        "correct the value, or leave the column out with --drop",
                    ));
                }
            }
        }
        Ok(true)
    }

    fn category(
        &self,
        line: u64,
        column: usize,
        fixed: bool,
        field: &[u8],
        words: &mut Vocabulary,
    ) -> Result<f64> {
        let word = text(field);
        if let Some(place) = words.find(&word) {
            return Ok(f64::from(place));
        }
        if fixed {
            let title = self.title(column);
            let problem =
                format!("{title} holds {}, which the network does not know", quoted(field));
            return Err(self.at(line, &problem, "give values as in training"));
        }
        if words.len() == MOST_CATEGORIES {
            let title = self.title(column);
            let problem = format!("{title} holds more than {MOST_CATEGORIES} different words");
            return Err(self.at(line, &problem, "leave the column out with --drop"));
        }
        Ok(f64::from(words.place(&word)))
    }

    fn missing_value(&self, line: u64, column: usize, field: &[u8]) -> Error {
        let title = self.title(column);
        let problem = match field.is_empty() {
            true => format!("{title} is empty: the value is missing"),
            false => format!("{title} holds {}: the value is missing, not a number", quoted(field)),
        };
        self.at(line, &problem, "correct it, or choose --missing drop or --missing fill")
    }

    /// Appends the class of a row, or the values to predict.
    fn answer(
        &self,
        line: u64,
        fields: &[&[u8]],
        words: &mut Words,
        of_file: u32,
        table: &mut Table,
    ) -> Result<()> {
        let columns = match &self.plan.label {
            Origin::Columns(columns) => columns.as_slice(),
            Origin::Names(_) | Origin::Nowhere => &[],
        };
        match &mut table.answers {
            Answers::Values(values) => {
                for &column in columns {
                    match Cell::of(fields[column], self.survey.dialect.decimal_comma) {
                        Cell::Number(value) => values.push(value),
                        Cell::Missing | Cell::Word => {
                            let (title, field) = (self.title(column), quoted(fields[column]));
                            let problem = format!(
                                "{title}, which is to be predicted, holds {field}, not a number"
                            );
                            return Err(self.at(line, &problem, "correct the value"));
                        }
                    }
                }
            }
            Answers::Classes(classes) => match columns {
                [column] => classes.push(self.class(line, *column, fields[*column], words)?),
                _ => classes.push(of_file),
            },
        }
        Ok(())
    }

    fn class(&self, line: u64, column: usize, field: &[u8], words: &mut Words) -> Result<u32> {
        if let Some(place) = words.written[0].find(field) {
            return Ok(place);
        }
        let title = self.title(column);
        let is_last = column + 1 == self.plan.width;
        if field.is_empty() || (is_missing(field) && field != b"-") {
            let place = if is_last { "its last column".to_string() } else { title };
            let problem = format!("has no label in {place}");
            return Err(self.at(line, &problem, "add the label"));
        }
        let name = match Cell::of(field, self.survey.dialect.decimal_comma) {
            Cell::Number(value) if value.fract() != 0.0 => {
                let problem = format!(
                    "label {} in {title} is a number with a fraction, not a class: this looks like regression",
                    quoted(field)
                );
                let advice = "add --task regression, or name the column of the class with --label";
                return Err(self.at(line, &problem, advice));
            }
            Cell::Number(value) => format!("{value:.0}"),
            Cell::Missing | Cell::Word => text(field),
        };
        if let Some(place) = words.labels.find(&name) {
            words.written[0].remember(field, place);
            return Ok(place);
        }
        let advice = "name the column of the class with --label";
        if name.len() > LONGEST_NAME {
            let problem = format!("has a class name of {} bytes, over {LONGEST_NAME}", name.len());
            return Err(self.at(line, &problem, advice));
        }
        if words.labels.len() == MOST_CLASSES {
            let problem = format!("has more than {MOST_CLASSES} classes");
            return Err(self.at(line, &problem, advice));
        }
        Ok(words.labels.place(&name))
    }

    fn group(&self, fields: &[&[u8]], words: &mut Words, of_file: u32, line: u64) -> Result<u32> {
        let Origin::Columns(columns) = &self.plan.group else { return Ok(of_file) };
        let field = columns.first().map_or(&b""[..], |&column| fields[column]);
        if let Some(place) = words.written[1].find(field) {
            return Ok(place);
        }
        let name = canonical(&text(field));
        if let Some(place) = words.groups.find(&name) {
            words.written[1].remember(field, place);
            return Ok(place);
        }
        if words.groups.len() == MOST_GROUPS {
            let problem = format!("has more than {MOST_GROUPS} groups");
            return Err(self.at(line, &problem, "choose another column with --group"));
        }
        Ok(words.groups.place(&name))
    }
}

/// One form of a name for all ways to write a whole number.
pub fn canonical(name: &str) -> String {
    match Cell::of(name.as_bytes(), false) {
        Cell::Number(value) if value.fract() == 0.0 => format!("{value:.0}"),
        _ => name.to_string(),
    }
}

/// A field in quotation marks, or its beginning.
fn quoted(field: &[u8]) -> String {
    format!("'{}'", start(&text(field)))
}

fn start(field: &str) -> String {
    let start: String = field.chars().take(MOST_QUOTED).collect();
    let more = if start.len() < field.len() { "…" } else { "" };
    format!("{start}{more}")
}
