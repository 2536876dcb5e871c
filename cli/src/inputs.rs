//! The inputs of an import, looked at before anything is imported.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use thalweg::limits::RECORD_MAX;

use crate::failure::Failure;
use crate::key::{Column, Fields, without_mark};
use crate::lines::{Lines, LinesError};

pub(crate) type Input = Lines<Box<dyn Read>>;

/// One input.
pub(crate) struct Source {
    /// For messages.
    pub(crate) name: String,
    path: PathBuf,
    /// What can be read once only, kept from when it was looked at.
    begun: Option<Input>,
}

/// All inputs, in their order.
pub(crate) struct Sources {
    pub(crate) list: Vec<Source>,
    /// Bytes of all of them together, if that is known.
    pub(crate) total: Option<u64>,
}

impl Sources {
    /// Opens each input. An error if one cannot be read, or if its first line does not name the key's column.
    pub(crate) fn look_at(files: &[PathBuf], column: Option<&Column>, fields: &mut Fields) -> Result<Sources, Failure> {
        if files.iter().filter(|file| is_standard_input(file)).count() > 1 {
            return Err(Failure::Usage("standard input (-) can be read only once".into()));
        }
        let mut sources = Sources { list: Vec::new(), total: Some(0) };
        for path in files {
            let (mut source, size) = Source::open(path)?;
            if let Some(Column::Name(column)) = column {
                source.look_for(column, fields)?;
            }
            if size.is_some() {
                // Regular files are opened again when their turn comes.
                source.begun = None;
            }
            sources.total = sources.total.zip(size).map(|(total, size)| total + size);
            sources.list.push(source);
        }
        Ok(sources)
    }
}

impl Source {
    /// Opens an input; its size if it is a regular file.
    fn open(path: &Path) -> Result<(Source, Option<u64>), Failure> {
        if is_standard_input(path) {
            let begun = Some(Lines::new(Box::new(std::io::stdin().lock()) as Box<dyn Read>));
            return Ok((Source { name: "standard input".into(), path: path.into(), begun }, None));
        }
        let name = path.display().to_string();
        let file = File::open(path).map_err(|e| Failure::io(&name, &e))?;
        let about = file.metadata().map_err(|e| Failure::io(&name, &e))?;
        if about.is_dir() {
            return Err(Failure::Failed(format!("{name}: is a directory")));
        }
        let begun = Some(Lines::new(Box::new(file) as Box<dyn Read>));
        Ok((Source { name, path: path.into(), begun }, about.is_file().then_some(about.len())))
    }

    /// An error if there is a first line, and it does not name the column.
    fn look_for(&mut self, column: &str, fields: &mut Fields) -> Result<(), Failure> {
        let lines = self.begun.as_mut().expect("the input was just opened");
        match lines.peek() {
            Ok(Some(line)) => find_column(&self.name, line, column, fields).map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(read_failed(&self.name, 1, &error)),
        }
    }

    /// The input from its beginning. Once.
    pub(crate) fn begin(&mut self) -> Result<Input, Failure> {
        match self.begun.take() {
            Some(begun) => Ok(begun),
            None => {
                let file = File::open(&self.path).map_err(|e| Failure::io(&self.name, &e))?;
                Ok(Lines::new(Box::new(file) as Box<dyn Read>))
            }
        }
    }
}

fn is_standard_input(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Finds the key's column in the first line of an input.
pub(crate) fn find_column(name: &str, line: &[u8], column: &str, fields: &mut Fields) -> Result<usize, Failure> {
    let line = without_mark(line);
    fields.find(line, column).ok_or_else(|| {
        let names = fields.names(line);
        Failure::Failed(format!("{name} has no column {column:?}; its first line names: {names}"))
    })
}

/// The lines of an input end before its line `number`.
pub(crate) fn read_failed(name: &str, number: u64, error: &LinesError) -> Failure {
    match error {
        LinesError::Io(e) => Failure::io(name, e),
        LinesError::TooLong => at(name, number, &format!("is longer than the largest record, {RECORD_MAX} bytes")),
    }
}

/// What is wrong with a line of an input, counted from 1.
pub(crate) fn at(name: &str, number: u64, what: &str) -> Failure {
    Failure::Failed(format!("{name} line {number}: {what}"))
}
