//! A kernel set with chosen operators of another: the code of the rest stays out of an image.

use super::Kernels;
use crate::layer::Layer;
use crate::operator::{self, Operator, Rules, operators};
use crate::tensor::SampleType;

/// The operators `OPERATORS` of the set `K`, a bit for each by its number ([`only`]). Models that need others are refused at load.
///
/// Each method hands on to `K` or is empty, by a constant, so that the compiler drops what no method reaches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Only<K, const OPERATORS: u32>(K);

impl<K, const OPERATORS: u32> Only<K, OPERATORS> {
    /// These operators of `kernels`.
    pub const fn new(kernels: K) -> Self {
        Self(kernels)
    }
}

/// The set of operators for [`Only`], from their numbers, such as
/// [`FullyConnected::NUMBER`](operator::FullyConnected::NUMBER).
pub const fn only(mut numbers: &[u32]) -> u32 {
    let mut set = 0;
    while let [first, rest @ ..] = numbers {
        set |= 1 << *first;
        numbers = rest;
    }
    set
}

/// What a method takes, by its name in `operators!`.
macro_rules! bytes {
    (scratch) => {
        &mut [i8]
    };
    (output) => {
        &mut [i8]
    };
    ($read:ident) => {
        &[i8]
    };
}

macro_rules! hand_on {
    ($tag:literal $name:ident: $method:ident($($argument:ident),*)) => {
        #[inline(always)]
        fn $method(
            &mut self,
            job: &<operator::$name as Rules>::Job<'_>,
            $($argument: bytes!($argument)),*
        ) {
            if const { OPERATORS & (1 << $tag) != 0 } {
                self.0.$method(job, $($argument),*);
            }
        }
    };
}

macro_rules! define {
    (
        []
        $($tag:literal $name:ident: $method:ident $arguments:tt $(or $in_place:ident $places:tt)?,)*
    ) => {
        impl<K: Kernels, const OPERATORS: u32> Kernels for Only<K, OPERATORS> {
            const OPERATORS: u32 = OPERATORS & K::OPERATORS;

            // Inlined, so that the compiler sees which operators never come further.
            #[inline(always)]
            fn computes(layer: &Layer<'_>) -> bool {
                let chosen = match layer.operator {
                    $(Operator::$name(_) => const { OPERATORS & (1 << $tag) != 0 },)*
                };
                chosen && K::computes(layer)
            }

            #[inline(always)]
            fn quantize_input(
                &mut self,
                maps: &[u8],
                sample_type: SampleType,
                raw: &[u8],
                input: &mut [i8],
            ) {
                self.0.quantize_input(maps, sample_type, raw, input);
            }

            $(
                hand_on!($tag $name: $method $arguments);
                $(hand_on!($tag $name: $in_place $places);)?
            )*
        }
    };
}

operators!(define);
