//! Files that somebody made to do harm: each gets its one line, soon and within stated memory, and no name reaches the terminal as it is.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// Address space of each command in kB. An empty command takes some 300 MB of it.
const MEMORY: u32 = 2_500_000;
const TIME: Duration = Duration::from_secs(60);

/// Runs the program with bounded memory and time.
fn tinyhero(arguments: &[&OsStr]) -> Output {
    let script = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_tinyhero")]).args(arguments);
    let started = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > TIME {
            child.kill().unwrap();
            panic!("{arguments:?} goes on after {TIME:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

fn assert_refused(arguments: &[&OsStr], words: &[&str]) {
    let output = tinyhero(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{arguments:?}: {text}");
    assert!(text.starts_with("tinyhero: ") && text.len() < 2500, "{text}");
    for word in words {
        assert!(text.contains(word), "'{word}' is missing in: {text}");
    }
}

fn show(path: &Path, words: &[&str]) {
    assert_refused(&["data".as_ref(), "show".as_ref(), path.as_os_str()], words);
}

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// A file of `bytes` bytes that takes no room on the disk.
fn sparse(folder: &Path, name: &str, bytes: u64) -> PathBuf {
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().set_len(bytes).unwrap();
    path
}

/// `line` again and again, `bytes` in all, packed.
fn packed(folder: &Path, name: &str, line: &str, bytes: usize) -> PathBuf {
    let path = folder.join(name);
    let mut encoder = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
    let block = line.repeat((1 << 20) / line.len());
    for _ in 0..bytes / block.len() {
        encoder.write_all(block.as_bytes()).unwrap();
    }
    encoder.finish().unwrap();
    path
}

fn train_and_quantize(folder: &Path, data: &str, network: &str) -> PathBuf {
    let (run, model) = (folder.join("run"), folder.join("model.hero"));
    let (run, out) = (run.to_str().unwrap(), model.to_str().unwrap());
    let train = ["train", "--data", data, "--network", network, "--epochs", "1"];
    let train: Vec<&str> = train.into_iter().chain(["--limit", "64", "--out", run]).collect();
    for arguments in [&train[..], &["quantize", run, "--bits", "4", "--out", out]] {
        let command =
            Command::new(env!("CARGO_BIN_EXE_tinyhero")).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&command.stderr);
        assert!(command.status.success(), "{arguments:?}: {text}");
        assert_plain(&command);
    }
    model
}

#[test]
fn packed_bombs_are_not_unpacked_beyond_the_stated_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bomb = packed(folder.path(), "train.csv.gz", "1,2,0\n", 700 << 20);
    show(&bomb, &["train.csv.gz", "more than 536870912 bytes, unpacked"]);
    show(folder.path(), &["train.csv.gz", "more than 536870912 bytes, unpacked"]);
    let folder = tempfile::tempdir().unwrap();
    packed(folder.path(), "batches.meta.txt.gz", "cat\n", 700 << 20);
    show(folder.path(), &["batches.meta.txt.gz"]);
}

#[test]
fn large_files_are_refused_by_their_length() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train.csv", "train.bin", "data"] {
        show(&sparse(folder.path(), name, 1 << 40), &[name, "more than 536870912 bytes"]);
    }
    let model = sparse(folder.path(), "model.hero", 1 << 40);
    assert_refused(&["inspect".as_ref(), model.as_os_str()], &["more than the 67108864"]);
}

#[test]
fn rows_columns_and_classes_are_counted_while_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let names: String = (0..1_000_000).fold("value,label\n".to_string(), |mut text, row| {
        let _ = writeln!(text, "1,name{row}");
        text
    });
    show(&write(folder, "names.csv", names), &["line 1002", "more than 1000 classes"]);
    let long = packed(folder, "line.csv.gz", "1,", 400 << 20);
    show(&long, &["line 1", "longer than 1048576 bytes"]);
    let wide = write(folder, "wide.csv", "1,".repeat(70_000) + "0\n");
    show(&wide, &["line 1", "70000 feature columns"]);
    let open = write(folder, "open.csv", "1,2,0\n1,\"2\n".to_string() + &"1,1\n".repeat(1000));
    show(&open, &["line 2", "quotation mark"]);
    let name = write(folder, "name.csv", format!("1,{}\n", "n".repeat(5000)));
    show(&name, &["line 1", "class name of 5000 bytes"]);
    let field = write(folder, "field.csv", format!("1,0\n{},0\n", "x".repeat(5000)));
    show(&field, &["line 2", "'xxxx", "…'"]);
    let rows = packed(folder, "rows.csv.gz", "1,0\n1,1\n", 70 << 20);
    show(&rows, &["line 16777217", "16777216 rows"]);
}

#[test]
fn an_idx_header_that_multiplies_to_nothing_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "t10k"] {
        let images = [[0, 0, 8, 4], [0; 4], [0xFF; 4], [0xFF; 4], [0xFF; 4]].concat();
        write(folder.path(), &format!("{part}-images"), images);
        write(folder.path(), &format!("{part}-labels"), [[0, 0, 8, 1], [0; 4]].concat());
    }
    show(folder.path(), &["train-images", "holds no image"]);
}

#[test]
fn what_is_no_file_is_refused_and_waited_for_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let pipe = folder.join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    let odd = folder.join(OsStr::from_bytes(b"odd\xFF\x1b[2Jname"));
    std::fs::write(&odd, b"HERO").unwrap();
    show(&pipe, &["pipe", "a pipe or a device"]);
    show(Path::new("/dev/zero"), &["/dev/zero", "a pipe or a device"]);
    show(&folder.join("loop"), &["loop"]);
    show(folder, &["holds no data set"]);
    for path in [&pipe, Path::new("/dev/zero"), folder] {
        let command: [&OsStr; 2] = ["inspect".as_ref(), path.as_ref()];
        assert_refused(&command, &["give a file"]);
        let arguments = ["train", "--data", "digits", "--out", "/nowhere/run", "--network"];
        let mut arguments = arguments.map(OsStr::new).to_vec();
        arguments.push(path.as_ref());
        assert_refused(&arguments, &["give a file"]);
    }
    assert_refused(&["inspect".as_ref(), odd.as_ref()], &["odd\u{FFFD}\u{FFFD}[2Jname"]);
    let many = folder.join("many");
    std::fs::create_dir(&many).unwrap();
    for number in 0..20_001 {
        write(&many, &number.to_string(), b"");
    }
    show(&many, &["more than 20000 files"]);
}

/// A network of one value, and `layers`.
fn network(folder: &Path, layers: &str) -> PathBuf {
    write(folder, "network.toml", format!("name = \"n\"\n{layers}"))
}

#[test]
fn network_files_are_bounded_in_layers_sums_and_nesting() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let layer = |words: &str| format!("[[layer]]\n{words}\n");
    let wide = "operation = \"convolution-2d\"\nkernel = 1\nout-channels = 100000";
    let one = "operation = \"convolution-2d\"\nkernel = 1\nout-channels = 1";
    let huge = "operation = \"max-pool-2d\"\nkernel = 9223372036854775807\n\
                padding = [9223372036854775806, 9223372036854775806, 0, 0]";
    let cases = [
        (layer("operation = \"relu\"").repeat(1001), "1001 layers, more than 1000"),
        ((layer(wide) + &layer(one)).repeat(20), "more than 67108864"),
        (layer(huge), "does not fit"),
        (format!("x = {}1", "[".repeat(200_000)), ".toml, line"),
        (format!("{}x = 1", "x.".repeat(200_000)), ".toml, line"),
        (format!("[{}x]\ny = 1", "x.".repeat(200_000)), ".toml, line"),
        (format!("x = {}", "{ y = ".repeat(100_000)), ".toml, line"),
        ("#".repeat(2 << 20), "more than the 1048576"),
    ];
    for (layers, words) in cases {
        let path = network(folder, &layers);
        let arguments = ["train", "--data", "digits", "--out", "/nowhere/run", "--network"];
        let mut arguments = arguments.map(OsStr::new).to_vec();
        arguments.push(path.as_ref());
        assert_refused(&arguments, &[words]);
    }
    let deep = write(folder, "deep.json", "[".repeat(1 << 20));
    let bench = ["bench", "--network", "mlp", "--bits", "4", "--on", "mps2-an386", "--compare"];
    let mut arguments = bench.map(OsStr::new).to_vec();
    arguments.push(deep.as_ref());
    assert_refused(&arguments, &["deep.json", "bench --json"]);
}

/// The head of a picture of this size, right to its checksum, and nothing behind it.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend([width.to_be_bytes(), height.to_be_bytes()].concat());
    header.extend([16, 6, 0, 0, 0]);
    let chunk = |body: &[u8]| {
        let mut crc = Crc::new();
        crc.update(body);
        let length = (body.len() as u32 - 4).to_be_bytes();
        [&length, body, &crc.sum().to_be_bytes()].concat()
    };
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(&header), chunk(b"IDATx\x9c\x03\0\0\0\0\x01")].concat()
}

#[test]
fn inputs_are_measured_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let model = train_and_quantize(folder.path(), "digits", "mlp");
    let raw = sparse(folder.path(), "raw.bin", 1 << 40);
    let picture = write(folder.path(), "picture.png", png(120_000, 80_000));
    let large = sparse(folder.path(), "large.png", 1 << 40);
    for (input, words) in [
        (raw, "has 1099511627776 bytes where the model reads 64"),
        (picture, "is 120000x80000 with 3 colours"),
        (large, "more than the 67108864"),
    ] {
        let command = [OsStr::new("run"), model.as_ref(), "--on".as_ref(), "mps2-an386".as_ref()];
        let arguments = [&command[..], &["--input".as_ref(), input.as_ref()]].concat();
        assert_refused(&arguments, &[words]);
    }
}

/// Nothing but line feeds that a terminal obeys, nor a name's own line.
fn assert_plain(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        let obeyed = |character: char| {
            (character.is_control() && character != '\n') || "\u{202e}\u{2066}".contains(character)
        };
        assert!(!text.contains(obeyed), "{text:?}");
        assert!(!text.lines().any(|line| line.trim_start().starts_with("forged")), "{text:?}");
    }
}

#[test]
fn names_from_files_do_nothing_to_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let classes = ["\u{1b}[31mred\u{7}", "\u{202e}der\u{9b}2J"];
    // What begins with controls is no text; they come later.
    let harmless = "0,1,plain\n".repeat(1000);
    let rows = (0..100).map(|row| format!("{},{},{}\n", row % 7, row % 5, classes[row % 2]));
    let rows = harmless + &rows.collect::<String>();
    let data = write(folder.path(), "\u{1b}]0;owned\u{7}.csv", rows);
    let data = data.to_str().unwrap();
    let text = "name = \"\\u001b[2J\"\n[[layer]]\nname = \"\\u001b[8mhidden\\nforged | row\"\n\
                operation = \"fully-connected\"\nout-features = \"classes\"\n\
                [[layer]]\nname = \"\\u2066\"\noperation = \"softmax\"\n";
    let network = write(folder.path(), "network.toml", text);
    let model = train_and_quantize(folder.path(), data, network.to_str().unwrap());
    let json = folder.path().join("out.json");
    let commands: [&[&OsStr]; 5] = [
        &["data".as_ref(), "show".as_ref(), data.as_ref()],
        &["inspect".as_ref(), model.as_ref(), "--json".as_ref(), json.as_ref()],
        &["evaluate".as_ref(), model.as_ref(), "--data".as_ref(), data.as_ref()],
        &["data".as_ref(), "show".as_ref(), "\u{1b}[2J\nforged".as_ref()],
        &["bench".as_ref(), model.as_ref(), "--on".as_ref(), "\u{1b}[2J\nforged".as_ref()],
    ];
    for arguments in commands {
        let output = tinyhero(arguments);
        assert!(!output.stdout.is_empty() || !output.stderr.is_empty());
        assert_plain(&output);
    }
    // A machine gets the names as they are.
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert!(json.to_string().contains("\\u001b[8mhidden\\nforged | row"), "{json}");
}

#[test]
fn a_model_of_the_format_before_is_refused_with_both_numbers_and_what_to_do() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/version-2.hero");
    let words = ["refused", "format version 2, ", "reads version 3", "tinyhero quantize"];
    assert_refused(&["inspect".as_ref(), file.as_os_str()], &words);
}

#[test]
fn output_that_nobody_reads_ends_the_command_without_a_panic() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/version-3-classifier.hero");
    let script = "\"$0\" inspect \"$1\" | true; \"$0\" inspect \"$1\" > /dev/full";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_tinyhero")])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.starts_with("tinyhero: standard output: ") && text.lines().count() == 1, "{text}");
}
