//! The input: the lines of a file, again and again, up to a size.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

/// Gives out the records of the input one after the other. Record n is the same whenever it is asked for.
pub(crate) struct Input {
    file: BufReader<File>,
    line: Vec<u8>,
    /// The number of the next record.
    next: u64,
    /// Bytes of lines given out, line feeds included.
    bytes: u64,
    size: u64,
}

impl Input {
    /// The input that ends with the record that reaches `size` bytes.
    pub(crate) fn open(path: &Path, size: u64) -> io::Result<Input> {
        let file = File::open(path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, format!("{} is a directory", path.display())));
        }
        if file.metadata()?.len() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{} is empty", path.display())));
        }
        Ok(Input { file: BufReader::with_capacity(256 << 10, file), line: Vec::new(), next: 0, bytes: 0, size })
    }

    /// The next record and its number; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        if self.bytes >= self.size {
            return Ok(None);
        }
        self.line.clear();
        if self.file.read_until(b'\n', &mut self.line)? == 0 {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.read_until(b'\n', &mut self.line)?;
        }
        let number = self.next;
        self.next += 1;
        self.bytes += self.line.len() as u64;
        Ok(Some((number, self.line.strip_suffix(b"\n").unwrap_or(&self.line))))
    }

    /// Goes on until the next record is number `number`.
    pub(crate) fn skip_to(&mut self, number: u64) -> io::Result<()> {
        while self.next < number && self.next()?.is_some() {}
        Ok(())
    }

    /// Bytes of the records given out or skipped.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the next record.
    pub(crate) fn position(&self) -> u64 {
        self.next
    }
}
