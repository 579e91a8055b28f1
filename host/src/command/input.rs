//! One sample that a user gives: a picture, a row of text, raw numbers, or a test sample of a data set.

use std::path::Path;

use tinyhero_common::model::Model;
use tinyhero_common::tensor::SampleType;

use super::output::Output;
use super::samples;
use crate::artifact;
use crate::data::{DataOptions, Picture, sample_of_text};
use crate::deployment::integer::SampleParts;
use crate::deployment::meaning::{convention, notes_in};
use crate::error::{Error, Result};

/// Most bytes of a packed picture.
const MOST_PICTURE_BYTES: u64 = 1 << 26;

/// The raw values of one sample, and its label where the data has one.
///
/// # Errors
/// There is no such sample, or it is not what the model reads.
pub fn read(
    input: &str,
    data_options: &DataOptions,
    model: &Model<'_>,
    output: &Output,
) -> Result<(Vec<i16>, Option<u16>)> {
    let path = Path::new(input);
    if path.is_file() && model.inputs().count() > 1 {
        return Ok((read_raw(path, model)?, None));
    }
    if path.is_file() {
        let values = match path.extension().and_then(|extension| extension.to_str()) {
            Some("png" | "jpg" | "jpeg" | "PNG" | "JPG" | "JPEG") => {
                read_picture(path, model, output)?
            }
            _ => match read_text(path)? {
                Some(bytes) => {
                    output.line(format_args!(
                        "{}: read as text, in the data's own units",
                        path.display()
                    ));
                    sample_of_text(input, bytes, &convention(model, &notes_in(model)))?
                }
                None => read_raw(path, model)?,
            },
        };
        return Ok((values, None));
    }
    let Some((data, index)) = input.rsplit_once(':') else {
        return Err(Error::bad_input(
            format_args!("--input {input}"),
            "is no file and no DATA:INDEX",
            "give a picture, a row of text, a file of raw samples, or for example digits:7",
        ));
    };
    let index: usize = index.parse().map_err(|_| {
        Error::bad_input(
            format_args!("--input {input}"),
            "does not end with the number of a test sample",
            "give for example digits:7",
        )
    })?;
    let test = samples::open(data, None, data_options, model, output)?.test;
    match (test.sample(index), test.labels.get(index)) {
        (Some(sample), Some(&label)) => Ok((sample.to_vec(), Some(label))),
        _ => Err(Error::bad_input(
            format_args!("--input {input}"),
            format_args!("there are {} test samples, counted from 0", test.len()),
            "give a smaller number",
        )),
    }
}

/// Most bytes of a sample as text.
const MOST_TEXT_BYTES: u64 = 1 << 24;

/// The bytes of a file that is text; `None` for one that is not.
fn read_text(path: &Path) -> Result<Option<Vec<u8>>> {
    let length = std::fs::metadata(path).map_err(|reason| Error::reading(path, &reason))?.len();
    if length == 0 || length > MOST_TEXT_BYTES {
        return Ok(None);
    }
    let bytes = artifact::read_at_most(path, MOST_TEXT_BYTES)?;
    let is_text = |&byte: &u8| byte >= 0x20 && byte != 0x7F || b"\t\r\n".contains(&byte);
    let text = bytes.iter().all(is_text) && bytes.iter().any(u8::is_ascii_digit);
    Ok((text && std::str::from_utf8(&bytes).is_ok()).then_some(bytes))
}

fn read_raw(path: &Path, model: &Model<'_>) -> Result<Vec<i16>> {
    let expected = model.raw_input_bytes();
    let length = std::fs::metadata(path).map_err(|reason| Error::reading(path, &reason))?.len();
    let another_length = |length: u64| {
        Error::bad_input(
            path.display(),
            format_args!("has {length} bytes where the model reads {expected}"),
            "give one raw sample: height, width, channel order, i16 little-endian",
        )
    };
    if length != expected as u64 {
        return Err(another_length(length));
    }
    let bytes = artifact::read_at_most(path, length)?;
    if bytes.len() != expected {
        return Err(another_length(bytes.len() as u64));
    }
    Ok(SampleParts::of(model).values_of(&bytes))
}

fn read_picture(path: &Path, model: &Model<'_>, output: &Output) -> Result<Vec<i16>> {
    let bytes = artifact::read_at_most(path, MOST_PICTURE_BYTES)?;
    let picture = Picture::decode(&path.display().to_string(), &bytes)?;
    let shape = model.input().tensor.shape;
    let [height, width, colours] = [shape.height, shape.width, shape.channels].map(usize::from);
    if ![1, 3].contains(&colours) || model.input().quantization.sample_type != SampleType::U8 {
        return Err(Error::bad_input(
            path.display(),
            format_args!("is a picture, and the model reads {height}x{width} of {colours} values"),
            "give a row of text or a file of raw samples",
        ));
    }
    if (picture.height, picture.width) != (height, width) || picture.colours > colours {
        output.line(format_args!(
            "{}: made {height}x{width} of {colours} colours from {}x{} of {}, as for training",
            path.display(),
            picture.height,
            picture.width,
            picture.colours
        ));
    }
    let pixels = picture.in_colours(colours).resized(height, width).pixels;
    Ok(pixels.into_iter().map(i16::from).collect())
}
