//! One picture: PNG or JPEG to pixels of one or three bytes.

use std::io::Cursor;

use crate::error::{Error, Result};

/// Most bytes of the pixels of a picture.
const MOST_BYTES: usize = 1 << 26;

/// The beginning of a PNG file.
pub const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// The beginning of a JPEG file.
pub const JPEG: &[u8] = b"\xFF\xD8\xFF";

/// A picture in rows of pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// 1 for grey, 3 for red, green and blue.
    pub colours: usize,
    /// Bytes in height, width, colour order.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Reads a PNG or JPEG file; `name` is what errors quote.
    ///
    /// # Errors
    /// It is damaged, too large, or of colours that have no red, green and blue.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self> {
        let broken = |kind: &str, reason: &dyn std::fmt::Display| {
            let problem = format_args!("is not a whole {kind} picture: {reason}");
            Error::bad_input(name, problem, "fetch it again")
        };
        if bytes.starts_with(JPEG) {
            return jpeg(name, bytes, &|reason| broken("JPEG", reason));
        }
        png(name, bytes, &|reason| broken("PNG", reason))
    }

    /// The value of a pixel's colour; a grey one has the same in each.
    fn value(&self, place: usize, colour: usize) -> u8 {
        let place = place * self.colours + colour.min(self.colours - 1);
        self.pixels.get(place).copied().unwrap_or(0)
    }

    /// The picture in so many colours: grey is the weighted mean of red, green and blue (ITU-R BT.601).
    pub fn in_colours(self, colours: usize) -> Self {
        if colours == self.colours {
            return self;
        }
        let places = 0..self.height * self.width;
        let pixels = match colours {
            1 => places
                .map(|place| {
                    let [red, green, blue] =
                        [0, 1, 2].map(|colour| u32::from(self.value(place, colour)));
                    // At most 255: the weights are 1000 together.
                    ((299 * red + 587 * green + 114 * blue + 500) / 1000) as u8
                })
                .collect(),
            _ => {
                places.flat_map(|place| [0, 1, 2].map(|colour| self.value(place, colour))).collect()
            }
        };
        Self { colours, pixels, ..self }
    }

    /// The picture in another size: each new pixel is the mean of the area that it covers.
    pub fn resized(self, height: usize, width: usize) -> Self {
        if (height, width) == (self.height, self.width) {
            return self;
        }
        let (rows, columns) = (covered(self.height, height), covered(self.width, width));
        let mut pixels = Vec::with_capacity(height * width * self.colours);
        for row in &rows {
            for column in &columns {
                for colour in 0..self.colours {
                    let mut sum = 0.0;
                    for &(y, part) in row {
                        for &(x, share) in column {
                            let value = self.value(y * self.width + x, colour);
                            sum += part * share * f64::from(value);
                        }
                    }
                    // Shares are 1 together.
                    pixels.push(sum.round() as u8);
                }
            }
        }
        Self { height, width, pixels, ..self }
    }
}

/// For each of `to` new places the old ones that it covers, with their shares.
fn covered(from: usize, to: usize) -> Vec<Vec<(usize, f64)>> {
    let length = from as f64 / to as f64;
    let of = |place: usize| {
        let (start, end) = (place as f64 * length, (place + 1) as f64 * length);
        let last = (end.ceil() as usize).min(from);
        let parts = (start.floor() as usize..last).map(|old| {
            let inside = (end.min(old as f64 + 1.0) - start.max(old as f64)).max(0.0);
            (old, inside / length)
        });
        parts.filter(|(_, share)| *share > 0.0).collect()
    };
    (0..to).map(of).collect()
}

/// The refusal of a picture that would take too much memory.
fn too_large(name: &str, [width, height]: [usize; 2], colours: usize) -> Error {
    Error::bad_input(
        name,
        format_args!(
            "is {width}x{height} with {colours} colours, more than the {MOST_BYTES} bytes that are read"
        ),
        "make it smaller",
    )
}

fn png(
    name: &str,
    bytes: &[u8],
    broken: &dyn Fn(&dyn std::fmt::Display) -> Error,
) -> Result<Picture> {
    let limits = png::Limits { bytes: MOST_BYTES };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|reason| broken(&reason))?;
    let samples = reader.output_color_type().0.samples();
    let colours = if samples > 2 { 3 } else { 1 };
    let (width, height) = reader.info().size();
    let size = reader.output_buffer_size().filter(|&size| size <= MOST_BYTES);
    let size = size.ok_or_else(|| too_large(name, [width as usize, height as usize], colours))?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes).map_err(|reason| broken(&reason))?;
    let pixels = bytes[..info.buffer_size()].chunks_exact(samples);
    // Transparency is left out.
    let pixels = pixels.flat_map(|pixel| pixel[..colours].to_vec()).collect();
    Ok(Picture { height: height as usize, width: width as usize, colours, pixels })
}

fn jpeg(
    name: &str,
    bytes: &[u8],
    broken: &dyn Fn(&dyn std::fmt::Display) -> Error,
) -> Result<Picture> {
    let mut decoder = jpeg_decoder::Decoder::new(Cursor::new(bytes));
    decoder.set_max_decoding_buffer_size(MOST_BYTES);
    decoder.read_info().map_err(|reason| broken(&reason))?;
    let info = decoder.info().ok_or_else(|| broken(&"it has no size"))?;
    let (height, width) = (usize::from(info.height), usize::from(info.width));
    let colours = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 => 1,
        jpeg_decoder::PixelFormat::RGB24 => 3,
        jpeg_decoder::PixelFormat::L16 | jpeg_decoder::PixelFormat::CMYK32 => {
            let problem = "has colours that are neither grey nor red, green and blue of 8 bits";
            return Err(Error::bad_input(name, problem, "save it as RGB"));
        }
    };
    if height * width * colours > MOST_BYTES {
        return Err(too_large(name, [width, height], colours));
    }
    let pixels = decoder.decode().map_err(|reason| broken(&reason))?;
    if pixels.len() != height * width * colours {
        return Err(broken(&"pixels are missing"));
    }
    Ok(Picture { height, width, colours, pixels })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_picture_has_the_means_of_areas() {
        let picture =
            Picture { height: 2, width: 4, colours: 1, pixels: vec![0, 10, 20, 40, 2, 8, 20, 40] };
        assert_eq!(picture.clone().resized(1, 2).pixels, [5, 30]);
        let thirds = Picture { height: 1, width: 3, colours: 1, pixels: vec![30, 60, 90] };
        assert_eq!(thirds.clone().resized(1, 2).pixels, [40, 80]);
        assert_eq!(
            thirds.clone().resized(2, 6).pixels,
            [30, 30, 60, 60, 90, 90, 30, 30, 60, 60, 90, 90]
        );
        assert_eq!(thirds.clone().resized(1, 3), thirds);
        let rows: f64 = covered(7, 3).iter().flatten().map(|(_, share)| share).sum();
        assert!((rows - 3.0).abs() < 1e-12);
    }

    #[test]
    fn colours_become_grey_and_grey_becomes_colours() {
        let picture =
            Picture { height: 1, width: 2, colours: 3, pixels: vec![255, 255, 255, 255, 0, 0] };
        let grey = picture.in_colours(1);
        assert_eq!(grey.pixels, [255, 76]);
        assert_eq!(grey.in_colours(3).pixels, [255, 255, 255, 76, 76, 76]);
    }

    #[test]
    fn damaged_pictures_are_refused() {
        for bytes in [PNG.to_vec(), JPEG.to_vec(), [JPEG, &[0xE0; 40]].concat(), Vec::new()] {
            let error = Picture::decode("p", &bytes).unwrap_err().to_string();
            assert!(error.contains("is not a whole"), "{error}");
        }
    }
}
