//! The data cache of the Cortex-M7, through which the STM32H7 reads its flash.

use super::FaultlessRead;
use super::h7::H7;
use super::registers::{DataCache, Registers};
use super::{Access, Family};

/// Configuration and control of the core: the data cache's switch among others (ARMv7-M
/// Architecture Reference Manual, B3.2.8).
const CONTROL: *mut u32 = 0xE000_ED14 as *mut u32;
const DATA_CACHE: u32 = 1 << 16;
/// Code of the highest priorities goes on after faults of its loads.
const IGNORE_BUS_FAULTS: u32 = 1 << 8;
/// Configurable fault status: what was ignored stays noted there.
const FAULT_STATUS: *mut u32 = 0xE000_ED28 as *mut u32;
const BUS_FAULTS: u32 = 0xFF << 8;
/// Cleans and invalidates the line of a set and a way (B2.2.7).
const CLEAN_AND_INVALIDATE: *mut u32 = 0xE000_EF74 as *mut u32;
const LINE_BYTES: u32 = 32;

/// The core's data cache with `WAYS` ways, a power of two from 2 on, of `SETS` lines of 32 bytes: 4
/// and 128 on the STM32H743 (PM0253, 4.8).
pub struct CoreCache<const WAYS: u32, const SETS: u32> {
    /// Its switch as it was found.
    switch: u32,
}

impl<const WAYS: u32, const SETS: u32> DataCache for CoreCache<WAYS, SETS> {
    const UNTOUCHED: Self = Self { switch: 0 };

    fn stop(&mut self, _controller: u32) {
        const { assert!(WAYS.is_power_of_two() && WAYS > 1) };
        // SAFETY: reading the register has no effect.
        let control = unsafe { CONTROL.read_volatile() };
        self.switch = control & DATA_CACHE;
        // SAFETY: every line is written back and none is taken in, so memory holds what it should.
        // All of it is in registers, so that no line comes to hold something newer than memory
        // meanwhile.
        unsafe {
            core::arch::asm!(
                "dsb",
                "str {off}, [{control}]",
                "dsb",
                "isb",
                "2: mov {set}, {sets}",
                "3: subs {set}, {set}, #{line}",
                "orr {both}, {set}, {way}",
                "str {both}, [{operation}]",
                "bne 3b",
                // The last way's successor is zero and a carry.
                "adds {way}, {way}, {way_step}",
                "bcc 2b",
                "dsb",
                "isb",
                off = in(reg) control & !DATA_CACHE,
                control = in(reg) CONTROL,
                operation = in(reg) CLEAN_AND_INVALIDATE,
                sets = in(reg) SETS * LINE_BYTES,
                way_step = in(reg) 1_u32 << (32 - WAYS.ilog2()),
                way = inout(reg) 0 => _,
                set = out(reg) _,
                both = out(reg) _,
                line = const LINE_BYTES,
                options(nostack),
            );
        }
    }

    fn start(&mut self, _controller: u32) {
        // SAFETY: no line is valid, since none was taken in after all were invalidated.
        unsafe {
            let control = CONTROL.read_volatile();
            core::arch::asm!(
                "dsb",
                "str {on}, [{control}]",
                "dsb",
                "isb",
                on = in(reg) control | self.switch,
                control = in(reg) CONTROL,
                options(nostack, preserves_flags),
            );
        }
    }
}

impl<const CONTROLLER: u32, const WAYS: u32, const SETS: u32> FaultlessRead
    for Registers<'_, CONTROLLER, CoreCache<WAYS, SETS>>
{
    fn read_all(&mut self, from: u32, to: u32) {
        let bytes = self.bytes().get(from as usize..to as usize).unwrap_or_default();
        let places = bytes.as_ptr_range();
        // SAFETY: only words of the slice are read, which begins with a sector. With all faults
        // masked the core ignores those of loads (B1.5.15); mask and switch are put back. What was
        // ignored is struck from the fault status, for the next reader.
        unsafe {
            let control = CONTROL.read_volatile();
            core::arch::asm!(
                "cpsid f",
                "str {ignoring}, [{control}]",
                "dsb",
                "isb",
                "2: cmp {place}, {end}",
                "bhs 3f",
                "ldr {word}, [{place}]",
                "add {place}, {place}, #{unit}",
                "b 2b",
                "3: dsb",
                "str {before}, [{control}]",
                "dsb",
                "isb",
                "cpsie f",
                ignoring = in(reg) control | IGNORE_BUS_FAULTS,
                before = in(reg) control,
                control = in(reg) CONTROL,
                place = inout(reg) places.start => _,
                end = in(reg) places.end,
                word = out(reg) _,
                unit = const H7::UNIT_BYTES,
                options(nostack),
            );
            FAULT_STATUS.write_volatile(BUS_FAULTS);
        }
    }
}
