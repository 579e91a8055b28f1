//! How far a window reaches along one axis, by the rules of both formats.

use super::operation::Border;

/// One axis of a window with its border in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// What is added before the first position.
    pub before: usize,
    /// What is added behind the last one; windows that reach beyond the stated border included.
    pub after: usize,
    /// Of it, what the stated border has.
    pub stated_after: usize,
    /// Number of windows.
    pub output: usize,
}

/// The windows along axis `axis` of `axes`. `None` if none fits.
pub fn span(
    border: &Border,
    [axis, axes]: [usize; 2],
    size: usize,
    [kernel, stride, dilation]: [usize; 3],
    round_up: bool,
) -> Option<Span> {
    if kernel == 0 || stride == 0 || dilation == 0 || size == 0 {
        return None;
    }
    let reach = (kernel - 1).checked_mul(dilation)?.checked_add(1)?;
    match border {
        Border::Same { larger_before } => {
            let output = size.div_ceil(stride);
            let total = ((output - 1) * stride + reach).saturating_sub(size);
            let before = if *larger_before { total.div_ceil(2) } else { total / 2 };
            let after = total - before;
            Some(Span { before, after, stated_after: after, output })
        }
        Border::Amounts(amounts) => {
            let amount = |index: usize| amounts.get(index).copied().unwrap_or(0);
            let (before, stated_after) = (amount(axis), amount(axes + axis));
            let rest = (size + before + stated_after).checked_sub(reach)?;
            let mut output = rest / stride + 1;
            // A window that would begin in the far border is left out.
            if round_up && !rest.is_multiple_of(stride) && output * stride < size + before {
                output += 1;
            }
            let end = (output - 1) * stride + reach;
            let after = stated_after.max(end.saturating_sub(size + before));
            Some(Span { before, after, stated_after, output })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_counted_as_the_formats_count() {
        let span = |border: &Border, size, window, up| {
            let found = span(border, [0, 1], size, window, up)?;
            Some([found.before, found.after, found.output])
        };
        let same = Border::Same { larger_before: false };
        assert_eq!(span(&same, 28, [3, 2, 1], false), Some([0, 1, 14]));
        assert_eq!(
            span(&Border::Same { larger_before: true }, 28, [3, 2, 1], false),
            Some([1, 0, 14])
        );
        let none = Border::Amounts(Vec::new());
        assert_eq!(span(&none, 7, [3, 2, 1], false), Some([0, 0, 3]));
        assert_eq!(span(&none, 8, [3, 2, 1], true), Some([0, 1, 4]));
        assert_eq!(span(&none, 5, [3, 1, 2], false), Some([0, 0, 1]));
        assert_eq!(span(&none, 4, [3, 1, 2], false), None);
        assert_eq!(span(&Border::Amounts(vec![2, 0]), 8, [3, 1, 1], false), Some([2, 0, 8]));
    }
}
