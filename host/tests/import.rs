//! Models of other frameworks: small ones that come in, ones that are refused, and damaged ones.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::{Value, json};

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models").join(name)
}

fn tinyhero() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tinyhero"))
}

/// Imports a model, compares it with its golden file, and gives the report.
fn checked(name: &str, out: &Path, more: &[&str]) -> Value {
    let golden = model(name).with_extension("npz");
    let mut command = tinyhero();
    command.arg("import").arg(model(name)).arg("--out").arg(out);
    command.arg("--check").arg(golden).args(["--json", "-"]).args(more);
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn float_models_keep_their_answers_at_8_bits() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "digits_mlp_old.onnx",
        "kws_dscnn_old.onnx",
        "har_cnn_old.onnx",
        "keras_har_conv1d_float.tflite",
        "har_lstm_old.onnx",
        "keras_har_lstm_float.tflite",
    ] {
        let report = checked(name, &folder.path().join("model.hero"), &[]);
        assert_eq!(report["integers_kept"], false, "{name}");
        assert!(report["label_agreement"].as_f64().unwrap() >= 0.99, "{name}: {report}");
        let (found, reference) = (&report["accuracy"], &report["reference_accuracy"]);
        let lost = reference.as_f64().unwrap() - found.as_f64().unwrap();
        assert!(lost <= 0.005, "{name}: {report}");
    }
}

#[test]
fn quantized_models_keep_their_integers() {
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "digits_mlp_qdq.onnx",
        "kws_dscnn_qoperator.onnx",
        "keras_kws_dscnn_int8_uint8_ends.tflite",
    ] {
        let report = checked(name, &folder.path().join("model.hero"), &[]);
        assert_eq!(report["integers_kept"], true, "{name}");
        assert!(report["label_agreement"].as_f64().unwrap() >= 0.99, "{name}: {report}");
        assert!(report["mean_difference"].as_f64().unwrap() < 1.0, "{name}: {report}");
    }
}

#[test]
fn images_that_grow_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model.hero");
    for (name, kept, most) in [
        ("unet_nearest_qdq.onnx", true, 0.5),
        ("keras_unet_int8.tflite", true, 0.5),
        ("unet_transposed.onnx", false, 2.0),
    ] {
        let report = checked(name, &out, &[]);
        assert_eq!(report["integers_kept"], kept, "{name}");
        assert!(report["label_agreement"].as_f64().unwrap() >= 0.98, "{name}: {report}");
        assert!(report["mean_difference"].as_f64().unwrap() < most, "{name}: {report}");
    }
}

#[test]
fn several_inputs_and_outputs_are_compared_one_by_one_and_run_on_a_board() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model.hero");
    // Two inputs: a picture, and three numbers of very different ranges.
    let report = checked("mnist_facts.onnx", &out, &[]);
    assert_eq!(report["integers_kept"], false);
    assert!(report["label_agreement"].as_f64().unwrap() >= 0.98, "{report}");
    let inspection = inspected(&out);
    let inputs = inspection["inputs"].as_array().unwrap();
    let shapes: Vec<&Value> = inputs.iter().map(|input| &input["shape"]).collect();
    assert_eq!(shapes, [&json!([28, 28, 1]), &json!([1, 1, 3])]);
    assert_eq!(inputs[0]["bytes"], 784);
    assert_eq!(inspection["outputs"].as_array().unwrap().len(), 1);
    // The same archive is data for it: raw samples of both inputs follow one another.
    let verified = verified(&out, &model("mnist_facts.npz"));
    assert_eq!((&verified["samples"], &verified["identical"]), (&json!(50), &json!(50)));
    assert!(verified["accuracy"].as_f64().unwrap() >= 0.94, "{verified}");
    let mut evaluate = tinyhero();
    evaluate.arg("evaluate").arg(&out).args(["--data", "digits"]);
    let refused = evaluate.output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("2 inputs") && said.contains("inputs_0"), "{said}");
    // Two outputs, of integers that stay what they are.
    let report = checked("mnist_finder_qoperator.onnx", &out, &[]);
    assert_eq!(report["integers_kept"], true);
    let outputs = report["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2);
    for output in outputs {
        assert!(output["close"].as_f64().unwrap() >= 0.99, "{report}");
        assert!(output["mean_difference"].as_f64().unwrap() < 1.0, "{report}");
    }
    assert_eq!(inspected(&out)["outputs"].as_array().unwrap().len(), 2);
}

/// What `inspect` says of a model.
fn inspected(file: &Path) -> Value {
    let output = tinyhero().arg("inspect").arg(file).args(["--json", "-"]).output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `verify` says of a model on one emulated board.
fn verified(file: &Path, data: &Path) -> Value {
    let mut command = tinyhero();
    command.arg("verify").arg(file).arg("--data").arg(data);
    let output = command.args(["--on", "mps2-an386", "--json", "-"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let reports: Value = serde_json::from_slice(&output.stdout).unwrap();
    reports[0].clone()
}

#[test]
fn a_folder_is_a_run_that_is_quantized_to_fewer_bits() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    checked("kws_dscnn_old.onnx", &run, &["--bits", "4", "--agree", "80"]);
    let file = folder.path().join("model.hero");
    let mut quantize = tinyhero();
    quantize.arg("quantize").arg(&run).args(["--bits", "4", "--out"]).arg(&file);
    quantize.assert().success();
    assert!(file.is_file());
}

#[test]
fn everything_that_is_not_supported_is_named_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    for (name, from, to, words) in [
        // A gate that is not a sigmoid: the loop is no LSTM any more.
        ("keras_har_lstm_float.tflite", &[14u8][..], &[28u8][..], &["WHILE", "control flow"][..]),
        ("har_lstm_old.onnx", b"LSTM", b"MTSL", &["MTSL", "not supported"]),
    ] {
        let out = folder.path().join("model.hero");
        let changed = folder.path().join(name);
        std::fs::write(&changed, replaced(name, from, to)).unwrap();
        let output =
            tinyhero().arg("import").arg(&changed).arg("--out").arg(&out).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(words.iter().all(|word| said.contains(word)), "{name}: {said}");
        assert!(!out.exists());
    }
}

/// A model with other bytes: those of an operator's name in ONNX, or of an operator's number in the list of a TensorFlow Lite file.
fn replaced(name: &str, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = std::fs::read(model(name)).unwrap();
    let end = bytes.len();
    let part = if name.ends_with(".tflite") { end - 600..end } else { 0..end };
    let starts: Vec<usize> = part.filter(|&at| bytes[at..].starts_with(from)).collect();
    for at in starts {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn a_network_file_comes_in_with_weights_in_safetensors() {
    let folder = tempfile::tempdir().unwrap();
    let network = folder.path().join("small.toml");
    let toml = "[[layer]]\nname = \"hidden\"\noperation = \"fully-connected\"\nout-features = 4\n\
                [[layer]]\noperation = \"relu\"\n[[layer]]\nname = \"scores\"\n\
                operation = \"fully-connected\"\nout-features = \"classes\"\n";
    std::fs::write(&network, format!("name = \"small\"\n{toml}")).unwrap();
    let weights = folder.path().join("small.safetensors");
    let list = |count: usize| -> Vec<u8> {
        (0..count).flat_map(|at| ((at * 37 % 23) as f32 / 23.0 - 0.5).to_le_bytes()).collect()
    };
    let shapes: [(&str, Vec<usize>); 4] = [
        ("hidden.weight", vec![4, 64]),
        ("hidden.bias", vec![4]),
        ("scores.weight", vec![10, 4]),
        ("scores.bias", vec![10]),
    ];
    let write = |count: usize| {
        let lists: Vec<Vec<u8>> =
            shapes.iter().map(|(_, shape)| list(shape.iter().product())).collect();
        let views = shapes.iter().zip(&lists).take(count).map(|((name, shape), bytes)| {
            let kind = safetensors::tensor::Dtype::F32;
            let view = safetensors::tensor::TensorView::new(kind, shape.clone(), bytes).unwrap();
            ((*name).to_string(), view)
        });
        let bytes = safetensors::tensor::serialize(views, None).unwrap();
        std::fs::write(&weights, bytes).unwrap();
    };
    let out = folder.path().join("model.hero");
    let import = || {
        let mut command = tinyhero();
        command.arg("import").arg(&network).arg("--out").arg(&out);
        command.args(["--data", "digits", "--divide", "16"]).arg("--weights").arg(&weights);
        command.output().unwrap()
    };
    write(4);
    let output = import();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let layers = inspected(&out)["layers"].as_array().unwrap().len();
    assert_eq!(layers, 3);
    write(3);
    let output = import();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no tensor 'scores."), "{said}");
}

#[test]
fn raw_samples_of_a_check_are_data_for_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let (out, raw) = (folder.path().join("model.hero"), folder.path().join("raw.npz"));
    // Channels first in the file, last on the board; and a model with its own integers.
    for name in ["har_cnn_old.onnx", "keras_kws_dscnn_int8_uint8_ends.tflite"] {
        let report = checked(name, &out, &["--samples", raw.to_str().unwrap()]);
        let mut evaluate = tinyhero();
        evaluate.arg("evaluate").arg(&out).arg("--data").arg(&raw).args(["--json", "-"]);
        let output = evaluate.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let evaluation: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(evaluation["accuracy"], report["accuracy"], "{name}");
        assert_eq!(evaluation["samples"], report["samples"], "{name}");
    }
}
