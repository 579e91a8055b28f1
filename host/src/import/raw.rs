//! Raw samples for a network of real numbers: integers that stand for what a model reads.

use crate::data::{Column, Normalization, SampleShape, SampleType};

/// Differences up to this part of a step are noise of floats.
const NOISE: f64 = 1e-3;
/// Values of one sample up to which each gets a column.
const MOST_COLUMNS: usize = 256;

/// How raw integers stand for the real numbers of an input, alike for all its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawScale {
    /// Bytes, or words.
    pub sample_type: SampleType,
    /// The real number that raw 0 stands for.
    pub offset: f64,
    /// The difference of neighbours.
    pub step: f64,
}

impl RawScale {
    /// The scale that keeps these numbers: bytes where they lie on a grid of at most 256 numbers, as
    /// images do, else words.
    pub fn of(values: &[f64]) -> Self {
        let (low, high) = values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        if !(low.is_finite() && high.is_finite() && low < high) {
            let offset = if low.is_finite() { low } else { 0.0 };
            return Self { sample_type: SampleType::U8, offset, step: 1.0 };
        }
        if let Some(step) = grid(values, low, high) {
            return Self { sample_type: SampleType::U8, offset: low, step };
        }
        let step = (high - low) / 65_000.0;
        Self { sample_type: SampleType::I16, offset: (low + high) / 2.0, step }
    }

    /// The raw integer of a real number, cut off at the type's ends.
    pub fn raw(&self, real: f64) -> i16 {
        let raw = ((real - self.offset) / self.step).round();
        match self.sample_type {
            SampleType::U8 => raw.clamp(0.0, 255.0) as i16,
            SampleType::I16 => raw.clamp(-32_768.0, 32_767.0) as i16,
        }
    }

    /// The same as what training calls normalization: `real = (raw − offset) · inverse_scale`.
    pub fn normalization(&self, channels: usize) -> Normalization {
        Normalization {
            offset: vec![-self.offset / self.step; channels],
            inverse_scale: vec![self.step; channels],
        }
    }

    /// What each value of a sample stands for, for data with fractions; none for images.
    pub fn columns(&self, shape: SampleShape) -> Vec<Column> {
        let is_image = shape.height > 1 && shape.width > 1;
        if is_image || shape.elements() > MOST_COLUMNS || (self.offset == 0.0 && self.step == 1.0) {
            return Vec::new();
        }
        let column =
            Column { name: None, unit: None, offset: self.offset, step: self.step, fill: None };
        vec![column; shape.elements()]
    }
}

impl RawScale {
    /// What each channel stands for, whatever the shape: alike for all of them.
    pub fn columns_of_channels(&self, shape: SampleShape) -> Vec<Column> {
        let column =
            Column { name: None, unit: None, offset: self.offset, step: self.step, fill: None };
        vec![column; shape.channels.min(MOST_COLUMNS)]
    }
}

/// The step of the grid that all values lie on, if it has at most 256 numbers.
fn grid(values: &[f64], low: f64, high: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let noise = (high - low) * 1e-6;
    sorted.dedup_by(|next, before| *next - *before <= noise);
    if sorted.len() > 256 {
        return None;
    }
    let gaps = sorted.windows(2).map(|pair| pair[1] - pair[0]);
    let least = gaps.fold(high - low, f64::min);
    let count = ((high - low) / least).round();
    if count > 255.0 {
        return None;
    }
    let step = (high - low) / count;
    let on_grid = |&value: &f64| {
        let place = (value - low) / step;
        (place - place.round()).abs() <= NOISE * 256.0 / count.max(256.0) * count.max(1.0)
    };
    sorted.iter().all(on_grid).then_some(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_bytes_become_bytes_again() {
        let values: Vec<f64> =
            (0..=255).map(|byte| f64::from((byte as f32 / 255.0 - 0.1307) / 0.3081)).collect();
        let scale = RawScale::of(&values);
        assert_eq!(scale.sample_type, SampleType::U8);
        assert!(values.iter().enumerate().all(|(byte, &value)| scale.raw(value) == byte as i16));
        let normalization = scale.normalization(1);
        assert!((normalization.real(200, 0) - values[200]).abs() < 1e-6);
    }

    #[test]
    fn numbers_without_a_grid_become_words() {
        let values: Vec<f64> = (0..1_000).map(|index| (f64::from(index) * 0.37).sin()).collect();
        let scale = RawScale::of(&values);
        assert_eq!(scale.sample_type, SampleType::I16);
        let normalization = scale.normalization(1);
        for value in values {
            assert!((normalization.real(scale.raw(value), 0) - value).abs() < 2e-5);
        }
        assert_eq!(RawScale::of(&[3.0, 3.0]).raw(3.0), 0);
    }
}
