//! The controller and the flash of the real chip.

use super::{Access, Family};

/// Access control, the first register: the caches' switches among others.
const ACCESS_CONTROL: u32 = 0x00;
const DATA_CACHE: u32 = 1 << 10;
const EMPTY_DATA_CACHE: u32 = 1 << 12;

/// A cache that the flash's data go through.
pub trait DataCache {
    /// A cache that has not been stopped.
    const UNTOUCHED: Self;

    /// Stops it; `controller` is the address of the flash controller's registers.
    fn stop(&mut self, controller: u32);

    /// Starts it again, empty, if it was on.
    fn start(&mut self, controller: u32);
}

/// The cache within the controller of the STM32F4 and the STM32L4: its switch as it was found.
pub struct ControllerCache(u32);

/// A part of the chip's flash, and the registers at `CONTROLLER`: 0x4002_3C00 on the STM32F4,
/// 0x4002_2000 on the STM32L4, 0x5200_2000 on the STM32H7, whose cache is the core's.
pub struct Registers<'a, const CONTROLLER: u32, C = ControllerCache> {
    memory: &'a mut [u8],
    cache: C,
}

impl<'a, const CONTROLLER: u32, C: DataCache> Registers<'a, CONTROLLER, C> {
    /// The flash at these addresses. `CONTROLLER` must be its controller, `C` the cache before it.
    pub const fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, cache: C::UNTOUCHED }
    }

    /// Tells the compiler that the controller may have changed the flash.
    fn changed(&mut self) {
        // SAFETY: a barrier changes no register; that it takes the pointer makes the compiler read
        // anew what it reaches.
        unsafe {
            core::arch::asm!("dsb /* {0} */", in(reg) self.memory.as_mut_ptr(), options(nostack, preserves_flags));
        }
    }
}

impl<const CONTROLLER: u32, C: DataCache> Access for Registers<'_, CONTROLLER, C> {
    fn register(&mut self, offset: u32) -> u32 {
        read(CONTROLLER.wrapping_add(offset))
    }

    fn set_register(&mut self, offset: u32, value: u32) {
        write(CONTROLLER.wrapping_add(offset), value);
        self.changed();
    }

    fn store(&mut self, offset: u32, word: u32) {
        let place = self.memory.get_mut(offset as usize..).and_then(<[u8]>::first_chunk_mut::<4>);
        let Some(place) = place else { return };
        // SAFETY: four bytes of the slice that this value owns; the offset is a multiple of the
        // unit of writing and the slice begins with a page, so the word is aligned.
        unsafe { place.as_mut_ptr().cast::<u32>().write_volatile(word) };
        self.changed();
    }

    fn bytes(&self) -> &[u8] {
        self.memory
    }

    fn address(&self) -> u32 {
        self.memory.as_ptr() as u32
    }

    fn stop_cache(&mut self) {
        self.cache.stop(CONTROLLER);
        self.changed();
    }

    fn start_cache(&mut self) {
        self.cache.start(CONTROLLER);
        self.changed();
    }
}

impl DataCache for ControllerCache {
    const UNTOUCHED: Self = Self(0);

    fn stop(&mut self, controller: u32) {
        let place = controller.wrapping_add(ACCESS_CONTROL);
        let control = read(place);
        self.0 = control & DATA_CACHE;
        write(place, control & !DATA_CACHE);
    }

    fn start(&mut self, controller: u32) {
        let place = controller.wrapping_add(ACCESS_CONTROL);
        // It can be emptied only while it is off (RM0090 3.9.1, RM0432 3.7.1).
        let control = read(place) & !(DATA_CACHE | EMPTY_DATA_CACHE);
        write(place, control | EMPTY_DATA_CACHE);
        write(place, control);
        write(place, control | self.0);
    }
}

/// Where the flash of the chip that this runs on ends, one of the series `F`.
pub fn flash_end<F: Family>() -> u32 {
    F::flash_end(read(F::SIZE_REGISTER))
}

/// Reads a register of the controller, or the word that says how much flash there is.
fn read(place: u32) -> u32 {
    // SAFETY: the board gives its chip's controller and series, and only this driver calls it, with
    // the offsets of that controller's registers or with the series's word; reading them has no
    // effect.
    unsafe { (place as *const u32).read_volatile() }
}

/// Writes a register of the controller.
fn write(place: u32, value: u32) {
    // SAFETY: the same registers; what an order does to the flash happens within the part that its
    // `Registers` owns, since the driver checks the places that it selects.
    unsafe { (place as *mut u32).write_volatile(value) };
}
