//! One sample as text: a row, or the rows of a window, as the user's files have them, with or without header and label.

use super::parse::{Reading, Words};
use super::roles::{self, Feature, Origin, Plan, Siblings, by_name};
use super::survey;
use crate::data::format::{File, Part, Request};
use crate::data::source::Source;
use crate::data::table::{Layout, SampleRows, Scale};
use crate::data::{Convention, DataOptions};
use crate::error::{Error, Result};
use crate::task::Task;
use std::cell::RefCell;
use std::path::Path;

/// The raw values of the sample that a text holds, for a network that exists.
///
/// # Errors
/// The text has other columns or rows than the network reads; names the line.
pub fn sample(name: &str, bytes: Vec<u8>, network: &Convention) -> Result<Vec<i16>> {
    let rows = network.options.window.map_or(1, |window| window.rows);
    let width = network.shape.elements() / rows.max(1);
    let source = Source::of_bytes(name.to_string(), bytes);
    let survey = survey::survey(&source, network.options.separator)?;
    let notes = RefCell::new(Vec::new());
    let mut plan = match without_label(&survey, network, width) {
        Some(features) => Plan::of_features(features, &survey),
        None => {
            // With a header columns are found by their names, and a row need not have its answer.
            let mut unlabelled = network.clone();
            if survey.header.is_some() {
                unlabelled.task = Task::Reconstruction;
                unlabelled.options.label.clear();
                unlabelled.options.group = None;
            }
            let network = &unlabelled;
            let request = Request {
                name,
                path: Path::new(name),
                seed: 0,
                shape: None,
                convention: Some(network),
                options: &network.options,
                notes: &notes,
            };
            roles::settle(&request, &survey, name, Siblings::default())?
        }
    };
    // What the sample is called is not asked.
    (plan.label, plan.group) = (Origin::Nowhere, Origin::Nowhere);
    let file = File { source, part: Part::Unknown, place: name.to_string() };
    let missing = network.options.missing.unwrap_or_default();
    let reading = Reading { file: &file, survey: &survey, plan: &plan, missing, values: false };
    let mut words = Words::new(&plan);
    let table = reading.parse(&mut words)?;
    let count = table.rows();
    let tables = super::tables_of(plan, words, vec![table], false);
    let mut layout = Layout::of(&tables, true);
    if layout.width() * rows != network.shape.elements() || count != rows {
        let problem = format!(
            "holds {count} rows of {} values, where the network reads {rows} of {width}",
            layout.width()
        );
        return Err(Error::bad_input(name, problem, "give one sample, with or without header"));
    }
    layout.fit(network.shape);
    let Some(scale) = Scale::known(network, &layout) else {
        let problem = "has other columns than the network reads";
        return Err(Error::bad_input(name, problem, "give columns as in training"));
    };
    let mut raw = Vec::with_capacity(network.shape.elements());
    scale.append(&tables, &layout, &SampleRows::new(0, 0, count), &mut raw)?;
    Ok(raw)
}

/// The features of a text that has them alone, in their order.
fn without_label(
    survey: &survey::Survey,
    network: &Convention,
    width: usize,
) -> Option<Vec<Feature>> {
    let plain = network
        .columns
        .iter()
        .all(|column| column.name.as_ref().is_none_or(|name| !name.contains('=')));
    let named = survey.header.as_ref().is_some_and(|header| {
        network
            .columns
            .iter()
            .filter_map(|column| column.name.as_ref())
            .any(|name| by_name(header, name).is_some())
    });
    (plain && !named && survey.columns.len() == width).then(|| {
        let feature = |column| Feature { column, name: None, words: false, categories: None };
        (0..width).map(feature).collect()
    })
}

impl Plan {
    fn of_features(features: Vec<Feature>, survey: &survey::Survey) -> Self {
        Self {
            label: Origin::Nowhere,
            label_names: Vec::new(),
            group: Origin::Nowhere,
            time: None,
            features,
            options: DataOptions { task: Some(Task::Reconstruction), ..DataOptions::default() },
            width: survey.columns.len(),
            header: survey.header.clone(),
        }
    }
}
