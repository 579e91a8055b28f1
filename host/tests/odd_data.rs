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
    for name in ["y", "Survived", "kind", "state"] {
        cases.push(("d.csv", first(name), 2, &["column 3 'b'", "--label"][..]));
    }
    // A likely name is enough where the last column cannot be a class.
    for name in ["species", "Diagnosis", "activity", "gesture"] {
        cases.push(("d.csv", first(name), 0, &["by its name", "3 classes", "1x1x2"][..]));
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
    let table = |header: &str, row: &dyn Fn(usize, f64, f64, &str) -> String| {
        format!("{header}\n") + &rows(60, &XYZ, row)
    };
    let flag = |class: &str| {
        XYZ.iter().map(|name| u8::from(*name == class).to_string()).collect::<Vec<_>>().join(",")
    };
    let place = |class: &str| XYZ.iter().position(|name| *name == class).unwrap_or(0);
    cases.extend([
        (
            "one_hot.csv",
            table("a,b,x,y,z", &|_, a, b, c| format!("{a:.2},{b:.2},{}", flag(c))),
            2,
            &["last 3 columns", "a class each", "--label"][..],
        ),
        (
            "middle.csv",
            table("a,target,b", &|_, a, b, c| format!("{a:.2},{c},{b:.2}")),
            0,
            &["column 2 'target', by its name", "1x1x2"],
        ),
        (
            "twice.csv",
            table("a,label,label", &|_, a, _, c| format!("{a:.2},{c},{c}")),
            2,
            &["column 2 'label' and column 3 'label'", "--drop"],
        ),
        (
            "number_and_time.csv",
            table("index,time,a,b,label", &|i, a, b, c| {
                format!("{i},{:.2},{a:.2},{b:.2},{c}", i as f64 * 0.02)
            }),
            0,
            &["column 1 'index'", "column 2 'time'", "1x1x2"],
        ),
        (
            "epoch.csv",
            table("epoch,a,b,label", &|i, a, b, c| {
                format!("{},{a:.2},{b:.2},{c}", 1_700_000_000_000 + i * 20 + i % 3)
            }),
            0,
            &["left out: column 1 'epoch'", "1x1x2"],
        ),
        (
            "copy.csv",
            table("a,code,b,label", &|_, a, b, c| format!("{a:.2},{},{b:.2},{c}", place(c))),
            0,
            &["may be a copy of the label: code"],
        ),
        (
            "file_name.csv",
            table("a,b,label,file", &|i, a, b, c| format!("{a:.2},{b:.2},{c},r{i}.wav")),
            0,
            &["column 3 'label', by its name", "left out: column 4 'file'"],
        ),
        (
            "komma.csv",
            table("x;y;Klasse", &|_, a, b, c| format!("{a:.2};{b:.2};{c}").replace('.', ",")),
            0,
            &["decimals by commas", "column 3 'Klasse', the last"],
        ),
        (
            "percent.csv",
            table("a,b,label", &|i, _, b, c| format!("{}.5%,{b:.2},{c}", i)),
            2,
            &["column 1 'a'", "0.5%", "a unit or marks", "--drop a"],
        ),
        (
            "thousands.csv",
            table("a,b,label", &|i, _, b, c| format!("\"1,{:03}\",{b:.2},{c}", i)),
            2,
            &["column 1 'a'", "1,000", "a unit or marks"],
        ),
        (
            "volts.csv",
            table("a,b,label", &|i, _, b, c| format!("{}.25 V,{b:.2},{c}", i)),
            2,
            &["column 1 'a'", "0.25 V", "a unit or marks"],
        ),
    ]);
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
        (
            "d.csv",
            with("Experiment 5,,\na,b,label\n"),
            0,
            &["| a ", "| b ", "3 classes", "of 30 samples"],
        ),
        ("d.csv", with("acc,acc,\nx,y,label\n"), 0, &["| acc    | x", "3 classes"]),
        ("d.csv", with(",,\na,b,label\n"), 0, &["| a ", "of 30 samples"]),
        ("d.csv", with("2019,2020,label\n"), 0, &[" 2019 |", "3 classes", "of 30 samples"]),
        ("d.csv", with("1.5,2.5,Class\n"), 0, &["3 classes", "of 30 samples"]),
        ("d.csv", with("\"a \"\"x\"\"\",\"b, y\",label\n"), 0, &["a \"x\"", "b, y"]),
        ("d.csv", with(header) + "Total,,\n", 2, &["line 32", "'Total', not a number"]),
        ("d.csv", with("// by me\na,b,label\n"), 2, &["line 1", "delete this line"]),
        ("d.csv", with("a,b,label,\n"), 2, &["line 1", "4 fields", "have 3"]),
        ("d.csv", with("sep=,\na,b,label\n"), 0, &["of 30 samples"]),
        ("d.csv", with(header).trim_end().to_string(), 0, &["of 30 samples"]),
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
        ("d.csv", of(&["yes", "Yes ", "no"]), 0, &["'Yes' and 'yes' differ in capital letters"]),
        ("d.csv", of(&["001", "010"]), 0, &["| 1 ", "| 10"]),
        ("d.csv", of(&["1", "2", "2.0"]), 0, &["2 classes"]),
        ("d.csv", of(&["2147483648", "99999999999"]), 0, &["| 99999999999"]),
        ("d.csv", of(&["none", "some"]), 0, &["| none", "2 classes"]),
        ("d.csv", of(&["true", "FALSE"]), 0, &["| FALSE", "| true"]),
        ("d.csv", of(&["0", "1", "-"]), 2, &["mixes numbers and names", "'-'"]),
        ("d.csv", of(&["N/A", "OK"]), 2, &["line 2", "no label"]),
        ("d.csv", of(&["1.5", "2.5"]), 2, &["'label' holds 1.5", "regression"]),
        ("d.csv", of(&["cat", "dog", ""]), 2, &["line 4", "no label"]),
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
    case("latest", &[("latest.csv", t), ("old.csv", t)], 0, &["of 60 samples"]);
    case(
        "holdout",
        &[("train.csv", t), ("holdout.csv", t)],
        2,
        &["holdout.csv", "training or test data"],
    );
    case("only_test", &[("test.csv", t), ("data.csv", t)], 2, &["data.csv", "training or test"]);
    case("alone", &[("train.csv", t)], 0, &["6 of 30 samples"]);
    case("backup", &[("data.csv", t), ("data.csv~", t)], 0, &["passed over: data.csv~"]);
    case("sheet", &[("a.csv", t), ("b.xlsx", b"PK\x03\x04\x14\0\0\0")], 0, &["b.xlsx (a zip"]);
    case("notes", &[("a.csv", t), ("meta.json", b"{}")], 0, &["passed over: meta.json (JSON)"]);
    case(
        "fewer",
        &[("a.csv", t), ("b.csv", b"a,label\n1,x\n2,y\n")],
        2,
        &["b.csv", "no column 'b'", "a, label"],
    );
    let wider = text.replace("b,label", "b,c,label").replace(",x", ",7,x").replace(",y", ",7,y");
    let wider = wider.replace(",z", ",7,z");
    case("wider", &[("a.csv", t), ("b.csv", wider.as_bytes())], 0, &["b.csv alone: c"]);
    case("bare", &[("a.csv", t), ("b.csv", b"a,b,label\n")], 2, &["b.csv", "no row"]);
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
    let body = |change: &dyn Fn(&str) -> String| -> String {
        let lines = table.iter().enumerate().map(|(row, fields)| {
            let fields = fields.iter().enumerate().map(|(column, field)| match (row, column) {
                (0, _) | (_, 3) => (*field).to_string(),
                _ => change(field),
            });
            fields.collect::<Vec<_>>().join(",") + "\n"
        });
        lines.collect()
    };
    let quoted = body(&|field| format!("\"{field}\""));
    // The same decimal digits, so the same numbers.
    let exponents = body(&|field| format!("{field}e0"));
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
        ("title.csv", format!("Recording of today,,,\n{text}").into_bytes()),
        (
            "units_below.csv",
            text.replacen("acc (g),light,light,label\n", "acc,light,light,label\ng,lx,lx,\n", 1)
                .into_bytes(),
        ),
        ("remarks.csv", format!("# by me\n\n{}", text.replace('\n', "\n\n# more\n")).into_bytes()),
        ("carriage.csv", text.replace('\n', "\r").into_bytes()),
        ("bars.csv", arranged(&[0, 1, 2, 3], " | ").into_bytes()),
        ("numbers_quoted.csv", quoted.into_bytes()),
        ("exponents.csv", exponents.into_bytes()),
        ("trailing.csv", text.replace('\n', ",\n").into_bytes()),
        ("capitals.csv", text.replace("acc (g),light,light", "Acc (G),Light,Light").into_bytes()),
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

#[test]
fn folds_test_every_sample_once_and_stay_with_the_run() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write(folder, "rows.csv", "a,b,label\n".to_string() + &usual(60, &XYZ));
    let with_person = rows(60, &XYZ, |i, a, b, c| format!("p{},{a:.2},{b:.2},{c}", i / 6));
    write(folder, "people.csv", format!("person,a,b,label\n{with_person}"));
    for class in XYZ {
        let numbers = rows(100, &XYZ, |_, a, b, _| format!("{a:.2},{b:.2}"));
        write(folder, &format!("log/{class}.csv"), format!("a,b\n{numbers}"));
    }
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
    };
    for (data, more, rule, all) in [
        ("rows.csv", &[][..], "every class", 60),
        ("people.csv", &["--group", "person"][..], "whole groups", 60),
        ("log", &["--window", "10"][..], "every stretch", 30),
    ] {
        let mut tests = 0;
        for number in 1..=5 {
            let fold = format!("{number}/5");
            let show = ["data", "show", data, "--fold", &fold, "--json", "s.json"];
            says(folder, &[&show[..], more].concat(), 0, &[&format!("fold {fold} of {rule}")]);
            let found = json("s.json");
            let count = |part: &str| found[part]["samples"].as_u64().unwrap();
            assert_eq!(count("train") + count("test"), all, "{data} {fold}");
            tests += count("test");
        }
        assert_eq!(tests, all, "{data}");
    }
    let train = ["train", "--data", "rows.csv", "--network", "mlp", "--epochs", "2"];
    says(folder, &[&train[..], &["--fold", "2/3", "--out", "run"]].concat(), 0, &["fold 2/3"]);
    says(folder, &["quantize", "run", "--bits", "8", "--out", "m.hero"], 0, &[]);
    let evaluate = ["evaluate", "m.hero", "--data", "rows.csv"];
    says(folder, &evaluate, 0, &["fold 2/3 of every class", "of 20 right"]);
    for (options, words) in
        [(&["--fold", "4/3"][..], &["K/N"][..]), (&["--fold", "1/61"][..], &["60 rows", "1/61"])]
    {
        let show = [&["data", "show", "rows.csv"][..], options].concat();
        let mut command = Command::cargo_bin("tinyhero").unwrap();
        let output = command.args(&show).current_dir(folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{options:?}: {text}");
    }
    says(
        folder,
        &["data", "show", "people.csv", "--group", "person", "--fold", "1/11"],
        2,
        &["only 10 groups", "fewer folds"],
    );
    write(folder, "parts/train.csv", "a,b,label\n".to_string() + &usual(30, &XYZ));
    write(folder, "parts/test.csv", "a,b,label\n".to_string() + &usual(30, &XYZ));
    says(folder, &["data", "show", "parts", "--fold", "1/5"], 2, &["--fold", "file names say"]);
}

#[test]
fn a_large_table_is_read_in_pieces_as_a_small_one_is() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let body = rows(90_000, &XYZ, |i, a, b, c| format!("{},{a:.4},{b:.3},{c}", i / 9000));
    let text = format!("person,a,b,label\r\n{}", body.replace('\n', "\r\n"));
    assert!(text.len() > 1 << 20);
    write(folder, "plain/d.csv", &text);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    write(folder, "packed/d.csv.gz", packed.finish().unwrap());
    // Members of an archive are in memory.
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    archive.append_data(&mut header, "./d.csv", text.as_bytes()).unwrap();
    write(folder, "d.tar", archive.into_inner().unwrap());
    let shown = |name: &str| {
        let show = ["data", "show", name, "--group", "person", "--json", "s.json"];
        says(folder, &show, 0, &["3 classes", "of 90000 samples"]);
        let mut json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("s.json")).unwrap()).unwrap();
        json["name"] = serde_json::Value::Null;
        json
    };
    let plain = shown("plain");
    assert_eq!(shown("packed"), plain);
    assert_eq!(shown("d.tar"), plain);
    write(folder, "plain/e.csv", &text);
    says(folder, &["data", "show", "plain"], 0, &["doubt: e.csv holds the same as d.csv"]);
    write(folder, "plain/e.csv", text + "1,2,x,z\r\n");
    says(folder, &["data", "show", "plain"], 2, &["e.csv, line 90002", "'x', not a number"]);
}

/// Two tables, as usual programs pack them: by Python's zipfile, deflated.
const DEFLATED: &[u8] = include_bytes!("archives/deflated.zip");

#[test]
fn foreign_and_damaged_files_are_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write(folder, "d.zip", DEFLATED);
    says(
        folder,
        &["data", "show", "d.zip"],
        0,
        &["3 classes", "| all   |    30 |          0 |   30"],
    );
    let mut damaged = DEFLATED.to_vec();
    damaged[200] ^= 0x10;
    write(folder, "d.zip", damaged);
    says(folder, &["data", "show", "d.zip"], 2, &["cannot unpack set/train.csv", "fetch it again"]);
    write(folder, "d.zip", &DEFLATED[..400]);
    says(folder, &["data", "show", "d.zip"], 2, &["not a whole archive"]);
    let zip = |first: &str| -> Vec<u8> {
        let length = u16::try_from(first.len()).unwrap().to_le_bytes();
        [&b"PK\x03\x04\x14\0\0\0\x08\0"[..], &[0; 16], &length, &[0; 2], first.as_bytes()].concat()
    };
    let cases: Vec<(&str, Vec<u8>, &[&str])> = vec![
        ("book.xlsx", zip("[Content_Types].xml"), &["an Excel or Office file", "as CSV"]),
        ("sheet.ods", zip("mimetype"), &["an OpenDocument file", "as CSV"]),
        ("model.pt", zip("archive/data.pkl"), &["a PyTorch file", "ONNX"]),
        ("table.pkl", b"\x80\x04\x95\x10\0\0\0".to_vec(), &["a Python pickle", "numpy.savez"]),
        ("sound.mp3", b"\xFF\xFB\x90\0\0\0".to_vec(), &["an MP3 file", "WAV"]),
        ("rows.jsonl", b"{\"a\": 1}\n{\"a\": 2}\n".to_vec(), &["is JSON", "CSV"]),
        ("page.csv", b"<!DOCTYPE html>\n<html>".to_vec(), &["XML or HTML"]),
        ("iris.arff", b"% by me\n@RELATION iris\n".to_vec(), &["ARFF", "@data"]),
        ("sparse.txt", b"1 1:0.5 2:0.3\n2 3:0.9\n".to_vec(), &["LIBSVM", "CSV"]),
        ("data.mat", b"MATLAB 5.0 MAT-file".to_vec(), &["a MATLAB file"]),
        ("data.h5", b"\x89HDF\r\n\x1a\n\0".to_vec(), &["an HDF5 file"]),
        ("data.feather", b"ARROW1\0\0".to_vec(), &["an Arrow file"]),
        ("data.parquet", b"PAR1\x15\0".to_vec(), &["a Parquet file"]),
        ("lfs.csv", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), &["git lfs pull"]),
    ];
    for (name, bytes, words) in cases {
        write(folder, name, bytes);
        says(folder, &["data", "show", name], 2, &[words, &[name]].concat());
    }
}
