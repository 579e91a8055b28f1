//! Rows that belong together, and the label of a sample.

use super::layout::SampleRows;
use super::{Answers, Tables};

/// The place of a sample's label.
pub fn label(tables: &Tables, sample: &SampleRows) -> Option<u32> {
    match &tables.tables[sample.table()].answers {
        Answers::Classes(labels) => labels.get(sample.last()).copied(),
        Answers::Values(_) => None,
    }
}

/// Rows that follow each other without a gap, in one file and one group, and with one label where `by_label` says so.
pub fn stretches(tables: &Tables, by_label: bool) -> Vec<SampleRows> {
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
                || table.groups.get(row) != table.groups.get(row - 1)
                || labels.is_some_and(|labels| labels[row] != labels[row - 1]);
            if ends {
                found.push(SampleRows::new(index, first, row - first));
                first = row;
            }
        }
    }
    found
}
