//! What minibatches are made of.

use super::batch::take_validation;
use crate::data::Split;

#[test]
fn a_validation_split_takes_its_share_of_the_samples_and_leaves_the_others_in_order() {
    let whole =
        Split { samples: (0..200).collect(), labels: (0..100).collect(), values: Vec::new() };
    let mut train = whole.clone();
    let validation = take_validation(&mut train, 0.25, 3);
    assert_eq!((train.len(), validation.len()), (75, 25));
    for split in [&train, &validation] {
        assert!(split.labels.is_sorted());
        for (index, &label) in split.labels.iter().enumerate() {
            let label = i16::try_from(label).unwrap();
            assert_eq!(split.sample(index).unwrap(), [2 * label, 2 * label + 1]);
        }
    }
    assert!(!validation.labels.iter().any(|label| train.labels.contains(label)));
    let mut again = whole.clone();
    assert_eq!(take_validation(&mut again, 0.25, 3).labels, validation.labels);
    let mut other = whole;
    assert_ne!(take_validation(&mut other, 0.25, 4).labels, validation.labels);
}
