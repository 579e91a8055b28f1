//! Runs repeat byte for byte: with any number of threads, and when they are interrupted and resumed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
