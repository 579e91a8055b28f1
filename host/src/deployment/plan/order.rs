//! The execution order in which the fewest bytes live at once.

use super::Problem;
use std::collections::HashMap;

/// Sets of finished steps that the search may visit; networks of this field need a few hundred.
const STATE_LIMIT: usize = 20_000;

/// The steps that have run, one bit each.
type Finished = Vec<u64>;

/// An order whose peak is smallest; the order of the problem among equals. `None` where the graph has too many orders to
/// search.
///
/// What lives depends only on which steps have run, not on their order, so the best continuation of a set of finished
/// steps is searched once and kept.
pub fn with_smallest_peak(problem: &Problem) -> Option<Vec<usize>> {
    let mut search = Search { problem, readers: readers(problem), best: HashMap::new() };
    let start = vec![0; problem.steps.len().div_ceil(64)];
    search.best_peak(&start)?;
    let mut finished = start;
    let mut order = Vec::with_capacity(problem.steps.len());
    while let Some(&(_, Some(next))) = search.best.get(&finished) {
        order.push(next);
        insert(&mut finished, next);
    }
    (order.len() == problem.steps.len()).then_some(order)
}

struct Search<'a> {
    problem: &'a Problem,
    /// The steps that read each tensor.
    readers: Vec<Vec<usize>>,
    /// For a set of finished steps: the smallest peak of what follows, and the step to take.
    best: HashMap<Finished, (u64, Option<usize>)>,
}

impl Search<'_> {
    fn best_peak(&mut self, finished: &Finished) -> Option<u64> {
        if let Some(&(peak, _)) = self.best.get(finished) {
            return Some(peak);
        }
        if self.best.len() >= STATE_LIMIT {
            return None;
        }
        // A place in the table while deeper sets are searched keeps the count honest.
        self.best.insert(finished.clone(), (0, None));
        let living = self.living_bytes(finished);
        let mut best: (u64, Option<usize>) = (u64::MAX, None);
        for step in 0..self.problem.steps.len() {
            if contains(finished, step) || !self.is_ready(finished, step) {
                continue;
            }
            let here = living + self.added_bytes(finished, step);
            // Ready steps are tried in the problem's order, and only a better one replaces an earlier one.
            if here >= best.0 {
                continue;
            }
            let mut next = finished.clone();
            insert(&mut next, step);
            let peak = here.max(self.best_peak(&next)?);
            if peak < best.0 {
                best = (peak, Some(step));
            }
        }
        if best.1.is_none() {
            best.0 = 0;
        }
        self.best.insert(finished.clone(), best);
        Some(best.0)
    }

    fn is_ready(&self, finished: &Finished, step: usize) -> bool {
        let inputs = &self.problem.steps[step].inputs;
        inputs.iter().all(|&tensor| self.is_written(finished, tensor))
    }

    fn is_written(&self, finished: &Finished, tensor: usize) -> bool {
        self.problem.step_of(tensor).is_none_or(|step| contains(finished, step))
    }

    /// Bytes of the tensors that are written and still to be read, or to be given.
    fn living_bytes(&self, finished: &Finished) -> u64 {
        let is_read_later = |tensor: usize| {
            self.readers[tensor].iter().any(|&step| !contains(finished, step))
                || self.problem.outputs.contains(&tensor)
        };
        (0..self.problem.tensors())
            .filter(|&tensor| self.is_written(finished, tensor) && is_read_later(tensor))
            .map(|tensor| u64::from(self.problem.tensor_bytes(tensor)))
            .sum()
    }

    /// Bytes that a step needs beyond what lives before it.
    fn added_bytes(&self, finished: &Finished, step: usize) -> u64 {
        let data = &self.problem.steps[step];
        let dies = |tensor: usize| {
            let mut readers = self.readers[tensor].iter();
            readers.all(|&reader| reader == step || contains(finished, reader))
                && self.problem.tensor_bytes(tensor) == data.output_bytes
                && !self.problem.outputs.contains(&tensor)
        };
        let distinct = data.inputs.windows(2).all(|pair| pair[0] != pair[1]);
        let in_place = data.may_overwrite && distinct && data.inputs.iter().any(|&t| dies(t));
        let output = if in_place { 0 } else { data.output_bytes };
        u64::from(output) + u64::from(data.scratch_bytes)
    }
}

fn readers(problem: &Problem) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); problem.tensors()];
    for (index, step) in problem.steps.iter().enumerate() {
        for &tensor in &step.inputs {
            readers[tensor].push(index);
        }
    }
    readers
}

fn contains(set: &Finished, step: usize) -> bool {
    set[step / 64] >> (step % 64) & 1 == 1
}

fn insert(set: &mut Finished, step: usize) {
    set[step / 64] |= 1 << (step % 64);
}
