//! The bundled UCI digits: 8×8 images with values 0..=16 (E. Alpaydin and C. Kaynak 1998, CC BY 4.0).

use super::source::Source;
use super::{
    Dataset, DatasetKind, SampleShape, SampleType, Split, csv, numbered_classes, shuffled_indexes,
};
use crate::error::Result;

/// All rows, split by writer.
pub const NAME: &str = "digits";
/// The 1,797 test rows alone, split by seed.
pub const NAME_1797: &str = "digits-1797";

const TRAINING: &[u8] = include_bytes!("../../data/digits/optdigits.tra.gz");
const TEST: &[u8] = include_bytes!("../../data/digits/optdigits.tes.gz");
const SHAPE: SampleShape = SampleShape::new(8, 8, 1);
const CLASSES: usize = 10;
/// Training and validation rows of `digits-1797`; the rest is its test part.
const SEEDED_COUNTS: [usize; 2] = [1077, 360];

/// Training rows of 30 writers, test rows of 13 others.
pub fn by_writer() -> Result<Dataset> {
    let train = parse("optdigits.tra.gz", TRAINING)?;
    let test = parse("optdigits.tes.gz", TEST)?;
    Ok(dataset(NAME, train, Split::default(), test))
}

/// The test rows of [`by_writer`], split 1077/360/360 in an order that `seed` decides.
pub fn seeded(seed: u64) -> Result<Dataset> {
    let rows = parse("optdigits.tes.gz", TEST)?;
    let indexes = shuffled_indexes(rows.len(), seed);
    let (train, rest) = indexes.split_at(SEEDED_COUNTS[0]);
    let (validation, test) = rest.split_at(SEEDED_COUNTS[1]);
    Ok(dataset(NAME_1797, rows.selected(train), rows.selected(validation), rows.selected(test)))
}

fn parse(name: &str, compressed: &'static [u8]) -> Result<Split> {
    let source = Source::bundled(name, compressed)?;
    csv::parse_integers(&source, SHAPE.elements())
}

fn dataset(name: &str, train: Split, validation: Split, test: Split) -> Dataset {
    Dataset {
        name: name.to_string(),
        kind: DatasetKind::Bundled,
        shape: SHAPE,
        class_names: numbered_classes(CLASSES),
        sample_type: SampleType::U8,
        column_maps: None,
        train,
        validation,
        test,
    }
}
