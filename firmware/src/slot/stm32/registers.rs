//! The controller and the flash of the real chip.

use super::Access;

/// Access control, the first register: the caches' switches among others.
const ACCESS_CONTROL: u32 = 0x00;
const DATA_CACHE: u32 = 1 << 10;
const EMPTY_DATA_CACHE: u32 = 1 << 12;

/// A part of the chip's flash, and the registers at `CONTROLLER`: 0x4002_3C00 on the STM32F4, 0x4002_2000 on the STM32L4.
pub struct Registers<'a, const CONTROLLER: u32> {
    memory: &'a mut [u8],
    /// The data cache's switch as it was found.
    cache: u32,
}

impl<'a, const CONTROLLER: u32> Registers<'a, CONTROLLER> {
    /// The flash at these addresses. `CONTROLLER` must be its controller.
    pub const fn new(memory: &'a mut [u8]) -> Self {
        Self { memory, cache: 0 }
    }

    /// Tells the compiler that the controller may have changed the flash.
    fn changed(&mut self) {
        // SAFETY: a barrier changes no register; that it takes the pointer makes the compiler read anew what it reaches.
        unsafe {
            core::arch::asm!("dsb /* {0} */", in(reg) self.memory.as_mut_ptr(), options(nostack, preserves_flags));
        }
    }
}

impl<const CONTROLLER: u32> Access for Registers<'_, CONTROLLER> {
    fn register(&mut self, offset: u32) -> u32 {
        let place = CONTROLLER.wrapping_add(offset) as *const u32;
        // SAFETY: the board gives its chip's controller, and only this driver calls it, with the offsets of that controller's registers;
        // reading them has no effect.
        unsafe { place.read_volatile() }
    }

    fn set_register(&mut self, offset: u32, value: u32) {
        let place = CONTROLLER.wrapping_add(offset) as *mut u32;
        // SAFETY: the same registers; what an order does to the flash happens within the part that this value owns, since the driver
        // checks the places that it selects.
        unsafe { place.write_volatile(value) };
        self.changed();
    }

    fn store(&mut self, offset: u32, word: u32) {
        let place = self.memory.get_mut(offset as usize..).and_then(<[u8]>::first_chunk_mut::<4>);
        let Some(place) = place else { return };
        // SAFETY: four bytes of the slice that this value owns; the offset is a multiple of the unit of writing and the slice begins with a
        // page, so the word is aligned.
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
        let control = self.register(ACCESS_CONTROL);
        self.cache = control & DATA_CACHE;
        self.set_register(ACCESS_CONTROL, control & !DATA_CACHE);
    }

    fn start_cache(&mut self) {
        // It can be emptied only while it is off (RM0090 3.9.1, RM0432 3.7.1).
        let control = self.register(ACCESS_CONTROL) & !(DATA_CACHE | EMPTY_DATA_CACHE);
        self.set_register(ACCESS_CONTROL, control | EMPTY_DATA_CACHE);
        self.set_register(ACCESS_CONTROL, control);
        self.set_register(ACCESS_CONTROL, control | self.cache);
    }
}
