//! What users do wrong gets one clear line, the right exit code, and leaves earlier results as they were.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use flate2::Compression;
use flate2::write::GzEncoder;

fn tinyhero(arguments: &[&str]) -> Output {
    Command::cargo_bin("tinyhero").unwrap().args(arguments).output().unwrap()
}

/// Exit code 2 (or as given), one line on standard error that holds all of `words`, and no trace of a panic.
fn assert_refused(output: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("tinyhero: ")).collect();
    assert_eq!(lines.len(), 1, "not one line: {text}");
    for word in words {
        assert!(lines[0].contains(word), "'{word}' is missing in: {}", lines[0]);
    }
}

fn gz(path: &Path, bytes: &[u8]) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    std::fs::write(path, encoder.finish().unwrap()).unwrap();
}

fn idx_images(count: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [2051, count, 4, 4] {
        bytes.extend(u32::to_be_bytes(field));
    }
    bytes.extend((0..count * 16).map(|value| (value % 251) as u8));
    bytes
}

fn idx_labels(count: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [2049, count] {
        bytes.extend(u32::to_be_bytes(field));
    }
    bytes.extend((0..count).map(|value| (value % 3) as u8));
    bytes
}

fn idx_folder(folder: &Path, labels: u32) -> PathBuf {
    let folder = folder.join("idx");
    std::fs::create_dir_all(&folder).unwrap();
    for part in ["train", "t10k"] {
        gz(&folder.join(format!("{part}-images-idx3-ubyte.gz")), &idx_images(30));
        gz(&folder.join(format!("{part}-labels-idx1-ubyte.gz")), &idx_labels(labels));
    }
    folder
}

#[test]
fn a_path_that_does_not_exist() {
    let output = tinyhero(&["data", "show", "no/such/data"]);
    assert_refused(&output, 2, &["no/such/data"]);
    let output = tinyhero(&["evaluate", "no/such.hero", "--data", "digits"]);
    assert_refused(&output, 2, &["no/such.hero", "check the path"]);
    let output = tinyhero(&["quantize", "no/such/run", "--bits", "4", "--out", "model.hero"]);
    assert_refused(&output, 2, &["no/such/run", "no training run"]);
}

#[test]
fn a_truncated_gz_and_labels_that_do_not_match() {
    let folder = tempfile::tempdir().unwrap();
    let good = idx_folder(folder.path(), 30);
    let shown = tinyhero(&["data", "show", good.to_str().unwrap()]);
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));

    let path = good.join("train-images-idx3-ubyte.gz");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let output = tinyhero(&["data", "show", good.to_str().unwrap()]);
    assert_refused(&output, 2, &["train-images-idx3-ubyte.gz"]);

    let other = tempfile::tempdir().unwrap();
    let mismatched = idx_folder(other.path(), 29);
    let output = tinyhero(&["data", "show", mismatched.to_str().unwrap()]);
    assert_refused(&output, 2, &["30", "29"]);
}

#[test]
fn a_csv_of_the_wrong_width_names_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.csv");
    std::fs::write(&path, "1,2,3,0\n4,5,6,1\n7,8,1\n").unwrap();
    assert_refused(&tinyhero(&["data", "show", path.to_str().unwrap()]), 2, &["data.csv", "3"]);
}

#[test]
fn an_unknown_network_board_or_option() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let out = out.to_str().unwrap();
    let output = tinyhero(&["train", "--data", "digits", "--network", "resnet9000", "--out", out]);
    assert_refused(&output, 2, &["resnet9000"]);
    assert!(!Path::new(out).exists(), "a refused run leaves nothing behind");
    let output = tinyhero(&["bench", "--network", "cnn", "--bits", "4", "--on", "no-board"]);
    assert_refused(&output, 2, &["no-board", "mps2-an386"]);
    let output =
        tinyhero(&["train", "--data", "digits", "--network", "mlp", "--out", out, "--rho=-1"]);
    assert_refused(&output, 2, &["--rho"]);
    let output = tinyhero(&["train", "--wrong"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_damaged_model_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.hero");
    std::fs::write(&path, b"HERO but no model").unwrap();
    let name = path.to_str().unwrap();
    assert_refused(&tinyhero(&["inspect", name]), 2, &["model.hero", "refused"]);
    std::fs::write(&path, b"").unwrap();
    assert_refused(&tinyhero(&["inspect", name]), 2, &["model.hero", "refused"]);
}

#[test]
fn a_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let run = run.to_str().unwrap();
    let train = [
        "train",
        "--data",
        "digits",
        "--network",
        "mlp",
        "--limit",
        "64",
        "--epochs",
        "1",
        "--out",
        run,
    ];
    assert!(tinyhero(&train).status.success());
    let checkpoint = Path::new(run).join("checkpoint.safetensors");
    let before = std::fs::read(&checkpoint).unwrap();
    assert_refused(&tinyhero(&train), 2, &["already holds a run", "--resume"]);
    assert_eq!(std::fs::read(&checkpoint).unwrap(), before);
}

/// A full disk, made of `/dev/full` where no small file system can be mounted: the JSON cannot be written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_earlier_model() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let run = run.to_str().unwrap();
    let train = [
        "train",
        "--data",
        "digits",
        "--network",
        "mlp",
        "--limit",
        "64",
        "--epochs",
        "1",
        "--out",
        run,
    ];
    assert!(tinyhero(&train).status.success());

    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
        .arg(&disk)
        .status()
        .is_ok_and(|status| status.success());
    if mounted {
        let model = disk.join("model.hero");
        let quantize = |bits: &str| {
            tinyhero(&["quantize", run, "--bits", bits, "--out", model.to_str().unwrap()])
        };
        let first = quantize("2");
        let before = std::fs::read(&model);
        let filler = std::fs::write(disk.join("filler"), vec![1; 60 * 1024]);
        let full = quantize("8");
        let after = std::fs::read(&model);
        let left: Vec<_> =
            std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        std::process::Command::new("umount").arg(&disk).status().unwrap();
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        assert!(filler.is_ok() || full.status.code() == Some(2));
        assert_refused(&full, 2, &["model.hero", "free some space"]);
        assert_eq!(before.unwrap(), after.unwrap(), "the earlier model is damaged");
        assert_eq!(left.len(), 2, "a partial file is left: {left:?}");
    }
    // Standard output on a full device.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tinyhero"))
        .args(["data", "show", "digits", "--json", "-"])
        .stdout(full)
        .output()
        .unwrap();
    assert_refused(&output, 2, &["standard output"]);
}

#[test]
fn a_best_epoch_without_validation_data_and_an_empty_split_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("run");
    let out = out.to_str().unwrap();
    let train = |more: &[&str]| {
        let mut arguments = vec!["train", "--data", "digits", "--network", "mlp", "--out", out];
        arguments.extend(more);
        tinyhero(&arguments)
    };
    assert_refused(&train(&["--keep", "best"]), 2, &["--keep best", "--validation"]);
    assert_refused(&train(&["--validation", "1"]), 2, &["--validation", "share"]);
    let tiny = ["--limit", "4", "--validation", "0.01"];
    assert_refused(&train(&tiny), 2, &["--validation", "share"]);
    assert!(!place.path().join("run").exists());
}
