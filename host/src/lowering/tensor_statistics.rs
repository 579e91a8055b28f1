//! What calibration knows about a tensor: range, moments and a histogram.

/// Bins of a histogram: sign, exponent and the first six bits of the fraction of an f32.
pub const BINS: usize = 1 << 15;

/// What calibration knows about a tensor.
#[derive(Clone, Debug)]
pub struct TensorStatistics {
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
    /// Mean of each channel over samples and pixels; of each element where a fully connected layer reads the tensor.
    pub mean: Vec<f64>,
    /// Variance, like the mean.
    pub variance: Vec<f64>,
    /// How many values fell into each bin; see [`bin_value`].
    pub counts: Vec<u64>,
    /// Largest raw value, for the network's input.
    pub raw_max: i16,
}

/// A value of a bin, 0 for zero.
pub fn bin_value(bin: usize) -> f64 {
    match bin & (BINS / 2 - 1) {
        0 => 0.0,
        // The bin's middle.
        _ => f64::from(f32::from_bits((bin as u32) << 17 | 1 << 16)),
    }
}

fn bin_of(value: f32) -> usize {
    (value.to_bits() >> 17) as usize
}

/// Sums over a part.
pub struct Sums {
    min: f32,
    max: f32,
    sum: Vec<f64>,
    squares: Vec<f64>,
    counts: Vec<u32>,
}

impl Sums {
    /// Nothing yet, for so many means.
    pub fn new(groups: usize) -> Self {
        Self {
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            sum: vec![0.0; groups],
            squares: vec![0.0; groups],
            counts: vec![0; BINS],
        }
    }

    /// Adds a sample's values, group by group.
    pub fn add(&mut self, values: &[f32]) {
        for pixel in values.chunks_exact(self.sum.len()) {
            let sums = self.sum.iter_mut().zip(&mut self.squares);
            for (&value, (sum, square)) in pixel.iter().zip(sums) {
                self.min = self.min.min(value);
                self.max = self.max.max(value);
                *sum += f64::from(value);
                *square += f64::from(value) * f64::from(value);
                self.counts[bin_of(value)] += 1;
            }
        }
    }
}

impl TensorStatistics {
    /// Nothing yet, for so many means.
    pub fn empty(groups: usize) -> Self {
        Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: vec![0.0; groups],
            variance: vec![0.0; groups],
            counts: vec![0; BINS],
            raw_max: 0,
        }
    }

    /// Adds the sums of a part; mean and variance hold sums until [`TensorStatistics::finish`].
    pub fn merge(&mut self, sums: &Sums) {
        self.min = self.min.min(f64::from(sums.min));
        self.max = self.max.max(f64::from(sums.max));
        for (total, sum) in self.mean.iter_mut().zip(&sums.sum) {
            *total += sum;
        }
        for (total, sum) in self.variance.iter_mut().zip(&sums.squares) {
            *total += sum;
        }
        for (total, &count) in self.counts.iter_mut().zip(&sums.counts) {
            *total += u64::from(count);
        }
    }

    /// Divides the sums.
    pub fn finish(&mut self) {
        let values: u64 = self.counts.iter().sum();
        let count = values as f64 / self.mean.len() as f64;
        for (mean, variance) in self.mean.iter_mut().zip(&mut self.variance) {
            *mean /= count;
            *variance = (*variance / count - *mean * *mean).max(0.0);
        }
    }
}
