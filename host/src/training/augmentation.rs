//! Random changes to training samples: of images on their raw values, of series on the values that the network reads.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::data::{Column, SampleShape};
use crate::error::{Error, Result};
use crate::random::{self, ChaCha8Rng};

/// The changes that every training sample goes through, each drawn anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Augmentation(Vec<Change>);

/// One kind of random change.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    /// Mirrored left to right half of the time.
    Flip,
    /// Moved by up to an eighth of the image (at least a pixel) in each direction; what comes in has raw value 0.
    Shift,
    /// Moved along time by up to this share of the sample; the first or last row fills what is free.
    TimeShift(f64),
    /// Normal noise of so many standard deviations of the channel.
    Noise(f64),
    /// All values times one factor within 1 ± this share.
    Amplitude(f64),
    /// The sign of these columns turned, half of the time.
    Negate(Vec<String>),
    /// Another training sample, or noise that the data has beside its classes, added at up to this share of its size.
    Background(f64),
}

/// Names, what their number is, and where it begins.
const KINDS: [(&str, f64); 4] =
    [("time-shift", 0.1), ("noise", 0.05), ("amplitude", 0.1), ("background", 0.1)];

impl Change {
    fn parse(text: &str) -> std::result::Result<Vec<Self>, String> {
        let (name, value) = match text.split_once(':') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (text.trim(), None),
        };
        if let Some(columns) = value.filter(|_| name == "negate") {
            let columns: Vec<String> = columns.split('+').map(|name| name.trim().into()).collect();
            if columns.iter().all(|name| !name.is_empty()) {
                return Ok(vec![Self::Negate(columns)]);
            }
        }
        if let Some((_, usual)) = KINDS.iter().find(|(kind, _)| *kind == name) {
            let size = value.map_or(Some(*usual), |value| value.parse().ok());
            let size = size.filter(|size| (0.0..=1.0).contains(size));
            let size = size.ok_or_else(|| format!("'{text}': give a number from 0 to 1"))?;
            return Ok(vec![match name {
                "time-shift" => Self::TimeShift(size),
                "noise" => Self::Noise(size),
                "amplitude" => Self::Amplitude(size),
                _ => Self::Background(size),
            }]);
        }
        match (name, value) {
            ("none", None) => Ok(Vec::new()),
            ("flip", None) => Ok(vec![Self::Flip]),
            ("shift", None) => Ok(vec![Self::Shift]),
            ("shift-flip", None) => Ok(vec![Self::Shift, Self::Flip]),
            _ => Err(format!(
                "'{text}' is none of flip, shift, shift-flip (images), time-shift:0.1, noise:0.05, amplitude:0.1, \
                 background:0.1, negate:COLUMN+COLUMN (series)"
            )),
        }
    }
}

impl FromStr for Augmentation {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts: std::result::Result<Vec<_>, String> =
            text.split(',').map(Change::parse).collect();
        Ok(Self(parts?.concat()))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flip => formatter.write_str("flip"),
            Self::Shift => formatter.write_str("shift"),
            Self::TimeShift(size) => write!(formatter, "time-shift:{size}"),
            Self::Noise(size) => write!(formatter, "noise:{size}"),
            Self::Amplitude(size) => write!(formatter, "amplitude:{size}"),
            Self::Background(size) => write!(formatter, "background:{size}"),
            Self::Negate(columns) => write!(formatter, "negate:{}", columns.join("+")),
        }
    }
}

impl fmt::Display for Augmentation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => formatter.write_str("none"),
            [Change::Shift, Change::Flip] => formatter.write_str("shift-flip"),
            changes => {
                let words: Vec<String> = changes.iter().map(ToString::to_string).collect();
                formatter.write_str(&words.join(","))
            }
        }
    }
}

impl TryFrom<String> for Augmentation {
    type Error = String;
    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<Augmentation> for String {
    fn from(value: Augmentation) -> Self {
        value.to_string()
    }
}

impl Augmentation {
    /// The changes for samples of this shape, whose columns (one a channel, or none) are named like this. `zeros` are the values
    /// that the network reads where a channel's value is 0.
    ///
    /// # Errors
    /// A column that there is not.
    pub fn of(&self, shape: SampleShape, columns: &[Column], zeros: Vec<f32>) -> Result<Changes> {
        let mut negated = Vec::new();
        for name in self.0.iter().filter_map(Change::negates).flatten() {
            let by_name = |column: &Column| {
                column.name.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(name))
            };
            let number = || {
                name.parse::<usize>().ok().filter(|number| (1..=shape.channels).contains(number))
            };
            let place = match columns.len() == shape.channels {
                true => columns.iter().position(by_name),
                false => None,
            };
            let place = place.or_else(|| number().map(|number| number - 1)).ok_or_else(|| {
                let known: Vec<&str> =
                    columns.iter().take(16).filter_map(|column| column.name.as_deref()).collect();
                let problem = match known.is_empty() {
                    true => format!("samples have {} channels without names", shape.channels),
                    false => format!("the channels are {}", known.join(", ")),
                };
                let advice = "give one of its names, or a number from 1";
                Error::bad_input(format_args!("--augment negate:{name}"), problem, advice)
            })?;
            negated.push(place);
        }
        Ok(Changes { kinds: self.0.clone(), shape, negated, zeros, noises: Vec::new() })
    }
}

impl Change {
    const fn negates(&self) -> Option<&Vec<String>> {
        match self {
            Self::Negate(columns) => Some(columns),
            _ => None,
        }
    }
}

/// An [`Augmentation`] of samples of one shape.
#[derive(Clone, Debug)]
pub struct Changes {
    kinds: Vec<Change>,
    shape: SampleShape,
    /// Channels.
    negated: Vec<usize>,
    zeros: Vec<f32>,
    /// Raw recordings of noise.
    noises: Vec<Vec<i16>>,
}

impl Changes {
    /// The changes with noises, raw values of one channel each, that are mixed in instead of other samples.
    #[must_use]
    pub fn with_noises(mut self, noises: &[Vec<i16>]) -> Self {
        if self.want_another() {
            self.noises = noises.to_vec();
        }
        self
    }

    /// The raw values of a stretch of noise as long as a sample; none where there are no noises. Short noises are repeated.
    pub fn noise(&self, generator: &mut ChaCha8Rng) -> Option<Vec<i16>> {
        if self.noises.is_empty() {
            return None;
        }
        let noise = &self.noises[random::below(self.noises.len(), generator)];
        let elements = self.shape.elements();
        let start = random::below(noise.len().saturating_sub(elements) + 1, generator);
        Some(noise.iter().skip(start).chain(noise.iter().cycle()).take(elements).copied().collect())
    }

    /// Whether another sample is wanted for each.
    pub fn want_another(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, Change::Background(_)))
    }

    /// The raw sample moved and mirrored; `None` where that is not asked for.
    pub fn image(&self, sample: &[i16], generator: &mut ChaCha8Rng) -> Option<Vec<i16>> {
        let moves = self.kinds.contains(&Change::Shift);
        let mirrors = self.kinds.contains(&Change::Flip);
        if !moves && !mirrors {
            return None;
        }
        let shape = self.shape;
        let mut offset = |extent: usize| {
            if extent < 2 || !moves {
                return 0;
            }
            let largest = (extent / 8).max(1);
            random::below(2 * largest + 1, generator) as isize - largest as isize
        };
        let (down, right) = (offset(shape.height), offset(shape.width));
        let flip = mirrors && random::below(2, generator) == 1;
        let mut moved = vec![0; sample.len()];
        for y in 0..shape.height {
            for x in 0..shape.width {
                let column = if flip { shape.width - 1 - x } else { x };
                let source_y = y.checked_add_signed(-down).filter(|&y| y < shape.height);
                let source_x = column.checked_add_signed(-right).filter(|&x| x < shape.width);
                if let (Some(source_y), Some(source_x)) = (source_y, source_x) {
                    let from = (source_y * shape.width + source_x) * shape.channels;
                    let to = (y * shape.width + x) * shape.channels;
                    moved[to..to + shape.channels]
                        .copy_from_slice(&sample[from..from + shape.channels]);
                }
            }
        }
        Some(moved)
    }

    /// Changes the values that the network reads; `another` is those of another sample, where one is wanted.
    pub fn series(&self, values: &mut [f32], another: &[f32], generator: &mut ChaCha8Rng) {
        let channels = self.shape.channels;
        let around = |values: &mut [f32], change: &dyn Fn(usize, f32) -> f32| {
            for (place, value) in values.iter_mut().enumerate() {
                let channel = place % channels;
                let zero = self.zeros.get(channel).copied().unwrap_or(0.0);
                *value = zero + change(channel, *value - zero);
            }
        };
        for kind in &self.kinds {
            match kind {
                Change::Flip | Change::Shift => {}
                Change::TimeShift(share) => self.shift_in_time(values, *share, generator),
                Change::Noise(size) => values
                    .iter_mut()
                    .for_each(|value| *value += (size * random::normal(generator)) as f32),
                Change::Amplitude(share) => {
                    let factor = (1.0 + share * (2.0 * random::unit(generator) - 1.0)) as f32;
                    around(values, &|_, value| value * factor);
                }
                Change::Negate(_) => {
                    if random::below(2, generator) == 1 {
                        around(values, &|channel, value| {
                            if self.negated.contains(&channel) { -value } else { value }
                        });
                    }
                }
                Change::Background(share) => {
                    let factor = (share * random::unit(generator)) as f32;
                    for (place, (value, other)) in values.iter_mut().zip(another).enumerate() {
                        let zero = self.zeros.get(place % channels).copied().unwrap_or(0.0);
                        *value += factor * (other - zero);
                    }
                }
            }
        }
    }

    /// Time is the longer side of a sample.
    fn shift_in_time(&self, values: &mut [f32], share: f64, generator: &mut ChaCha8Rng) {
        let SampleShape { height, width, channels } = self.shape;
        let down = height >= width;
        let extent = height.max(width);
        let largest = (share * extent as f64).round() as usize;
        let offset = random::below(2 * largest + 1, generator) as isize - largest as isize;
        let source = values.to_vec();
        let from = |place: usize| {
            place.checked_add_signed(-offset).unwrap_or(0).min(extent.saturating_sub(1))
        };
        for y in 0..height {
            for x in 0..width {
                let (source_y, source_x) = if down { (from(y), x) } else { (y, from(x)) };
                let (to, from) = (y * width + x, source_y * width + source_x);
                values[to * channels..(to + 1) * channels]
                    .copy_from_slice(&source[from * channels..(from + 1) * channels]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    fn changes(text: &str, shape: SampleShape, columns: &[&str]) -> Changes {
        let columns: Vec<Column> = columns.iter().map(|name| Column::named(Some(name))).collect();
        let zeros = vec![0.5; shape.channels];
        text.parse::<Augmentation>().unwrap().of(shape, &columns, zeros).unwrap()
    }

    /// Every outcome of a hundred changes to one image.
    fn images(sample: &[i16], shape: SampleShape, text: &str) -> Vec<Vec<i16>> {
        let mut generator = random::generator(1, Purpose::Augmentation, 0);
        let changes = changes(text, shape, &[]);
        let mut all: Vec<Vec<i16>> =
            (0..100).map(|_| changes.image(sample, &mut generator).unwrap()).collect();
        all.sort();
        all.dedup();
        all
    }

    /// The same of one series.
    fn series(sample: &[f32], shape: SampleShape, text: &str) -> Vec<Vec<f32>> {
        let mut generator = random::generator(1, Purpose::Augmentation, 0);
        let changes = changes(text, shape, &["x", "y"]);
        let changed = (0..200).map(|_| {
            let mut values = sample.to_vec();
            changes.series(&mut values, &[10.5, 20.5, 30.5, 40.5, 50.5, 60.5], &mut generator);
            values
        });
        let mut all: Vec<Vec<f32>> = changed.collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap());
        all.dedup();
        all
    }

    #[test]
    fn a_flip_mirrors_whole_pixels_or_leaves_the_image_as_it_is() {
        let shape = SampleShape::new(1, 3, 2);
        let image = [1, 2, 3, 4, 5, 6];
        assert_eq!(images(&image, shape, "flip"), [vec![1, 2, 3, 4, 5, 6], vec![5, 6, 3, 4, 1, 2]]);
        assert!(
            changes("none", shape, &[])
                .image(&image, &mut random::generator(0, Purpose::Order, 0))
                .is_none()
        );
    }

    #[test]
    fn a_shift_moves_by_up_to_an_eighth_and_fills_with_zeros() {
        let shape = SampleShape::new(1, 4, 1);
        let image = [1, 2, 3, 4];
        let moved = [vec![0, 1, 2, 3], vec![1, 2, 3, 4], vec![2, 3, 4, 0]];
        assert_eq!(images(&image, shape, "shift"), moved);
        let mirrored = moved.iter().map(|row| row.iter().rev().copied().collect());
        let mut both: Vec<Vec<i16>> = moved.iter().cloned().chain(mirrored).collect();
        both.sort();
        assert_eq!(images(&image, shape, "shift-flip"), both);
    }

    #[test]
    fn a_series_is_changed_along_time_around_the_zero_of_each_channel() {
        let shape = SampleShape::new(3, 1, 2);
        let sample = [1.5, 2.5, 3.5, 4.5, 5.5, 6.5];
        let shifted = series(&sample, shape, "time-shift:0.4");
        let expected = [
            vec![1.5, 2.5, 1.5, 2.5, 3.5, 4.5],
            sample.to_vec(),
            vec![3.5, 4.5, 5.5, 6.5, 5.5, 6.5],
        ];
        assert_eq!(shifted, expected);
        let turned = series(&sample, shape, "negate:Y");
        assert_eq!(turned, [vec![1.5, -1.5, 3.5, -3.5, 5.5, -5.5], sample.to_vec()]);
        for louder in series(&sample, shape, "amplitude:0.2") {
            let factors: Vec<f32> =
                louder.iter().zip(&sample).map(|(new, old)| (new - 0.5) / (old - 0.5)).collect();
            assert!((0.8..=1.2).contains(&factors[0]), "{factors:?}");
            assert!(factors.iter().all(|factor| (factor - factors[0]).abs() < 1e-5));
        }
        for mixed in series(&sample, shape, "background:0.5") {
            let share = (mixed[0] - sample[0]) / 10.0;
            assert!(
                (0.0..=0.5).contains(&share) && (mixed[5] - sample[5] - 60.0 * share).abs() < 1e-3
            );
        }
        let noisy = series(&sample, shape, "noise:0.1");
        let errors = noisy.iter().flat_map(|values| values.iter().zip(&sample).map(|(a, b)| a - b));
        let square = errors.map(|error| f64::from(error).powi(2)).sum::<f64>();
        let deviation = (square / (200.0 * 6.0)).sqrt();
        assert!((deviation - 0.1).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn noise_is_a_stretch_of_a_recording_and_short_ones_are_repeated() {
        let shape = SampleShape::new(4, 1, 1);
        let noises = [vec![1, 2, 3, 4, 5, 6], vec![7, 8]];
        let mut generator = random::generator(1, Purpose::Augmentation, 0);
        let with = changes("background:0.5", shape, &[]).with_noises(&noises);
        let mut found: Vec<Vec<i16>> =
            (0..200).map(|_| with.noise(&mut generator).unwrap()).collect();
        found.sort();
        found.dedup();
        assert_eq!(found, [[1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6], [7, 8, 7, 8]]);
        assert!(changes("background:0.5", shape, &[]).noise(&mut generator).is_none());
        assert!(changes("flip", shape, &[]).with_noises(&noises).noise(&mut generator).is_none());
    }

    #[test]
    fn changes_have_words_that_read_back() {
        for text in ["none", "flip", "shift", "shift-flip", "time-shift:0.2,noise:0.1,negate:a+b"] {
            assert_eq!(text.parse::<Augmentation>().unwrap().to_string(), text);
        }
        assert_eq!("noise".parse::<Augmentation>().unwrap().to_string(), "noise:0.05");
        for wrong in ["", "blur", "noise:x", "noise:2", "negate", "negate:", "flip:1"] {
            assert!(wrong.parse::<Augmentation>().is_err(), "{wrong}");
        }
        let shape = SampleShape::new(3, 1, 2);
        let refused = "negate:z".parse::<Augmentation>().unwrap();
        let names = ["x", "y"].map(|name| Column::named(Some(name)));
        let error = refused.of(shape, &names, vec![0.0; 2]).unwrap_err().to_string();
        assert!(error.contains("the channels are x, y"), "{error}");
    }
}
