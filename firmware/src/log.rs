//! defmt's logger: frames go to the log channel of [`crate::rtt`].

use core::cell::UnsafeCell;

use critical_section::RestoreState;

use crate::rtt;

struct State {
    encoder: defmt::Encoder,
    restore: RestoreState,
}

struct Shared(UnsafeCell<State>);

// SAFETY: the state is touched only between `acquire` and `release`, inside a critical section of a
// single core.
unsafe impl Sync for Shared {}

static STATE: Shared = Shared(UnsafeCell::new(State {
    encoder: defmt::Encoder::new(),
    restore: RestoreState::invalid(),
}));

#[defmt::global_logger]
struct Logger;

// SAFETY: `acquire` enters a critical section that only `release` leaves, so frames are never
// mixed.
unsafe impl defmt::Logger for Logger {
    fn acquire() {
        // SAFETY: defmt calls `release` once for each `acquire`, in the reverse order.
        let restore = unsafe { critical_section::acquire() };
        // SAFETY: inside the critical section, so nothing else has the state; a fault handler that
        // logs never returns.
        let state = unsafe { &mut *STATE.0.get() };
        state.restore = restore;
        state.encoder.start_frame(rtt::log);
    }

    // SAFETY: it touches nothing.
    unsafe fn flush() {
        // The probe takes the bytes when it comes round; a log must not wait for it.
    }

    // SAFETY: defmt calls it only between `acquire` and the end of that critical section.
    unsafe fn release() {
        // SAFETY: still inside the critical section that `acquire` entered.
        let state = unsafe { &mut *STATE.0.get() };
        state.encoder.end_frame(rtt::log);
        let restore = state.restore;
        // SAFETY: the state that `acquire` was given.
        unsafe { critical_section::release(restore) };
    }

    unsafe fn write(bytes: &[u8]) {
        // SAFETY: still inside the critical section that `acquire` entered.
        let state = unsafe { &mut *STATE.0.get() };
        state.encoder.write(bytes, rtt::log);
    }
}

defmt::timestamp!("");
