//! Offsets for buffers that live for an interval of steps.
//!
//! Buffers are placed one after the other at the lowest offset that is free for their whole life. The sequence decides
//! the result: several good sequences are tried, then all of them for few buffers, then seeded exchanges, until the
//! lower bound is reached.

use super::{ALIGNMENT, ArenaPlan, Problem, Uses};
use tinyhero_common::shape::Region;

/// Up to this many buffers every sequence is tried.
const EXHAUSTIVE: usize = 7;
/// Exchanges that are tried for more buffers.
const EXCHANGES: usize = 4_000;

/// Bytes that keep their place from one step through another.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    bytes: u32,
    first: usize,
    last: usize,
}

impl Buffer {
    fn meets(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Places everything for steps that run in `order`.
pub fn place(problem: &Problem, order: &[usize]) -> ArenaPlan {
    let uses = Uses::new(problem, order);
    let overwrites = problem.overwrites(order);
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut of_tensor = vec![0; problem.tensors()];
    let mut of_scratch = vec![None; problem.steps.len()];
    for (tensor, &bytes) in problem.inputs.iter().enumerate() {
        of_tensor[tensor] = buffers.len();
        buffers.push(Buffer { bytes, first: 0, last: uses.last[tensor] });
    }
    for (time, &index) in order.iter().enumerate() {
        let step = &problem.steps[index];
        let tensor = problem.tensor_of(index);
        if let Some(shared) = overwrites[index] {
            of_tensor[tensor] = of_tensor[shared];
            let buffer = &mut buffers[of_tensor[shared]];
            buffer.last = buffer.last.max(uses.last[tensor]);
        } else {
            of_tensor[tensor] = buffers.len();
            buffers.push(Buffer { bytes: step.output_bytes, first: time, last: uses.last[tensor] });
        }
        if step.scratch_bytes > 0 {
            of_scratch[index] = Some(buffers.len());
            buffers.push(Buffer { bytes: step.scratch_bytes, first: time, last: time });
        }
    }
    let living = |bytes: fn(u32) -> u32| {
        let at = |time| {
            let alive = buffers.iter().filter(move |b| b.first <= time && time <= b.last);
            alive.map(|buffer| bytes(buffer.bytes)).fold(0, u32::saturating_add)
        };
        (0..order.len()).map(at).max().unwrap_or(0)
    };
    let lower_bound = living(|bytes| bytes);
    let places = search(&buffers, living(aligned));
    let scratch = |(index, buffer): (usize, &Option<usize>)| match buffer {
        Some(buffer) => {
            Region { offset: places[*buffer], bytes: problem.steps[index].scratch_bytes }
        }
        None => Region::EMPTY,
    };
    ArenaPlan {
        order: order.to_vec(),
        offsets: of_tensor.iter().map(|&buffer| places[buffer]).collect(),
        scratch: of_scratch.iter().enumerate().map(scratch).collect(),
        overwrites,
        arena_bytes: end(&buffers, &places),
        lower_bound,
    }
}

/// The next place that a buffer may have. Sizes that no board has saturate: the arena is then refused for what it takes.
const fn aligned(bytes: u32) -> u32 {
    match bytes.checked_next_multiple_of(ALIGNMENT) {
        Some(aligned) => aligned,
        None => u32::MAX,
    }
}

/// Where the last buffer ends.
fn end(buffers: &[Buffer], places: &[u32]) -> u32 {
    let ends = buffers.iter().zip(places).map(|(buffer, place)| place.saturating_add(buffer.bytes));
    ends.max().unwrap_or(0)
}

/// Offsets of the buffers; stops as soon as the end is at most `bound`.
fn search(buffers: &[Buffer], bound: u32) -> Vec<u32> {
    let lifetime = |index: &usize| buffers[*index].last - buffers[*index].first;
    let area = |index: &usize| u64::from(buffers[*index].bytes) * (lifetime(index) as u64 + 1);
    let natural: Vec<usize> = (0..buffers.len()).collect();
    let mut sequences = vec![natural.clone(); 5];
    sequences[0].sort_by_key(|&index| std::cmp::Reverse(buffers[index].bytes));
    sequences[1].sort_by_key(|index| std::cmp::Reverse(area(index)));
    sequences[2].sort_by_key(|index| std::cmp::Reverse(lifetime(index)));
    sequences[3]
        .sort_by_key(|&index| (buffers[index].first, std::cmp::Reverse(buffers[index].bytes)));

    let mut best: Option<(u32, Vec<u32>, Vec<usize>)> = None;
    let mut attempt = |sequence: &[usize]| {
        let places = first_fit(buffers, sequence);
        let bytes = end(buffers, &places);
        if best.as_ref().is_none_or(|(smallest, ..)| bytes < *smallest) {
            best = Some((bytes, places, sequence.to_vec()));
        }
        let (smallest, _, sequence) = best.as_ref()?;
        (*smallest > bound).then(|| sequence.clone())
    };
    let mut unfinished = Some(natural.clone());
    for sequence in &sequences {
        unfinished = attempt(sequence);
        if unfinished.is_none() {
            break;
        }
    }
    if buffers.len() <= EXHAUSTIVE {
        let mut sequence = natural;
        while unfinished.is_some() && next_permutation(&mut sequence) {
            unfinished = attempt(&sequence);
        }
    } else {
        // A linear congruential generator (Knuth's MMIX constants): the plan must be the same every time.
        let mut state = 1u64;
        let mut random = |count: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % count
        };
        for _ in 0..EXCHANGES {
            let Some(mut sequence) = unfinished else { break };
            let from = random(sequence.len());
            let to = random(sequence.len());
            let buffer = sequence.remove(from);
            sequence.insert(to, buffer);
            unfinished = attempt(&sequence);
        }
    }
    best.map(|(_, places, _)| places).unwrap_or_default()
}

/// Places the buffers in this sequence, each at the lowest offset where it meets none of those placed before.
fn first_fit(buffers: &[Buffer], sequence: &[usize]) -> Vec<u32> {
    let mut places = vec![0_u32; buffers.len()];
    for (position, &index) in sequence.iter().enumerate() {
        let buffer = &buffers[index];
        let mut taken: Vec<(u32, u32)> = sequence[..position]
            .iter()
            .filter(|&&other| buffers[other].meets(buffer))
            .map(|&other| (places[other], places[other].saturating_add(buffers[other].bytes)))
            .collect();
        taken.sort_unstable();
        let mut place = 0u32;
        for (start, end) in taken {
            if place.checked_add(buffer.bytes).is_some_and(|end| end <= start) {
                break;
            }
            place = place.max(aligned(end));
        }
        places[index] = place;
    }
    places
}

/// The next sequence in lexicographic order; false after the last.
fn next_permutation(sequence: &mut [usize]) -> bool {
    let Some(pivot) = sequence.windows(2).rposition(|pair| pair[0] < pair[1]) else {
        return false;
    };
    if let Some(swap) = sequence.iter().rposition(|&index| index > sequence[pivot]) {
        sequence.swap(pivot, swap);
        sequence[pivot + 1..].reverse();
    }
    true
}
