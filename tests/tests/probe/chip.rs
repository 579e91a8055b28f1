//! An emulated chip as its debug port shows it: QEMU's bus, and the debug registers of the core (Armv6-M and Armv7-M architecture
//! reference manuals, C1), which QEMU does not have, made from its GDB stub.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tinyhero::cortex::Core;
use tinyhero::device::board::Board;

use super::remote::{Bus, Stub};

const AIRCR: u32 = 0xE000_ED0C;
const DFSR: u32 = 0xE000_ED30;
const DHCSR: u32 = 0xE000_EDF0;
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DEMCR: u32 = 0xE000_EDFC;
/// Control of the breakpoint unit; the comparators follow two words later.
const BREAKPOINT_CONTROL: u32 = 0xE000_2000;
const COMPARATORS: u32 = 0xE000_2008;
const COMPARATOR_COUNT: u32 = 4;

const DEBUG_KEY: u32 = 0xA05F_0000;
const RESET_KEY: u32 = 0x05FA_0000;
const C_DEBUGEN: u32 = 1 << 0;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const CONTROL_BITS: u32 = 0xF;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_LOCKUP: u32 = 1 << 19;
const S_RESET_ST: u32 = 1 << 25;
const SYSRESETREQ: u32 = 1 << 2;
const VC_CORERESET: u32 = 1 << 0;
const DFSR_HALTED: u32 = 1 << 0;
const DFSR_BKPT: u32 = 1 << 1;
const DFSR_VCATCH: u32 = 1 << 3;
const THUMB: u32 = 1 << 24;

/// Where code memory ends in every Cortex-M's memory map.
const RAM_START: u32 = 0x2000_0000;

/// Where the emulated chips' own flash ends.
const FLASH_END: u32 = 0x1000_0000;

/// The stub's number of the program counter.
const STUB_PC: u32 = 15;
/// The stub's number of the program status register.
const STUB_XPSR: u32 = 25;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Halted,
    /// Running into a fault within a fault, as on an empty chip. QEMU would end there, so it stays stopped.
    LockedUp,
}

/// What a QEMU machine lacks or hides of its chip.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overlay {
    /// Words that QEMU does not have, by their addresses.
    pub words: &'static [(u32, u32)],
    /// Whether flash is in the address space only once a program in RAM has run since the last reset, as a flash algorithm does: a boot ROM
    /// that puts it there takes longer than a probe takes to ask.
    pub flash_comes_by_program: bool,
}

/// A running QEMU machine seen from its chip's debug port.
#[derive(Debug)]
pub struct Chip {
    process: Child,
    bus: Bus,
    stub: Stub,
    _folder: TempDir,
    core: Core,
    overlay: Overlay,
    state: State,
    control: u32,
    monitor: u32,
    fault_status: u32,
    register_data: u32,
    was_reset: bool,
    comparators: [u32; COMPARATOR_COUNT as usize],
    comparators_enabled: bool,
    /// Where the debugger has written a BKPT instruction.
    instructions: BTreeSet<u32>,
    /// What of the two the stub knows.
    set: BTreeSet<u32>,
    /// Whether a program in RAM has run since the last reset.
    ram_has_run: bool,
    /// Places that error correction gives up on, and what they hold until they are erased or written.
    damaged: Vec<(u32, Vec<u8>)>,
}

impl Chip {
    /// Starts the board's machine, stopped before its first instruction; `arguments` put things into its memory.
    pub fn start(board: &Board, overlay: Overlay, arguments: &[&str]) -> std::io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name);
        let socket = |name: &str| format!("unix:{},server=on,wait=off", path(name).display());
        let machine = &board.qemu.as_ref().expect("an emulated board").machine;
        let process = Command::new("qemu-system-arm")
            .args(["-machine", machine, "-S", "-nographic", "-monitor", "none"])
            .args(["-serial", "none", "-gdb", &socket("stub"), "-qtest", &socket("bus")])
            // Time goes by instructions: by the machine's own clock the board's would start late, or not, when the machine is busy.
            .args(["-qtest-log", "none", "-icount", "shift=6,align=off,sleep=off"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        Self::connected(process, board.core, overlay, folder)
    }

    fn connected(
        mut process: Child,
        core: Core,
        overlay: Overlay,
        folder: TempDir,
    ) -> std::io::Result<Self> {
        let path = |name: &str| folder.path().join(name);
        let doors =
            Bus::connect(&path("bus")).and_then(|bus| Ok((bus, Stub::connect(&path("stub"))?)));
        let (bus, stub) = match doors {
            Ok(doors) => doors,
            Err(reason) => {
                let _ = process.kill();
                let _ = process.wait();
                return Err(reason);
            }
        };
        let mut chip = Self {
            process,
            bus,
            stub,
            _folder: folder,
            core,
            overlay,
            state: State::Halted,
            control: 0,
            monitor: 0,
            fault_status: 0,
            register_data: 0,
            was_reset: true,
            comparators: [0; COMPARATOR_COUNT as usize],
            comparators_enabled: false,
            instructions: BTreeSet::new(),
            set: BTreeSet::new(),
            ram_has_run: false,
            damaged: Vec::new(),
        };
        // Power comes on: without a debugger the core runs.
        chip.stub.reset()?;
        chip.resume()?;
        Ok(chip)
    }

    pub const fn core(&self) -> Core {
        self.core
    }

    /// Ends the machine, as pulling its cable does.
    pub fn unplug(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Whether the core has nothing to run. On an empty chip it would soon fault, and then fault at taking the fault, which ends QEMU.
    /// What runs in RAM is a debugger's.
    fn is_lost(&mut self) -> std::io::Result<bool> {
        let mut reset_vector = [0; 4];
        self.bus.read(4, &mut reset_vector)?;
        let is_empty = u32::from_le_bytes(reset_vector) & 1 == 0;
        let in_flash = self.stub.register(STUB_PC)? < RAM_START;
        Ok(self.stub.register(STUB_XPSR)? & THUMB == 0 || is_empty && in_flash)
    }

    fn resume(&mut self) -> std::io::Result<()> {
        if self.is_lost()? {
            self.state = State::LockedUp;
            return Ok(());
        }
        let mut wanted: BTreeSet<u32> = BTreeSet::new();
        if self.control & C_DEBUGEN != 0 {
            wanted.extend(&self.instructions);
            if self.comparators_enabled {
                wanted.extend(self.comparators.iter().filter_map(|&word| breakpoint(word)));
            }
        }
        for &address in self.set.difference(&wanted) {
            self.stub.set_breakpoint(address, false)?;
        }
        for &address in wanted.difference(&self.set) {
            self.stub.set_breakpoint(address, true)?;
        }
        self.set = wanted;
        self.ram_has_run |= self.stub.register(STUB_PC)? >= RAM_START;
        self.stub.resume()?;
        self.state = State::Running;
        Ok(())
    }

    fn halt(&mut self) -> std::io::Result<()> {
        match self.state {
            State::Running => {
                self.stub.interrupt()?;
                self.fault_status |= DFSR_HALTED;
            }
            State::LockedUp => self.fault_status |= DFSR_HALTED,
            State::Halted => {}
        }
        self.state = State::Halted;
        Ok(())
    }

    fn reset(&mut self) -> std::io::Result<()> {
        self.halt()?;
        self.stub.reset()?;
        // With the machine, the stub's breakpoints are gone.
        self.set.clear();
        self.was_reset = true;
        self.ram_has_run = false;
        self.fault_status = 0;
        if self.control & C_DEBUGEN != 0 && self.monitor & VC_CORERESET != 0 {
            self.fault_status = DFSR_VCATCH;
            self.control |= C_HALT;
            return Ok(());
        }
        self.control &= !C_HALT;
        self.resume()
    }

    fn write_control(&mut self, value: u32) -> std::io::Result<()> {
        if value & 0xFFFF_0000 != DEBUG_KEY {
            return Ok(());
        }
        self.control = value & CONTROL_BITS;
        let stops = self.control & (C_DEBUGEN | C_HALT) == C_DEBUGEN | C_HALT;
        if stops {
            return self.halt();
        }
        if self.state == State::Halted {
            if self.control & (C_DEBUGEN | C_STEP) == C_DEBUGEN | C_STEP {
                if !self.is_lost()? {
                    self.stub.step()?;
                }
                self.control |= C_HALT;
                self.fault_status |= DFSR_HALTED;
                return Ok(());
            }
            return self.resume();
        }
        Ok(())
    }

    fn read_control(&mut self) -> std::io::Result<u32> {
        if self.state == State::Running && self.stub.has_stopped()? {
            self.state = State::Halted;
            self.control |= C_HALT;
            self.fault_status |= DFSR_BKPT;
        }
        let mut value = self.control | S_REGRDY;
        match self.state {
            State::Halted => value |= S_HALT,
            State::LockedUp => value |= S_LOCKUP,
            State::Running => {}
        }
        if std::mem::take(&mut self.was_reset) {
            value |= S_RESET_ST;
        }
        Ok(value)
    }

    fn transfer_register(&mut self, selection: u32) -> std::io::Result<()> {
        let number = match selection & 0x7F {
            general @ 0..=15 => Some(general),
            16 => Some(STUB_XPSR),
            // The main stack pointer, which is in use while nothing but the debugger has set the core up.
            17 => Some(13),
            _ => None,
        };
        let Some(number) = number else {
            // Others the stub does not show: they read as after a reset.
            self.register_data = 0;
            return Ok(());
        };
        if selection & (1 << 16) != 0 {
            return self.stub.set_register(number, self.register_data);
        }
        self.register_data = self.stub.register(number)?;
        Ok(())
    }

    /// Reads a word of the private peripheral bus that is the debugger's; `None` for what QEMU has.
    fn debug_word(&mut self, address: u32) -> std::io::Result<Option<u32>> {
        if let Some((_, word)) = self.overlay.words.iter().find(|(place, _)| *place == address) {
            return Ok(Some(*word));
        }
        Ok(Some(match address {
            DHCSR => self.read_control()?,
            DCRDR => self.register_data,
            DEMCR => self.monitor,
            DFSR => self.fault_status,
            BREAKPOINT_CONTROL => COMPARATOR_COUNT << 4 | u32::from(self.comparators_enabled),
            _ => match comparator(address) {
                Some(index) => self.comparators[index],
                None => return Ok(None),
            },
        }))
    }

    fn set_debug_word(&mut self, address: u32, value: u32) -> std::io::Result<bool> {
        match address {
            DHCSR => self.write_control(value)?,
            DCRSR => self.transfer_register(value)?,
            DCRDR => self.register_data = value,
            DEMCR => self.monitor = value,
            DFSR => self.fault_status &= !value,
            AIRCR if value & 0xFFFF_0000 == RESET_KEY => {
                if value & SYSRESETREQ != 0 {
                    self.reset()?;
                }
            }
            BREAKPOINT_CONTROL if value & 2 != 0 => self.comparators_enabled = value & 1 != 0,
            BREAKPOINT_CONTROL => {}
            _ => match comparator(address) {
                Some(index) => self.comparators[index] = value,
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    /// What a memory access port reads: aligned to the size, which is 1, 2 or a multiple of 4.
    pub fn read(&mut self, address: u32, bytes: &mut [u8]) -> std::io::Result<()> {
        if let Ok(word) = <&mut [u8; 4]>::try_from(&mut *bytes)
            && let Some(value) = self.debug_word(address)?
        {
            *word = value.to_le_bytes();
            return Ok(());
        }
        self.bus.read(address, bytes)?;
        if self.overlay.flash_comes_by_program && !self.ram_has_run && address < FLASH_END {
            bytes.fill(0x77);
        }
        self.fault_at_damage(address, bytes)
    }

    /// Resets the chip, which then stands still before its first instruction.
    pub fn reset_and_stop(&mut self) -> std::io::Result<()> {
        let (control, monitor) = (self.control, self.monitor);
        self.control |= C_DEBUGEN;
        self.monitor |= VC_CORERESET;
        self.reset()?;
        (self.control, self.monitor) = (control, monitor);
        Ok(())
    }

    /// Writes into flash past the debugger, as whoever was there before has: the controller erases whole pages and writes words
    /// (nRF51 Series Reference Manual 3.0, chapter 6). The core is stopped.
    pub fn set_flash(&mut self, address: u32, bytes: &[u8]) -> std::io::Result<()> {
        const PAGE: u32 = 1024;
        const CONFIGURATION: u32 = 0x4001_E504;
        const ERASE_PAGE: u32 = 0x4001_E508;
        self.halt()?;
        let first = address / PAGE * PAGE;
        let mut content = vec![0; (address + bytes.len() as u32 - first) as usize];
        content.resize(content.len().next_multiple_of(PAGE as usize), 0);
        self.bus.read(first, &mut content)?;
        content[(address - first) as usize..][..bytes.len()].copy_from_slice(bytes);
        for page in (first..first + content.len() as u32).step_by(PAGE as usize) {
            self.bus.write(CONFIGURATION, &2_u32.to_le_bytes())?;
            self.bus.write(ERASE_PAGE, &page.to_le_bytes())?;
        }
        self.bus.write(CONFIGURATION, &1_u32.to_le_bytes())?;
        for (place, word) in (first..).step_by(4).zip(content.as_chunks::<4>().0) {
            self.bus.write(place, word)?;
        }
        self.bus.write(CONFIGURATION, &0_u32.to_le_bytes())?;
        assert_eq!(self.memory(address, bytes.len()), bytes, "flash that was set");
        Ok(())
    }

    /// Makes a place unreadable until something else is written there.
    pub fn damage(&mut self, address: u32, length: usize) {
        let held = self.memory(address, length);
        self.damaged.push((address, held));
    }

    /// Fails, as a bus does, where `bytes` that were read from `address` are damaged.
    fn fault_at_damage(&mut self, address: u32, bytes: &[u8]) -> std::io::Result<()> {
        let end = address.wrapping_add(bytes.len() as u32);
        let is_read = |place: u32, held: &[u8]| place < end && address < place + held.len() as u32;
        for (place, held) in std::mem::take(&mut self.damaged) {
            if self.memory(place, held.len()) == held {
                self.damaged.push((place, held));
            }
        }
        if self.damaged.iter().any(|(place, held)| is_read(*place, held)) {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// What a memory access port writes.
    pub fn write(&mut self, address: u32, bytes: &[u8]) -> std::io::Result<()> {
        if let Ok(word) = <[u8; 4]>::try_from(bytes)
            && self.set_debug_word(address, u32::from_le_bytes(word))?
        {
            return Ok(());
        }
        for (half, place) in bytes.as_chunks::<2>().0.iter().zip((address..).step_by(2)) {
            if half[1] == 0xBE {
                self.instructions.insert(place);
            } else {
                self.instructions.remove(&place);
            }
        }
        self.bus.write(address, bytes)
    }

    /// What is in memory now.
    pub fn memory(&mut self, address: u32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.bus.read(address, &mut bytes).expect("the machine runs");
        bytes
    }
}

impl Drop for Chip {
    fn drop(&mut self) {
        self.unplug();
    }
}

fn comparator(address: u32) -> Option<usize> {
    let index = address.checked_sub(COMPARATORS)? / 4;
    (index < COMPARATOR_COUNT).then_some(index as usize)
}

/// The address that a comparator's word stops at.
fn breakpoint(word: u32) -> Option<u32> {
    let half = match word >> 30 {
        1 => 0,
        2 => 2,
        _ => return None,
    };
    (word & 1 != 0).then_some((word & 0x1FFF_FFFC) + half)
}
