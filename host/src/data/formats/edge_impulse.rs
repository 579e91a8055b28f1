//! Edge Impulse's acquisitions in JSON or CBOR: one recording a file, with names and units of its sensors; the label begins the file's name.

use crate::data::format::{Candidate, File, Format, Recognition, Request};
use crate::data::named::labels_of_names;
use crate::data::options::DataOptions;
use crate::data::table::{Table, assemble};
use crate::data::{Column, Dataset};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::Value;

/// Edge Impulse's acquisitions.
pub struct EdgeImpulse;

/// Deepest nesting that is read.
const MOST_NESTED: usize = 32;

#[derive(Deserialize)]
struct Acquisition {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    interval_ms: f64,
    sensors: Vec<Sensor>,
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Sensor {
    name: String,
    #[serde(default)]
    units: String,
}

/// The values of one moment; of one sensor also without a list.
fn numbers(row: &Value) -> Vec<f64> {
    match row {
        Value::Array(values) => values.iter().filter_map(Value::as_f64).collect(),
        one => one.as_f64().into_iter().collect(),
    }
}

/// What CBOR holds as JSON; bytes, which an acquisition has in signatures alone, as nothing.
fn as_json(value: ciborium::Value) -> Value {
    match value {
        ciborium::Value::Integer(number) => i64::try_from(number).map_or(Value::Null, Value::from),
        ciborium::Value::Float(number) => Value::from(number),
        ciborium::Value::Text(text) => Value::from(text),
        ciborium::Value::Bool(is) => Value::from(is),
        ciborium::Value::Tag(_, inner) => as_json(*inner),
        ciborium::Value::Array(values) => values.into_iter().map(as_json).collect(),
        ciborium::Value::Map(pairs) => {
            let named = pairs
                .into_iter()
                .filter_map(|(name, value)| Some((name.into_text().ok()?, as_json(value))));
            Value::Object(named.collect())
        }
        _ => Value::Null,
    }
}

/// Whether bytes begin a map of CBOR.
fn is_cbor(start: &[u8]) -> bool {
    matches!(start.first(), Some(0xA0..=0xBF))
}

impl Format for EdgeImpulse {
    const NAME: &'static str = "edge_impulse";
    const HELP: &'static str = "Edge Impulse JSON or CBOR";

    fn recognise(candidate: &Candidate) -> Recognition {
        let holds = |word: &[u8]| candidate.start.windows(word.len()).any(|window| window == word);
        let is_object = candidate.start.trim_ascii_start().first() == Some(&b'{');
        // Names stand without quotation marks in CBOR.
        let is_map = is_object || is_cbor(&candidate.start);
        match is_map && holds(b"payload") && holds(b"interval_ms") {
            true => Recognition::Yes,
            false => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        let mut tables = Vec::with_capacity(files.len());
        let mut first: Option<(Vec<String>, f64, Vec<Column>)> = None;
        for file in files {
            let name = &file.source.name;
            let again = "export the acquisition again";
            let bytes = file.source.bytes.as_slice();
            let refused = |reason: &dyn std::fmt::Display| Error::bad_input(name, reason, again);
            let found: Acquisition = match is_cbor(bytes) {
                true => {
                    let found = ciborium::de::from_reader_with_recursion_limit(bytes, MOST_NESTED);
                    let value = found.map_err(|reason| refused(&reason))?;
                    serde_json::from_value(as_json(value)).map_err(|reason| refused(&reason))?
                }
                false => serde_json::from_slice(bytes).map_err(|reason| refused(&reason))?,
            };
            let payload = found.payload;
            if !(payload.interval_ms.is_finite() && payload.interval_ms > 0.0) {
                let problem = format!("has a row every {} ms", payload.interval_ms);
                return Err(Error::bad_input(name, problem, again));
            }
            let names: Vec<String> =
                payload.sensors.iter().map(|sensor| sensor.name.clone()).collect();
            let columns = payload.sensors.iter().map(|sensor| Column {
                unit: Some(sensor.units.clone()).filter(|unit| !unit.is_empty()),
                ..Column::named(Some(&sensor.name))
            });
            let (known, interval, _) = first
                .get_or_insert_with(|| (names.clone(), payload.interval_ms, columns.collect()));
            if *known != names || *interval != payload.interval_ms {
                let problem = format!(
                    "has the sensors {} every {} ms, others {} every {interval} ms",
                    names.join(", "),
                    payload.interval_ms,
                    known.join(", ")
                );
                return Err(Error::bad_input(name, problem, "give recordings of one kind"));
            }
            let mut table = Table::new(name.clone(), file.part, names.len());
            for (row, values) in payload.values.iter().enumerate() {
                let values = numbers(values);
                if values.len() != names.len() || values.iter().any(|value| !value.is_finite()) {
                    let problem = format!("row {row} does not have {} numbers", names.len());
                    return Err(Error::bad_input(name, problem, again));
                }
                table.values.extend(values);
                table.lines.push(row as u64 + 1);
            }
            tables.push(table);
        }
        let Some((_, interval, columns)) = first else {
            return Err(Error::bad_input(request.name, "holds no recording", "give JSON files"));
        };
        let rate = request.options.rate.unwrap_or(1000.0 / interval);
        let asked = DataOptions { rate: Some(rate), ..request.options.clone() };
        // label.number.json
        let asked = match asked.label.is_empty() {
            true => {
                request.note("label: the first part of the file's name, up to a point".to_string());
                DataOptions { label: vec!["file:1".to_string()], ..asked }
            }
            false => asked,
        };
        let request = Request { options: &asked, ..*request };
        let (tables, options) = labels_of_names(&request, files, tables, columns)?;
        let request = Request { options: &options, ..request };
        assemble(&request, Self::NAME, &tables)
            .map(|dataset| Dataset { options: options.clone(), ..dataset })
    }
}
