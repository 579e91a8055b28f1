//! A run folder is complete: what is measured on the data is measured once, and later commands need the data no more or know it again.

use std::fmt::Write;
use std::path::Path;

use assert_cmd::Command;
use tinyhero::random::{self, Purpose};

/// Runs the program in `folder`; the exit code and all that it printed.
fn tinyhero(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("tinyhero").unwrap();
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

/// The same, which must succeed.
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = tinyhero(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

/// The same, which must be refused with exit code 2 and these words in one line.
fn refused(folder: &Path, arguments: &[&str], words: &[&str]) {
    let (code, text) = tinyhero(folder, arguments);
    assert_eq!(code, 2, "{arguments:?}: {text}");
    let line = text.lines().last().unwrap();
    for word in words {
        assert!(line.contains(word), "'{word}' missing in: {line}");
    }
}

/// Rows of three classes around `centres`, sorted by class.
fn rows(count: usize, centres: [f64; 3], spread: f64, seed: u64) -> String {
    let mut generator = random::generator(seed, Purpose::Initialization, 0);
    let mut text = String::new();
    for (class, centre) in centres.into_iter().enumerate() {
        for _ in 0..count {
            let mut value = |scale: f64| scale * centre + spread * random::normal(&mut generator);
            let values = [value(1.0), value(-0.5), value(0.25)];
            writeln!(text, "{:.0},{:.0},{:.0},{class}", values[0], values[1], values[2]).unwrap();
        }
    }
    text
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

const TRAIN: [&str; 9] =
    ["train", "--network", "mlp", "--optimizer", "sgd", "--epochs", "5", "--data", "live"];

/// A run in `run` on the data `live`.
fn trained() -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let centres = [200.0, 900.0, 1600.0];
    write(place.path(), "live/train.csv", &rows(200, centres, 60.0, 1));
    write(place.path(), "live/test.csv", &rows(40, centres, 60.0, 2));
    done(place.path(), &[TRAIN.as_slice(), &["--out", "run"]].concat());
    place
}

#[test]
fn quantizing_needs_the_data_no_more() {
    let place = trained();
    let at = place.path();
    let model = |name: &str| std::fs::read(at.join(name)).unwrap();
    done(at, &["quantize", "run", "--bits", "4", "--out", "before.hero"]);
    // Rows of another recording, far away, are added to the file.
    let grown = rows(200, [200.0, 900.0, 1600.0], 60.0, 1) + &rows(400, [9e3, 8e3, 7e3], 900.0, 3);
    write(at, "live/train.csv", &grown);
    done(at, &["quantize", "run", "--bits", "4", "--out", "grown.hero"]);
    assert!(model("grown.hero") == model("before.hero"));
    std::fs::rename(at.join("live"), at.join("moved")).unwrap();
    done(at, &["quantize", "run", "--bits", "4", "--out", "gone.hero"]);
    assert!(model("gone.hero") == model("before.hero"));
}

#[test]
fn a_run_finds_its_data_from_any_folder() {
    let place = trained();
    let elsewhere = tempfile::tempdir().unwrap();
    let run = place.path().join("run").display().to_string();
    done(elsewhere.path(), &["train", "--resume", &run]);
    done(elsewhere.path(), &["quantize", &run, "--bits", "4", "--out", "model.hero"]);
    let text = std::fs::read_to_string(place.path().join("run/provenance.toml")).unwrap();
    let data = place.path().canonicalize().unwrap().join("live").display().to_string();
    assert!(text.contains(&data) || text.contains("live\""), "{text}");
}

#[test]
fn commands_that_need_the_data_refuse_it_once_it_has_changed() {
    let place = trained();
    let at = place.path();
    let curvature = ["curvature", "run", "--samples", "20", "--surface", "0", "--iterations", "2"];
    done(at, &curvature);
    write(at, "live/test.csv", &rows(40, [200.0, 900.0, 1600.0], 60.0, 5));
    refused(at, &["train", "--resume", "run"], &["live", "has changed since the run run began"]);
    refused(at, &curvature, &["live", "has changed"]);
}

#[test]
fn a_run_of_an_earlier_version_is_named() {
    let place = trained();
    std::fs::remove_file(place.path().join("run/input.toml")).unwrap();
    let quantize = ["quantize", "run", "--bits", "4", "--out", "model.hero"];
    refused(place.path(), &quantize, &["run", "earlier version", "input.toml", "train again"]);
}

#[test]
fn calibration_sees_every_class_of_sorted_rows() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    // More rows of the first class than calibration takes of all.
    let centres = [30.0, 900.0, 4000.0];
    write(at, "live/train.csv", &rows(600, centres, 10.0, 1));
    write(at, "live/test.csv", &rows(50, centres, 10.0, 2));
    done(at, &[TRAIN.as_slice(), &["--out", "run"]].concat());
    done(at, &["quantize", "run", "--bits", "8", "--out", "model.hero"]);
    let text = done(at, &["evaluate", "model.hero", "--data", "live"]);
    assert!(text.contains("150 of 150"), "{text}");
}

#[test]
fn the_key_task_makes_an_autoencoder_and_the_name_does_not() {
    let place = trained();
    let at = place.path();
    let network = |name: &str, task: &str| {
        format!(
            "name = \"{name}\"\n{task}\n[[layer]]\noperation = \"fully-connected\"\n\
             out-features = 2\n[[layer]]\noperation = \"fully-connected\"\nout-features = \"inputs\"\n"
        )
    };
    write(at, "own.toml", &network("own", "task = \"reconstruct\""));
    let data = ["train", "--data", "live:1x3x1", "--optimizer", "sgd", "--lr", "0.01"];
    let train = |network: &str, out: &str| {
        let rest = ["--epochs", "1", "--network", network, "--out", out];
        let arguments = [data.as_slice(), &rest].concat();
        tinyhero(at, &arguments)
    };
    let (code, text) = train("own.toml", "own");
    assert_eq!(code, 0, "{text}");
    done(at, &["quantize", "own", "--bits", "8", "--out", "own.hero"]);
    let stored = std::fs::read_to_string(at.join("own/network.toml")).unwrap();
    assert!(stored.contains("task = \"reconstruct\""), "{stored}");
    write(at, "regress.toml", &network("own", "task = \"regress\""));
    let (code, text) = train("regress.toml", "regress");
    // Values to predict are not guessed.
    assert!(code == 2 && text.contains("--label"), "{text}");
}

/// Rows of two classes in fractions, the first column with a unit; `narrow` ones are of class 1 alone in a small range.
fn fractions(count: usize, narrow: bool, seed: u64) -> String {
    let mut generator = random::generator(seed, Purpose::Initialization, 0);
    let mut text = "acc_x (m/s^2),turn,label\n".to_string();
    let mut written = 0;
    for row in 0.. {
        let class = row % 2;
        let centre = if class == 1 { -1.0 } else { 2.0 };
        let values = [1.5, 4.0].map(|spread| centre + spread * random::normal(&mut generator));
        if narrow && !(class == 1 && (-2.0..0.5).contains(&values[0])) {
            continue;
        }
        writeln!(text, "{:.4},{:.4},{class}", values[0], values[1]).unwrap();
        written += 1;
        if written == count {
            return text;
        }
    }
    text
}

/// The sentence with the share of right labels.
fn right(text: &str) -> &str {
    text.lines().find(|line| line.contains(" right: ")).unwrap()
}

#[test]
fn the_same_rows_get_the_same_answers_in_whatever_file_they_stand() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    write(at, "live/train.csv", &fractions(800, false, 1));
    write(at, "live/test.csv", &fractions(200, false, 2));
    // The same 60 rows beside the training rows and alone, where their own range is another.
    let recording = fractions(60, true, 3);
    write(at, "right/train.csv", &fractions(800, false, 1));
    write(at, "right/test.csv", &recording);
    write(at, "new/train.csv", &recording);
    write(at, "new/test.csv", &recording);
    done(at, &[TRAIN.as_slice(), &["--out", "run"]].concat());
    done(at, &["quantize", "run", "--bits", "4", "--out", "model.hero"]);
    let own = done(at, &["evaluate", "model.hero", "--data", "live"]);
    assert!(!own.contains("note:"), "{own}");
    let beside = done(at, &["evaluate", "model.hero", "--data", "right"]);
    let alone = done(at, &["evaluate", "model.hero", "--data", "new"]);
    assert_eq!(right(&beside), right(&alone));
    assert!(alone.contains("note: new is not the data that the model was trained on"), "{alone}");
    // Measured anew, the recording's range would be that of all 16 bits.
    done(at, &["train", "--resume", "run"]);
    let shown = done(at, &["data", "show", "new"]);
    assert!(shown.contains("acc_x"), "{shown}");
}

#[test]
fn inspect_says_what_raw_values_mean() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    write(at, "live/train.csv", &fractions(300, false, 1));
    write(at, "live/test.csv", &fractions(60, false, 2));
    done(at, &[TRAIN.as_slice(), &["--out", "run"]].concat());
    done(at, &["quantize", "run", "--bits", "4", "--out", "model.hero"]);
    let text = done(at, &["inspect", "model.hero", "--json", "model.json"]);
    let json: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(at.join("model.json")).unwrap()).unwrap();
    let column = &json["input"]["column_maps"][0];
    assert_eq!((column["name"].as_str(), column["unit"].as_str()), (Some("acc_x"), Some("m/s^2")));
    let (offset, step) = (column["offset"].as_f64().unwrap(), column["step"].as_f64().unwrap());
    let line = format!("acc_x: raw = (value - {offset:?}) / {step:?} m/s^2");
    assert!(text.contains(&line), "'{line}' missing in: {text}");
    // The least and the largest training value are the ends of the raw range.
    let rows = std::fs::read_to_string(at.join("live/train.csv")).unwrap();
    let values = rows.lines().skip(1).map(|row| row.split(',').next().unwrap());
    let values: Vec<f64> = values.map(|value| value.parse().unwrap()).collect();
    let largest = values.iter().copied().fold(f64::MIN, f64::max);
    assert!((offset + 32767.0 * step - largest).abs() < 1e-9, "{offset} {step} {largest}");
    let digest = json["provenance"]["data"].as_str().unwrap();
    assert!(digest.len() == 64 && text.contains(digest), "{text}");
    let run = std::fs::read_to_string(at.join("run/provenance.toml")).unwrap();
    assert!(run.contains(digest), "{run}");
}

#[test]
fn evaluation_uses_the_split_of_the_training() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    write(at, "lone.csv", &fractions(160, false, 4));
    let train = ["train", "--network", "mlp", "--optimizer", "sgd", "--epochs", "60"];
    let rest = ["--data", "lone.csv", "--seed", "3", "--out", "run"];
    done(at, &[train.as_slice(), &rest].concat());
    done(at, &["quantize", "run", "--bits", "8", "--out", "model.hero"]);
    let evaluate = ["evaluate", "model.hero", "--data", "lone.csv"];
    let with = |seed: &str| done(at, &[evaluate.as_slice(), &["--split-seed", seed]].concat());
    let own = done(at, &evaluate);
    assert_eq!(own, with("3"), "not the split of the training, or a note about it");
    let other = with("0");
    let words = "lone.csv is split by seed 0, the model was trained on the split of seed 3";
    assert!(other.contains(words), "{other}");
}

#[test]
fn a_class_that_the_model_does_not_have_is_named() {
    let place = trained();
    let at = place.path();
    done(at, &["quantize", "run", "--bits", "8", "--out", "model.hero"]);
    write(at, "new/train.csv", "1,2,3,0\n");
    write(at, "new/test.csv", "1,2,3,7\n");
    let evaluate = ["evaluate", "model.hero", "--data", "new"];
    refused(at, &evaluate, &["test.csv", "line 1", "label 7", "3 classes"]);
}
