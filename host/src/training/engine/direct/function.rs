//! Functions of single values.

use super::rows::{Change, change, load};
use crate::convolution::Element;
use crate::graph::function::Function;

/// Values that are worked on together; channels do not matter here.
const ROW: usize = 64;

struct Values<'a, T>(&'a [T], Function);

impl<T: Element> Change<T> for Values<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [T; L] {
        load::<T, L>(self.0, at).map(|x| T::from_f64(self.1.value(x.to_f64())))
    }
}

/// `y = f(x)`.
pub fn forward<T: Element>(x: &[T], function: Function, y: &mut [T]) {
    change(y, ROW, false, &Values(x, function));
}

struct Sloped<'a, T> {
    x: &'a [T],
    along: &'a [T],
    function: Function,
}

impl<T: Element> Change<T> for Sloped<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, _channel: usize) -> [T; L] {
        let (x, along) = (load::<T, L>(self.x, at), load::<T, L>(self.along, at));
        std::array::from_fn(|lane| {
            T::from_f64(self.function.derivative(x[lane].to_f64()) * along[lane].to_f64())
        })
    }
}

/// `to = f′(x) · along`, or its addition to what is there.
pub fn sloped<T: Element>(
    x: &[T],
    function: Function,
    along: &[T],
    to: &mut [T],
    accumulate: bool,
) {
    change(to, ROW, accumulate, &Sloped { x, along, function });
}

struct Bent<'a, T> {
    product: Sloped<'a, T>,
    gradient: &'a [T],
    tangent: &'a [T],
}

impl<T: Element> Change<T> for Bent<'_, T> {
    #[inline(always)]
    fn of<const L: usize>(&self, at: usize, channel: usize) -> [T; L] {
        let sloped: [T; L] = self.product.of(at, channel);
        let x = load::<T, L>(self.product.x, at);
        let (gradient, tangent) = (load::<T, L>(self.gradient, at), load::<T, L>(self.tangent, at));
        std::array::from_fn(|lane| {
            let bend = self.product.function.second_derivative(x[lane].to_f64());
            let along = gradient[lane].to_f64() * tangent[lane].to_f64();
            sloped[lane] + T::from_f64(bend * along)
        })
    }
}

/// `to = f′(x) · product + f″(x) · gradient · tangent`, or its addition to what is there.
pub fn bent<T: Element>(
    x: &[T],
    function: Function,
    [product, gradient, tangent]: [&[T]; 3],
    to: &mut [T],
    accumulate: bool,
) {
    let product = Sloped { x, along: product, function };
    change(to, ROW, accumulate, &Bent { product, gradient, tangent });
}
