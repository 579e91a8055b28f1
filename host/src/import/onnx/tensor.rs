//! The constants of an ONNX file, and of the files beside it.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::message::{External, Tensor};
use crate::artifact;
use crate::error::{Error, Result};
use crate::import::MOST_BYTES;
use crate::import::graph::{Constant, Element, Value};

/// The files beside a model, each read once.
pub struct Beside {
    folder: PathBuf,
    files: HashMap<String, Vec<u8>>,
}

impl Beside {
    /// The files of the folder that a model is in.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), files: HashMap::new() }
    }

    /// The bytes of a constant.
    fn bytes(&mut self, place: &str, external: &External) -> Result<&[u8]> {
        let name = &external.location;
        let refuse = |problem: String| {
            Error::bad_input(place, problem, "save the model with its weights in one file")
        };
        let mut parts = Path::new(name).components().peekable();
        let inside = parts.peek().is_some()
            && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside {
            return Err(refuse(format!(
                "its weights are said to be in '{name}', outside its folder"
            )));
        }
        if !self.files.contains_key(name) {
            let path = self.folder.join(name);
            // A link may lead out of the folder.
            let folder = self.folder.canonicalize();
            let leads_out = match (folder, path.canonicalize()) {
                (Ok(folder), Ok(path)) => !path.starts_with(folder),
                _ => false,
            };
            if leads_out {
                return Err(refuse(format!("its weights are in '{name}', outside its folder")));
            }
            let left = self.files.values().map(|bytes| bytes.len() as u64).sum();
            let bytes = artifact::read_at_most(&path, MOST_BYTES.saturating_sub(left))?;
            self.files.insert(name.clone(), bytes);
        }
        let bytes = &self.files[name];
        let start = usize::try_from(external.offset).ok();
        let rest = start.and_then(|start| bytes.get(start..));
        let part = match (rest, external.length) {
            (Some(rest), None) => Some(rest),
            (Some(rest), Some(length)) => {
                usize::try_from(length).ok().and_then(|length| rest.get(..length))
            }
            (None, _) => None,
        };
        part.ok_or_else(|| refuse(format!("its weights lie beyond the end of '{name}'")))
    }
}

/// What one number of a type is.
pub const fn element(data_type: i64) -> Element {
    match data_type {
        1 | 10 | 11 | 16 => Element::Float,
        2 => Element::U8,
        3 => Element::I8,
        5 => Element::I16,
        4 | 6 | 7 | 9 | 12 | 13 => Element::Integer,
        _ => Element::Other,
    }
}

/// Bytes of one number of a type.
const fn bytes_of(data_type: i64) -> Option<usize> {
    match data_type {
        2 | 3 | 9 => Some(1),
        4 | 5 | 10 | 16 => Some(2),
        1 | 6 | 12 => Some(4),
        7 | 11 | 13 => Some(8),
        _ => None,
    }
}

/// The constant as a value.
pub fn value(tensor: &Tensor<'_>, place: &str, beside: &mut Beside) -> Result<Value> {
    let place = format!("{place}, constant '{}'", tensor.name);
    let refuse = |problem: &dyn std::fmt::Display| {
        Error::bad_input(&place, problem, "export the model again")
    };
    let shape: Option<Vec<usize>> =
        tensor.shape.iter().map(|&size| usize::try_from(size).ok()).collect();
    let shape = shape.ok_or_else(|| refuse(&"has a negative size"))?;
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let count = count.ok_or_else(|| refuse(&"has an absurd size"))?;
    let kind = element(tensor.data_type);
    let size = bytes_of(tensor.data_type).ok_or_else(|| {
        refuse(&format_args!("has numbers of type {}, which is not known", tensor.data_type))
    })?;
    let raw = match (&tensor.external, tensor.raw) {
        (Some(external), _) => Some(beside.bytes(&place, external)?),
        (None, raw) => raw,
    };
    let constant = match raw {
        Some(raw) => {
            if count.checked_mul(size) != Some(raw.len()) {
                let wanted = count.saturating_mul(size);
                return Err(refuse(&format_args!("has {} bytes for {wanted}", raw.len())));
            }
            from_bytes(raw, tensor.data_type, size)
        }
        None if kind == Element::Float && tensor.data_type != 1 && tensor.data_type != 11 => {
            // Halves are stored as whole numbers.
            let bytes: Vec<u8> =
                tensor.integers.iter().flat_map(|&word| (word as u16).to_le_bytes()).collect();
            from_bytes(&bytes, tensor.data_type, size)
        }
        None if kind == Element::Float => Constant::Floats(tensor.floats.clone()),
        None => Constant::Integers(tensor.integers.clone()),
    };
    if constant.len() != count {
        return Err(refuse(&format_args!("has {} numbers for {count}", constant.len())));
    }
    if let Constant::Floats(floats) = &constant
        && floats.iter().any(|value| value.is_nan())
    {
        return Err(refuse(&"holds something that is not a number (NaN)"));
    }
    Ok(Value {
        name: tensor.name.clone(),
        element: kind,
        shape: Some(shape),
        quantization: None,
        constant: Some(constant),
    })
}

fn from_bytes(raw: &[u8], data_type: i64, size: usize) -> Constant {
    let words = raw.chunks_exact(size).map(|bytes| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        u64::from_le_bytes(word)
    });
    let unused = 64 - 8 * size as u32;
    match data_type {
        1 => Constant::Floats(words.map(|word| f32::from_bits(word as u32)).collect()),
        10 => {
            Constant::Floats(words.map(|word| half::f16::from_bits(word as u16).to_f32()).collect())
        }
        16 => Constant::Floats(
            words.map(|word| half::bf16::from_bits(word as u16).to_f32()).collect(),
        ),
        11 => Constant::Floats(words.map(|word| f64::from_bits(word) as f32).collect()),
        3 | 5 | 6 | 7 => {
            Constant::Integers(words.map(|word| (word << unused).cast_signed() >> unused).collect())
        }
        _ => Constant::Integers(words.map(u64::cast_signed).collect()),
    }
}
