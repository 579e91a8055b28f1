//! The bundled digits, and one clear line for each way in which a file can be wrong.

use super::*;
use std::io::Write;
use std::path::Path;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn idx_images(count: u32, pixels: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for size in [count, 2, 3] {
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend((0..pixels).map(|value| value as u8));
    bytes
}

fn idx_labels(labels: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 1];
    bytes.extend((labels.len() as u32).to_be_bytes());
    bytes.extend(labels);
    bytes
}

fn folder_of(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn open(path: &Path) -> Result<Dataset> {
    Dataset::open(path.to_str().unwrap())
}

fn open_by(path: &Path, convention: &Convention) -> Result<Dataset> {
    let none = DataOptions::default();
    Dataset::open_by(path.to_str().unwrap(), 0, convention, &none, &mut Vec::new())
}

/// Opens the files and returns the error, which must be one line and hold `words`.
fn refusal(files: &[(&str, Vec<u8>)], words: &[&str]) {
    let folder = folder_of(files);
    let text = open(folder.path()).unwrap_err().to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' missing in: {text}");
    }
}

#[test]
fn digits_hold_the_published_counts() {
    let digits = Dataset::open("digits").unwrap();
    assert_eq!((digits.train.len(), digits.test.len()), (3823, 1797));
    assert_eq!(digits.shape, SampleShape::new(8, 8, 1));
    let count = |split: &Split, class| split.labels.iter().filter(|&&label| label == class).count();
    let train: Vec<usize> = (0..10).map(|class| count(&digits.train, class)).collect();
    let test: Vec<usize> = (0..10).map(|class| count(&digits.test, class)).collect();
    assert_eq!(train, [376, 389, 380, 389, 387, 376, 377, 387, 380, 382]);
    assert_eq!(test, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    assert!(digits.train.samples.iter().all(|value| (0..=16).contains(value)));
}

#[test]
fn digits_1797_is_split_by_the_seed() {
    let first = Dataset::open_with_seed("digits-1797", 1).unwrap();
    let again = Dataset::open_with_seed("digits-1797", 1).unwrap();
    let other = Dataset::open_with_seed("digits-1797", 2).unwrap();
    assert_eq!((first.train.len(), first.validation.len(), first.test.len()), (1077, 360, 360));
    assert_eq!(first.train, again.train);
    assert_ne!(first.train, other.train);
}

#[test]
fn normalization_gives_mean_zero_and_variance_one() {
    let digits = Dataset::open("digits").unwrap();
    let normalization = digits.normalization();
    let real: Vec<f64> =
        digits.train.samples.iter().map(|&raw| normalization.real(raw, 0)).collect();
    let mean = real.iter().sum::<f64>() / real.len() as f64;
    let variance = real.iter().map(|value| value * value).sum::<f64>() / real.len() as f64;
    assert!(mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-9, "{mean} {variance}");
}

#[test]
fn min_max_scaling_brings_each_channel_to_zero_to_one() {
    // Two channels, the second of which never varies.
    let samples = vec![-3, 7, 5, 7, 1, 7];
    let split = Split { samples, labels: vec![0; 3], ..Split::default() };
    let normalization = Normalization::measure(&split, 2, Scaling::MinMax);
    let reals = [-3, 5, 1].map(|raw| normalization.real(raw, 0));
    assert_eq!(reals, [0.0, 1.0, 0.5]);
    assert_eq!((normalization.real(7, 1), normalization.real(9, 1)), (0.0, 2.0));
}

#[test]
fn idx_is_recognised_by_content_packed_or_not() {
    let folder = folder_of(&[
        ("train-a", gzip(&idx_images(2, 12))),
        ("train-b.gz", idx_labels(&[0, 2])),
        ("t10k-a", idx_images(1, 6)),
        ("t10k-b", idx_labels(&[2])),
        ("LICENSE", b"words".to_vec()),
    ]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(dataset.format, "idx");
    assert_eq!(dataset.shape, SampleShape::new(2, 3, 1));
    // No class without a sample.
    assert_eq!(dataset.class_names, ["0", "2"]);
    assert_eq!((dataset.train.labels[1], dataset.test.labels[0]), (1, 1));
    assert_eq!(dataset.train.sample(1).unwrap(), [6, 7, 8, 9, 10, 11]);
}

#[test]
fn cifar10_planes_become_pixels() {
    let mut record = vec![9u8];
    record.extend((0..3072).map(|index| (index / 1024 * 50 + index % 1024 % 7) as u8));
    let folder =
        folder_of(&[("data_batch_1.bin", record.clone()), ("test_batch.bin.gz", gzip(&record))]);
    let dataset = open(folder.path()).unwrap();
    assert_eq!(dataset.format, "cifar10");
    assert_eq!(dataset.train.sample(0).unwrap()[..6], [0, 50, 100, 1, 51, 101]);
    assert_eq!(dataset.class_names[9], "truck");
    record[0] = 10;
    refusal(
        &[("data_batch_1.bin", record.clone()), ("test.bin", record)],
        &["data_batch_1.bin", "record 0", "label 10"],
    );
}

#[test]
fn csv_takes_a_header_a_shape_and_fractions() {
    let rows = b"a,b,c,d,label\n1,2,3,4,0\n5,6,7,8,1\n".to_vec();
    let folder = folder_of(&[("train.csv", rows.clone()), ("test.csv", rows)]);
    let path = folder.path().to_str().unwrap();
    let flat = Dataset::open(path).unwrap();
    assert_eq!((flat.shape, flat.sample_type), (SampleShape::new(1, 1, 4), SampleType::U8));
    let square = Dataset::open(&format!("{path}:2x2")).unwrap();
    assert_eq!(square.shape, SampleShape::new(2, 2, 1));
    assert!(
        Dataset::open(&format!("{path}:3x2"))
            .unwrap_err()
            .to_string()
            .contains("4 feature columns")
    );

    let rows = b"-0.5,10,x\n0.5,20,y\n0.25,15,x\n".to_vec();
    let folder = folder_of(&[("train.csv", rows.clone()), ("test.csv", rows)]);
    let scaled = open(folder.path()).unwrap();
    assert_eq!(scaled.sample_type, SampleType::I16);
    assert_eq!(scaled.class_names, ["x", "y"]);
    let map = &scaled.columns[0];
    for (row, value) in [-0.5, 0.5, 0.25].iter().enumerate() {
        let raw = scaled.train.sample(row).unwrap()[0];
        assert!((map.offset + map.step * f64::from(raw) - value).abs() <= map.step / 2.0);
    }
}

#[test]
fn a_lone_csv_is_split_by_the_seed() {
    let rows: String = (0..50).map(|row| format!("{row},{}\n", row % 2)).collect();
    let folder = folder_of(&[("rows.csv", rows.into_bytes())]);
    let path = folder.path().join("rows.csv");
    let dataset = open(&path).unwrap();
    assert_eq!((dataset.train.len(), dataset.test.len()), (40, 10));
}

#[test]
fn every_bad_input_gets_its_one_line() {
    let text = Dataset::open("no/such/data").unwrap_err().to_string();
    assert!(text.contains("no/such/data") && text.contains("digits"), "{text}");

    let good = |name: &'static str| match name {
        "train-images" => (name, idx_images(2, 12)),
        "train-labels" => (name, idx_labels(&[0, 1])),
        "test-images" => (name, idx_images(1, 6)),
        _ => ("test-labels", idx_labels(&[1])),
    };
    let with = |name: &'static str, bytes: Vec<u8>| {
        ["train-images", "train-labels", "test-images", "test-labels"]
            .map(|other| if other == name { (name, bytes.clone()) } else { good(other) })
    };
    let mut cut = gzip(&idx_images(2, 12));
    cut.truncate(cut.len() - 9);
    refusal(&with("train-images", cut), &["train-images", "truncated"]);
    refusal(
        &with("train-images", idx_images(2, 11)),
        &["train-images", "11 data bytes", "2 x 2 x 3"],
    );
    refusal(
        &with("train-labels", idx_labels(&[0, 1, 1])),
        &["train-labels", "3 labels", "2 images"],
    );
    refusal(&with("test-labels", idx_labels(&[2])), &["sample 0", "label 2", "2 classes"]);
    refusal(&with("test-labels", Vec::new()), &["test-labels", "empty"]);
    refusal(&with("test-labels", b"hello".to_vec()), &["test labels"]);
    refusal(&[], &["no data set"]);

    let table =
        |rows: &str| [("train.csv", rows.as_bytes().to_vec()), ("test.csv", b"1,2,0\n".to_vec())];
    refusal(&table("1,2,0\n1,2,3,0\n"), &["train.csv, line 2", "4 columns instead of 3"]);
    refusal(&table("1,2,0\n1,x,0\n"), &["train.csv, line 2", "column 2", "'x'"]);
    refusal(&table("1,2,3,0\n"), &["test.csv", "2 feature columns"]);
    refusal(&table("1,2,0.5\n"), &["train.csv", "0.5", "regression"]);
    refusal(&table("1,2,0\n1,2,0.5\n"), &["train.csv", "0.5", "regression"]);
    refusal(&table("1,2,\n1,2,0\n1,3,1\n"), &["train.csv, line 1", "no label"]);
    refusal(
        &[("train.csv", b"1,0\n".to_vec()), ("test.csv", b"1,0\n1,3\n".to_vec())],
        &["test.csv, line 2", "label 3"],
    );
}

#[test]
fn a_header_names_the_columns_and_gives_units() {
    let rows = b"acc_x (m/s^2),count,label\n-0.5,10,x\n0.5,20,y\n".to_vec();
    let folder = folder_of(&[("train.csv", rows.clone()), ("test.csv", rows)]);
    let dataset = open(folder.path()).unwrap();
    let names: Vec<_> = dataset.columns.iter().map(|column| column.name.as_deref()).collect();
    assert_eq!(names, [Some("acc_x"), Some("count")]);
    assert_eq!(dataset.columns[0].unit.as_deref(), Some("m/s^2"));
    assert!((dataset.columns[0].step - 1.0 / 65534.0).abs() < 1e-12);
}

#[test]
fn data_for_a_network_is_converted_as_its_training_data_was() {
    let rows =
        |text: &str| [("train.csv", text.as_bytes().to_vec()), ("test.csv", b"0.5,1,b\n".to_vec())];
    let training = folder_of(&rows("-1,0,a\n1,2,b\n0.5,1,b\n"));
    let trained = open(training.path()).unwrap();
    let convention = Convention {
        shape: trained.shape,
        sample_type: trained.sample_type,
        columns: trained.columns.clone(),
        class_names: trained.class_names.clone(),
        task: crate::task::Task::Classification,
        options: trained.options.clone(),
    };
    // Another range and one class only: measured anew, all of these would become other integers.
    let other = folder_of(&rows("0.5,1,b\n0.25,1,b\n"));
    let by = |folder: &tempfile::TempDir| open_by(folder.path(), &convention);
    let read = by(&other).unwrap();
    assert_eq!(read.test, trained.test);
    assert_eq!(read.class_names, ["a", "b"]);
    assert_ne!(open(other.path()).unwrap().test, trained.test);
    assert_ne!(read.digest, trained.digest);

    let strange = folder_of(&rows("0.5,1,c\n"));
    let text = by(&strange).unwrap_err().to_string();
    assert!(text.contains("line 1") && text.contains("'c'"), "{text}");
    let wide =
        folder_of(&[("train.csv", b"1,2,3,a\n".to_vec()), ("test.csv", b"1,2,3,a\n".to_vec())]);
    let text = by(&wide).unwrap_err().to_string();
    assert!(text.contains("1x1x3") && text.contains("1x1x2"), "{text}");
}

#[test]
fn values_that_a_network_cannot_read_are_named() {
    let files = |row: &str| {
        let row = row.as_bytes().to_vec();
        folder_of(&[("train.csv", row.clone()), ("test.csv", row)])
    };
    let convention = Convention {
        shape: SampleShape::new(1, 1, 2),
        sample_type: SampleType::U8,
        columns: vec![Column::named(None); 2],
        class_names: vec!["0".to_string(), "1".to_string()],
        task: crate::task::Task::Classification,
        options: DataOptions::default(),
    };
    for (row, words) in [("1,256,1\n", "column 2 holds 256"), ("0.5,3,0\n", "column 1 holds 0.5")] {
        let folder = files(row);
        let error = open_by(folder.path(), &convention).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn help_texts_and_documents_name_every_format() {
    let names = FORMATS.map(|format| format.name);
    let mut once = names.to_vec();
    once.dedup();
    assert_eq!(once, names);
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md"));
    let readme = readme.unwrap();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src/data/formats");
    let files: Vec<String> = std::fs::read_dir(sources)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_string())
        .collect();
    assert_eq!(files.len(), FORMATS.len(), "a format without its line in the list: {files:?}");
    for format in FORMATS {
        assert!(files.contains(&format.name.to_string()), "{} has no file", format.name);
        assert!(Dataset::help().contains(format.help), "{}", Dataset::help());
        assert!(readme.contains(format.help), "README.md does not name {}", format.help);
    }
}

#[test]
fn a_draw_takes_from_every_class_what_its_share_is() {
    // Sorted by class, as recordings are: the first 50 are all of one class.
    let labels: Vec<u16> = [(0, 600), (1, 300), (2, 99), (3, 1)]
        .into_iter()
        .flat_map(|(label, count)| std::iter::repeat_n(label, count))
        .collect();
    let split = Split { samples: (0..1000).collect(), labels, ..Split::default() };
    let drawn = split.drawn(50, 7);
    let count = |label| drawn.labels.iter().filter(|&&found| found == label).count();
    assert_eq!([0, 1, 2, 3].map(count), [29, 15, 5, 1]);
    assert!(drawn.samples.is_sorted(), "the order of the data");
    assert_eq!(split.drawn(50, 7), drawn);
    assert_ne!(split.drawn(50, 8), drawn);
    assert_eq!(split.drawn(1000, 7), split);
    assert_eq!(split.drawn(3, 7).labels.len(), 3);
}
