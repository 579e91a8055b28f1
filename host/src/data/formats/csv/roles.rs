//! Which column is what: label, group, time, features. What is not said is guessed, and each guess is told; a doubtful one is refused.

use super::column::{ColumnSurvey, Kind};
use super::header::LABEL_NAMES;
use super::survey::Survey;
use crate::data::column::split_unit;
use crate::data::format::Request;
use crate::data::naming::NamePlace;
use crate::data::options::DataOptions;
use crate::error::{Error, Result};
use crate::task::Task;

/// Names that a label is likely to have, where the last column cannot be one.
const LIKELY_LABEL_NAMES: [&str; 10] = [
    "activity",
    "activities",
    "gesture",
    "species",
    "diagnosis",
    "category",
    "outcome",
    "command",
    "word",
    "fault",
];
/// Beginnings and whole names of columns that tell the time of a row.
const TIME_NAMES: [&str; 10] =
    ["time", "timestamp", "seconds", "millis", "elapsed", "date", "datetime", "ms", "t", "epoch"];
/// Names of columns that tell who or what was recorded.
const GROUP_NAMES: [&str; 8] =
    ["subject", "user", "person", "participant", "patient", "session", "id", "uuid"];
/// Most classes of a label that is guessed.
const MOST_GUESSED_CLASSES: usize = 50;
/// Most different words of a column that is a feature.
pub const MOST_CATEGORIES: usize = 64;
/// Rows from which on a column that rises is told from chance.
const ROWS_THAT_TELL: usize = 20;
/// Columns that a message lists.
const MOST_LISTED: usize = 12;

/// Where labels or groups come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// Columns, from 0.
    Columns(Vec<usize>),
    /// The names of the files.
    Names(NamePlace),
    /// Nowhere.
    Nowhere,
}

/// A column that is read as a feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its place in a row, from 0.
    pub column: usize,
    /// Its field in the header.
    pub name: Option<String>,
    /// Whether it holds words, each of which becomes a column of zeros and ones.
    pub words: bool,
    /// The words, where they are known.
    pub categories: Option<Vec<String>>,
}

/// The roles of a table's columns.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where labels are, or the values to predict.
    pub label: Origin,
    /// Names of the label's columns.
    pub label_names: Vec<Option<String>>,
    /// Where groups are.
    pub group: Origin,
    /// The column that tells the time of a row in numbers.
    pub time: Option<usize>,
    /// The features in the order in which the network reads them.
    pub features: Vec<Feature>,
    /// The options with every guess made explicit.
    pub options: DataOptions,
    /// Fields of a row.
    pub width: usize,
    /// The header's fields.
    pub header: Option<Vec<String>>,
}

/// What the other files of the data say about labels.
#[derive(Clone, Copy, Debug, Default)]
pub struct Siblings {
    /// How many files there are.
    pub files: usize,
    /// Whether they stand in several folders that are not parts.
    pub folders: bool,
    /// Whether no file's name says a part.
    pub without_parts: bool,
    /// Whether names of several of them differ in digits alone.
    pub numbered: bool,
}

/// Settles the roles of a table's columns.
///
/// # Errors
/// Names that no column has, or a guess that would be doubtful; both name the option.
pub fn settle(
    request: &Request<'_>,
    survey: &Survey,
    file: &str,
    siblings: Siblings,
) -> Result<Plan> {
    let mut roles = Roles { request, survey, file, used: vec![false; survey.columns.len()] };
    roles.plan(siblings)
}

struct Roles<'a> {
    request: &'a Request<'a>,
    survey: &'a Survey,
    file: &'a str,
    /// Columns that have a role.
    used: Vec<bool>,
}

impl Roles<'_> {
    fn plan(&mut self, siblings: Siblings) -> Result<Plan> {
        let asked = self.request.options;
        let mut options = asked.clone();
        let windowed = asked.window.is_some();
        for (option, list) in [("--drop", &asked.drop), ("--features", &asked.features)] {
            for name in list {
                let column = match self.find(name, option) {
                    // What training data had to leave out, other data need not have.
                    Err(_) if option == "--drop" && self.request.convention.is_some() => continue,
                    found => found?,
                };
                self.used[column] |= option == "--drop";
            }
        }
        let group = match &asked.group {
            None => Origin::Nowhere,
            Some(text) => match (self.by_name(text), NamePlace::parse(text)) {
                (None, Some(place)) => Origin::Names(place),
                _ => Origin::Columns(vec![self.find(text, "--group")?]),
            },
        };
        if let Origin::Columns(columns) = &group {
            columns.iter().for_each(|&column| self.used[column] = true);
        }
        let label = self.label(siblings)?;
        if let Origin::Columns(columns) = &label {
            columns.iter().for_each(|&column| self.used[column] = true);
            let names = columns.iter().map(|&column| self.option_name(column));
            options.label = names.collect();
        } else if let Origin::Names(place) = label {
            options.label = vec![place.option()];
        }
        let label_names = match &label {
            Origin::Columns(columns) => columns.iter().map(|&column| self.name(column)).collect(),
            Origin::Names(_) | Origin::Nowhere => Vec::new(),
        };
        let time = self.leave_out(windowed, &mut options)?;
        let features = self.features()?;
        if features.is_empty() && self.survey.rows == 0 {
            return Err(self.error("holds no row below its header", "add samples"));
        }
        if features.is_empty() {
            let advice = "put features into columns beside the label, or name them with --features";
            return Err(self.error("has no feature column", advice));
        }
        Ok(Plan {
            label,
            label_names,
            group,
            time,
            features,
            options,
            width: self.survey.columns.len(),
            header: self.survey.header.clone(),
        })
    }

    fn error(&self, problem: impl std::fmt::Display, advice: impl std::fmt::Display) -> Error {
        Error::bad_input(self.file, problem, advice)
    }

    fn note(&self, text: String) {
        self.request.note(text);
    }

    fn name(&self, column: usize) -> Option<String> {
        let header = self.survey.header.as_ref()?;
        header.get(column).filter(|name| !name.is_empty()).cloned()
    }

    /// How messages name a column.
    fn title(&self, column: usize) -> String {
        match self.name(column) {
            Some(name) => format!("column {} '{}'", column + 1, short(&name)),
            None => format!("column {}", column + 1),
        }
    }

    /// How options name a column, so that it is found again.
    fn option_name(&self, column: usize) -> String {
        let name = self.name(column).filter(|name| !name.contains(','));
        match name {
            Some(name) if self.by_name(&name) == Some(column) => name,
            _ if column + 1 == self.survey.columns.len() => "-1".to_string(),
            _ => (column + 1).to_string(),
        }
    }

    /// The column of that name, with or without its unit, in these letters or in others.
    fn by_name(&self, wanted: &str) -> Option<usize> {
        by_name(self.survey.header.as_deref()?, wanted)
    }

    fn find(&self, text: &str, option: &str) -> Result<usize> {
        if let Some(column) = self.by_name(text) {
            return Ok(column);
        }
        let width = self.survey.columns.len();
        let place = format!("{option} {text}");
        match text.parse::<i64>() {
            Ok(number) if number >= 1 && number <= width as i64 => Ok(number as usize - 1),
            Ok(number) if number < 0 && -number <= width as i64 => {
                Ok((width as i64 + number) as usize)
            }
            Ok(_) => {
                let problem = format!("{} has columns 1 to {width}", self.file);
                Err(Error::bad_input(place, problem, "count from 1, or from -1 at the end"))
            }
            Err(_) => {
                let problem = match &self.survey.header {
                    Some(names) => format!("{} has the columns {}", self.file, listed(names)),
                    None => format!("{} has no header that names columns", self.file),
                };
                Err(Error::bad_input(place, problem, "give one of its names, or a number from 1"))
            }
        }
    }

    fn label(&self, siblings: Siblings) -> Result<Origin> {
        let asked = &self.request.options.label;
        let task = self.request.task();
        if let [only] = asked.as_slice()
            && self.by_name(only).is_none()
            && let Some(place) = NamePlace::parse(only)
        {
            return Ok(Origin::Names(place));
        }
        if !asked.is_empty() {
            let columns: Result<Vec<usize>> =
                asked.iter().map(|name| self.find(name, "--label")).collect();
            let columns = columns?;
            if columns.len() > 1 && task != Task::Regression {
                let problem = "several columns are values to predict, not one class";
                return Err(Error::bad_input("--label", problem, "add --task regression"));
            }
            return Ok(Origin::Columns(columns));
        }
        let named: Vec<usize> = (0..self.survey.columns.len())
            .filter(|&column| !self.used[column] && self.is_label_name(column))
            .collect();
        match named.as_slice() {
            [] => {}
            [column] => {
                if task == Task::Classification {
                    self.check_classes(*column)?;
                }
                if *column + 1 != self.survey.columns.len() {
                    self.note(format!("label: {}, by its name", self.title(*column)));
                }
                return Ok(Origin::Columns(vec![*column]));
            }
            [first, second, ..] => {
                let (first, second) = (self.title(*first), self.title(*second));
                let problem = format!("{first} and {second} both have a label's name");
                return Err(
                    self.error(problem, "choose one with --label, leave out others with --drop")
                );
            }
        }
        if task == Task::Classification
            && let Some(column) = self.likely_label()
        {
            self.note(format!(
                "label: {}, by its name; the last column holds fractions",
                self.title(column)
            ));
            return Ok(Origin::Columns(vec![column]));
        }
        let last = (0..self.survey.columns.len())
            .rev()
            .find(|&column| self.survey.columns[column].kind() != Kind::Nothing)
            .filter(|&column| !self.used[column]);
        let guess = last.map(|column| (column, self.doubt_of_classes(column)));
        match task {
            Task::Regression => {
                let advice = "name the columns to predict with --label, for example --label -1";
                Err(self.error("does not say which column is to be predicted", advice))
            }
            Task::Reconstruction => match guess {
                // Without a header the usual place decides, if classes stand there.
                Some((column, doubt))
                    if self.survey.header.is_none()
                        && self.fits_classes(column, doubt.as_deref()) =>
                {
                    self.note(format!(
                        "label: {}, the last; a reconstruction does not learn it",
                        self.title(column)
                    ));
                    Ok(Origin::Columns(vec![column]))
                }
                _ => {
                    self.note("no label: every column is a feature".to_string());
                    Ok(Origin::Nowhere)
                }
            },
            Task::Classification => {
                if siblings.without_parts && siblings.folders {
                    self.note("label: the folder that a file is in".to_string());
                    return Ok(Origin::Names(NamePlace::Folder));
                }
                match guess {
                    Some((column, None)) => {
                        if self.survey.columns.len() > 1 && self.survey.header.is_some() {
                            self.note(format!("label: {}, the last", self.title(column)));
                        }
                        Ok(Origin::Columns(vec![column]))
                    }
                    _ if siblings.without_parts && siblings.files > 1 => {
                        self.check_names(siblings)?;
                        self.note("label: the name of the file, one class a file".to_string());
                        Ok(Origin::Names(NamePlace::Stem))
                    }
                    Some((_, Some(doubt))) => {
                        let advice = match self.words() {
                            Some(column) => format!("as with --label {}", self.option_name(column)),
                            None => "with --label NAME or --label NUMBER".to_string(),
                        };
                        Err(self.error(
                            doubt,
                            format!(
                                "name the label {advice} (--task regression to predict numbers)"
                            ),
                        ))
                    }
                    None => {
                        let advice = "name it with --label, or give files of one class each";
                        Err(self.error("has no column for the label", advice))
                    }
                }
            }
        }
    }

    /// Refuses the names of files as classes where something else says that they are none.
    fn check_names(&self, siblings: Siblings) -> Result<()> {
        if let Some(column) = self.words() {
            let problem = format!("{} holds words and may be the class", self.title(column));
            let advice = format!(
                "add --label {}, or --label file if each file is of one class",
                self.option_name(column)
            );
            return Err(self.error(problem, advice));
        }
        if siblings.numbered {
            let problem = "says no class, and the names of some files differ in numbers alone";
            let advice = "name the column of the class with --label, or give --label file:1 for the first part of a name, --label file for all of it";
            return Err(self.error(problem, advice));
        }
        Ok(())
    }

    /// The only column of a few words that come again and again.
    fn words(&self) -> Option<usize> {
        let words = |column: &usize| {
            let survey = &self.survey.columns[*column];
            let distinct = survey.distinct.len();
            !self.used[*column]
                && survey.kind() == Kind::Words
                && (2..=MOST_GUESSED_CLASSES).contains(&distinct)
                && 2 * distinct <= self.survey.rows
        };
        let mut found = (0..self.survey.columns.len()).filter(words);
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether a column may be a label that is of no use but for figures: a class, or always the same.
    fn fits_classes(&self, column: usize, doubt: Option<&str>) -> bool {
        let survey = &self.survey.columns[column];
        doubt.is_none() || (survey.distinct.len() == 1 && !survey.fractions)
    }

    fn is_label_name(&self, column: usize) -> bool {
        let name = self.name(column).unwrap_or_default().to_lowercase();
        LABEL_NAMES.contains(&name.trim().replace([' ', '-'], "_").as_str())
    }

    /// The only column with a likely name that may be a class, where the last column holds fractions.
    fn likely_label(&self) -> Option<usize> {
        let last = self.survey.columns.last()?;
        if last.kind() != Kind::Numbers || !last.fractions {
            return None;
        }
        let likely = |column: &usize| {
            let name = self.name(*column).unwrap_or_default().to_lowercase();
            LIKELY_LABEL_NAMES.contains(&name.trim()) && !self.used[*column]
        };
        let mut named = (0..self.survey.columns.len()).filter(likely);
        let (only, other) = (named.next()?, named.next());
        let few = self.survey.columns[only].distinct.len() <= MOST_GUESSED_CLASSES;
        (other.is_none() && few && self.doubt_of_classes(only).is_none()).then_some(only)
    }

    /// Refuses a column of fractions as a class.
    fn check_classes(&self, column: usize) -> Result<()> {
        let survey = &self.survey.columns[column];
        if survey.kind() == Kind::Numbers && survey.fractions {
            return Err(self.error(
                self.fractions(column),
                "add --task regression to predict numbers, or name the column of the class with --label",
            ));
        }
        Ok(())
    }

    fn fractions(&self, column: usize) -> String {
        let example = self.survey.columns[column].example.clone().unwrap_or_default();
        let title = self.title(column);
        format!(
            "{title} holds {}, a number with a fraction and not a class: this looks like regression",
            short(&example)
        )
    }

    /// Why a column is not surely the class of each row.
    fn doubt_of_classes(&self, column: usize) -> Option<String> {
        let survey: &ColumnSurvey = &self.survey.columns[column];
        let (title, rows, distinct) = (self.title(column), self.survey.rows, survey.distinct.len());
        // So few rows say nothing.
        let few = rows < 5;
        if self.survey.flags > 0 && column + 1 == self.survey.columns.len() {
            return Some(format!(
                "the last {} columns hold a one in one of them, a class each: write the class into one column",
                self.survey.flags
            ));
        }
        match survey.kind() {
            Kind::Numbers if survey.fractions => Some(self.fractions(column)),
            _ if distinct == 1 && !few => {
                let value = survey.distinct.iter().next().map(|value| super::lines::text(value));
                let value = short(&value.unwrap_or_default());
                Some(format!(
                    "{title}, the last, holds nothing but '{value}' and is hardly the label"
                ))
            }
            Kind::Words if distinct > (rows / 2).max(2) => Some(format!(
                "{title}, the last, holds a different word in most rows and is hardly the label"
            )),
            Kind::Words => None,
            Kind::Numbers if few || rows < 10 => None,
            Kind::Numbers if distinct > MOST_GUESSED_CLASSES.min(rows / 2) => Some(format!(
                "{title}, the last, holds {} different whole numbers: classes, or values to predict",
                count(distinct)
            )),
            Kind::Numbers if !survey.is_dense() => Some(format!(
                "{title}, the last, holds whole numbers far apart and may be a measurement"
            )),
            Kind::Numbers => None,
            Kind::Times => Some(format!("{title}, the last, holds times and is not the label")),
            Kind::Nothing => Some(format!("{title}, the last, is empty")),
        }
    }

    /// Leaves out what is not a feature; the column of the time, if there is one.
    fn leave_out(&mut self, windowed: bool, options: &mut DataOptions) -> Result<Option<usize>> {
        let mut time = None;
        let wanted: Result<Vec<usize>> = self
            .request
            .options
            .features
            .iter()
            .map(|name| self.find(name, "--features"))
            .collect();
        let wanted = wanted?;
        let by_network = self.request.convention.is_some_and(|network| !network.columns.is_empty());
        let candidates: Vec<usize> =
            (0..self.used.len()).filter(|&column| !self.used[column]).collect();
        let features = candidates.len();
        for column in candidates {
            let survey = &self.survey.columns[column];
            let title = self.title(column);
            let name = self.name(column).unwrap_or_default().to_lowercase();
            let enough = self.survey.rows >= ROWS_THAT_TELL;
            let reason = match survey.kind() {
                Kind::Nothing if survey.distinct.len() == 1 => Some("holds nothing".to_string()),
                Kind::Nothing => Some("holds missing values alone".to_string()),
                Kind::Times => {
                    if survey.has_seconds() {
                        time.get_or_insert(column);
                    }
                    Some("holds dates or times".to_string())
                }
                Kind::Words if column == 0 && self.survey.row_names => {
                    Some("names the rows".to_string())
                }
                Kind::Numbers if column == 0 && self.survey.row_names => {
                    Some("names the rows".to_string())
                }
                Kind::Numbers if is_time_name(&name) && (windowed || (survey.rises && enough)) => {
                    time.get_or_insert(column);
                    Some(match windowed {
                        true => "is the time of the rows".to_string(),
                        false => "is the time of the rows: it always rises".to_string(),
                    })
                }
                Kind::Numbers if enough && survey.counts() && features > 1 => Some(
                    "always rises by the same amount, as a row number or a time does".to_string(),
                ),
                Kind::Words
                    if wanted.is_empty()
                        && enough
                        && survey.distinct.len() * 2 > self.survey.rows =>
                {
                    if survey.has_marked_numbers() && !by_network {
                        let example = survey.example.clone().unwrap_or_default();
                        let problem = format!(
                            "{title} holds '{}', a number with a unit or marks in it",
                            short(&example)
                        );
                        let advice = format!(
                            "write plain numbers such as 1234.5, or leave it out with --drop {}",
                            self.option_name(column)
                        );
                        return Err(self.error(problem, advice));
                    }
                    Some("holds a different word in most rows".to_string())
                }
                Kind::Numbers | Kind::Words => None,
            };
            match reason {
                Some(_) if wanted.contains(&column) => {}
                Some(reason) => {
                    self.used[column] = true;
                    if !by_network {
                        let option = self.option_name(column);
                        self.note(format!(
                            "left out: {title} {reason} (--features {option} keeps it)"
                        ));
                        options.drop.push(option);
                    }
                }
                None => {
                    let falls = survey.falls && !survey.rises;
                    let moves = survey.rises || falls;
                    if moves && enough && survey.kind() == Kind::Numbers && !by_network {
                        self.note(format!(
                            "doubt: {title} always {}, as time does: what is learned from it will not hold later (--drop {})",
                            if falls { "falls" } else { "rises" },
                            self.option_name(column)
                        ));
                    }
                    if GROUP_NAMES.contains(&name.trim()) && wanted.is_empty() && !by_network {
                        let option = self.option_name(column);
                        self.note(format!(
                            "doubt: {title} seems to say who or what was recorded and is read as a feature (--group {option} splits by it, --drop {option} leaves it out)"
                        ));
                    }
                }
            }
        }
        if !wanted.is_empty() {
            for column in 0..self.used.len() {
                self.used[column] |= !wanted.contains(&column);
            }
        }
        Ok(time)
    }

    fn features(&self) -> Result<Vec<Feature>> {
        let names = self.request.convention.map(|network| network.columns.as_slice());
        if let Some(columns) = names
            && let Some(header) = &self.survey.header
            && !columns.is_empty()
            && columns.iter().all(|column| column.name.is_some())
        {
            return self.features_by_name(columns, header);
        }
        let free: Vec<usize> = (0..self.used.len()).filter(|&column| !self.used[column]).collect();
        let mut features = Vec::with_capacity(free.len());
        for column in free {
            let words = self.survey.columns[column].kind() == Kind::Words;
            let distinct = self.survey.columns[column].distinct.len();
            if words && distinct > MOST_CATEGORIES {
                let problem =
                    format!("{} holds {} different words", self.title(column), count(distinct));
                let advice = format!("leave it out with --drop {}", self.option_name(column));
                return Err(self.error(problem, advice));
            }
            if words {
                self.note(format!(
                    "{} holds words: a column of zeros and ones for each of them",
                    self.title(column)
                ));
            }
            features.push(Feature { column, name: self.name(column), words, categories: None });
        }
        Ok(features)
    }

    /// The columns that a network reads, by their names in the header, in any order.
    fn features_by_name(
        &self,
        columns: &[crate::data::Column],
        header: &[String],
    ) -> Result<Vec<Feature>> {
        let mut features: Vec<Feature> = Vec::new();
        for (index, column) in columns.iter().enumerate() {
            let name = column.name.as_deref().unwrap_or_default();
            // The second column of a name is the second of that name here, too.
            let before = columns[..index].iter();
            let before = before.filter(|other| other.name == column.name).count();
            if let Some(place) = nth_by_name(header, name, before) {
                let name = Some(header[place].clone());
                features.push(Feature { column: place, name, words: false, categories: None });
                continue;
            }
            let category = name.rsplit_once('=');
            let found = category.and_then(|(base, word)| Some((by_name(header, base)?, word)));
            let Some((place, word)) = found else {
                let problem = format!("has no column '{}', which the network reads", short(name));
                let advice = format!("its columns are {}", listed(header));
                return Err(self.error(problem, advice));
            };
            match features.last_mut() {
                Some(Feature { column, categories: Some(words), .. }) if *column == place => {
                    words.push(word.to_string());
                }
                _ => features.push(Feature {
                    column: place,
                    name: Some(header[place].clone()),
                    words: true,
                    categories: Some(vec![word.to_string()]),
                }),
            }
        }
        Ok(features)
    }
}

/// The column of that name, with or without its unit, in these letters or in others.
pub fn by_name(header: &[String], wanted: &str) -> Option<usize> {
    let wanted = wanted.trim();
    if wanted.is_empty() {
        return None;
    }
    let tests: [fn(&str, &str) -> bool; 4] = [
        |name, wanted| name == wanted,
        |name, wanted| split_unit(name).0 == wanted,
        |name, wanted| name.eq_ignore_ascii_case(wanted),
        |name, wanted| split_unit(name).0.eq_ignore_ascii_case(wanted),
    ];
    tests.iter().find_map(|test| header.iter().position(|name| test(name, wanted)))
}

/// The column of that name of which so many stand before it.
fn nth_by_name(header: &[String], wanted: &str, before: usize) -> Option<usize> {
    let first = by_name(header, wanted)?;
    let same = |name: &&String| split_unit(name).0 == split_unit(&header[first]).0;
    let mut places = (first..header.len()).filter(|&place| same(&&header[place]));
    places.nth(before)
}

fn is_time_name(name: &str) -> bool {
    let name = split_unit(name.trim()).0;
    TIME_NAMES.iter().any(|time| {
        name == *time || (time.len() > 2 && (name.starts_with(time) || name.ends_with(time)))
    })
}

/// A count, which a survey stops at some number.
fn count(distinct: usize) -> String {
    if distinct > 1000 { "over 1,000".to_string() } else { distinct.to_string() }
}

fn listed(names: &[String]) -> String {
    let mut text: Vec<String> = names.iter().take(MOST_LISTED).map(|name| short(name)).collect();
    if names.len() > MOST_LISTED {
        text.push(format!("… ({} in all)", names.len()));
    }
    text.join(", ")
}

/// A name or the beginning of it.
fn short(name: &str) -> String {
    match name.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_string(),
    }
}

/// The roles in another file of the same data: columns are found by their names where both have a header.
///
/// # Errors
/// It lacks a column, or has another number of them.
pub fn follow(plan: &Plan, file: &str, first: &str, survey: &Survey) -> Result<Plan> {
    let width = survey.columns.len();
    let mut other = plan.clone();
    let (Some(names), Some(header)) = (&plan.header, &survey.header) else {
        if width == plan.width {
            return Ok(other);
        }
        let apart = plan.width - plan.features.len();
        let problem = format!(
            "has {} feature columns, but {first} has {}",
            width.saturating_sub(apart),
            plan.features.len()
        );
        return Err(Error::bad_input(file, problem, "give files with the same columns"));
    };
    if names == header {
        return Ok(other);
    }
    let find = |column: usize| {
        let name = names.get(column).map_or("", String::as_str);
        let before = names.iter().take(column).filter(|other| *other == name).count();
        nth_by_name(header, name, before)
            .or_else(|| (name.is_empty() && width == plan.width).then_some(column))
            .ok_or_else(|| {
                let problem = format!("has no column '{}', which {first} has", short(name));
                let advice = format!("its columns are {}", listed(header));
                Error::bad_input(file, problem, advice)
            })
    };
    for origin in [&mut other.label, &mut other.group] {
        if let Origin::Columns(columns) = origin {
            for column in columns {
                *column = find(*column)?;
            }
        }
    }
    for feature in &mut other.features {
        feature.column = find(feature.column)?;
    }
    other.time = plan.time.map(find).transpose()?;
    other.width = width;
    other.header = Some(header.clone());
    Ok(other)
}
