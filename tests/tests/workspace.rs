//! The direction of dependencies and the rules on `unsafe` and floats, asserted from the sources
//! themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use tinyhero::device::board;

fn root() -> PathBuf {
    board::workspace_root().unwrap()
}

/// The workspace's own crates that each of them depends on, by kind.
fn dependencies() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or("normal").to_string();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
            for dependency in package["dependencies"].as_array().unwrap() {
                kinds
                    .entry(text(&dependency["kind"]))
                    .or_default()
                    .insert(text(&dependency["name"]));
            }
            (text(&package["name"]), kinds)
        })
        .collect()
}

#[test]
fn dependencies_point_in_one_direction() {
    let all = dependencies();
    let boards: BTreeSet<String> =
        board::all().unwrap().into_iter().map(|board| board.name).collect();
    let of = |package: &str, kind: &str| all[package].get(kind).cloned().unwrap_or_default();
    let set = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<BTreeSet<_>>();

    let common = of("tinyhero-common", "normal");
    assert!(common.is_subset(&set(&["serde", "heapless"])), "common: {common:?}");
    let firmware = of("tinyhero-firmware", "normal");
    let allowed = set(&[
        "tinyhero-common",
        "heapless",
        "embedded-hal",
        "embedded-io",
        "embedded-storage",
        "defmt",
        "critical-section",
    ]);
    assert!(firmware.is_subset(&allowed), "firmware: {firmware:?}");
    let host = of("tinyhero", "normal");
    assert!(host.contains("tinyhero-common") && !host.contains("tinyhero-firmware"));
    assert!(!host.contains("tinyhero-tests"));
    let tests = of("tinyhero-tests", "normal");
    // The traits of the byte link that a board in the suite is sent files by.
    let allowed = set(&["tinyhero-common", "tinyhero-firmware", "embedded-io"]);
    assert!(tests.is_subset(&allowed), "tests: {tests:?}");
    for (package, kinds) in &all {
        for (kind, names) in kinds {
            let found: Vec<_> = names.intersection(&boards).collect();
            assert!(found.is_empty(), "{package} depends ({kind}) on the board {found:?}");
        }
    }
    for name in &boards {
        let board = of(name, "normal");
        assert!(!board.contains("tinyhero"), "{name} depends on the host crate");
    }
}

/// What the places that name a board say, read from the tree.
struct Places {
    /// The root manifest's members.
    members: BTreeSet<String>,
    /// The rows of the table in `boards/README.md`.
    rows: Vec<Vec<String>>,
    /// The files that exist, from the root.
    files: BTreeSet<String>,
}

impl Places {
    fn read() -> Self {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let (_, list) = manifest.split_once("members = [").unwrap();
        let list = list.split_once(']').unwrap().0;
        let members = list.split('"').skip(1).step_by(2).map(str::to_string).collect();
        let table = std::fs::read_to_string(root().join("boards/README.md")).unwrap();
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let cells = |row: &str| row.split('|').map(|cell| cell.trim().to_string()).collect();
        // The table of the boards is the first; its rows end with a blank line.
        let first = table.split("\n\n").find(|part| part.starts_with("| board")).unwrap();
        let rows = rows.filter(|row| first.contains(row)).map(cells).collect();
        let mut files = BTreeSet::new();
        for folder in ["boards", "tests/expected"] {
            let mut folders = vec![root().join(folder)];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else {
                        let path = path.strip_prefix(root()).unwrap();
                        files.insert(path.to_str().unwrap().to_string());
                    }
                }
            }
        }
        Self { members, rows, files }
    }

    /// The folders in `boards/`.
    fn folders(&self) -> BTreeSet<String> {
        let folders = self.files.iter().filter_map(|file| file.strip_prefix("boards/"));
        folders.filter_map(|file| Some(file.split_once('/')?.0.to_string())).collect()
    }

    /// What is missing of a board.
    fn missing(&self, name: &str, emulated: bool, tier: u8) -> Vec<String> {
        let mut files = vec!["Board.toml", "Cargo.toml", "src/main.rs"];
        // The suite runs on every board that CI can boot.
        if emulated {
            files.push("src/conformance.rs");
        }
        let files = files.iter().map(|file| format!("boards/{name}/{file}"));
        let files = files.chain([format!("tests/expected/{name}/size.txt")]);
        let mut missing: Vec<_> = files.filter(|file| !self.files.contains(file)).collect();
        if !self.members.contains(&format!("boards/{name}")) {
            missing.push("members in Cargo.toml".to_string());
        }
        let title = format!("`{name}`");
        let says = |row: &&Vec<String>| {
            row.get(1) == Some(&title)
                && row.get(4).is_some_and(|qemu| qemu.starts_with("yes") == emulated)
                && row.get(5) == Some(&tier.to_string())
        };
        if !self.rows.iter().any(|row| says(&row)) {
            missing.push("its row in boards/README.md".to_string());
        }
        missing
    }
}

#[test]
fn every_board_is_in_every_place_that_names_boards() {
    let places = Places::read();
    let boards = board::all().unwrap();
    let names: BTreeSet<String> = boards.iter().map(|board| board.name.clone()).collect();
    assert_eq!(places.folders(), names, "a folder without Board.toml");
    assert_eq!(places.rows.len(), names.len(), "boards/README.md has a row too many");
    for board in &boards {
        let missing = places.missing(&board.name, board.qemu.is_some(), board.tier);
        assert!(missing.is_empty(), "{} lacks {missing:?}", board.name);
    }
    let emulated = boards.iter().filter(|board| board.qemu.is_some()).count();
    let words = ["six", "seven", "eight", "nine", "ten", "eleven", "twelve"];
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let told = format!("{} emulated Cortex-M boards", words[emulated - 6]);
    assert!(readme.contains(&told), "README.md does not say \"{told}\"");
}

#[test]
fn a_place_that_leaves_a_board_out_is_told() {
    let name = "mps2-an386";
    let complete = || Places::read();
    assert_eq!(complete().missing(name, true, 1), Vec::<String>::new());
    let files = ["Board.toml", "Cargo.toml", "src/main.rs", "src/conformance.rs"];
    let files = files.map(|file| format!("boards/{name}/{file}"));
    for file in files.into_iter().chain([format!("tests/expected/{name}/size.txt")]) {
        let mut places = complete();
        assert!(places.files.remove(&file));
        assert_eq!(places.missing(name, true, 1), [file]);
    }
    let mut places = complete();
    assert!(places.members.remove(&format!("boards/{name}")));
    assert_eq!(places.missing(name, true, 1), ["members in Cargo.toml"]);
    let mut places = complete();
    places.rows.retain(|row| row[1] != format!("`{name}`"));
    assert_eq!(places.missing(name, true, 1), ["its row in boards/README.md"]);
    for (emulated, tier) in [(false, 1), (true, 2)] {
        let missing = complete().missing(name, emulated, tier);
        assert_eq!(missing, ["its row in boards/README.md"]);
    }
}

#[test]
fn lints_are_said_once() {
    let places = Places::read();
    assert!(places.members.len() > 15);
    for member in &places.members {
        let manifest = root().join(member).join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).unwrap();
        assert!(text.contains("[lints]\nworkspace = true\n"), "{}", manifest.display());
        for path in sources(&root().join(member)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let repeated = text.lines().any(|line| line.starts_with("#![deny("));
            assert!(!repeated, "{} has lints of its own", path.display());
        }
    }
}

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The words of a line of code, comments left out.
fn words(line: &str) -> Vec<&str> {
    let code = line.split("//").next().unwrap_or_default();
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect()
}

#[test]
fn common_and_tests_forbid_unsafe_code() {
    for library in ["common/src/lib.rs", "tests/src/lib.rs"] {
        let text = std::fs::read_to_string(root().join(library)).unwrap();
        assert!(text.contains("#![forbid(unsafe_code)]"), "{library}");
    }
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    for folder in ["firmware/src", "boards", "host/src"] {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            for (number, line) in lines.iter().enumerate() {
                let opens = words(line).contains(&"unsafe") && !line.contains("unsafe_code");
                // Attributes and the types of function pointers open no block.
                let harmless = ["unsafe(", "unsafe extern \"C\" fn("];
                if !opens || harmless.iter().any(|part| line.contains(part)) {
                    continue;
                }
                let before = &lines[number.saturating_sub(8)..number];
                let explained =
                    before.iter().any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
                assert!(explained, "{}:{} has no SAFETY comment", path.display(), number + 1);
            }
        }
    }
}

/// serde's interface names floats; these methods of `common/src/compact/write.rs` refuse them.
const REFUSED_FLOATS: [&str; 2] =
    ["fn serialize_f32(self, _: f32) -> Done {", "fn serialize_f64(self, _: f64) -> Done {"];

#[test]
fn there_is_no_float_below_the_host() {
    for folder in ["common/src", "firmware/src", "boards", "tests/src"] {
        for path in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            for (number, line) in text.lines().enumerate() {
                if REFUSED_FLOATS.contains(&line.trim()) {
                    continue;
                }
                let found = words(line).iter().any(|word| ["f32", "f64"].contains(word));
                assert!(!found, "{}:{} has a float", path.display(), number + 1);
            }
        }
    }
}

/// The path in the first string of a macro call that includes a file.
fn included(line: &str) -> Option<&str> {
    let calls = ["include_str!(\"", "include_bytes!(\"", "include!(\""];
    let call = calls.iter().find_map(|call| line.split_once(call))?.1;
    Some(call.split_once('"')?.0)
}

/// A package holds its crate's folder alone: what the sources include must be there, links
/// followed.
#[test]
fn the_board_side_crates_can_be_packaged_alone() {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for crate_folder in ["common", "firmware"] {
        let folder = root().join(crate_folder);
        let package = format!("tinyhero-{crate_folder}");
        let output = Command::new(&cargo)
            .args(["package", "--list", "--allow-dirty", "--offline", "--package", &package])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed = String::from_utf8(output.stdout).unwrap();
        let listed: BTreeSet<PathBuf> = listed.lines().map(|line| folder.join(line)).collect();
        let mut found = 0;
        for source in listed.iter().filter(|file| file.extension().is_some_and(|e| e == "rs")) {
            // Cargo lists files that it makes itself.
            let Ok(text) = std::fs::read_to_string(source) else { continue };
            for path in text.lines().filter_map(included) {
                let mut file = source.parent().unwrap().to_path_buf();
                for part in path.split('/') {
                    if part == ".." {
                        file.pop();
                    } else {
                        file.push(part);
                    }
                }
                let name = source.display();
                assert!(listed.contains(&file), "{package} leaves out {path} of {name}");
                found += 1;
            }
        }
        assert!(found > 0, "{package} includes nothing: the test looks at the wrong files");
    }
}
