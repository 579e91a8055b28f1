//! Where host and emulated board meet: names, numbers and exit statuses that both ends use.

use core::ffi::CStr;

/// Name of the pipe that the host writes and the board reads, in the emulator's working directory.
pub const TO_BOARD: &CStr = c"tinyhero.to-board";
/// Name of the pipe that the board writes and the host reads, in the emulator's working directory.
pub const FROM_BOARD: &CStr = c"tinyhero.from-board";

/// The symbol of 64 bits in a firmware's RAM where the host writes [`OFFERED`] before the start. Only
/// the firmware of boards that exist in hardware too has it.
#[macro_export]
macro_rules! semihosting_offer_symbol {
    () => {
        "TINYHERO_SEMIHOSTING_OFFER"
    };
}

/// The value that tells such a firmware that semihosting is there. On hardware, where a semihosting
/// call would be a fault, RAM holds anything but these 64 bits.
pub const OFFERED: u64 = 0x6f68_7332_6d65_7331;

/// Exit status of the emulator after a fault or panic of the firmware. The host's own statuses are lower.
pub const FAULT_EXIT_STATUS: u32 = 70;
/// Exit status of the emulator when the link breaks or cannot be opened.
pub const LINK_EXIT_STATUS: u32 = 71;
