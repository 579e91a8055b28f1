//! What the three programs share: the pins of the sensor and what a state is shown by.

use embedded_hal::digital::OutputPin;
use nrf_hal_common::gpio::{Level, Output, Pin, PushPull, p0};
use nrf_hal_common::pac::{P0, TWIM0};
use nrf_hal_common::twim::{Frequency, Pins, Twim};
use tinyhero_motion::State;

/// The sensor's bus: SDA at P0.26, SCL at P0.27.
pub type Bus = Twim<TWIM0>;

/// The bus, and the first three LEDs of the DK, which light when low.
pub fn set_up(port: P0, bus: TWIM0) -> (Bus, Lamps) {
    let pins = p0::Parts::new(port);
    let wires = Pins {
        sda: pins.p0_26.into_floating_input().degrade(),
        scl: pins.p0_27.into_floating_input().degrade(),
    };
    let lamps = [
        pins.p0_13.into_push_pull_output(Level::High).degrade(),
        pins.p0_14.into_push_pull_output(Level::High).degrade(),
        pins.p0_15.into_push_pull_output(Level::High).degrade(),
    ];
    (Twim::new(bus, wires, Frequency::K400), Lamps(lamps))
}

/// One lamp for each state.
pub struct Lamps([Pin<Output<PushPull>>; 3]);

impl Lamps {
    /// Lights the lamp of `state` alone.
    pub fn show(&mut self, state: State) {
        for (number, lamp) in self.0.iter_mut().enumerate() {
            let _ = if number == state as usize { lamp.set_low() } else { lamp.set_high() };
        }
    }
}

/// What stops the program: a fault of the sensor or the model at the start.
pub fn stop() -> ! {
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    stop()
}
