//! What a format of data files is: how its files are recognised, and how they become a data set.

use super::options::DataOptions;
use super::source::Source;
use super::{Convention, Dataset, SampleShape};
use crate::error::Result;
use crate::task::Task;
use std::cell::RefCell;
use std::path::Path;

/// One format of data files. [`FORMATS`](super::FORMATS) has them all.
pub trait Format {
    /// Its name in reports and JSON, in kebab case.
    const NAME: &'static str;
    /// What its files are, for help texts and advice; it completes "give … files".
    const HELP: &'static str;
    /// Whether large files are left on disk and read in pieces.
    const IN_PIECES: bool = false;

    /// Whether a file is of this format, by its content.
    fn recognise(candidate: &Candidate) -> Recognition;

    /// The data set that all files of this format in one folder are, or the lone file.
    ///
    /// # Errors
    /// One line that names the file and, where there is one, the row.
    fn read(request: &Request<'_>, files: &[File], beside: &[File]) -> Result<Dataset>;
}

/// A [`Format`] as an entry of the list.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// [`Format::NAME`].
    pub name: &'static str,
    /// [`Format::HELP`].
    pub help: &'static str,
    pub(super) in_pieces: bool,
    pub(super) recognise: fn(&Candidate) -> Recognition,
    pub(super) read: fn(&Request<'_>, &[File], &[File]) -> Result<Dataset>,
}

impl Entry {
    /// The entry of a format.
    pub const fn of<F: Format>() -> Self {
        Self {
            name: F::NAME,
            help: F::HELP,
            in_pieces: F::IN_PIECES,
            recognise: F::recognise,
            read: F::read,
        }
    }
}

/// A file whose format is asked for.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The last part of its path, without a `.gz` ending, in lower case.
    pub base_name: String,
    /// Its first 4,096 bytes, unpacked.
    pub start: Vec<u8>,
    /// Its length in bytes, unpacked; `None` while a packed file has not been unpacked.
    pub length: Option<u64>,
    /// The part that its name announces.
    pub part: Part,
    /// Whether it stands in a folder with other files, among which may be notes and licences.
    pub in_folder: bool,
}

impl Candidate {
    /// Whether the beginning is plain text.
    pub fn is_text(&self) -> bool {
        !self.start.is_empty()
            && self.start.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r'))
    }

    /// Whether this is a tar archive, which no data set is read from.
    pub fn is_archive(&self) -> bool {
        self.start.get(257..262) == Some(b"ustar")
    }
}

/// What a format says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognition {
    /// It is not of this format.
    No,
    /// It is of this format.
    Yes,
    /// It goes with files of this format, such as a list of class names, and has at most this many bytes.
    Beside(u64),
    /// Only its length can tell: ask again when it has been unpacked.
    NeedsLength,
    /// It is of this format if nothing else in the folder is of any.
    IfNoOther,
}

/// The part of a data set that a file name announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Training data.
    Train,
    /// Test data.
    Test,
    /// Data for choices during development.
    Validation,
    /// It says nothing.
    Unknown,
}

impl Part {
    /// The part that a name in lower case announces.
    pub fn of(base_name: &str) -> Self {
        /// Words that have one of those in them and mean something else.
        const OTHERS: [&str; 12] = [
            "latest",
            "contest",
            "greatest",
            "fastest",
            "shortest",
            "lightest",
            "brightest",
            "protest",
            "attest",
            "strain",
            "constrain",
            "restrain",
        ];
        let word = |word: &str| !OTHERS.contains(&word);
        let words = base_name.split(|c: char| !c.is_alphabetic()).filter(|one| word(one));
        let words = words.collect::<Vec<_>>().join(" ");
        let has = |wanted: &[&str]| wanted.iter().any(|wanted| words.contains(wanted));
        let base_has = |wanted: &[&str]| wanted.iter().any(|wanted| base_name.contains(wanted));
        if has(&["train"]) || base_has(&["data_batch"]) || base_name.ends_with(".tra") {
            Self::Train
        } else if has(&["test"]) || base_has(&["t10k"]) || base_name.ends_with(".tes") {
            Self::Test
        } else if base_name.split(|c: char| !c.is_alphanumeric()).any(is_validation) {
            Self::Validation
        } else {
            Self::Unknown
        }
    }
}

/// Whether a word of a name in lower case announces validation data.
pub fn is_validation(word: &str) -> bool {
    ["val", "valid", "validation", "validate", "dev"].contains(&word)
}

/// A file of a known format.
pub struct File {
    /// Its contents.
    pub source: Source,
    /// The part that its name announces.
    pub part: Part,
    /// Its path below the folder of the data, as far as that is known.
    pub place: String,
}

/// What is asked of a format besides its files.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The name or path that the data set is opened by, for errors.
    pub name: &'a str,
    /// The folder or file.
    pub path: &'a Path,
    /// Decides the split of a lone file.
    pub seed: u64,
    /// The shape that the user gave to rows.
    pub shape: Option<SampleShape>,
    /// What samples have to be like for a network that exists; `None` to measure it.
    pub convention: Option<&'a Convention>,
    /// What the user says of the data.
    pub options: &'a DataOptions,
    /// What the user is told about it: guesses and doubts, a line each.
    pub notes: &'a RefCell<Vec<String>>,
}

impl Request<'_> {
    /// Tells the user something, once.
    pub fn note(&self, text: String) {
        let mut notes = self.notes.borrow_mut();
        if !notes.contains(&text) {
            notes.push(text);
        }
    }

    /// What the data is for: as the network has it, as the user says, else classes.
    pub fn task(&self) -> Task {
        let by_network = self.convention.map(|network| network.task);
        by_network.or(self.options.task).unwrap_or_default()
    }
}
