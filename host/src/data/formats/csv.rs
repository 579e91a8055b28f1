//! Tables as text: one row a sample or, with `--window`, one row a moment.
//!
//! What separates values, whether there is a header and which column is the label is seen or guessed, and told. Integer columns are
//! taken as they are. If any value is fractional or does not fit i16, every column is mapped to i16 by an affine map of its own,
//! measured on the training rows and recorded.

mod cell;
mod column;
mod dialect;
mod header;
mod lines;
mod parse;
mod roles;
mod row;
mod sampled;
mod survey;

pub use parse::canonical;
pub use row::sample;

use crate::data::format::{Candidate, File, Format, Part, Recognition, Request};
use crate::data::naming::NamePlace;
use crate::data::options::{Missing, Separator};
use crate::data::table::{Tables, assemble};
use crate::data::{Column, Dataset, digest};
use crate::error::{Error, Result};
use crate::task::Task;
use parse::{Reading, Words};
use roles::{Origin, Plan, Siblings};
use std::collections::{BTreeSet, HashMap};
use survey::Survey;

/// Endings of file names that mark text in a folder as a table.
const ENDINGS: [&str; 4] = [".csv", ".tsv", ".tra", ".tes"];
/// Endings of text that may be a table.
const OTHER_ENDINGS: [&str; 4] = [".txt", ".data", ".dat", ".tab"];

/// Comma-separated values and their like.
pub struct Csv;

impl Format for Csv {
    const NAME: &'static str = "csv";
    const HELP: &'static str = "CSV";
    const IN_PIECES: bool = true;

    fn recognise(candidate: &Candidate) -> Recognition {
        let has = |endings: &[&str]| endings.iter().any(|end| candidate.base_name.ends_with(end));
        if !candidate.is_text() || crate::data::foreign::name(&candidate.start).is_some() {
            return Recognition::No;
        }
        if !candidate.in_folder || has(&ENDINGS) {
            return Recognition::Yes;
        }
        let table = has(&OTHER_ENDINGS) && dialect::looks_like_a_table(&candidate.start);
        if table { Recognition::IfNoOther } else { Recognition::No }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        let first = match files.iter().position(|file| file.part == Part::Train) {
            Some(first) => first,
            None if files.is_empty() => {
                return Err(Error::bad_input(request.name, "holds no table", "give a CSV file"));
            }
            None => 0,
        };
        let look = |file: &File| survey::survey(&file.source, request.options.separator);
        let first_survey = look(&files[first])?;
        tell_dialect(request, &first_survey);
        tell_copies(request, files)?;
        let first_name = files[first].source.name.as_str();
        let plan = roles::settle(request, &first_survey, first_name, siblings(files))?;
        let values = request.task() == Task::Regression;
        let missing = request.options.missing.unwrap_or_default();
        let mut words = Words::new(&plan);
        let mut tables = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            let (survey, own);
            if index == first {
                (survey, own) = (first_survey.clone(), plan.clone());
            } else {
                survey = look(file)?;
                own = roles::follow(&plan, &file.source.name, first_name, &survey)?;
                tell_more_columns(request, &plan, file, &survey);
            }
            let reading = Reading { file, survey: &survey, plan: &own, missing, values };
            tables.push(reading.parse(&mut words)?);
        }
        if missing == Missing::Fill {
            tell_filled(request, &tables);
        }
        // Training data first, which measures are taken from.
        let tables = tables_of(plan.clone(), words, tables, values);
        let dataset = assemble(request, Self::NAME, &tables)?;
        Ok(Dataset { options: plan.options, ..dataset })
    }
}

fn siblings(files: &[File]) -> Siblings {
    let folder = |file: &File| NamePlace::Folder.of(&file.place);
    let folders: BTreeSet<Option<String>> = files.iter().map(folder).collect();
    let several = folders.len() > 1 && !folders.contains(&None);
    // train/apple.csv and test/apple.csv: one class a file in each part.
    let names = |part: Part| -> BTreeSet<String> {
        let of_part = files.iter().filter(|file| file.part == part);
        of_part.filter_map(|file| NamePlace::Stem.of(&file.place)).collect()
    };
    let (train, test) = (names(Part::Train), names(Part::Test));
    let recur = test.len() > 1 && test.is_subset(&train) && names(Part::Unknown).is_empty();
    let parts_in_folders = recur && files.len() == train.len() + test.len();
    let stems: BTreeSet<String> =
        files.iter().filter_map(|file| NamePlace::Stem.of(&file.place)).collect();
    let letters = |stem: &String| -> String {
        stem.chars().filter(|letter| letter.is_alphabetic()).collect()
    };
    let kinds: BTreeSet<String> = stems.iter().map(letters).collect();
    Siblings {
        numbered: kinds.len() < stems.len(),
        files: files.len(),
        folders: several,
        without_parts: files.iter().all(|file| file.part == Part::Unknown)
            || several
            || parts_in_folders,
    }
}

fn tell_dialect(request: &Request<'_>, survey: &Survey) {
    let dialect = survey.dialect;
    if request.options.separator.is_none() && dialect.separator != Separator::Byte(b',') {
        let decimals = if dialect.decimal_comma { ", decimals by commas" } else { "" };
        let separator = dialect.separator.words();
        request.note(format!("values are separated by {separator}{decimals}"));
    }
    if survey.units {
        let line = survey.header_line;
        request.note(format!("header: line {line} has the units of the columns and is no sample"));
    }
    if survey.counted {
        request.note("header: the first row counts columns and is no sample".to_string());
    }
}

/// Tells of files with the same content, whose samples would count twice.
fn tell_copies(request: &Request<'_>, files: &[File]) -> Result<()> {
    let mut lengths: HashMap<u64, usize> = HashMap::new();
    for file in files {
        *lengths.entry(file.source.length()).or_default() += 1;
    }
    let mut known: HashMap<String, &File> = HashMap::new();
    for file in files.iter().filter(|file| lengths[&file.source.length()] > 1) {
        let digest = digest::of([(Part::Unknown, &file.source)].into_iter())?;
        if let Some(first) = known.insert(digest, file) {
            request.note(format!("doubt: {} holds the same as {}", file.place, first.place));
        }
    }
    Ok(())
}

/// Tells of columns that the first file does not have.
fn tell_more_columns(request: &Request<'_>, plan: &Plan, file: &File, survey: &Survey) {
    let (Some(known), Some(header)) = (&plan.header, &survey.header) else { return };
    let more = |name: &&String| !name.is_empty() && roles::by_name(known, name).is_none();
    let more: Vec<&str> = header.iter().filter(more).take(8).map(String::as_str).collect();
    if !more.is_empty() && request.convention.is_none() {
        let names = more.join(", ");
        request.note(format!("left out: columns of {} alone: {names}", file.place));
    }
}

fn tell_filled(request: &Request<'_>, tables: &[crate::data::table::Table]) {
    let missing =
        tables.iter().flat_map(|table| table.values.iter()).filter(|value| value.is_nan()).count();
    if missing > 0 {
        let by = "the mean of the column's training rows";
        request.note(format!("filled: {missing} missing values, with {by} (--missing fill)"));
    }
}

fn tables_of(
    plan: Plan,
    words: Words,
    tables: Vec<crate::data::table::Table>,
    values: bool,
) -> Tables {
    let column = |name: &Option<String>| Column::named(name.as_deref());
    let outputs = plan.label_names.iter().map(column).collect();
    let categories = plan.features.iter().zip(words.categories);
    Tables {
        columns: plan.features.iter().map(|feature| column(&feature.name)).collect(),
        categories: categories.map(|(feature, words)| feature.words.then_some(words)).collect(),
        outputs: if values { outputs } else { Vec::new() },
        labelled: !values && plan.label != Origin::Nowhere,
        grouped: plan.group != Origin::Nowhere,
        labels_in_names: matches!(plan.label, Origin::Names(_)),
        labels: words.labels,
        tables,
    }
}
