//! The examples of `docs/your-data.md` run as they are written.

use std::io::Write;
use std::path::Path;
use std::process::Command;

/// The lines of all blocks of shell commands below a heading.
fn commands(page: &str) -> Vec<(String, String)> {
    let (mut found, mut heading, mut block) = (Vec::new(), String::new(), None::<String>);
    for line in page.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (None, line) if line.starts_with("## ") => heading = line[3..].to_string(),
            (None, _) => {}
            (Some(text), "```") => {
                found.push((heading.clone(), std::mem::take(text)));
                block = None;
            }
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    found
}

/// Runs commands in a shell, with `tinyhero` being this program.
fn run(folder: &Path, heading: &str, text: &str) {
    let program = env!("CARGO_BIN_EXE_tinyhero");
    let script = format!("set -e\ntinyhero() {{ '{program}' \"$@\"; }}\n{text}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    let all = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{heading}:\n{text}\n{all}");
    assert!(!all.contains("panicked"), "{all}");
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A wave of two axes that each class has at another pace.
fn wave(pace: f64, rows: usize, row: impl Fn(usize, f64, f64) -> String) -> String {
    let values = (0..rows).map(|step| {
        let (sin, cos) = (pace * step as f64).sin_cos();
        row(step, sin, cos)
    });
    values.collect()
}

const PACES: [(&str, f64); 3] = [("sit", 0.05), ("walk", 0.4), ("run", 1.1)];

/// The data that the page speaks of.
fn make_data(folder: &Path) {
    let mut log = "subject,time,acc_x (m/s^2),acc_y (m/s^2),activity\n".to_string();
    for person in 0..5 {
        for (class, pace) in PACES {
            log += &wave(pace, 96, |step, x, y| {
                format!("{person},{:.2},{x:.3},{y:.3},{class}\n", step as f64 * 0.02)
            });
        }
    }
    write(folder, "log.csv", log);
    for (class, pace) in &PACES[1..] {
        let rows = wave(*pace, 400, |_, x, y| format!("{x:.3},{y:.3}\n"));
        write(folder, &format!("gestures/{class}.csv"), format!("x,y\n{rows}"));
    }
    arrays(folder);
    images(folder);
    pictures(folder);
    sounds(folder);
    archive(folder);
    for number in 0..5 {
        for (class, pace) in &PACES[1..] {
            let rows = wave(*pace, 30, |step, x, y| {
                format!("{}[{x:.3},{y:.3}]", if step == 0 { "" } else { "," })
            });
            let text = format!(
                "{{\"protected\":{{}},\"payload\":{{\"interval_ms\":20,\"sensors\":[{{\"name\":\"x\",\"units\":\"g\"}},\
                 {{\"name\":\"y\",\"units\":\"g\"}}],\"values\":[{rows}]}}}}"
            );
            write(folder, &format!("edge/{class}.{number}.json"), &text);
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut bytes = Vec::new();
            ciborium::into_writer(&cbor(&json), &mut bytes).unwrap();
            write(folder, &format!("edge_cbor/{class}.{number}.cbor"), bytes);
        }
    }
    let rooms = |row: usize| 1 + row % 5;
    let area = |row: usize| 20.5 + 7.0 * (row % 17) as f64;
    let price = |row: usize| 1500.0 * area(row) + 9000.0 * rooms(row) as f64;
    let houses = (0..200).map(|row| format!("{},{},{:.0}\n", area(row), rooms(row), price(row)));
    let houses: String = houses.collect();
    write(folder, "house.csv", format!("area (m2),rooms,price (EUR)\n{houses}"));
    let machine = |count: usize, noise: f64, class: &str| -> String {
        let row = |row: usize| {
            let (a, b) = ((row as f64 * 0.7).sin(), (row as f64 * 1.3).cos());
            let odd = noise * ((row * 7919 % 13) as f64 - 6.0);
            format!("{a:.3},{b:.3},{:.3},{:.3},{class}\n", a + b + odd, a - b - odd)
        };
        (0..count).map(row).collect()
    };
    write(folder, "machine/train.csv", machine(300, 0.0, "usual"));
    write(folder, "machine/test.csv", machine(60, 0.0, "usual") + &machine(60, 0.3, "broken"));
}

/// JSON as CBOR has it.
fn cbor(value: &serde_json::Value) -> ciborium::Value {
    use serde_json::Value;
    match value {
        Value::Null => ciborium::Value::Null,
        Value::Bool(is) => (*is).into(),
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => ciborium::Value::Array(values.iter().map(cbor).collect()),
        Value::Object(pairs) => ciborium::Value::Map(
            pairs.iter().map(|(name, value)| (name.as_str().into(), cbor(value))).collect(),
        ),
    }
}

/// An array as NumPy saves it.
fn npy(shape: &[usize], values: &[f64]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size},")).collect();
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({sizes}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

fn arrays(folder: &Path) {
    let samples = |count: usize| {
        let values: Vec<f64> = (0..count * 4).map(|place| (place / 4 % 3) as f64 + 0.25).collect();
        npy(&[count, 4], &values)
    };
    let labels = |count: usize| {
        let values: Vec<f64> = (0..count).map(|row| (row % 3) as f64).collect();
        npy(&[count], &values)
    };
    let file = std::fs::File::create(folder.join("arrays.npz")).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (part, count) in [("train", 30), ("test", 9)] {
        for (name, bytes) in [("x", samples(count)), ("y", labels(count))] {
            archive.start_file(format!("{name}_{part}.npy"), stored).unwrap();
            archive.write_all(&bytes).unwrap();
        }
    }
    archive.finish().unwrap();
    write(folder, "arrays/x.npy", samples(30));
    write(folder, "arrays/y.npy", labels(30));
    let rows: Vec<f64> =
        (0..30).flat_map(|row| [f64::from(row % 7) + 0.5, f64::from(row % 3)]).collect();
    write(folder, "table.npy", npy(&[30, 2], &rows));
}

/// MNIST's and CIFAR-10's files.
fn images(folder: &Path) {
    for (part, count) in [("train", 20u32), ("t10k", 10)] {
        let sizes = [count, 8, 8].map(u32::to_be_bytes).concat();
        let pixels = (0..count * 64).map(|place| (place % 251) as u8);
        let images = [vec![0, 0, 8, 3], sizes, pixels.collect()].concat();
        let labels = (0..count).map(|image| (image % 2) as u8).collect();
        let labels = [vec![0, 0, 8, 1], count.to_be_bytes().to_vec(), labels].concat();
        write(folder, &format!("mnist/{part}-images-idx3-ubyte"), images);
        write(folder, &format!("mnist/{part}-labels-idx1-ubyte"), labels);
    }
    for name in ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"] {
        let record = |image: u8| [vec![image % 10], vec![image; 3072]].concat();
        write(folder, &format!("cifar/{name}"), (0..20).flat_map(record).collect::<Vec<u8>>());
    }
    for number in 0..5 {
        let (grey, colour) =
            (include_bytes!("pictures/grey.jpg"), include_bytes!("pictures/colour.jpg"));
        write(folder, &format!("photos/grey/{number}.jpg"), grey);
        write(folder, &format!("photos/red/{number}.jpeg"), colour);
    }
}

/// The gestures in a zip.
fn archive(folder: &Path) {
    let file = std::fs::File::create(folder.join("gestures.zip")).unwrap();
    let mut archive = zip::ZipWriter::new(file);
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (class, _) in &PACES[1..] {
        let name = format!("gestures/{class}.csv");
        archive.start_file(&name, stored).unwrap();
        archive.write_all(&std::fs::read(folder.join(&name)).unwrap()).unwrap();
    }
    archive.finish().unwrap();
}

fn pictures(folder: &Path) {
    for (class, level) in [("rock", 10u8), ("paper", 200)] {
        for number in 0..10u8 {
            let mut bytes = Vec::new();
            // Of two sizes.
            let size = if number % 2 == 0 { 16 } else { 12 };
            let mut encoder = png::Encoder::new(&mut bytes, size, size);
            encoder.set_color(png::ColorType::Rgb);
            let mut writer = encoder.write_header().unwrap();
            writer.write_image_data(&vec![level + number; 3 * (size * size) as usize]).unwrap();
            writer.finish().unwrap();
            write(folder, &format!("pictures/{class}/{number}.png"), bytes);
        }
    }
}

fn sounds(folder: &Path) {
    for (class, level) in [("no", 300.0), ("yes", 9000.0)] {
        for number in 0..6 {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: 8000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            let mut bytes = std::io::Cursor::new(Vec::new());
            let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
            for place in 0..128 {
                let value = level * (f64::from(place * (number + 3)) * 0.1).sin();
                writer.write_sample(value as i16).unwrap();
            }
            writer.finalize().unwrap();
            let bytes = bytes.into_inner();
            write(folder, &format!("words/{class}/{number}.wav"), &bytes);
            if class == "no" {
                write(folder, &format!("words/_background_noise_/{number}.wav"), &bytes);
            }
            let speaker = ["anna", "bob", "cleo"][number as usize % 3];
            write(folder, &format!("spoken/{class}_{speaker}_{number}.wav"), &bytes);
        }
    }
}

#[test]
fn every_example_of_your_data_runs_as_written() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/your-data.md");
    let page = std::fs::read_to_string(path).unwrap();
    let found = commands(&page);
    assert!(found.len() >= 8, "{found:?}");
    let place = tempfile::tempdir().unwrap();
    make_data(place.path());
    for (heading, text) in found {
        run(place.path(), &heading, &text);
    }
}
