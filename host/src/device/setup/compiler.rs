//! The compiler for the boards' targets: the toolchain's own, or Debian's with `core` built from
//! its sources.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::install;
use crate::device::process;
use crate::error::{Error, Result};

/// Where Debian's `rustc-web` puts its compiler.
const DISTRIBUTION_RUSTC: &str = "/usr/bin/rustc";
/// Debian's packages: the compiler, the library's sources, the linker.
const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld"];
/// The linker of the package `lld`; Debian's compiler comes without the one that Rust's own
/// distribution has.
const DISTRIBUTION_LINKER: &str = "ld.lld";
/// Longest time for rustup's download.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);
/// Longest time for a compiler to say where it lives.
const QUESTION_LIMIT: Duration = Duration::from_secs(20);

/// What compiles the boards' firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compiler {
    /// The toolchain that cargo uses has the targets.
    Toolchain,
    /// Another compiler, which builds `core` from its sources.
    Distribution {
        /// The compiler's program.
        rustc: PathBuf,
    },
}

impl fmt::Display for Compiler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compiler::Toolchain => formatter.write_str("part of the Rust toolchain"),
            Compiler::Distribution { rustc } => {
                write!(formatter, "{} with core built from its sources", rustc.display())
            }
        }
    }
}

impl Compiler {
    /// Adds to a `cargo build --target <target>` what this compiler needs; for that command only,
    /// since a build of the host program would break under the same settings.
    pub fn prepare(&self, cargo: &mut Command, target: &str) {
        if let Compiler::Distribution { rustc } = self {
            let linker =
                format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace(['-', '.'], "_"));
            // `-Z` is for nightly compilers, which RUSTC_BOOTSTRAP lifts; `core` and the compiler's
            // support functions are all that the boards use.
            cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", "1").env(linker, DISTRIBUTION_LINKER);
            cargo.args(["-Z", "build-std=core"]);
        }
    }
}

/// The compiler that has all `targets`, without installing anything.
pub(super) fn find(root: &Path, targets: &[String]) -> Option<Compiler> {
    let toolchain = toolchain_folder(root);
    if toolchain.is_some_and(|folder| targets.iter().all(|target| has(&folder, target))) {
        return Some(Compiler::Toolchain);
    }
    find_distribution()
}

/// Whether the toolchain has one target.
pub(super) fn toolchain_has(root: &Path, target: &str) -> bool {
    toolchain_folder(root).is_some_and(|folder| has(&folder, target))
}

fn has(toolchain: &Path, target: &str) -> bool {
    toolchain.join("lib/rustlib").join(target).join("lib").is_dir()
}

/// The toolchain's folder. Cargo tells the programs that it starts where it lives itself, which
/// saves asking the compiler.
fn toolchain_folder(root: &Path) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").map(PathBuf::from);
    let beside_cargo = cargo.as_deref().and_then(Path::parent).and_then(Path::parent);
    if let Some(folder) = beside_cargo.filter(|folder| folder.join("lib/rustlib").is_dir()) {
        return Some(folder.to_path_buf());
    }
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    ask_folder(Command::new(rustc).current_dir(root))
}

fn ask_folder(rustc: &mut Command) -> Option<PathBuf> {
    let finished = process::run(rustc.args(["--print", "sysroot"]), QUESTION_LIMIT).ok()?;
    let folder =
        finished.status.success().then(|| PathBuf::from(finished.standard_output.trim()))?;
    folder.is_dir().then_some(folder)
}

fn find_distribution() -> Option<Compiler> {
    let rustc = PathBuf::from(DISTRIBUTION_RUSTC);
    if !rustc.is_file() || install::find_program(DISTRIBUTION_LINKER).is_none() {
        return None;
    }
    let folder = ask_folder(&mut Command::new(&rustc))?;
    let sources = folder.join("lib/rustlib/src/rust/library/core/Cargo.toml");
    (sources.is_file() && is_new_enough(&rustc)).then_some(Compiler::Distribution { rustc })
}

/// Whether a compiler has the version that this workspace asks for.
fn is_new_enough(rustc: &Path) -> bool {
    let Ok(finished) = process::run(Command::new(rustc).arg("--version"), QUESTION_LIMIT) else {
        return false;
    };
    let version = finished.standard_output.split_whitespace().nth(1).map(major_and_minor);
    version.is_some_and(|version| version >= major_and_minor(env!("CARGO_PKG_RUST_VERSION")))
}

fn major_and_minor(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Installs what compiles all `targets`: with rustup if it can, else from the distribution.
pub(super) fn install(
    root: &Path,
    targets: &[String],
    report: &mut dyn FnMut(&str),
) -> Result<Compiler> {
    report(&format!("adding Rust targets with rustup: {}", targets.join(", ")));
    let by_rustup = add_targets(root, targets);
    if let Some(compiler) = find(root, targets) {
        report("added the Rust targets");
        return Ok(compiler);
    }
    let first = by_rustup.err().unwrap_or_else(|| "rustup added them to another toolchain".into());
    report(&format!("rustup could not ({first}); using the distribution's compiler instead"));
    let second = match install::install_packages(&PACKAGES, report) {
        Ok(()) => match find_distribution() {
            Some(compiler) => {
                report(&format!("installed {compiler}"));
                return Ok(compiler);
            }
            None => format!(
                "the distribution's compiler is older than {}",
                env!("CARGO_PKG_RUST_VERSION")
            ),
        },
        Err(problem) => problem,
    };
    Err(Error::bad_input(
        "Rust targets",
        format!("missing; rustup: {first}; {}: {second}", PACKAGES.join(" ")),
        format!("type `rustup target add {}`", targets.join(" ")),
    ))
}

fn add_targets(root: &Path, targets: &[String]) -> std::result::Result<(), String> {
    let Some(rustup) = install::find_program("rustup") else {
        return Err("not found".into());
    };
    let mut command = Command::new(rustup);
    command.current_dir(root).args(["target", "add"]).args(targets);
    let finished = process::run(&mut command, RUSTUP_LIMIT).map_err(|error| error.to_string())?;
    if finished.status.success() { Ok(()) } else { Err(finished.reason()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_not_by_letter() {
        assert!(major_and_minor("1.100.0") > major_and_minor("1.95"));
        assert!(major_and_minor("1.85.0-nightly") < major_and_minor("1.95"));
    }

    #[test]
    fn another_compiler_is_named_in_the_command_alone() {
        let mut command = Command::new("cargo");
        let compiler = Compiler::Distribution { rustc: DISTRIBUTION_RUSTC.into() };
        compiler.prepare(&mut command, "thumbv8m.main-none-eabi");
        let names: Vec<_> = command.get_envs().filter_map(|(name, _)| name.to_str()).collect();
        assert!(names.contains(&"CARGO_TARGET_THUMBV8M_MAIN_NONE_EABI_LINKER"), "{names:?}");
    }
}
