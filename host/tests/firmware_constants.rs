//! What `inspect --constants` prints compiles, and converts a reading as the host does.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use tinyhero::random::{self, Purpose};

fn tinyhero(folder: &Path, arguments: &[&str]) -> String {
    let mut command = assert_cmd::Command::cargo_bin("tinyhero").unwrap();
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// A model of a table with fractions, whose second column is far from 0 beside its range.
fn model(folder: &Path) {
    let mut generator = random::generator(3, Purpose::Initialization, 0);
    let mut text = "acc_x (m/s^2),pressure (hPa),\"odd \"\"name\"\" ??/\",label\n".to_string();
    for row in 0..90 {
        let centre = f64::from(row % 3);
        let mut value = || centre + 0.3 * random::normal(&mut generator);
        let (a, b, c) = (value(), 100_000.0 + 0.001 * value(), value());
        let class = ["still", "wa\"lk", "run"][row as usize % 3];
        writeln!(text, "{a:.4},{b:.6},{c:.3},\"{}\"", class.replace('"', "\"\"")).unwrap();
    }
    write(folder, "d.csv", &text);
    let train = ["train", "--data", "d.csv", "--network", "mlp", "--optimizer", "sgd"];
    tinyhero(folder, &[&train[..], &["--epochs", "4", "--out", "run"]].concat());
    tinyhero(folder, &["quantize", "run", "--bits", "4", "--out", "m.hero"]);
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}

#[test]
fn constants_compile_and_convert_readings_as_the_host_does() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    model(folder);
    write(folder, "row.csv", "0.5,100000.001,0.25\n");
    for (input, origin) in
        [(None, "self-test"), (Some("row.csv"), "row.csv"), (Some("d.csv:3"), "d.csv:3")]
    {
        let more = input.map_or(vec![], |input| vec!["--input", input]);
        let of = |language| {
            let asked = ["inspect", "m.hero", "--constants", language];
            tinyhero(folder, &[&asked[..], &more].concat())
        };
        let text = of("rust");
        assert!(
            text.contains(origin) && text.contains("\"acc_x\"") && text.contains("hPa"),
            "{text}"
        );
        write(folder, "model.rs", &text);
        let program = "#[allow(dead_code)]\nmod model;\nuse model::*;\nfn main() {\n\
            for (i, value) in SAMPLE_VALUES.iter().enumerate() {\n\
            assert_eq!(raw(i % COLUMNS.len(), *value), SAMPLE_RAW[i], \"value {i}\"); }\n\
            for (column, _) in COLUMNS.iter().enumerate() { for number in Raw::MIN..=Raw::MAX {\n\
            let value = OFFSETS[column] + STEPS[column] * number as f64 as Number;\n\
            assert_eq!(raw(column, value), number); } }\n\
            assert_eq!(raw(0, 1e30 as Number), Raw::MAX); assert_eq!(raw(0, -1e30 as Number), Raw::MIN);\n\
            assert_eq!(SAMPLE_OUTPUT.len(), CLASSES.len()); assert_eq!(CLASSES[2], \"wa\\\"lk\");\n\
            let best = SAMPLE_OUTPUT.iter().max().unwrap();\n\
            assert_eq!(SAMPLE_OUTPUT.iter().position(|one| one == best), Some(SAMPLE_LABEL)); }\n";
        // The column far from 0 needs double precision, which the text has chosen.
        assert!(text.contains("OFFSETS: [f64; 3]"), "{text}");
        write(folder, "main.rs", &format!("{program}type Number = f64;\n"));
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_string());
        let mut compiler = Command::new(rustc);
        run(compiler.args(["--edition", "2021", "main.rs", "-o", "main"]).current_dir(folder));
        run(Command::new(folder.join("main")).current_dir(folder));

        let text = of("c");
        write(folder, "model.h", &text);
        let program = "#include \"model.h\"\n#include <string.h>\nint main(void) {\n\
            for (int i = 0; i < MODEL_INPUT_VALUES; i++)\n\
            if (model_raw(i % MODEL_COLUMN_COUNT, MODEL_SAMPLE_VALUES[i]) != MODEL_SAMPLE_RAW[i]) return 1;\n\
            for (int c = 0; c < MODEL_COLUMN_COUNT; c++) for (int n = -32768; n <= 32767; n++)\n\
            if (model_raw(c, MODEL_OFFSETS[c] + MODEL_STEPS[c] * n) != n) return 2;\n\
            if (model_raw(0, 1e30) != 32767 || model_raw(0, -1e30) != -32768) return 3;\n\
            if (strcmp(MODEL_CLASSES[2], \"wa\\\"lk\") || strcmp(MODEL_COLUMNS[2], \"odd \\\"name\\\" \\?\\?/\")) return 4;\n\
            return MODEL_SAMPLE_OUTPUT[MODEL_SAMPLE_LABEL] < MODEL_SAMPLE_OUTPUT[0] ? 5 : 0; }\n";
        write(folder, "main.c", program);
        // A C compiler is what the program's own build needs, too.
        let mut compiler = Command::new("cc");
        let flags =
            ["-std=c99", "-Wall", "-Wextra", "-Wno-unused", "-Werror", "main.c", "-o", "main_c"];
        run(compiler.args(flags).current_dir(folder));
        run(&mut Command::new(folder.join("main_c")));
    }
}

#[test]
fn images_have_no_columns_and_single_precision_is_kept_where_it_is_enough() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let train =
        ["train", "--data", "digits", "--network", "mlp", "--optimizer", "sgd", "--limit", "640"];
    tinyhero(folder, &[&train[..], &["--epochs", "1", "--out", "run"]].concat());
    tinyhero(folder, &["quantize", "run", "--bits", "8", "--out", "m.hero"]);
    let text =
        tinyhero(folder, &["inspect", "m.hero", "--constants", "rust", "--input", "digits:7"]);
    assert!(
        text.contains("pub type Raw = u8;") && text.contains("SAMPLE_RAW: [Raw; 64]"),
        "{text}"
    );
    assert!(!text.contains("OFFSETS"), "{text}");
    let rows: String =
        (0..40).map(|row| format!("{}.5,{},{}\n", row % 7, row % 5, row % 2)).collect();
    write(folder, "d.csv", &rows);
    let train = ["train", "--data", "d.csv", "--network", "mlp", "--optimizer", "sgd"];
    tinyhero(folder, &[&train[..], &["--epochs", "1", "--out", "run2"]].concat());
    tinyhero(folder, &["quantize", "run2", "--bits", "8", "--out", "n.hero"]);
    let text = tinyhero(folder, &["inspect", "n.hero", "--constants", "rust"]);
    assert!(text.contains("OFFSETS: [f32; 2]"), "{text}");
    let json = tinyhero(folder, &["inspect", "n.hero", "--constants", "c", "--json", "-"]);
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "{json}");
}
