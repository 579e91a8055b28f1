//! Opens the linked images of all boards: what they must not contain, and what they may weigh.
//!
//! `TINYHERO_REWRITE=1 cargo test --release --test budget` rewrites the accepted sizes in `tests/expected/<board>/size.txt`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use tinyhero::device::board::{self, Board, Region};
use tinyhero::device::{firmware_image, setup};

/// Parts of demangled names that may not occur in an image, with what each would mean.
const FORBIDDEN: [(&str, &str); 4] = [
    ("core::panicking", "something can panic"),
    ("rust_begin_unwind", "something can panic"),
    ("core::fmt", "formatting, which costs several kilobytes"),
    ("compiler_builtins::float", "a float routine"),
];
/// Beginnings of the compiler's float routines, as Arm's run-time ABI (IHI 0043) and `compiler_builtins` name them.
const FLOAT_ROUTINES: [&str; 16] = [
    "__aeabi_f",
    "__aeabi_d",
    "__aeabi_cf",
    "__aeabi_cd",
    "__aeabi_i2f",
    "__aeabi_i2d",
    "__aeabi_ui2f",
    "__aeabi_ui2d",
    "__aeabi_l2f",
    "__aeabi_l2d",
    "__aeabi_ul2f",
    "__aeabi_ul2d",
    "__aeabi_h2f",
    "__addsf3",
    "__mulsf3",
    "__muldf3",
];
/// The one routine that runs from RAM, while the flash of the Raspberry Pi boards takes orders; `memory_map.rs` looks into it.
const RAM_ROUTINE: &str = "tinyhero_call_in_order";
/// Examples of the M4 board, and most that text and constants of each may weigh over an empty image, in bytes.
const M4_LIMITS: [(&str, u64); 5] = [
    ("engine", 39_500),
    ("engine_convolutional", 24_000),
    ("engine_portable", 21_700),
    ("fully_connected", 12_100),
    ("fully_connected_trusted", 7_700),
];

fn images() -> &'static [(Board, PathBuf)] {
    static IMAGES: OnceLock<Vec<(Board, PathBuf)>> = OnceLock::new();
    IMAGES.get_or_init(|| {
        let mut report = |line: &str| eprintln!("{line}");
        let setup = setup::ensure(&mut report).unwrap();
        let boards = board::all().unwrap();
        let images = firmware_image::build(&boards, &setup, &mut report).unwrap();
        boards.into_iter().zip(images).collect()
    })
}

/// The images that speak over a serial port, of the boards that have one.
fn serial_port_images() -> Vec<(Board, PathBuf)> {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let boards = ["mps2-an386", "microbit"].map(|name| board::find(name).unwrap());
    let images = firmware_image::build_uart(&boards, &setup, &mut |_| {}).unwrap();
    boards.into_iter().zip(images).collect()
}

fn with_image<T>(path: &Path, read: impl FnOnce(&object::File<'_>) -> T) -> T {
    let bytes = std::fs::read(path).unwrap();
    read(&object::File::parse(bytes.as_slice()).unwrap())
}

fn symbols(path: &Path) -> Vec<String> {
    with_image(path, |file| {
        // The alternate form leaves out the crates' hashes.
        let demangle = |name| format!("{:#}", rustc_demangle::demangle(name));
        file.symbols().filter_map(|symbol| symbol.name().ok().map(demangle)).collect()
    })
}

fn address_of(path: &Path, name: &str) -> u64 {
    with_image(path, |file| {
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        symbol.unwrap_or_else(|| panic!("{}: no symbol {name}", path.display())).address()
    })
}

/// Bytes of code and constants (initial values of static data among them), and of static data.
fn sizes(path: &Path) -> (u64, u64) {
    with_image(path, |file| {
        let mut flash = 0;
        let mut ram = 0;
        for section in file.sections() {
            match section.kind() {
                SectionKind::Text | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString => {
                    flash += section.size()
                }
                SectionKind::UninitializedData => ram += section.size(),
                SectionKind::Data => {
                    flash += section.size();
                    ram += section.size();
                }
                _ => {}
            }
        }
        (flash, ram)
    })
}

#[test]
fn no_image_can_panic_format_or_use_floats() {
    let serial = serial_port_images();
    let (m4, path) = images().iter().find(|(board, _)| board.name == "mps2-an386").unwrap();
    let examples = M4_LIMITS.map(|(name, _)| (m4.clone(), example(m4, path, name)));
    for (board, path) in images().iter().chain(&serial).chain(&examples) {
        let symbols = symbols(path);
        assert!(symbols.len() > 50, "{}: the image is stripped", board.name);
        for symbol in &symbols {
            for (part, meaning) in FORBIDDEN {
                assert!(!symbol.contains(part), "{}: {symbol}: {meaning}", board.name);
            }
            let float = FLOAT_ROUTINES.iter().find(|name| symbol.starts_with(**name));
            assert!(float.is_none(), "{}: {symbol}: a float routine", board.name);
        }
    }
}

#[test]
fn an_overflowing_stack_leaves_ram_before_it_meets_data() {
    for (board, path) in images() {
        let (name, memory) = (&board.name, board.memory);
        let (low, high) = (address_of(path, "_stack_end"), address_of(path, "_stack_start"));
        assert_eq!((low, high), (u64::from(memory.stack.address), memory.stack.end()), "{name}");
        assert_eq!(low, u64::from(memory.ram.address), "{name}: something lies below the stack");
        assert!(address_of(path, "__sdata") >= high, "{name}: static data lie below the stack");
        assert!(address_of(path, "__sheap") <= memory.ram.end(), "{name}");
    }
}

#[test]
fn images_keep_to_the_boards_memory_map() {
    for (board, path) in images() {
        let (name, memory) = (&board.name, board.memory);
        let model = (address_of(path, "_model_start"), address_of(path, "_model_end"));
        assert_eq!(model, (u64::from(memory.model.address), memory.model.end()), "{name}");
        with_image(path, |file| {
            for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
                let address = symbol.address() & !1;
                let place = Region {
                    address: u32::try_from(address).unwrap(),
                    bytes: symbol.size() as u32,
                };
                let is_ram_code = symbol.name() == Ok(RAM_ROUTINE);
                let home = if is_ram_code { memory.ram } else { memory.flash };
                let inside = home.contains(place);
                assert!(inside, "{name}: {:?} at {address:#x} is out of place", symbol.name());
            }
        });
        let (flash, ram) = sizes(path);
        assert!(flash <= u64::from(memory.flash.bytes), "{name}: {flash} bytes of flash");
        assert!(
            ram + u64::from(memory.stack.bytes) <= u64::from(memory.ram.bytes),
            "{name}: {ram} bytes of RAM"
        );
    }
}

/// Builds an example of a board by hand, since it is no firmware. It shares the board's memory map and profile.
fn example(board: &Board, firmware: &Path, name: &str) -> PathBuf {
    let root = board::workspace_root().unwrap();
    let folder = firmware.ancestors().nth(3).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&root).args(["build", "--quiet", "--profile", "firmware", "--example", name]);
    cargo.args(["--package", &board.name, "--target", &board.target, "--target-dir"]).arg(folder);
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    let setup = setup::ensure(&mut |_| {}).unwrap();
    setup.compiler.prepare(&mut cargo, &board.target);
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    firmware.parent().unwrap().join("examples").join(name)
}

#[test]
fn an_m4_engine_without_start_up_stays_within_its_budget() {
    let (board, path) = images().iter().find(|(board, _)| board.name == "mps2-an386").unwrap();
    let empty = sizes(&example(board, path, "empty")).0;
    for (name, limit) in M4_LIMITS {
        let whole = sizes(&example(board, path, name)).0;
        eprintln!("{name}: {whole} bytes, {empty} of them start-up");
        assert!(whole - empty <= limit, "{name}: {whole} - {empty} bytes exceed {limit}");
    }
}

#[test]
fn a_boards_image_is_the_same_whatever_is_built_with_it() {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let contents = |boards: &[Board]| {
        let images = firmware_image::build(boards, &setup, &mut |_| {}).unwrap();
        images.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    let mut boards: Vec<Board> = images().iter().map(|(board, _)| board.clone()).collect();
    let together = contents(&boards);
    for (board, expected) in boards.iter().zip(&together) {
        let alone = contents(std::slice::from_ref(board));
        assert!(alone[0] == *expected, "{} built alone is another image", board.name);
    }
    boards.reverse();
    let reversed = contents(&boards);
    for ((board, found), expected) in boards.iter().zip(&reversed).zip(together.iter().rev()) {
        assert!(found == expected, "{} depends on the order of the boards", board.name);
    }
}

#[test]
fn sizes_are_the_accepted_ones() {
    // Another compiler makes other sizes; the accepted ones are those of the toolchain's own.
    if setup::ensure(&mut |_| {}).unwrap().compiler != setup::Compiler::Toolchain {
        eprintln!("sizes are not compared: the firmware was not built by the Rust toolchain");
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
    let rewrite = std::env::var_os("TINYHERO_REWRITE").is_some();
    let mut different = Vec::new();
    for (board, path) in images() {
        let (flash, ram) = sizes(path);
        let text = format!("flash {flash}\nram {ram}\n");
        let file = folder.join(&board.name).join("size.txt");
        let accepted = std::fs::read_to_string(&file).unwrap_or_default();
        if rewrite {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &text).unwrap();
        } else if !within_tolerance(&accepted, flash, ram) {
            different.push(format!("{}: accepted {accepted:?}, found {text:?}", board.name));
        }
    }
    assert!(
        different.is_empty(),
        "{}\nif that is meant: TINYHERO_REWRITE=1 cargo test --release --test budget",
        different.join("\n")
    );
}

/// Whether sizes are the accepted ones, but for the percent by which compiler releases differ.
fn within_tolerance(accepted: &str, flash: u64, ram: u64) -> bool {
    let number = |key: &str| {
        accepted.lines().find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
    };
    let near = |accepted: u64, found: u64| accepted.abs_diff(found) * 100 <= accepted;
    number("flash").is_some_and(|accepted| near(accepted, flash))
        && number("ram").is_some_and(|accepted| near(accepted, ram))
}
