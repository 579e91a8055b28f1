//! Axes and shapes as both formats count them.

/// The shape of two values, element by element.
pub fn broadcast(first: &[usize], second: &[usize]) -> Option<Vec<usize>> {
    let rank = first.len().max(second.len());
    let size = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis])
    };
    let sizes = (0..rank).map(|axis| match (size(first, axis), size(second, axis)) {
        (first, second) if first == second => Some(first),
        (1, size) | (size, 1) => Some(size),
        _ => None,
    });
    sizes.collect()
}

/// An axis counted from the front.
pub fn axis(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis.checked_add(rank)? } else { axis };
    (0..rank).contains(&axis).then_some(axis as usize)
}
