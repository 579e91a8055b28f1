//! What the MLPerf Tiny networks cost on the emulated boards: a regression fails, an improvement is a diff.
//!
//! `TINYHERO_REWRITE=1 cargo test --release --test instructions` rewrites the accepted counts in
//! `tests/expected/<board>/instructions.txt`.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use tinyhero::deployment::export::export_for;
use tinyhero::device::bench::{bench, total, untrained};
use tinyhero::device::board::{self, Board};
use tinyhero::device::{firmware_image, setup};
use tinyhero_common::bit_width::BitWidth;
use tinyhero_common::model::Model;

const NETWORKS: [&str; 4] = ["resnet8", "ds-cnn", "mobilenet-v1-0.25", "autoencoder"];
const WIDTHS: [BitWidth; 3] = [BitWidth::Eight, BitWidth::Four, BitWidth::Two];
/// Boards with less RAM do not hold these networks.
const LEAST_RAM: u32 = 1 << 20;

/// The emulated boards with room for the networks, and their firmware.
fn boards() -> Vec<(Board, PathBuf)> {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let boards: Vec<Board> = board::emulated()
        .unwrap()
        .into_iter()
        .filter(|board| board.memory.ram.bytes >= LEAST_RAM)
        .collect();
    assert!(boards.len() >= 5);
    let images = firmware_image::build(&boards, &setup, &mut |line| eprintln!("{line}")).unwrap();
    boards.into_iter().zip(images).collect()
}

/// The instructions of one inference of a network with random weights, laid out for the board's core.
fn instructions(board: &Board, image: &Path, network: &str, bit_width: BitWidth) -> u64 {
    let exported = export_for(&untrained(network, bit_width).unwrap(), Some(board.core));
    let file = exported.unwrap().bytes;
    total(board, image, &file, &Model::load(&file).unwrap()).unwrap()
}

/// One line a network and width: its name, the bits, the instructions of an inference.
fn measure(board: &Board, image: &Path) -> String {
    let mut text = String::new();
    for network in NETWORKS {
        for bit_width in WIDTHS {
            let count = instructions(board, image, network, bit_width);
            writeln!(text, "{network} {} {count}", bit_width.bits()).unwrap();
        }
    }
    text
}

/// Whether each count is the accepted one, but for the percent by which compiler releases differ.
fn agrees(accepted: &str, found: &str) -> bool {
    let lines = |text: &str| -> Vec<(String, u64)> {
        let parse = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.to_string(), count.parse().ok()?))
        };
        text.lines().filter_map(parse).collect()
    };
    let (accepted, found) = (lines(accepted), lines(found));
    let near = |accepted: u64, found: u64| accepted.abs_diff(found) * 100 <= accepted;
    accepted.len() == found.len()
        && accepted.iter().zip(&found).all(|(a, b)| a.0 == b.0 && near(a.1, b.1))
}

#[test]
fn instructions_are_the_accepted_ones() {
    let boards = boards();
    let found: Vec<String> =
        boards.par_iter().map(|(board, image)| measure(board, image)).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("expected");
    let rewrite = std::env::var_os("TINYHERO_REWRITE").is_some();
    let mut different = Vec::new();
    for ((board, _), found) in boards.iter().zip(found) {
        let file = folder.join(&board.name).join("instructions.txt");
        let accepted = std::fs::read_to_string(&file).unwrap_or_default();
        if rewrite {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, &found).unwrap();
        } else if !agrees(&accepted, &found) {
            different.push(format!("{}: accepted\n{accepted}found\n{found}", board.name));
        }
    }
    assert!(
        different.is_empty(),
        "{}\nif that is meant: TINYHERO_REWRITE=1 cargo test --release --test instructions",
        different.join("\n")
    );
}

/// Every width costs about as much as eight bits on the cores with dual multiplies.
#[test]
fn no_width_costs_more_than_115_percent_of_eight_bits_on_m4() {
    let setup = setup::ensure(&mut |_| {}).unwrap();
    let board = board::find("mps2-an386").unwrap();
    let images = firmware_image::build(std::slice::from_ref(&board), &setup, &mut |_| {}).unwrap();
    for network in NETWORKS {
        let counts: Vec<u64> = BitWidth::ALL
            .par_iter()
            .map(|&bit_width| instructions(&board, &images[0], network, bit_width))
            .collect();
        println!("{network}: 2 to 8 bits {counts:?}");
        let eight = counts.last().copied().unwrap();
        for count in counts {
            assert!(count * 100 <= eight * 115, "{network}: {count} over {eight}");
        }
    }
}

/// Networks with random weights of 4 bits, in each board's own layout. `docs/slots.md` has those where the engine takes too few
/// instructions for one percent.
const SERVED: [&str; 4] = ["cnn", "lenet", "ds-cnn", "resnet8"];

#[test]
fn the_server_adds_at_most_one_percent_to_the_engine() {
    boards().par_iter().for_each(|(board, image)| {
        for network in SERVED {
            let network_4 = untrained(network, BitWidth::Four).unwrap();
            let file = export_for(&network_4, Some(board.core)).unwrap().bytes;
            let measured = bench(board, image, &file, &Model::load(&file).unwrap()).unwrap();
            let server = measured.server.unwrap();
            let percent = 100.0 * server.overhead;
            println!("{} {network}: {} instructions, {percent:.2} %", board.name, server.count);
            assert!(percent > 0.0 && percent <= 1.0, "{} {network}: {percent} %", board.name);
        }
    });
}
