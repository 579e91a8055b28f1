//! The choices that no other one beats: fewer bytes, or a smaller estimate.

use tinyhero_common::bit_width::BitWidth;

/// Different numbers of bytes that are told apart at most; more are rounded up to coarser steps.
const MOST_STATES: usize = 1 << 16;

/// A width of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The width.
    pub width: BitWidth,
    /// Bytes of the layer.
    pub bytes: usize,
    /// What it does to the answers.
    pub estimate: f64,
}

/// A width for every layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Bytes of the file.
    pub bytes: usize,
    /// Sum over the layers.
    pub estimate: f64,
    /// One for each layer.
    pub widths: Vec<BitWidth>,
}

/// A choice for the layers so far.
#[derive(Clone, Copy)]
struct State {
    bytes: usize,
    estimate: f64,
    choice: usize,
    /// The state of the layers before.
    before: usize,
}

/// The front by rising bytes, up to `budget` bytes of the whole file, `base` of which are not
/// weights. Each layer has at least one choice.
///
/// A state of the first layers that another one beats cannot be part of a better whole, because bytes
/// and estimates only add up: dropping it loses nothing.
pub fn front(base: usize, layers: &[Vec<Choice>], budget: usize) -> Vec<Point> {
    let most = |layer: &Vec<Choice>| layer.iter().map(|choice| choice.bytes).max().unwrap_or(0);
    let largest: usize = layers.iter().map(most).sum();
    let step = largest.div_ceil(MOST_STATES).max(1);
    let mut stages: Vec<Vec<State>> = Vec::with_capacity(layers.len());
    let start = State { bytes: base, estimate: 0.0, choice: 0, before: 0 };
    let mut last = vec![start];
    for layer in layers {
        let mut states: Vec<State> = Vec::with_capacity(last.len() * layer.len());
        for (before, state) in last.iter().enumerate() {
            states.extend(layer.iter().enumerate().map(|(choice, option)| State {
                bytes: state.bytes + option.bytes.next_multiple_of(step),
                estimate: state.estimate + option.estimate,
                choice,
                before,
            }));
        }
        states.retain(|state| state.bytes <= budget);
        states.sort_by(|a, b| a.bytes.cmp(&b.bytes).then(a.estimate.total_cmp(&b.estimate)));
        let mut least = f64::INFINITY;
        states.retain(|state| {
            let better = state.estimate < least;
            least = least.min(state.estimate);
            better
        });
        last.clone_from(&states);
        stages.push(states);
    }
    let point = |index: usize| {
        let mut widths = Vec::with_capacity(layers.len());
        let mut at = index;
        for (stage, layer) in stages.iter().zip(layers).rev() {
            widths.push(layer[stage[at].choice].width);
            at = stage[at].before;
        }
        widths.reverse();
        Point { bytes: last[index].bytes, estimate: last[index].estimate, widths }
    };
    (0..last.len()).map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [BitWidth; 3] = [BitWidth::Two, BitWidth::Four, BitWidth::Eight];

    fn layers(count: usize) -> Vec<Vec<Choice>> {
        let layer = |index: usize| {
            let choice = |(at, &width): (usize, &BitWidth)| Choice {
                width,
                bytes: (index * 37 % 11 + 3) * width.bits() as usize,
                estimate: ((index * 53 % 17 + 1) as f64) / 16f64.powi(at as i32),
            };
            WIDTHS.iter().enumerate().map(choice).collect()
        };
        (0..count).map(layer).collect()
    }

    /// Every choice there is.
    fn all(layers: &[Vec<Choice>]) -> Vec<(usize, f64)> {
        layers.iter().fold(vec![(100, 0.0)], |all, layer| {
            let with = |&(bytes, estimate): &(usize, f64)| {
                layer.iter().map(move |choice| (bytes + choice.bytes, estimate + choice.estimate))
            };
            all.iter().flat_map(with).collect()
        })
    }

    #[test]
    fn the_front_is_that_of_all_choices() {
        for count in 1..=7 {
            let layers = layers(count);
            let all = all(&layers);
            for budget in [100, 150, 250, 400, 10_000] {
                let found = front(100, &layers, budget);
                for &(bytes, estimate) in all.iter().filter(|(bytes, _)| *bytes <= budget) {
                    let beaten =
                        |point: &Point| point.bytes <= bytes && point.estimate <= estimate + 1e-12;
                    assert!(found.iter().any(beaten), "{count} {budget}: {bytes} {estimate}");
                }
                for point in &found {
                    let widths = layers.iter().zip(&point.widths);
                    let bytes: usize = widths
                        .map(|(layer, width)| {
                            layer.iter().find(|choice| choice.width == *width).unwrap().bytes
                        })
                        .sum();
                    assert_eq!(bytes + 100, point.bytes);
                    assert!(point.bytes <= budget);
                }
                assert!(found.windows(2).all(|pair| pair[0].bytes < pair[1].bytes));
                assert!(found.windows(2).all(|pair| pair[0].estimate > pair[1].estimate));
            }
        }
    }

    #[test]
    fn a_budget_below_everything_has_no_front() {
        assert!(front(100, &layers(3), 99).is_empty());
    }
}
