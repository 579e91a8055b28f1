//! Which samples of tables train and which test.

use super::layout::SampleRows;
use super::stretches::{label, stretches};
use super::{Table, Tables};
use crate::data::SplitRule;
use crate::data::format::{Part, Request};
use crate::data::options::{Fold, SplitChoice};
use crate::data::source::of_unknown_part;
use crate::data::splits;
use crate::error::{Error, Result};

/// What a sample is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Training.
    Train,
    /// Choices during development.
    Validation,
    /// Figures that are reported.
    Test,
    /// Nothing: it would lie on two sides.
    Neither,
}

/// The sides of all samples, and by which rule.
pub struct Parts {
    /// The rule.
    pub rule: SplitRule,
    /// One a sample.
    pub sides: Vec<Side>,
}

/// Divides samples by the names of their files, or by the rule and the fold that are asked for.
///
/// # Errors
/// Too few samples or groups, or a rule that does not fit them; names the option.
pub fn divide(
    request: &Request<'_>,
    tables: &Tables,
    own_stretches: &[SampleRows],
    samples: &[SampleRows],
) -> Result<Parts> {
    if let Some(parts) = by_names(request, tables, samples)? {
        return Ok(parts);
    }
    let fold = request.options.fold;
    let fewest = fold.map_or(splits::FEWEST, |fold| fold.of());
    if samples.len() < fewest {
        let what = if request.options.window.is_some() { "windows" } else { "rows" };
        let problem = match fold {
            Some(fold) => format!("has {} {what}, fewer than the folds of {fold}", samples.len()),
            None => format!(
                "has {} {what}; at least {fewest} are needed so that one of them can be test data",
                samples.len()
            ),
        };
        let advice = "add some, or a second file with 'test' in its name beside one with 'train'";
        return Err(Error::bad_input(request.name, problem, advice));
    }
    let labels: Vec<u32> =
        samples.iter().map(|sample| label(tables, sample).unwrap_or(0)).collect();
    let choice = choice(request, tables, &labels);
    let (seed, windowed) = (request.seed, request.options.window);
    if choice == SplitChoice::Stratified && windowed.is_some_and(|one| one.stride < one.rows) {
        let problem = "windows that overlap would lie on both sides";
        let advice = "choose --split time, file or group, or a stride of the window's rows";
        return Err(Error::bad_input("--split stratified", problem, advice));
    }
    let units: Option<Vec<u32>> = match choice {
        SplitChoice::Group if !tables.grouped => {
            let advice = "name the column of the groups with --group";
            return Err(Error::bad_input("--split group", "there are no groups", advice));
        }
        SplitChoice::Group => {
            let group =
                |sample: &SampleRows| tables.tables[sample.table()].groups.get(sample.first());
            Some(samples.iter().map(group).collect())
        }
        SplitChoice::File => Some(samples.iter().map(|sample| sample.table() as u32).collect()),
        SplitChoice::Stratified | SplitChoice::Time => None,
    };
    let of_tests = |is_test: Vec<bool>| -> Vec<Side> {
        is_test.into_iter().map(|test| if test { Side::Test } else { Side::Train }).collect()
    };
    let sides = match (&units, fold) {
        (Some(units), None) => of_tests(splits::whole(units, &labels, seed)),
        (Some(units), Some(fold)) => {
            let is_test = splits::whole_fold(units, &labels, seed, fold).map_err(|count| {
                let what = if choice == SplitChoice::Group { "groups" } else { "files" };
                let problem = format!("there are only {count} {what} to divide");
                Error::bad_input(format_args!("--fold {fold}"), problem, "choose fewer folds")
            })?;
            of_tests(is_test)
        }
        (None, _) if choice == SplitChoice::Time => by_time(tables, own_stretches, samples, fold),
        (None, None) => of_tests(splits::stratified(&labels, seed)),
        (None, Some(fold)) => of_tests(splits::stratified_fold(&labels, seed, fold)),
    };
    let rule = match choice {
        SplitChoice::Stratified => SplitRule::Stratified,
        SplitChoice::Group => SplitRule::Group,
        SplitChoice::File => SplitRule::File,
        SplitChoice::Time => SplitRule::Time,
    };
    let words = match (rule, fold) {
        (SplitRule::Group, None) => "whole groups are test data".to_string(),
        (SplitRule::File, None) => "whole files are test data".to_string(),
        (SplitRule::Time, None) => "the last fifth of every stretch is test data".to_string(),
        (_, None) => "a fifth of every class is test data".to_string(),
        (SplitRule::Group, Some(fold)) => format!("fold {fold} of whole groups is test data"),
        (SplitRule::File, Some(fold)) => format!("fold {fold} of whole files is test data"),
        (SplitRule::Time, Some(fold)) => format!("fold {fold} of every stretch is test data"),
        (_, Some(fold)) => format!("fold {fold} of every class is test data"),
    };
    let count = |side| sides.iter().filter(|one| **one == side).count();
    let tests = count(Side::Test);
    if tests == 0 || count(Side::Train) == 0 {
        let problem = format!("leaves nothing on one side of the {} samples", samples.len());
        let advice = "choose another --split, or put 'train' and 'test' into file names";
        return Err(Error::bad_input(format_args!("--split {}", rule.name()), problem, advice));
    }
    request.note(format!(
        "split: {words} ({}{}), {tests} of {} samples",
        rule.name(),
        if rule.follows_seed() { format!(" by seed {seed}") } else { String::new() },
        samples.len()
    ));
    Ok(Parts { rule, sides })
}

/// The parts that file names announce, where they do.
fn by_names(
    request: &Request<'_>,
    tables: &Tables,
    samples: &[SampleRows],
) -> Result<Option<Parts>> {
    let with = |part: Part| tables.tables.iter().filter(|table| table.part == part).count();
    let (trains, tests, unknown) = (with(Part::Train), with(Part::Test), with(Part::Unknown));
    let validations = with(Part::Validation);
    // Alone, a name that says a part is a name like others.
    let announced = trains + tests + validations;
    if unknown > 0 && announced > 0 {
        let table = tables.tables.iter().find(|table| table.part == Part::Unknown);
        let name = table.map_or(request.name, |table| table.name.as_str());
        return Err(of_unknown_part(name));
    }
    if trains == 0 || tests + validations == 0 {
        return Ok(None);
    }
    let asked = request.options.split.map(|_| "--split");
    if let Some(option) = asked.or(request.options.fold.map(|_| "--fold")) {
        let problem = "file names say already what is training and what is test data";
        return Err(Error::bad_input(option, problem, "leave it out, or rename the files"));
    }
    if tests == 0 {
        request.note("no file is test data: validation files take its place".to_string());
    }
    let side = |sample: &SampleRows| match tables.tables[sample.table()].part {
        Part::Test => Side::Test,
        Part::Validation if tests == 0 => Side::Test,
        Part::Validation => Side::Validation,
        Part::Train | Part::Unknown => Side::Train,
    };
    let sides = samples.iter().map(side).collect();
    Ok(Some(Parts { rule: SplitRule::Files, sides }))
}

/// The rule that was asked for, or the one that keeps like samples on one side.
fn choice(request: &Request<'_>, tables: &Tables, labels: &[u32]) -> SplitChoice {
    /// So many files of each class on average can be told apart.
    const FILES_A_CLASS: usize = 5;
    if let Some(choice) = request.options.split {
        return choice;
    }
    let classes = labels.iter().max().map_or(1, |&last| last as usize + 1);
    match () {
        () if tables.grouped => SplitChoice::Group,
        () if tables.labels_in_names && tables.tables.len() >= FILES_A_CLASS * classes => {
            SplitChoice::File
        }
        () if request.options.window.is_some() => SplitChoice::Time,
        () => SplitChoice::Stratified,
    }
}

/// The last fifth of every stretch, or one of its equal parts; what lies across a border is on neither side.
fn by_time(
    tables: &Tables,
    stretches_by_label: &[SampleRows],
    samples: &[SampleRows],
    fold: Option<Fold>,
) -> Vec<Side> {
    // Rows that change their label often are one recording.
    const SHORT: usize = 10;
    let rows: usize = tables.tables.iter().map(Table::rows).sum();
    let long = stretches(tables, true);
    let stretches = if rows / long.len().max(1) >= SHORT { &long } else { stretches_by_label };
    let mut sides = vec![Side::Neither; samples.len()];
    let mut next = 0;
    for stretch in stretches {
        let inside = |sample: &SampleRows| {
            sample.table() == stretch.table() && sample.first() < stretch.rows().end
        };
        let own = samples[next..].iter().take_while(|sample| inside(sample)).count();
        let own = next..next + own;
        next = own.end;
        let tests = match fold {
            Some(fold) => fold.part_of(own.len()),
            None => {
                own.len() - (own.len() as f64 / splits::FEWEST as f64).round() as usize..own.len()
            }
        };
        let tests = own.start + tests.start..own.start + tests.end;
        let border =
            match samples.get(tests.clone()).and_then(|all| Some((all.first()?, all.last()?))) {
                Some((first, last)) => first.first()..last.rows().end,
                None => usize::MAX..usize::MAX,
            };
        for index in own {
            let rows = samples[index].rows();
            sides[index] = match () {
                () if tests.contains(&index) => Side::Test,
                () if rows.end <= border.start || rows.start >= border.end => Side::Train,
                () => Side::Neither,
            };
        }
    }
    sides
}
