//! The direction of dependencies and the rules on `unsafe` and floats, asserted from the sources themselves.

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
    assert!(common.is_subset(&set(&["serde"])), "common: {common:?}");
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

/// A package holds its crate's folder alone: what the sources include must be there, links followed.
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
