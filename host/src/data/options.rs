//! What a user says about data: which column is what, how recordings become samples, how samples are split.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

use crate::task::Task;

/// The data options of every command that reads data. A run keeps them with every guess made explicit, and a model file does too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
#[command(next_help_heading = "Data")]
pub struct DataOptions {
    /// Column of the label, by name or by number from 1 (-1 is the last); `file`, `folder` or `file:2` (second part of the file's name)
    /// for labels in names; several columns for regression
    #[arg(long, value_name = "NAME|INDEX", value_delimiter = ',', allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label: Vec<String>,
    /// Columns to leave out, by name or number
    #[arg(long, value_name = "A,B", value_delimiter = ',', allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub drop: Vec<String>,
    /// The only columns to read as features, by name or number
    #[arg(long, value_name = "A,B", value_delimiter = ',', allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// Column that says which rows belong together (person, machine, day): `--split group` keeps them on one side
    #[arg(long, value_name = "NAME|INDEX", allow_hyphen_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What is learned [default: the network's task]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// Samples of N rows each, a new one every STRIDE rows [default stride: N], never across files, groups, labels or gaps in time
    #[arg(long, value_name = "N[:STRIDE]")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Rows a second of the recordings
    #[arg(long, value_name = "HZ", value_parser = rate)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// What stands between the values of a row: a character, `tab` or `space` [default: as the file shows]
    #[arg(long, value_name = "CHAR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<Separator>,
    /// What becomes of rows with missing values [default: refuse]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
    /// How samples come into training and test where file names do not say it [default: group with --group, time with --window,
    /// else stratified]
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitChoice>,
    /// The Kth of N equal parts of the samples tests, and the others train, for cross-validation; --split says what a part is made of
    #[arg(long, value_name = "K/N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
}

/// A number of rows a second, above 0.
fn rate(text: &str) -> Result<f64, String> {
    let rate: Option<f64> = text.parse().ok();
    rate.filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| "must be a number above 0".to_string())
}

/// Rows that make one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Rows of a sample.
    pub rows: usize,
    /// Rows from the beginning of one to the beginning of the next.
    pub stride: usize,
}

/// Most rows of a window.
const MOST_WINDOW_ROWS: usize = 1 << 16;

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rows, stride) = text.split_once(':').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<usize>().ok().filter(|rows| *rows > 0);
        match (number(rows), number(stride)) {
            (Some(rows), Some(stride)) if rows <= MOST_WINDOW_ROWS => Ok(Self { rows, stride }),
            _ => Err(format!(
                "must be a number of rows from 1 to {MOST_WINDOW_ROWS}, such as 128, or 128:64 with a stride"
            )),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.rows, self.stride)
    }
}

/// One of several equal parts, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fold {
    number: usize,
    of: usize,
}

/// Most parts.
const MOST_FOLDS: usize = 1000;

impl Fold {
    /// The part `number` of `of`, from 2 to 1000; none for another one.
    pub fn new(number: usize, of: usize) -> Option<Self> {
        ((2..=MOST_FOLDS).contains(&of) && (1..=of).contains(&number))
            .then_some(Self { number, of })
    }

    /// Its number, from 1.
    pub const fn number(self) -> usize {
        self.number
    }

    /// How many there are.
    pub const fn of(self) -> usize {
        self.of
    }

    /// The places of this part among `count` in a row.
    pub const fn part_of(self, count: usize) -> std::ops::Range<usize> {
        count * (self.number - 1) / self.of..count * self.number / self.of
    }
}

impl FromStr for Fold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<usize>().ok();
        let parts = text.split_once('/');
        let fold = parts.and_then(|(first, of)| Self::new(number(first)?, number(of)?));
        fold.ok_or_else(|| {
            format!("must be K/N with N from 2 to {MOST_FOLDS} and K from 1 to N, such as 1/5")
        })
    }
}

impl fmt::Display for Fold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

/// What stands between the values of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Separator {
    /// One byte.
    Byte(u8),
    /// Any number of blanks.
    Blanks,
}

impl Separator {
    /// How messages name it.
    pub fn words(self) -> String {
        match self {
            Self::Byte(b'\t') => "tabs".to_string(),
            Self::Byte(byte) => format!("'{}'", char::from(byte)),
            Self::Blanks => "blanks".to_string(),
        }
    }
}

impl FromStr for Separator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tab" | "\\t" | "\t" => Ok(Self::Byte(b'\t')),
            "space" | " " | "blanks" => Ok(Self::Blanks),
            "comma" => Ok(Self::Byte(b',')),
            "semicolon" => Ok(Self::Byte(b';')),
            _ => match text.as_bytes() {
                [byte] if byte.is_ascii_punctuation() && !b"\"'.+-_".contains(byte) => {
                    Ok(Self::Byte(*byte))
                }
                _ => Err("must be one character such as ; or |, or tab or space".to_string()),
            },
        }
    }
}

impl fmt::Display for Separator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(b'\t') => formatter.write_str("tab"),
            Self::Byte(byte) => write!(formatter, "{}", char::from(*byte)),
            Self::Blanks => formatter.write_str("space"),
        }
    }
}

/// Goes through text in files.
macro_rules! as_text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}

as_text!(Fold);
as_text!(Window);
as_text!(Separator);

/// What becomes of rows with missing values (empty, ?, NA, NaN and the like).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// The first one is an error
    #[default]
    Refuse,
    /// The row is left out
    Drop,
    /// The mean of the column's training rows stands for it
    Fill,
}

/// How samples come into training and test where file names do not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum SplitChoice {
    /// A fifth of every class, drawn by the seed
    Stratified,
    /// About a fifth of the samples, in whole groups drawn by the seed
    Group,
    /// About a fifth of the samples, in whole files drawn by the seed
    File,
    /// The last fifth of every recording
    Time,
}

impl DataOptions {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing is said that only some data has.
    pub fn is_for_any_data(&self) -> bool {
        Self { task: None, ..self.clone() } == Self::default()
    }

    /// The options as on a command line, one word each.
    pub fn words(&self) -> Vec<String> {
        let value =
            |name: &str, value: Option<String>| value.map(|text| format!("--{name}={text}"));
        let list = |name: &str, values: &[String]| {
            value(name, (!values.is_empty()).then(|| values.join(",")))
        };
        [
            list("label", &self.label),
            list("drop", &self.drop),
            list("features", &self.features),
            value("group", self.group.clone()),
            value("task", self.task.map(|task| task.option().to_string())),
            value("window", self.window.map(|window| window.to_string())),
            value("rate", self.rate.map(|rate| rate.to_string())),
            value("separator", self.separator.map(|separator| separator.to_string())),
            value("missing", self.missing.map(name_of)),
            value("split", self.split.map(name_of)),
            value("fold", self.fold.map(|fold| fold.to_string())),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The options that [`DataOptions::words`] has written; other words, and words of other versions, are left out.
    pub fn from_words(words: &[String]) -> Self {
        use clap::{Args, FromArgMatches};
        let command = || Self::augment_args(clap::Command::new("data").no_binary_name(true));
        let understood = |word: &&String| command().try_get_matches_from([word]).is_ok();
        let words: Vec<&String> =
            words.iter().filter(|word| word.starts_with("--")).filter(understood).collect();
        let matches = command().try_get_matches_from(words);
        matches.and_then(|matches| Self::from_arg_matches(&matches)).unwrap_or_default()
    }

    /// These options, and `others` where these say nothing.
    pub fn or(&self, others: &Self) -> Self {
        let list = |own: &Vec<String>, other: &Vec<String>| match own.is_empty() {
            true => other.clone(),
            false => own.clone(),
        };
        Self {
            label: list(&self.label, &others.label),
            drop: list(&self.drop, &others.drop),
            features: list(&self.features, &others.features),
            group: self.group.clone().or_else(|| others.group.clone()),
            task: self.task.or(others.task),
            window: self.window.or(others.window),
            rate: self.rate.or(others.rate),
            separator: self.separator.or(others.separator),
            missing: self.missing.or(others.missing),
            split: self.split.or(others.split),
            fold: self.fold.or(others.fold),
        }
    }
}

/// The name of a choice on the command line.
fn name_of<T: clap::ValueEnum>(choice: T) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_come_back_from_a_file_as_they_were() {
        let options = DataOptions {
            label: vec!["-1".into()],
            drop: vec!["a b".into(), "2".into()],
            task: Some(Task::Regression),
            window: Some(Window { rows: 128, stride: 64 }),
            separator: Some(Separator::Byte(b'\t')),
            split: Some(SplitChoice::Time),
            fold: Fold::new(2, 5),
            ..DataOptions::default()
        };
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<DataOptions>(&text).unwrap(), options, "{text}");
        assert_eq!(DataOptions::from_words(&options.words()), options, "{:?}", options.words());
        let strange = ["--label=x", "--of-later=3", "fill 1 2.5", "--window=0"].map(String::from);
        assert_eq!(DataOptions::from_words(&strange).words(), ["--label=x"]);
        let short: Window = "9".parse().unwrap();
        assert_eq!((short.rows, short.stride), (9, 9));
        for wrong in ["0", "5:0", "x", "70000", "5:6:7"] {
            assert!(wrong.parse::<Window>().is_err(), "{wrong}");
        }
        for wrong in ["0/5", "6/5", "1/1", "5", "1/2000", "a/b"] {
            assert!(wrong.parse::<Fold>().is_err(), "{wrong}");
        }
        for wrong in ["", "ab", "\"", "."] {
            assert!(wrong.parse::<Separator>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_said_later_wins() {
        let stored = DataOptions { label: vec!["a".into()], rate: Some(50.0), ..<_>::default() };
        let given = DataOptions { label: vec!["b".into()], ..DataOptions::default() };
        let both = given.or(&stored);
        assert_eq!((both.label, both.rate), (vec!["b".to_string()], Some(50.0)));
    }
}
