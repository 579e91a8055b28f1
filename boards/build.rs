//! Build script that every board shares: gives the linker cortex-m-rt's script and the board's own `memory.x`.
//!
//! The arguments are emitted here and not in `.cargo/config.toml`, where a `RUSTFLAGS` in the environment would
//! silently drop them.

use std::env;

fn main() {
    let Some(board) = env::var_os("CARGO_MANIFEST_DIR") else {
        panic!("CARGO_MANIFEST_DIR is not set: run this through cargo");
    };
    let board = std::path::PathBuf::from(board);
    println!("cargo:rustc-link-search={}", board.display());
    println!("cargo:rustc-link-arg=-Tlink.x");
    // The texts of defmt's log, for the boards that have one.
    if env::var_os("CARGO_FEATURE_LOG").is_some() {
        println!("cargo:rustc-link-arg=-Tdefmt.x");
    }
    // Without page alignment the image starts exactly at the vector table.
    println!("cargo:rustc-link-arg=--nmagic");
    println!("cargo:rerun-if-changed={}", board.join("memory.x").display());
    println!("cargo:rerun-if-changed=../build.rs");
}
