//! More of the kinds of data that have gone wrong: each ends in what it means, or in one line that says what to do.

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;

use assert_cmd::Command;
use tinyhero::random::{self, ChaCha8Rng, Purpose};

/// Runs the program in `folder`; it must end with this code and say all of `words`.
fn says(folder: &Path, arguments: &[&str], code: i32, words: &[&str]) -> String {
    let mut command = Command::cargo_bin("tinyhero").unwrap();
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {all}");
    assert!(!all.contains("panicked"), "{all}");
    for word in words {
        assert!(all.contains(word), "{arguments:?}: '{word}' missing in: {all}");
    }
    if code != 0 {
        let errors = text(&output.stderr);
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    all
}

/// Each case is a file's name, its text, the exit code of `data show`, and words that it says.
fn show(cases: &[(&str, String, i32, &[&str])]) {
    let place = tempfile::tempdir().unwrap();
    for (name, text, code, words) in cases {
        write(place.path(), name, text);
        says(place.path(), &["data", "show", name], *code, words);
    }
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn generator(seed: u64) -> ChaCha8Rng {
    random::generator(seed, Purpose::Initialization, 0)
}

/// Rows of two numbers around the centre of a class out of `names`.
fn rows(count: usize, names: &[&str], row: impl Fn(usize, f64, f64, &str) -> String) -> String {
    let mut generator = generator(2);
    (0..count).fold(String::new(), |mut text, index| {
        let class = index % names.len();
        let mut value = || 3.0 * class as f64 + random::normal(&mut generator);
        let (a, b) = (value(), value());
        writeln!(text, "{}", row(index, a, b, names[class])).unwrap();
        text
    })
}

fn usual(count: usize, names: &[&str]) -> String {
    rows(count, names, |_, a, b, class| format!("{a:.2},{b:.2},{class}"))
}

const XYZ: [&str; 3] = ["x", "y", "z"];

#[test]
fn the_label_is_found_or_asked_for() {
    let first = |name: &str| {
        format!("{name},a,b\n") + &rows(60, &XYZ, |_, a, b, c| format!("{c},{a:.2},{b:.2}"))
    };
    let mut cases = Vec::new();
    for name in ["species", "Diagnosis", "activity", "gesture", "y", "Survived"] {
        cases.push(("d.csv", first(name), 2, &["column 3 'b'", "--label"][..]));
    }
    for name in ["Class Label", "class-id", " Target ", "LABELS"] {
        cases.push(("d.csv", first(name), 0, &["by its name", "3 classes", "1x1x2"][..]));
    }
    let timed = |name: &str, time: &dyn Fn(usize) -> String| {
        format!("{name},a,b,label\n")
            + &rows(60, &XYZ, |i, a, b, c| format!("{},{a:.2},{b:.2},{c}", time(i)))
    };
    let left_out: &[&str] = &["left out: column 1", "1x1x2"];
    for name in ["Unnamed: 0", "ts", "sample", "Time [s]", "time_ms", "No"] {
        cases.push(("d.csv", timed(name, &|i| (i * 20).to_string()), 0, left_out));
    }
    cases.push(("d.csv", timed("when", &|i| format!("12:00:{i:02}")), 0, left_out));
    cases.push(("d.csv", timed("id", &|i| format!("p{i}")), 0, left_out));
    cases.push((
        "d.csv",
        timed("left", &|i| (900 - i * i / 9 - i).to_string()),
        0,
        &["'left' always falls"],
    ));
    cases.push(("d.csv", timed("a", &|i| (i % 7).to_string()), 0, &["1x1x3", "3 classes"]));
    cases.push((
        "d.csv",
        rows(60, &XYZ, |_, a, b, c| format!("{c},{a:.2},{b:.2}")),
        2,
        &["column 3", "--label"],
    ));
    show(&cases);
}

#[test]
fn a_first_row_is_a_header_a_row_or_odd() {
    let header = "a,b,label\n";
    let body = usual(30, &["0", "1", "2"]);
    let with = |first: &str| format!("{first}{body}");
    show(&[
        (
            "d.csv",
            with("acc,gyro,label\nm/s2,deg/s,\n"),
            0,
            &["line 2 has the units", "m/s2", "deg/s", "of 30 samples"],
        ),
        ("d.csv", with("0,1,2\n"), 0, &["counts columns", "of 30 samples"]),
        ("d.csv", with("nan,1.5,0\n"), 2, &["line 1", "missing"]),
        ("d.csv", with("1.2,NULL,0\n"), 2, &["line 1", "'NULL'"]),
        ("d.csv", with("1.2,error,0\n"), 2, &["line 1", "'error'"]),
        ("d.csv", with("\"a\",\"b\",\"label\"\n"), 0, &["of 30 samples"]),
        ("d.csv", with(" a , b , label \n"), 0, &["of 30 samples"]),
        ("d.csv", with("\n\na,b,label\n"), 0, &["of 30 samples"]),
        ("d.csv", with("% recorded by me\na,b,label\n"), 2, &["line 1", "delete this line"]),
        ("d.csv", with("My measurement\na,b,label\n"), 2, &["line 1", "delete this line"]),
        ("d.csv", header.to_string(), 2, &["no row below its header"]),
        ("d.csv", format!("{header}{body}{header}{body}"), 2, &["line 32", "'a', not a number"]),
        (
            "d.csv",
            header.to_string() + &body.replace('\n', ",9\n"),
            2,
            &["line 1", "3 fields", "have 4"],
        ),
        (
            "d.csv",
            "a,b,label,\n".to_string() + &body.replace('\n', ",\n"),
            0,
            &["holds nothing", "1x1x2"],
        ),
        ("d.csv", format!("@relation x\n@data\n{body}"), 2, &["ARFF", "@data"]),
    ]);
}

#[test]
fn classes_have_the_names_that_the_data_gives() {
    let of = |names: &[&str]| "a,b,label\n".to_string() + &usual(60, names);
    let many = (0..400).fold("a,b,label\n".to_string(), |mut text, row| {
        writeln!(text, "{}.5,{}.25,c{}", row % 7, row % 11, row / 2).unwrap();
        text
    });
    show(&[
        ("d.csv", of(&["1.0", "2.0", "3.0"]), 0, &["3 classes", "| 1     |"]),
        ("d.csv", of(&["01", "02", "03"]), 0, &["3 classes"]),
        ("d.csv", of(&["1e0", "2e0", "3e0"]), 0, &["3 classes"]),
        ("d.csv", of(&["+1", "-1", "0"]), 0, &["3 classes", "| -1"]),
        ("d.csv", of(&["10", "200", "4000"]), 0, &["3 classes", "| 4000"]),
        ("d.csv", of(&["100000", "200000"]), 0, &["2 classes"]),
        ("d.csv", of(&["True", "False"]), 0, &["| False", "| True"]),
        ("d.csv", of(&["Cat", "cat", "dog"]), 0, &["| Cat", "| cat"]),
        ("d.csv", of(&["grün", "blå", "红"]), 0, &["grün", "红"]),
        ("d.csv", of(&["\"a, b\"", "\"c\"", "d"]), 0, &["| a, b", "| c "]),
        ("d.csv", of(&["1", "2", "unknown"]), 2, &["mixes numbers and names", "unknown"]),
        ("d.csv", of(&["0", "1"]) + "1.5,2.5,\n", 2, &["line 62", "no label"]),
        ("d.csv", of(&["0", "1"]) + "1.5,2.5,NaN\n", 2, &["line 62", "no label"]),
        ("d.csv", of(&["3"]), 0, &["one class only, '3'"]),
        ("d.csv", many, 0, &["200 classes"]),
    ]);
}

#[test]
fn every_file_is_read_or_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let text = "a,b,label\n".to_string() + &usual(30, &XYZ);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let swapped =
        "label,b,a\n".to_string() + &rows(30, &XYZ, |_, a, b, c| format!("{c},{b:.2},{a:.2}"));
    let t = text.as_bytes();
    let semicolons = text.replace(',', ";");
    let bare = usual(30, &XYZ);
    let case = |name: &str, files: &[(&str, &[u8])], code: i32, words: &[&str]| {
        for (file, bytes) in files {
            write(folder, &format!("{name}/{file}"), bytes);
        }
        says(folder, &["data", "show", name], code, words);
    };
    let all: &[&str] = &["| all   |    60 |          0 |   30"];
    case("upper", &[("TRAIN.CSV", t), ("TEST.CSV", t)], 0, &["| all   |    30"]);
    case("gz", &[("train1.csv.gz", &packed), ("train2.csv", t), ("test.csv", t)], 0, all);
    case(
        "copy",
        &[("train.csv", t), ("train.csv.gz", &packed), ("test.csv", t)],
        0,
        &["doubt: train.csv.gz holds the same as train.csv"],
    );
    case(
        "parts",
        &[("train.csv", t), ("val.csv", t), ("test.csv", t)],
        0,
        &["| all   |    30 |         30 |   30"],
    );
    case(
        "folders",
        &[("train/a.csv", t), ("validation/a.csv", t), ("test/a.csv", t)],
        0,
        &["|         30 |   30"],
    );
    case(
        "no_test",
        &[("train.csv", t), ("valid.csv", t)],
        0,
        &["validation files take its place", "|          0 |   30"],
    );
    case(
        "mix",
        &[("train.csv", t), ("test.csv", t), ("more.tsv", t)],
        2,
        &["more.tsv", "training or test"],
    );
    case("empty", &[("a.csv", t), ("b.csv", b"")], 0, &["passed over: b.csv (empty)"]);
    case("deep", &[("2024/jan/a.csv", t), ("2024/feb/b.csv", t)], 0, &["of 60 samples"]);
    case("separators", &[("a.csv", t), ("b.csv", semicolons.as_bytes())], 0, &["of 60 samples"]);
    case("headers", &[("a.csv", t), ("b.csv", bare.as_bytes())], 0, &["of 60 samples"]);
    case(
        "order",
        &[("train.csv", t), ("test.csv", swapped.as_bytes())],
        0,
        &["3 classes", "1x1x2"],
    );
    case("names", &[("contest.csv", t), ("values.csv", t)], 0, &["12 of 60 samples"]);
    let numbers = rows(30, &XYZ, |_, a, b, _| format!("{a:.2},{b:.2}"));
    let n = numbers.as_bytes();
    case(
        "classes",
        &[("train/up.csv", n), ("train/down.csv", n), ("test/up.csv", n), ("test/down.csv", n)],
        0,
        &["the name of the file", "2 classes", "| up", "|    60"],
    );
}

/// A model of columns of different ranges, two of which have one name, and the answers to ten rows.
fn model(folder: &Path) -> Vec<Vec<f64>> {
    let numbers = |count: usize, seed: u64| -> Vec<[f64; 4]> {
        let mut generator = generator(seed);
        let mut row = |index: usize| {
            let class = (index % 3) as f64;
            let mut value = |size: f64| size * (class + 0.4 * random::normal(&mut generator));
            [value(1.0), value(1000.0), value(0.01), class]
        };
        (0..count).map(&mut row).collect()
    };
    let mut text = "acc (g),light,light,label\n".to_string();
    for [a, b, c, class] in numbers(150, 1) {
        writeln!(text, "{a:.4},{b:.2},{c:.6},{class}").unwrap();
    }
    write(folder, "train/data.csv", text);
    let mut text = "acc (g),light,light,label\n".to_string();
    for [a, b, c, class] in numbers(10, 2) {
        writeln!(text, "{a:.4},{b:.2},{c:.6},{class}").unwrap();
    }
    write(folder, "ten.csv", &text);
    let train = ["train", "--data", "train", "--network", "mlp", "--optimizer", "sgd"];
    says(folder, &[&train[..], &["--epochs", "6", "--out", "run"]].concat(), 0, &[]);
    // The data may go: the run has what is needed, from any folder.
    std::fs::create_dir_all(folder.join("elsewhere")).unwrap();
    std::fs::rename(folder.join("train"), folder.join("gone")).unwrap();
    says(
        &folder.join("elsewhere"),
        &["quantize", "../run", "--bits", "8", "--out", "../m.hero"],
        0,
        &[],
    );
    scores(folder, "ten.csv", 0)
}

/// The scores of the ten rows, which stand behind `first` others in a test file.
fn scores(folder: &Path, data: &str, first: usize) -> Vec<Vec<f64>> {
    // A lone file is split: as test data of a folder all rows are answered.
    let name = std::path::PathBuf::from(data);
    let inside = format!("as-test-{}", name.display().to_string().replace('/', "_"));
    let ending = name.file_name().unwrap().to_string_lossy().into_owned();
    write(folder, &format!("{inside}/test-{ending}"), std::fs::read(folder.join(data)).unwrap());
    write(folder, &format!("{inside}/train-{ending}"), std::fs::read(folder.join(data)).unwrap());
    says(
        folder,
        &["evaluate", "m.hero", "--data", &inside, "--label", "label", "--predictions", "p.csv"],
        0,
        &[],
    );
    let text = std::fs::read_to_string(folder.join("p.csv")).unwrap();
    let rows = text.lines().skip(1 + first);
    rows.map(|row| row.split(',').skip(3).map(|score| score.parse().unwrap()).collect()).collect()
}

#[test]
fn the_same_rows_get_the_same_answers_whatever_file_they_stand_in() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let expected = model(folder);
    assert_eq!(expected.len(), 10);
    let text = std::fs::read_to_string(folder.join("ten.csv")).unwrap();
    let table: Vec<Vec<&str>> = text.lines().map(|line| line.split(',').collect()).collect();
    let arranged = |order: &[usize], separator: &str| -> String {
        let line = |row: &Vec<&str>| {
            order.iter().map(|&place| row[place]).collect::<Vec<_>>().join(separator)
        };
        table.iter().map(|row| line(row) + "\n").collect()
    };
    let commas = arranged(&[0, 1, 2, 3], ";").replace('.', ",");
    let wide: String = table
        .iter()
        .enumerate()
        .map(|(row, fields)| {
            let more = if row == 0 { "note,time".to_string() } else { format!("w{row},{row}.5") };
            format!("{more},{}\n", fields.join(","))
        })
        .collect();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("order.csv", arranged(&[3, 1, 0, 2], ",").into_bytes()),
        ("semicolons.csv", commas.into_bytes()),
        ("tabs.tsv", arranged(&[0, 1, 2, 3], "\t").into_bytes()),
        ("windows.csv", text.replace('\n', "\r\n").into_bytes()),
        ("mark.csv", format!("\u{feff}{text}").into_bytes()),
        ("packed.csv.gz", packed.finish().unwrap()),
        ("units.csv", text.replace("acc (g)", "ACC [g]").into_bytes()),
        ("no_units.csv", text.replace("acc (g)", "acc").into_bytes()),
        ("wide.csv", wide.into_bytes()),
        ("quoted.csv", text.replace("light", "\"light\"").into_bytes()),
    ];
    for (name, bytes) in files {
        write(folder, name, bytes);
        assert_eq!(scores(folder, name, 0), expected, "{name}");
    }
    // Behind rows of another range.
    let far: String =
        (0..20).map(|row| format!("{row}.5,{row}00000.5,9.5,{}\n", row % 3)).collect();
    let (header, body) = text.split_once('\n').unwrap();
    write(folder, "far.csv", format!("{header}\n{far}{body}"));
    assert_eq!(scores(folder, "far.csv", 20), expected);
    // What a column lacks is named.
    write(folder, "less.csv", "acc,light,label\n1,2,0\n1,2,1\n1,2,2\n1,2,0\n1,2,1\n");
    says(folder, &["evaluate", "m.hero", "--data", "less.csv"], 2, &["no column 'light'"]);
}

#[test]
fn the_order_of_rows_changes_nothing_that_is_measured() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let body = usual(300, &XYZ);
    let mut lines: Vec<&str> = body.lines().collect();
    let mut orders: Vec<(&str, Vec<&str>)> = vec![("mixed", lines.clone())];
    lines.sort_by_key(|line| line.rsplit(',').next().map(String::from));
    orders.push(("sorted", lines.clone()));
    lines.reverse();
    orders.push(("reversed", lines.clone()));
    for (name, lines) in &orders {
        for part in ["train", "test"] {
            write(
                folder,
                &format!("{name}/{part}.csv"),
                format!("a,b,label\n{}\n", lines.join("\n")),
            );
        }
        let train =
            ["train", "--data", name, "--network", "mlp", "--optimizer", "sgd", "--epochs", "8"];
        let run = format!("run-{name}");
        says(folder, &[&train[..], &["--out", &run]].concat(), 0, &["finished"]);
        says(folder, &["quantize", &run, "--bits", "8", "--out", "m.hero"], 0, &[]);
        for limit in ["12", "30", "100"] {
            let evaluate =
                ["evaluate", "m.hero", "--data", name, "--limit", limit, "--json", "e.json"];
            says(folder, &evaluate, 0, &["drawn from all classes"]);
            let bytes = std::fs::read(folder.join("e.json")).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            let counts: Vec<u64> = json["classes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|class| class["count"].as_u64().unwrap())
                .collect();
            let each = limit.parse::<u64>().unwrap() / 3;
            assert!(
                counts.iter().all(|&count| count.abs_diff(each) <= 1),
                "{name} {limit}: {counts:?}"
            );
            assert!(json["accuracy"].as_f64().unwrap() > 0.75, "{name}: {json}");
        }
        let few = ["train", "--data", name, "--network", "mlp", "--epochs", "1", "--limit", "30"];
        let run = format!("few-{name}");
        says(folder, &[&few[..], &["--out", &run]].concat(), 0, &["drawn from all classes"]);
    }
}

#[test]
fn a_message_names_what_is_at_fault() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write(folder, "d.csv", "a,b,label\n".to_string() + &usual(30, &XYZ));
    for ending in ["tflite", "onnx", "h5", "pt"] {
        let name = format!("model.{ending}");
        write(folder, &name, [&[0x20, 0, 0, 0][..], b"TFL3", &[0xFF; 64]].concat());
        let train = ["train", "--data", "digits", "--network", &name, "--out", "run"];
        says(folder, &train, 2, &[&name, "is a trained model", "import"]);
    }
    let train = ["train", "--data", "d.csv", "--network", "mlp", "--out", "run"];
    let with = |more: &[&'static str]| [&train[..], more].concat();
    for (more, words) in [
        (["--augment", "blur"], &["blur", "time-shift"][..]),
        (["--augment", "negate:c"], &["negate:c", "a, b"]),
        (["--augment", "noise:7"], &["from 0 to 1"]),
        (["--label-smoothing", "1"], &["--label-smoothing", "below 1"]),
        (["--balance", "often"], &["weights", "batches"]),
        (["--window", "0"], &["--window", "128"]),
        (["--separator", "ab"], &["one character"]),
        (["--label", "c"], &["columns a, b, label"]),
        (["--drop", "c"], &["columns a, b, label"]),
        (["--split", "group"], &["--group"]),
    ] {
        let mut command = Command::cargo_bin("tinyhero").unwrap();
        let output = command.args(with(&more)).current_dir(folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{more:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{more:?}: {text}");
    }
    let smoothed =
        ["--label", "b", "--task", "regression", "--label-smoothing", "0.1", "--drop", "label"];
    says(folder, &with(&smoothed), 2, &["--label-smoothing", "is for classes"]);
}
