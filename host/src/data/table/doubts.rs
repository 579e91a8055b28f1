//! What is odd about columns: told, not changed.

use super::layout::{Layout, SampleRows};
use super::{Answers, Tables};
use crate::data::format::Request;
use std::collections::HashMap;

/// Rows that are looked at.
const MOST_ROWS: usize = 2_000;
/// Columns that are looked at; a table with more is hardly one of named quantities.
const MOST_COLUMNS: usize = 256;
/// Columns that a line lists.
const MOST_LISTED: usize = 8;
/// Share of rows whose class a column alone tells, from which on it is said.
const TELLS: f64 = 0.99;
/// Fewest rows from which something follows.
const FEWEST_ROWS: usize = 20;

/// Tells which columns never vary, equal others, or tell the class alone; of so many training samples.
pub fn tell(
    request: &Request<'_>,
    tables: &Tables,
    layout: &Layout,
    (count, training): (usize, impl Iterator<Item = SampleRows>),
    classes: &[String],
) {
    if tables.labelled && classes.len() == 1 {
        request.note(format!("doubt: there is one class only, '{}'", classes[0]));
    }
    let mut lower: HashMap<String, &String> = HashMap::new();
    for name in classes {
        if let Some(other) = lower.insert(name.to_lowercase(), name) {
            request.note(format!(
                "doubt: the classes '{other}' and '{name}' differ in capital letters alone"
            ));
        }
    }
    let width = layout.width();
    if count < FEWEST_ROWS || width > MOST_COLUMNS {
        return;
    }
    let step = count.div_ceil(MOST_ROWS);
    let rows: Vec<(Vec<f64>, u32)> = training
        .step_by(step)
        .map(|sample| {
            let table = &tables.tables[sample.table()];
            let label = match &table.answers {
                Answers::Classes(labels) => labels.get(sample.first()).copied().unwrap_or(0),
                Answers::Values(_) => 0,
            };
            (layout.row(table, sample.first()).collect(), label)
        })
        .collect();
    // The columns of positions in a picture or a wave are no quantities of their own.
    let named = layout.scales() == width;
    let title = |column: usize| {
        let name = layout.names.get(column).filter(|_| named).and_then(|names| names.name.clone());
        name.unwrap_or_else(|| (column + 1).to_string())
    };
    let list = |columns: &[usize]| {
        let mut names: Vec<String> =
            columns.iter().take(MOST_LISTED).map(|&column| title(column)).collect();
        if columns.len() > MOST_LISTED {
            names.push(format!("… ({} in all)", columns.len()));
        }
        names.join(", ")
    };
    let bits = |column: usize| rows.iter().map(move |(row, _)| row[column].to_bits());
    let varies = |column: &usize| bits(*column).any(|value| value != rows[0].0[*column].to_bits());
    let (varying, constant): (Vec<usize>, Vec<usize>) = (0..width).partition(varies);
    if !constant.is_empty() && named {
        request.note(format!("doubt: columns that never vary: {}", list(&constant)));
    }
    let mut seen: HashMap<Vec<u64>, usize> = HashMap::new();
    let mut copies = Vec::new();
    for &column in &varying {
        match seen.get(&bits(column).collect::<Vec<_>>()) {
            Some(&first) => copies.push((first, column)),
            None => {
                seen.insert(bits(column).collect(), column);
            }
        }
    }
    if let Some((first, copy)) = copies.first().filter(|_| named) {
        let more = match copies.len() {
            1 => String::new(),
            count => format!(" ({count} such pairs)"),
        };
        request.note(format!(
            "doubt: column {} is a copy of {}{more}",
            title(*copy),
            title(*first)
        ));
    }
    if classes.len() < 2 {
        return;
    }
    let telling: Vec<usize> = varying
        .into_iter()
        .filter(|&column| tells_the_class(&rows, column, classes.len()))
        .collect();
    if !telling.is_empty() && named {
        request.note(format!(
            "doubt: the class follows from one column alone, which may be a copy of the label: {}",
            list(&telling)
        ));
    }
}

/// Whether few values of a column stand for one class each.
fn tells_the_class(rows: &[(Vec<f64>, u32)], column: usize, classes: usize) -> bool {
    let mut counts: HashMap<u64, HashMap<u32, usize>> = HashMap::new();
    for (row, label) in rows {
        *counts.entry(row[column].to_bits()).or_default().entry(*label).or_default() += 1;
        if counts.len() > 2 * classes {
            return false;
        }
    }
    let right: usize = counts.values().filter_map(|labels| labels.values().max()).sum();
    right as f64 >= TELLS * rows.len() as f64
}
