//! Activations from memory into columns of 16-bit lanes, the form that the inner loops multiply.

/// Most bytes of a line at a time, so that 16-bit lanes hold their sums.
const MOST_BYTES: usize = 512;

// SAFETY: the symbols are those of `pairs.s`, with its calling conventions.
unsafe extern "C" {
    fn th_dsp_expand(
        first: *const i8,
        second: *const i8,
        third: *const i8,
        columns: *mut u32,
        end: *const u32,
    );
    fn th_dsp_expand_and_add(
        first: *const i8,
        second: *const i8,
        third: *const i8,
        columns: *mut u32,
        end: *const u32,
        sums: *mut [i32; 3],
    );
    fn th_dsp_gather(
        to: *mut i8,
        first_line: *const i8,
        pitch: usize,
        line_bytes: usize,
        line_words: usize,
        lines: usize,
    );
    fn th_dsp_expand_one(line: *const i8, column: *mut u32, end: *const u32) -> i32;
}

/// Expands the first `length` activations, a multiple of 4, of one line for each of three pixels: six words for every four activations. Adds
/// each line's activations to its sum if there are sums. Returns the columns behind; `None` if the lengths do not fit.
pub(super) fn expand<'c>(
    lines: [&[i8]; 3],
    length: usize,
    columns: &'c mut [u32],
    sums: Option<&mut [i32; 3]>,
) -> Option<&'c mut [u32]> {
    let [first, second, third] = lines;
    if !length.is_multiple_of(4) {
        return None;
    }
    let (first, second, third) =
        (first.get(..length)?, second.get(..length)?, third.get(..length)?);
    let (columns, rest) = columns.split_at_mut_checked(length / 4 * 6)?;
    match sums {
        None if length > 0 => {
            let end = columns.as_ptr_range().end;
            // SAFETY: each line has `length` bytes and the columns end where they do, six words for four bytes; there is
            // at least one word, so the loop, which tests at its end, stops there. Loads of words need no alignment, and the columns are words.
            unsafe {
                th_dsp_expand(
                    first.as_ptr(),
                    second.as_ptr(),
                    third.as_ptr(),
                    columns.as_mut_ptr(),
                    end,
                );
            }
        }
        None => {}
        Some(sums) => {
            let lines = first.chunks(MOST_BYTES).zip(second.chunks(MOST_BYTES));
            let lines = lines.zip(third.chunks(MOST_BYTES));
            for (((first, second), third), columns) in
                lines.zip(columns.chunks_mut(MOST_BYTES / 4 * 6))
            {
                let end = columns.as_ptr_range().end;
                // SAFETY: as above; all chunks but the last have the same size, the last ones belong together since all
                // lengths do. `sums` is three words.
                unsafe {
                    th_dsp_expand_and_add(
                        first.as_ptr(),
                        second.as_ptr(),
                        third.as_ptr(),
                        columns.as_mut_ptr(),
                        end,
                        sums,
                    );
                }
            }
        }
    }
    Some(rest)
}

/// Expands one line into a column, two words for every four activations, zeros behind its last one. Returns the sum of the
/// activations; `None` if the column is shorter than the line.
pub(super) fn expand_one(line: &[i8], column: &mut [u32]) -> Option<i32> {
    let (quads, rest) = line.as_chunks::<4>();
    let (whole, tail) = column.split_at_mut_checked(quads.len() * 2)?;
    let mut sum = 0;
    if !whole.is_empty() {
        let end = whole.as_ptr_range().end;
        // SAFETY: the line has two words of column for every word of its own, and there is at least one.
        sum = unsafe { th_dsp_expand_one(line.as_ptr(), whole.as_mut_ptr(), end) };
    }
    let mut tail = tail;
    if !rest.is_empty() {
        let mut last = [0; 4];
        for (value, &activation) in last.iter_mut().zip(rest) {
            *value = activation;
        }
        let (whole, behind) = tail.split_at_mut_checked(2)?;
        let end = whole.as_ptr_range().end;
        // SAFETY: four bytes, two words.
        let added = unsafe { th_dsp_expand_one(last.as_ptr(), whole.as_mut_ptr(), end) };
        sum = sum.wrapping_add(added);
        tail = behind;
    }
    tail.fill(0);
    Some(sum)
}

/// Copies `lines` lines of `line` bytes, `pitch` apart from `start` on, one behind the other to the beginning of `to`, whose next three
/// bytes are overwritten. `None` if the image or the room ends too early for copying whole words.
pub(super) fn gather(
    image: &[i8],
    start: usize,
    pitch: usize,
    line: usize,
    lines: usize,
    to: &mut [i8],
) -> Option<()> {
    let words = line.div_ceil(4);
    if lines == 0 || words == 0 {
        return None;
    }
    let source = image.get(start..start + (lines - 1) * pitch + words * 4)?;
    let to = to.get_mut(..(lines - 1) * line + words * 4)?;
    // SAFETY: the last line is the one that reaches furthest in both, and its words are inside. There is at least one line of one word. Loads
    // and stores of words need no alignment.
    unsafe { th_dsp_gather(to.as_mut_ptr(), source.as_ptr(), pitch, line, words, lines) };
    Some(())
}
