//! Data sets from the file system: which file is of which format, by its content.

use super::format::{Candidate, Entry, File, Part, Recognition, Request};
use super::formats::{FORMATS, listed};
use super::source::{Budget, MOST_BYTES, Opened, Source};
use super::{Convention, Dataset, SampleShape, digest, digits};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Most visible files of a folder.
const MOST_FILES: usize = 1_000;

fn advice() -> String {
    format!("give {} files, gz or not", listed())
}

/// Opens a folder or file; `seed` splits a lone file.
pub fn open(name: &str, seed: u64, convention: Option<&Convention>) -> Result<Dataset> {
    let (path, shape) = split_shape(name);
    let path = Path::new(path);
    let metadata = std::fs::metadata(path).map_err(|reason| match reason.kind() {
        std::io::ErrorKind::NotFound => Error::bad_input(
            path.display(),
            "is neither a bundled data set nor an existing path",
            format_args!("use {}, or a folder or file", digits::NAMES.join(", ")),
        ),
        _ => Error::reading(path, &reason),
    })?;
    let paths = if metadata.is_dir() { list(path)? } else { vec![path.to_path_buf()] };
    let mut found: Vec<Found> = Vec::new();
    let mut budget = Budget::whole();
    for path in &paths {
        add(&mut found, Opened::open(path)?, metadata.is_dir(), &mut budget)?;
    }
    let mut with_data = found.iter().filter(|found| !found.files.is_empty());
    let (Some(found), others) = (with_data.next(), with_data.count()) else {
        return Err(Error::bad_input(path.display(), "holds no data set", advice()));
    };
    if others > 0 {
        return Err(Error::bad_input(
            path.display(),
            "mixes data formats",
            "keep each data set in a folder of its own",
        ));
    }
    let request = Request { name, path, seed, shape, convention };
    let dataset = (found.format.read)(&request, &found.files, &found.beside)?;
    let sources = found.files.iter().chain(&found.beside);
    let digest = digest::of(sources.map(|file| (file.part, file.source.bytes.as_slice())));
    Ok(Dataset { digest, ..dataset })
}

/// Separates the `:HxWxC` (or `:HxW`) at the end of `PATH:HxWxC`.
fn split_shape(name: &str) -> (&str, Option<SampleShape>) {
    let parse = |text: &str| {
        let sizes: Option<Vec<usize>> = text
            .split('x')
            .map(|size| size.parse().ok().filter(|&size| size > 0 && size <= 65_536))
            .collect();
        match *sizes?.as_slice() {
            [height, width] => Some(SampleShape::new(height, width, 1)),
            [height, width, channels] => Some(SampleShape::new(height, width, channels)),
            _ => None,
        }
    };
    match name.rsplit_once(':') {
        Some((path, text)) => match parse(text) {
            Some(shape) => (path, Some(shape)),
            None => (name, None),
        },
        None => (name, None),
    }
}

/// A data set's name as it holds from any folder: bundled names as they are, the path of files made absolute.
pub fn located(name: &str) -> String {
    if digits::NAMES.contains(&name) {
        return name.to_string();
    }
    let (path, _) = split_shape(name);
    let shape = &name[path.len()..];
    // Without a current folder there is nothing to add.
    std::path::absolute(path)
        .map_or_else(|_| name.to_string(), |path| format!("{}{shape}", path.display()))
}

/// The visible files of a folder, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|reason| Error::reading(folder, &reason))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|reason| Error::reading(folder, &reason))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if path.is_file() && !hidden {
            paths.push(path);
        }
        if paths.len() > MOST_FILES {
            return Err(Error::bad_input(
                folder.display(),
                format_args!("holds more than {MOST_FILES} files"),
                "keep each data set in a folder of its own",
            ));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// The files of one format.
struct Found {
    format: &'static Entry,
    files: Vec<File>,
    beside: Vec<File>,
}

/// The place of a format's files.
fn place<'f>(found: &'f mut Vec<Found>, format: &'static Entry) -> &'f mut Found {
    let known = found.iter().position(|found| found.format.name == format.name);
    let index = known.unwrap_or(found.len());
    if known.is_none() {
        found.push(Found { format, files: Vec::new(), beside: Vec::new() });
    }
    &mut found[index]
}

/// Puts one file where its content says. In a folder, other files (notes, licences) are passed over.
fn add(found: &mut Vec<Found>, opened: Opened, in_folder: bool, budget: &mut Budget) -> Result<()> {
    let base_name = opened.base_name();
    let part = Part::of(&base_name);
    let (start, length) = (opened.start.clone(), opened.length);
    let mut candidate = Candidate { base_name, start, length, part, in_folder };
    let mut answers = FORMATS.iter().map(|format| (format, (format.recognise)(&candidate)));
    match answers.find(|(_, answer)| *answer != Recognition::No) {
        Some((format, Recognition::Beside(most))) => {
            let source = read_at_most(opened, most, budget)?;
            place(found, format).beside.push(File { part, source });
            return Ok(());
        }
        _ if candidate.start.is_empty() => {
            return Err(Error::bad_input(&opened.name, "is empty", advice()));
        }
        Some((format, Recognition::Yes)) => {
            place(found, format).files.push(File { part, source: opened.read(budget)? });
            return Ok(());
        }
        Some((_, Recognition::NeedsLength)) => {}
        Some((_, Recognition::No)) | None => {
            let may_be_another = part == Part::Unknown || candidate.is_text();
            if !in_folder && opened.length.is_some_and(|length| length > MOST_BYTES) {
                // Says that it is too long, whatever it is.
                opened.read(budget)?;
                return Ok(());
            }
            return if in_folder && may_be_another { Ok(()) } else { Err(unknown(&opened.name)) };
        }
    }
    let source = opened.read(budget)?;
    candidate.length = Some(source.bytes.len() as u64);
    let mut formats = FORMATS.iter();
    match formats.find(|format| (format.recognise)(&candidate) == Recognition::Yes) {
        Some(format) => place(found, format).files.push(File { part, source }),
        None if in_folder && part == Part::Unknown => {}
        None => return Err(unknown(&source.name)),
    }
    Ok(())
}

fn unknown(name: &str) -> Error {
    Error::bad_input(name, "has no known format (a damaged or cut file?)", advice())
}

/// A file that goes with others, which has only so many bytes.
fn read_at_most(opened: Opened, most: u64, budget: &mut Budget) -> Result<Source> {
    let name = opened.name.clone();
    let too_long = || {
        let problem = format_args!("has more than {most} bytes");
        Error::bad_input(&name, problem, "give one name per line")
    };
    if opened.length.is_some_and(|length| length > most) {
        return Err(too_long());
    }
    let source = opened.read(budget)?;
    if source.bytes.len() as u64 > most {
        return Err(too_long());
    }
    Ok(source)
}
