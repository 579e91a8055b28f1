//! The application as a task of embassy's executor, beside whatever other tasks there are.
#![no_std]
#![no_main]

#[path = "shared/dk.rs"]
mod dk;

use dk::{Bus, Lamps, set_up, stop};
use embassy_executor::Spawner;
use nrf_hal_common::pac::Peripherals;
use nrf52840_pac as _; // its vectors
use tinyhero_firmware::kernel::Portable;
use tinyhero_motion::{Motion, MotionEngine};

/// A hundredth of a second at 64 MHz.
const CYCLES_PER_READING: u32 = 640_000;

#[embassy_executor::task]
async fn watch(bus: Bus, mut lamps: Lamps) {
    // The engine lives in the task, which embassy makes a static.
    let mut engine = MotionEngine::new(Portable);
    let Ok(mut motion) = Motion::new(bus, &mut engine) else { return };
    loop {
        if let Ok(Some(state)) = motion.step() {
            lamps.show(state);
        }
        cortex_m::asm::delay(CYCLES_PER_READING);
        // Others run between two readings; with a time driver, `Timer::after` takes the place of both lines.
        embassy_futures::yield_now().await;
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let Some(peripherals) = Peripherals::take() else { stop() };
    let (bus, lamps) = set_up(peripherals.P0, peripherals.TWIM0);
    if let Ok(task) = watch(bus, lamps) {
        spawner.spawn(task);
    }
}
