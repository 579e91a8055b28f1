//! Vectors of floats, chosen when the program runs.
//!
//! Kernels are written once over [`Simd`]. [`run`] calls them with the widest vectors that the processor has; everything inlined
//! into that call is compiled for them, so neither the build nor the user names a processor.

use std::ops::{Add, Mul};

/// An element type of tensors: f32 for training, f64 for checking it.
pub trait Element:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + Add<Output = Self>
    + Mul<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::AddAssign
    + 'static
{
    /// The nearest value of the type.
    fn from_f64(value: f64) -> Self;

    /// The value itself.
    fn to_f64(self) -> f64;

    /// Calls a function compiled for the widest vectors that this processor has, as far as it is inlined.
    fn call(function: impl FnOnce());

    /// Runs a kernel with the widest vectors that this processor has.
    fn run<K: Kernel<Self>>(kernel: K);

    /// A buffer of this thread, for use within one kernel call.
    fn with_scratch<R>(slot: Scratch, use_it: impl FnOnce(&mut Vec<Self>) -> R) -> R;
}

/// Which of a thread's buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scratch {
    /// A padded image.
    Image,
    /// Gradients with their channels filled up to whole vectors.
    Gradient,
}

/// Work that is written over any vectors.
pub trait Kernel<T> {
    /// Does the work.
    fn run<S: Simd<T>>(self, simd: S);
}

/// Vectors of one kind. A value of the type is a proof that the processor has them.
pub trait Simd<T>: Copy {
    /// Several elements.
    type Vector: Copy;
    /// How many.
    const LANES: usize;

    /// All zero.
    fn zero(self) -> Self::Vector;

    /// The same element everywhere.
    fn splat(self, value: T) -> Self::Vector;

    /// `a · b + c`.
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// Elements from memory.
    ///
    /// # Safety
    /// `LANES` elements can be read there.
    unsafe fn load(self, from: *const T) -> Self::Vector;

    /// Elements to memory.
    ///
    /// # Safety
    /// `LANES` elements can be written there.
    unsafe fn store(self, value: Self::Vector, to: *mut T);
}

/// Eight elements as a plain array, on any processor.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl<T: Element> Simd<T> for Portable {
    type Vector = [T; 8];
    const LANES: usize = 8;

    #[inline(always)]
    fn zero(self) -> [T; 8] {
        [T::default(); 8]
    }

    #[inline(always)]
    fn splat(self, value: T) -> [T; 8] {
        [value; 8]
    }

    #[inline(always)]
    fn multiply_add(self, a: [T; 8], b: [T; 8], c: [T; 8]) -> [T; 8] {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    // SAFETY: the trait obliges the caller.
    #[inline(always)]
    unsafe fn load(self, from: *const T) -> [T; 8] {
        // SAFETY: the caller promises eight readable elements.
        unsafe { from.cast::<[T; 8]>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, value: [T; 8], to: *mut T) {
        // SAFETY: the caller promises eight writable elements.
        unsafe { to.cast::<[T; 8]>().write(value) }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{Kernel, Simd};
    use std::arch::x86_64::{
        __m256, __m256d, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_loadu_pd, _mm256_loadu_ps,
        _mm256_set1_pd, _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps, _mm256_storeu_pd,
        _mm256_storeu_ps,
    };

    /// AVX2 with fused multiply-add. Only [`Avx2::detect`] makes one.
    #[derive(Clone, Copy, Debug)]
    pub struct Avx2(());

    impl Avx2 {
        /// The proof, where the processor has both.
        #[inline]
        pub fn detect() -> Option<Self> {
            let present = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            present.then_some(Self(()))
        }

        /// Runs a kernel compiled for these vectors.
        #[inline]
        pub fn run<T, K: Kernel<T>>(self, kernel: K)
        where
            Self: Simd<T>,
        {
            #[target_feature(enable = "avx2,fma")]
            fn compiled_for_avx2<T, K: Kernel<T>>(kernel: K, simd: Avx2)
            where
                Avx2: Simd<T>,
            {
                kernel.run(simd);
            }
            // SAFETY: a value of `Avx2` exists only where the processor has both features.
            unsafe { compiled_for_avx2(kernel, self) }
        }

        /// Calls a function compiled for these vectors.
        #[inline]
        pub fn call(self, function: impl FnOnce()) {
            #[target_feature(enable = "avx2,fma")]
            fn compiled_for_avx2(function: impl FnOnce()) {
                function();
            }
            // SAFETY: a value of `Avx2` exists only where the processor has both features.
            unsafe { compiled_for_avx2(function) }
        }
    }

    macro_rules! vectors {
        ($element:ty, $vector:ty, $lanes:literal, $zero:ident, $splat:ident, $fma:ident, $load:ident, $store:ident) => {
            impl Simd<$element> for Avx2 {
                type Vector = $vector;
                const LANES: usize = $lanes;

                #[inline(always)]
                fn zero(self) -> $vector {
                    // SAFETY: a value of `Avx2` exists only where the processor has the instruction.
                    unsafe { $zero() }
                }

                #[inline(always)]
                fn splat(self, value: $element) -> $vector {
                    // SAFETY: as above.
                    unsafe { $splat(value) }
                }

                #[inline(always)]
                fn multiply_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                    // SAFETY: as above.
                    unsafe { $fma(a, b, c) }
                }

                #[inline(always)]
                unsafe fn load(self, from: *const $element) -> $vector {
                    // SAFETY: as above, and the caller promises that all lanes can be read.
                    unsafe { $load(from) }
                }

                #[inline(always)]
                unsafe fn store(self, value: $vector, to: *mut $element) {
                    // SAFETY: as above, and the caller promises that all lanes can be written.
                    unsafe { $store(to, value) }
                }
            }
        };
    }

    vectors!(
        f32,
        __m256,
        8,
        _mm256_setzero_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps
    );
    vectors!(
        f64,
        __m256d,
        4,
        _mm256_setzero_pd,
        _mm256_set1_pd,
        _mm256_fmadd_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd
    );
}

macro_rules! element {
    ($element:ty) => {
        impl Element for $element {
            #[inline]
            fn from_f64(value: f64) -> Self {
                value as Self
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            fn call(function: impl FnOnce()) {
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = avx2::Avx2::detect() {
                    return simd.call(function);
                }
                function();
            }

            fn run<K: Kernel<Self>>(kernel: K) {
                #[cfg(target_arch = "x86_64")]
                if let Some(simd) = avx2::Avx2::detect() {
                    return simd.run(kernel);
                }
                kernel.run(Portable);
            }

            fn with_scratch<R>(slot: Scratch, use_it: impl FnOnce(&mut Vec<Self>) -> R) -> R {
                thread_local! {
                    static BUFFERS: [std::cell::RefCell<Vec<$element>>; 2] = const {
                        [const { std::cell::RefCell::new(Vec::new()) }; 2]
                    };
                }
                BUFFERS.with(|buffers| use_it(&mut buffers[slot as usize].borrow_mut()))
            }
        }
    };
}

element!(f32);
element!(f64);
