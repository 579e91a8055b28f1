//! Data sets from the file system: which file is of which format, by its content.

use super::description::{self, Description};
use super::format::{Candidate, Entry, File, Part, Recognition, Request};
use super::formats::{FORMATS, listed};
use super::naming::part_of;
use super::source::{Budget, MOST_BYTES, Opened, Source};
use super::{Convention, DataOptions, Dataset, SampleShape, archive, digest, digits, foreign};
use crate::error::{Error, Result};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// Most visible files of a folder and the folders in it.
const MOST_FILES: usize = 20_000;
/// Folders in folders that are entered.
const DEEPEST: usize = 6;
/// Files that are named when they are passed over.
const MOST_NAMED: usize = 5;

fn advice() -> String {
    format!("give {} files, gz or not", listed())
}

/// Opens a folder, a file, an archive or a description; `seed` splits what file names do not split.
pub fn open(
    name: &str,
    seed: u64,
    convention: Option<&Convention>,
    options: &DataOptions,
    notes: &RefCell<Vec<String>>,
) -> Result<Dataset> {
    let (path, shape) = split_shape(name);
    let path = Path::new(path);
    if description::is_one(path) {
        let found = Description::read(path)?;
        if description::is_one(Path::new(split_shape(&found.path).0)) {
            let problem = "describes another description";
            return Err(Error::bad_input(path.display(), problem, "give the path of data in it"));
        }
        let (options, data) = (options.or(&found.options), found.path);
        let data = shape.map_or(data.clone(), |shape| format!("{}:{shape}", split_shape(&data).0));
        let bundled = digits::open(&data, seed)?;
        let dataset = match bundled {
            Some(bundled) => bundled,
            None => open(&data, seed, convention, &options, notes)?,
        };
        return Ok(Dataset { name: name.to_string(), ..dataset });
    }
    let metadata = std::fs::metadata(path).map_err(|reason| match reason.kind() {
        std::io::ErrorKind::NotFound => Error::bad_input(
            path.display(),
            "is neither a bundled data set nor an existing path",
            format_args!("use {}, or a folder or file", digits::NAMES.join(", ")),
        ),
        _ => Error::reading(path, &reason),
    })?;
    let mut found = Sorted::default();
    let mut budget = Budget::whole();
    if metadata.is_dir() {
        let paths = list(path)?;
        for file in &paths {
            let place = file.strip_prefix(path).unwrap_or(file).display().to_string();
            found.add(Opened::open(file)?, place, true, &mut budget)?;
        }
        found.settle(&mut |place| Opened::open(&path.join(place)), &mut budget)?;
        // A folder with one archive is that archive.
        let archives: Vec<&PathBuf> = match found.is_empty() {
            true => paths.iter().filter(|file| is_archive(file)).collect(),
            false => Vec::new(),
        };
        if let [only] = archives.as_slice() {
            found = Sorted::default();
            found.add_archive(Opened::open(only)?, &mut budget)?;
        }
    } else {
        let opened = Opened::open(path)?;
        let is_npz = FORMATS.iter().any(|format| {
            let candidate = candidate(&opened, "", false);
            (format.recognise)(&candidate) == Recognition::Yes
        });
        let other_zip = foreign::zip_kind(&opened.start).is_some();
        if archive::kind(&opened.start).is_some() && !is_npz && !other_zip {
            found.add_archive(opened, &mut budget)?;
        } else {
            let place = path.file_name().map(|name| name.to_string_lossy().into_owned());
            found.add(opened, place.unwrap_or_default(), false, &mut budget)?;
            found.settle(&mut |_| Opened::open(path), &mut budget)?;
        }
    }
    let request = Request { name, path, seed, shape, convention, options, notes };
    let mut with_data = found.found.iter().filter(|found| !found.files.is_empty());
    let (Some(first), second) = (with_data.next(), with_data.next()) else {
        return Err(found.nothing(path));
    };
    if let Some(second) = second {
        let name =
            |found: &Found| found.files.first().map_or("", |file| file.place.as_str()).to_string();
        let (one, other) = (name(first), name(second));
        let problem = format_args!(
            "mixes data formats: {} ({one}) and {} ({other})",
            first.format.help, second.format.help
        );
        let advice = "keep each data set in a folder of its own";
        return Err(Error::bad_input(path.display(), problem, advice));
    }
    found.tell_passed_over(&request);
    let dataset = (first.format.read)(&request, &first.files, &first.beside)?;
    let sources = first.files.iter().chain(&first.beside);
    let digest = digest::of(sources.map(|file| (file.part, &file.source)))?;
    Ok(Dataset { digest, ..dataset })
}

fn is_archive(path: &Path) -> bool {
    Opened::open(path).is_ok_and(|opened| archive::kind(&opened.start).is_some())
}

/// What formats are asked about.
fn candidate(opened: &Opened, place: &str, in_folder: bool) -> Candidate {
    Candidate {
        base_name: opened.base_name(),
        start: opened.start.clone(),
        length: opened.length,
        part: part_of(place),
        in_folder,
    }
}

/// Separates the `:HxWxC` (or `:HxW`) at the end of `PATH:HxWxC`.
fn split_shape(name: &str) -> (&str, Option<SampleShape>) {
    match name.rsplit_once(':') {
        Some((path, text)) => match text.parse() {
            Ok(shape) => (path, Some(shape)),
            Err(_) => (name, None),
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

/// The visible files of a folder and of the folders in it, by name.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut folders = vec![(folder.to_path_buf(), 0)];
    while let Some((inside, depth)) = folders.pop() {
        let entries =
            std::fs::read_dir(&inside).map_err(|reason| Error::reading(&inside, &reason))?;
        for entry in entries {
            let path = entry.map_err(|reason| Error::reading(&inside, &reason))?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if name.is_none_or(|name| name.starts_with('.') || name == "__MACOSX") {
                continue;
            }
            if path.is_file() {
                paths.push(path);
            } else if path.is_dir() && !path.is_symlink() && depth < DEEPEST {
                folders.push((path, depth + 1));
            }
            if paths.len() + folders.len() > MOST_FILES {
                return Err(Error::bad_input(
                    folder.display(),
                    format_args!("holds more than {MOST_FILES} files"),
                    "keep each data set in a folder of its own",
                ));
            }
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

/// Files by what their content says.
#[derive(Default)]
struct Sorted {
    found: Vec<Found>,
    /// What is of a format only if nothing else is of any.
    others: Vec<(&'static Entry, String)>,
    /// Files that no data is read from, with what they are.
    passed_over: Vec<(String, Option<(&'static str, &'static str)>)>,
}

impl Sorted {
    /// The place of a format's files.
    fn place(&mut self, format: &'static Entry) -> &mut Found {
        let known = self.found.iter().position(|found| found.format.name == format.name);
        let index = known.unwrap_or(self.found.len());
        if known.is_none() {
            self.found.push(Found { format, files: Vec::new(), beside: Vec::new() });
        }
        &mut self.found[index]
    }

    /// Puts one file where its content says. In a folder, other files (notes, licences) are passed over.
    fn add(
        &mut self,
        opened: Opened,
        place: String,
        in_folder: bool,
        budget: &mut Budget,
    ) -> Result<()> {
        let mut candidate = candidate(&opened, &place, in_folder);
        let part = candidate.part;
        let mut answers = FORMATS.iter().map(|format| (format, (format.recognise)(&candidate)));
        match answers.find(|(_, answer)| *answer != Recognition::No) {
            Some((format, Recognition::Beside(most))) => {
                let source = read_at_most(opened, most, budget)?;
                self.place(format).beside.push(File { part, source, place });
                return Ok(());
            }
            _ if candidate.start.is_empty() && in_folder && part == Part::Unknown => {
                self.passed_over.push((place, Some(("empty", ""))));
                return Ok(());
            }
            _ if candidate.start.is_empty() => {
                return Err(Error::bad_input(&opened.name, "is empty", advice()));
            }
            Some((format, Recognition::Yes)) => {
                let source = taken(format, opened, budget)?;
                self.place(format).files.push(File { part, source, place });
                return Ok(());
            }
            Some((format, Recognition::IfNoOther)) => {
                self.others.push((format, place));
                return Ok(());
            }
            Some((_, Recognition::NeedsLength)) => {}
            Some((_, Recognition::No)) | None => {
                let kind = foreign::name(&candidate.start);
                let may_be_another = part == Part::Unknown || candidate.is_text() || kind.is_some();
                if in_folder && may_be_another {
                    self.passed_over.push((place, kind));
                    return Ok(());
                }
                if !in_folder && opened.length.is_some_and(|length| length > MOST_BYTES) {
                    // Says that it is too long, whatever it is.
                    opened.read(budget)?;
                    return Ok(());
                }
                return Err(unknown(&opened.name, kind));
            }
        }
        let source = opened.read(budget)?;
        candidate.length = Some(source.bytes.len() as u64);
        let mut formats = FORMATS.iter();
        let kind = foreign::name(&candidate.start);
        match formats.find(|format| (format.recognise)(&candidate) == Recognition::Yes) {
            Some(format) => self.place(format).files.push(File { part, source, place }),
            None if in_folder && (part == Part::Unknown || kind.is_some()) => {
                self.passed_over.push((place, kind));
            }
            None => return Err(unknown(&source.name, kind)),
        }
        Ok(())
    }

    /// Whether no data was found.
    fn is_empty(&self) -> bool {
        self.found.iter().all(|found| found.files.is_empty())
    }

    /// Reads what may be data if nothing else is, else passes it over.
    fn settle(
        &mut self,
        open: &mut dyn FnMut(&str) -> Result<Opened>,
        budget: &mut Budget,
    ) -> Result<()> {
        let alone = self.is_empty();
        for (format, place) in std::mem::take(&mut self.others) {
            if alone {
                let (part, source) = (part_of(&place), taken(format, open(&place)?, budget)?);
                self.place(format).files.push(File { part, source, place });
            } else {
                self.passed_over.push((place, None));
            }
        }
        Ok(())
    }

    /// Puts the files of an archive where their contents say.
    fn add_archive(&mut self, opened: Opened, budget: &mut Budget) -> Result<()> {
        let Some(kind) = archive::kind(&opened.start) else { return Ok(()) };
        let name = opened.name.clone();
        let mut kept = Vec::new();
        for (place, bytes) in archive::members(opened, kind)? {
            let others = self.others.len();
            let member = Opened::of_bytes(format!("{name}/{place}"), bytes.clone())?;
            self.add(member, place, true, budget)?;
            if self.others.len() > others {
                kept.push(bytes);
            }
        }
        let mut kept = kept.into_iter();
        let mut next = |place: &str| {
            Opened::of_bytes(format!("{name}/{place}"), kept.next().unwrap_or_default())
        };
        self.settle(&mut next, budget)
    }

    /// Tells which files were not read.
    fn tell_passed_over(&self, request: &Request<'_>) {
        if self.passed_over.is_empty() {
            return;
        }
        let mut names: Vec<String> = self
            .passed_over
            .iter()
            .take(MOST_NAMED)
            .map(|(name, kind)| match kind {
                Some((kind, _)) => format!("{name} ({kind})"),
                None => name.clone(),
            })
            .collect();
        if self.passed_over.len() > MOST_NAMED {
            names.push(format!("… ({} in all)", self.passed_over.len()));
        }
        request.note(format!("passed over: {}", names.join(", ")));
    }

    /// The error for a folder without data: names what is in it instead.
    fn nothing(&self, path: &Path) -> Error {
        let foreign = self.passed_over.iter().find_map(|(name, kind)| Some((name, (*kind)?)));
        match foreign.filter(|(_, (_, advice))| !advice.is_empty()) {
            Some((name, (kind, advice))) => {
                let count = self.passed_over.len();
                let problem = format_args!(
                    "holds no data set among {count} files: {name} is {kind}, which is not read here"
                );
                Error::bad_input(path.display(), problem, advice)
            }
            None => Error::bad_input(path.display(), "holds no data set", advice()),
        }
    }
}

/// A file as its format wants it: in memory, or left on disk.
fn taken(format: &Entry, opened: Opened, budget: &mut Budget) -> Result<Source> {
    if format.in_pieces { opened.leave(budget) } else { opened.read(budget) }
}

fn unknown(name: &str, kind: Option<(&str, &str)>) -> Error {
    match kind {
        Some((kind, advice)) => Error::bad_input(
            name,
            format_args!("is {kind}, which no data set is read from"),
            advice,
        ),
        None => Error::bad_input(name, "has no known format (a damaged or cut file?)", advice()),
    }
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
