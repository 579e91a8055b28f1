//! NumPy arrays, in an archive or a file each: samples and labels, in one part or in training and test parts.

use crate::data::format::{Candidate, File, Format, Part, Recognition, Request};
use crate::data::naming::stem;
use crate::data::npy::{self, Array};
use crate::data::table::{Answers, LineNumbers, Runs, Table, Tables, Values, Vocabulary, assemble};
use crate::data::{Column, Dataset, SampleShape};
use crate::error::{Error, Result};
use crate::task::Task;

/// NumPy's arrays and archives of them.
pub struct Npz;

/// Most unpacked bytes.
const MOST_BYTES: u64 = 1 << 29;
/// Names of samples and of labels, in the order in which they are looked for.
const PAIRS: [(&str, &str); 10] = [
    ("x", "y"),
    ("X", "y"),
    ("X", "Y"),
    ("samples", "labels"),
    ("data", "labels"),
    ("data", "target"),
    ("features", "labels"),
    ("images", "labels"),
    ("inputs", "targets"),
    ("arr_0", "arr_1"),
];
/// Most channels of a series; more are the columns of a picture.
const MOST_SERIES_CHANNELS: usize = 16;

impl Format for Npz {
    const NAME: &'static str = "npz";
    const HELP: &'static str = "NPZ or NPY";

    fn recognise(candidate: &Candidate) -> Recognition {
        // The name of the first member stands behind a head of 30 bytes.
        let length = candidate.start.get(26..28).map_or(0, |bytes| usize::from(bytes[0]));
        let member = candidate.start.get(30..30 + length).unwrap_or(&[]);
        let is_archive = npy::is_zip(&candidate.start) && member.ends_with(b".npy");
        match is_archive || npy::is_npy(&candidate.start) {
            true => Recognition::Yes,
            false => Recognition::No,
        }
    }

    fn read(request: &Request<'_>, files: &[File], _beside: &[File]) -> Result<Dataset> {
        let mut labels = Vocabulary::default();
        let mut groups = Vocabulary::default();
        let (mut tables, mut shape, mut outputs) = (Vec::new(), None, 0);
        for (name, part, arrays) in &archives(request, files)? {
            for part in parts(request, name, *part, arrays)? {
                let found = shape_of(request, name, part.samples)?;
                if *shape.get_or_insert(found) != found {
                    let problem = format!("has samples of {found} beside others");
                    return Err(Error::bad_input(name, problem, "give samples of one shape"));
                }
                let read = Reading { request, name, labels: &mut labels, groups: &mut groups };
                let table = read.table(&part, found)?;
                if let Answers::Values(values) = &table.answers {
                    outputs = values.len().checked_div(table.rows()).unwrap_or(0);
                }
                tables.push(table);
            }
        }
        let Some(shape) = shape else {
            let advice = "give an archive with arrays x and y";
            return Err(Error::bad_input(request.name, "holds no samples", advice));
        };
        let classified = request.task() != Task::Regression;
        let tables = Tables {
            columns: vec![Column::named(None); shape.elements()],
            categories: vec![None; shape.elements()],
            outputs: vec![Column::named(None); outputs],
            labelled: classified && labels.len() > 0,
            grouped: request.options.group.is_some(),
            labels_in_names: false,
            labels,
            tables,
        };
        let request = Request { shape: Some(shape), ..*request };
        assemble(&request, Self::NAME, &tables)
            .map(|dataset| Dataset { options: request.options.clone(), ..dataset })
    }
}

/// Named arrays that belong together, with the name and the part that errors and splits go by.
type Archive<'a> = (&'a str, Part, Vec<(String, Array)>);

/// The archives among files, and all files of one array each as one more.
fn archives<'a>(request: &Request<'a>, files: &'a [File]) -> Result<Vec<Archive<'a>>> {
    let mut found = Vec::new();
    let mut single: Vec<(String, Array)> = Vec::new();
    for file in files {
        let (name, bytes) = (file.source.name.as_str(), file.source.bytes.as_slice());
        if !npy::is_npy(bytes) {
            found.push((name, file.part, npy::read_npz(bytes, name, MOST_BYTES)?));
            continue;
        }
        let stem = stem(&file.place);
        // train/x.npy is x_train.
        let array_name = match (Part::of(&stem.to_lowercase()), file.part) {
            (Part::Unknown, Part::Train) => format!("{stem}_train"),
            (Part::Unknown, Part::Test) => format!("{stem}_test"),
            _ => stem,
        };
        single.push((array_name, npy::read_npy(bytes, name)?));
    }
    if let [(_, array)] = single.as_slice() {
        single = table(request, array)?;
    }
    if !single.is_empty() {
        found.push((request.name, Part::Unknown, single));
    }
    Ok(found)
}

/// A lone array of two indexes as a table: a row is a sample, and the last column its label unless another is named.
fn table(request: &Request<'_>, array: &Array) -> Result<Vec<(String, Array)>> {
    let error = |problem: String, advice: &str| Error::bad_input(request.name, problem, advice);
    let &[rows, columns] = array.shape.as_slice() else {
        let problem = format!("is one array of the shape {:?}, without labels", array.shape);
        let advice = "give x.npy and y.npy in a folder, or an NPZ with x and y";
        return Err(error(problem, advice));
    };
    let values: Vec<f64> = array.values().collect();
    let asked = request.options.label.first().filter(|label| *label != "y");
    if request.task() == Task::Reconstruction && asked.is_none() {
        return Ok(vec![("x".to_string(), Array::of(vec![rows, columns], &values))]);
    }
    let place = match asked.map(|label| label.parse::<i64>()) {
        None => columns.checked_sub(1),
        Some(Ok(number)) if number > 0 => usize::try_from(number - 1).ok(),
        Some(Ok(number)) => usize::try_from(number + columns as i64).ok(),
        Some(Err(_)) => None,
    };
    let Some(label) = place.filter(|&place| place < columns && columns > 1) else {
        let problem = format!("is an array of {columns} columns without names");
        return Err(error(problem, "give --label a number from 1, or from -1 at the end"));
    };
    if asked.is_none() {
        request.note(format!("label: column {columns}, the last"));
    }
    let (mut samples, mut labels) = (Vec::with_capacity(values.len()), Vec::with_capacity(rows));
    for row in values.chunks_exact(columns) {
        labels.push(row[label]);
        let others = row.iter().enumerate().filter(|(column, _)| *column != label);
        samples.extend(others.map(|(_, value)| *value));
    }
    let samples = Array::of(vec![rows, columns - 1], &samples);
    // By the name that the options ask for.
    let name = asked.map_or_else(|| "y".to_string(), Clone::clone);
    Ok(vec![("x".to_string(), samples), (name, Array::of(vec![rows], &labels))])
}

/// The arrays of one part.
struct Arrays<'a> {
    samples: &'a Array,
    labels: Option<&'a Array>,
    groups: Option<&'a Array>,
    part: Part,
}

/// The parts that an archive has.
fn parts<'a>(
    request: &Request<'_>,
    name: &str,
    own: Part,
    arrays: &'a [(String, Array)],
) -> Result<Vec<Arrays<'a>>> {
    let find =
        |wanted: &str| arrays.iter().find(|(name, _)| name == wanted).map(|(_, array)| array);
    let label = request.options.label.first();
    let pair = |prefix: &str, suffix: &str, part: Part| {
        let of = |name: &str| find(&format!("{prefix}{name}{suffix}"));
        let (samples, found) = PAIRS.iter().find_map(|(samples, labels)| {
            let labels =
                label.map_or_else(|| of(labels), |label| find(label).or_else(|| of(label)));
            Some((of(samples)?, labels))
        })?;
        // Samples of one usual name beside labels of another.
        let other = || PAIRS.iter().find_map(|(_, labels)| of(labels));
        let found = found.or_else(|| label.is_none().then(other).flatten());
        let groups = request.options.group.as_deref().and_then(of);
        Some(Arrays { samples, labels: found, groups, part })
    };
    let with = |word: &str, part| {
        pair("", &format!("_{word}"), part).or_else(|| pair(&format!("{word}_"), "", part))
    };
    let found = match (with("train", Part::Train), with("test", Part::Test)) {
        (Some(train), Some(test)) => vec![train, test],
        _ => pair("", "", own).into_iter().collect(),
    };
    let listed = arrays.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
    let Some(first) = found.first() else {
        let problem = format!("has the arrays {listed}");
        let advice = "name samples x and labels y, or x_train, y_train, x_test, y_test";
        return Err(Error::bad_input(name, problem, advice));
    };
    if request.options.group.is_some() && first.groups.is_none() {
        let problem = format!("{name} has the arrays {listed}");
        return Err(Error::bad_input("--group", problem, "give the name of one"));
    }
    Ok(found)
}

/// The shape of one sample: as given, as the network has it, or by the array's.
fn shape_of(request: &Request<'_>, name: &str, array: &Array) -> Result<SampleShape> {
    let sizes = array.shape.get(1..).unwrap_or(&[]);
    let elements = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size));
    let Some(elements) = elements.filter(|&elements| elements > 0 && array.shape.len() > 1) else {
        let problem = format!("has samples in an array of the shape {:?}", array.shape);
        return Err(Error::bad_input(name, problem, "give one sample a row"));
    };
    let by_network = request.convention.map(|network| network.shape);
    let known = request.shape.or(by_network);
    if let Some(shape) = known {
        if shape.elements() == elements {
            return Ok(shape);
        }
        let problem =
            format!("has samples of {elements} values, but {shape} needs {}", shape.elements());
        return Err(Error::bad_input(name, problem, "give another shape"));
    }
    let shape = match *sizes {
        [rows, channels] if channels <= MOST_SERIES_CHANNELS && rows > channels => {
            SampleShape::new(rows, 1, channels)
        }
        [rows, columns] => SampleShape::new(rows, columns, 1),
        [rows, columns, channels] => SampleShape::new(rows, columns, channels),
        _ => SampleShape::new(1, 1, elements),
    };
    if sizes.len() > 1 {
        request.note(format!("samples of {sizes:?} are read as {shape} (PATH:HxWxC decides)"));
    }
    Ok(shape)
}

struct Reading<'a> {
    request: &'a Request<'a>,
    name: &'a str,
    labels: &'a mut Vocabulary,
    groups: &'a mut Vocabulary,
}

impl Reading<'_> {
    fn table(self, part: &Arrays<'_>, shape: SampleShape) -> Result<Table> {
        let count = part.samples.shape.first().copied().unwrap_or(0);
        let error = |problem: String, advice: &str| Error::bad_input(self.name, problem, advice);
        let mut table = Table::new(self.name.to_string(), part.part, shape.elements());
        table.values = Values::of(shape.elements(), part.samples.values());
        if table.values.iter().any(|value| !value.is_finite()) {
            return Err(error("has samples that are not finite".into(), "correct or drop them"));
        }
        table.lines = LineNumbers::counted(count);
        let fits = |array: &Array| array.shape.first() == Some(&count);
        for (array, what) in [(part.labels, "labels"), (part.groups, "groups")] {
            if let Some(array) = array.filter(|array| !fits(array)) {
                let problem =
                    format!("has {count} samples and {what} of the shape {:?}", array.shape);
                return Err(error(problem, "give one for each sample"));
            }
        }
        let whole = |value: f64| format!("{value:.0}");
        table.groups = match part.groups {
            Some(groups) => groups.values().map(|value| self.groups.place(&whole(value))).collect(),
            None => Runs::constant(0, count),
        };
        let width = part.labels.map_or(0, |labels| labels.len().checked_div(count).unwrap_or(0));
        let task = self.request.task();
        table.answers = match part.labels {
            Some(labels) if task == Task::Regression => Answers::Values(labels.values().collect()),
            Some(labels) if width == 1 => {
                let numbers: Vec<f64> = labels.values().collect();
                if let Some(wrong) = numbers.iter().find(|value| value.fract() != 0.0) {
                    let problem =
                        format!("has the label {wrong}, a number with a fraction and not a class");
                    return Err(error(problem, "add --task regression to predict numbers"));
                }
                Answers::Classes(
                    numbers.iter().map(|&value| self.labels.place(&whole(value))).collect(),
                )
            }
            Some(labels) => {
                // One column a class.
                let numbers: Vec<f64> = labels.values().collect();
                let largest = |row: &[f64]| {
                    let places = row.iter().enumerate();
                    places
                        .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)))
                        .map_or(0, |(place, _)| place)
                };
                let classes = numbers.chunks_exact(width.max(1)).map(largest);
                Answers::Classes(
                    classes.map(|class| self.labels.place(&class.to_string())).collect(),
                )
            }
            None if task == Task::Reconstruction => Answers::Classes(vec![0; count]),
            None => return Err(error("has no labels".into(), "add an array y beside x")),
        };
        Ok(table)
    }
}
