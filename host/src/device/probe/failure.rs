//! probe-rs's errors as one line that says what a person can do.

use std::error::Error as StandardError;

use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::flashing::FlashError;
use probe_rs::probe::{DebugProbeError, ProbeCreationError};

use crate::error::Error;

/// What went wrong, judged by an error and all that it was caused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The chip refuses access until it is erased.
    Locked,
    /// The probe itself is gone.
    ProbeGone,
    /// The probe is there, the chip is not.
    ChipGone,
    /// The flash has no room there.
    NoFlash,
    /// Someone else has the probe, or it may not be opened.
    ProbeRefused,
    /// Something else.
    Other,
}

impl Cause {
    const fn advice(self) -> &'static str {
        match self {
            Cause::Locked => {
                "unlock it by erasing all of it (`probe-rs erase --allow-erase-all`), which loses what it holds"
            }
            Cause::ProbeGone => "check the cable to the probe, then run the command again",
            Cause::ChipGone => "check the board's power and the wires between probe and board",
            Cause::NoFlash => "use a smaller model or another board",
            Cause::ProbeRefused => {
                "close what else uses the probe, and check that you may use it (udev rules)"
            }
            Cause::Other => "try again; if it stays so, power the board off and on",
        }
    }
}

/// The error of trying to do something at `place`. All that caused it is quoted.
pub(super) fn explain(
    place: impl std::fmt::Display,
    doing: &str,
    error: &(dyn StandardError + 'static),
) -> Error {
    let mut cause = Cause::Other;
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if cause == Cause::Other {
            cause = judge(error);
        }
        let text = error.to_string();
        let text = text.trim_end_matches('.').to_string();
        // Some errors repeat what they were caused by.
        if !words.iter().any(|earlier| earlier.contains(&text)) {
            words.push(text);
        }
        next = error.source();
    }
    let problem = format!("{doing}: {}", words.join(": "));
    match cause {
        Cause::Other => Error::check_failed(place, problem, cause.advice()),
        _ => Error::bad_input(place, problem, cause.advice()),
    }
}

fn judge(error: &(dyn StandardError + 'static)) -> Cause {
    if let Some(probe_rs::Error::MissingPermissions(_)) = error.downcast_ref::<probe_rs::Error>() {
        return Cause::Locked;
    }
    if let Some(error) = error.downcast_ref::<ArmError>() {
        match error {
            ArmError::MissingPermissions(_) => return Cause::Locked,
            ArmError::NoTargetResponse { .. } => return Cause::ChipGone,
            ArmError::Dap(DapError::NoAcknowledge) => return Cause::ChipGone,
            _ => {}
        }
    }
    if let Some(error) = error.downcast_ref::<DebugProbeError>() {
        match error {
            DebugProbeError::Usb(_) => return Cause::ProbeGone,
            DebugProbeError::TargetNotFound => return Cause::ChipGone,
            DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::NotFound) => {
                return Cause::ProbeGone;
            }
            DebugProbeError::ProbeCouldNotBeCreated(_) => return Cause::ProbeRefused,
            _ => {}
        }
    }
    if let Some(FlashError::NoSuitableNvm { .. }) = error.downcast_ref::<FlashError>() {
        return Cause::NoFlash;
    }
    Cause::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(error: probe_rs::Error) -> (String, u8) {
        let error = explain("board", "cannot do it", &error);
        (error.to_string(), error.exit_code())
    }

    #[test]
    fn each_cause_has_its_line_and_its_advice() {
        let gone = std::io::Error::from(std::io::ErrorKind::NotConnected);
        let cases = [
            (probe_rs::Error::MissingPermissions("erase_all".into()), "unlock"),
            (ArmError::MissingPermissions("erase_all".into()).into(), "unlock"),
            (DebugProbeError::Usb(gone).into(), "cable"),
            (ArmError::Dap(DapError::NoAcknowledge).into(), "power and the wires"),
            (DebugProbeError::TargetNotFound.into(), "power and the wires"),
            (
                DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::CouldNotOpen).into(),
                "udev",
            ),
        ];
        for (error, advice) in cases {
            let (text, code) = line(error);
            assert!(text.starts_with("board: cannot do it: ") && text.contains(advice), "{text}");
            assert_eq!((code, text.lines().count()), (2, 1), "{text}");
        }
        let (text, code) = line(probe_rs::Error::Timeout);
        assert!(text.contains("try again"), "{text}");
        assert_eq!(code, 1);
    }
}
