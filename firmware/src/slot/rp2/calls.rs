//! Calls into the boot ROM while the flash is not in the address space.
//!
//! What is to be called is listed beforehand, in RAM. The one routine that goes through the list is
//! in RAM too and reads nothing else: a test looks for it and for every call in it in the linked
//! image.

use super::{PAGE_BYTES, Rom, SECTOR_BYTES, Step};

// The section is that of initialized data, which the start-up code copies into RAM. Arguments: the
// first call, and the end of the last. The functions keep r4 to r7, as the procedure call standard
// has it.
core::arch::global_asm!(
    ".pushsection .data.tinyhero_call_in_order, \"aw\", %progbits",
    ".balign 4",
    ".global tinyhero_call_in_order",
    ".type tinyhero_call_in_order, %function",
    ".thumb_func",
    "tinyhero_call_in_order:",
    "push {{r4, r5, r6, r7, lr}}",
    "sub sp, #4",
    "mrs r6, PRIMASK",
    "cpsid i",
    "mov r4, r0",
    "mov r5, r1",
    "2: ldmia r4!, {{r0, r1, r2, r3, r7}}",
    "blx r7",
    "cmp r4, r5",
    "bne 2b",
    "msr PRIMASK, r6",
    "add sp, #4",
    "pop {{r4, r5, r6, r7, pc}}",
    ".size tinyhero_call_in_order, . - tinyhero_call_in_order",
    ".popsection",
);

// SAFETY: the routine above, with its arguments.
unsafe extern "C" {
    fn tinyhero_call_in_order(first: *const Call, end: *const Call);
}

/// Blocks that the boot ROM erases at once where it can, which is never within a sector, and how
/// the chip is told to.
const BLOCK_BYTES: u32 = 64 * 1024;
const ERASE_BLOCK: u32 = 0xD8;

/// A function and its arguments, in the order in which the routine loads them.
#[repr(C)]
struct Call {
    arguments: [u32; 4],
    function: usize,
}

/// Functions of the boot ROM, as its table of functions has them.
#[derive(Clone, Copy)]
pub struct Functions {
    /// `IF`, connect_internal_flash.
    pub connect: unsafe extern "C" fn(),
    /// `EX`, flash_exit_xip.
    pub leave_address_space: unsafe extern "C" fn(),
    /// `RE`, flash_range_erase: offset, bytes, size of a block and the order to erase one.
    pub erase: unsafe extern "C" fn(u32, usize, u32, u8),
    /// `RP`, flash_range_program: offset, data, bytes.
    pub program: unsafe extern "C" fn(u32, *const u8, usize),
    /// `FC`, flash_flush_cache.
    pub empty_cache: unsafe extern "C" fn(),
}

/// Code that sets the flash interface up and returns: the RP2040's second bootstrap stage, or what
/// the RP2350's boot ROM leaves in its boot RAM. It begins at the first word and runs wherever it
/// lies.
pub type XipSetUp = [u32; 64];

/// A part of the flash, and the boot ROM of the chip.
pub struct BootRom<'a> {
    memory: &'a mut [u8],
    offset: Option<u32>,
    functions: Functions,
    set_up: &'a XipSetUp,
}

impl<'a> BootRom<'a> {
    /// The flash at the addresses of `memory`, which is `offset` bytes from the start of the flash
    /// chip.
    ///
    /// # Safety
    /// `functions` are those of the boot ROM, `set_up` lies in RAM, and nothing but the calling
    /// core reads from flash.
    pub const unsafe fn new(
        memory: &'a mut [u8],
        offset: Option<u32>,
        functions: Functions,
        set_up: &'a XipSetUp,
    ) -> Self {
        Self { memory, offset, functions, set_up }
    }

    fn call(&self, step: Step<'_>) -> Call {
        let Functions { connect, leave_address_space, erase, program, empty_cache } =
            self.functions;
        let call = |function, arguments| Call { arguments, function };
        match step {
            Step::Connect => call(connect as usize, [0; 4]),
            Step::LeaveAddressSpace => call(leave_address_space as usize, [0; 4]),
            Step::Erase(offset) => {
                call(erase as usize, [offset, SECTOR_BYTES as u32, BLOCK_BYTES, ERASE_BLOCK])
            }
            Step::Program(offset, page) => {
                call(program as usize, [offset, page.as_ptr() as u32, PAGE_BYTES as u32, 0])
            }
            Step::EmptyCache => call(empty_cache as usize, [0; 4]),
            // An odd address is that of Thumb code.
            Step::EnterAddressSpace => call(self.set_up.as_ptr() as usize | 1, [0; 4]),
        }
    }
}

impl Rom for BootRom<'_> {
    fn run(&mut self, steps: &[Step<'_>; 5]) {
        let calls = steps.map(|step| self.call(step));
        let places = calls.as_ptr_range();
        // SAFETY: the functions are the boot ROM's, with the arguments that it asks for, and the
        // code in RAM that `new` was given; the last of them puts the flash back where it was. What
        // an order does to the flash happens within the part that this value owns, since the driver
        // checks the place.
        unsafe {
            tinyhero_call_in_order(places.start, places.end);
            // That it takes the pointer makes the compiler read anew what it reaches.
            core::arch::asm!("dsb /* {0} */", in(reg) self.memory.as_mut_ptr(), options(nostack, preserves_flags));
        }
    }

    fn bytes(&self) -> &[u8] {
        self.memory
    }

    fn offset(&self) -> Option<u32> {
        self.offset
    }
}
