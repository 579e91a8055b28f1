//! Runs repeat byte for byte: with any number of threads, and when they are interrupted and resumed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tinyhero::random::{self, Purpose};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tinyhero"));
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn train(folder: &Path) -> Command {
    let mut command = program();
    command
        .args(["train", "--data", "digits", "--network", "cnn", "--optimizer", "hero"])
        .args([
            "--limit",
            "256",
            "--epochs",
            "3",
            "--seed",
            "5",
            "--augment",
            "shift",
            "--label-noise",
            "0.1",
        ])
        .arg("--out")
        .arg(folder);
    command
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn model(folder: &Path) -> Vec<u8> {
    let path = folder.join("model.hero");
    run(program().arg("quantize").arg(folder).args(["--bits", "3", "--out"]).arg(&path));
    std::fs::read(path).unwrap()
}

fn checkpoint(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("checkpoint.safetensors")).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_bytes_with_any_number_of_threads() {
    let place = tempfile::tempdir().unwrap();
    let folders: Vec<PathBuf> = ["1", "2", "3"]
        .iter()
        .map(|threads| {
            let folder = place.path().join(threads);
            run(train(&folder).env("RAYON_NUM_THREADS", threads));
            folder
        })
        .collect();
    let (checkpoints, models): (Vec<_>, Vec<_>) =
        folders.iter().map(|folder| (checkpoint(folder), model(folder))).unzip();
    assert!(checkpoints.windows(2).all(|pair| pair[0] == pair[1]), "checkpoints differ");
    assert!(models.windows(2).all(|pair| pair[0] == pair[1]), "models differ");
}

fn interrupt(child: &Child) {
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn an_interrupted_run_ends_with_the_bytes_of_an_unbroken_one() {
    let place = tempfile::tempdir().unwrap();
    let unbroken = place.path().join("unbroken");
    run(&mut train(&unbroken));

    // Ctrl-C leaves a checkpoint and says how to go on; kill -9 leaves the last checkpoint.
    for (name, gently) in [("interrupted", true), ("killed", false)] {
        let folder = place.path().join(name);
        let mut child = train(&folder).spawn().unwrap();
        let mut waited = Duration::ZERO;
        let wanted = if gently { "configuration.toml" } else { "checkpoint.safetensors" };
        while !folder.join(wanted).exists() {
            assert!(waited < Duration::from_secs(120), "the run does not begin");
            std::thread::sleep(Duration::from_millis(5));
            waited += Duration::from_millis(5);
        }
        std::thread::sleep(Duration::from_millis(100));
        if gently {
            interrupt(&child);
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() {
                assert_eq!(output.status.code(), Some(1), "{text}");
                assert!(text.contains("interrupted") && text.contains("--resume"), "{text}");
            }
        } else {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        run(program().arg("train").arg("--resume").arg(&folder));
        assert_eq!(checkpoint(&folder), checkpoint(&unbroken), "{name}");
        assert_eq!(model(&folder), model(&unbroken), "{name}");
    }
}

/// A run of many short epochs that also chooses the best of them.
fn train_choosing(folder: &Path) -> Command {
    let mut command = program();
    command
        .args(["train", "--data", "digits", "--network", "cnn", "--optimizer", "hero"])
        .args(["--limit", "640", "--epochs", "25", "--seed", "6", "--augment", "shift-flip"])
        .args(["--validation", "0.2", "--keep", "best", "--clip", "1", "--out"])
        .arg(folder);
    command
}

#[test]
fn runs_killed_at_ten_random_moments_end_with_the_bytes_of_an_unbroken_one() {
    let place = tempfile::tempdir().unwrap();
    let unbroken = place.path().join("unbroken");
    let started = Instant::now();
    run(&mut train_choosing(&unbroken));
    let whole = started.elapsed();
    let best = |folder: &Path| std::fs::read(folder.join("best.safetensors")).unwrap();
    let expected = (checkpoint(&unbroken), best(&unbroken), model(&unbroken));

    // Seed 11.
    let mut generator = random::generator(11, Purpose::Order, 0);
    let mut broken_off = 0;
    for moment in 0..10 {
        let folder = place.path().join(moment.to_string());
        let delay = whole.mul_f64(random::unit(&mut generator));
        let mut child = train_choosing(&folder).spawn().unwrap();
        std::thread::sleep(delay);
        child.kill().unwrap();
        if !child.wait().unwrap().success() {
            broken_off += 1;
        }
        if folder.join("configuration.toml").exists() {
            run(program().arg("train").arg("--resume").arg(&folder));
        } else {
            run(&mut train_choosing(&folder));
        }
        let got = (checkpoint(&folder), best(&folder), model(&folder));
        assert!(got == expected, "killed after {delay:?} of {whole:?}: other bytes");
    }
    assert!(broken_off >= 5, "only {broken_off} of 10 runs were broken off");
}

#[test]
fn a_run_with_adamw_goes_on_with_the_state_of_its_steps() {
    let place = tempfile::tempdir().unwrap();
    let train = |folder: &Path| {
        let mut command = program();
        command
            .args(["train", "--data", "digits", "--network", "mlp", "--optimizer", "hero"])
            .args(["--step", "adamw", "--limit", "640", "--epochs", "40", "--out"])
            .arg(folder);
        command
    };
    let unbroken = place.path().join("unbroken");
    run(&mut train(&unbroken));
    let folder = place.path().join("killed");
    let mut child = train(&folder).spawn().unwrap();
    let started = Instant::now();
    while !folder.join("checkpoint.safetensors").exists() {
        assert!(started.elapsed() < Duration::from_secs(120), "the run does not begin");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(checkpoint(&folder), checkpoint(&unbroken), "killed too late to show anything");
    run(program().arg("train").arg("--resume").arg(&folder));
    assert_eq!(checkpoint(&folder), checkpoint(&unbroken));
    let configuration = std::fs::read_to_string(folder.join("configuration.toml")).unwrap();
    assert!(configuration.contains("[step.adamw]"), "{configuration}");
}

#[test]
fn an_option_of_another_method_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let output = program()
        .args(["train", "--data", "digits", "--network", "mlp", "--optimizer", "sgd"])
        .args(["--rho", "0.5", "--out"])
        .arg(place.path().join("run"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("rho") && text.contains("sam, asam, hero"), "{text}");
    assert!(!place.path().join("run").exists());
}

#[test]
fn the_best_epoch_is_the_first_with_the_highest_accuracy_on_validation_data() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run");
    let report = place.path().join("report.json");
    run(train_choosing(&folder).arg("--json").arg(&report));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let log = std::fs::read_to_string(folder.join("log.jsonl")).unwrap();
    let accuracies: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|record| record["accuracy"].as_f64().unwrap())
        .collect();
    assert_eq!(accuracies.len(), 25);
    // Shares of 128 validation samples, not of the test set's.
    assert!(accuracies.iter().all(|accuracy| (accuracy * 128.0).fract() == 0.0), "{accuracies:?}");
    let highest = accuracies.iter().copied().fold(0.0, f64::max);
    let first = accuracies.iter().position(|&accuracy| accuracy == highest).unwrap();
    assert_eq!(report["kept_epoch"], first + 1);
    for plot in ["loss.svg", "accuracy.svg", "learning_rate.svg"] {
        assert!(folder.join(plot).exists(), "{plot} is missing");
    }
}

#[test]
fn a_loss_that_stays_infinite_ends_the_run_with_advice() {
    let place = tempfile::tempdir().unwrap();
    let output = program()
        .args(["train", "--data", "digits", "--network", "mlp", "--optimizer", "sgd"])
        .args(["--lr", "1e38", "--epochs", "3", "--out"])
        .arg(place.path().join("run"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not finite") && text.contains("--clip 1"), "{text}");
}
