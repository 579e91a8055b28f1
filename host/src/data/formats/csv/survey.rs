//! A look at a table before it is read: what separates values, whether there is a header, what the columns hold.

use super::cell::Cell;
use super::column::ColumnSurvey;
use super::dialect::{Dialect, dialect};
use super::header::{Header, counts, is_title, is_units, width_of};
use super::lines::{split, text};
use super::sampled::{Line, Sampled, first_lines};
use crate::data::options::Separator;
use crate::data::source::Source;
use crate::error::{Error, Result};

/// Most columns of a table.
pub const MOST_COLUMNS: usize = (1 << 16) + 1;
/// What a look at a table shows.
#[derive(Clone, Debug)]
pub struct Survey {
    /// How values are written.
    pub dialect: Dialect,
    /// The fields of the header, as many as a row has; none where the file has no header.
    pub header: Option<Vec<String>>,
    /// The last line of the header, which may have a second one with units.
    pub header_line: u64,
    /// Whether the header counts columns instead of naming them.
    pub counted: bool,
    /// Whether a second line of the header has units.
    pub units: bool,
    /// Whether the first column names rows, for which the header has no field.
    pub row_names: bool,
    /// One for each field of a row.
    pub columns: Vec<ColumnSurvey>,
    /// Rows that were looked at.
    pub rows: usize,
    /// How many columns at the end have a one in exactly one of them: a class each.
    pub flags: usize,
}

/// Looks at a table.
///
/// # Errors
/// A line that no table has, or a header that does not fit its rows.
pub fn survey(source: &Source, separator: Option<Separator>) -> Result<Survey> {
    let name = &source.name;
    let sampled = Sampled::of(source)?;
    let first = first_lines(source)?;
    let first: Vec<&[u8]> = first.iter().map(Vec::as_slice).collect();
    let dialect = dialect(&first, separator);
    let mut rows = Vec::with_capacity(sampled.lines.len());
    for Line { number, place, bytes } in &sampled.lines {
        let mut fields = Vec::new();
        if !split(bytes, dialect.separator, &mut fields) {
            let place = format_args!("{name}, line {number}").to_string();
            let problem = "has a quotation mark without its second one";
            return Err(Error::bad_input(place, problem, "close it in the same line"));
        }
        if fields.len() > MOST_COLUMNS {
            let place = format_args!("{name}, line {number}").to_string();
            let features = fields.len() - 1;
            let problem = format_args!("has {features} feature columns, over 65536");
            return Err(Error::bad_input(place, problem, "give fewer or smaller rows"));
        }
        fields.shrink_to_fit();
        rows.push((*number, sampled.counts(*place), fields));
    }
    // A title above the header says nothing of columns.
    let titles =
        rows.windows(2).take_while(|pair| is_title(&pair[0].2, &pair[1].2, dialect)).count();
    rows.drain(..titles.min(2));
    let Some((first_line, _, first_row)) = rows.first() else {
        return Err(Error::bad_input(name, "holds no row", "give a CSV file with samples"));
    };
    let rest: Vec<&[&[u8]]> = rows[1..].iter().map(|(_, _, row)| row.as_slice()).collect();
    let width = width_of(first_row, &rest, dialect);
    let header = Header::find(first_row, &rest, width, dialect);
    if let Header::Odd = header {
        let place = format_args!("{name}, line {first_line}").to_string();
        let found = first_row.len();
        let problem = format_args!(
            "the header or first row has {found} fields, but the rows below have {width}"
        );
        return Err(Error::bad_input(place, problem, "correct or delete this line"));
    }
    let units = matches!(header, Header::Whole) && is_units(&rest, width, dialect);
    let mut columns = vec![ColumnSurvey::default(); width];
    let data = rows.iter().skip(usize::from(!matches!(header, Header::None)) + usize::from(units));
    let mut looked_at = 0;
    for (_, _, row) in data.filter(|(_, counted, row)| *counted && row.len() == width) {
        looked_at += 1;
        for (column, field) in columns.iter_mut().zip(row) {
            column.add(field, dialect.decimal_comma);
        }
    }
    let flags = columns.iter().rev().take_while(|column| column.is_flag()).count();
    let one = |row: &[&[u8]]| {
        let set = row[width - flags..]
            .iter()
            .filter(|field| Cell::of(field, dialect.decimal_comma) == Cell::Number(1.0));
        set.count() == 1
    };
    let first_data = usize::from(!matches!(header, Header::None)) + usize::from(units);
    let whole = rows.iter().skip(first_data).filter(|(_, _, row)| row.len() == width);
    let flags =
        if flags >= 3 && whole.map(|(_, _, row)| row).all(|row| one(row)) { flags } else { 0 };
    let (header, row_names) = match header {
        Header::Whole if units => {
            let pairs = first_row.iter().zip(rest[0]);
            let names = pairs.map(|(name, unit)| match (text(name), text(unit)) {
                (name, unit) if unit.is_empty() || name.ends_with([')', ']']) => name,
                (name, unit) if name.is_empty() => unit,
                (name, unit) => format!("{name} ({})", unit.trim_matches(['(', ')', '[', ']'])),
            });
            (Some(names.collect()), false)
        }
        Header::Whole => (Some(first_row.iter().map(|field| text(field)).collect()), false),
        Header::WithoutRowNames => {
            let names = first_row.iter().map(|field| text(field));
            (Some(std::iter::once(String::new()).chain(names).collect()), true)
        }
        Header::None | Header::Odd => (None, false),
    };
    let header_line = if units { rows[1].0 } else { *first_line };
    let counted = header.is_some() && counts(first_row, dialect);
    Ok(Survey {
        counted,
        units,
        dialect,
        header,
        header_line,
        row_names,
        columns,
        rows: looked_at,
        flags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::formats::csv::dialect::looks_like_a_table;

    fn look(text: &str) -> Survey {
        survey(&Source::of_bytes("t".into(), text.into()), None).unwrap()
    }

    #[test]
    fn separators_show() {
        for (text, separator, comma) in [
            ("1,2,0\n3,4,1\n", ",", false),
            ("a;b;c\n1,5;2;0\n2,5;3;1\n", ";", true),
            ("a;b;c\n1.5;2;0\n2.5;3;1\n", ";", false),
            ("1\t2\t0\n3\t4\t1\n", "tab", false),
            ("1|2|0\n3|4|1\n", "|", false),
            ("  1.0e0  -2 0\n 3 4   1\n", "space", false),
            ("1, 2, 0\n3, 4, 1\n", ",", false),
            ("x;y,1,2\nz;w,2,3\nx;w,3,4\n", ",", false),
            ("Date;CO;T;RH;\n10/03/2004;2,6;13,6;48,9;\n", ";", true),
            ("sep=;\na;b\n1;2\n3;4\n", ";", false),
            ("a,b,label\n1.5 V,2,x\n2.5 V,3,y\n", ",", false),
            ("time,x\n2015-02-04 17:51:00,23.1\n2015-02-04 17:52:00,23.2\n", ",", false),
            ("\u{feff}a;b\r\n7,1;0\r\n7,2;1\r\n", ";", true),
        ] {
            let found = look(text).dialect;
            let expected = Dialect { separator: separator.parse().unwrap(), decimal_comma: comma };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_header_is_a_row_of_names() {
        for (text, is_header) in [
            ("a,b,label\n1,2,0\n", true),
            ("1,2,0\n3,4,1\n", false),
            ("5.1,?,1.4,0\n4.9,3.0,1.4,0\n", false),
            ("?,?,x\n1,2,x\n3,4,y\n", false),
            ("1,x,0\n3,4,1\n", false),
            ("-0.5,10,x\n0.5,20,y\n", false),
            ("label,0,1,2,3\n5,9,9,9,9\n6,8,8,8,8\n", true),
            ("1,2,3,cat\n4,5,6,dog\n7,8,9,cat\n", false),
            (",a,b,label\n0,1,2,x\n1,3,4,y\n", true),
            ("p,x,n\ne,x,n\np,y,n\ne,y,m\n", false),
            ("cap,odor,class\ne,x,n\np,y,n\ne,y,m\n", true),
            ("M,0.4,15\nF,0.5,7\nM,0.3,9\n", false),
            ("# remark\na,b\n1,2\n", true),
            ("2019,2020,label\n5,6,x\n1,2,y\n", true),
            (",,\na,b,label\n5,6,x\n1,2,y\n", true),
            ("0,1,2\n5.5,6.5,0\n1.5,2.5,1\n", true),
            ("0,1,2\n5,6,0\n1,2,1\n", false),
            ("1,2,3\n0.5,0.5,1\n0,1,2\n1.5,1.5,1\n", false),
        ] {
            assert_eq!(look(text).header.is_some(), is_header, "{text}");
        }
    }

    #[test]
    fn a_header_one_field_short_leaves_out_the_row_names() {
        let found = look("\"a\",\"b\"\n\"1\",5,0\n\"2\",6,1\n\"3\",7,1\n");
        assert!(found.row_names);
        assert_eq!(found.header.unwrap(), ["", "a", "b"]);
        for text in [
            "6,2,malignant,benign\n1,2,0\n3,4,1\n",
            "a,b,c,d,e\n1,2,0\n3,4,1\n",
            "a,b,label\n1.5,2,0,9\n3.5,4,1,9\n2.5,4,1,9\n",
        ] {
            let source = Source::of_bytes("t".into(), text.into());
            let error = survey(&source, None).unwrap_err().to_string();
            assert!(error.contains("line 1: the header or first row has"), "{error}");
        }
        // One row that is too long is that row's fault.
        assert!(look("1,2,3,0\n4,5,6,1\n7,8,1\n").header.is_none());
    }

    #[test]
    fn a_second_header_has_units() {
        let found = look("acc,gyro [rad/s],label\nm/s2,rad/s,\n1.5,2,x\n2.5,3,y\n1,2,x\n");
        assert_eq!(found.header.unwrap(), ["acc (m/s2)", "gyro [rad/s]", "label"]);
        assert_eq!((found.header_line, found.rows), (2, 3));
        // One faulty value, or a row of words among others, is no unit.
        for text in ["a,b,c,label\nx,1,2,0\n1,2,3,0\n4,5,6,1\n", "a,b\nx,u\ny,v\nx,w\n"] {
            assert_eq!(look(text).header_line, 1, "{text}");
        }
    }

    #[test]
    fn a_title_is_no_header_and_empty_names_take_the_second_line() {
        let found = look("Experiment 5,,\na,b,label\n1.5,2,x\n2.5,3,y\n1,2,x\n");
        assert_eq!(
            (found.header.unwrap(), found.header_line),
            (vec!["a".into(), "b".into(), "label".into()], 2)
        );
        let found = look("acc,acc,\nx,y,label\n1.5,2,x\n2.5,3,y\n1,2,x\n");
        assert_eq!(found.header.unwrap(), ["acc (x)", "acc (y)", "label"]);
    }

    #[test]
    fn a_one_in_one_of_several_columns_is_seen() {
        for (text, flags) in [
            ("a,x,y,z\n5,1,0,0\n6,0,1,0\n7,0,0,1\n", 3),
            ("a,x,y,z\n5,1,0,0\n6,1,1,0\n7,0,0,1\n", 0),
            ("a,x,y\n5,1,0\n6,0,1\n", 0),
        ] {
            assert_eq!(look(text).flags, flags, "{text}");
        }
    }

    #[test]
    fn rows_that_take_turns_are_all_seen() {
        for turns in [2, 3, 4, 8, 16, 64] {
            let text: String = (0..100_000).map(|row| format!("{row},{}\n", row % turns)).collect();
            let found = look(&text);
            assert_eq!(found.columns[1].distinct.len(), turns, "{turns}");
            assert!((2048..=8193).contains(&found.rows), "{}", found.rows);
            assert!(found.columns[0].rises);
        }
    }

    #[test]
    fn text_is_not_a_table() {
        assert!(looks_like_a_table(b"1 2 3\n4 5 6\n"));
        assert!(looks_like_a_table(b"a;b\n1,5;2\n2,5;4\n3"));
        assert!(!looks_like_a_table(b"Permission is hereby granted, free of charge,\nto any\n"));
        assert!(!looks_like_a_table(b"words\n"));
    }
}
