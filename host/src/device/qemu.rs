//! An emulated board: QEMU in a folder of its own, reached over two named pipes.
//!
//! The firmware opens both pipes by semihosting, or they are the ends of its serial port. Each emulator lives in its own temporary
//! folder, so any number run side by side. It is killed when its [`Emulator`] is dropped, by whatever signal ends this program, and by
//! a `Guard` if that is killed itself; its folder goes with it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use nix::sys::stat::Mode;
use tinyhero_common::wire::endpoints::{FROM_BOARD, OFFERED, TO_BOARD};

use super::board::Board;
use super::firmware_image;
use super::guard::Guard;
use super::link::{Link, Pending};
use super::process;
use crate::error::{Error, Result};
use crate::leftovers::{self, Note, TemporaryFolder};

/// The two pipes of the serial port; QEMU appends `.in` and `.out`.
const SERIAL_PORT: &str = "tinyhero.serial-port";
/// Begins the name of an emulator's folder.
const FOLDER: &str = "tinyhero-board-";
/// The file that holds the model which the emulator puts into the board's memory before it starts.
const MODEL: &str = "model.hero";
/// What the emulator and the firmware's fault handler print.
const CONSOLE: &str = "console.txt";

/// The firmware's symbol for [`OFFERED`], in boards that exist in hardware too.
const OFFER: &str = tinyhero_common::semihosting_offer_symbol!();

/// `-icount shift=N`: every instruction advances the emulated time by 2^N nanoseconds.
const COUNT_SHIFT: u32 = 6;

/// Longest time from the emulator's start to the firmware's opening the link.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Longest time from the link's breaking to the emulator's end.
const END_LIMIT: Duration = Duration::from_millis(500);
/// How often a wait looks whether the emulator still runs.
const SLICE: Duration = Duration::from_millis(100);
/// Bytes of the console that are looked at, however much the firmware prints.
const MOST_CONSOLE_BYTES: u64 = 1 << 16;
/// Bytes taken from a pipe at once: a Linux pipe's capacity.
const CHUNK: usize = 1 << 16;

/// How an emulator is started.
#[derive(Clone, Debug, Default)]
pub struct Start<'a> {
    /// The model file that the board finds in its model region; without one it starts empty.
    pub model: Option<&'a [u8]>,
    /// Whether the board's clock counts instructions exactly, at some cost in speed.
    pub count_instructions: bool,
}

/// What an emulated board's bytes go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// Files that the firmware opens: fast, and nothing is lost.
    Semihosting,
    /// Its first serial port.
    SerialPort,
}

impl Wire {
    /// Names of the pipes to and from the board.
    fn pipes(self) -> [String; 2] {
        match self {
            Wire::Semihosting => {
                [TO_BOARD, FROM_BOARD].map(|name| name.to_string_lossy().into_owned())
            }
            Wire::SerialPort => ["in", "out"].map(|end| format!("{SERIAL_PORT}.{end}")),
        }
    }
}

/// A running emulated board. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    board: String,
    wire: Wire,
    process: Process,
    to_board: File,
    from_board: File,
    /// Read while sending, so that neither end waits for the other.
    pending: Pending,
    folder: TemporaryFolder,
}

/// The emulator's process, which ends when this is dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    guard: Option<Guard>,
    _note: Note,
}

impl Drop for Process {
    fn drop(&mut self) {
        // First the guard, which must not meet another process of this number.
        self.guard = None;
        // The emulator may be waiting in a read, where it hears no gentler signal.
        leftovers::end(&mut self.child);
    }
}

impl Emulator {
    /// Starts `board` with the firmware `image` and waits until the firmware has opened the link.
    ///
    /// # Errors
    /// QEMU is missing or ends at once (the error holds what it printed), the model exceeds the board's region, or the firmware
    /// does not open the link in time.
    pub fn start(board: &Board, image: &Path, start: &Start<'_>) -> Result<Emulator> {
        Self::start_with(Wire::Semihosting, board, image, start)
    }

    /// The same with an image that speaks over the board's serial port. QEMU passes it 8 to 22 kB a second.
    ///
    /// # Errors
    /// See [`Emulator::start`]; whether the firmware has opened the port is seen by its first answer only.
    pub fn start_on_serial_port(
        board: &Board,
        image: &Path,
        start: &Start<'_>,
    ) -> Result<Emulator> {
        Self::start_with(Wire::SerialPort, board, image, start)
    }

    fn start_with(wire: Wire, board: &Board, image: &Path, start: &Start<'_>) -> Result<Emulator> {
        let place = std::env::temp_dir();
        let folder = TemporaryFolder::new(&place, FOLDER)
            .map_err(|reason| Error::writing(&place, &reason))?;
        let [to_board, from_board] = wire.pipes().map(|name| folder.path().join(name));
        for path in [&to_board, &from_board] {
            nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)
                .map_err(|reason| Error::writing(path, &reason.into()))?;
        }
        if let Some(model) = start.model {
            check_model_fits(board, model)?;
            write(&folder.path().join(MODEL), model)?;
        }
        // Opening a pipe's reading end without waiting always succeeds.
        let from_board = open_pipe(&from_board, OpenOptions::new().read(true))
            .map_err(|reason| Error::reading(&from_board, &reason))?;
        let mut process = spawn(wire, board, image, start, folder.path())?;
        let to_board = connect(board, &mut process.child, folder.path(), &to_board)?;
        Ok(Emulator {
            board: board.name.clone(),
            wire,
            process,
            to_board,
            from_board,
            pending: Pending::default(),
            folder,
        })
    }

    /// Instructions that `ticks` of `board`'s clock are, when started with [`Start::count_instructions`].
    pub fn instructions(board: &Board, ticks: u64) -> u64 {
        (ticks as f64 * board.nanoseconds_per_tick() / f64::from(1_u32 << COUNT_SHIFT)).round()
            as u64
    }

    /// Waits until `pipe` is ready for `events`, `slice` at most; false if it is not.
    fn poll(pipe: &File, events: PollFlags, slice: Duration) -> std::io::Result<bool> {
        let mut polled = [PollFd::new(pipe.as_fd(), events)];
        let timeout = PollTimeout::try_from(slice).unwrap_or(PollTimeout::ZERO);
        match nix::poll::poll(&mut polled, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(reason) => Err(reason.into()),
        }
    }

    /// Takes what has arrived without waiting; false if nothing has. The pipe's end counts as nothing: whether the emulator
    /// still runs is asked of the process.
    fn take(&mut self, received: &mut Vec<u8>) -> Result<bool> {
        let before = received.len();
        received.resize(before + CHUNK, 0);
        let outcome = self.from_board.read(&mut received[before..]);
        received.truncate(before + outcome.as_ref().copied().unwrap_or(0));
        match outcome {
            Ok(count) => Ok(count > 0),
            Err(reason)
                if matches!(reason.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Ok(false)
            }
            Err(reason) => Err(self.lost(&reason)),
        }
    }

    fn lost(&mut self, reason: &std::io::Error) -> Error {
        // Its pipes close a moment before the emulator has ended.
        let ended = process::wait(&mut self.process.child, END_LIMIT);
        let printed = console(self.folder.path());
        let problem = match ended {
            Ok(Some(status)) => format!("the emulator ended ({status}){printed}"),
            _ => format!("the link failed: {reason}{printed}"),
        };
        Error::check_failed(&self.board, problem, "run `tinyhero setup --check`, then try again")
    }

    fn check_alive(&mut self) -> Result<()> {
        if matches!(self.process.child.try_wait(), Ok(Some(_))) {
            return Err(self.lost(&ErrorKind::BrokenPipe.into()));
        }
        Ok(())
    }
}

impl Link for Emulator {
    fn send(&mut self, mut bytes: &[u8], deadline: Instant) -> Result<()> {
        while !bytes.is_empty() {
            if Instant::now() >= deadline {
                return Err(self.lost(&ErrorKind::TimedOut.into()));
            }
            match self.to_board.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(reason) if reason.kind() == ErrorKind::Interrupted => {}
                Err(reason) if reason.kind() == ErrorKind::WouldBlock => {
                    // The board may be waiting for us to take its answer before it reads on.
                    let mut pending = std::mem::take(&mut self.pending);
                    let taken = pending.fill(|bytes| self.take(bytes));
                    self.pending = pending;
                    if !taken? {
                        Self::poll(
                            &self.to_board,
                            PollFlags::POLLOUT,
                            SLICE.min(Duration::from_millis(1)),
                        )
                        .map_err(|reason| self.lost(&reason))?;
                    }
                    self.check_alive()?;
                }
                Err(reason) => return Err(self.lost(&reason)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, received: &mut Vec<u8>, deadline: Instant) -> Result<bool> {
        if self.pending.empty_into(received) {
            return Ok(true);
        }
        let mut at_end = false;
        loop {
            if self.take(received)? {
                return Ok(true);
            }
            self.check_alive()?;
            if Instant::now() >= deadline {
                return Ok(false);
            }
            if at_end {
                // A pipe at its end is always ready: give the dying emulator a moment to be seen as such.
                std::thread::sleep(Duration::from_millis(1));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            at_end = Self::poll(&self.from_board, PollFlags::POLLIN, SLICE.min(left))
                .map_err(|reason| self.lost(&reason))?;
        }
    }

    fn place(&self) -> &str {
        &self.board
    }

    fn patience(&self) -> Option<Duration> {
        match self.wire {
            // Pipes lose nothing.
            Wire::Semihosting => None,
            Wire::SerialPort => Some(Duration::from_secs(1)),
        }
    }

    fn circumstances(&self) -> String {
        console(self.folder.path())
    }
}

/// How an image that ends by itself did so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit status that the image asked for; `None` if the emulator was killed.
    pub status: Option<i32>,
    /// What the image and the emulator printed.
    pub printed: String,
}

/// Runs an image that needs no link to its end.
///
/// # Errors
/// QEMU is missing, or the image does not end within `limit`, when the emulator is killed.
pub fn run_to_end(board: &Board, image: &Path, limit: Duration) -> Result<Ended> {
    let finished = process::run(command(board, image)?.args(["-serial", "none"]), limit)?;
    Ok(Ended {
        status: finished.status.code(),
        printed: finished.standard_output + &finished.standard_error,
    })
}

fn check_model_fits(board: &Board, model: &[u8]) -> Result<()> {
    let room = board.model_room();
    if model.len() <= room {
        return Ok(());
    }
    Err(Error::bad_input(
        &board.name,
        format!("the model has {} bytes and the board room for {room}", model.len()),
        "use fewer bits, a smaller network or another board",
    ))
}

fn open_pipe(path: &Path, options: &mut OpenOptions) -> std::io::Result<File> {
    options.custom_flags(OFlag::O_NONBLOCK.bits()).open(path)
}

fn spawn(
    wire: Wire,
    board: &Board,
    image: &Path,
    start: &Start<'_>,
    folder: &Path,
) -> Result<Process> {
    let console = folder.join(CONSOLE);
    let output = File::create(&console).map_err(|reason| Error::writing(&console, &reason))?;
    let messages = output.try_clone().map_err(|reason| Error::writing(&console, &reason))?;
    let mut command = command(board, image)?;
    match wire {
        Wire::Semihosting => command.args(["-serial", "none"]),
        Wire::SerialPort => command
            .args(["-chardev", &format!("pipe,id=link,path={SERIAL_PORT}")])
            .args(["-serial", "chardev:link"]),
    };
    if start.model.is_some() {
        let address = board.memory.model.address;
        command.args(["-device", &format!("loader,file={MODEL},addr={address:#x},force-raw=on")]);
    }
    if start.count_instructions {
        command.args(["-icount", &format!("shift={COUNT_SHIFT},align=off,sleep=off")]);
    }
    command.current_dir(folder).stdin(Stdio::null()).stdout(output).stderr(messages);
    let failed = |program: &str, reason: std::io::Error| {
        Error::bad_input(program, format!("cannot start it: {reason}"), "run `tinyhero setup`")
    };
    let (child, note) =
        leftovers::start(&mut command).map_err(|reason| failed(super::setup::EMULATOR, reason))?;
    let mut process = Process { child, guard: None, _note: note };
    let guard = Guard::start(process.child.id(), folder).map_err(|reason| failed("sh", reason))?;
    process.guard = Some(guard);
    Ok(process)
}

/// QEMU for `board` with `image`, which may end it and print by semihosting.
fn command(board: &Board, image: &Path) -> Result<Command> {
    let Some(emulation) = &board.qemu else {
        return Err(Error::bad_input(
            &board.name,
            "QEMU does not emulate this board",
            "see `tinyhero boards`",
        ));
    };
    let image: PathBuf = image.canonicalize().map_err(|reason| Error::reading(image, &reason))?;
    let mut command = Command::new(super::setup::EMULATOR);
    command
        .args(["-machine", &emulation.machine])
        .args(["-nographic", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(sandbox())
        .arg("-kernel")
        .arg(&image)
        .args(&emulation.arguments);
    if let Some(address) = firmware_image::symbol(&image, OFFER)? {
        let offer = format!("loader,addr={address:#x},data={OFFERED:#x},data-len=8");
        command.args(["-device", &offer]);
    }
    Ok(command)
}

/// Options by which the emulator can start no other program, where it has them (on Linux).
///
/// Semihosting would start any that the firmware asks for, and the firmware runs models from strangers. None is known to reach that;
/// this way none could.
fn sandbox() -> &'static [&'static str] {
    const OPTIONS: [&str; 2] =
        ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"];
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let mut question = Command::new(super::setup::EMULATOR);
        let answer = process::run(question.args(OPTIONS).arg("-version"), Duration::from_secs(20));
        answer.is_ok_and(|finished| finished.status.success())
    });
    if *known { &OPTIONS } else { &[] }
}

/// Opens the pipe to the board as soon as the board has opened its end.
fn connect(board: &Board, process: &mut Child, folder: &Path, path: &Path) -> Result<File> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match open_pipe(path, OpenOptions::new().write(true)) {
            Ok(pipe) => return Ok(pipe),
            Err(reason) if reason.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32) => {}
            Err(reason) => return Err(Error::writing(path, &reason)),
        }
        if let Ok(Some(status)) = process.try_wait() {
            return Err(Error::check_failed(
                &board.name,
                format!("the emulator ended at its start ({status}){}", console(folder)),
                "run `tinyhero setup --check`, then try again",
            ));
        }
        if Instant::now() >= deadline {
            return Err(Error::check_failed(
                &board.name,
                format!(
                    "the firmware did not start within {} s{}",
                    START_LIMIT.as_secs(),
                    console(folder)
                ),
                "see whether the machine is overloaded, then try again",
            ));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What was printed, shortened and ready to be appended to a sentence.
fn console(folder: &Path) -> String {
    const LONGEST: usize = 300;
    let mut text = Vec::new();
    if let Ok(file) = File::open(folder.join(CONSOLE)) {
        let _ = file.take(MOST_CONSOLE_BYTES).read_to_end(&mut text);
    }
    let text = String::from_utf8_lossy(&text);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = words.chars().take(LONGEST).collect::<String>();
    if words.is_empty() { words } else { format!(": {words}") }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    std::fs::write(path, bytes).map_err(|reason| Error::writing(path, &reason))
}
