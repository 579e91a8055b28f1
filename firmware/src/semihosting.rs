//! Arm semihosting: a byte link over two named pipes, and the way out of the emulator.
//!
//! Semihosting is how a program asks its debugger or emulator for a service: operation in `r0`, argument in `r1`, `bkpt 0xAB`
//! (Arm, "Semihosting for AArch32 and AArch64", 2.0). A read returns what has arrived, a write is taken whole, so the
//! pair of pipes is a reliable byte stream.

use core::ffi::CStr;
use core::sync::atomic::AtomicU32;

use embedded_io::{ErrorKind, ErrorType, Read, Write};
pub use tinyhero_common::wire::endpoints::{FAULT_EXIT_STATUS, LINK_EXIT_STATUS};
use tinyhero_common::wire::endpoints::{FROM_BOARD, OFFERED, TO_BOARD};

use crate::reset;
use crate::server::End;

const SYS_OPEN: u32 = 0x01;
const SYS_WRITE0: u32 = 0x04;
const SYS_WRITE: u32 = 0x05;
const SYS_READ: u32 = 0x06;
const SYS_EXIT_EXTENDED: u32 = 0x20;

const OPEN_READ_BINARY: usize = 1;
const OPEN_WRITE_BINARY: usize = 5;
const ADP_STOPPED_APPLICATION_EXIT: usize = 0x2_0026;

/// The host writes [`OFFERED`] here, found by its symbol, to say that semihosting is there. On hardware, where a semihosting call would
/// be a fault, RAM holds anything but these 64 bits.
#[used]
#[unsafe(export_name = tinyhero_common::semihosting_offer_symbol!())]
#[unsafe(link_section = ".uninit.tinyhero_semihosting_offer")]
static OFFER: [AtomicU32; 2] = [const { AtomicU32::new(0) }; 2];

/// Whether an emulator that serves semihosting has started this board.
pub fn is_offered() -> bool {
    let [first, second] = &OFFER;
    // SAFETY: two words of a static that nothing writes while the program runs; volatile, since only the emulator has.
    let found = unsafe { [first.as_ptr().read_volatile(), second.as_ptr().read_volatile()] };
    found == [OFFERED as u32, (OFFERED >> 32) as u32]
}

/// Asks the emulator for `operation` with a block of arguments; returns what it puts into `r0`.
///
/// # Safety
/// Every pointer in the block must be valid for what the operation does with it, and the block must have as many words as the
/// operation reads.
unsafe fn call(operation: u32, block: *const usize) -> usize {
    let result;
    // SAFETY: the instruction changes no register but r0, and memory only as the caller vouched for.
    unsafe {
        core::arch::asm!(
            "bkpt 0xAB",
            inout("r0") operation as usize => result,
            in("r1") block,
            options(nostack, preserves_flags),
        );
    }
    result
}

/// A byte link to the host over two files that the emulator opens.
pub struct SemihostingLink {
    input: usize,
    output: usize,
}

impl SemihostingLink {
    /// Opens the two named pipes; waits until the host has opened its ends.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the emulator cannot open one of them.
    pub fn open() -> Result<Self, ErrorKind> {
        Ok(SemihostingLink {
            input: open(TO_BOARD, OPEN_READ_BINARY)?,
            output: open(FROM_BOARD, OPEN_WRITE_BINARY)?,
        })
    }
}

fn open(name: &CStr, mode: usize) -> Result<usize, ErrorKind> {
    let block = [name.as_ptr() as usize, mode, name.count_bytes()];
    // SAFETY: SYS_OPEN reads three words, the first of which is a NUL-terminated string of the given length.
    let handle = unsafe { call(SYS_OPEN, block.as_ptr()) };
    if handle == usize::MAX { Err(ErrorKind::NotFound) } else { Ok(handle) }
}

impl ErrorType for SemihostingLink {
    type Error = ErrorKind;
}

impl Read for SemihostingLink {
    /// Reads what has arrived, waiting for at least one byte; 0 means that the host has closed its end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let block = [self.input, buffer.as_mut_ptr() as usize, buffer.len()];
        // SAFETY: SYS_READ reads three words and writes at most the buffer's length into the buffer.
        let missing = unsafe { call(SYS_READ, block.as_ptr()) };
        buffer.len().checked_sub(missing).ok_or(ErrorKind::Other)
    }
}

impl Write for SemihostingLink {
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        let block = [self.output, buffer.as_ptr() as usize, buffer.len()];
        // SAFETY: SYS_WRITE reads three words and as many bytes of the buffer as it has.
        let missing = unsafe { call(SYS_WRITE, block.as_ptr()) };
        match buffer.len().checked_sub(missing) {
            Some(0) if !buffer.is_empty() => Err(ErrorKind::WriteZero),
            Some(written) => Ok(written),
            None => Err(ErrorKind::Other),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Ends the emulator with an exit status.
pub fn exit(status: u32) -> ! {
    let block = [ADP_STOPPED_APPLICATION_EXIT, status as usize];
    loop {
        // SAFETY: SYS_EXIT_EXTENDED reads two words and does not return; if the debugger lets it, it is asked again.
        unsafe { call(SYS_EXIT_EXTENDED, block.as_ptr()) };
    }
}

/// Prints a line on the emulator's console.
pub fn print(line: &CStr) {
    // SAFETY: SYS_WRITE0's argument is itself the pointer to a NUL-terminated string.
    unsafe { call(SYS_WRITE0, line.as_ptr().cast()) };
}

/// What a board does when its server has stopped.
pub fn finish(end: End) -> ! {
    match end {
        End::Closed => exit(0),
        End::Reset => reset::system_reset(),
        End::Failed => exit(LINK_EXIT_STATUS),
    }
}

/// What a board's fault handler calls: prints where the core was and ends the emulator with [`FAULT_EXIT_STATUS`].
///
/// `program_counter` and `link_register` are those of the exception frame.
pub fn report_fault(program_counter: u32, link_register: u32) -> ! {
    print(c"fault at ");
    print_hexadecimal(program_counter);
    print(c", called from ");
    print_hexadecimal(link_register);
    print(c"\n");
    exit(FAULT_EXIT_STATUS)
}

/// Prints `0x` and eight digits, without `core::fmt`, which would bring in several kilobytes and a panic path.
pub fn print_hexadecimal(number: u32) {
    let mut text = *b"0x00000000\0";
    for (place, digit) in text.iter_mut().skip(2).take(8).enumerate() {
        let nibble = (number >> (28 - 4 * place)) as u8 & 0xF;
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    if let Ok(text) = CStr::from_bytes_with_nul(&text) {
        print(text);
    }
}
