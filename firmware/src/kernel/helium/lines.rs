//! Copying lines of bytes, and filling.

core::arch::global_asm!(include_str!("lines.s"), options(raw));

// SAFETY: `lines.s` defines these routines with these arguments; each call says why it keeps to what they ask.
unsafe extern "C" {
    fn tinyhero_helium_copy_lines(
        destination: *mut i8,
        source: *const i8,
        lines: usize,
        bytes: usize,
        step: usize,
    );
    fn tinyhero_helium_fill(destination: *mut i8, value: i32, bytes: usize);
}

/// Copies `lines` lines of `bytes` bytes each, the source's beginning `step` bytes after one another, the destination's without gaps.
///
/// `None`, with nothing written, where they leave the slices.
pub(super) fn copy_lines(
    destination: &mut [i8],
    source: &[i8],
    lines: usize,
    bytes: usize,
    step: usize,
) -> Option<()> {
    if lines == 0 || bytes == 0 {
        return Some(());
    }
    let end = (lines - 1).checked_mul(step)?.checked_add(bytes)?;
    if end > source.len() || lines.checked_mul(bytes)? > destination.len() {
        return None;
    }
    // SAFETY: the routine reads `bytes` bytes at each multiple of `step` below `lines · step`, the last of which end at `end`, and writes
    // `lines · bytes` bytes; vectors that would go beyond a line's end are predicated. Both ranges lie inside the slices.
    unsafe {
        tinyhero_helium_copy_lines(destination.as_mut_ptr(), source.as_ptr(), lines, bytes, step);
    }
    Some(())
}

/// Fills a slice.
pub(super) fn fill(destination: &mut [i8], value: i8) {
    // SAFETY: the routine writes as many bytes as the slice has, the last vector predicated.
    unsafe { tinyhero_helium_fill(destination.as_mut_ptr(), value.into(), destination.len()) }
}
