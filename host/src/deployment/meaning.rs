//! Between a trained network's meaning and the notes of a model file: what raw samples stand for, and which data was trained on.

use sha2::{Digest, Sha256};
use tinyhero_common::model::{self, InputTensor, Model};
use tinyhero_common::tensor;

use super::notes::{Column, DataOrigin, InputNotes, Notes, Provenance};
use crate::data::{self, Convention, DataOptions, Dataset, InputPart, SampleShape, SampleType};
use crate::graph::input::InputMeaning;
use crate::graph::trained_network::TrainedNetwork;
use crate::graph::weights::named_tensors;
use crate::task::Task;

/// The program and its version, as model files name it.
pub const TOOL: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));

/// The notes of the model file that a network becomes.
pub fn notes_of(trained: &TrainedNetwork) -> Notes {
    let columns = |columns: &[data::Column]| -> Vec<Column> {
        let column = |column: &data::Column| Column {
            name: column.name.clone().unwrap_or_default(),
            unit: column.unit.clone().unwrap_or_default(),
            offset: column.offset,
            step: column.step,
        };
        match columns.iter().map(column).collect::<Vec<Column>>() {
            columns if columns.iter().all(Column::says_nothing) => Vec::new(),
            columns => columns,
        }
    };
    let known = trained.provenance.as_ref().filter(|provenance| !provenance.digest.is_empty());
    let origin = known.map(|provenance| DataOrigin {
        digest: data::from_hex(&provenance.digest),
        split: provenance.split.name().to_string(),
        split_seed: provenance.split_seed,
    });
    let first = InputNotes {
        columns: columns(&trained.input.columns),
        sample_rate: trained.input.rate,
        preprocessing: preprocessing(&trained.input, trained.network.task),
    };
    let others = trained.input.others.iter();
    let others = others
        .map(|other| InputNotes { columns: columns(&other.columns), ..InputNotes::default() });
    Notes {
        inputs: std::iter::once(first).chain(others).collect(),
        provenance: Provenance {
            tool: TOOL.to_string(),
            network: trained.provenance.as_ref().map_or_else(Vec::new, |_| digest(trained)),
            data: origin,
            imported_from: trained
                .provenance
                .as_ref()
                .and_then(|provenance| provenance.imported_from.clone()),
        },
    }
}

/// Begins the note of a value that stands for a missing one.
const FILL: &str = "fill ";

/// Begins the note of a class that a reconstruction was trained on.
const USUAL: &str = "usual ";

/// How samples are made of rows, in the words of the command line, and what stands for missing values.
fn preprocessing(input: &InputMeaning, task: Task) -> Vec<String> {
    let mut words = input.options.words();
    // The classes of usual samples: a model of their reconstruction has no others to name.
    if task == Task::Reconstruction {
        words.extend(input.class_names.iter().map(|name| format!("{USUAL}{name}")));
    }
    for (place, column) in input.columns.iter().enumerate() {
        if let Some(value) = column.fill {
            words.push(format!("{FILL}{} {value}", place + 1));
        }
    }
    words
}

/// SHA-256 of the layers and of all weights with their names.
fn digest(trained: &TrainedNetwork) -> Vec<u8> {
    let mut digest = Sha256::new();
    let mut part = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(bytes);
    };
    part(trained.network.to_toml().as_bytes());
    for tensor in named_tensors(&trained.network, &trained.parameters) {
        part(tensor.name.as_bytes());
        let bytes: Vec<u8> = tensor.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        part(&bytes);
    }
    digest.finalize().to_vec()
}

/// What a model file's notes say, as far as they can be read.
pub fn notes_in(model: &Model<'_>) -> Notes {
    Notes::from_bytes(model.notes()).unwrap_or_default()
}

/// How data is converted for a model: as the data was that it was trained on.
pub fn convention(model: &Model<'_>, notes: &Notes) -> Convention {
    let input = model.input();
    let shape = input.tensor.shape;
    let [height, width, channels] = [shape.height, shape.width, shape.channels].map(usize::from);
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let words = notes.inputs.first().map_or(&[][..], |input| input.preprocessing.as_slice());
    let fill = |place: usize| {
        let start = format!("{FILL}{} ", place + 1);
        words.iter().find_map(|word| word.strip_prefix(&start)?.parse().ok())
    };
    let column = |(place, column): (usize, &Column)| data::Column {
        name: text(&column.name),
        unit: text(&column.unit),
        offset: column.offset,
        step: column.step,
        fill: fill(place),
    };
    Convention {
        shape: SampleShape::new(height, width, channels),
        sample_type: match input.quantization.sample_type {
            tensor::SampleType::U8 => SampleType::U8,
            tensor::SampleType::I16 => SampleType::I16,
        },
        columns: notes
            .inputs
            .first()
            .map_or_else(Vec::new, |input| input.columns.iter().enumerate().map(column).collect()),
        class_names: match task_of(model) {
            Task::Reconstruction => usual_classes(model),
            Task::Classification | Task::Regression => {
                model.labels().map(|label| label.to_string()).collect()
            }
        },
        task: task_of(model),
        options: DataOptions::from_words(words),
    }
}

/// The inputs of a model, as an archive with an array for each is converted.
pub fn input_parts(model: &Model<'_>, notes: &Notes) -> Vec<InputPart> {
    let part = |(position, input): (usize, InputTensor<'_>)| {
        let columns = notes.inputs.get(position).map_or(&[][..], |input| &input.columns);
        let column = |column: &Column| data::Column {
            name: None,
            unit: None,
            offset: column.offset,
            step: column.step,
            fill: None,
        };
        InputPart {
            name: input.name.to_string(),
            elements: input.tensor.shape.elements(),
            sample_type: match input.quantization.sample_type {
                tensor::SampleType::U8 => SampleType::U8,
                tensor::SampleType::I16 => SampleType::I16,
            },
            columns: columns.iter().map(column).collect(),
        }
    };
    model.inputs().enumerate().map(part).collect()
}

/// The classes of the samples that a reconstruction was trained on; none where they had no classes.
pub fn usual_classes(model: &Model<'_>) -> Vec<String> {
    let notes = notes_in(model);
    let words = notes.inputs.iter().flat_map(|input| &input.preprocessing);
    words.filter_map(|word| Some(word.strip_prefix(USUAL)?.to_string())).collect()
}

/// What a model is for.
pub fn task_of(model: &Model<'_>) -> Task {
    match model.description().task {
        model::Task::Classification { .. } => Task::Classification,
        model::Task::Regression { .. } => Task::Regression,
        model::Task::Reconstruction { .. } => Task::Reconstruction,
    }
}

/// What a person has to know about accuracies on this data, opened with a seed, of a model that was trained on data of this origin.
/// `None` where it is the data of the training, split as then, and where the model does not say.
pub fn doubt(dataset: &Dataset, seed: u64, origin: Option<&DataOrigin>) -> Option<String> {
    let name = &dataset.name;
    let origin = origin?;
    if data::to_hex(&origin.digest) != dataset.digest {
        return Some(format!(
            "note: {name} is not the data that the model was trained on, or has changed since; \
             its samples are converted as that data was"
        ));
    }
    if dataset.split_rule.name() != origin.split {
        return Some(format!(
            "note: {name} is split by the rule '{}', the model was trained on a split by '{}': training samples may be among the \
             test samples",
            dataset.split_rule.name(),
            origin.split
        ));
    }
    (dataset.split_rule.follows_seed() && seed != origin.split_seed).then(|| {
        format!(
            "note: {name} is split by seed {seed}, the model was trained on the split of seed {}: \
             training samples are among the test samples",
            origin.split_seed
        )
    })
}
