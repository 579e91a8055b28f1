//! The choices that no other one beats: fewer bytes, fewer instructions, or a smaller estimate.

use std::collections::BTreeMap;

use tinyhero_common::bit_width::BitWidth;

/// Different choices that are kept at most; with more, bytes and instructions are rounded up to coarser steps.
const MOST_STATES: usize = 1 << 16;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Bytes.
    pub bytes: usize,
    /// Instructions; 0 where nobody asks for them.
    pub instructions: u64,
}

impl Cost {
    /// No limit.
    pub const MOST: Self = Self { bytes: usize::MAX, instructions: u64::MAX };

    /// Both added up.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(other.bytes),
            instructions: self.instructions.saturating_add(other.instructions),
        }
    }

    /// Whether neither is above the limit.
    pub const fn within(self, limit: Self) -> bool {
        self.bytes <= limit.bytes && self.instructions <= limit.instructions
    }

    /// Each the smaller of the two.
    fn least(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.min(other.bytes),
            instructions: self.instructions.min(other.instructions),
        }
    }
}

/// A width of a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The width.
    pub width: BitWidth,
    /// What the layer takes.
    pub cost: Cost,
    /// What it does to the answers.
    pub estimate: f64,
}

/// A width for every layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What the whole takes.
    pub cost: Cost,
    /// Sum over the layers.
    pub estimate: f64,
    /// One for each layer.
    pub widths: Vec<BitWidth>,
}

/// A choice for the layers so far.
#[derive(Clone, Copy)]
struct State {
    cost: Cost,
    estimate: f64,
    choice: usize,
    /// The state of the layers before.
    before: usize,
}

/// The least that a network of these layers takes, `base` of it whatever the widths.
pub fn least(base: Cost, layers: &[Vec<Choice>]) -> Cost {
    let of_layer = |layer: &Vec<Choice>| {
        let costs = layer.iter().map(|choice| choice.cost);
        costs.reduce(Cost::least).unwrap_or(Cost { bytes: 0, instructions: 0 })
    };
    layers.iter().map(of_layer).fold(base, Cost::plus)
}

/// The front by rising bytes, within the budget of the whole, `base` of which is spent whatever the
/// widths. Each layer has at least one choice.
///
/// A state of the first layers that another one beats cannot be part of a better whole, because costs
/// and estimates only add up: dropping it loses nothing. Nor does dropping one to which even the least
/// of the layers behind cannot be added.
pub fn front(base: Cost, layers: &[Vec<Choice>], budget: Cost) -> Vec<Point> {
    let most = |layer: &Vec<Choice>| layer.iter().map(|choice| choice.cost.bytes).max();
    let largest: usize = layers.iter().filter_map(most).sum();
    let step = largest.div_ceil(MOST_STATES).max(1);
    let mut stages: Vec<Vec<State>> = Vec::with_capacity(layers.len());
    let start = State { cost: base, estimate: 0.0, choice: 0, before: 0 };
    let mut last = vec![start];
    for (index, layer) in layers.iter().enumerate() {
        let mut states: Vec<State> = Vec::with_capacity(last.len() * layer.len());
        for (before, state) in last.iter().enumerate() {
            states.extend(layer.iter().enumerate().map(|(choice, option)| {
                let bytes = option.cost.bytes.next_multiple_of(step);
                State {
                    cost: state.cost.plus(Cost { bytes, ..option.cost }),
                    estimate: state.estimate + option.estimate,
                    choice,
                    before,
                }
            }));
        }
        let behind = &layers[index + 1..];
        states.retain(|state| least(state.cost, behind).within(budget));
        drop_beaten(&mut states);
        let mut step = 1;
        while states.len() > MOST_STATES {
            step *= 2;
            for state in &mut states {
                let instructions = &mut state.cost.instructions;
                *instructions = instructions.checked_next_multiple_of(step).unwrap_or(u64::MAX);
            }
            states.retain(|state| least(state.cost, behind).within(budget));
            drop_beaten(&mut states);
        }
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
        Point { cost: last[index].cost, estimate: last[index].estimate, widths }
    };
    (0..last.len()).map(point).collect()
}

/// Sorts states by their bytes and keeps those that no other one equals or beats in everything.
fn drop_beaten(states: &mut Vec<State>) {
    let by_bytes = |a: &State, b: &State| {
        let costs = a.cost.bytes.cmp(&b.cost.bytes);
        let costs = costs.then(a.cost.instructions.cmp(&b.cost.instructions));
        costs.then(a.estimate.total_cmp(&b.estimate))
    };
    states.sort_by(by_bytes);
    // The smallest estimate within so many instructions and the bytes so far: it falls as instructions rise.
    let mut steps: BTreeMap<u64, f64> = BTreeMap::new();
    states.retain(|state| {
        let instructions = state.cost.instructions;
        let best = steps.range(..=instructions).next_back();
        if best.is_some_and(|(_, &estimate)| estimate <= state.estimate) {
            return false;
        }
        let behind = steps.range(instructions..);
        let beaten: Vec<u64> = behind
            .take_while(|(_, estimate)| **estimate >= state.estimate)
            .map(|(&instructions, _)| instructions)
            .collect();
        for instructions in beaten {
            steps.remove(&instructions);
        }
        steps.insert(instructions, state.estimate);
        true
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [BitWidth; 3] = [BitWidth::Two, BitWidth::Four, BitWidth::Eight];
    const BASE: Cost = Cost { bytes: 100, instructions: 1_000 };

    /// Layers whose instructions fall with the bits in some, and rise in others.
    fn layers(count: usize, counted: bool) -> Vec<Vec<Choice>> {
        let layer = |index: usize| {
            let choice = |(at, &width): (usize, &BitWidth)| Choice {
                width,
                cost: Cost {
                    bytes: (index * 37 % 11 + 3) * width.bits() as usize,
                    instructions: if counted {
                        (500 + (index * 7 + at * (index * 29 % 13 + 1) * 41) % 173) as u64
                    } else {
                        0
                    },
                },
                estimate: ((index * 53 % 17 + 1) as f64) / 16f64.powi(at as i32),
            };
            WIDTHS.iter().enumerate().map(choice).collect()
        };
        (0..count).map(layer).collect()
    }

    /// Every choice there is.
    fn all(layers: &[Vec<Choice>]) -> Vec<(Cost, f64)> {
        layers.iter().fold(vec![(BASE, 0.0)], |all, layer| {
            let with = |&(cost, estimate): &(Cost, f64)| {
                layer.iter().map(move |choice| (cost.plus(choice.cost), estimate + choice.estimate))
            };
            all.iter().flat_map(with).collect()
        })
    }

    #[test]
    fn the_front_is_that_of_all_choices() {
        let budgets = [(100, 9_000), (150, 3_000), (250, 4_100), (400, 4_700), (10_000, 4_800)];
        for (count, counted) in (1..=7).flat_map(|count| [(count, false), (count, true)]) {
            let layers = layers(count, counted);
            let all = all(&layers);
            for (bytes, instructions) in budgets {
                let budget = Cost { bytes, instructions };
                let found = front(BASE, &layers, budget);
                for &(cost, estimate) in all.iter().filter(|(cost, _)| cost.within(budget)) {
                    let beaten = |point: &Point| {
                        point.cost.within(cost) && point.estimate <= estimate + 1e-12
                    };
                    assert!(found.iter().any(beaten), "{count} {budget:?}: {cost:?} {estimate}");
                }
                for (index, point) in found.iter().enumerate() {
                    let widths = layers.iter().zip(&point.widths);
                    let cost = widths
                        .map(|(layer, width)| {
                            layer.iter().find(|choice| choice.width == *width).unwrap().cost
                        })
                        .fold(BASE, Cost::plus);
                    assert_eq!(cost, point.cost);
                    assert!(cost.within(budget));
                    let beats = |(other, better): (usize, &Point)| {
                        other != index
                            && better.cost.within(point.cost)
                            && better.estimate <= point.estimate
                    };
                    assert!(!found.iter().enumerate().any(beats), "{count} {budget:?}");
                }
                assert!(found.is_sorted_by_key(|point| point.cost.bytes));
            }
        }
    }

    #[test]
    fn a_budget_below_everything_has_no_front() {
        let layers = layers(3, true);
        let least = least(BASE, &layers);
        for budget in [
            Cost { bytes: least.bytes - 1, ..Cost::MOST },
            Cost { instructions: least.instructions - 1, ..Cost::MOST },
        ] {
            assert!(front(BASE, &layers, budget).is_empty());
        }
        assert!(!front(BASE, &layers, Cost { bytes: least.bytes, ..Cost::MOST }).is_empty());
    }

    #[test]
    fn many_layers_stay_within_the_budget_and_end() {
        let layers = layers(40, true);
        let least = least(BASE, &layers);
        let budget = Cost { bytes: 2 * least.bytes, instructions: least.instructions * 21 / 20 };
        let found = front(BASE, &layers, budget);
        assert!(!found.is_empty());
        assert!(found.iter().all(|point| point.cost.within(budget)));
    }
}
