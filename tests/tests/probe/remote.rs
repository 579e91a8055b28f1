//! QEMU's two doors: the GDB stub, which runs and stops the core and has its registers, and qtest, which reads and writes the bus while the
//! core runs, as a memory access port does.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest time for any answer.
const LIMIT: Duration = Duration::from_secs(10);

fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let deadline = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LIMIT))?;
                return Ok(stream);
            }
            Err(reason) if Instant::now() >= deadline => return Err(reason),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The bus, by QEMU's qtest protocol: lines of text.
#[derive(Debug)]
pub struct Bus {
    stream: UnixStream,
}

impl Bus {
    pub fn connect(path: &Path) -> std::io::Result<Self> {
        Ok(Self { stream: connect(path)? })
    }

    fn ask(&mut self, request: &str) -> std::io::Result<String> {
        self.stream.write_all(request.as_bytes())?;
        let mut line = Vec::new();
        let mut chunk = [0; 8192];
        while !line.ends_with(b"\n") {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            line.extend_from_slice(&chunk[..count]);
        }
        let line = String::from_utf8_lossy(&line).trim().to_string();
        match line.strip_prefix("OK") {
            Some(rest) => Ok(rest.trim().to_string()),
            None => Err(std::io::Error::other(format!("qtest answered `{line}`"))),
        }
    }

    pub fn read(&mut self, address: u32, bytes: &mut [u8]) -> std::io::Result<()> {
        let text = self.ask(&format!("read {address:#x} {:#x}\n", bytes.len()))?;
        let digits = text.strip_prefix("0x").unwrap_or_default();
        if digits.len() != 2 * bytes.len() {
            return Err(std::io::Error::other(format!("qtest answered `{text}`")));
        }
        for (byte, place) in bytes.iter_mut().zip((0..digits.len()).step_by(2)) {
            *byte =
                u8::from_str_radix(&digits[place..place + 2], 16).map_err(std::io::Error::other)?;
        }
        Ok(())
    }

    pub fn write(&mut self, address: u32, bytes: &[u8]) -> std::io::Result<()> {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        self.ask(&format!("write {address:#x} {:#x} 0x{digits}\n", bytes.len())).map(|_| ())
    }
}

/// The core, by the GDB remote serial protocol.
#[derive(Debug)]
pub struct Stub {
    stream: UnixStream,
    arrived: Vec<u8>,
}

impl Stub {
    pub fn connect(path: &Path) -> std::io::Result<Self> {
        let mut stub = Self { stream: connect(path)?, arrived: Vec::new() };
        stub.ask("qSupported:xmlRegisters=arm")?;
        // The stub numbers the registers as this description does, and only once it was asked for.
        stub.ask("qXfer:features:read:target.xml:0,fff")?;
        Ok(stub)
    }

    /// Takes the next packet out of what has arrived.
    fn packet(&mut self) -> Option<String> {
        let start = self.arrived.iter().position(|&byte| byte == b'$')?;
        let end = start + self.arrived[start..].iter().position(|&byte| byte == b'#')?;
        if self.arrived.len() < end + 3 {
            return None;
        }
        let text = String::from_utf8_lossy(&self.arrived[start + 1..end]).into_owned();
        self.arrived.drain(..end + 3);
        Some(text)
    }

    fn fill(&mut self) -> std::io::Result<()> {
        let mut chunk = [0; 4096];
        let count = self.stream.read(&mut chunk)?;
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.arrived.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    fn answer(&mut self) -> std::io::Result<String> {
        loop {
            if let Some(text) = self.packet() {
                self.stream.write_all(b"+")?;
                return Ok(text);
            }
            self.fill()?;
        }
    }

    fn send(&mut self, text: &str) -> std::io::Result<()> {
        let sum = text.bytes().fold(0u8, u8::wrapping_add);
        self.stream.write_all(format!("${text}#{sum:02x}").as_bytes())
    }

    fn ask(&mut self, text: &str) -> std::io::Result<String> {
        self.send(text)?;
        self.answer()
    }

    fn command(&mut self, text: &str) -> std::io::Result<()> {
        match self.ask(text)?.as_str() {
            "OK" => Ok(()),
            other => Err(std::io::Error::other(format!("the stub answered `{other}` to {text}"))),
        }
    }

    /// Reads a register of a stopped core by the stub's number.
    pub fn register(&mut self, number: u32) -> std::io::Result<u32> {
        let text = self.ask(&format!("p{number:x}"))?;
        u32::from_str_radix(&text, 16).map(u32::swap_bytes).map_err(|_| {
            std::io::Error::other(format!("the stub answered `{text}` for register {number}"))
        })
    }

    pub fn set_register(&mut self, number: u32, value: u32) -> std::io::Result<()> {
        self.command(&format!("P{number:x}={:08x}", value.swap_bytes()))
    }

    pub fn set_breakpoint(&mut self, address: u32, set: bool) -> std::io::Result<()> {
        self.command(&format!("{}1,{address:x},2", if set { 'Z' } else { 'z' }))
    }

    /// Lets the core run; it stops at a breakpoint or by [`Stub::interrupt`].
    pub fn resume(&mut self) -> std::io::Result<()> {
        self.send("c")
    }

    pub fn step(&mut self) -> std::io::Result<()> {
        self.ask("s").map(|_| ())
    }

    /// Whether a running core has stopped by itself.
    pub fn has_stopped(&mut self) -> std::io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let filled = self.fill();
        self.stream.set_nonblocking(false)?;
        match filled {
            Err(reason) if reason.kind() != ErrorKind::WouldBlock => return Err(reason),
            _ => {}
        }
        match self.packet() {
            Some(_) => self.stream.write_all(b"+").map(|()| true),
            None => Ok(false),
        }
    }

    /// Stops a running core.
    pub fn interrupt(&mut self) -> std::io::Result<()> {
        self.stream.write_all(&[3])?;
        self.answer().map(|_| ())
    }

    /// Resets the whole machine, which is stopped and stays so.
    pub fn reset(&mut self) -> std::io::Result<()> {
        let command: String = b"system_reset".iter().map(|byte| format!("{byte:02x}")).collect();
        self.command(&format!("qRcmd,{command}"))?;
        // The reset comes before the next request is looked at.
        self.ask("?").map(|_| ())
    }
}
