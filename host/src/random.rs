//! Seeded random numbers: ChaCha8 streams whose values are specified, so that a run repeats byte for byte anywhere.

use rand::{Rng, SeedableRng};
pub use rand_chacha::ChaCha8Rng;

/// What a stream of random numbers is for. Each purpose draws from its own stream, so that using more numbers for one
/// never changes another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial weights.
    Initialization,
    /// Which labels are redrawn, and as what.
    LabelNoise,
    /// Order of the samples in an epoch.
    Order,
    /// Shifts and flips in an epoch.
    Augmentation,
    /// Start vector of a power iteration.
    PowerIteration,
    /// Random signs of an estimate of a trace.
    TraceProbe,
    /// Directions of a loss surface.
    SurfaceDirection,
    /// Settings that a search tries.
    Search,
    /// Which training samples are kept for validation.
    Validation,
}

/// The generator of `purpose` in epoch `epoch` (0 where epochs do not matter) of a run with `seed`.
///
/// The position depends on these three numbers alone, which is what lets a resumed run continue with the same numbers.
pub fn generator(seed: u64, purpose: Purpose, epoch: u64) -> ChaCha8Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(((purpose as u64) << 48) | epoch);
    generator
}

/// Uniform in 0..`bound` without bias. `bound` must be positive.
pub fn below(bound: usize, generator: &mut ChaCha8Rng) -> usize {
    let bound = bound as u64;
    // Numbers at or above the largest multiple of `bound` would favour small results: draw again.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let number = generator.next_u64();
        if number < limit {
            return (number % bound) as usize;
        }
    }
}

/// Uniform in [0, 1) with 53 random bits.
pub fn unit(generator: &mut ChaCha8Rng) -> f64 {
    (generator.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// Normal with mean 0 and standard deviation 1 (Box and Muller 1958, one of the pair).
pub fn normal(generator: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - unit(generator)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(generator)).cos()
}

/// 0..`count` in random order (Fisher and Yates).
pub fn permutation(count: usize, generator: &mut ChaCha8Rng) -> Vec<usize> {
    let mut indexes: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        indexes.swap(last, below(last + 1, generator));
    }
    indexes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permutation_holds_every_index_once_and_depends_on_the_epoch() {
        let first = permutation(100, &mut generator(1, Purpose::Order, 0));
        let again = permutation(100, &mut generator(1, Purpose::Order, 0));
        let second = permutation(100, &mut generator(1, Purpose::Order, 1));
        assert_eq!(first, again);
        assert_ne!(first, second);
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn normal_numbers_have_mean_zero_and_variance_one() {
        let mut generator = generator(2, Purpose::Initialization, 0);
        let numbers: Vec<f64> = (0..20_000).map(|_| normal(&mut generator)).collect();
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
