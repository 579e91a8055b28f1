//! The suite as a board's whole program: what it prints and how it ends.

use core::ffi::CStr;

use tinyhero_common::kernels::Kernels;
use tinyhero_firmware::semihosting::{exit, print, print_hexadecimal};

use crate::case::Workspace;
use crate::differential::{DifferentialMemory, FastKernel, differential_cases};
use crate::layer::{BOARD_LAYERS, LayerMemory, ON_EVERY_BOARD, layer_cases};
use crate::suite::{Plan, run_all};

/// Larger jobs of each fast kernel.
const DIFFERENTIAL_CASES: u32 = 10_000;
/// Exit status of the emulator when a result is not the defined one.
const MISMATCH_EXIT_STATUS: u32 = 1;

/// Runs [`Plan::BOARD`] and ends the emulator: with status 0 after the line `tally` and the three counts of
/// [`Tally`](crate::Tally), or with status 1 after the line `mismatch` and the six words of
/// [`Mismatch::to_words`](crate::Mismatch::to_words). Numbers are hexadecimal with `0x` before them.
pub fn run_on_board<K: Kernels>(kernels: &mut K, workspace: &mut Workspace) -> ! {
    match run_all(kernels, workspace, Plan::BOARD) {
        Ok(tally) => {
            print_line(c"tally", &[tally.requantize, tally.scalar, tally.elements]);
            exit(0)
        }
        Err(mismatch) => {
            print_line(c"mismatch", &mismatch.to_words());
            exit(MISMATCH_EXIT_STATUS)
        }
    }
}

/// Runs first what [`run_on_board`] does not reach: 10^4 larger jobs of each of a board's fast kernels, against the
/// portable ones. Prints the line `differential` with the numbers of cases and of elements, or `difference` and the words of
/// [`Difference::to_words`](crate::Difference::to_words).
pub fn run_fast_on_board<K: Kernels>(
    kernels: &mut K,
    workspace: &mut Workspace,
    memory: &mut DifferentialMemory,
    fast: &[FastKernel],
) -> ! {
    let (mut cases, mut elements) = (0, 0);
    for &kernel in fast {
        let count = DIFFERENTIAL_CASES;
        match differential_cases(kernels, memory, kernel, Plan::BOARD.seed, 0, count) {
            Ok(compared) => {
                cases += count;
                elements += compared;
            }
            Err(difference) => {
                print_line(c"difference", &difference.to_words());
                exit(MISMATCH_EXIT_STATUS)
            }
        }
    }
    print_line(c"differential", &[cases, elements]);
    run_on_board(kernels, workspace)
}

/// Runs single layers of any size: [`BOARD_LAYERS`] of each of a board's fast kernels, and of each operator that needs none of them.
/// Prints the line `layers` with the numbers of layers and of elements and returns; or prints `layer` and the words of
/// [`LayerMismatch::to_words`](crate::LayerMismatch::to_words), and ends the emulator with status 1.
pub fn run_layers_on_board<K: Kernels>(
    kernels: &mut K,
    memory: &mut LayerMemory,
    fast: &[FastKernel],
) {
    let (mut layers, mut elements) = (0, 0);
    let (seed, count) = (Plan::BOARD.seed, BOARD_LAYERS);
    for &kernel in fast.iter().chain(&ON_EVERY_BOARD) {
        match layer_cases(kernels, memory, kernel, seed, 0, count) {
            Ok(compared) => {
                layers += count;
                elements += compared;
            }
            Err(mismatch) => {
                print_line(c"layer", &mismatch.to_words());
                exit(MISMATCH_EXIT_STATUS)
            }
        }
    }
    print_line(c"layers", &[layers, elements]);
}

fn print_line(title: &CStr, numbers: &[u32]) {
    print(title);
    for &number in numbers {
        print(c" ");
        print_hexadecimal(number);
    }
    print(c"\n");
}
