//! The field of a line that is its record's key.

use std::io::{self, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

/// Which column is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Counted from 0; on the command line from 1.
    Index(usize),
    /// Looked up in the first line of each file.
    Name(String),
}

impl Column {
    /// Reads the argument of `--key-column`. A number is an index.
    pub(crate) fn parse(text: &str) -> Result<Column, String> {
        match text.parse::<usize>() {
            Ok(0) => Err("--key-column counts from 1".into()),
            Ok(number) => Ok(Column::Index(number - 1)),
            Err(_) => Ok(Column::Name(text.into())),
        }
    }
}

/// What a line has in the key's column.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// The field, without its quotation marks. May be empty.
    Field(&'a [u8]),
    /// The line has fewer fields.
    None,
    /// A quotation mark is opened and not closed, so the field would go on in the next line.
    Open,
}

/// Divides lines into fields as CSV does. Reuses its memory.
pub(crate) struct Fields {
    delimiter: u8,
    reader: Reader<Feed>,
    record: ByteRecord,
}

/// The line that is to be divided, with a line feed; behind it the input ends.
#[derive(Default)]
struct Feed {
    line: Vec<u8>,
    at: usize,
}

impl Feed {
    fn put(&mut self, line: &[u8]) {
        self.line.clear();
        self.line.extend_from_slice(line);
        self.line.push(b'\n');
        self.at = 0;
    }
}

impl Read for Feed {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = (&self.line[self.at..]).read(into)?;
        self.at += read;
        Ok(read)
    }
}

impl Fields {
    pub(crate) fn new(delimiter: u8) -> Fields {
        let mut fields = Fields { delimiter, reader: reader(delimiter), record: ByteRecord::new() };
        fields.begin();
        fields
    }

    /// Puts the reader where a record begins, but not a file: there it takes off a mark, which is text here.
    fn begin(&mut self) {
        self.reader = reader(self.delimiter);
        self.read(b"x");
    }

    fn read(&mut self, line: &[u8]) {
        self.reader.get_mut().put(line);
        self.reader.read_byte_record(&mut self.record).expect("memory can be read, and fields are bytes");
    }

    /// The field number `index` of `line`, which comes without its line feed.
    pub(crate) fn get<'a>(&'a mut self, line: &'a [u8], index: usize) -> Key<'a> {
        if memchr::memchr(b'"', line).is_none() {
            return plain(line, self.delimiter, index);
        }
        if !self.divide(line) {
            return Key::Open;
        }
        self.record.get(index).map_or(Key::None, Key::Field)
    }

    /// The number of the field that is called `name`.
    pub(crate) fn find(&mut self, line: &[u8], name: &str) -> Option<usize> {
        if !self.divide(line) {
            return None;
        }
        self.record.iter().position(|field| field == name.as_bytes())
    }

    /// The fields of a line, for a message.
    pub(crate) fn names(&mut self, line: &[u8]) -> String {
        self.divide(line);
        let names: Vec<_> = self.record.iter().map(String::from_utf8_lossy).collect();
        names.join(", ")
    }

    /// Divides a line; `false` if a quotation mark stays open.
    fn divide(&mut self, line: &[u8]) -> bool {
        let line = trim(line);
        self.record.clear();
        if line.is_empty() {
            // For CSV an empty line is no record at all; here it is a record with one empty field.
            self.record.push_field(b"");
            return true;
        }
        self.read(line);
        // The line feed behind an open mark belongs to the field, and the reader has come to the end.
        let open = self.record.iter().next_back().is_some_and(|last| last.ends_with(b"\n"));
        if open {
            self.begin();
        }
        !open
    }
}

fn reader(delimiter: u8) -> Reader<Feed> {
    ReaderBuilder::new()
        .delimiter(delimiter)
        // The line is already cut: nothing inside it ends a record.
        .terminator(Terminator::Any(b'\n'))
        .has_headers(false)
        .flexible(true)
        .from_reader(Feed::default())
}

/// The same for a line without quotation marks, which most are.
fn plain(line: &[u8], delimiter: u8, index: usize) -> Key<'_> {
    let line = trim(line);
    let mut ends = memchr::memchr_iter(delimiter, line).chain([line.len()]);
    let start = if index == 0 { Some(0) } else { ends.nth(index - 1).map(|end| end + 1) };
    match (start, ends.next()) {
        (Some(start), Some(end)) => Key::Field(&line[start..end]),
        _ => Key::None,
    }
}

/// The first line of a file without the mark that some programs begin one with: it belongs to no field. Anywhere else
/// the same bytes are text.
pub(crate) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

/// What CSV does not count to the fields: the first half of a line end that has two.
fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(line: &str, index: usize) -> Option<String> {
        match Fields::new(b',').get(line.as_bytes(), index) {
            Key::Field(field) => Some(String::from_utf8(field.to_vec()).expect("text in, text out")),
            Key::None => None,
            Key::Open => Some("open".into()),
        }
    }

    #[test]
    fn columns() {
        assert_eq!(Column::parse("1"), Ok(Column::Index(0)));
        assert_eq!(Column::parse("Country"), Ok(Column::Name("Country".into())));
        assert!(Column::parse("0").is_err());
    }

    #[test]
    fn fields_are_divided_as_in_csv() {
        assert_eq!(get("a,b,c", 1).as_deref(), Some("b"));
        assert_eq!(get("a,b,c", 2).as_deref(), Some("c"));
        assert_eq!(get("a,b,c\r", 2).as_deref(), Some("c"));
        assert_eq!(get("a,b,c", 3), None);
        assert_eq!(get("a,,c", 1).as_deref(), Some(""));
        assert_eq!(get("a,", 1).as_deref(), Some(""));
        assert_eq!(get("", 0).as_deref(), Some(""));
        assert_eq!(get("\r", 0).as_deref(), Some(""));
        assert_eq!(get("", 1), None);
        assert_eq!(get("\"x,y\",b", 0).as_deref(), Some("x,y"));
        assert_eq!(get("\"x,y\",b", 1).as_deref(), Some("b"));
        assert_eq!(get("\"say \"\"hi\"\"\",b", 0).as_deref(), Some("say \"hi\""));
        assert_eq!(get("12\" pipe,b", 0).as_deref(), Some("12\" pipe"));
        assert_eq!(get("a\rb,c", 1).as_deref(), Some("c"));
        assert_eq!(get("\"open,b", 0).as_deref(), Some("open"));
        assert_eq!(get("a,\"\"", 1).as_deref(), Some(""));
    }

    #[test]
    fn lines_do_not_depend_on_those_before_them() {
        let mut fields = Fields::new(b',');
        for line in ["\"a\",b", "\"open,b", "\"c\"\"\",b", "\"open", "", "\u{feff}\"d\",\"b\""] {
            let fresh = get(line, 0);
            let reused = match fields.get(line.as_bytes(), 0) {
                Key::Field(field) => Some(String::from_utf8(field.to_vec()).expect("text in, text out")),
                Key::None => None,
                Key::Open => Some("open".into()),
            };
            assert_eq!(reused, fresh, "{line}");
        }
    }

    #[test]
    fn lines_without_quotation_marks_are_divided_as_those_with_them() {
        for line in ["", "\u{feff}", "a", "a,b", ",", ",,", "a,,c\r", "\u{feff}a,b", "\r", "a b,c\rd,"] {
            let mut fields = Fields::new(b',');
            for index in 0..5 {
                assert!(fields.divide(line.as_bytes()));
                let slow = fields.record.get(index).map(<[u8]>::to_vec);
                let fast = match plain(line.as_bytes(), b',', index) {
                    Key::Field(field) => Some(field.to_vec()),
                    _ => None,
                };
                assert_eq!(fast, slow, "{line:?} field {index}");
            }
        }
    }

    #[test]
    fn long_lines_and_many_fields() {
        let mut fields = Fields::new(b';');
        let long = format!("{};{}", "x".repeat(100_000), "y".repeat(9000));
        assert_eq!(fields.get(long.as_bytes(), 1), Key::Field("y".repeat(9000).as_bytes()));
        for count in [1, 63, 64, 65, 127, 128, 129] {
            let line = vec!["n"; count].join(";");
            assert_eq!(fields.get(line.as_bytes(), count - 1), Key::Field(b"n"), "{count} fields");
            assert_eq!(fields.get(line.as_bytes(), count), Key::None, "{count} fields");
        }
        let many = vec!["n"; 1000].join(";");
        assert_eq!(fields.get(many.as_bytes(), 999), Key::Field(b"n"));
        assert_eq!(fields.get(many.as_bytes(), 1000), Key::None);
        assert_eq!(fields.get(b"short", 0), Key::Field(b"short"));
    }

    #[test]
    fn names_are_looked_up() {
        let mut fields = Fields::new(b',');
        assert_eq!(fields.find(b"id,\"full name\",n\r", "full name"), Some(1));
        assert_eq!(fields.find(b"\xef\xbb\xbfid,n", "id"), None);
        assert_eq!(fields.find(without_mark(b"\xef\xbb\xbfid,n"), "id"), Some(0));
        assert_eq!(without_mark(without_mark("\u{feff}\u{feff}id".as_bytes())), b"id");
        assert_eq!(fields.find(b"id,n", "x"), None);
        assert_eq!(fields.names(b"id,n"), "id, n");
    }
}
