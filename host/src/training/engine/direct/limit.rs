//! ReLU, ReLU6 and sums of two, value by value.

use super::rows::{Change, change, load};
use crate::convolution::Element;

/// Values that are worked on together; channels do not matter here.
const ROW: usize = 64;

/// What is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Nothing.
    None,
    /// Values below 0.
    Zero,
    /// Values below 0 and above 6.
    Six,
}

impl Limit {
    /// The value within the limits.
    #[inline(always)]
    pub fn apply<T: Element>(self, value: T) -> T {
        let zero = T::default();
        let six = T::from_f64(6.0);
        match self {
            Self::None => value,
            Self::Zero => {
                if value > zero {
                    value
                } else {
                    zero
                }
            }
            Self::Six => {
                let positive = if value > zero { value } else { zero };
                if positive < six { positive } else { six }
            }
        }
    }

    /// Whether a value, limited or not, lies within the limits, where the limited one still follows it.
    #[inline(always)]
    pub fn lets_through<T: Element>(self, value: T) -> bool {
        match self {
            Self::None => true,
            Self::Zero => value > T::default(),
            Self::Six => value > T::default() && value < T::from_f64(6.0),
        }
    }

    /// `gradient` where the limited value still follows the unlimited one, else 0.
    #[inline(always)]
    pub fn mask<T: Element>(self, limited: T, gradient: T) -> T {
        if self.lets_through(limited) { gradient } else { T::default() }
    }
}

struct Limited<'a, T>(&'a [T], Limit);

impl<T: Element> Change<T> for Limited<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [T; L] {
        load::<T, L>(self.0, at).map(|value| self.1.apply(value))
    }
}

/// `y = limit(x)`.
pub fn forward<T: Element>(x: &[T], limit: Limit, y: &mut [T]) {
    change(y, ROW, false, &Limited(x, limit));
}

struct LimitedSum<'a, T>(&'a [T], &'a [T], Limit);

impl<T: Element> Change<T> for LimitedSum<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [T; L] {
        let (a, b) = (load::<T, L>(self.0, at), load::<T, L>(self.1, at));
        std::array::from_fn(|lane| self.2.apply(a[lane] + b[lane]))
    }
}

/// `y = limit(a + b)`.
pub fn add<T: Element>(a: &[T], b: &[T], limit: Limit, y: &mut [T]) {
    change(y, ROW, false, &LimitedSum(a, b, limit));
}

struct Masked<'a, T> {
    values: &'a [T],
    limited: &'a [T],
    limit: Limit,
}

impl<T: Element> Change<T> for Masked<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [T; L] {
        let values = load::<T, L>(self.values, at);
        if self.limit == Limit::None {
            return values;
        }
        let limited = load::<T, L>(self.limited, at);
        std::array::from_fn(|lane| self.limit.mask(limited[lane], values[lane]))
    }
}

/// `to = mask(values)`, or its addition to what is there.
pub fn masked<T: Element>(
    values: &[T],
    limited: &[T],
    limit: Limit,
    to: &mut [T],
    accumulate: bool,
) {
    change(to, ROW, accumulate, &Masked { values, limited, limit });
}

struct MaskedSum<'a, T>(Masked<'a, T>, &'a [T]);

impl<T: Element> Change<T> for MaskedSum<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [T; L] {
        let (a, b) = (load::<T, L>(self.0.values, at), load::<T, L>(self.1, at));
        let limited = load::<T, L>(self.0.limited, at);
        std::array::from_fn(|lane| self.0.limit.mask(limited[lane], a[lane] + b[lane]))
    }
}

/// `to = mask(a + b)`.
pub fn masked_sum<T: Element>(a: &[T], b: &[T], limited: &[T], limit: Limit, to: &mut [T]) {
    change(to, ROW, false, &MaskedSum(Masked { values: a, limited, limit }, b));
}
