//! Every operator and every weight layout is in every place that an addition has to reach and that no compiler asks for.
//! `docs/development.md` lists the places; `workspace.rs` asks for those of boards, and the tests of `host` for those of methods.

#[expect(dead_code, reason = "the random models of other tests")]
#[path = "support/crafted.rs"]
mod crafted;

use std::collections::BTreeSet;
use std::path::Path;

use crafted::Crafted;
use tinyhero::deployment::inspect::layout_name;
use tinyhero::device::board;
use tinyhero::graph::operation::Operation;
use tinyhero_common::layout::Layout;
use tinyhero_common::operator::Operator;
use tinyhero_tests::{FastKernel, IN_ROWS, ON_EVERY_BOARD, Subject};

fn text(path: &str) -> String {
    std::fs::read_to_string(board::workspace_root().unwrap().join(path)).unwrap_or_default()
}

fn exists(path: &str) -> bool {
    board::workspace_root().unwrap().join(Path::new(path)).is_file()
}

/// The texts of all files in a folder and those in it.
fn texts(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![board::workspace_root().unwrap().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

/// `max-pool-2d` as the name of a type.
fn camel(name: &str) -> String {
    let upper = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    name.split('-').map(upper).collect()
}

/// The row of a table in a page whose first cell is `name`.
fn row(page: &str, name: &str) -> Option<String> {
    let begin = format!("| {name} |");
    page.lines().find(|line| line.starts_with(&begin)).map(str::to_string)
}

/// What an operator lacks.
fn operator_lacks(number: usize, name: &str) -> Vec<&'static str> {
    let file = format!("{}.rs", name.replace('-', "_"));
    let source = text(&format!("common/src/operator/{file}"));
    let equation = source.split_once("equation (").and_then(|(_, rest)| rest.split_once(')'));
    let header = equation.map(|(number, _)| format!("## ({number}) "));
    let arithmetic = text("docs/arithmetic.md");
    let model_file = text("docs/model-file.md");
    let listed = row(&model_file, "operator").unwrap_or_default();
    let first_word = name.split('-').next().unwrap_or_default();
    let subject = Subject::OPERATORS.iter().find(|subject| format!("{subject:?}") == camel(name));
    let kernels = IN_ROWS.iter().chain(&ON_EVERY_BOARD);
    let host = ["host/src/graph/operation", "host/src/lowering"].map(texts).concat();
    let in_crafted = Crafted::every_operator().layers;
    let places = [
        (!source.is_empty(), "a file in common/src/operator"),
        (
            header.is_some_and(|header| arithmetic.contains(&header)),
            "an equation in docs/arithmetic.md that the first line of its file names",
        ),
        (
            listed.contains(&format!(" {number} {first_word}")),
            "number and fields in docs/model-file.md",
        ),
        (
            host.iter().any(|text| text.contains(&format!("Operator::{}(", camel(name)))),
            "an operation in host/src/graph/operation that becomes it",
        ),
        (subject.is_some(), "a subject in tests/src/mismatch.rs"),
        (
            subject.is_some_and(|&subject| kernels.clone().any(|k| k.subject == subject)),
            "a line in tests/src/layer.rs",
        ),
        (
            in_crafted.iter().any(|layer| layer.operator.name() == name),
            "a layer of Crafted::every_operator in tests/tests/support/crafted.rs",
        ),
    ];
    places.into_iter().filter(|(is, _)| !is).map(|(_, place)| place).collect()
}

#[test]
fn every_operator_is_in_every_place_that_names_operators() {
    for (number, name) in Operator::NAMES.iter().enumerate() {
        assert_eq!(operator_lacks(number, name), Vec::<&str>::new(), "{name} lacks");
    }
    let names: BTreeSet<&str> = Operator::NAMES.into_iter().collect();
    assert_eq!(names.len(), Operator::NAMES.len());
    // One that nobody has added is in none of them.
    assert_eq!(operator_lacks(99, "cosine-transform").len(), 7);
}

#[test]
fn every_operation_of_network_files_is_on_their_page() {
    let page = text("docs/network-file.md");
    for name in Operation::names() {
        assert!(page.contains(&format!("\"{name}\"")), "{name} is missing in docs/network-file.md");
    }
    let once: BTreeSet<&str> = Operation::names().into_iter().collect();
    assert_eq!(once.len(), Operation::names().len());
}

/// What a layout lacks.
fn layout_lacks(number: usize, variant: &str, kernels: &[FastKernel]) -> Vec<&'static str> {
    let mut file = String::new();
    for letter in variant.chars() {
        if letter.is_uppercase() && !file.is_empty() {
            file.push('_');
        }
        file.extend(letter.to_lowercase());
    }
    let model_file = text("docs/model-file.md");
    let places = [
        (exists(&format!("common/src/layout/{file}.rs")), "a file in common/src/layout"),
        (
            row(&model_file, &format!("packed weights, layout `{variant}`")).is_some(),
            "a row for its order in docs/model-file.md",
        ),
        (model_file.contains(&format!("{number} `{variant}`")), "its number in docs/model-file.md"),
        (
            kernels.iter().any(|kernel| format!("{:?}", kernel.layout) == variant),
            "a fast kernel in tests/src/differential.rs",
        ),
    ];
    places.into_iter().filter(|(is, _)| !is).map(|(_, place)| place).collect()
}

#[test]
fn every_layout_is_in_every_place_that_names_layouts() {
    let sets = [FastKernel::DSP, FastKernel::MUL32, FastKernel::HELIUM, IN_ROWS];
    let kernels = sets.concat();
    let mut names = BTreeSet::new();
    for (number, layout) in Layout::ALL.into_iter().enumerate() {
        let variant = format!("{layout:?}");
        assert_eq!(layout_lacks(number, &variant, &kernels), Vec::<&str>::new(), "{variant} lacks");
        assert!(names.insert(layout_name(layout)), "{variant} has another one's name");
    }
    assert_eq!(layout_lacks(99, "RowTriples", &kernels).len(), 4);
}
