//! The programs that emulated boards run besides their firmware, which differ in few words.

/// The conformance suite as a board's whole program: [`run_fast_on_board`](crate::run_fast_on_board) with
/// the `fast` kernels, after [`run_layers_on_board`](crate::run_layers_on_board) where the board is to run
/// `layers` too.
///
/// `kernels` is a kernel set without fields, `layers` is [`LayerMemory`](crate::LayerMemory), and `at_start`
/// is called before anything else.
#[macro_export]
macro_rules! conformance_program {
    (
        kernels: $kernels:path,
        fast: $fast:expr
        $(, layers: $layers:path)?
        $(, at_start: $at_start:expr)?
        $(,)?
    ) => {
        #[::cortex_m_rt::entry]
        fn main() -> ! {
            static mut WORKSPACE: $crate::Workspace = $crate::Workspace::new();
            static mut MEMORY: $crate::DifferentialMemory = $crate::DifferentialMemory::new();
            $(static mut LAYERS: $layers = <$layers>::new();)?
            $($at_start();)?
            $(
                let layers: &mut $layers = LAYERS;
                $crate::run_layers_on_board(&mut $kernels, layers, &$fast);
            )?
            $crate::run_fast_on_board(&mut $kernels, WORKSPACE, MEMORY, &$fast)
        }

        ::tinyhero_firmware::emulated_board_handlers!();
    };
}

/// A board's whole program for [`run_trusted_on_board`](crate::run_trusted_on_board), over semihosting: it runs
/// the model files that the host sends at their word, between guards.
///
/// `kernels` is a kernel set without fields, `clock_hertz` the clock of `Board.toml`, and `at_start` is called
/// before anything else.
#[macro_export]
macro_rules! trusted_program {
    (
        kernels: $kernels:path,
        clock_hertz: $clock_hertz:expr
        $(, at_start: $at_start:expr)?
        $(,)?
    ) => {
        /// Room for most files, and for the largest.
        const FILE_BYTES: [usize; 2] = [8 * 1024, 480 * 1024];
        const ARENA_BYTES: [usize; 2] = [8 * 1024, 160 * 1024];

        type Memory<const FILE: usize, const ARENA: usize> =
            $crate::Guarded<::tinyhero_firmware::engine::Engine<$kernels, ARENA>, FILE>;

        #[::cortex_m_rt::entry]
        fn main() -> ! {
            static mut SMALL: Memory<{ FILE_BYTES[0] }, { ARENA_BYTES[0] }> = Memory::new($kernels);
            static mut LARGE: Memory<{ FILE_BYTES[1] }, { ARENA_BYTES[1] }> = Memory::new($kernels);
            $($at_start();)?
            let Ok(link) = ::tinyhero_firmware::semihosting::SemihostingLink::open() else {
                ::tinyhero_firmware::semihosting::exit(
                    ::tinyhero_firmware::semihosting::LINK_EXIT_STATUS,
                )
            };
            let clock = ::tinyhero_firmware::clock::SysTick::start($clock_hertz);
            $crate::run_trusted_on_board(SMALL, LARGE, link, clock)
        }

        ::tinyhero_firmware::emulated_board_handlers!();
    };
}
