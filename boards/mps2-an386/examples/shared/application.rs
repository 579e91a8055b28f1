// The application of the examples beside this folder, which say what `KernelSet` is and how a model
// is loaded.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tinyhero_firmware::slot;

/// Room for the activations of an MLPerf Tiny network.
const ARENA_BYTES: usize = 64 * 1024;
/// Bytes of the longest raw input.
const INPUT_BYTES: usize = 32 * 1024;

/// What a sensor writes.
static SENSOR: [AtomicU8; INPUT_BYTES] = [const { AtomicU8::new(0) }; INPUT_BYTES];
/// The latest label.
static LABEL: AtomicUsize = AtomicUsize::new(usize::MAX);

type ApplicationEngine = Engine<KernelSet, ARENA_BYTES>;
type Loaded<'e, 'm> = Option<LoadedModel<'e, 'm, KernelSet>>;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ENGINE: ApplicationEngine = Engine::new(KernelSet);
    static mut INPUT: [u8; INPUT_BYTES] = [0; INPUT_BYTES];
    let region: &[u8] = match slot::take_region() {
        Some(region) => region,
        None => &[],
    };
    if let Some(mut model) = load(ENGINE, region) {
        let length = model.model().raw_input_bytes();
        loop {
            for (value, sample) in INPUT.iter_mut().zip(&SENSOR) {
                *value = sample.load(Ordering::Relaxed);
            }
            if let Some(Ok(output)) = INPUT.get(..length).map(|input| model.run(input, &mut ())) {
                LABEL.store(output.label, Ordering::Relaxed);
            }
        }
    }
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
