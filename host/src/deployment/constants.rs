//! What a firmware has to know of a model besides its file, as source text: what raw numbers mean, class names, and one worked
//! sample.

use std::fmt::Write;

use tinyhero_common::model::{Model, Task};
use tinyhero_common::tensor;

use super::integer::Outcome;
use super::integer_network::decode_scale;
use super::meaning::notes_in;
use super::notes::Column;
use crate::plain::plain;

/// The language of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// A module without dependencies, for `no_std` too
    Rust,
    /// A header without dependencies, C99
    C,
}

/// A sample and what the model makes of it.
#[derive(Clone, Debug)]
pub struct Worked<'a> {
    /// Where the sample comes from.
    pub origin: &'a str,
    /// Its raw values.
    pub raw: &'a [i16],
    /// What the board gives.
    pub outcome: &'a Outcome,
}

/// The text: a Rust module or a C header.
pub fn text(model: &Model<'_>, bytes: usize, worked: &Worked<'_>, language: Language) -> String {
    let constants = Constants::of(model, bytes, worked);
    let mut text = String::new();
    let written = match language {
        Language::Rust => constants.rust(&mut text),
        Language::C => constants.c(&mut text),
    };
    // Writing into a String cannot fail.
    written.map_or_else(|_| String::new(), |()| text)
}

/// What the text says, in the order of the text.
struct Constants<'a> {
    name: String,
    digest: u32,
    bytes: usize,
    arena: u32,
    shape: [u16; 3],
    raw_bytes: usize,
    is_byte: bool,
    rate: Option<f64>,
    columns: Vec<Column>,
    /// Whether single precision finds every raw number again.
    single: bool,
    task: Task<'a>,
    outputs: Vec<(String, String)>,
    classes: Vec<String>,
    output_scale: f64,
    output_zero_point: i8,
    worked: &'a Worked<'a>,
}

/// Numbers of a line.
const NUMBERS_A_LINE: usize = 12;

impl<'a> Constants<'a> {
    fn of(model: &'a Model<'a>, bytes: usize, worked: &'a Worked<'a>) -> Self {
        let description = model.description();
        let input = model.input();
        let shape = input.tensor.shape;
        let is_byte = input.quantization.sample_type == tensor::SampleType::U8;
        let notes = notes_in(model).inputs.into_iter().next().unwrap_or_default();
        let lines = |text: String| text.split('\n').map(plain).collect::<Vec<_>>();
        let outputs = match description.task {
            Task::Regression { names, units } => {
                let units =
                    lines(units.to_string()).into_iter().chain(std::iter::repeat(String::new()));
                lines(names.to_string()).into_iter().zip(units).collect()
            }
            Task::Classification { .. } | Task::Reconstruction { .. } => Vec::new(),
        };
        Self {
            name: plain(&description.name.to_string()),
            digest: model.digest(),
            bytes,
            arena: description.arena_bytes,
            shape: [shape.height, shape.width, shape.channels],
            raw_bytes: model.raw_input_bytes(),
            is_byte,
            rate: notes.sample_rate,
            single: notes.columns.iter().all(|column| single_is_enough(column, is_byte)),
            columns: notes.columns,
            task: description.task,
            outputs,
            classes: model.labels().map(|label| plain(&label.to_string())).collect(),
            output_scale: decode_scale(model.output().scale),
            output_zero_point: model.output().zero_point,
            worked,
        }
    }

    /// The range of raw numbers.
    const fn range(&self) -> (i32, i32) {
        if self.is_byte { (0, u8::MAX as i32) } else { (i16::MIN as i32, i16::MAX as i32) }
    }

    /// The real values of the worked sample.
    fn values(&self) -> impl Iterator<Item = String> {
        let columns = self.columns.iter().cycle();
        let pairs = self.worked.raw.iter().zip(columns);
        pairs.map(|(&raw, column)| self.number(column.offset + column.step * f64::from(raw)))
    }

    /// A number that reads back as it is.
    fn number(&self, value: f64) -> String {
        match self.single {
            true => format!("{:?}", value as f32),
            false => format!("{value:?}"),
        }
    }

    fn of_columns(&self, of: impl Fn(&Column) -> f64) -> Vec<String> {
        self.columns.iter().map(|column| self.number(of(column))).collect()
    }

    fn raw(&self) -> Vec<String> {
        self.worked.raw.iter().map(i16::to_string).collect()
    }

    fn output(&self) -> Vec<String> {
        self.worked.outcome.scores.iter().map(i8::to_string).collect()
    }

    /// The names and units of columns, as far as any has one.
    fn column_words(&self) -> [Vec<String>; 2] {
        let names = self.columns.iter().enumerate().map(|(place, column)| match &column.name {
            name if name.is_empty() => format!("column {}", place + 1),
            name => plain(name),
        });
        [names.collect(), self.columns.iter().map(|column| plain(&column.unit)).collect()]
    }

    fn rust(&self, text: &mut String) -> std::fmt::Result {
        let Self { name, digest, bytes, arena, shape, raw_bytes, .. } = self;
        let raw = if self.is_byte { "u8" } else { "i16" };
        let float = if self.single { "f32" } else { "f64" };
        let quoted = |words: &[String]| -> Vec<String> {
            words.iter().map(|word| format!("\"{}\"", word.escape_default())).collect()
        };
        let list = |text: &mut String, about: &str, name: &str, of: &str, items: &[String]| {
            writeln!(text, "\n/// {about}")?;
            writeln!(text, "pub const {name}: [{of}; {}] = [", items.len())?;
            rows(text, items)?;
            writeln!(text, "];")
        };
        writeln!(
            text,
            "//! What a firmware has to know of the model '{name}', written by `tinyhero inspect --constants rust`."
        )?;
        writeln!(
            text,
            "//! A sample is {raw} numbers in the order height, width, channel, little-endian."
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
            ("Raw numbers of a sample.", "INPUT_VALUES: usize", self.worked.raw.len().to_string()),
            ("Bytes of a sample.", "INPUT_BYTES: usize", raw_bytes.to_string()),
        ] {
            writeln!(text, "\n/// {about}\npub const {name} = {value};")?;
        }
        writeln!(text, "\n/// A raw number.\npub type Raw = {raw};")?;
        if let Some(rate) = self.rate {
            writeln!(text, "\n/// Rows a second.\npub const RATE_HZ: f32 = {:?};", rate as f32)?;
        }
        if !self.columns.is_empty() {
            let [names, units] = self.column_words();
            list(
                text,
                "What the columns of a row (or the channels of a sample) are.",
                "COLUMNS",
                "&str",
                &quoted(&names),
            )?;
            list(text, "Their units; empty where unknown.", "UNITS", "&str", &quoted(&units))?;
            list(
                text,
                "A raw number of column c stands for `OFFSETS[c] + STEPS[c] * raw`.",
                "OFFSETS",
                float,
                &self.of_columns(|column| column.offset),
            )?;
            list(text, "See [`OFFSETS`].", "STEPS", float, &self.of_columns(|column| column.step))?;
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
        if !self.classes.is_empty() {
            list(
                text,
                "Class names, in the order of the outputs.",
                "CLASSES",
                "&str",
                &quoted(&self.classes),
            )?;
        }
        if !self.outputs.is_empty() {
            let (names, units): (Vec<String>, Vec<String>) = self.outputs.iter().cloned().unzip();
            list(text, "What the outputs predict.", "OUTPUTS", "&str", &quoted(&names))?;
            list(
                text,
                "Their units; empty where unknown.",
                "OUTPUT_UNITS",
                "&str",
                &quoted(&units),
            )?;
        }
        if let Task::Reconstruction { threshold, .. } = self.task
            && threshold != u32::MAX
        {
            writeln!(
                text,
                "\n/// Largest sum of squared differences of a usual sample, in squared steps of the output."
            )?;
            writeln!(text, "pub const THRESHOLD: u32 = {threshold};")?;
        }
        writeln!(text, "\n/// An output `q` stands for `OUTPUT_SCALE * (q - OUTPUT_ZERO_POINT)`.")?;
        writeln!(text, "pub const OUTPUT_SCALE: f32 = {:?};", self.output_scale as f32)?;
        writeln!(
            text,
            "\n/// See [`OUTPUT_SCALE`].\npub const OUTPUT_ZERO_POINT: i8 = {};",
            self.output_zero_point
        )?;
        let origin = format!("A worked sample: {}.", self.worked.origin);
        if !self.columns.is_empty() {
            let values: Vec<String> = self.values().collect();
            list(
                text,
                &format!("{origin} Its values in the columns' units."),
                "SAMPLE_VALUES",
                float,
                &values,
            )?;
            list(
                text,
                "The raw numbers that [`raw`] makes of them.",
                "SAMPLE_RAW",
                "Raw",
                &self.raw(),
            )?;
        } else {
            list(text, &origin, "SAMPLE_RAW", "Raw", &self.raw())?;
        }
        list(
            text,
            "What the model gives for it, to the last bit.",
            "SAMPLE_OUTPUT",
            "i8",
            &self.output(),
        )?;
        writeln!(text, "\n/// The largest of these outputs, the first of several.")?;
        writeln!(text, "pub const SAMPLE_LABEL: usize = {};", self.worked.outcome.label)
    }

    fn c(&self, text: &mut String) -> std::fmt::Result {
        let Self { name, digest, bytes, arena, shape, raw_bytes, .. } = self;
        let raw = if self.is_byte { "uint8_t" } else { "int16_t" };
        let (float, end) = if self.single { ("float", "f") } else { ("double", "") };
        let quoted = |words: &[String]| -> Vec<String> {
            words.iter().map(|word| format!("\"{}\"", escaped(word))).collect()
        };
        let floats = |numbers: Vec<String>| {
            numbers.into_iter().map(|number| number + end).collect::<Vec<_>>()
        };
        let list = |text: &mut String, about: &str, name: &str, of: &str, items: &[String]| {
            writeln!(text, "\n/* {about} */")?;
            writeln!(text, "static const {of} MODEL_{name}[{}] = {{", items.len())?;
            rows(text, items)?;
            writeln!(text, "}};")
        };
        let name = name.replace("*/", "* /");
        writeln!(
            text,
            "/* What a firmware has to know of the model '{name}', written by `tinyhero inspect --constants c`."
        )?;
        writeln!(
            text,
            "   A sample is {raw} numbers in the order height, width, channel, little-endian. */"
        )?;
        writeln!(
            text,
            "#ifndef TINYHERO_MODEL_H\n#define TINYHERO_MODEL_H\n\n#include <stdint.h>\n"
        )?;
        for (about, name, value) in [
            ("Checksum of the model file.", "DIGEST", format!("0x{digest:08x}u")),
            ("Bytes of the model file.", "BYTES", bytes.to_string()),
            ("Bytes of the arena that an engine needs.", "ARENA_BYTES", arena.to_string()),
            ("Height, width and channels of a sample.", "INPUT_HEIGHT", shape[0].to_string()),
            ("", "INPUT_WIDTH", shape[1].to_string()),
            ("", "INPUT_CHANNELS", shape[2].to_string()),
            ("Raw numbers of a sample.", "INPUT_VALUES", self.worked.raw.len().to_string()),
            ("Bytes of a sample.", "INPUT_BYTES", raw_bytes.to_string()),
            (
                "Columns of a row, or channels of a sample.",
                "COLUMN_COUNT",
                self.columns.len().to_string(),
            ),
            ("Outputs.", "OUTPUT_COUNT", self.worked.outcome.scores.len().to_string()),
            (
                "An output q stands for MODEL_OUTPUT_SCALE * (q - MODEL_OUTPUT_ZERO_POINT).",
                "OUTPUT_SCALE",
                format!("{:?}f", self.output_scale as f32),
            ),
            ("", "OUTPUT_ZERO_POINT", format!("({})", self.output_zero_point)),
            (
                "Number of the worked sample's largest output.",
                "SAMPLE_LABEL",
                self.worked.outcome.label.to_string(),
            ),
        ] {
            if !about.is_empty() {
                writeln!(text, "/* {about} */")?;
            }
            writeln!(text, "#define MODEL_{name} {value}")?;
        }
        if let Some(rate) = self.rate {
            writeln!(text, "/* Rows a second. */\n#define MODEL_RATE_HZ {:?}f", rate as f32)?;
        }
        if let Task::Reconstruction { threshold, .. } = self.task
            && threshold != u32::MAX
        {
            writeln!(
                text,
                "/* Largest sum of squared differences of a usual sample, in squared steps of the output. */"
            )?;
            writeln!(text, "#define MODEL_THRESHOLD {threshold}u")?;
        }
        writeln!(text, "\n/* A raw number. */\ntypedef {raw} model_raw_t;")?;
        if !self.columns.is_empty() {
            let [names, units] = self.column_words();
            list(
                text,
                "What the columns of a row (or the channels of a sample) are.",
                "COLUMNS",
                "char *const",
                &quoted(&names),
            )?;
            list(
                text,
                "Their units; empty where unknown.",
                "UNITS",
                "char *const",
                &quoted(&units),
            )?;
            list(
                text,
                "A raw number of column c stands for MODEL_OFFSETS[c] + MODEL_STEPS[c] * raw.",
                "OFFSETS",
                float,
                &floats(self.of_columns(|column| column.offset)),
            )?;
            list(
                text,
                "See MODEL_OFFSETS.",
                "STEPS",
                float,
                &floats(self.of_columns(|column| column.step)),
            )?;
            let (low, high) = self.range();
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
        if !self.classes.is_empty() {
            list(
                text,
                "Class names, in the order of the outputs.",
                "CLASSES",
                "char *const",
                &quoted(&self.classes),
            )?;
        }
        if !self.outputs.is_empty() {
            let (names, units): (Vec<String>, Vec<String>) = self.outputs.iter().cloned().unzip();
            list(text, "What the outputs predict.", "OUTPUTS", "char *const", &quoted(&names))?;
            list(
                text,
                "Their units; empty where unknown.",
                "OUTPUT_UNITS",
                "char *const",
                &quoted(&units),
            )?;
        }
        let origin = format!("A worked sample: {}.", self.worked.origin.replace("*/", "* /"));
        if !self.columns.is_empty() {
            let values = floats(self.values().collect());
            list(
                text,
                &format!("{origin} Its values in the columns' units."),
                "SAMPLE_VALUES",
                float,
                &values,
            )?;
            list(
                text,
                "The raw numbers that model_raw makes of them.",
                "SAMPLE_RAW",
                "model_raw_t",
                &self.raw(),
            )?;
        } else {
            list(text, &origin, "SAMPLE_RAW", "model_raw_t", &self.raw())?;
        }
        list(
            text,
            "What the model gives for it, to the last bit.",
            "SAMPLE_OUTPUT",
            "int8_t",
            &self.output(),
        )?;
        writeln!(text, "\n#endif")
    }
}

/// Items of a list, some a line.
fn rows(text: &mut String, items: &[String]) -> std::fmt::Result {
    for row in items.chunks(NUMBERS_A_LINE) {
        writeln!(text, "    {},", row.join(", "))?;
    }
    Ok(())
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

/// Whether every raw number comes back from its value where both are computed in single precision.
fn single_is_enough(column: &Column, is_byte: bool) -> bool {
    let (offset, step) = (column.offset as f32, column.step as f32);
    let numbers = if is_byte { 0..=i16::from(u8::MAX) } else { i16::MIN..=i16::MAX };
    step.is_normal()
        && offset.is_finite()
        && numbers.into_iter().all(|raw| {
            let value = (column.offset + column.step * f64::from(raw)) as f32;
            // Not near the border to the next number, either.
            ((value - offset) / step - f32::from(raw)).abs() < 0.25
        })
}
