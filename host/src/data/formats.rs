//! The list of formats. A new one is a file here and a line below; help texts and advice follow.

mod cifar10;
pub(super) mod csv;
mod edge_impulse;
mod idx;
mod npz;
pub(super) mod pictures;
mod wav;

use super::format::Entry;

/// Every format, in the order in which they are tried.
pub const FORMATS: [Entry; 7] = [
    Entry::of::<idx::Idx>(),
    Entry::of::<npz::Npz>(),
    Entry::of::<pictures::Pictures>(),
    Entry::of::<wav::Wav>(),
    Entry::of::<edge_impulse::EdgeImpulse>(),
    Entry::of::<cifar10::Cifar10>(),
    Entry::of::<csv::Csv>(),
];

/// Their names for a reader, such as "A, B or C".
pub fn listed() -> String {
    match FORMATS.map(|format| format.help).as_slice() {
        [] => String::new(),
        [only] => (*only).to_string(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}
