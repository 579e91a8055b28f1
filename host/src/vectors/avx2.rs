//! 256-bit vectors of x86-64.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_max_epi8, _mm_min_epi8, _mm_set1_epi8, _mm256_add_epi32,
    _mm256_add_ps, _mm256_castsi256_si128, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_mul_ps, _mm256_mulhi_epu16, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permute4x64_epi64, _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32,
    _mm256_sllv_epi32, _mm256_srav_epi32, _mm256_unpackhi_epi16, _mm256_unpacklo_epi16,
};

use super::{Constants, GROUP, LANES, Range, Vectors, Work};

/// AVX2. Only [`Avx2::detect`] makes one.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

impl Avx2 {
    /// The proof, where the processor has it.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

/// 32 bytes of memory as a vector.
#[inline(always)]
fn load<T>(from: &T) -> __m256i {
    const { assert!(size_of::<T>() == 32) };
    // SAFETY: the reference is to 32 readable bytes, any of which are a vector; it is called where there is AVX2 only.
    unsafe { _mm256_loadu_si256(std::ptr::from_ref(from).cast()) }
}

impl Vectors for Avx2 {
    type Sums = __m256i;
    type Pairs = __m256i;
    type Reals = __m256;

    fn run<W: Work>(self, work: W) -> W::Result {
        #[target_feature(enable = "avx2")]
        fn compiled_for_avx2<W: Work>(work: W, vectors: Avx2) -> W::Result {
            work.run(vectors)
        }
        // SAFETY: a value of `Avx2` exists only where the processor has it.
        unsafe { compiled_for_avx2(work, self) }
    }

    #[inline(always)]
    fn sums(self, from: &[i32; LANES]) -> __m256i {
        load(from)
    }

    #[inline(always)]
    fn pairs(self, from: &[i16; 2 * LANES]) -> __m256i {
        load(from)
    }

    #[inline(always)]
    fn same(self, [low, high]: [i16; 2]) -> __m256i {
        let [b0, b1] = low.to_le_bytes();
        let [b2, b3] = high.to_le_bytes();
        // SAFETY: a value of `Avx2` exists only where the processor has it.
        unsafe { _mm256_set1_epi32(i32::from_le_bytes([b0, b1, b2, b3])) }
    }

    #[inline(always)]
    fn multiply_add(self, sums: __m256i, first: __m256i, other: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(sums, _mm256_madd_epi16(first, other)) }
    }

    #[inline(always)]
    fn reals(self, from: &[f32; LANES]) -> __m256 {
        // SAFETY: the reference is to 32 readable bytes; a value of `Avx2` exists only where the processor has it.
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn same_real(self, value: f32) -> __m256 {
        // SAFETY: a value of `Avx2` exists only where the processor has it.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn add_product(self, sums: __m256, first: __m256, other: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(sums, _mm256_mul_ps(first, other)) }
    }

    #[inline(always)]
    fn stored(self, values: __m256) -> [f32; LANES] {
        // SAFETY: eight lanes of 32 bits are eight real numbers, any of which are values.
        unsafe { std::mem::transmute::<__m256, [f32; LANES]>(values) }
    }

    #[inline(always)]
    fn interleave(self, first: __m256i, other: __m256i) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_unpacklo_epi16(first, other), _mm256_unpackhi_epi16(first, other)] }
    }

    #[inline(always)]
    fn requantize(self, sums: [__m256i; 2], constants: &Constants, range: Range) -> [i8; GROUP] {
        let halves = |values: &[i32; GROUP]| {
            let (halves, _) = values.as_chunks::<LANES>();
            [load(&halves[0]), load(&halves[1])]
        };
        let counts = |values: &[u32; GROUP]| {
            let (halves, _) = values.as_chunks::<LANES>();
            [load(&halves[0]), load(&halves[1])]
        };
        let left = counts(&constants.left);
        let multiplier = halves(&constants.multiplier);
        let half = halves(&constants.half);
        let right = counts(&constants.right);
        // SAFETY: a value of `Avx2` exists only where the processor has it. An array of 16 bytes is a vector of 16 bytes.
        unsafe {
            let zero_point = _mm256_set1_epi32(i32::from(range.zero_point));
            let one = |vector: usize| {
                let sum = _mm256_sllv_epi32(sums[vector], left[vector]);
                // The upper half of a sum by the multiplier, signed, and the lower one, unsigned.
                let upper = _mm256_slli_epi32::<16>(multiplier[vector]);
                let high = _mm256_madd_epi16(sum, upper);
                let low = _mm256_mulhi_epu16(sum, multiplier[vector]);
                let product = _mm256_add_epi32(_mm256_add_epi32(high, low), half[vector]);
                _mm256_add_epi32(_mm256_srav_epi32(product, right[vector]), zero_point)
            };
            // Saturating to int8 first changes nothing: the clamp lies inside.
            let words = _mm256_packs_epi32(one(0), one(1));
            let bytes = _mm256_permute4x64_epi64::<0b00_00_10_00>(_mm256_packs_epi16(words, words));
            let bytes = _mm256_castsi256_si128(bytes);
            let bytes = _mm_max_epi8(bytes, _mm_set1_epi8(range.activation.min));
            let bytes = _mm_min_epi8(bytes, _mm_set1_epi8(range.activation.max));
            std::mem::transmute::<__m128i, [i8; GROUP]>(bytes)
        }
    }
}
