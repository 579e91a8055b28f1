//! From rows to samples: windows, split, classes, raw integers.

use super::classes::Classes;
use super::doubts;
use super::layout::{Layout, SampleRows};
use super::parts::{Side, divide};
use super::scale::Scale;
use super::stretches::{label, stretches};
use super::{Answers, Table, Tables};
use crate::data::format::Request;
use crate::data::options::{Missing, Window};
use crate::data::{Dataset, SampleShape, Split};
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
    let parts = divide(request, tables, &stretches, &samples)?;
    let of = |part: Side| {
        let all = samples.iter().zip(&parts.sides);
        all.filter(move |(_, side)| **side == part).map(|(sample, _)| *sample)
    };
    let count = |part: Side| parts.sides.iter().filter(|side| **side == part).count();
    let scale = match request.convention.and_then(|network| Scale::known(network, &layout)) {
        Some(scale) => scale,
        None => {
            let fill = options.missing == Some(Missing::Fill);
            Scale::measure(tables, &layout, of(Side::Train), fill)
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
            let labels = of(Side::Train).filter_map(|sample| label(tables, &sample));
            Some(Classes::measure(request.name, &tables.labels, labels)?)
        }
        _ => None,
    };
    let trained_classes = classes.as_ref().map_or(0, |classes| classes.names.len());
    // What a reconstruction was not trained on is unusual, and not an error.
    let classes = match (classes, task) {
        (Some(classes), Task::Reconstruction) if classified => {
            let others = of(Side::Test).chain(of(Side::Validation));
            let labels = others.filter_map(|sample| label(tables, &sample));
            Some(classes.with_others(&tables.labels, labels))
        }
        (classes, _) => classes,
    };
    let part = |side: Side| -> Result<Split> {
        let (mut split, count) = (Split::default(), count(side));
        split.samples.reserve_exact(count * shape.elements());
        split.labels.reserve_exact(count);
        for sample in of(side) {
            let table = &tables.tables[sample.table()];
            scale.append(tables, &layout, &sample, &mut split.samples)?;
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
    let (train, test, validation) =
        (part(Side::Train)?, part(Side::Test)?, part(Side::Validation)?);
    if request.convention.is_none() {
        let names = classes.as_ref().map_or(&[][..], |classes| classes.names.as_slice());
        doubts::tell(request, tables, &layout, (count(Side::Train), of(Side::Train)), names);
    }
    let class_names = classes.map_or_else(Vec::new, |classes| classes.names);
    let dataset = Dataset::new(request.name, format, shape, scale.sample_type, class_names);
    Ok(Dataset {
        columns: scale.columns,
        outputs: tables.outputs.clone(),
        trained_classes,
        split_rule: parts.rule,
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

fn all_rows(tables: &Tables) -> Vec<SampleRows> {
    let rows = |(table, rows): (usize, &Table)| {
        (0..rows.rows()).map(move |first| SampleRows::new(table, first, 1))
    };
    tables.tables.iter().enumerate().flat_map(rows).collect()
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
        let count = match stretch.count().checked_sub(window.rows) {
            Some(rest) => rest / window.stride + 1,
            None => 0,
        };
        short += if count == 0 { stretch.count() } else { 0 };
        found.extend((0..count).map(|index| {
            let first = stretch.first() + index * window.stride;
            SampleRows::new(stretch.table(), first, window.rows)
        }));
    }
    if found.is_empty() {
        let longest = stretches.iter().map(SampleRows::count).max().unwrap_or(0);
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
    // Differences of times have errors in their last digits.
    let shown: f64 = format!("{usual:.4e}").parse().unwrap_or(usual);
    request.note(format!(
        "time: a row every {shown}, steps differ by up to {:.1} %, {gaps} gaps; {rate}",
        100.0 * spread
    ));
}
