//! From rows to samples: windows, split, classes, raw integers.

use super::classes::Classes;
use super::doubts;
use super::layout::{Layout, SampleRows};
use super::scale::Scale;
use super::{Answers, Table, Tables};
use crate::data::format::{Part, Request};
use crate::data::options::{Missing, SplitChoice, Window};
use crate::data::splits::{self, Sides};
use crate::data::{Dataset, SampleShape, Split, SplitRule};
use crate::error::{Error, Result};
use crate::task::Task;

/// The data set that tables are.
///
/// # Errors
/// Too few rows, a shape that does not fit, labels or values that a network does not know.
pub fn assemble(request: &Request<'_>, format: &'static str, tables: &Tables) -> Result<Dataset> {
    let options = request.options;
    let mut layout = Layout::of(tables, request.convention.is_some());
    let shape = shape(request, layout.width())?;
    layout.fit(shape);
    let stretches = stretches(tables, options.window.is_some());
    let samples = match options.window {
        None => all_rows(tables),
        Some(window) => windows(request, tables, &stretches, window)?,
    };
    tell_pace(request, tables);
    let Parts { rule, training, test, validation } = divide(request, tables, &stretches, &samples)?;
    let take = |indexes: &[usize]| -> Vec<SampleRows> {
        indexes.iter().map(|&index| samples[index]).collect()
    };
    let (training, test, validation) = (take(&training), take(&test), take(&validation));
    let scale = match request.convention.and_then(|network| Scale::known(network, &layout)) {
        Some(scale) => scale,
        None => {
            let fill = options.missing == Some(Missing::Fill);
            Scale::measure(tables, &layout, &training, fill)
        }
    };
    let classified =
        matches!(tables.tables.first().map(|table| &table.answers), Some(Answers::Classes(_)))
            && tables.labelled;
    let task = request.task();
    let classes = match request.convention {
        Some(network) if !network.class_names.is_empty() && task != Task::Regression => {
            Some(Classes::known(network))
        }
        _ if classified => {
            let labels = training.iter().filter_map(|sample| label(tables, sample));
            Some(Classes::measure(request.name, &tables.labels, labels)?)
        }
        _ => None,
    };
    let trained_classes = classes.as_ref().map_or(0, |classes| classes.names.len());
    // What a reconstruction was not trained on is unusual, and not an error.
    let classes = match (classes, task) {
        (Some(classes), Task::Reconstruction) if classified => {
            let others = test.iter().chain(&validation);
            let labels = others.filter_map(|sample| label(tables, sample));
            Some(classes.with_others(&tables.labels, labels))
        }
        (classes, _) => classes,
    };
    let part = |samples: &[SampleRows]| -> Result<Split> {
        let mut split = Split::default();
        split.samples.reserve_exact(samples.len() * shape.elements());
        for sample in samples {
            let table = &tables.tables[sample.table];
            scale.append(tables, &layout, sample, &mut split.samples)?;
            split.labels.push(match &classes {
                Some(classes) if classified => classes.of(tables, table, sample.last())?,
                Some(_) | None => 0,
            });
            if let Answers::Values(values) = &table.answers {
                let count = tables.outputs.len();
                let values = &values[sample.last() * count..][..count];
                split.values.extend(values.iter().map(|&value| value as f32));
            }
        }
        Ok(split)
    };
    let (train, test, validation) = (part(&training)?, part(&test)?, part(&validation)?);
    if request.convention.is_none() {
        let names = classes.as_ref().map_or(&[][..], |classes| classes.names.as_slice());
        doubts::tell(request, tables, &layout, &training, names);
    }
    let class_names = classes.map_or_else(Vec::new, |classes| classes.names);
    let dataset = Dataset::new(request.name, format, shape, scale.sample_type, class_names);
    Ok(Dataset {
        columns: scale.columns,
        outputs: tables.outputs.clone(),
        trained_classes,
        split_rule: rule,
        rate: options.rate,
        train,
        validation,
        test,
        ..dataset
    })
}

/// The shape of a sample: as given, as the network has it, else a row, or the rows of a window one below the other.
fn shape(request: &Request<'_>, width: usize) -> Result<SampleShape> {
    let rows = request.options.window.map_or(1, |window| window.rows);
    let elements = rows.saturating_mul(width);
    let usual = SampleShape::new(rows, 1, width);
    let by_network = request.convention.map(|convention| convention.shape);
    let shape =
        request.shape.or(by_network.filter(|shape| shape.elements() == elements)).unwrap_or(usual);
    let fits = match request.options.window {
        None => shape.elements() == elements,
        Some(_) => shape.channels == width && shape.height * shape.width == rows,
    };
    if fits {
        return Ok(shape);
    }
    let (problem, advice) = match request.options.window {
        None => (
            format!("has {width} feature columns, but {shape} needs {}", shape.elements()),
            "give a shape whose product is the number of feature columns".to_string(),
        ),
        Some(_) => (
            format!("has windows of {rows} rows and {width} columns, which are not {shape}"),
            format!("give {rows}x1x{width} or 1x{rows}x{width}, or leave the shape out"),
        ),
    };
    Err(Error::bad_input(request.name, problem, advice))
}

fn label(tables: &Tables, sample: &SampleRows) -> Option<u32> {
    match &tables.tables[sample.table].answers {
        Answers::Classes(labels) => labels.get(sample.last()).copied(),
        Answers::Values(_) => None,
    }
}

fn all_rows(tables: &Tables) -> Vec<SampleRows> {
    let rows = |(table, rows): (usize, &Table)| {
        (0..rows.rows()).map(move |first| SampleRows { table, first, count: 1 })
    };
    tables.tables.iter().enumerate().flat_map(rows).collect()
}

/// Rows that follow each other without a gap, in one file and one group, and with one label where `by_label` says so.
fn stretches(tables: &Tables, by_label: bool) -> Vec<SampleRows> {
    let mut found = Vec::new();
    for (index, table) in tables.tables.iter().enumerate() {
        let labels = match &table.answers {
            Answers::Classes(labels) if by_label && tables.labelled => Some(labels),
            Answers::Classes(_) | Answers::Values(_) => None,
        };
        let mut gaps = table.gaps.iter().copied().peekable();
        let mut first = 0;
        for row in 1..=table.rows() {
            let gap = gaps.next_if(|&gap| gap == row).is_some();
            let ends = row == table.rows()
                || gap
                || table.groups[row] != table.groups[row - 1]
                || labels.is_some_and(|labels| labels[row] != labels[row - 1]);
            if ends {
                found.push(SampleRows { table: index, first, count: row - first });
                first = row;
            }
        }
    }
    found
}

/// The windows of all stretches in their order.
fn windows(
    request: &Request<'_>,
    tables: &Tables,
    stretches: &[SampleRows],
    window: Window,
) -> Result<Vec<SampleRows>> {
    let mut found = Vec::new();
    let mut short = 0;
    for stretch in stretches {
        let count = match stretch.count.checked_sub(window.rows) {
            Some(rest) => rest / window.stride + 1,
            None => 0,
        };
        short += if count == 0 { stretch.count } else { 0 };
        found.extend((0..count).map(|index| SampleRows {
            table: stretch.table,
            first: stretch.first + index * window.stride,
            count: window.rows,
        }));
    }
    if found.is_empty() {
        let longest = stretches.iter().map(|stretch| stretch.count).max().unwrap_or(0);
        let problem = format!(
            "has no {} rows in a row of one file, group and label without a gap (at most {longest})",
            window.rows
        );
        return Err(Error::bad_input(request.name, problem, "give a smaller --window"));
    }
    let rows: usize = tables.tables.iter().map(Table::rows).sum();
    let mut text = format!(
        "windows: {} of {} rows, one every {}, from {} stretches of {rows} rows in all",
        found.len(),
        window.rows,
        window.stride,
        stretches.len(),
    );
    if short > 0 {
        text += &format!("; {short} rows stand in stretches that are too short");
    }
    request.note(text);
    Ok(found)
}

fn tell_pace(request: &Request<'_>, tables: &Tables) {
    let dropped: usize = tables.tables.iter().map(|table| table.dropped).sum();
    if dropped > 0 {
        request.note(format!("left out: {dropped} rows with missing values (--missing drop)"));
    }
    let paces: Vec<(f64, f64)> = tables.tables.iter().filter_map(|table| table.pace).collect();
    let Some(&(usual, _)) = paces.first() else { return };
    let spread = paces.iter().map(|pace| pace.1).fold(0.0, f64::max);
    let gaps: usize = tables.tables.iter().map(|table| table.gaps.len()).sum();
    let rate = match request.options.rate {
        Some(rate) => format!("{rate} rows a second by --rate"),
        None => format!("{:.4} rows a unit of time", 1.0 / usual),
    };
    request.note(format!(
        "time: a row every {usual}, steps differ by up to {:.1} %, {gaps} gaps; {rate}",
        100.0 * spread
    ));
}

/// The indexes of samples by part.
struct Parts {
    rule: SplitRule,
    training: Vec<usize>,
    test: Vec<usize>,
    validation: Vec<usize>,
}

/// Which samples are in which part.
fn divide(
    request: &Request<'_>,
    tables: &Tables,
    stretches: &[SampleRows],
    samples: &[SampleRows],
) -> Result<Parts> {
    let part = |sample: &SampleRows| tables.tables[sample.table].part;
    let with = |part: Part| tables.tables.iter().filter(|table| table.part == part).count();
    let (trains, tests, unknown) = (with(Part::Train), with(Part::Test), with(Part::Unknown));
    let validations = with(Part::Validation);
    if trains > 0 && tests + validations > 0 {
        if unknown > 0 {
            let table = tables.tables.iter().find(|table| table.part == Part::Unknown);
            let name = table.map_or(request.name, |table| table.name.as_str());
            return Err(crate::data::source::of_unknown_part(name));
        }
        if request.options.split.is_some() {
            let problem = "file names say already what is training and what is test data";
            return Err(Error::bad_input("--split", problem, "leave it out, or rename the files"));
        }
        let indexes =
            |wanted| (0..samples.len()).filter(|&index| part(&samples[index]) == wanted).collect();
        let (training, validation) = (indexes(Part::Train), indexes(Part::Validation));
        if tests == 0 {
            request.note("no file is test data: validation files take its place".to_string());
            let rule = SplitRule::Files;
            return Ok(Parts { rule, training, test: validation, validation: Vec::new() });
        }
        let test = indexes(Part::Test);
        return Ok(Parts { rule: SplitRule::Files, training, test, validation });
    }
    if samples.len() < splits::FEWEST {
        let what = if request.options.window.is_some() { "windows" } else { "rows" };
        let problem = format!(
            "has {} {what}; at least {} are needed so that one of them can be test data",
            samples.len(),
            splits::FEWEST
        );
        let advice = "add some, or a second file with 'test' in its name beside one with 'train'";
        return Err(Error::bad_input(request.name, problem, advice));
    }
    let labels: Vec<u32> =
        samples.iter().map(|sample| label(tables, sample).unwrap_or(0)).collect();
    let choice = choice(request, tables, &labels);
    let seed = request.seed;
    let overlapping = request.options.window.is_some_and(|window| window.stride < window.rows);
    let sides = match choice {
        SplitChoice::Stratified if overlapping => {
            let problem = "windows that overlap would lie on both sides";
            let advice = "choose --split time, file or group, or a stride of the window's rows";
            return Err(Error::bad_input("--split stratified", problem, advice));
        }
        SplitChoice::Stratified => splits::stratified(&labels, seed),
        SplitChoice::Group if !tables.grouped => {
            let advice = "name the column of the groups with --group";
            return Err(Error::bad_input("--split group", "there are no groups", advice));
        }
        SplitChoice::Group => {
            let group = |sample: &SampleRows| tables.tables[sample.table].groups[sample.first];
            splits::whole(&samples.iter().map(group).collect::<Vec<_>>(), &labels, seed)
        }
        SplitChoice::File => {
            let files = samples.iter().map(|sample| sample.table as u32);
            splits::whole(&files.collect::<Vec<_>>(), &labels, seed)
        }
        SplitChoice::Time => by_time(tables, stretches, samples),
    };
    let (rule, words) = match choice {
        SplitChoice::Stratified => (SplitRule::Stratified, "a fifth of every class is test data"),
        SplitChoice::Group => (SplitRule::Group, "whole groups are test data"),
        SplitChoice::File => (SplitRule::File, "whole files are test data"),
        SplitChoice::Time => (SplitRule::Time, "the last fifth of every stretch is test data"),
    };
    if sides.test.is_empty() || sides.train.is_empty() {
        let problem = format!("leaves nothing on one side of the {} samples", samples.len());
        let advice = "choose another --split, or put 'train' and 'test' into file names";
        return Err(Error::bad_input(format_args!("--split {}", rule.name()), problem, advice));
    }
    request.note(format!(
        "split: {words} ({}{}), {} of {} samples",
        rule.name(),
        if rule.follows_seed() { format!(" by seed {seed}") } else { String::new() },
        sides.test.len(),
        samples.len()
    ));
    Ok(Parts { rule, training: sides.train, test: sides.test, validation: Vec::new() })
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

/// The last fifth of every stretch; what lies across the border is on neither side.
fn by_time(tables: &Tables, stretches: &[SampleRows], samples: &[SampleRows]) -> Sides {
    // Rows that change their label often are one recording.
    const SHORT: usize = 10;
    let rows: usize = tables.tables.iter().map(Table::rows).sum();
    let long = super::samples::stretches(tables, true);
    let stretches = if rows / long.len().max(1) >= SHORT { &long } else { stretches };
    let mut sides = Sides::default();
    let mut samples = samples.iter().enumerate().peekable();
    for stretch in stretches {
        let inside = |sample: &SampleRows| {
            sample.table == stretch.table && sample.first < stretch.rows().end
        };
        let mut own = Vec::new();
        while let Some((index, sample)) = samples.next_if(|(_, sample)| inside(sample)) {
            own.push((index, *sample));
        }
        let tests = (own.len() as f64 / splits::FEWEST as f64).round() as usize;
        let (earlier, later) = own.split_at(own.len() - tests);
        let border = later.first().map_or(usize::MAX, |(_, sample)| sample.first);
        let whole = earlier.iter().filter(|(_, sample)| sample.rows().end <= border);
        sides.train.extend(whole.map(|(index, _)| *index));
        sides.test.extend(later.iter().map(|(index, _)| *index));
    }
    sides
}
