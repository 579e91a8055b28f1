//! Commands for a real board where no debug probe is connected, or not the one that was named: one clear line.
#![cfg(feature = "probe")]

use std::process::Output;

use assert_cmd::Command;
use tinyhero::deployment::export::export;
use tinyhero::device::bench::untrained;
use tinyhero_common::bit_width::BitWidth;

/// A probe that nobody has: the numbers stand for no maker and no product.
const NOBODYS: &str = "ffff:fffe:none";

fn tinyhero(arguments: &[&str]) -> Output {
    Command::cargo_bin("tinyhero").unwrap().args(arguments).output().unwrap()
}

/// Exit code 2, and one line on standard error that holds all of `words`.
fn assert_refused(arguments: &[&str], words: &[&str]) {
    let output = tinyhero(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{arguments:?}: not one line: {text}");
    assert!(lines[0].starts_with("tinyhero: "), "{text}");
    for word in words {
        assert!(lines[0].contains(word), "{arguments:?}: '{word}' is missing in: {}", lines[0]);
    }
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The commands that reach a real board, each with a way to say which probe.
fn commands<'a>(model: &'a str, probe: &'a str) -> [Vec<&'a str>; 4] {
    let on = ["--on", "microbit", "--probe", probe];
    let command = |name: &'a str, more: &[&'a str]| [&[name, model], more, &on].concat();
    [
        command("flash", &[]),
        command("verify", &["--data", "digits"]),
        command("bench", &[]),
        command("run", &["--input", "digits:0"]),
    ]
}

fn with_model(check: impl FnOnce(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.hero");
    std::fs::write(&path, export(&untrained("mlp", BitWidth::Four).unwrap()).unwrap().bytes)
        .unwrap();
    check(path.to_str().unwrap());
}

#[test]
fn no_probe_is_connected() {
    if !probe_rs::probe::list::Lister::new().list_all().is_empty() {
        eprintln!("not tested: a debug probe is connected to this machine");
        return;
    }
    with_model(|model| {
        for command in commands(model, "any") {
            assert_refused(&command, &["debug probe", "none is connected", "plug one in"]);
        }
        let flash = ["flash", model, "--on", "microbit"];
        assert_refused(&flash, &["debug probe", "none is connected", "plug one in"]);
    });
}

#[test]
fn the_probe_that_is_named_is_not_connected() {
    with_model(|model| {
        for command in commands(model, NOBODYS) {
            assert_refused(&command, &["ffff:fffe", "cannot open the probe"]);
        }
    });
}

#[test]
fn a_probe_that_is_no_selector() {
    with_model(|model| {
        for command in commands(model, "the-left-one") {
            assert_refused(&command, &["--probe the-left-one", "VID:PID"]);
        }
    });
}
