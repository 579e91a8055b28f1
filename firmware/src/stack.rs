//! The stack's high-water mark, from the paint that start-up put below it.

/// What start-up paints the stack with: cortex-m-rt's `paint-stack`.
const PAINT: u32 = 0xCCCC_CCCC;

// SAFETY: both are symbols of cortex-m-rt's linker script; only their addresses are taken.
unsafe extern "C" {
    /// Lowest address of the stack, from the linker script.
    static mut _stack_end: u32;
    /// One past the highest address of the stack, from the linker script.
    static mut _stack_start: u32;
}

/// Bytes that the linker script gives the stack.
pub fn size() -> u32 {
    let (lowest, end) = bounds();
    (end as usize).wrapping_sub(lowest as usize) as u32
}

/// Most bytes of the stack that were ever in use since start-up.
pub fn high_water() -> u32 {
    let (lowest, end) = bounds();
    let mut place = lowest;
    while place < end {
        // SAFETY: `place` lies in the stack's region and is aligned, as both symbols are. The word
        // may belong to a live frame only after the first unpainted word, where the loop stops;
        // volatile, since the compiler does not know it.
        if unsafe { place.read_volatile() } != PAINT {
            break;
        }
        place = place.wrapping_add(1);
    }
    (end as usize).wrapping_sub(place as usize) as u32
}

fn bounds() -> (*const u32, *const u32) {
    ((&raw const _stack_end), (&raw const _stack_start))
}
