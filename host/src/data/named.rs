//! Tables whose labels and groups stand in the names of their files.

use super::format::{File, Request};
use super::naming::NamePlace;
use super::options::DataOptions;
use super::table::{Answers, Runs, Table, Tables, Vocabulary};
use super::{Column, canonical};
use crate::error::{Error, Result};
use crate::task::Task;
use std::borrow::Borrow;
use std::collections::BTreeSet;

/// Gives tables of one file each the labels and groups that names say, by the options or else by folders; the options come back with
/// what was guessed.
///
/// # Errors
/// Names that say no label, or options that only columns have.
pub fn labels_of_names<F: Borrow<File>>(
    request: &Request<'_>,
    files: &[F],
    mut tables: Vec<Table>,
    columns: Vec<Column>,
) -> Result<(Tables, DataOptions)> {
    let mut options = request.options.clone();
    let advice = "use file, folder or file:N (the Nth part of the file's name)";
    let place = |option: &str, text: &str| {
        NamePlace::parse(text).ok_or_else(|| {
            let problem = "these files have no columns with names";
            Error::bad_input(format_args!("{option} {text}"), problem, advice)
        })
    };
    if request.task() == Task::Regression {
        let problem = "these files have no values to predict";
        return Err(Error::bad_input(request.name, problem, "give them as CSV or NPZ"));
    }
    let label = match request.options.label.first() {
        Some(text) => Some(place("--label", text)?),
        None => {
            let folder = |file: &F| NamePlace::Folder.of(&file.borrow().place);
            let folders: BTreeSet<Option<String>> = files.iter().map(folder).collect();
            let guess = folders.len() > 1 && !folders.contains(&None);
            if !guess && request.task() != Task::Reconstruction {
                let problem = "does not say which file is of which class";
                return Err(Error::bad_input(
                    request.name,
                    problem,
                    "put each class into a folder, or name the part of the file names with --label file:N",
                ));
            }
            if guess {
                request.note("label: the folder that a file is in".to_string());
                options.label = vec![NamePlace::Folder.option()];
            }
            guess.then_some(NamePlace::Folder)
        }
    };
    let group = request.options.group.as_deref().map(|text| place("--group", text)).transpose()?;
    let (mut labels, mut groups) = (Vocabulary::default(), Vocabulary::default());
    for (file, table) in files.iter().zip(&mut tables) {
        let file = file.borrow();
        let find = |place: Option<NamePlace>, words: &mut Vocabulary| match place {
            None => Ok(0),
            Some(place) => {
                place.of(&file.place).map(|name| words.place(&canonical(&name))).ok_or_else(|| {
                    let problem = format!("its name has nothing for '{}'", place.option());
                    Error::bad_input(
                        &file.source.name,
                        problem,
                        "rename it, or choose another part",
                    )
                })
            }
        };
        let (label, group) = (find(label, &mut labels)?, find(group, &mut groups)?);
        table.answers = Answers::Classes(vec![label; table.rows()]);
        table.groups = Runs::constant(group, table.rows());
    }
    let tables = Tables {
        categories: vec![None; columns.len()],
        columns,
        outputs: Vec::new(),
        labelled: label.is_some(),
        grouped: group.is_some(),
        // Files that are one row each are drawn like rows.
        labels_in_names: label.is_some() && tables.iter().any(|table| table.rows() > 1),
        labels,
        tables,
    };
    Ok((tables, options))
}
