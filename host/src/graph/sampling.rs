//! Images of another size: where each of their pixels reads, by the ways in which frameworks count.

use serde::{Deserialize, Serialize};
use tinyhero_common::operator::{self, Interpolation, Stretch};

/// Why an image cannot be resized.
pub const WIDE_POSITIONS: &str =
    "is resized between sizes whose pixels lie apart by a fraction of more than 16 bits";

/// What a resized image takes of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One pixel.
    Nearest {
        /// Which, where a position lies between two.
        rounding: PositionRounding,
    },
    /// The mean of the pixels around, weighted by nearness.
    Linear,
}

/// Where the pixels of both images lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coordinates {
    /// Both begin at the corner of the first pixel.
    Asymmetric,
    /// Pixels have their middle half a pixel behind their corner.
    HalfPixel,
    /// The same, but a single output lies at 0.
    HalfPixelUnlessOne,
    /// Outputs have their middle half a pixel behind their corner, inputs have not.
    HalfOutput,
    /// First and last pixels of both lie on one another.
    AlignedCorners,
}

/// Which pixel a position between two means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PositionRounding {
    /// The one before.
    Floor,
    /// The one behind.
    Ceil,
    /// The nearest, of two the one before.
    HalfDown,
    /// The nearest, of two the one behind.
    HalfUp,
}

/// How an image is resized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// What a pixel takes of the other image.
    pub method: Method,
    /// Where its pixels lie.
    pub coordinates: Coordinates,
}

impl Sampling {
    /// Every pixel repeated, where the sizes are multiples.
    pub const REPEATED: Self = Self {
        method: Method::Nearest { rounding: PositionRounding::Floor },
        coordinates: Coordinates::Asymmetric,
    };

    /// The integers that say so for images of these heights and widths. `None` where they are too large.
    pub fn operator(self, input: [usize; 2], output: [usize; 2]) -> Option<operator::Resize2d> {
        Some(operator::Resize2d {
            interpolation: match self.method {
                Method::Nearest { .. } => Interpolation::Nearest,
                Method::Linear => Interpolation::Linear,
            },
            rows: self.stretch(input[0], output[0])?,
            columns: self.stretch(input[1], output[1])?,
        })
    }

    /// Along one axis: position `i` is `(i · step + start) / divisor`.
    fn stretch(self, input: usize, output: usize) -> Option<Stretch> {
        let (n, o) = (i64::try_from(input).ok()?, i64::try_from(output).ok()?);
        if n == 0 || o == 0 {
            return None;
        }
        let fraction = match self.coordinates {
            Coordinates::Asymmetric => [n, 0, o],
            Coordinates::HalfPixelUnlessOne | Coordinates::AlignedCorners if o == 1 => [0, 0, 1],
            Coordinates::HalfPixel | Coordinates::HalfPixelUnlessOne => {
                [n.checked_mul(2)?, n - o, o.checked_mul(2)?]
            }
            Coordinates::HalfOutput => [n.checked_mul(2)?, n, o.checked_mul(2)?],
            Coordinates::AlignedCorners => [n - 1, 0, o - 1],
        };
        let [step, start, divisor] = reduced(fraction);
        let doubled = |offset: i64| [2 * step, 2 * start + offset, 2 * divisor];
        let [step, start, divisor] = match self.method {
            Method::Linear => [step, start, divisor],
            Method::Nearest { rounding } => whole(match rounding {
                PositionRounding::Floor => [step, start, divisor],
                PositionRounding::Ceil => [step, start + divisor - 1, divisor],
                PositionRounding::HalfUp => doubled(divisor),
                PositionRounding::HalfDown => doubled(divisor - 1),
            }),
        };
        Some(Stretch {
            step: step.try_into().ok()?,
            start: start.try_into().ok()?,
            divisor: divisor.try_into().ok()?,
        })
    }
}

fn common(first: i64, second: i64) -> i64 {
    let (mut first, mut second) = (first.abs(), second.abs());
    while second != 0 {
        (first, second) = (second, first % second);
    }
    first.max(1)
}

/// The same fractions with smaller numbers.
fn reduced([step, start, divisor]: [i64; 3]) -> [i64; 3] {
    let all = common(common(step, start), divisor);
    [step / all, start / all, divisor / all]
}

/// Fractions with smaller numbers that have the same floor: only whole multiples of what step and divisor share matter.
fn whole([step, start, divisor]: [i64; 3]) -> [i64; 3] {
    let all = common(step, divisor);
    [step / all, start.div_euclid(all), divisor / all]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Coordinates; 5] = [
        Coordinates::Asymmetric,
        Coordinates::HalfPixel,
        Coordinates::HalfPixelUnlessOne,
        Coordinates::HalfOutput,
        Coordinates::AlignedCorners,
    ];

    /// The position that ONNX gives, exactly: a numerator and a denominator.
    fn position(coordinates: Coordinates, i: i64, n: i64, o: i64) -> (i64, i64) {
        match coordinates {
            Coordinates::Asymmetric => (i * n, o),
            Coordinates::HalfPixelUnlessOne if o == 1 => (0, 1),
            Coordinates::HalfPixel | Coordinates::HalfPixelUnlessOne => {
                ((2 * i + 1) * n - o, 2 * o)
            }
            Coordinates::HalfOutput => ((2 * i + 1) * n, 2 * o),
            Coordinates::AlignedCorners if o == 1 => (0, 1),
            Coordinates::AlignedCorners => (i * (n - 1), o - 1),
        }
    }

    #[test]
    fn positions_are_those_of_the_frameworks() {
        for coordinates in ALL {
            for (n, o) in (1..9).flat_map(|n| (1..20).map(move |o| (n, o))) {
                let stretch = |method| {
                    let sampling = Sampling { method, coordinates };
                    sampling.stretch(n as usize, o as usize).unwrap()
                };
                let at = |stretch: Stretch, i: i64| {
                    (i * i64::from(stretch.step) + i64::from(stretch.start), stretch.divisor)
                };
                for i in 0..o {
                    let (numerator, denominator) = position(coordinates, i, n, o);
                    let (parts, divisor) = at(stretch(Method::Linear), i);
                    assert_eq!(parts * denominator, numerator * i64::from(divisor));
                    let floor = numerator.div_euclid(denominator);
                    let rest = 2 * numerator.rem_euclid(denominator);
                    let nearest = |rounding| {
                        let (parts, divisor) = at(stretch(Method::Nearest { rounding }), i);
                        parts.div_euclid(divisor.into()) - floor
                    };
                    assert_eq!(nearest(PositionRounding::Floor), 0);
                    assert_eq!(nearest(PositionRounding::Ceil), i64::from(rest > 0));
                    let above = i64::from(rest > denominator);
                    assert_eq!(nearest(PositionRounding::HalfDown), above);
                    let at_least = i64::from(rest >= denominator);
                    assert_eq!(nearest(PositionRounding::HalfUp), at_least);
                }
            }
        }
    }

    #[test]
    fn a_whole_factor_is_one_however_frameworks_count() {
        let nearest = |coordinates, rounding| {
            let sampling = Sampling { method: Method::Nearest { rounding }, coordinates };
            sampling.operator([5, 7], [10, 21]).unwrap()
        };
        let expected = Sampling::REPEATED.operator([5, 7], [10, 21]).unwrap();
        assert_eq!(expected.rows, Stretch { step: 1, start: 0, divisor: 2 });
        for rounding in [PositionRounding::HalfDown, PositionRounding::HalfUp] {
            assert_eq!(nearest(Coordinates::HalfPixel, rounding), expected);
        }
        assert_eq!(nearest(Coordinates::HalfOutput, PositionRounding::Floor), expected);
    }

    #[test]
    fn sizes_without_whole_positions_of_16_bits_are_none() {
        let linear = Sampling { method: Method::Linear, coordinates: Coordinates::HalfPixel };
        assert!(linear.operator([3, 1], [65_534, 1]).is_none());
        assert!(linear.operator([1, 0], [1, 1]).is_none());
        assert!(linear.operator([4_096, 4_096], [8_192, 8_192]).is_some());
    }
}
