//! Files of kinds that no data set is read from: named by their first bytes, with what to do instead.

/// A kind of file that is known by its beginning.
struct Kind {
    at: usize,
    magic: &'static [u8],
    /// What the file is.
    name: &'static str,
    /// What to do instead.
    advice: &'static str,
}

const fn kind(at: usize, magic: &'static [u8], name: &'static str, advice: &'static str) -> Kind {
    Kind { at, magic, name, advice }
}

const CSV: &str = "write its numbers to CSV";
const IMPORT: &str = "that is a model: give it to `tinyhero import`";
const PICKLE: &str = "save its arrays with numpy.savez, or as CSV";
const SPREADSHEET: &str = "save the sheet as CSV";
const UTF16: &str = "save it as UTF-8 (in Excel: CSV UTF-8)";
const PICTURES: &str = "give pictures as PNG, or their pixels as CSV or NPZ";

/// More than one may fit: the first counts.
const KINDS: [Kind; 29] = [
    kind(4, b"TFL3", "a TensorFlow Lite model", IMPORT),
    kind(0, b"HERO", "a tinyhero model", "give it to `tinyhero inspect` or `tinyhero evaluate`"),
    kind(8, b"WAVE", "a WAV file", "give a folder of WAV files, or its samples as CSV"),
    kind(0, b"\x89PNG\r\n\x1a\n", "a PNG picture", "give a folder of pictures, one folder a class"),
    kind(0, b"\xFF\xD8\xFF", "a JPEG picture", "give a folder of pictures, one folder a class"),
    kind(0, b"GIF8", "a GIF picture", PICTURES),
    kind(0, b"BM", "a BMP picture", PICTURES),
    kind(
        0,
        b"PK\x03\x04",
        "a zip archive (zip, NPZ or XLSX)",
        "unpack it and give the files in it",
    ),
    kind(0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras model or MATLAB 7.3 data)", CSV),
    kind(0, b"MATLAB 5.0", "a MATLAB file", CSV),
    kind(0, b"\xFF\xFE", "text in UTF-16", UTF16),
    kind(0, b"\xFE\xFF", "text in UTF-16", UTF16),
    kind(0, b"\xD0\xCF\x11\xE0", "an old Excel or Office file", SPREADSHEET),
    kind(257, b"ustar", "a tar archive", "unpack it and give the folder"),
    kind(0, b"PAR1", "a Parquet file", CSV),
    kind(0, b"ARROW1", "an Arrow file", CSV),
    kind(0, b"SQLite format 3", "an SQLite data base", CSV),
    kind(0, b"OggS", "an Ogg file", "convert it to WAV"),
    kind(0, b"fLaC", "a FLAC file", "convert it to WAV"),
    kind(0, b"ID3", "an MP3 file", "convert it to WAV"),
    kind(0, b"\xFF\xFB", "an MP3 file", "convert it to WAV"),
    kind(0, b"\x80\x03", "a Python pickle", PICKLE),
    kind(0, b"\x80\x04\x95", "a Python pickle", PICKLE),
    kind(0, b"\x80\x05\x95", "a Python pickle", PICKLE),
    kind(0, b"BZh", "a bzip2 file", "unpack it, or pack it as gz"),
    kind(0, b"\xFD7zXZ", "an xz file", "unpack it, or pack it as gz"),
    kind(0, b"7z\xBC\xAF", "a 7z archive", "unpack it"),
    kind(0, b"%PDF", "a PDF", CSV),
    kind(0, b"\x7FELF", "a program", "give data"),
];

/// What a file is that no format recognises, and what to do instead.
pub fn name(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let fits = |kind: &&Kind| start.get(kind.at..kind.at + kind.magic.len()) == Some(kind.magic);
    if let Some(kind) = zip_kind(start) {
        return Some(kind);
    }
    if let Some(kind) = KINDS.iter().find(fits) {
        return Some((kind.name, kind.advice));
    }
    let text = start.trim_ascii_start();
    let mut text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    // ARFF may begin with remarks.
    while text.starts_with(b"%") {
        let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |end| end + 1);
        text = text[end..].trim_ascii_start();
    }
    let begins =
        |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    match text.first() {
        Some(b'{' | b'[') => Some(("JSON", CSV)),
        Some(b'<') => Some(("XML or HTML", CSV)),
        _ if begins(b"@relation") => Some(("ARFF", "take the lines below @data as CSV")),
        _ if begins(b"version https://git-lfs") => {
            Some(("a pointer of Git LFS", "fetch the file itself with `git lfs pull`"))
        }
        _ if is_sparse(text) => Some(("LIBSVM's sparse rows", "write all columns as CSV")),
        _ if half_zeros(start) => Some(("text in UTF-16 or binary data", UTF16)),
        _ => None,
    }
}

/// What a zip archive is that is no archive of data: by the name of its first member.
pub fn zip_kind(start: &[u8]) -> Option<(&'static str, &'static str)> {
    if !start.starts_with(b"PK\x03\x04") {
        return None;
    }
    let length = start.get(26..28).map_or(0, |bytes| usize::from(bytes[0]));
    let member = start.get(30..30 + length)?;
    let begins = |names: &[&[u8]]| names.iter().any(|name| member.starts_with(name));
    if begins(&[b"[Content_Types].xml", b"_rels/", b"docProps/", b"xl/"]) {
        return Some(("an Excel or Office file", SPREADSHEET));
    }
    if member == b"mimetype" {
        return Some(("an OpenDocument file", SPREADSHEET));
    }
    let export = "export the model as ONNX and give that to `tinyhero import`, or save arrays with numpy.savez";
    member.ends_with(b"data.pkl").then_some(("a PyTorch file", export))
}

/// Whether the first line is a label and then places with values, such as `1 3:0.5 7:1.25`.
fn is_sparse(text: &[u8]) -> bool {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let mut fields = line.split_whitespace();
    let number = |text: &str| text.parse::<f64>().is_ok();
    let pair = |field: &str| {
        field
            .split_once(':')
            .is_some_and(|(place, value)| place.parse::<u32>().is_ok() && number(value))
    };
    fields.next().is_some_and(number) && fields.clone().next().is_some() && fields.all(pair)
}

/// Whether every second byte is 0, as in UTF-16 of plain letters.
fn half_zeros(start: &[u8]) -> bool {
    let pairs = start.as_chunks::<2>().0;
    let halves = |place: usize| pairs.iter().filter(|pair| pair[place] == 0).count();
    pairs.len() >= 8
        && (0..2).any(|place| 10 * halves(place) >= 9 * pairs.len() && halves(1 - place) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_by_their_first_bytes() {
        let utf16: Vec<u8> =
            "a,b,label\n1,2,0\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (start, expected) in [
            (b"\x20\0\0\0TFL3\0".as_slice(), "TensorFlow Lite"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "WAV"),
            (b"PK\x03\x04\x14\0", "NPZ"),
            (b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml", "Excel"),
            (b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0A\0\0\0m/data.pkl", "PyTorch"),
            (b"\x80\x04\x95\0", "pickle"),
            (b"% a remark\n@RELATION iris\n", "ARFF"),
            (b"1 1:0.5 2:0.3\n2 1:0.1\n", "LIBSVM"),
            (b"\xFF\xFEa\0", "UTF-16"),
            (&utf16, "UTF-16"),
            (b"  {\"a\": 1}", "JSON"),
            (b"@RELATION iris", "ARFF"),
            (b"\x89HDF\r\n\x1a\n", "HDF5"),
        ] {
            let found = name(start).map_or("", |(name, _)| name);
            assert!(found.contains(expected), "{expected}: {found}");
        }
        assert_eq!(name(b"1,2,0\n"), None);
        assert_eq!(name(&[0; 40]), None);
    }
}
