//! A debug probe whose wires end at an emulated chip: an ADIv5 debug port and one memory access port in software (Arm Debug Interface
//! Architecture Specification, ADIv5.2, B2 and C2). All of probe-rs above is what drives real probes.

use std::sync::{Arc, Mutex, MutexGuard};

use probe_rs::CoreStatus;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmCommunicationInterface, ArmDebugInterface, ArmError, DapError, DapProbe, RawDapAccess,
    RegisterAddress,
};
use probe_rs::probe::{DebugProbe, DebugProbeError, Probe, WireProtocol};
use tinyhero::cortex::Core;

use super::chip::Chip;

/// Requests of power in CTRL/STAT; each is acknowledged by the bit above it.
const POWER_REQUESTS: u32 = 1 << 28 | 1 << 30;
/// CSW: bits that a program sets: size, increment, protection.
const CSW_WRITABLE: u32 = 0x7F00_0037;
/// CSW: the port works.
const CSW_ENABLED: u32 = 1 << 6;
const INCREMENT_SINGLE: u32 = 1;
/// The address increments within this many bytes.
const INCREMENT_WRAP: u32 = 0x400;
/// BASE: the ROM table of a Cortex-M, present.
const ROM_TABLE: u32 = 0xE00F_F003;

/// What the debug port remembers.
#[derive(Debug, Default)]
struct Registers {
    control: u32,
    select: u32,
    csw: u32,
    tar: u32,
    last_read: u32,
}

/// The probe. Dropping it leaves the chip as it is, as unplugging a probe does.
#[derive(Debug)]
pub struct EmulatedProbe {
    chip: Arc<Mutex<Chip>>,
    registers: Registers,
    /// Accesses to memory until the cable is pulled.
    left: usize,
}

impl EmulatedProbe {
    pub fn on(chip: &Arc<Mutex<Chip>>) -> Probe {
        Self::cut_after(usize::MAX, chip)
    }

    /// A probe whose cable is pulled after so many accesses to the chip's memory.
    pub fn cut_after(left: usize, chip: &Arc<Mutex<Chip>>) -> Probe {
        let registers = Registers { csw: 2, ..Registers::default() };
        Probe::from_specific_probe(Box::new(Self { chip: Arc::clone(chip), registers, left }))
    }

    /// Counts an access to memory.
    fn access(&mut self) -> Result<(), ArmError> {
        self.left = self
            .left
            .checked_sub(1)
            .ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(())
    }

    fn chip(&self) -> MutexGuard<'_, Chip> {
        self.chip.lock().expect("no test has panicked with the chip in hand")
    }

    /// The identification codes of the two ports, as the cores have them.
    fn codes(&self) -> (u32, u32) {
        match self.chip().core() {
            Core::M0 => (0x0BB1_1477, 0x0477_0021),
            _ => (0x2BA0_1477, 0x2477_0011),
        }
    }

    fn transfer_bytes(&self) -> u32 {
        1 << (self.registers.csw & 7)
    }

    fn advance(&mut self) {
        if self.registers.csw >> 4 & 3 == INCREMENT_SINGLE {
            let next = self.registers.tar.wrapping_add(self.transfer_bytes());
            let fixed = self.registers.tar & !(INCREMENT_WRAP - 1);
            self.registers.tar = fixed | next & (INCREMENT_WRAP - 1);
        }
    }

    fn read_memory(&mut self) -> Result<u32, ArmError> {
        self.access()?;
        let (address, size) = (self.registers.tar, self.transfer_bytes() as usize);
        let mut bytes = [0; 4];
        // Narrow transfers use the lanes that the address has in its word.
        let lane = if size < 4 { address as usize % 4 } else { 0 };
        let outcome = self.chip().read(address, &mut bytes[lane..lane + size]);
        outcome.map_err(failed)?;
        self.advance();
        Ok(u32::from_le_bytes(bytes))
    }

    fn write_memory(&mut self, value: u32) -> Result<(), ArmError> {
        self.access()?;
        let (address, size) = (self.registers.tar, self.transfer_bytes() as usize);
        let lane = if size < 4 { address as usize % 4 } else { 0 };
        let outcome = self.chip().write(address, &value.to_le_bytes()[lane..lane + size]);
        outcome.map_err(failed)?;
        self.advance();
        Ok(())
    }

    /// The address that a register of the selected access port has.
    fn access_port_register(&self, address: u8) -> Result<Option<u8>, ArmError> {
        if self.registers.control & POWER_REQUESTS != POWER_REQUESTS {
            return Err(ArmError::Dap(DapError::FaultResponse));
        }
        let selected = self.registers.select >> 24;
        let bank = (self.registers.select & 0xF0) as u8;
        Ok((selected == 0).then_some(bank | address & 0xC))
    }

    /// Words that can go over the bus in one piece: not the debugger's own registers, and not beyond the increment's wrap.
    fn goes_in_one_piece(&self, words: usize) -> bool {
        let Registers { tar, csw, .. } = self.registers;
        csw & 7 == 2
            && csw >> 4 & 3 == INCREMENT_SINGLE
            && tar < 0xE000_0000
            && tar % INCREMENT_WRAP + 4 * words as u32 <= INCREMENT_WRAP
            && self.registers.select & 0xF0 == 0
    }
}

fn failed(reason: std::io::Error) -> ArmError {
    match reason.kind() {
        std::io::ErrorKind::InvalidData => ArmError::Dap(DapError::FaultResponse),
        _ => ArmError::Probe(DebugProbeError::Usb(reason)),
    }
}

/// DRW, through which memory is read and written.
const DRW: u8 = 0xC;

impl RawDapAccess for EmulatedProbe {
    fn raw_read_register(&mut self, address: RegisterAddress) -> Result<u32, ArmError> {
        let value = match address {
            RegisterAddress::DpRegister(register) => match register.address & 0xC {
                0x0 => self.codes().0,
                0x4 => self.registers.control | (self.registers.control & POWER_REQUESTS) << 1,
                0xC => self.registers.last_read,
                _ => 0,
            },
            RegisterAddress::ApRegister(register) => match self.access_port_register(register)? {
                Some(0x00) => self.registers.csw & CSW_WRITABLE | CSW_ENABLED,
                Some(0x04) => self.registers.tar,
                Some(DRW) => self.read_memory()?,
                Some(0xF8) => ROM_TABLE,
                Some(0xFC) => self.codes().1,
                _ => 0,
            },
        };
        self.registers.last_read = value;
        Ok(value)
    }

    fn raw_write_register(&mut self, address: RegisterAddress, value: u32) -> Result<(), ArmError> {
        match address {
            RegisterAddress::DpRegister(register) => match register.address & 0xC {
                0x4 => self.registers.control = value & POWER_REQUESTS,
                0x8 => self.registers.select = value,
                _ => {}
            },
            RegisterAddress::ApRegister(register) => match self.access_port_register(register)? {
                Some(0x00) => self.registers.csw = value & CSW_WRITABLE,
                Some(0x04) => self.registers.tar = value,
                Some(DRW) => self.write_memory(value)?,
                _ => {}
            },
        }
        Ok(())
    }

    fn raw_read_block(
        &mut self,
        address: RegisterAddress,
        values: &mut [u32],
    ) -> Result<(), ArmError> {
        let is_memory =
            matches!(address, RegisterAddress::ApRegister(register) if register & 0xC == DRW);
        if is_memory && self.goes_in_one_piece(values.len()) {
            self.access()?;
            let mut bytes = vec![0; 4 * values.len()];
            let start = self.registers.tar;
            let outcome = self.chip().read(start, &mut bytes);
            outcome.map_err(failed)?;
            for (value, bytes) in values.iter_mut().zip(bytes.as_chunks::<4>().0) {
                *value = u32::from_le_bytes(*bytes);
                self.advance();
            }
            return Ok(());
        }
        for value in values {
            *value = self.raw_read_register(address)?;
        }
        Ok(())
    }

    fn raw_write_block(
        &mut self,
        address: RegisterAddress,
        values: &[u32],
    ) -> Result<(), ArmError> {
        let is_memory =
            matches!(address, RegisterAddress::ApRegister(register) if register & 0xC == DRW);
        if is_memory && self.goes_in_one_piece(values.len()) {
            self.access()?;
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let start = self.registers.tar;
            let outcome = self.chip().write(start, &bytes);
            outcome.map_err(failed)?;
            values.iter().for_each(|_| self.advance());
            return Ok(());
        }
        values.iter().try_for_each(|value| self.raw_write_register(address, *value))
    }

    fn jtag_sequence(&mut self, _: u8, _: bool, _: u64) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::UnsupportedProtocol(WireProtocol::Jtag))
    }

    fn swj_sequence(&mut self, _bit_len: u8, _bits: u64) -> Result<(), DebugProbeError> {
        // The port is always awake.
        Ok(())
    }

    fn swj_pins(&mut self, _: u32, _: u32, _: u32) -> Result<u32, DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "swj_pins" })
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn core_status_notification(&mut self, _: CoreStatus) -> Result<(), DebugProbeError> {
        Ok(())
    }
}

impl DapProbe for EmulatedProbe {}

impl DebugProbe for EmulatedProbe {
    fn get_name(&self) -> &str {
        "emulated chip"
    }

    fn speed_khz(&self) -> u32 {
        1000
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        Ok(speed_khz)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        Ok(())
    }

    fn detach(&mut self) -> Result<(), probe_rs::Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "target_reset" })
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "target_reset_assert" })
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        Err(DebugProbeError::CommandNotSupportedByProbe { command_name: "target_reset_deassert" })
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => Ok(()),
            WireProtocol::Jtag => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Swd)
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(ArmCommunicationInterface::create(self, sequence, false))
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }

    fn try_as_dap_probe(&mut self) -> Option<&mut dyn DapProbe> {
        Some(self)
    }
}
