//! The suite as a board's whole program: what it prints and how it ends.

use core::ffi::CStr;

use tinyhero_common::kernel::Kernels;
use tinyhero_firmware::semihosting::{exit, print, print_hexadecimal};

use crate::case::Workspace;
use crate::suite::{Plan, run_all};

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

fn print_line(title: &CStr, numbers: &[u32]) {
    print(title);
    for &number in numbers {
        print(c" ");
        print_hexadecimal(number);
    }
    print(c"\n");
}
