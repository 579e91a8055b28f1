//! Sweeps end with the same bytes however often they are killed, and wherever their runs are made.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyhero"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A small sweep with everything in it: search, noise, low bits, integers, curvature.
fn compare(folder: &Path) -> Command {
    let mut command = program();
    command
        .args(["compare", "--data", "digits-1797", "--network", "mlp", "--optimizers", "sgd,hero"])
        .args(["--seeds", "2", "--label-noise", "0,0.4", "--bits", "4,2", "--epochs", "3"])
        .args(["--limit", "256", "--curvature-samples", "64", "--lr", "0.05", "--clip", "1"])
        .args(["--set", "hero.rho=0.5", "--search", "--trials", "2", "--search-seeds", "1"])
        .args(["--judge", "float,pt4", "--jobs", "2", "--out"])
        .arg(folder);
    command
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Every file below a folder that must not depend on the run's history. Logs hold durations.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if !name.ends_with("log.jsonl") && !name.contains(".partial-") {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn assert_same(found: &BTreeMap<String, Vec<u8>>, expected: &BTreeMap<String, Vec<u8>>) {
    assert!(found.keys().eq(expected.keys()), "{:?}\n{:?}", found.keys(), expected.keys());
    for (name, bytes) in expected {
        assert!(found[name] == *bytes, "{name} differs");
    }
}

#[test]
fn a_sweep_killed_ten_times_ends_with_the_bytes_of_an_unbroken_one() {
    const SEED: u64 = 7;
    println!("seed {SEED}");
    let place = tempfile::tempdir().unwrap();
    let unbroken = place.path().join("unbroken");
    let started = Instant::now();
    run(&mut compare(&unbroken));
    let duration = started.elapsed();

    let killed = place.path().join("killed");
    let mut generator = ChaCha8Rng::seed_from_u64(SEED);
    let mut broken_off = 0;
    for _ in 0..10 {
        let mut child =
            compare(&killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let share = f64::from(generator.next_u32()) / f64::from(u32::MAX);
        std::thread::sleep(Duration::from_secs_f64(0.3 * share * duration.as_secs_f64()));
        child.kill().unwrap();
        broken_off += u32::from(!child.wait().unwrap().success());
    }
    assert!(broken_off > 0, "nothing was killed");
    run(program().arg("compare").arg("--resume").arg(&killed));
    let expected = files(&unbroken);
    for name in ["compare.csv", "compare.md", "searched.toml", "accuracy_integer_noise_40.svg"] {
        assert!(expected.contains_key(name), "{name} is missing");
    }
    assert_same(&files(&killed), &expected);
}

#[test]
fn runs_made_one_by_one_elsewhere_are_gathered_to_the_same_tables() {
    let place = tempfile::tempdir().unwrap();
    let sweep = |folder: &Path| {
        let mut command = program();
        command
            .args(["compare", "--data", "digits-1797", "--network", "mlp", "--optimizers"])
            .args(["sgd,asam", "--seeds", "2", "--bits", "3", "--epochs", "2", "--limit", "128"])
            .args(["--curvature-samples", "0", "--out"])
            .arg(folder);
        command
    };
    let direct = place.path().join("direct");
    run(&mut sweep(&direct));

    let planned = place.path().join("planned");
    let plan = run(sweep(&planned).arg("--plan"));
    let lines: Vec<&str> = plan.lines().collect();
    assert_eq!(lines.len(), 4, "{plan}");
    let elsewhere = place.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::copy(planned.join("compare.toml"), elsewhere.join("compare.toml")).unwrap();
    for (index, line) in lines.iter().enumerate() {
        // Half of the runs on another machine, which has a copy of compare.toml.
        let mut line = line.replacen("tinyhero", env!("CARGO_BIN_EXE_tinyhero"), 1);
        if index % 2 == 1 {
            line = line.replace(planned.to_str().unwrap(), elsewhere.to_str().unwrap());
        }
        run(Command::new("sh").arg("-c").arg(line).stdout(Stdio::piped()));
    }
    let collect = |others: &[&Path]| {
        let mut command = program();
        command.arg("compare").arg("--resume").arg(&planned).arg("--collect").args(others);
        command.output().unwrap()
    };
    let incomplete = collect(&[]);
    let text = String::from_utf8_lossy(&incomplete.stderr);
    assert_eq!(incomplete.status.code(), Some(1), "{text}");
    assert!(text.contains("2 results are missing"), "{text}");
    assert!(collect(&[&elsewhere]).status.success());
    for name in ["compare.csv", "compare.md", "compare.json", "differences.csv", "runs.csv"] {
        let [found, expected] = [&planned, &direct].map(|folder| std::fs::read(folder.join(name)));
        assert_eq!(found.unwrap(), expected.unwrap(), "{name}");
    }
}

#[test]
fn curvature_is_reported_layer_by_layer_and_as_a_picture() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    run(program()
        .args(["train", "--data", "digits", "--network", "cnn", "--optimizer", "sgd", "--limit"])
        .args(["128", "--epochs", "2", "--lr", "0.05", "--out"])
        .arg(&folder));
    let text = run(program().arg("curvature").arg(&folder).args([
        "--samples",
        "64",
        "--iterations",
        "12",
        "--surface",
        "5",
        "--probes",
        "8",
        "--json",
        "-",
    ]));
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    let largest = report["whole"]["lambda_max"].as_f64().unwrap();
    assert!(largest > 0.0, "{report}");
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4, "{report}");
    for layer in layers {
        // The eigenvalues of a block lie within those of the whole matrix; 25 steps find them to a few percent.
        assert!(layer["lambda_max"].as_f64().unwrap() <= 1.05 * largest, "{report}");
    }
    let losses = report["surface"]["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 5);
    assert_eq!(losses[2][2], report["loss"]);
    assert!(std::fs::read_to_string(folder.join("loss_surface.svg")).unwrap().starts_with("<svg"));
}

#[test]
fn a_wrong_sweep_is_refused_in_one_line_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("sweep");
    let refused = |arguments: &[&str], words: &[&str]| {
        let output =
            program().arg("compare").args(arguments).arg("--out").arg(&out).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        let lines = text.lines().filter(|line| line.starts_with("tinyhero: ")).count();
        assert!(lines == 1 && words.iter().all(|word| text.contains(word)), "{words:?}: {text}");
        assert!(!out.exists(), "something was written");
    };
    let good = ["--data", "digits-1797", "--network", "mlp", "--optimizers", "sgd,hero"];
    let with = |more: &[&'static str]| [&good, more].concat();
    refused(&["--network", "mlp", "--optimizers", "sgd"], &["--data", "is missing"]);
    refused(
        &["--data", "digits", "--network", "mlp", "--optimizers", "adam"],
        &["adam", "grad-l1"],
    );
    refused(&["--data", "no/such", "--network", "mlp", "--optimizers", "sgd"], &["no/such"]);
    refused(&with(&["--set", "hero.roh=1"]), &["roh", "'hero'"]);
    refused(&with(&["--set", "sam.rho=1"]), &["no optimizer is called 'sam'"]);
    refused(&with(&["--label-noise", "1.5"]), &["--label-noise"]);
    refused(&with(&["--baseline", "sam"]), &["--baseline", "sam"]);
    refused(&with(&["--search", "--judge", "int4"]), &["--judge"]);
    refused(
        &["--data", "digits", "--network", "mlp", "--optimizers", "sgd", "--search"],
        &["digits", "validation"],
    );
    refused(
        &["--data", "digits", "--network", "autoencoder", "--optimizers", "sgd"],
        &["autoencoder", "no accuracy"],
    );
}

#[test]
fn a_folder_with_other_settings_is_left_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("sweep");
    let sweep = |rate: &str| {
        let mut command = program();
        command
            .args(["compare", "--data", "digits-1797", "--network", "mlp", "--optimizers", "sgd"])
            .args(["--seeds", "1", "--bits", "3", "--epochs", "1", "--limit", "64", "--no-integer"])
            .args(["--curvature-samples", "0", "--lr", rate, "--out"])
            .arg(&out);
        command
    };
    run(&mut sweep("0.1"));
    let before = files(&out);
    let output = sweep("0.2").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("other settings"), "{text}");
    assert_same(&files(&out), &before);
}
