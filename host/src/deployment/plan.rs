//! Where every tensor lies in the arena, and in which order the layers run, so that the arena is small.
//!
//! Three decisions: the execution order whose largest sum of living bytes is smallest (`order`), which additions
//! overwrite an operand that dies in them, and the offsets (`packing`). The rules are those of the loader: a tensor keeps its
//! place from the layer that writes it through the last layer that reads it, scratch lives while its layer runs, and
//! only an addition may write over what it reads.

mod order;
mod packing;

use tinyhero_common::shape::Region;

/// Offsets are multiples of this, so that kernels may read whole words.
pub const ALIGNMENT: u32 = 4;

/// One layer, seen from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Tensors that it reads: the network's inputs first, then the output of each step.
    pub inputs: Vec<usize>,
    /// Bytes that it writes.
    pub output_bytes: u32,
    /// Bytes that it needs while it runs.
    pub scratch_bytes: u32,
    /// Whether it may write over one of its inputs of the same size.
    pub may_overwrite: bool,
}

/// What has to be placed. Every step's output is read by a later one, or is one of the network's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Bytes of each of the network's inputs.
    pub inputs: Vec<u32>,
    /// The steps, each after those that it reads.
    pub steps: Vec<Step>,
    /// The tensors that the network gives, which stay until its end.
    pub outputs: Vec<usize>,
}

/// A layout of the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArenaPlan {
    /// The steps in the order in which they run.
    pub order: Vec<usize>,
    /// Offset of each tensor: the inputs, then the output of each step of the problem.
    pub offsets: Vec<u32>,
    /// Scratch of each step of the problem.
    pub scratch: Vec<Region>,
    /// The tensor that a step of the problem writes over.
    pub overwrites: Vec<Option<usize>>,
    /// Bytes of the arena.
    pub arena_bytes: u32,
    /// Most bytes that live at once in this order: no plan of it can be smaller.
    pub lower_bound: u32,
}

impl Problem {
    /// Number of tensors.
    const fn tensors(&self) -> usize {
        self.inputs.len() + self.steps.len()
    }

    /// The tensor that a step writes.
    const fn tensor_of(&self, step: usize) -> usize {
        self.inputs.len() + step
    }

    /// The step that writes a tensor; `None` for an input.
    const fn step_of(&self, tensor: usize) -> Option<usize> {
        tensor.checked_sub(self.inputs.len())
    }

    /// Bytes of a tensor.
    fn tensor_bytes(&self, tensor: usize) -> u32 {
        match self.step_of(tensor) {
            None => self.inputs[tensor],
            Some(step) => self.steps[step].output_bytes,
        }
    }

    /// Which input each step writes over, when the steps run in `order`: one that nobody reads later, the most recently
    /// written of several, because it pins the common place for the shorter time.
    fn overwrites(&self, order: &[usize]) -> Vec<Option<usize>> {
        let uses = Uses::new(self, order);
        let mut overwrites = vec![None; self.steps.len()];
        for (time, &index) in order.iter().enumerate() {
            let step = &self.steps[index];
            // The sum of a tensor with itself has no second operand to keep apart.
            let distinct = step.inputs.windows(2).all(|pair| pair[0] != pair[1]);
            if step.may_overwrite && distinct {
                overwrites[index] = step
                    .inputs
                    .iter()
                    .copied()
                    .filter(|&tensor| {
                        uses.last[tensor] == time
                            && self.tensor_bytes(tensor) == step.output_bytes
                            && !self.outputs.contains(&tensor)
                    })
                    .max_by_key(|&tensor| uses.first[tensor]);
            }
        }
        overwrites
    }
}

/// First and last time at which each tensor occupies its place, as positions in the execution order.
struct Uses {
    first: Vec<usize>,
    last: Vec<usize>,
}

impl Uses {
    fn new(problem: &Problem, order: &[usize]) -> Self {
        let mut first = vec![0; problem.tensors()];
        for (time, &index) in order.iter().enumerate() {
            first[problem.tensor_of(index)] = time;
        }
        let mut last = first.clone();
        for &output in &problem.outputs {
            last[output] = order.len().saturating_sub(1);
        }
        for (time, &index) in order.iter().enumerate() {
            for &tensor in &problem.steps[index].inputs {
                last[tensor] = last[tensor].max(time);
            }
        }
        Self { first, last }
    }
}

/// Plans the arena. The same problem always gets the same plan.
pub fn plan_arena(problem: &Problem) -> ArenaPlan {
    let natural: Vec<usize> = (0..problem.steps.len()).collect();
    let best = order::with_smallest_peak(problem).unwrap_or_else(|| natural.clone());
    let plan = packing::place(problem, &best);
    if plan.arena_bytes <= plan.lower_bound || best == natural {
        return plan;
    }
    let other = packing::place(problem, &natural);
    if other.arena_bytes < plan.arena_bytes { other } else { plan }
}

#[cfg(test)]
mod tests;
