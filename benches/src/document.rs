//! A run as it is stored.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::limits::Limits;
use crate::machine::Machine;
use crate::measured::Measured;
use crate::peers::Profile;

/// A run, or a comparison: where, when, and all that was measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    /// `run` or `compare`.
    pub(crate) command: String,
    /// When it was begun: seconds since 1970.
    pub(crate) begun: u64,
    pub(crate) version: String,
    pub(crate) machine: Machine,
    /// None where bare loops do not work.
    pub(crate) limits: Option<Limits>,
    /// Who took part in a comparison; ours is the first.
    pub(crate) peers: Vec<Profile>,
    pub(crate) measured: Vec<Measured>,
}

impl Document {
    /// One without measurements yet, for what is going to happen in `dir`.
    pub(crate) fn new(command: &str, dir: &Path, peers: Vec<Profile>) -> Result<Document> {
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let limits = Limits::find(dir).map_err(|error| eprintln!("no bare loop works here: {error}")).ok();
        Ok(Document {
            command: command.to_owned(),
            begun: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: Machine::find(dir),
            limits,
            peers,
            measured: Vec::new(),
        })
    }

    /// Where and when it was, as names and what stands behind them.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![("begun", date(self.begun)), ("thalweg", self.version.clone())];
        lines.extend(self.machine.lines());
        lines.extend(self.limits.iter().flat_map(Limits::lines));
        lines
    }

    pub(crate) fn read(path: &Path) -> Result<Document> {
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

/// Seconds since 1970 as a date and time in UTC.
pub(crate) fn date(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(leap(year)) {
        left -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while left >= lengths[month] {
        left -= lengths[month];
        month += 1;
    }
    let (hour, minute) = (of_day / 3600, of_day / 60 % 60);
    format!("{year}-{:02}-{:02} {hour:02}:{minute:02} UTC", month + 1, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_868_799, "2000-02-29 23:59 UTC"),
            (1_795_824_000, "2026-11-28 00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
    }
}
