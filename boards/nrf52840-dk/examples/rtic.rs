//! The application in an RTIC program: a reading with every tick of SysTick.
#![no_std]
#![no_main]

#[path = "shared/dk.rs"]
mod dk;

use nrf52840_pac as _; // its vectors

#[rtic::app(device = nrf_hal_common::pac, peripherals = true)]
mod app {
    use crate::dk::{Bus, Lamps, set_up, stop};
    use cortex_m::peripheral::syst::SystClkSource;
    use tinyhero_firmware::kernel::Portable;
    use tinyhero_motion::{Motion, MotionEngine};

    /// A hundredth of a second at 64 MHz.
    const CYCLES_PER_READING: u32 = 640_000;

    #[shared]
    struct Shared {}

    #[local]
    struct Local {
        motion: Motion<'static, Bus>,
        lamps: Lamps,
    }

    #[init(local = [engine: MotionEngine = MotionEngine::new(Portable)])]
    fn init(context: init::Context) -> (Shared, Local) {
        let (bus, lamps) = set_up(context.device.P0, context.device.TWIM0);
        let Ok(motion) = Motion::new(bus, context.local.engine) else { stop() };
        let mut ticks = context.core.SYST;
        ticks.set_clock_source(SystClkSource::Core);
        ticks.set_reload(CYCLES_PER_READING - 1);
        ticks.enable_interrupt();
        ticks.enable_counter();
        (Shared {}, Local { motion, lamps })
    }

    #[task(binds = SysTick, local = [motion, lamps])]
    fn reading(context: reading::Context) {
        if let Ok(Some(state)) = context.local.motion.step() {
            context.local.lamps.show(state);
        }
    }
}
