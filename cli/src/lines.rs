//! Cuts an input into runs of whole lines.

use std::io::{self, Read};
use std::ops::Range;

use thalweg::limits::RECORD_MAX;

/// Reads an input in large pieces and gives them out cut at line ends.
pub(crate) struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What is read and not given out is `buffer[start..end]`.
    start: usize,
    end: usize,
}

/// What can come instead of lines.
#[derive(Debug)]
pub(crate) enum LinesError {
    Io(io::Error),
    /// The next line is longer than a record may be.
    TooLong,
}

impl<R: Read> Lines<R> {
    /// Large enough to hide the cost of a read, small beside the smallest memory budget.
    const BUFFER: usize = 1 << 20;

    pub(crate) fn new(input: R) -> Lines<R> {
        Lines { input, buffer: vec![0; Lines::<R>::BUFFER], start: 0, end: 0 }
    }

    /// One or more whole lines with their line feeds; only the very last may lack it. Gives what has arrived, without
    /// waiting for more than one line. `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, LinesError> {
        let Some(lines) = self.arrived()? else { return Ok(None) };
        self.start = lines.end;
        Ok(Some(&self.buffer[lines]))
    }

    /// The line that comes next, without its line feed; it stays the next. `None` at the end.
    pub(crate) fn peek(&mut self) -> Result<Option<&[u8]>, LinesError> {
        let Some(lines) = self.arrived()? else { return Ok(None) };
        let first = ranges(&self.buffer[lines.clone()]).next().expect("a run has a line");
        let line = &self.buffer[lines][first];
        if line.len() > RECORD_MAX { Err(LinesError::TooLong) } else { Ok(Some(line)) }
    }

    /// Where the lines are that are whole, once there is one.
    fn arrived(&mut self) -> Result<Option<Range<usize>>, LinesError> {
        // What is left over holds a line feed only if it was looked at and not given out.
        let mut searched = self.start;
        loop {
            if let Some(at) = memchr::memrchr(b'\n', &self.buffer[searched..self.end]) {
                return Ok(Some(self.start..searched + at + 1));
            }
            searched = self.end;
            if self.end - self.start > RECORD_MAX {
                return Err(LinesError::TooLong);
            }
            if self.end == self.buffer.len() {
                searched -= self.start;
                self.make_room();
            }
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) if self.start == self.end => return Ok(None),
                Ok(0) => return Ok(Some(self.start..self.end)),
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(LinesError::Io(e)),
            }
        }
    }

    /// Moves what is left to the front, and grows the buffer if one line fills it.
    fn make_room(&mut self) {
        if self.start == 0 {
            let size = (self.buffer.len() * 2).min(RECORD_MAX + Lines::<R>::BUFFER);
            self.buffer.resize(size, 0);
        } else {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
    }
}

/// The lines of a run, as ranges without their line feeds.
pub(crate) fn ranges(run: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', run).chain((run.last() != Some(&b'\n')).then_some(run.len()));
    ends.map(move |end| {
        let line = start..end;
        start = end + 1;
        line
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out its input a few bytes at a time.
    struct Slowly<'a>(&'a [u8], usize);

    impl Read for Slowly<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(self.1).min(into.len());
            into[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn cut(input: &[u8], step: usize) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(Slowly(input, step));
        let mut found = Vec::new();
        while let Some(run) = lines.next().expect("no line is too long") {
            found.extend(ranges(run).map(|range| run[range].to_vec()));
        }
        found
    }

    #[test]
    fn lines_are_the_same_however_they_arrive() {
        let long = vec![b'x'; 3 << 20];
        let mut input = b"one\n\ntwo\r\n\xff\xfe\0\n".to_vec();
        input.extend(&long);
        input.extend(b"\nlast");
        let expected: [&[u8]; 6] = [b"one", b"", b"two\r", b"\xff\xfe\0", &long, b"last"];
        for step in [7, 4096, 1 << 20, usize::MAX] {
            assert_eq!(cut(&input, step), expected, "{step} bytes at a time");
        }
    }

    #[test]
    fn the_first_line_can_be_looked_at_before_it_is_given_out() {
        for (input, first) in [("", None), ("\n", Some("")), ("a", Some("a")), ("a,b\nc\nd", Some("a,b"))] {
            for step in [1, usize::MAX] {
                let mut lines = Lines::new(Slowly(input.as_bytes(), step));
                for _ in 0..2 {
                    assert_eq!(lines.peek().expect("not too long"), first.map(str::as_bytes));
                }
                let mut all = Vec::new();
                while let Some(run) = lines.next().expect("not too long") {
                    all.extend_from_slice(run);
                }
                assert_eq!(all, input.as_bytes());
            }
        }
        assert!(matches!(Lines::new(&vec![b'x'; RECORD_MAX + 1][..]).peek(), Err(LinesError::TooLong)));
    }

    #[test]
    fn a_line_feed_at_the_end_begins_no_line() {
        assert!(cut(b"", 1).is_empty());
        assert_eq!(cut(b"\n", 1), [b""]);
        assert_eq!(cut(b"a\n", 1), [b"a"]);
        assert_eq!(cut(b"a\n\n", 1), [b"a".to_vec(), b"".to_vec()]);
    }

    #[test]
    fn a_line_may_be_as_long_as_a_record_and_no_longer() {
        let line = vec![b'x'; RECORD_MAX];
        assert_eq!(cut(&line, usize::MAX), [line.as_slice()]);
        assert_eq!(cut(&[&line[..], b"\n"].concat(), usize::MAX), [line.as_slice()]);
        let over = vec![b'x'; RECORD_MAX + 1];
        assert!(matches!(Lines::new(&over[..]).next(), Err(LinesError::TooLong)));
    }
}
