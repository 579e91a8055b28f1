//! CIFAR-10 binary batches: records of one label byte and three 32×32 planes (red, green, blue).

use crate::data::format::{Candidate, File, Format, Part, Recognition, Request};
use crate::data::source::{Source, of_unknown_part};
use crate::data::{Dataset, SampleShape, SampleType, Split, SplitRule, splits};
use crate::error::{Error, Result};

/// CIFAR-10's format.
pub struct Cifar10;

/// Shape of every image.
const SHAPE: SampleShape = SampleShape::new(32, 32, 3);
/// File with one class name per line.
const CLASS_NAMES_FILE: &str = "batches.meta.txt";
/// Class names where no such file is present.
const CLASS_NAMES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
/// Longest list of class names in bytes.
const MOST_NAME_BYTES: u64 = 1 << 16;
const RECORD: usize = 1 + 3072;
const PLANE: usize = 1024;

impl Format for Cifar10 {
    const NAME: &'static str = "cifar10";
    const HELP: &'static str = "CIFAR-10 binary";

    /// Whole records, by its length. In a folder, a packed file must be unpacked to see that.
    fn recognise(candidate: &Candidate) -> Recognition {
        if candidate.base_name == CLASS_NAMES_FILE {
            return Recognition::Beside(MOST_NAME_BYTES);
        }
        if candidate.is_text() || crate::data::foreign::name(&candidate.start).is_some() {
            return Recognition::No;
        }
        let may_be_another = candidate.in_folder && candidate.part == Part::Unknown;
        match candidate.length {
            Some(length) if length > 0 && length.is_multiple_of(RECORD as u64) => Recognition::Yes,
            None if !(may_be_another && candidate.is_archive()) => Recognition::NeedsLength,
            _ => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], beside: &[File]) -> Result<Dataset> {
        let mut train = Split::default();
        let mut test = Split::default();
        let mut split_rule = SplitRule::Files;
        if let [lone] = files {
            append(&lone.source, &mut train)?;
            (train, test) = splits::divide(&train, request.seed);
            split_rule = SplitRule::Shuffle;
        } else {
            for file in files {
                match file.part {
                    Part::Train => append(&file.source, &mut train)?,
                    Part::Test => append(&file.source, &mut test)?,
                    Part::Unknown | Part::Validation => {
                        return Err(of_unknown_part(&file.source.name));
                    }
                }
            }
        }
        let class_names = match beside {
            [] => CLASS_NAMES.map(String::from).to_vec(),
            [file, ..] => class_names(&file.source)?,
        };
        let dataset = Dataset::new(request.name, Self::NAME, SHAPE, SampleType::U8, class_names);
        Ok(Dataset { split_rule, train, test, ..dataset })
    }
}

/// The names in a file with one a line.
fn class_names(source: &Source) -> Result<Vec<String>> {
    let text = String::from_utf8_lossy(&source.bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let names: Vec<String> = lines.map(String::from).collect();
    if names.len() == CLASS_NAMES.len() {
        return Ok(names);
    }
    Err(Error::bad_input(
        &source.name,
        format_args!("names {} classes instead of 10", names.len()),
        "give one name per line",
    ))
}

/// Appends the records of one file to `split`, planes turned into pixels.
fn append(source: &Source, split: &mut Split) -> Result<()> {
    split.samples.reserve_exact(source.bytes.len());
    for (row, record) in source.bytes.chunks_exact(RECORD).enumerate() {
        let (label, planes) = (record[0], &record[1..]);
        if usize::from(label) >= CLASS_NAMES.len() {
            return Err(Error::bad_input(
                &source.name,
                format_args!("record {row} has label {label}, but CIFAR-10 has 10 classes"),
                "check that this is a CIFAR-10 binary batch",
            ));
        }
        split.labels.push(u16::from(label));
        for pixel in 0..PLANE {
            for channel in 0..SHAPE.channels {
                split.samples.push(i16::from(planes[channel * PLANE + pixel]));
            }
        }
    }
    Ok(())
}
