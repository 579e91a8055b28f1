//! What the names of files and folders say: part, label, group.

use super::format::{Part, is_validation};

/// Where in a name a label or a group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamePlace {
    /// The file's name without its endings.
    Stem,
    /// The folder that the file is in.
    Folder,
    /// The nth part of the file's name, counted from 1, parts being separated by `_`, `-`, `.` or a blank.
    Piece(usize),
}

/// Folders whose names say the part and not the label.
const PART_FOLDERS: [&str; 9] =
    ["train", "training", "test", "testing", "val", "valid", "validation", "dev", "data"];

impl NamePlace {
    /// What an option's value means: `file`, `folder` or `file:2`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "file" => Some(Self::Stem),
            "folder" => Some(Self::Folder),
            _ => {
                let number = text.strip_prefix("file:")?.parse().ok()?;
                (number > 0).then_some(Self::Piece(number))
            }
        }
    }

    /// How options name it.
    pub fn option(self) -> String {
        match self {
            Self::Stem => "file".to_string(),
            Self::Folder => "folder".to_string(),
            Self::Piece(number) => format!("file:{number}"),
        }
    }

    /// What stands there in a path.
    pub fn of(self, path: &str) -> Option<String> {
        let stem = stem(path);
        match self {
            Self::Stem => Some(stem),
            Self::Folder => folders(path).into_iter().rev().find(|name| !is_part(name)),
            Self::Piece(number) => {
                stem.split(['_', '-', '.', ' ']).nth(number - 1).map(String::from)
            }
        }
        .filter(|name| !name.is_empty())
    }
}

/// The last part of a path without its endings.
pub fn stem(path: &str) -> String {
    let base = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let base = base.strip_suffix(".gz").unwrap_or(base);
    base.rsplit_once('.').map_or(base, |(stem, _)| stem).to_string()
}

fn folders(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = path.split(['/', '\\']).map(String::from).collect();
    parts.pop();
    parts
}

fn is_part(folder: &str) -> bool {
    PART_FOLDERS.iter().any(|name| name.eq_ignore_ascii_case(folder))
}

/// The part that a path announces, by the file's name or else by a folder below the data's own.
pub fn part_of(relative: &str) -> Part {
    let lower = relative.to_lowercase();
    let base = lower.rsplit(['/', '\\']).next().unwrap_or_default();
    let base = base.strip_suffix(".gz").unwrap_or(base);
    match Part::of(base) {
        Part::Unknown => {
            let folders = folders(&lower);
            let parts = folders.iter().map(|folder| match folder.as_str() {
                "train" | "training" => Part::Train,
                "test" | "testing" => Part::Test,
                word if is_validation(word) => Part::Validation,
                _ => Part::Unknown,
            });
            parts.into_iter().find(|part| *part != Part::Unknown).unwrap_or(Part::Unknown)
        }
        part => part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_labels_groups_and_parts() {
        let path = "d/train/seven/7_jackson_12.wav.gz";
        let of = |text: &str| NamePlace::parse(text).unwrap().of(path);
        assert_eq!(of("file").unwrap(), "7_jackson_12");
        assert_eq!(of("folder").unwrap(), "seven");
        assert_eq!(of("file:2").unwrap(), "jackson");
        assert_eq!(of("file:9"), None);
        assert_eq!(NamePlace::Folder.of("apple.csv"), None);
        assert_eq!(NamePlace::parse("file:0"), None);
        assert_eq!(NamePlace::parse("label"), None);
        assert_eq!(part_of("train/seven/a.wav"), Part::Train);
        assert_eq!(part_of("seven/test_1.csv.gz"), Part::Test);
        assert_eq!(part_of("contest/a.csv"), Part::Unknown);
        assert_eq!(part_of("valid/cat/a.png"), Part::Validation);
        assert_eq!(part_of("my_val.csv"), Part::Validation);
        assert_eq!(part_of("values.csv"), Part::Unknown);
        assert_eq!(part_of("latest.csv"), Part::Unknown);
        assert_eq!(part_of("strain_gauge_2.csv"), Part::Unknown);
        assert_eq!(part_of("datatest2.txt"), Part::Test);
        assert_eq!(part_of("datatraining.txt"), Part::Train);
        assert_eq!(part_of("latest_test.csv"), Part::Test);
    }
}
