//! mps2-an505
#![no_std]
#![no_main]

use cortex_m_rt::{ExceptionFrame, entry, exception};
use embedded_io::{Read, Write};
use tinyhero_firmware::clock::{Clock, SysTick};
use tinyhero_firmware::semihosting::{self, SemihostingLink};

#[entry]
fn main() -> ! {
    let mut clock = SysTick::start(20_000_000);
    let Ok(mut link) = SemihostingLink::open() else { semihosting::exit(3) };
    let mut buffer = [0u8; 1024];
    loop {
        let Ok(count) = link.read(&mut buffer) else { semihosting::exit(4) };
        if count == 0 { semihosting::exit(0) }
        if count == 1 {
            // count instructions
            clock.restart();
            unsafe { core::arch::asm!("1:", "subs {n}, #1", "bne 1b", n = inout(reg) 10_000_000u32 => _) };
            let t = clock.elapsed();
            let _ = link.write_all(&t.to_le_bytes());
            continue;
        }
        let Some(data) = buffer.get(..count) else { continue };
        if link.write_all(data).is_err() { semihosting::exit(5) }
    }
}

#[exception]
fn SysTick() { tinyhero_firmware::clock::systick_wrapped() }

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! { semihosting::report_fault(frame.pc(), frame.lr()) }

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { semihosting::exit(6) }
