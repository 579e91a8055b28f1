//! Build script that every board shares: writes the linker's `memory.x` from the memory map in
//! `Board.toml` and gives the linker cortex-m-rt's script.
//!
//! The arguments are emitted here and not in `.cargo/config.toml`, where a `RUSTFLAGS` in the
//! environment would silently drop them.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The symbols that start-up code and firmware read the memory map from.
const SYMBOLS: &str = "
_stack_end = ORIGIN(STACK);
_stack_start = ORIGIN(STACK) + LENGTH(STACK);
_model_start = ORIGIN(MODEL);
_model_end = ORIGIN(MODEL) + LENGTH(MODEL);
";

fn main() {
    let [board, output] = ["CARGO_MANIFEST_DIR", "OUT_DIR"].map(folder);
    fs::write(output.join("memory.x"), linker_script(&board))
        .unwrap_or_else(|reason| panic!("{}: cannot write: {reason}", output.display()));
    println!("cargo:rustc-link-search={}", output.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    // The texts of defmt's log, for the boards that have one.
    if env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo:rustc-link-arg=-Tdefmt.x");
    }
    // Without page alignment the image starts exactly at the vector table.
    println!("cargo:rustc-link-arg=--nmagic");
    println!("cargo:rerun-if-changed=../build.rs");
}

fn folder(variable: &str) -> PathBuf {
    match env::var_os(variable) {
        Some(folder) => folder.into(),
        None => panic!("{variable} is not set: run this through cargo"),
    }
}

/// The board's `memory.x`, with the sections of its chip behind it if the folder has such a file.
fn linker_script(board: &Path) -> String {
    let sections = board.join("sections.x");
    // Its absence is watched too, since a board may get one.
    println!("cargo:rerun-if-changed={}", sections.display());
    let sections = if sections.is_file() { read(&sections) } else { String::new() };
    format!("{}{SYMBOLS}{sections}", regions(board))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}

/// The regions of the memory map, in the linker's words.
///
/// The stack lies below the static data: when it overflows, the core faults instead of overwriting
/// them. A first boot stage, where the chip needs one, takes the first bytes of flash.
fn regions(board: &Path) -> String {
    let path = board.join("Board.toml");
    println!("cargo:rerun-if-changed={}", path.display());
    let board: toml::Table =
        read(&path).parse().unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    let memory = board.get("memory");
    let optional = |name: &str| {
        let region = memory.and_then(|memory| memory.get(name))?;
        let number = |key| match region.get(key).and_then(toml::Value::as_integer) {
            Some(number) => number,
            None => panic!("{}: memory.{name}.{key} is not a number", path.display()),
        };
        Some((number("address"), number("bytes")))
    };
    let region = |name: &str| match optional(name) {
        Some(region) => region,
        None => panic!("{}: there is no memory.{name}", path.display()),
    };
    let ((flash, flash_bytes), (ram, ram_bytes)) = (region("flash"), region("ram"));
    let (stack, stack_bytes) = region("stack");
    if stack != ram {
        panic!("{}: memory.stack does not begin where memory.ram does", path.display());
    }
    let boot_bytes = optional("boot").map_or(0, |(_, bytes)| bytes);
    let rows = [
        optional("boot").map(|boot| ("BOOT", boot)),
        Some(("FLASH", (flash + boot_bytes, flash_bytes - boot_bytes))),
        Some(("MODEL", region("model"))),
        Some(("STACK", (stack, stack_bytes))),
        Some(("RAM", (ram + stack_bytes, ram_bytes - stack_bytes))),
    ];
    let rows = rows.into_iter().flatten().map(|(name, (address, bytes))| {
        format!("  {name} : ORIGIN = {address:#010x}, LENGTH = {bytes:#010x}\n")
    });
    format!("MEMORY\n{{\n{}}}\n", rows.collect::<String>())
}
