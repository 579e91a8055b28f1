//! IDX files (MNIST, Fashion-MNIST): big-endian header, then unsigned bytes.
//!
//! Format: two zero bytes, type code 0x08 (u8), number of dimensions, each dimension as u32, then the data row by row.

use crate::data::format::{Candidate, File, Format, Part, Recognition, Request};
use crate::data::source::Source;
use crate::data::{Dataset, SampleShape, SampleType, Split, SplitRule, name_classes};
use crate::error::{Error, Result};

/// MNIST's format.
pub struct Idx;

/// What an IDX file holds, by its number of dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    /// One dimension: labels.
    Labels,
    /// Three dimensions (count, rows, columns), or four with channels last: images.
    Images,
}

/// Recognises an IDX file of unsigned bytes by its first four bytes.
fn contents(bytes: &[u8]) -> Option<Contents> {
    match bytes.get(..4)? {
        [0, 0, 8, 1] => Some(Contents::Labels),
        [0, 0, 8, 3 | 4] => Some(Contents::Images),
        _ => None,
    }
}

impl Format for Idx {
    const NAME: &'static str = "idx";
    const HELP: &'static str = "MNIST IDX";

    fn recognise(candidate: &Candidate) -> Recognition {
        match contents(&candidate.start) {
            Some(_) => Recognition::Yes,
            None => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        let name = request.name;
        let pick = |part: Part, wanted: Contents, what: &str| -> Result<&Source> {
            let is_it =
                |file: &&File| file.part == part && contents(&file.source.bytes) == Some(wanted);
            files.iter().find(is_it).map(|file| &file.source).ok_or_else(|| {
                Error::bad_input(
                    name,
                    format_args!("holds no IDX file with {what}"),
                    "give a folder with train-images, train-labels, t10k-images and t10k-labels",
                )
            })
        };
        let load = |part, words: [&str; 2]| -> Result<(SampleShape, Split)> {
            let images = pick(part, Contents::Images, words[0])?;
            parse(images, pick(part, Contents::Labels, words[1])?)
        };
        // Two of a kind, or of no part: one would be left out without a word.
        let kind = |file: &File| (file.part as u8, contents(&file.source.bytes));
        let is_extra = |place: usize| {
            let file = &files[place];
            !matches!(file.part, Part::Train | Part::Test)
                || files[..place].iter().any(|other| kind(other) == kind(file))
        };
        if let Some(extra) = (0..files.len()).find(|&place| is_extra(place))
            && files.len() > 4
        {
            let problem = "is one IDX file more than training and test images and labels";
            let advice = "keep it in another folder";
            return Err(Error::bad_input(&files[extra].source.name, problem, advice));
        }
        let (shape, mut train) = load(Part::Train, ["training images", "training labels"])?;
        let (test_shape, mut test) = load(Part::Test, ["test images", "test labels"])?;
        if shape != test_shape {
            return Err(Error::bad_input(
                name,
                format_args!("training images are {shape}, test images {test_shape}"),
                "give images of one size",
            ));
        }
        let class_names = name_classes(&mut train, &mut test, name)?;
        let dataset = Dataset::new(name, Self::NAME, shape, SampleType::U8, class_names);
        Ok(Dataset { split_rule: SplitRule::Files, train, test, ..dataset })
    }
}

/// Joins a file of images and a file of labels.
fn parse(images: &Source, labels: &Source) -> Result<(SampleShape, Split)> {
    let (dimensions, pixels) = payload(images)?;
    let (label_dimensions, label_bytes) = payload(labels)?;
    if dimensions.contains(&0) {
        return Err(Error::bad_input(&images.name, "holds no image", "give a file with images"));
    }
    let shape =
        SampleShape::new(dimensions[1], dimensions[2], dimensions.get(3).copied().unwrap_or(1));
    if dimensions[0] != label_dimensions[0] {
        return Err(Error::bad_input(
            &labels.name,
            format_args!(
                "holds {} labels for the {} images of {}",
                label_dimensions[0], dimensions[0], images.name
            ),
            "give the labels that belong to these images",
        ));
    }
    let split = Split {
        samples: pixels.iter().map(|&value| i16::from(value)).collect(),
        labels: label_bytes.iter().map(|&label| u16::from(label)).collect(),
        ..Split::default()
    };
    Ok((shape, split))
}

/// The dimensions and the data bytes, whose number must fit the dimensions.
fn payload(source: &Source) -> Result<(Vec<usize>, &[u8])> {
    let count = usize::from(source.bytes.get(3).copied().unwrap_or(0));
    let damaged = |problem: String| Error::bad_input(&source.name, problem, "fetch the file again");
    let header = source
        .bytes
        .get(4..4 + 4 * count)
        .ok_or_else(|| damaged("ends inside its IDX header".to_string()))?;
    let dimensions: Vec<usize> = header
        .chunks_exact(4)
        .map(|bytes| bytes.iter().fold(0, |value, &byte| value << 8 | usize::from(byte)))
        .collect();
    let data = &source.bytes[4 + 4 * count..];
    let expected = dimensions.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    if expected != Some(data.len()) {
        let shape: Vec<String> = dimensions.iter().map(usize::to_string).collect();
        return Err(damaged(format!(
            "holds {} data bytes, but its IDX header says {}",
            data.len(),
            shape.join(" x ")
        )));
    }
    Ok((dimensions, data))
}
