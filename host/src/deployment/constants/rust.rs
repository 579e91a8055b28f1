//! A Rust module of constants.

use std::fmt::{Result, Write};

use super::{Constants, Items, List, THRESHOLD, Words};

const WORDS: Words = Words {
    offsets: "[`OFFSETS`]",
    formula: "`OFFSETS[c] + STEPS[c] * raw`",
    conversion: "[`raw`]",
};

/// Writes the module.
pub fn write(constants: &Constants<'_>, text: &mut String) -> Result {
    let Constants { name, digest, bytes, arena, shape, raw_bytes, worked, .. } = constants;
    let raw = if constants.is_byte { "u8" } else { "i16" };
    let float = if constants.single { "f32" } else { "f64" };
    writeln!(
        text,
        "//! What a firmware has to know of the model '{name}', written by `tinyhero inspect --constants rust`.\n\
         //! A sample is {raw} numbers in the order height, width, channel, little-endian."
    )?;
    for (about, name, value) in [
        ("Checksum of the model file.", "MODEL_DIGEST: u32", format!("0x{digest:08x}")),
        ("Bytes of the model file.", "MODEL_BYTES: usize", bytes.to_string()),
        ("Bytes of the arena that an engine needs.", "ARENA_BYTES: usize", arena.to_string()),
        (
            "Height, width and channels of a sample.",
            "INPUT_SHAPE: [usize; 3]",
            format!("{shape:?}"),
        ),
        ("Raw numbers of a sample.", "INPUT_VALUES: usize", worked.raw.len().to_string()),
        ("Bytes of a sample.", "INPUT_BYTES: usize", raw_bytes.to_string()),
    ] {
        writeln!(text, "\n/// {about}\npub const {name} = {value};")?;
    }
    writeln!(text, "\n/// A raw number.\npub type Raw = {raw};")?;
    if let Some(rate) = constants.rate {
        writeln!(text, "\n/// Rows a second.\npub const RATE_HZ: f32 = {:?};", rate as f32)?;
    }
    write_lists(text, float, &constants.column_lists(&WORDS))?;
    if !constants.columns.is_empty() {
        writeln!(
            text,
            "\n/// The raw number of a value of column `column`, in the column's unit: the nearest one, clipped to the type's range.\n\
             /// Value `i` of a sample belongs to column `i % COLUMNS.len()`.\n\
             #[must_use]\n\
             pub fn raw(column: usize, value: {float}) -> Raw {{\n    \
                 let steps = (value - OFFSETS[column]) / STEPS[column];\n    \
                 // The cast cuts off the fraction and clips.\n    \
                 (if steps < 0.0 {{ steps - 0.5 }} else {{ steps + 0.5 }}) as Raw\n\
             }}"
        )?;
    }
    write_lists(text, float, &constants.output_lists())?;
    if let Some(threshold) = constants.threshold() {
        writeln!(text, "\n/// {THRESHOLD}\npub const THRESHOLD: u32 = {threshold};")?;
    }
    writeln!(
        text,
        "\n/// An output `q` stands for `OUTPUT_SCALE * (q - OUTPUT_ZERO_POINT)`.\n\
         pub const OUTPUT_SCALE: f32 = {:?};\n\n\
         /// See [`OUTPUT_SCALE`].\n\
         pub const OUTPUT_ZERO_POINT: i8 = {};",
        constants.output_scale as f32, constants.output_zero_point
    )?;
    write_lists(text, float, &constants.sample_lists(&WORDS))?;
    writeln!(
        text,
        "\n/// The largest of these outputs, the first of several.\n\
         pub const SAMPLE_LABEL: usize = {};",
        worked.outcome.label
    )
}

fn write_lists(text: &mut String, float: &str, lists: &[List]) -> Result {
    for list in lists {
        let of = match list.items {
            Items::Words(_) => "&str",
            Items::Reals(_) => float,
            Items::Raw(_) => "Raw",
            Items::Scores(_) => "i8",
        };
        let count = list.items.texts().len();
        writeln!(text, "\n/// {}\npub const {}: [{of}; {count}] = [", list.about, list.name)?;
        list.write_items(text, |item| match list.items {
            Items::Words(_) => format!("\"{}\"", item.escape_default()),
            _ => item.to_string(),
        })?;
        writeln!(text, "];")?;
    }
    Ok(())
}
