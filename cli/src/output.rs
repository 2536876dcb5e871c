//! Standard output: text for people, or JSON for programs.

use std::io::{BufWriter, Stdout, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Standard output, buffered. A reader that has gone away is not an error: [`Failure::OutputClosed`].
pub(crate) struct Output {
    writer: BufWriter<Stdout>,
    json: bool,
}

impl Output {
    const BUFFER: usize = 256 << 10;

    pub(crate) fn new(json: bool) -> Output {
        Output { writer: BufWriter::with_capacity(Output::BUFFER, std::io::stdout()), json }
    }

    /// Whether reports are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.writer.write_all(bytes).map_err(|e| Failure::output(&e))
    }

    /// Writes one line of text.
    pub(crate) fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.bytes(text.as_bytes())?;
        self.bytes(b"\n")
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.writer, value).map_err(|e| Failure::output(&e.into()))?;
        self.bytes(b"\n")
    }

    /// A report: JSON where that was asked for, otherwise what `text` makes of it.
    pub(crate) fn report<T: Serialize>(&mut self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json { self.json(value) } else { self.bytes(text(value).as_bytes()) }
    }

    /// Hands everything to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.writer.flush().map_err(|e| Failure::output(&e))
    }

    /// The end of the command.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// Rows with columns as wide as their widest cell; numbers to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let is_number = |cell: &str| cell.starts_with(|c: char| c.is_ascii_digit());
    let right: Vec<bool> =
        (0..head.len()).map(|column| !rows.is_empty() && rows.iter().all(|row| is_number(&row[column]))).collect();
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_string()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&right) {
            let padding = " ".repeat(width - cell.chars().count());
            let (before, after) = if *right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            line.extend([before, cell, after, "  "]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = vec![vec!["a".into(), "10".into()], vec!["long".into(), "9".into()]];
        assert_eq!(table(&["name", "n"], &rows), "name   n\na     10\nlong   9\n");
    }
}
