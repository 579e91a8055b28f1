//! The programs of boards that exist in emulation alone, which differ in few words.

/// The whole firmware of an emulated board: the server over semihosting, the clock SysTick, and
/// slots in RAM that behaves like flash.
///
/// `kernels` is a kernel set without fields and `clock_hertz` the clock of `Board.toml`.
/// `byte_routines` are those of [`Server`](crate::server::Server), and `at_start` is called before
/// anything else.
#[macro_export]
macro_rules! emulated_board {
    (
        kernels: $kernels:path,
        clock_hertz: $clock_hertz:expr
        $(, byte_routines: $byte_routines:expr)?
        $(, at_start: $at_start:expr)?
        $(,)?
    ) => {
        const ARENA_BYTES: usize = 1024 * 1024;
        const FRAME_BYTES: usize = 64 * 1024;

        #[::cortex_m_rt::entry]
        fn main() -> ! {
            static mut ENGINE: $crate::engine::Engine<$kernels, ARENA_BYTES> =
                $crate::engine::Engine::new($kernels);
            static mut BUFFERS: $crate::server::Buffers<FRAME_BYTES> =
                $crate::server::Buffers::new();
            $($at_start();)?
            let (Some(region), Ok(link)) =
                ($crate::slot::take_region(), $crate::semihosting::SemihostingLink::open())
            else {
                $crate::semihosting::exit($crate::semihosting::LINK_EXIT_STATUS)
            };
            let server = $crate::server::Server {
                board: env!("CARGO_PKG_NAME"),
                link,
                clock: $crate::clock::SysTick::start($clock_hertz),
                activity: $crate::activity::NoPin,
                slots: $crate::slot::Slots::halves(region, $crate::slot::RamFlash::new),
                stack_high_water: $crate::stack::high_water,
                byte_routines: None$(.or(Some($byte_routines)))?,
            };
            $crate::semihosting::finish(server.serve(ENGINE, BUFFERS))
        }

        $crate::emulated_board_handlers!();
    };
}

/// The exception handlers of a board that is emulated: counting clock, faults that are reported,
/// and the panic handler that Rust asks for, which nothing reaches (a test looks for it in the
/// linked image).
#[macro_export]
macro_rules! emulated_board_handlers {
    () => {
        $crate::board_handlers!($crate::semihosting::report_fault);
    };
}
