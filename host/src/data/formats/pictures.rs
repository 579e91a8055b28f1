//! Folders of pictures, PNG or JPEG, grey or in colours; the label is the folder that a picture is in, or a part of its name.

mod decode;

pub use decode::Picture;

use crate::data::format::{Candidate, File, Format, Recognition, Request};
use crate::data::named::labels_of_names;
use crate::data::naming::stem;
use crate::data::table::{LineNumbers, Table, assemble};
use crate::data::{Column, Dataset, SampleShape};
use crate::error::{Error, Result};

/// PNG and JPEG pictures.
pub struct Pictures;

impl Format for Pictures {
    const NAME: &'static str = "pictures";
    const HELP: &'static str = "PNG or JPEG pictures";

    fn recognise(candidate: &Candidate) -> Recognition {
        let begins = |magic: &[u8]| candidate.start.starts_with(magic);
        match candidate.in_folder && (begins(decode::PNG) || begins(decode::JPEG)) {
            true => Recognition::IfNoOther,
            false => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        // By their names before their folders, so that numbered pictures come in the order of their numbers whatever their class.
        let mut files: Vec<&File> = files.iter().collect();
        files.sort_by_cached_key(|file| (natural(&stem(&file.place)), file.place.clone()));
        let open = |file: &&File| Picture::decode(&file.source.name, &file.source.bytes);
        let mut pictures = files.iter().map(open).collect::<Result<Vec<_>>>()?;
        let Some(first) = pictures.first() else {
            return Err(Error::bad_input(request.name, "holds no picture", "give PNG pictures"));
        };
        let (height, width) = (first.height, first.width);
        let colours = pictures.iter().map(|picture| picture.colours).max().unwrap_or(1);
        let by_network = request.convention.map(|network| network.shape);
        let asked = request.shape.or(by_network).filter(|shape| [1, 3].contains(&shape.channels));
        let shape = asked.unwrap_or(SampleShape::new(height, width, colours));
        let other =
            |picture: &Picture| (picture.height, picture.width) != (shape.height, shape.width);
        if let Some((file, picture)) = files.iter().zip(&pictures).find(|(_, one)| other(one)) {
            if asked.is_none() {
                let problem = format!(
                    "is {}x{} (height, width), but {} is {height}x{width}",
                    picture.height, picture.width, files[0].place
                );
                let advice = format!("give PATH:{height}x{width}x{colours} to resize all pictures");
                return Err(Error::bad_input(&file.source.name, problem, advice));
            }
            let count = pictures.iter().filter(|one| other(one)).count();
            request.note(format!(
                "resized: {count} pictures to {}x{} (height, width), by the means of areas",
                shape.height, shape.width
            ));
        }
        if pictures.iter().any(|picture| picture.colours > shape.channels) {
            request.note("colours became grey: 0.299 red + 0.587 green + 0.114 blue".to_string());
        }
        let mut tables = Vec::with_capacity(files.len());
        for (file, picture) in files.iter().zip(pictures.drain(..)) {
            let picture = picture.in_colours(shape.channels).resized(shape.height, shape.width);
            let mut table = Table::new(file.source.name.clone(), file.part, shape.elements());
            table.values.extend(picture.pixels.iter().map(|&value| f64::from(value)));
            table.lines = LineNumbers::counted(1);
            tables.push(table);
        }
        let columns = vec![Column::named(None); shape.elements()];
        let (tables, options) = labels_of_names(request, &files, tables, columns)?;
        let request = Request { shape: Some(shape), options: &options, ..*request };
        assemble(&request, Self::NAME, &tables)
            .map(|dataset| Dataset { options: options.clone(), ..dataset })
    }
}

/// A name for sorting: numbers in it by their size.
fn natural(name: &str) -> Vec<(u64, String)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let words = rest.find(|first: char| first.is_ascii_digit()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(words);
        let digits = after.find(|next: char| !next.is_ascii_digit()).unwrap_or(after.len());
        let (number, after) = after.split_at(digits);
        // A number of more than 19 digits is hardly a count.
        parts.push((0, word.to_lowercase()));
        parts.push((number.parse().unwrap_or(u64::MAX), String::new()));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn numbers_in_names_sort_by_their_size() {
        let mut names = ["img10", "img9", "IMG2", "a", "7_b", "img9b", "07_a"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["07_a", "7_b", "a", "IMG2", "img9", "img9b", "img10"]);
    }
}
