//! What a network will take is said before it is trained, and what boards refuse too.

use std::path::Path;

use assert_cmd::Command;

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

const OWN: &str = "name = \"own\"\n[[layer]]\noperation = \"convolution-2d\"\nout-channels = 8\n\
    kernel = [5, 1]\nstride = [2, 1]\n[[layer]]\noperation = \"relu\"\n\
    [[layer]]\noperation = \"global-average-pool\"\n\
    [[layer]]\noperation = \"fully-connected\"\nout-features = \"classes\"\n";

#[test]
fn a_network_file_is_measured_with_random_weights() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    std::fs::write(folder.join("own.toml"), OWN).unwrap();
    let bench = ["bench", "--network", "own.toml", "--bits", "4", "--on", "mps2-an386"];
    let with = |more: &[&'static str]| [&bench[..], more].concat();
    let asked = with(&["--input", "128x1x6", "--classes", "3", "--json", "b.json"]);
    let text = says(folder, &asked, 0, &["convolution-2d-0", "bytes of arena", "bytes of model"]);
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("b.json")).unwrap()).unwrap();
    let layers = json[0]["layers"].as_array().unwrap();
    // 64 places of 8 channels by 5 x 6 weights, then 8 x 3.
    assert_eq!(json[0]["macs"], 64 * 8 * 30 + 24, "{text}");
    assert!(layers.iter().all(|layer| layer["count"].as_u64().unwrap() > 0), "{text}");
    says(folder, &bench, 2, &["does not say the shape of a sample", "--input 128x1x6"]);
    says(folder, &with(&["--input", "128x1"]), 0, &["bytes of arena"]);
    says(folder, &with(&["--input", "0x1x6"]), 2, &["height, width and channels"]);
    says(folder, &with(&["--input", "60000x60000x6"]), 2, &["values a sample"]);
    let shaped = OWN.replacen('\n', "\ninput = [64, 1, 3]\n", 1);
    std::fs::write(folder.join("own.toml"), shaped).unwrap();
    says(folder, &bench, 0, &["bytes of arena"]);
    says(folder, &with(&["--input", "128x1x6"]), 2, &["64x1x3", "128x1x6"]);
    says(
        folder,
        &["bench", "--network", "own.onnx", "--bits", "4", "--on", "microbit"],
        2,
        &["own.onnx"],
    );
}

#[test]
fn what_the_format_refuses_is_said_and_one_board_does_not_hide_others() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let padded = OWN.replace("name = \"own\"\n", "name = \"own\"\n[[layer]]\noperation = \"average-pool-2d\"\nkernel = [3, 1]\npadding = \"same\"\ncount-padding = true\n");
    std::fs::write(folder.join("own.toml"), padded).unwrap();
    let bench = [
        "bench",
        "--network",
        "own.toml",
        "--bits",
        "4",
        "--input",
        "16x1x6",
        "--on",
        "mps2-an386",
    ];
    let mut command = Command::cargo_bin("tinyhero").unwrap();
    let output = command.args(bench).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || text.contains("padding"), "{text}");
    // 256 layers are the most that a file has.
    let relus = "[[layer]]\noperation = \"tanh\"\n".repeat(300);
    std::fs::write(folder.join("deep.toml"), OWN.to_string() + &relus).unwrap();
    let deep = [
        "bench",
        "--network",
        "deep.toml",
        "--bits",
        "4",
        "--input",
        "16x1x6",
        "--on",
        "mps2-an386",
    ];
    says(folder, &deep, 2, &["layers"]);
    let boards = [
        "bench",
        "--network",
        "har-cnn",
        "--bits",
        "4",
        "--input",
        "4000x1x6",
        "--on",
        "microbit,mps2-an386",
    ];
    let text = says(
        folder,
        &boards,
        2,
        &["mps2-an386: ", "bytes of arena", "microbit: the model needs an arena"],
    );
    assert!(!text.contains("fewer bits"), "{text}");
}
