//! Data sets from the file system: which file is what, by its content, and which part it belongs to, by its name.

use super::source::{Budget, Opened, Source};
use super::{
    Dataset, DatasetKind, SampleShape, SampleType, Split, cifar10, count_classes, csv, idx,
    numbered_classes, shuffled_indexes,
};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Share of a lone file that becomes test data: one in this many.
const TEST_SHARE: usize = 5;
/// Most visible files of a folder.
const MOST_FILES: usize = 1_000;
/// Longest list of class names in bytes.
const MOST_NAME_BYTES: u64 = 1 << 16;
const ADVICE: &str = "give IDX, CIFAR-10 binary or CSV files, gz or not";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Train,
    Test,
    Unknown,
}

struct File {
    source: Source,
    part: Part,
}

/// Opens a folder or file; `seed` splits a lone file.
pub fn open(name: &str, seed: u64) -> Result<Dataset> {
    let (path, shape) = split_shape(name);
    let path = Path::new(path);
    let metadata = std::fs::metadata(path).map_err(|reason| match reason.kind() {
        std::io::ErrorKind::NotFound => Error::bad_input(
            path.display(),
            "is neither a bundled data set nor an existing path",
            format_args!("use {}, or a folder or file", Dataset::bundled().join(", ")),
        ),
        _ => Error::reading(path, &reason),
    })?;
    let paths = if metadata.is_dir() { list(path)? } else { vec![path.to_path_buf()] };
    let mut found = Found::default();
    let mut budget = Budget::whole();
    for path in &paths {
        found.add(Opened::open(path)?, metadata.is_dir(), &mut budget)?;
    }
    let kinds = [
        !found.images.is_empty() || !found.labels.is_empty(),
        !found.batches.is_empty(),
        !found.tables.is_empty(),
    ];
    match kinds {
        [true, false, false] => found.idx(name),
        [false, true, false] => found.cifar10(name, seed, path),
        [false, false, true] => found.csv(name, seed, shape),
        [false, false, false] => Err(Error::bad_input(path.display(), "holds no data set", ADVICE)),
        _ => Err(Error::bad_input(
            path.display(),
            "mixes data formats",
            "keep each data set in a folder of its own",
        )),
    }
}

/// Separates the `:HxWxC` (or `:HxW`) at the end of `PATH:HxWxC`.
fn split_shape(name: &str) -> (&str, Option<SampleShape>) {
    let parse = |text: &str| {
        let sizes: Option<Vec<usize>> = text
            .split('x')
            .map(|size| size.parse().ok().filter(|&size| size > 0 && size <= 65_536))
            .collect();
        match *sizes?.as_slice() {
            [height, width] => Some(SampleShape::new(height, width, 1)),
            [height, width, channels] => Some(SampleShape::new(height, width, channels)),
            _ => None,
        }
    };
    match name.rsplit_once(':') {
        Some((path, text)) => match parse(text) {
            Some(shape) => (path, Some(shape)),
            None => (name, None),
        },
        None => (name, None),
    }
}

/// The visible files of a folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|reason| Error::reading(folder, &reason))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|reason| Error::reading(folder, &reason))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(Error::bad_input(
                folder.display(),
                format_args!("holds more than {MOST_FILES} files"),
                "keep each data set in a folder of its own",
            ));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The part that a file name announces.
fn part(base_name: &str) -> Part {
    if base_name.contains("train")
        || base_name.contains("data_batch")
        || base_name.ends_with(".tra")
    {
        Part::Train
    } else if base_name.contains("test")
        || base_name.contains("t10k")
        || base_name.ends_with(".tes")
    {
        Part::Test
    } else {
        Part::Unknown
    }
}

#[derive(Default)]
struct Found {
    images: Vec<File>,
    labels: Vec<File>,
    batches: Vec<File>,
    tables: Vec<File>,
    class_names: Option<Vec<String>>,
}

impl Found {
    /// Puts one file where its content says. In a folder, other files (notes, licences) are passed over.
    fn add(&mut self, opened: Opened, in_folder: bool, budget: &mut Budget) -> Result<()> {
        let base_name = opened.base_name();
        let part = part(&base_name);
        let has_table_name =
            [".csv", ".tra", ".tes"].iter().any(|ending| base_name.ends_with(ending));
        if base_name == cifar10::CLASS_NAMES_FILE {
            let text = class_names_text(opened, budget)?;
            self.class_names = Some(
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .map(String::from)
                    .collect(),
            );
        } else if opened.start.is_empty() {
            return Err(Error::bad_input(&opened.name, "is empty", ADVICE));
        } else if let Some(contents) = idx::recognise(&opened.start) {
            let file = File { part, source: opened.read(budget)? };
            match contents {
                idx::Contents::Labels => self.labels.push(file),
                idx::Contents::Images => self.images.push(file),
            }
        } else if opened.is_text() {
            if has_table_name || !in_folder {
                self.tables.push(File { part, source: opened.read(budget)? });
            }
        } else if !in_folder || part != Part::Unknown || may_be_batch(&opened) {
            let source = opened.read(budget)?;
            if cifar10::recognise(source.bytes.len() as u64) {
                self.batches.push(File { part, source });
            } else if !in_folder || part != Part::Unknown {
                return Err(Error::bad_input(
                    &source.name,
                    "has no known format (a damaged or cut file?)",
                    ADVICE,
                ));
            }
        }
        Ok(())
    }

    fn idx(&self, name: &str) -> Result<Dataset> {
        let pick = |files: &'_ [File], part: Part, what: &str| -> Result<usize> {
            files.iter().position(|file| file.part == part).ok_or_else(|| {
                Error::bad_input(
                    name,
                    format_args!("holds no IDX file with {what}"),
                    "give a folder with train-images, train-labels, t10k-images and t10k-labels",
                )
            })
        };
        let load = |part, words: [&str; 2]| -> Result<(SampleShape, Split)> {
            let images = &self.images[pick(&self.images, part, words[0])?].source;
            let labels = &self.labels[pick(&self.labels, part, words[1])?].source;
            idx::parse(images, labels)
        };
        let (shape, train) = load(Part::Train, ["training images", "training labels"])?;
        let (test_shape, test) = load(Part::Test, ["test images", "test labels"])?;
        if shape != test_shape {
            return Err(Error::bad_input(
                name,
                format_args!("training images are {shape}, test images {test_shape}"),
                "give images of one size",
            ));
        }
        Ok(Dataset {
            name: name.to_string(),
            kind: DatasetKind::Idx,
            shape,
            class_names: numbered_classes(count_classes(&train.labels)),
            sample_type: SampleType::U8,
            column_maps: None,
            train,
            validation: Split::default(),
            test,
        })
    }

    fn cifar10(&self, name: &str, seed: u64, path: &Path) -> Result<Dataset> {
        let mut parts = [Split::default(), Split::default()];
        let lone = self.batches.len() == 1;
        for file in &self.batches {
            match file.part {
                Part::Test if !lone => cifar10::append(&file.source, &mut parts[1])?,
                Part::Unknown if !lone => {
                    return Err(unknown_part(&file.source));
                }
                _ => cifar10::append(&file.source, &mut parts[0])?,
            }
        }
        let [mut train, mut test] = parts;
        if lone {
            (train, test) = divide(&train, seed);
        }
        let names = match &self.class_names {
            Some(names) if names.len() == cifar10::CLASS_NAMES.len() => names.clone(),
            Some(names) => {
                return Err(Error::bad_input(
                    path.join(cifar10::CLASS_NAMES_FILE).display(),
                    format_args!("names {} classes instead of 10", names.len()),
                    "give one name per line",
                ));
            }
            None => cifar10::CLASS_NAMES.map(String::from).to_vec(),
        };
        Ok(Dataset {
            name: name.to_string(),
            kind: DatasetKind::Cifar10,
            shape: cifar10::SHAPE,
            class_names: names,
            sample_type: SampleType::U8,
            column_maps: None,
            train,
            validation: Split::default(),
            test,
        })
    }

    fn csv(&self, name: &str, seed: u64, shape: Option<SampleShape>) -> Result<Dataset> {
        let with_part = |part| self.tables.iter().find(|file| file.part == part);
        let tables = match (with_part(Part::Train), with_part(Part::Test), self.tables.as_slice()) {
            (Some(train), Some(test), _) => {
                vec![csv::parse(&train.source)?, csv::parse(&test.source)?]
            }
            (_, _, [lone]) => vec![csv::parse(&lone.source)?],
            (_, _, files) => return Err(unknown_part(&files[0].source)),
        };
        let width = tables[0].width;
        let shape = shape.unwrap_or(SampleShape::new(1, 1, width));
        if shape.elements() != width {
            return Err(Error::bad_input(
                name,
                format_args!("has {width} feature columns, but {shape} needs {}", shape.elements()),
                "give a shape whose product is the number of feature columns",
            ));
        }
        let mut converted = csv::convert(tables)?;
        let last = converted.splits.pop().unwrap_or_default();
        let (train, test) = match converted.splits.pop() {
            Some(first) => (first, last),
            None => divide(&last, seed),
        };
        Ok(Dataset {
            name: name.to_string(),
            kind: DatasetKind::Csv,
            shape,
            class_names: converted.class_names,
            sample_type: converted.sample_type,
            column_maps: converted.column_maps,
            train,
            validation: Split::default(),
            test,
        })
    }
}

/// The text that names classes.
fn class_names_text(opened: Opened, budget: &mut Budget) -> Result<String> {
    let name = opened.name.clone();
    let too_long = || {
        Error::bad_input(
            name,
            format_args!("has more than {MOST_NAME_BYTES} bytes"),
            "give one name per line",
        )
    };
    if opened.length.is_some_and(|length| length > MOST_NAME_BYTES) {
        return Err(too_long());
    }
    let source = opened.read(budget)?;
    if source.bytes.len() as u64 > MOST_NAME_BYTES {
        return Err(too_long());
    }
    Ok(String::from_utf8_lossy(&source.bytes).into_owned())
}

/// Whether a binary file of a folder can be a CIFAR-10 batch, whatever its name. A packed one must be unpacked to see that.
fn may_be_batch(opened: &Opened) -> bool {
    !opened.is_archive() && opened.length.is_none_or(cifar10::recognise)
}

fn unknown_part(source: &Source) -> Error {
    Error::bad_input(
        &source.name,
        "the name does not say whether this is training or test data",
        "put 'train' or 'test' into the file names, one file each",
    )
}

/// Splits rows into training and test rows in an order that `seed` decides.
fn divide(rows: &Split, seed: u64) -> (Split, Split) {
    let indexes = shuffled_indexes(rows.len(), seed);
    let (test, train) = indexes.split_at(rows.len() / TEST_SHARE);
    (rows.selected(train), rows.selected(test))
}
