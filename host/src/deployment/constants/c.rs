//! A C header of constants.

use std::fmt::{Result, Write};

use super::{Constants, Items, List, THRESHOLD, Words};

const WORDS: Words = Words {
    offsets: "MODEL_OFFSETS",
    formula: "MODEL_OFFSETS[c] + MODEL_STEPS[c] * raw",
    conversion: "model_raw",
};

/// Writes the header.
pub fn write(constants: &Constants<'_>, text: &mut String) -> Result {
    let Constants { digest, bytes, arena, shape, raw_bytes, worked, .. } = constants;
    let raw = if constants.is_byte { "uint8_t" } else { "int16_t" };
    let (float, end) = if constants.single { ("float", "f") } else { ("double", "") };
    let name = comment(&constants.name);
    writeln!(
        text,
        "/* What a firmware has to know of the model '{name}', written by `tinyhero inspect --constants c`.\n   \
            A sample is {raw} numbers in the order height, width, channel, little-endian. */\n\
         #ifndef TINYHERO_MODEL_H\n#define TINYHERO_MODEL_H\n\n#include <stdint.h>\n"
    )?;
    let columns = "Columns of a row, or channels of a sample.";
    let scale = "An output q stands for MODEL_OUTPUT_SCALE * (q - MODEL_OUTPUT_ZERO_POINT).";
    let label = "Number of the worked sample's largest output.";
    for (about, name, value) in [
        ("Checksum of the model file.", "DIGEST", format!("0x{digest:08x}u")),
        ("Bytes of the model file.", "BYTES", bytes.to_string()),
        ("Bytes of the arena that an engine needs.", "ARENA_BYTES", arena.to_string()),
        ("Height, width and channels of a sample.", "INPUT_HEIGHT", shape[0].to_string()),
        ("", "INPUT_WIDTH", shape[1].to_string()),
        ("", "INPUT_CHANNELS", shape[2].to_string()),
        ("Raw numbers of a sample.", "INPUT_VALUES", worked.raw.len().to_string()),
        ("Bytes of a sample.", "INPUT_BYTES", raw_bytes.to_string()),
        (columns, "COLUMN_COUNT", constants.columns.len().to_string()),
        ("Outputs.", "OUTPUT_COUNT", worked.outcome.scores.len().to_string()),
        (scale, "OUTPUT_SCALE", format!("{:?}f", constants.output_scale as f32)),
        ("", "OUTPUT_ZERO_POINT", format!("({})", constants.output_zero_point)),
        (label, "SAMPLE_LABEL", worked.outcome.label.to_string()),
    ] {
        if !about.is_empty() {
            writeln!(text, "/* {about} */")?;
        }
        writeln!(text, "#define MODEL_{name} {value}")?;
    }
    if let Some(rate) = constants.rate {
        writeln!(text, "/* Rows a second. */\n#define MODEL_RATE_HZ {:?}f", rate as f32)?;
    }
    if let Some(threshold) = constants.threshold() {
        writeln!(text, "/* {THRESHOLD} */\n#define MODEL_THRESHOLD {threshold}u")?;
    }
    writeln!(text, "\n/* A raw number. */\ntypedef {raw} model_raw_t;")?;
    write_lists(text, [float, end], &constants.column_lists(&WORDS))?;
    if !constants.columns.is_empty() {
        let (low, high) = constants.range();
        writeln!(
            text,
            "\n/* The raw number of a value of column `column`, in the column's unit: the nearest one, clipped to the type's range.\n   \
                Value i of a sample belongs to column i % MODEL_COLUMN_COUNT. */\n\
             static inline model_raw_t model_raw(int column, {float} value) {{\n    \
                 {float} steps = (value - MODEL_OFFSETS[column]) / MODEL_STEPS[column];\n    \
                 if (!(steps > {low}.0{end})) return {low};\n    \
                 if (steps >= {high}.0{end}) return {high};\n    \
                 return (model_raw_t)(steps < 0 ? steps - 0.5{end} : steps + 0.5{end});\n\
             }}"
        )?;
    }
    write_lists(text, [float, end], &constants.output_lists())?;
    write_lists(text, [float, end], &constants.sample_lists(&WORDS))?;
    writeln!(text, "\n#endif")
}

/// Writes lists; the type of real numbers comes with what ends such a number.
fn write_lists(text: &mut String, [float, end]: [&str; 2], lists: &[List]) -> Result {
    for list in lists {
        let of = match list.items {
            Items::Words(_) => "char *const",
            Items::Reals(_) => float,
            Items::Raw(_) => "model_raw_t",
            Items::Scores(_) => "int8_t",
        };
        let (about, count) = (comment(&list.about), list.items.texts().len());
        writeln!(text, "\n/* {about} */\nstatic const {of} MODEL_{}[{count}] = {{", list.name)?;
        list.write_items(text, |item| match list.items {
            Items::Words(_) => format!("\"{}\"", escaped(item)),
            Items::Reals(_) => format!("{item}{end}"),
            Items::Raw(_) | Items::Scores(_) => item.to_string(),
        })?;
        writeln!(text, "}};")?;
    }
    Ok(())
}

/// Text that does not end a comment.
fn comment(text: &str) -> String {
    text.replace("*/", "* /")
}

/// A word between quotation marks of C: what is no plain letter stands as the octal numbers of its bytes.
fn escaped(word: &str) -> String {
    word.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'"' | b'\\' | b'?' => text.push_str(&format!("\\{}", char::from(byte))),
            0x20..0x7F => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
        text
    })
}
