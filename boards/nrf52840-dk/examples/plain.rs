//! The application in a plain `main`, with cortex-m-rt alone.
#![no_std]
#![no_main]

#[path = "shared/dk.rs"]
mod dk;

use dk::{set_up, stop};
use nrf_hal_common::pac::Peripherals;
use nrf52840_pac as _; // its vectors
use tinyhero_firmware::kernel::Portable;
use tinyhero_motion::{Motion, MotionEngine};

/// A hundredth of a second at 64 MHz.
const CYCLES_PER_READING: u32 = 640_000;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: MotionEngine = MotionEngine::new(Portable);
    let Some(peripherals) = Peripherals::take() else { stop() };
    let (bus, mut lamps) = set_up(peripherals.P0, peripherals.TWIM0);
    let Ok(mut motion) = Motion::new(bus, ENGINE) else { stop() };
    loop {
        // A reading that failed is left out; the next one comes soon.
        if let Ok(Some(state)) = motion.step() {
            lamps.show(state);
        }
        cortex_m::asm::delay(CYCLES_PER_READING);
    }
}
