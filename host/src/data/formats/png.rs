//! Folders of PNG pictures of one size, grey or in colours; the label is the folder that a picture is in, or a part of its name.

use crate::data::format::{Candidate, File, Format, Recognition, Request};
use crate::data::named::labels_of_names;
use crate::data::table::{Table, assemble};
use crate::data::{Column, Dataset, SampleShape};
use crate::error::{Error, Result};
use std::io::Cursor;

/// PNG pictures.
pub struct Png;

/// Most bytes of the pixels of a picture.
const MOST_BYTES: usize = 1 << 26;

impl Format for Png {
    const NAME: &'static str = "png";
    const HELP: &'static str = "PNG pictures";

    fn recognise(candidate: &Candidate) -> Recognition {
        match candidate.start.starts_with(b"\x89PNG\r\n\x1a\n") && candidate.in_folder {
            true => Recognition::IfNoOther,
            false => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        let pictures = files.iter().map(decode).collect::<Result<Vec<_>>>()?;
        let Some(first) = pictures.first() else {
            return Err(Error::bad_input(request.name, "holds no picture", "give PNG pictures"));
        };
        let channels = pictures.iter().map(|picture| picture.colours).max().unwrap_or(1);
        let shape = SampleShape::new(first.height, first.width, channels);
        let mut tables = Vec::with_capacity(files.len());
        for (file, picture) in files.iter().zip(&pictures) {
            if (picture.height, picture.width) != (first.height, first.width) {
                let problem = format!(
                    "is {}x{} (height, width), but {} is {}x{}",
                    picture.height, picture.width, files[0].place, first.height, first.width
                );
                return Err(Error::bad_input(
                    &file.source.name,
                    problem,
                    "give pictures of one size",
                ));
            }
            let mut table = Table::new(file.source.name.clone(), file.part, shape.elements());
            table.values.reserve_exact(shape.elements());
            for pixel in picture.pixels.chunks_exact(picture.colours) {
                // Grey ones among others have the same value in each colour.
                let value = |channel: usize| f64::from(pixel[channel.min(picture.colours - 1)]);
                table.values.extend((0..channels).map(value));
            }
            table.lines = vec![1];
            tables.push(table);
        }
        let columns = vec![Column::named(None); shape.elements()];
        let (tables, options) = labels_of_names(request, files, tables, columns)?;
        let request =
            Request { shape: request.shape.or(Some(shape)), options: &options, ..*request };
        assemble(&request, Self::NAME, &tables)
            .map(|dataset| Dataset { options: options.clone(), ..dataset })
    }
}

struct Picture {
    height: usize,
    width: usize,
    colours: usize,
    pixels: Vec<u8>,
}

fn decode(file: &File) -> Result<Picture> {
    let broken = |reason: &dyn std::fmt::Display| {
        let problem = format_args!("is not a whole PNG picture: {reason}");
        Error::bad_input(&file.source.name, problem, "fetch it again")
    };
    let limits = png::Limits { bytes: MOST_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(&file.source.bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|reason| broken(&reason))?;
    let size = reader.output_buffer_size().filter(|&size| size <= MOST_BYTES);
    let size = size.ok_or_else(|| broken(&"it is too large"))?;
    let samples = reader.output_color_type().0.samples();
    let colours = if samples > 2 { 3 } else { 1 };
    let (width, height) = reader.info().size();
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|reason| broken(&reason))?;
    let pixels = bytes[..info.buffer_size()].chunks_exact(samples);
    // Transparency is left out.
    let pixels = pixels.flat_map(|pixel| pixel[..colours].to_vec()).collect();
    Ok(Picture { height: height as usize, width: width as usize, colours, pixels })
}
