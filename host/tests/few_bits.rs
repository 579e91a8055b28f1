//! Few bits: widths for each layer, a search for them, and training with the quantizer in the loop.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyhero"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The message of a command that refuses its input.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    text
}

fn json(command: &mut Command, place: &Path) -> Value {
    let path = place.join("report.json");
    run(command.arg("--json").arg(&path));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// A float network, trained for a moment.
fn float_run(place: &Path) -> PathBuf {
    let folder = place.join("float");
    run(program()
        .args(["train", "--data", "digits", "--network", "cnn", "--optimizer", "sgd"])
        .args(["--epochs", "6", "--seed", "3", "--out"])
        .arg(&folder));
    folder
}

/// Trains on from it with the quantizer in the loop.
fn in_loop(float: &Path, folder: &Path, more: &[&str]) -> Command {
    let mut command = program();
    command.args(["train", "--from"]).arg(float).args(["--bits", "2", "--bits", "output=4"]);
    command.args(["--epochs", "4"]).args(more).arg("--out").arg(folder);
    command
}

fn model(run_folder: &Path, place: &Path) -> Vec<u8> {
    let path = place.join("model.hero");
    run(program().arg("quantize").arg(run_folder).arg("--out").arg(&path));
    std::fs::read(path).unwrap()
}

fn accuracy(model: &Path, place: &Path) -> f64 {
    let report = json(program().arg("evaluate").arg(model).args(["--data", "digits"]), place);
    report["accuracy"].as_f64().unwrap()
}

#[test]
fn training_in_the_loop_deploys_what_it_computed_with() {
    let place = tempfile::tempdir().unwrap();
    let float = float_run(place.path());
    for optimizer in ["sgd", "hero"] {
        let folder = place.path().join(optimizer);
        let report = json(&mut in_loop(&float, &folder, &["--optimizer", optimizer]), place.path());
        let simulated = report["test_accuracy"].as_f64().unwrap();
        model(&folder, place.path());
        let file = place.path().join("model.hero");
        let deployed = accuracy(&file, place.path());
        // 0.3 points are five digits: activations are rounded on the device only.
        assert!((simulated - deployed).abs() <= 0.003, "{optimizer}: {simulated} {deployed}");
        let layers = json(program().arg("inspect").arg(&file), place.path());
        let bits = |layer: &Value| layer["bits"].as_u64();
        let bits: Vec<u64> = layers["layers"].as_array().unwrap().iter().filter_map(bits).collect();
        assert_eq!(bits, [2, 2, 2, 4]);
        let configuration = std::fs::read_to_string(folder.join("configuration.toml")).unwrap();
        assert!(configuration.contains("[quantizer]"), "{configuration}");
        // With weights rounded after training the same bits keep less, or at least not more.
        let after = place.path().join("after.hero");
        run(program()
            .arg("quantize")
            .arg(&float)
            .args(["--bits", "2", "--rounding", "nearest", "--out"])
            .arg(&after));
        assert!(accuracy(&after, place.path()) < deployed, "{optimizer}");
    }
}

#[test]
fn a_run_in_the_loop_that_is_killed_ends_with_the_bytes_of_an_unbroken_one() {
    let place = tempfile::tempdir().unwrap();
    let float = float_run(place.path());
    let unbroken = place.path().join("unbroken");
    run(in_loop(&float, &unbroken, &["--augment", "shift"]).env("RAYON_NUM_THREADS", "1"));
    let checkpoint = |folder: &Path| std::fs::read(folder.join("checkpoint.safetensors")).unwrap();
    let folder = place.path().join("killed");
    let mut child = in_loop(&float, &folder, &["--augment", "shift"]).spawn().unwrap();
    let started = Instant::now();
    while !folder.join("log.jsonl").exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "the run does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(checkpoint(&folder), checkpoint(&unbroken), "killed too late to show anything");
    run(program().arg("train").arg("--resume").arg(&folder));
    assert_eq!(checkpoint(&folder), checkpoint(&unbroken));
    assert_eq!(model(&folder, place.path()), model(&unbroken, place.path()));
}

#[test]
fn a_network_is_trained_on_with_the_options_of_its_run() {
    let place = tempfile::tempdir().unwrap();
    let float = place.path().join("first");
    run(program()
        .args(["train", "--data", "digits", "--network", "mlp", "--optimizer", "hero"])
        .args(["--limit", "300", "--batch", "30", "--augment", "shift", "--seed", "4"])
        .args(["--epochs", "2", "--validation", "0.1", "--out"])
        .arg(&float));
    let folder = place.path().join("further");
    run(program()
        .args(["train", "--epochs", "1", "--batch", "27", "--from"])
        .arg(&float)
        .arg("--out")
        .arg(&folder));
    let text = std::fs::read_to_string(folder.join("configuration.toml")).unwrap();
    for word in ["limit = 300", "batch = 27", "\"shift\"", "seed = 4", "[method.hero]", "0.03"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let same = |name: &str| {
        assert_eq!(
            std::fs::read(float.join(name)).unwrap(),
            std::fs::read(folder.join(name)).unwrap(),
            "{name}"
        );
    };
    for name in ["network.toml", "input.toml", "provenance.toml", "calibration.safetensors"] {
        same(name);
    }
    let text = refused(
        program()
            .args(["train", "--data", "digits", "--network", "mlp", "--damping", "1", "--out"])
            .arg(place.path().join("no")),
    );
    assert!(text.contains("--damping") && text.contains("--bits"), "{text}");
}

#[test]
fn layers_have_the_widths_that_are_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let float = float_run(place.path());
    let file = place.path().join("model.hero");
    let quantize = || {
        let mut command = program();
        command.arg("quantize").arg(&float).arg("--out").arg(&file);
        command
    };
    let widths = |place: &Path| -> Vec<u64> {
        let report = json(program().arg("inspect").arg(&file), place);
        let layers = report["layers"].as_array().unwrap();
        layers.iter().filter_map(|layer| layer["bits"].as_u64()).collect()
    };
    run(quantize().args(["--bits", "3", "--bits", "convolution1=8"]));
    assert_eq!(widths(place.path()), [8, 3, 3, 3]);
    let precision = place.path().join("precision.toml");
    std::fs::write(&precision, "convolution2 = 2\noutput = 5\n").unwrap();
    run(quantize().args(["--bits", "4", "--bits", "output=6", "--precision"]).arg(&precision));
    assert_eq!(widths(place.path()), [4, 2, 4, 6]);

    let text = refused(quantize().args(["--bits", "4", "--bits", "stem=8"]));
    assert!(text.contains("'stem'") && text.contains("convolution1, convolution2"), "{text}");
    let text = refused(quantize().arg("--precision").arg(&precision));
    assert!(text.contains("convolution1, convolution3"), "{text}");
    let text = refused(&mut quantize());
    assert!(text.contains("--bits"), "{text}");
    let text = refused(quantize().args(["--bits", "4", "--bits", "3"]));
    assert!(text.contains("two widths"), "{text}");
}

#[test]
fn a_search_stays_within_its_budget_and_its_files_are_for_the_quantizer() {
    let place = tempfile::tempdir().unwrap();
    let float = float_run(place.path());
    let out = place.path().join("widths");
    let search = |flash: &str| {
        let mut command = program();
        command.arg("search").arg(&float).args(["--flash", flash, "--core", "m4", "--limit"]);
        command.args(["300", "--points", "4", "--out"]).arg(&out);
        command
    };
    let report = json(&mut search("7000"), place.path());
    let front = report["front"].as_array().unwrap();
    assert!(front.len() >= 2, "{report}");
    let number = |point: &Value, key: &str| point[key].as_f64().unwrap();
    for pair in front.windows(2) {
        assert!(number(&pair[0], "flash") < number(&pair[1], "flash"));
        assert!(number(&pair[0], "estimate") > number(&pair[1], "estimate"));
    }
    for point in front {
        assert!(number(point, "flash") <= 7_000.0 && number(point, "accuracy") > 0.1);
        assert_eq!(point["instructions"], Value::Null);
        assert_eq!(point["precision"].as_object().unwrap().len(), 4);
    }
    let file = place.path().join("model.hero");
    run(program()
        .arg("quantize")
        .arg(&float)
        .args(["--core", "m4", "--precision"])
        .arg(out.join("precision.toml"))
        .arg("--out")
        .arg(&file));
    let bytes = std::fs::metadata(&file).unwrap().len() as f64;
    assert_eq!(bytes, number(front.last().unwrap(), "flash"));
    assert!(out.join("front.csv").exists() && out.join("front.svg").exists());

    let output = search("1000").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("at least") && text.contains("1,000"), "{text}");
    // Whose instructions?
    let mut command = program();
    command.arg("search").arg(&float).args(["--flash", "7000", "--instructions", "9000", "--out"]);
    let text = refused(command.arg(&out));
    assert!(text.contains("--core"), "{text}");
}
