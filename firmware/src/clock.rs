//! What a board counts time with.

#[cfg(target_os = "none")]
mod cycle_counter;
#[cfg(target_os = "none")]
mod systick;

use tinyhero_common::wire::message::ClockUnit;

#[cfg(target_os = "none")]
pub use cycle_counter::CycleCounter;
#[cfg(target_os = "none")]
pub use systick::{SysTick, systick_wrapped};

/// A counter that measures inference: ticks since it was last restarted.
///
/// On an emulated board a tick is a fixed number of instructions, on hardware a fixed number of core cycles.
pub trait Clock {
    /// What the counts are.
    fn unit(&self) -> ClockUnit;

    /// Sets the count to zero, so that equal work gives an equal count whatever ran before.
    fn restart(&mut self);

    /// Ticks since [`Clock::restart`]; each clock says how many it can count.
    fn elapsed(&self) -> u64;
}

impl<C: Clock> Clock for &mut C {
    fn unit(&self) -> ClockUnit {
        (**self).unit()
    }

    fn restart(&mut self) {
        (**self).restart();
    }

    fn elapsed(&self) -> u64 {
        (**self).elapsed()
    }
}

/// The clock of a board that has none: always zero.
pub struct NoClock;

impl Clock for NoClock {
    fn unit(&self) -> ClockUnit {
        ClockUnit::Ticks { hertz: 0 }
    }

    fn restart(&mut self) {}

    fn elapsed(&self) -> u64 {
        0
    }
}
