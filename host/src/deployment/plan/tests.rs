use super::*;
use proptest::prelude::*;

/// The rules of the loader, stated anew: what is read is intact, and only an addition writes over what it reads.
fn assert_legal(problem: &Problem, plan: &ArenaPlan) {
    let region = |tensor: usize| Region {
        offset: plan.offsets[tensor],
        bytes: problem.tensor_bytes(tensor),
    };
    let mut position = vec![0; problem.steps.len()];
    for (time, &index) in plan.order.iter().enumerate() {
        position[index] = time;
    }
    let inputs = problem.inputs.len();
    let ends = (0..inputs).map(|input| region(input).offset + region(input).bytes);
    let mut end = ends.max().unwrap();
    for (time, &index) in plan.order.iter().enumerate() {
        let step = &problem.steps[index];
        let output = region(problem.tensor_of(index));
        let scratch = plan.scratch[index];
        assert_eq!(scratch.bytes, step.scratch_bytes);
        assert_eq!(output.offset % ALIGNMENT, 0);
        end = end.max(output.offset + output.bytes).max(scratch.offset + scratch.bytes);
        assert!(!scratch.overlaps(output), "scratch over output: {problem:?} {plan:?}");
        for &tensor in &step.inputs {
            let input = region(tensor);
            let written = problem.step_of(tensor).map_or(0, |step| position[step] + 1);
            assert!(written <= time, "read before written: {problem:?} {plan:?}");
            for &between in &plan.order[written..time] {
                let clash = input.overlaps(region(problem.tensor_of(between)))
                    || input.overlaps(plan.scratch[between]);
                assert!(!clash, "overwritten before it is read: {problem:?} {plan:?}");
            }
            assert!(!scratch.overlaps(input), "scratch over input: {problem:?} {plan:?}");
            if plan.overwrites[index] == Some(tensor) {
                assert!(step.may_overwrite && input == output);
            } else {
                assert!(!input.overlaps(output), "output over input: {problem:?} {plan:?}");
            }
        }
    }
    // Inputs that are read at all lie beside each other until then.
    for input in 0..inputs {
        for other in 0..input {
            assert!(!region(input).overlaps(region(other)), "{problem:?} {plan:?}");
        }
    }
    // What is given stays until the end.
    for &given in &problem.outputs {
        let written = problem.step_of(given).map_or(0, |step| position[step] + 1);
        for &behind in &plan.order[written..] {
            let other = region(problem.tensor_of(behind));
            let clash =
                region(given).overlaps(other) || region(given).overlaps(plan.scratch[behind]);
            assert!(!clash, "overwritten before the end: {problem:?} {plan:?}");
        }
    }
    assert_eq!(plan.arena_bytes, end);
    assert!(plan.arena_bytes >= plan.lower_bound);
}

/// Networks with branches: every step reads one or two earlier tensors, and every tensor but the outputs is read.
fn problems() -> impl Strategy<Value = Problem> {
    let step = (1u32..200, 0u32..40, any::<prop::sample::Index>(), 0u8..4);
    let inputs = prop::collection::vec(1u32..200, 1..4);
    let outputs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    let steps = prop::collection::vec(step, 1..14);
    (inputs, steps, outputs).prop_map(|(inputs, drawn, outputs)| {
        let mut problem = Problem { inputs, steps: Vec::new(), outputs: Vec::new() };
        for (index, (bytes, scratch_bytes, other, kind)) in drawn.into_iter().enumerate() {
            let number = problem.inputs.len() + index - 1;
            let mut step = Step {
                inputs: vec![number],
                output_bytes: bytes,
                scratch_bytes,
                may_overwrite: false,
            };
            let other = other.index(number + 1);
            if kind == 0 && other != number {
                step.inputs.push(other);
                step.may_overwrite = true;
                step.scratch_bytes = 0;
                step.output_bytes = problem.tensor_bytes(number);
            } else if kind == 1 {
                step.inputs = vec![other];
            }
            problem.steps.push(step);
        }
        // Whatever nobody reads is read by a last step.
        let count = problem.tensors();
        let read = |tensor: &usize| problem.steps.iter().any(|step| step.inputs.contains(tensor));
        let mut inputs: Vec<usize> = (0..count).filter(|tensor| !read(tensor)).collect();
        inputs.truncate(8);
        problem.steps.push(Step {
            inputs,
            output_bytes: 5,
            scratch_bytes: 0,
            may_overwrite: false,
        });
        problem.outputs.push(problem.tensors() - 1);
        for output in outputs {
            let output = problem.tensor_of(output.index(problem.steps.len()));
            if !problem.outputs.contains(&output) {
                problem.outputs.push(output);
            }
        }
        problem
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_plan_overwrites_what_is_still_needed(problem in problems()) {
        let plan = plan_arena(&problem);
        assert_legal(&problem, &plan);
        prop_assert_eq!(&plan, &plan_arena(&problem));
    }
}

fn step(inputs: &[usize], output_bytes: u32) -> Step {
    Step { inputs: inputs.to_vec(), output_bytes, scratch_bytes: 0, may_overwrite: false }
}

#[test]
fn a_chain_needs_its_largest_neighbours() {
    let steps = vec![step(&[0], 400), step(&[1], 200), step(&[2], 300), step(&[3], 12)];
    let problem = Problem { inputs: vec![100], steps, outputs: vec![4] };
    let plan = plan_arena(&problem);
    assert_legal(&problem, &plan);
    assert_eq!((plan.arena_bytes, plan.lower_bound), (600, 600));
}

#[test]
fn an_addition_overwrites_the_operand_that_dies() {
    let add = Step { may_overwrite: true, ..step(&[1, 2], 100) };
    let steps = vec![step(&[0], 100), step(&[1], 100), add];
    let problem = Problem { inputs: vec![40], steps, outputs: vec![3] };
    let plan = plan_arena(&problem);
    assert_legal(&problem, &plan);
    assert_eq!(plan.arena_bytes, 200);
    assert_eq!(plan.overwrites, [None, None, Some(2)]);
}

#[test]
fn an_operand_that_is_read_again_is_not_overwritten() {
    let add = Step { may_overwrite: true, ..step(&[2, 1], 100) };
    let again = Step { may_overwrite: true, ..step(&[3, 2], 100) };
    let steps = vec![step(&[0], 100), step(&[1], 100), add, again];
    let problem = Problem { inputs: vec![40], steps, outputs: vec![4] };
    let plan = plan_arena(&problem);
    assert_legal(&problem, &plan);
    assert_eq!(plan.overwrites[2], Some(1));
    assert_eq!(plan.arena_bytes, 200);
}

#[test]
fn the_branch_that_frees_memory_runs_first() {
    // Two branches of the input: one widens to 1000 bytes on the way to 10, the other holds 300.
    let steps = vec![step(&[0], 300), step(&[0], 1000), step(&[2], 10), step(&[1, 3], 10)];
    let problem = Problem { inputs: vec![50], steps, outputs: vec![4] };
    let plan = plan_arena(&problem);
    assert_legal(&problem, &plan);
    assert_eq!(plan.order, [1, 2, 0, 3]);
    assert_eq!(plan.lower_bound, 1060);
    assert!(plan.arena_bytes <= 1064, "offsets are multiples of 4");
}

#[test]
fn sizes_beyond_any_board_saturate_and_do_not_wrap() {
    let step = |number: usize| Step {
        inputs: vec![number],
        output_bytes: u32::MAX - 2,
        scratch_bytes: u32::MAX,
        may_overwrite: false,
    };
    let steps = (0..9).map(step).collect();
    let problem = Problem { inputs: vec![u32::MAX - 1], steps, outputs: vec![9] };
    let planned = plan_arena(&problem);
    assert_eq!((planned.arena_bytes, planned.lower_bound), (u32::MAX, u32::MAX));
}

#[test]
fn an_output_is_not_written_over_though_it_is_read_last() {
    let add = Step { may_overwrite: true, ..step(&[2, 3], 100) };
    let steps = vec![step(&[0], 100), step(&[1], 100), add];
    let problem = Problem { inputs: vec![40, 100], steps, outputs: vec![4, 2] };
    let plan = plan_arena(&problem);
    assert_legal(&problem, &plan);
    assert_eq!(plan.overwrites, [None, None, Some(3)]);
    assert_eq!(plan.arena_bytes, 240);
}
