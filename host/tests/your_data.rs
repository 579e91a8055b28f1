//! Data as people have it: each kind of file ends in a right model or in one clear line.

use std::fmt::Write;
use std::path::Path;

use assert_cmd::Command;
use tinyhero::random::{self, ChaCha8Rng, Purpose};

/// Runs the program in `folder`; the exit code and all that it printed.
fn tinyhero(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("tinyhero").unwrap();
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

/// The same, which must end with this code and say all of `words`.
fn says(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let (found, text) = tinyhero(folder, arguments);
    assert_eq!(found, code, "{arguments:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: '{word}' missing in: {text}");
    }
    text
}

fn show(folder: &Path, data: &str, options: &[&str], code: i32, words: &[&str]) -> String {
    says(folder, &[&["data", "show", data], options].concat(), code, words)
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn generator(seed: u64) -> ChaCha8Rng {
    random::generator(seed, Purpose::Initialization, 0)
}

/// `count` rows of three numbers around a class's centre, and what stands before and behind them.
fn rows(count: usize, row: impl Fn(usize, &[f64; 3]) -> String) -> String {
    let mut generator = generator(1);
    (0..count).fold(String::new(), |mut text, index| {
        let centre = 3.0 * (index % 3) as f64;
        let numbers = [0, 1, 2].map(|_| centre + random::normal(&mut generator));
        writeln!(text, "{}", row(index, &numbers)).unwrap();
        text
    })
}

/// Trains, quantizes and evaluates; what `evaluate` printed.
fn deployed(folder: &Path, data: &str, network: &str, options: &[&str]) -> String {
    let train = ["train", "--data", data, "--network", network, "--out", "run"];
    says(folder, &[&train[..], options].concat(), 0, &["finished"]);
    says(folder, &["quantize", "run", "--bits", "8", "--out", "m.hero"], 0, &[]);
    says(folder, &["evaluate", "m.hero", "--data", data, "--json", "e.json"], 0, &[])
}

fn json(folder: &Path, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn the_label_is_where_its_name_says_or_the_option_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let first = rows(60, |i, n| format!("{},{:.2},{:.2},{:.2}", i % 3, n[0], n[1], n[2]));
    for name in ["label", "Class", "TARGET", "class label"] {
        write(folder, "d.csv", format!("{name},a,b,c\n{first}"));
        show(folder, "d.csv", &[], 0, &["label: column 1", "3 classes", "1x1x3"]);
    }
    write(folder, "d.csv", format!("kind,a,b,c\n{first}"));
    show(folder, "d.csv", &[], 2, &["column 4 'c'", "--label", "regression"]);
    for label in ["kind", "1", "-4"] {
        show(folder, "d.csv", &["--label", label], 0, &["3 classes"]);
    }
    show(folder, "d.csv", &["--label", "nothing"], 2, &["kind, a, b, c"]);
    show(folder, "d.csv", &["--label", "7"], 2, &["columns 1 to 4"]);
    let both = rows(30, |i, n| format!("{},{:.1},{}", i % 2, n[0], i % 3));
    write(folder, "d.csv", format!("class,a,label\n{both}"));
    show(folder, "d.csv", &[], 2, &["column 1 'class'", "column 3 'label'", "--label"]);
    show(folder, "d.csv", &["--label", "class", "--drop", "label"], 0, &["2 classes", "1x1x1"]);
    // A last pixel that is always 0 is no label.
    let pixels = rows(30, |i, n| format!("{},{:.0},0", i % 3, n[0].abs()));
    write(folder, "d.csv", pixels);
    show(folder, "d.csv", &[], 2, &["nothing but '0'", "--label"]);
}

#[test]
fn a_time_and_a_row_number_are_no_features() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let body = |time: &dyn Fn(usize) -> String| {
        rows(90, |i, n| format!("{},{:.2},{:.2},{}", time(i), n[0], n[1], ["x", "y", "z"][i / 30]))
    };
    for (name, time) in [
        ("seconds_elapsed", &(|i: usize| format!("{:.2}", i as f64 * 0.16)) as &dyn Fn(usize) -> _),
        ("row", &|i| i.to_string()),
        ("", &|i| (i + 1).to_string()),
        ("timestamp", &|i| (1000 + i * i).to_string()),
        ("when", &|i| format!("2024-01-01 00:{:02}:{:02}", i / 60, i % 60)),
    ] {
        write(folder, "d.csv", format!("{name},a,b,label\n{}", body(time)));
        show(folder, "d.csv", &[], 0, &["left out: column 1", "1x1x2"]);
    }
    write(folder, "d.csv", format!("odd,a,b,label\n{}", body(&|i| (i * i).to_string())));
    show(folder, "d.csv", &[], 0, &["doubt: column 1 'odd' always rises", "1x1x3"]);
    show(folder, "d.csv", &["--drop", "odd"], 0, &["1x1x2"]);
    show(folder, "d.csv", &["--features", "b"], 0, &["1x1x1"]);
    write(folder, "d.csv", format!("subject,a,b,label\n{}", body(&|i| (i % 7).to_string())));
    show(folder, "d.csv", &[], 0, &["doubt: column 1 'subject'", "--group subject"]);
    show(folder, "d.csv", &["--group", "subject"], 0, &["whole groups", "1x1x2"]);
}

#[test]
fn odd_columns_are_told() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text = rows(60, |i, n| {
        format!("{:.2},{:.2},5,{},{}", n[0], n[0], (i % 3) * 10, ["p", "q", "r"][i % 3])
    });
    write(folder, "d.csv", format!("a,copy,same,telling,label\n{text}"));
    let words = ["never vary: same", "column copy is a copy of a", "one column alone", "telling"];
    show(folder, "d.csv", &[], 0, &words);
    let twice = rows(20, |i, n| format!("{:.0},{:.0},{}", n[0] * 9.0, n[1] * 9.0, i % 3));
    write(folder, "train.csv", &twice);
    write(folder, "test.csv", &twice);
    std::fs::remove_file(folder.join("d.csv")).unwrap();
    show(folder, ".", &[], 0, &["20 of 20 test samples are among the training samples"]);
}

#[test]
fn no_file_is_passed_over_without_a_word() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text = rows(30, |i, n| format!("{:.0},{:.0},{:.0},{}", n[0], n[1], n[2], i % 3));
    for name in ["train_1.csv", "train_2.csv", "more/train_3.csv", "test.csv"] {
        write(folder, &format!("d/{name}"), &text);
    }
    write(folder, "d/notes.txt", "words about the data\nand more of them\n");
    write(folder, "d/plot.png", b"\x89PNG\r\n\x1a\n");
    let words = ["all   |    90", "passed over: notes.txt, plot.png"];
    show(folder, "d", &[], 0, &words);
    write(folder, "d/other.csv", &text);
    show(folder, "d", &[], 2, &["other.csv", "training or test"]);
    // Folders say the part, too, and files without a part are joined.
    for name in ["train/a.csv", "train/b.csv", "test/a.csv"] {
        write(folder, &format!("e/{name}"), &text);
    }
    show(folder, "e", &[], 0, &["all   |    60 |          0 |   30"]);
    for name in ["a.csv", "b.csv"] {
        write(folder, &format!("f/{name}"), format!("x,y,z,label\n{text}"));
    }
    show(folder, "f", &[], 0, &["12 of 60 samples"]);
    write(folder, "f/c.csv", "label,z,y,x\n2,0,1,2\n");
    show(folder, "f", &[], 0, &["of 61 samples", "3 classes"]);
    write(folder, "f/c.csv", "label,y,x\n2,1,2\n");
    show(folder, "f", &[], 2, &["c.csv", "no column 'z'"]);
    write(folder, "g/only.txt", rows(30, |i, n| format!("{:.1} {:.1} {}", n[0], n[1], i % 3)));
    show(folder, "g", &[], 0, &["separated by blanks", "1x1x2"]);
}

#[test]
fn missing_values_are_refused_dropped_or_filled() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text = rows(30, |i, n| match i {
        7 => format!("{:.1},,{}", n[0], i % 3),
        9 => format!("NA,{:.1},{}", n[1], i % 3),
        _ => format!("{:.1},{:.1},{}", n[0], n[1], i % 3),
    });
    write(folder, "d.csv", format!("a,b,label\r\n{}", text.replace('\n', "\r\n")));
    show(folder, "d.csv", &[], 2, &["line 9", "column 2 (b)", "--missing drop"]);
    show(folder, "d.csv", &["--missing", "drop"], 0, &["left out: 2 rows", "of 28 samples"]);
    show(folder, "d.csv", &["--missing", "fill"], 0, &["filled: 2", "of 30 samples"]);
    deployed(folder, "d.csv", "mlp", &["--missing", "fill", "--epochs", "2"]);
    let other = "a,b,label\n1.5,,0\n1,2,1\n3,,2\n1,1,1\n2,2,0\n";
    write(folder, "n/train.csv", other);
    write(folder, "n/test.csv", other);
    says(folder, &["evaluate", "m.hero", "--data", "n"], 0, &["filled: 4", "of 5 right"]);
    // A first row with a missing value is a row.
    write(
        folder,
        "d.csv",
        "5.1,?,1.4,0\n4.9,3.0,1.4,0\n5.0,3.0,1.4,1\n5,3,1,1\n5,3,2,1\n5,3,4,1\n",
    );
    show(folder, "d.csv", &[], 2, &["line 1", "'?'"]);
}

#[test]
fn words_become_columns_and_classes_are_named_by_their_numbers() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text =
        rows(60, |i, n| format!("{},{:.2},{}", ["M", "F", "I"][i % 3], n[0], [7, 2, 5][i % 3]));
    write(folder, "d.csv", format!("sex,size,ring\n{text}"));
    let shown = show(folder, "d.csv", &["--json", "d.json"], 0, &["3 classes", "1x1x4", "sex=M"]);
    assert!(shown.contains("'ring', the last"), "{shown}");
    assert_eq!(json(folder, "d.json")["classes"], serde_json::json!(["2", "5", "7"]));
    deployed(folder, "d.csv", "mlp", &["--epochs", "60", "--optimizer", "sgd"]);
    assert!(json(folder, "e.json")["accuracy"].as_f64().unwrap() > 0.9);
    // Other data for the model: columns by their names, in any order; unknown words are refused.
    let other = "ring,size,sex\n2,3.1,F\n7,0.1,M\n5,6,I\n5,6,I\n2,3,F\n";
    write(folder, "n.csv", other);
    says(folder, &["evaluate", "m.hero", "--data", "n.csv", "--label", "ring"], 0, &["of 1 right"]);
    write(folder, "n.csv", other.replace("0.1,M", "0.1,X"));
    let words = ["line 3", "'X'", "does not know"];
    says(folder, &["evaluate", "m.hero", "--data", "n.csv", "--label", "ring"], 2, &words);
    // A row of the user's own, with and without header.
    for row in ["sex,size\nM,0.2\n", "size,ring,sex\n0.2,7,M\n"] {
        write(folder, "row.csv", row);
        let run = ["run", "m.hero", "--on", "mps2-an386", "--input", "row.csv"];
        says(folder, &run, 0, &["read as text", "label: 7"]);
    }
}

/// A wave that each class has at another pace, as a log of readings.
fn log(people: usize, seed: u64) -> String {
    let mut generator = generator(seed);
    let mut text = "subject,time,acc (m/s^2),gyro,activity\n".to_string();
    for person in 0..people {
        for (class, pace) in [("sit", 0.05), ("walk", 0.4), ("run", 1.1)] {
            for step in 0..160 {
                let phase = pace * f64::from(step) + person as f64;
                let noise = 0.1 * random::normal(&mut generator);
                let (sin, cos) = phase.sin_cos();
                let time = f64::from(step) * 0.02;
                writeln!(text, "{person},{time:.2},{:.3},{:.3},{class}", sin + noise, cos).unwrap();
            }
        }
    }
    text
}

#[test]
fn a_log_becomes_windows_that_lie_on_one_side() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write(folder, "log.csv", log(6, 3));
    let options = ["--window", "32:16", "--group", "subject", "--rate", "50"];
    let words = ["is the time of the rows", "windows: 162 of 32 rows", "whole groups", "32x1x2"];
    show(folder, "log.csv", &options, 0, &words);
    show(
        folder,
        "log.csv",
        &["--window", "32:16", "--drop", "subject"],
        0,
        &["split: the last fifth"],
    );
    let refused = ["--window", "32:16", "--split", "stratified"];
    show(folder, "log.csv", &refused, 2, &["both sides", "--split time"]);
    show(folder, "log.csv", &["--window", "500"], 2, &["at most 160", "smaller --window"]);
    let train = [&options[..], &["--epochs", "12", "--lr", "0.05"]].concat();
    let text = deployed(folder, "log.csv", "har-cnn", &train);
    assert!(json(folder, "e.json")["accuracy"].as_f64().unwrap() > 0.9, "{text}");
    let inspected = says(folder, &["inspect", "m.hero"], 0, &["acc: raw = ", "m/s^2"]);
    assert!(!inspected.contains("subject"), "{inspected}");
}

#[test]
fn files_and_folders_of_one_class_each() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    for (name, centre) in [("apple", 0.2), ("banana", 0.5), ("orange", 0.8)] {
        let mut generator = generator(name.len() as u64);
        let text = (0..40).fold("Red,Green,Blue\n".to_string(), |mut text, _| {
            let value = || centre + 0.02 * random::normal(&mut generator);
            let [red, green, blue] = [(); 3].map({
                let mut value = value;
                move |()| value()
            });
            writeln!(text, "{red:.3},{green:.3},{blue:.3}").unwrap();
            text
        });
        write(folder, &format!("fruit/{name}.csv"), &text);
        write(folder, &format!("kinds/{name}/1_a.csv"), &text);
        write(folder, &format!("kinds/{name}/2_b.csv"), &text);
    }
    show(folder, "fruit", &[], 0, &["the name of the file", "apple", "24 of 120 samples"]);
    show(folder, "kinds", &[], 0, &["the folder that a file is in", "orange", "3 classes"]);
    let pieces = ["--label", "file:2"];
    show(folder, "kinds", &pieces, 0, &["| a ", "| b ", "2 classes"]);
    deployed(folder, "fruit", "mlp", &["--epochs", "10", "--optimizer", "sgd"]);
    assert!(json(folder, "e.json")["accuracy"].as_f64().unwrap() > 0.9);
}

#[test]
fn numbers_are_predicted_in_their_units() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let mut generator = generator(5);
    let text = (0..400).fold("x,y (K),double\n".to_string(), |mut text, _| {
        let x = 6.0 * random::unit(&mut generator);
        writeln!(text, "{x:.4},{:.4},{:.4}", 300.0 + 20.0 * x.sin(), 600.0 + 40.0 * x.sin())
            .unwrap();
        text
    });
    write(folder, "d.csv", text);
    show(folder, "d.csv", &[], 2, &["regression", "--label"]);
    let options = ["--label", "y,double", "--task", "regression", "--epochs", "60", "--lr", "0.05"];
    let trained = [&options[..], &["--optimizer", "sgd"]].concat();
    let text = deployed(folder, "d.csv", "mlp", &trained);
    assert!(text.contains("| y ") && text.contains("| K "), "{text}");
    let figures = json(folder, "e.json");
    assert!(figures["r2"].as_f64().unwrap() > 0.8, "{figures}");
    assert_eq!(figures["outputs"].as_array().unwrap().len(), 2);
    let predictions = ["evaluate", "m.hero", "--data", "d.csv", "--predictions", "p.csv"];
    says(folder, &predictions, 0, &[]);
    let rows = std::fs::read_to_string(folder.join("p.csv")).unwrap();
    assert!(rows.starts_with("sample,y,predicted y,double,predicted double\n"), "{rows}");
    assert_eq!(rows.lines().count(), 81);
    let verify = ["verify", "m.hero", "--data", "d.csv", "--on", "mps2-an386", "--json", "v.json"];
    says(folder, &verify, 0, &["R²", "host R²"]);
    let board = &json(folder, "v.json")[0];
    assert_eq!((&board["r2"], &board["host_r2"]), (&figures["r2"], &figures["r2"]), "{board}");
}

#[test]
fn what_is_unusual_is_found_by_its_error() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let mut generator = generator(6);
    let mut usual = |text: &mut String, class: &str, noise: f64| {
        let (a, b) = (random::normal(&mut generator), random::normal(&mut generator));
        let mut value = |x: f64| x + noise * random::normal(&mut generator);
        let values = [a, b, a + b, a - b, 2.0 * a, 0.5 * b].map(&mut value);
        writeln!(text, "{},{class}", values.map(|value| format!("{value:.3}")).join(",")).unwrap();
    };
    let (mut train, mut test) = (String::new(), String::new());
    for _ in 0..400 {
        usual(&mut train, "normal", 0.05);
    }
    for _ in 0..100 {
        usual(&mut test, "normal", 0.05);
        usual(&mut test, "broken", 1.5);
    }
    write(folder, "d/train.csv", train);
    write(folder, "d/test.csv", test);
    let network = "name = \"own\"\n\
        [[layer]]\noperation = \"fully-connected\"\nout-features = 8\n[[layer]]\noperation = \"relu\"\n\
        [[layer]]\noperation = \"fully-connected\"\nout-features = 2\n\
        [[layer]]\noperation = \"fully-connected\"\nout-features = \"inputs\"\n";
    write(folder, "own.toml", network);
    let options = ["--epochs", "30", "--lr", "0.02", "--optimizer", "sgd", "--validation", "0.2"];
    let text = deployed(folder, "d", "own.toml", &options);
    assert!(text.contains("threshold") && !text.contains("accuracy"), "{text}");
    let figures = json(folder, "e.json");
    assert!(figures["auc"].as_f64().unwrap() > 0.8, "{figures}");
    assert!(figures["false_alarms"].as_f64().unwrap() < 0.1, "{figures}");
    // The board's own outputs give the same area.
    let verify = ["verify", "m.hero", "--data", "d", "--on", "mps2-an386", "--json", "v.json"];
    says(folder, &verify, 0, &["area under the curve", "host area under the curve"]);
    let board = &json(folder, "v.json")[0];
    assert_eq!((&board["auc"], &board["host_auc"]), (&figures["auc"], &figures["auc"]), "{board}");
    assert_eq!(board["identical"], 200);
}

#[test]
fn foreign_files_are_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let tflite = [&32u32.to_le_bytes()[..], b"TFL3", &[0; 200]].concat();
    let excel: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain("a,b,label\n1,2,0\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    for (name, bytes, words) in [
        ("model.tflite", tflite, ["TensorFlow Lite", "import"]),
        ("excel.csv", excel, ["UTF-16", "UTF-8"]),
        ("a.mat", b"MATLAB 5.0 MAT-file".to_vec(), ["MATLAB", "CSV"]),
        ("a.jpg", b"\xFF\xD8\xFF\xE0\0\x10JFIF".to_vec(), ["JPEG", "folder"]),
        ("a.h5", b"\x89HDF\r\n\x1a\n".to_vec(), ["HDF5", "CSV"]),
        ("a.xls", b"\xD0\xCF\x11\xE0\xA1".to_vec(), ["Excel", "CSV"]),
    ] {
        write(folder, name, bytes);
        let text = show(folder, name, &[], 2, &words);
        assert!(!text.contains("damaged"), "{text}");
    }
    let train = ["train", "--data", "digits", "--network", "model.tflite", "--out", "run"];
    says(folder, &train, 2, &["model.tflite"]);
}

#[test]
fn recordings_pictures_and_archives_are_read_where_they_are() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let mut generator = generator(7);
    for (class, level) in [("no", 300.0), ("yes", 9000.0)] {
        for number in 0..10 {
            let path = folder.join(format!("words/{class}/{number}.wav"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8000,
                bits_per_sample: if number % 2 == 0 { 16 } else { 24 },
                sample_format: hound::SampleFormat::Int,
            };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            for _ in 0..64 {
                let value = level * random::normal(&mut generator);
                let factor = if number % 2 == 0 { 1.0 } else { 256.0 };
                writer.write_sample((value * factor) as i32).unwrap();
            }
            writer.finalize().unwrap();
        }
    }
    show(folder, "words", &[], 0, &["wav, samples of 64x1x1", "8000 values a second", "yes"]);
    show(folder, "words", &["--window", "16"], 0, &["16x1x1", "windows: 80"]);
    // The same in an archive.
    let file = std::fs::File::create(folder.join("words.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(file, <_>::default()));
    archive.append_dir_all("words", folder.join("words")).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    show(folder, "words.tar.gz", &[], 0, &["wav, samples of 64x1x1", "yes"]);
    // Noise beside the classes is of none, wherever the archive's paths begin.
    for name in ["hum", "wind"] {
        let to = folder.join(format!("words/_background_noise_/{name}.wav"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(folder.join("words/yes/1.wav"), to).unwrap();
    }
    write(folder, "words/testing_list.txt", "no/1.wav\nyes/2.wav\nyes/3.wav\n");
    let file = std::fs::File::create(folder.join("here.tar.gz")).unwrap();
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(file, <_>::default()));
    archive.append_dir_all(".", folder.join("words")).unwrap();
    archive.into_inner().unwrap().finish().unwrap();
    for name in ["words", "here.tar.gz"] {
        let words =
            ["background: 2 recordings", "2 classes", "| all   |    17 |          0 |    3 |"];
        show(folder, name, &[], 0, &words);
    }
    let train = ["train", "--data", "words", "--network", "mlp", "--epochs", "2"];
    let with = |changes: &'static str, out: &'static str| {
        let run = [&train[..], &["--augment", changes, "--out", out]].concat();
        says(folder, &run, 0, &["finished"]);
        std::fs::read(folder.join(out).join("checkpoint.safetensors")).unwrap()
    };
    assert_ne!(with("none", "plain"), with("background:0.5", "noisy"));

    for (class, level) in [("rock", 10u8), ("paper", 200)] {
        for number in 0..10u8 {
            let path = folder.join(format!("pictures/{class}/{number}.png"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = std::fs::File::create(path).unwrap();
            let mut encoder = png::Encoder::new(file, 4, 4);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&[level + number; 48]).unwrap();
        }
    }
    show(
        folder,
        "pictures",
        &[],
        0,
        &["pictures, samples of 4x4x3 (U8)", "paper", "4 of 20 samples"],
    );

    let acquisition = |value: f64| {
        let rows = (0..30).map(|row| format!("[{value},{row}]")).collect::<Vec<_>>().join(",");
        format!(
            "{{\"protected\":{{}},\"payload\":{{\"interval_ms\":20,\"sensors\":[{{\"name\":\"accX\",\
             \"units\":\"m/s2\"}},{{\"name\":\"accY\",\"units\":\"m/s2\"}}],\"values\":[{rows}]}}}}"
        )
    };
    for number in 0..5 {
        write(folder, &format!("ei/idle.{number}.json"), acquisition(0.5));
        write(folder, &format!("ei/wave.{number}.json"), acquisition(2.5));
    }
    let words = ["edge_impulse", "accX", "m/s2", "idle", "10x1x2"];
    show(folder, "ei", &["--window", "10"], 0, &words);
}

#[test]
fn a_description_is_written_and_read() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text = rows(60, |i, n| format!("{i},{:.2},{:.2},{}", n[0], n[1], ["x", "y", "z"][i % 3]));
    write(folder, "d.csv", format!("row,a,b,kind\n{text}"));
    says(folder, &["data", "describe", "d.csv", "--out", "data.toml"], 0, &["left out: column 1"]);
    let description = std::fs::read_to_string(folder.join("data.toml")).unwrap();
    for word in ["label = [\"kind\"]", "drop = [\"row\"]", "[[seen.class]]", "doubts = ["] {
        assert!(description.contains(word), "{word}: {description}");
    }
    deployed(folder, "data.toml", "mlp", &["--epochs", "60", "--optimizer", "sgd"]);
    assert!(json(folder, "e.json")["accuracy"].as_f64().unwrap() > 0.8);
    write(folder, "data.toml", description.replace("label =", "labels ="));
    show(folder, "data.toml", &[], 2, &["data.toml", "unknown field `labels`"]);
}

#[test]
fn a_run_that_cannot_be_deployed_or_has_diverged_ends_with_advice() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let network = "name = \"late\"\n[[layer]]\noperation = \"average-pool-2d\"\nkernel = 3\n\
                   padding = \"same\"\n[[layer]]\noperation = \"fully-connected\"\nout-features = \"classes\"\n";
    write(folder, "late.toml", network);
    let train = ["train", "--data", "digits", "--epochs", "1", "--limit", "640", "--out", "run"];
    let with = |more: &[&'static str]| [&train[..], more].concat();
    let (code, text) = tinyhero(folder, &with(&["--network", "late.toml"]));
    assert!(code == 0 || (code == 2 && text.contains("padding")), "{text}");
    let wild = with(&["--network", "mlp", "--lr", "1e6", "--optimizer", "sgd"]);
    std::fs::remove_dir_all(folder.join("run")).ok();
    says(folder, &wild, 1, &["diverged", "lower --lr"]);
    let unknown = network.replace("average-pool-2d", "attention");
    write(folder, "unknown.toml", unknown);
    std::fs::remove_dir_all(folder.join("run")).ok();
    let words = ["unknown operation 'attention'", "convolution-2d, depthwise-convolution-2d"];
    says(folder, &with(&["--network", "unknown.toml"]), 2, &words);
}
