//! Builds the boards' images: one firmware a board, whatever model it will run, and the conformance
//! suite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use object::{Object, ObjectSymbol};

use super::board::{self, Board};
use super::process;
use super::setup::Setup;
use crate::artifact;
use crate::error::{Error, Result};

/// Longest time for one build, which may compile the core library too.
const LIMIT: Duration = Duration::from_secs(900);
/// The profile that the boards are built with; see the workspace's `Cargo.toml`.
const PROFILE: &str = "firmware";
/// Settings of the host's build that would break a build for another machine.
const HOST_SETTINGS: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_MAKEFLAGS",
    "MAKEFLAGS",
];

/// What a board can be made to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Image {
    /// The server that runs models.
    Firmware,
    /// The server that runs models, over the serial port.
    Uart,
    /// The conformance suite.
    Conformance,
}

impl Image {
    /// What it is called in a report.
    const fn title(self) -> &'static str {
        match self {
            Image::Firmware => "the firmware",
            Image::Uart => "the firmware for the serial port",
            Image::Conformance => "the conformance suite",
        }
    }

    /// The name of a board's binary and of its ELF file.
    fn binary(self, board: &str) -> String {
        match self {
            Image::Firmware => board.to_string(),
            Image::Uart => format!("{board}-uart"),
            Image::Conformance => format!("{board}-conformance"),
        }
    }
}

/// Where a board's firmware is after [`build`]: `target/<triple>/firmware/<board>`.
///
/// # Errors
/// The workspace is not there.
pub fn path(board: &Board) -> Result<PathBuf> {
    Ok(output_path(&target_folder(&board::workspace_root()?), board, Image::Firmware))
}

/// Builds the firmware of `boards` where it is not up to date; returns the images in the same
/// order.
///
/// A board's image depends on its own sources alone: only boards with the same dependencies and
/// features are built in one call, since cargo gives the features of one to all that it builds
/// together. Cargo decides what is up to date, and its lock lets any number of processes call this
/// at once.
///
/// # Errors
/// The compiler refuses; the error holds its first complaint.
pub fn build(
    boards: &[Board],
    setup: &Setup,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>> {
    build_images(boards, Image::Firmware, setup, report)
}

/// Builds the firmware of `boards` that speaks over the serial port; not every board has one. See
/// [`build`].
///
/// # Errors
/// See [`build`].
pub fn build_uart(
    boards: &[Board],
    setup: &Setup,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>> {
    build_images(boards, Image::Uart, setup, report)
}

/// Builds the conformance suite of `boards`: images that end the emulator by themselves, with
/// status 0 if the suite passes. See [`build`].
///
/// # Errors
/// See [`build`].
pub fn build_conformance(
    boards: &[Board],
    setup: &Setup,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>> {
    build_images(boards, Image::Conformance, setup, report)
}

/// The address of the symbol `name` in an ELF file; `None` if it has none of that name.
///
/// # Errors
/// The file cannot be read or is not an ELF file.
pub fn symbol(image: &Path, name: &str) -> Result<Option<u32>> {
    let bytes = std::fs::read(image).map_err(|reason| Error::reading(image, &reason))?;
    let file = object::File::parse(bytes.as_slice())
        .map_err(|reason| Error::bad_input(image.display(), reason, "build the firmware again"))?;
    let address = file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|s| s.address());
    Ok(address.and_then(|address| u32::try_from(address).ok()))
}

fn build_images(
    boards: &[Board],
    image: Image,
    setup: &Setup,
    report: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>> {
    let root = board::workspace_root()?;
    let folder = target_folder(&root);
    // Boards that cargo may build in one call, without changing each other's image.
    let mut groups: BTreeMap<(&str, String), Vec<&Board>> = BTreeMap::new();
    for board in boards {
        let group = (board.target.as_str(), dependencies(&root, board)?);
        groups.entry(group).or_default().push(board);
    }
    for ((target, _), together) in groups {
        let names: Vec<&str> = together.iter().map(|board| board.name.as_str()).collect();
        if together.iter().any(|board| !output_path(&folder, board, image).is_file()) {
            report(&format!("building {} of {}", image.title(), names.join(", ")));
        }
        build_target(&root, &folder, target, &names, image, setup)?;
    }
    Ok(boards.iter().map(|board| output_path(&folder, board, image)).collect())
}

/// A board's dependencies with their features, as text that is equal for equal ones.
fn dependencies(root: &Path, board: &Board) -> Result<String> {
    let path = root.join("boards").join(&board.name).join("Cargo.toml");
    let manifest: toml::Table = artifact::read_text(&path)?.parse().map_err(|reason| {
        Error::bad_input(path.display(), reason, "see the folders of the other boards")
    })?;
    let dependencies = manifest.get("dependencies").cloned();
    Ok(dependencies.map_or_else(String::new, |table| table.to_string()))
}

fn build_target(
    root: &Path,
    folder: &Path,
    target: &str,
    names: &[&str],
    image: Image,
    setup: &Setup,
) -> Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--quiet", "--color", "never"]);
    command.args(["--profile", PROFILE, "--target", target, "--target-dir"]).arg(folder);
    for name in names {
        command.args(["--package", name, "--bin", &image.binary(name)]);
    }
    for name in HOST_SETTINGS {
        command.env_remove(name);
    }
    setup.compiler.prepare(&mut command, target);
    let finished = process::run(&mut command, LIMIT)?;
    if finished.status.success() {
        return Ok(());
    }
    Err(Error::check_failed(
        names.join(", "),
        format!("{} does not build: {}", image.title(), finished.reason()),
        format!(
            "see all messages with `cargo build --profile {PROFILE} --target {target} -p {}`",
            names.join(" -p ")
        ),
    ))
}

/// Cargo's output folder: the one it was told in the environment, else the workspace's own.
fn target_folder(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder))
}

fn output_path(folder: &Path, board: &Board, image: Image) -> PathBuf {
    folder.join(&board.target).join(PROFILE).join(image.binary(&board.name))
}
