//! Compares records that come out with the input that went in.

use std::io;

use thalweg::RecordView;

use crate::input::Input;

/// Follows the input while records come out. Each record has its number in the input as key, so that a record which is
/// missing, there again, or changed is told from the others.
pub(crate) struct Check {
    input: Input,
    pub(crate) records: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) changed: u64,
    /// What is wrong with the first record that differs.
    pub(crate) first_difference: Option<String>,
}

impl Check {
    /// Expects the records of `input` from its position on.
    pub(crate) fn new(input: Input) -> Check {
        Check { input, records: 0, lost: 0, duplicated: 0, changed: 0, first_difference: None }
    }

    /// Takes the next record that came out.
    pub(crate) fn record(&mut self, record: &RecordView<'_>) -> io::Result<()> {
        self.records += 1;
        let expected = self.input.position();
        let number = std::str::from_utf8(record.key.unwrap_or_default()).ok().and_then(|key| key.parse().ok());
        match number {
            None => {
                self.changed += 1;
                self.differs(record, &format!("record {expected} of the input should be here, with its number as key"));
                return Ok(());
            }
            Some(number) if number < expected => {
                self.duplicated += 1;
                self.differs(record, &format!("it is record {number} of the input again; next is {expected}"));
                return Ok(());
            }
            Some(number) if number > expected => {
                self.lost += number - expected;
                self.differs(record, &format!("it is record {number} of the input; {expected} is missing"));
                self.input.skip_to(number)?;
            }
            Some(_) => {}
        }
        let same = match self.input.next()? {
            Some((_, line)) => record.value == Some(line),
            None => false,
        };
        if !same {
            self.changed += 1;
            self.differs(record, &format!("its value is not that of record {expected} of the input"));
        }
        Ok(())
    }

    /// The number of the record that should come next.
    pub(crate) fn next(&self) -> u64 {
        self.input.position()
    }

    /// Nothing was lost, changed or there twice so far.
    pub(crate) fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.changed == 0
    }

    fn differs(&mut self, record: &RecordView<'_>, what: &str) {
        if self.first_difference.is_none() {
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            self.first_difference = Some(format!("at offset {}: {what}\nit holds: {value}", record.offset));
        }
    }
}
