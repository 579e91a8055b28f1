//! JPEG pictures, Edge Impulse's CBOR, lone NumPy arrays, and what training makes of rare classes and series.

use std::path::Path;

use assert_cmd::Command;
use serde_json::{Value, json};
use tinyhero::random::{self, Purpose};

/// Runs the program in `folder`; it must end with this code and say all of `words`.
fn says(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let mut command = Command::cargo_bin("tinyhero").unwrap();
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
    for word in words {
        assert!(all.contains(word), "{arguments:?}: '{word}' missing in: {all}");
    }
    all
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn json_of(folder: &Path, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

/// 8x8, its left half 40 and its right half 200.
const GREY: &[u8] = include_bytes!("pictures/grey.jpg");
/// 16x16 of red 200, green 60, blue 20.
const COLOUR: &[u8] = include_bytes!("pictures/colour.jpg");

#[test]
fn jpeg_pictures_are_read_beside_png_and_brought_to_one_size() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    for number in 0..5 {
        write(folder, &format!("p/grey/{number}.jpg"), GREY);
        write(folder, &format!("p/red/{number}.jpeg"), COLOUR);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[10; 64]).unwrap();
        writer.finish().unwrap();
        write(folder, &format!("p/dark/{number}.png"), bytes);
    }
    says(folder, &["data", "show", "p"], 2, &["is 16x16 (height, width)", "PATH:8x8x3"]);
    let words = ["resized: 5 pictures to 8x8", "samples of 8x8x3 (U8)", "3 classes"];
    says(folder, &["data", "show", "p:8x8x3"], 0, &words);
    says(folder, &["data", "show", "p:4x4x1"], 0, &["colours became grey", "resized: 15"]);
    let train = ["train", "--data", "p:4x4x1", "--network", "mlp", "--optimizer", "sgd"];
    says(folder, &[&train[..], &["--epochs", "30", "--out", "run"]].concat(), 0, &["finished"]);
    says(folder, &["quantize", "run", "--bits", "8", "--out", "m.hero"], 0, &[]);
    // The network's shape is enough for pictures of any size, in folders and alone.
    let evaluate = ["evaluate", "m.hero", "--data", "p", "--json", "e.json"];
    says(folder, &evaluate, 0, &["resized"]);
    assert_eq!(json_of(folder, "e.json")["accuracy"], 1.0);
    write(folder, "one.jpg", COLOUR);
    let run = ["run", "m.hero", "--on", "mps2-an386", "--input", "one.jpg"];
    says(folder, &run, 0, &["made 4x4 of 1 colours from 16x16 of 3", "label: red"]);
    write(folder, "p/grey/9.jpg", &GREY[..200]);
    says(folder, &["data", "show", "p:8x8x1"], 2, &["9.jpg", "not a whole JPEG picture"]);
}

/// JSON as CBOR has it.
fn cbor(value: &Value) -> ciborium::Value {
    match value {
        Value::Null => ciborium::Value::Null,
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => ciborium::Value::Array(values.iter().map(cbor).collect()),
        Value::Object(pairs) => ciborium::Value::Map(
            pairs.iter().map(|(name, value)| (name.as_str().into(), cbor(value))).collect(),
        ),
    }
}

#[test]
fn acquisitions_in_cbor_are_those_in_json() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    for number in 0..5 {
        for (class, level) in [("idle", 0.5), ("wave", 2.5)] {
            let rows: Vec<Value> = (0..20).map(|row| json!([level, row, number])).collect();
            let sensors = json!([
                {"name": "accX", "units": "m/s2"}, {"name": "accY", "units": "m/s2"}, {"name": "n", "units": ""}
            ]);
            let payload =
                json!({"device_type": "x", "interval_ms": 20, "sensors": sensors, "values": rows});
            let whole = json!({"protected": {"ver": "v1", "alg": "none"}, "signature": "", "payload": payload});
            write(folder, &format!("json/{class}.{number}.json"), whole.to_string());
            let mut bytes = Vec::new();
            ciborium::into_writer(&cbor(&whole), &mut bytes).unwrap();
            write(folder, &format!("cbor/{class}.{number}.cbor"), &bytes);
            write(folder, &format!("cut/{class}.{number}.cbor"), &bytes[..bytes.len() - 9]);
        }
    }
    let shown = |name: &str| {
        let show = ["data", "show", name, "--window", "10", "--json", "s.json"];
        says(folder, &show, 0, &["edge_impulse", "accX", "m/s2", "10x1x3", "of 20 samples"]);
        let mut json = json_of(folder, "s.json");
        json["name"] = Value::Null;
        json["digest"] = Value::Null;
        json
    };
    assert_eq!(shown("json"), shown("cbor"));
    says(folder, &["data", "show", "cut", "--window", "10"], 2, &["export the acquisition again"]);
}

/// An array as NumPy saves it.
fn npy(shape: &[usize], values: &[f64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({sizes}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[test]
fn arrays_in_files_of_their_own_are_samples_and_labels() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let table: Vec<f64> = (0..60)
        .flat_map(|row| [f64::from(row % 3) + 0.5, f64::from(row % 2), f64::from(row % 3)])
        .collect();
    write(folder, "table.npy", npy(&[60, 3], &table));
    says(
        folder,
        &["data", "show", "table.npy"],
        0,
        &["label: column 3, the last", "1x1x2", "3 classes"],
    );
    says(folder, &["data", "show", "table.npy", "--label", "2"], 0, &["2 classes"]);
    says(folder, &["data", "show", "table.npy", "--label", "9"], 2, &["3 columns", "--label"]);
    says(folder, &["data", "show", "table.npy", "--label", "1"], 2, &["0.5", "regression"]);
    let series: Vec<f64> = (0..30 * 20 * 2).map(|place| f64::from(place % 7)).collect();
    let labels: Vec<f64> = (0..30).map(|row| f64::from(row % 2)).collect();
    for part in ["train", "test"] {
        write(folder, &format!("parts/{part}/x.npy"), npy(&[30, 20, 2], &series));
        write(folder, &format!("parts/{part}/y.npy"), npy(&[30], &labels));
        write(folder, &format!("names/X_{part}.npy"), npy(&[30, 20, 2], &series));
        write(folder, &format!("names/y_{part}.npy"), npy(&[30], &labels));
    }
    for name in ["parts", "names"] {
        says(folder, &["data", "show", name], 0, &["20x1x2", "2 classes", "split by files"]);
    }
    write(folder, "alone/x.npy", npy(&[30, 20, 2], &series));
    says(folder, &["data", "show", "alone"], 2, &["without labels", "y.npy"]);
    write(folder, "alone/labels.npy", npy(&[30], &labels));
    says(folder, &["data", "show", "alone"], 0, &["20x1x2", "2 classes"]);
    write(folder, "odd/a.npy", npy(&[30, 20, 2], &series));
    write(folder, "odd/b.npy", npy(&[30], &labels));
    says(folder, &["data", "show", "odd"], 2, &["has the arrays a, b", "name samples x"]);
}

#[test]
fn rare_classes_are_found_when_they_count_as_much() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    // Two overlapping classes, one twenty times as frequent.
    let mut generator = random::generator(4, Purpose::Initialization, 0);
    let mut rows = |count: usize| -> String {
        let mut row = |row: usize| {
            let rare = row.is_multiple_of(21);
            let (noise, class) =
                (random::normal(&mut generator), if rare { "rare" } else { "usual" });
            format!("{:.3},{class}\n", noise + if rare { 2.0 } else { 0.0 })
        };
        (0..count).map(&mut row).collect()
    };
    write(folder, "d/train.csv", "a,label\n".to_string() + &rows(1050));
    write(folder, "d/test.csv", "a,label\n".to_string() + &rows(420));
    let recall = |name: &str, more: &[&str]| {
        let train =
            ["train", "--data", "d", "--network", "mlp", "--optimizer", "sgd", "--epochs", "8"];
        says(folder, &[&train[..], more, &["--out", name]].concat(), 0, &["finished"]);
        says(folder, &["quantize", name, "--bits", "8", "--out", "m.hero"], 0, &[]);
        let evaluate =
            ["evaluate", "m.hero", "--data", "d", "--json", "e.json", "--plots", "plots"];
        says(folder, &evaluate, 0, &["plot: plots"]);
        json_of(folder, "e.json")["classes"][0]["recall"].as_f64().unwrap()
    };
    let without = recall("none", &[]);
    for way in ["weights", "batches"] {
        let with = recall(way, &["--balance", way, "--label-smoothing", "0.05"]);
        assert!(with > without + 0.2 && with > 0.5, "{way}: {with} after {without}");
        let text = std::fs::read_to_string(folder.join(way).join("configuration.toml")).unwrap();
        assert!(text.contains(&format!("balance = \"{way}\"")), "{text}");
    }
    assert!(folder.join("plots/confusion.svg").is_file());
}

#[test]
fn a_run_on_changed_series_goes_on_where_it_stopped() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let rows = |pace: f64| -> String {
        let row = |step: usize| {
            let (x, y) = (pace * step as f64).sin_cos();
            format!("{x:.3},{y:.3}\n")
        };
        (0..320).map(row).collect()
    };
    write(folder, "g/slow.csv", format!("x,y\n{}", rows(0.2)));
    write(folder, "g/fast.csv", format!("x,y\n{}", rows(1.0)));
    let changes = "time-shift:0.2,noise:0.1,amplitude:0.3,negate:x,background:0.1";
    let train =
        ["train", "--data", "g", "--window", "32:16", "--network", "tcn", "--optimizer", "sgd"];
    let with = |more: &[&'static str]| [&train[..], &["--augment", changes], more].concat();
    says(folder, &with(&["--epochs", "3", "--out", "a"]), 0, &["finished"]);
    says(folder, &with(&["--epochs", "3", "--out", "b"]), 0, &["finished"]);
    let text = std::fs::read_to_string(folder.join("a/configuration.toml")).unwrap();
    assert!(text.contains(changes), "{text}");
    let weights =
        |name: &str| std::fs::read(folder.join(name).join("checkpoint.safetensors")).unwrap();
    assert_eq!(weights("a"), weights("b"));
    std::fs::write(folder.join("a/configuration.toml"), text.replace("epochs = 3", "epochs = 5"))
        .unwrap();
    says(folder, &["train", "--resume", "a"], 0, &["finished"]);
    says(folder, &["quantize", "a", "--bits", "4", "--out", "m.hero"], 0, &["bytes"]);
}
