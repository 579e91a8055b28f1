//! The bundled UCI digits: 8×8 images with values 0..=16 (E. Alpaydin and C. Kaynak 1998, CC BY 4.0).

use super::format::Part;
use super::source::Source;
use super::{Dataset, SampleShape, SampleType, Split, SplitRule, digest, numbered_classes, splits};
use crate::error::{Error, Result};

/// Its format's name in reports.
const FORMAT: &str = "bundled";
/// Names of the data sets inside the program.
pub const NAMES: [&str; 2] = [NAME, NAME_1797];
/// All rows, split by writer.
const NAME: &str = "digits";
/// The 1,797 test rows alone, split by seed.
const NAME_1797: &str = "digits-1797";

const TRAINING: &[u8] = include_bytes!("../../data/digits/optdigits.tra.gz");
const TEST: &[u8] = include_bytes!("../../data/digits/optdigits.tes.gz");
const SHAPE: SampleShape = SampleShape::new(8, 8, 1);
const CLASSES: usize = 10;
/// Training and validation rows of `digits-1797`; the rest is its test part.
const SEEDED_COUNTS: [usize; 2] = [1077, 360];

/// The data set of that name, `None` where there is none; `seed` decides the split of `digits-1797`.
pub fn open(name: &str, seed: u64) -> Result<Option<Dataset>> {
    match name {
        NAME => by_writer().map(Some),
        NAME_1797 => seeded(seed).map(Some),
        _ => Ok(None),
    }
}

/// Training rows of 30 writers, test rows of 13 others.
fn by_writer() -> Result<Dataset> {
    let (train, train_source) = parse("optdigits.tra.gz", TRAINING)?;
    let (test, test_source) = parse("optdigits.tes.gz", TEST)?;
    let sources = [(Part::Train, train_source), (Part::Test, test_source)];
    Ok(Dataset { train, test, ..dataset(NAME, &sources)? })
}

/// The test rows of [`by_writer`], split 1077/360/360 in an order that `seed` decides.
fn seeded(seed: u64) -> Result<Dataset> {
    let (rows, source) = parse("optdigits.tes.gz", TEST)?;
    let indexes = splits::shuffled_indexes(rows.len(), seed);
    let (train, rest) = indexes.split_at(SEEDED_COUNTS[0]);
    let (validation, test) = rest.split_at(SEEDED_COUNTS[1]);
    Ok(Dataset {
        split_rule: SplitRule::Shuffle,
        train: rows.selected(train),
        validation: rows.selected(validation),
        test: rows.selected(test),
        ..dataset(NAME_1797, &[(Part::Unknown, source)])?
    })
}

fn parse(name: &str, compressed: &'static [u8]) -> Result<(Split, Source)> {
    let source = Source::bundled(name, compressed)?;
    let mut rows = Split::default();
    for line in source.bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let numbers: Option<Vec<i16>> = line.split(|&byte| byte == b',').map(number).collect();
        match numbers.as_deref() {
            Some([pixels @ .., label]) if pixels.len() == SHAPE.elements() => {
                rows.samples.extend_from_slice(pixels);
                rows.labels.push(label.unsigned_abs());
            }
            _ => return Err(Error::check_failed(name, "is damaged", "install the program again")),
        }
    }
    Ok((rows, source))
}

/// A whole number in decimal digits.
fn number(field: &[u8]) -> Option<i16> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

fn dataset(name: &str, sources: &[(Part, Source)]) -> Result<Dataset> {
    let classes = numbered_classes(CLASSES);
    let digest = digest::of(sources.iter().map(|(part, source)| (*part, source)))?;
    Ok(Dataset { digest, ..Dataset::new(name, FORMAT, SHAPE, SampleType::U8, classes) })
}
