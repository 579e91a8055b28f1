//! Faults of a board in hardware: logged, and the core stays where it is for a debugger to look.

use crate::semihosting;

/// What the fault handler of a board in hardware calls; `program_counter` and `link_register` are
/// those of the exception frame.
pub fn report(program_counter: u32, link_register: u32) -> ! {
    if semihosting::is_offered() {
        semihosting::report_fault(program_counter, link_register)
    }
    warning!("fault at {=u32:#x}, called from {=u32:#x}", program_counter, link_register);
    loop {
        core::hint::spin_loop();
    }
}

/// The exception handlers of a board in hardware whose clock is [`crate::clock::SysTick`] or a
/// cycle counter: faults that are logged, and the panic handler that Rust asks for, which nothing
/// reaches (a test looks for it in the linked image).
#[macro_export]
macro_rules! hardware_board_handlers {
    () => {
        $crate::board_handlers!($crate::fault::report);
    };
}

/// The exception handlers of every board. `report` is told of faults: it takes the program counter
/// and the link register of the exception frame and does not return.
#[doc(hidden)]
#[macro_export]
macro_rules! board_handlers {
    ($report:path) => {
        #[::cortex_m_rt::exception]
        fn SysTick() {
            $crate::clock::systick_wrapped();
        }

        // SAFETY: `unsafe` is cortex-m-rt's condition for this handler; the body only reads the
        // frame that it is given.
        #[::cortex_m_rt::exception]
        unsafe fn HardFault(frame: &::cortex_m_rt::ExceptionFrame) -> ! {
            $report(frame.pc(), frame.lr())
        }

        #[panic_handler]
        fn panic(_: &::core::panic::PanicInfo<'_>) -> ! {
            $report(0, 0)
        }
    };
}
