//! Every target of speed, as it was measured last.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::date;
use crate::error::Result;
use crate::row::Row;
use crate::scratch::target_dir;
use crate::table::{Table, number};

/// A row of `make bench`, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TargetRow {
    pub(crate) name: String,
    /// None if it was never measured here.
    pub(crate) measured: Option<Measurement>,
}

/// What was measured, and what was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measurement {
    /// Seconds since 1970.
    pub(crate) at: u64,
    pub(crate) against: String,
    /// The two quartiles, and the median between them.
    pub(crate) ratio: [f64; 3],
    /// `-` if nothing is asked for.
    pub(crate) target: String,
    /// `met`, `MISSED`, or nothing.
    pub(crate) verdict: String,
}

impl TargetRow {
    /// A row that was measured now.
    pub(crate) fn new(row: &Row, now: u64) -> TargetRow {
        let measured = Measurement {
            at: now,
            against: row.baseline.clone(),
            ratio: row.ratio(),
            target: row.target.to_string(),
            verdict: row.verdict().to_owned(),
        };
        TargetRow { name: row.name.clone(), measured: Some(measured) }
    }

    /// What a table says of it.
    pub(crate) fn cells(&self) -> [String; 7] {
        let Some(Measurement { at, against, ratio: [low, median, high], target, verdict }) = &self.measured else {
            let name = self.name.clone();
            return [name, "-".into(), "-".into(), "-".into(), "not measured".into(), "-".into(), "-".into()];
        };
        let spread = format!("{}..{}", number(*low), number(*high));
        let verdict = if verdict.is_empty() { "-" } else { verdict };
        let [name, target, verdict, against] = [&self.name, target, verdict, against].map(|text: &str| text.to_owned());
        [name, number(*median), spread, target, verdict, date(*at), against]
    }
}

/// What the cells are.
pub(crate) const HEAD: [&str; 7] = ["target", "measured", "quartiles", "asked for", "", "when", "against"];

/// Where `make bench` keeps them.
pub(crate) fn path() -> PathBuf {
    target_dir().join("targets.json")
}

/// Those that were kept.
pub(crate) fn read(path: &Path) -> Result<Vec<TargetRow>> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!("{}: {error}; make bench measures the targets and keeps them there", path.display())
    })?;
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Keeps these.
pub(crate) fn write(path: &Path, rows: &[TargetRow]) -> Result<()> {
    let text = serde_json::to_string_pretty(rows)?;
    fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()).into())
}

/// All names in their order, each as it was measured now, or else before, or never. What was measured before under a
/// name that nobody knows now stays: a target that was missed does not go away with its row.
pub(crate) fn merge(names: &[String], now: &[TargetRow], before: &[TargetRow]) -> Vec<TargetRow> {
    let find = |rows: &[TargetRow], name: &str| rows.iter().find(|row| row.name == name).cloned();
    let never = |name: &String| TargetRow { name: name.clone(), measured: None };
    let known = names.iter().map(|name| find(now, name).or_else(|| find(before, name)).unwrap_or_else(|| never(name)));
    let mut rows: Vec<TargetRow> = known.collect();
    for row in now.iter().chain(before) {
        if !rows.iter().any(|known| known.name == row.name) {
            rows.push(row.clone());
        }
    }
    rows
}

/// The summary: a line for each, and how many are met.
pub(crate) fn summary(rows: &[TargetRow]) -> String {
    let mut table = Table::new(&HEAD);
    rows.iter().for_each(|row| table.push(row.cells().to_vec()));
    format!("{table}\n{}", totals(rows))
}

/// How many are met, missed, and not measured.
pub(crate) fn totals(rows: &[TargetRow]) -> String {
    let verdict = |row: &&TargetRow| row.measured.as_ref().map(|measured| measured.verdict.clone());
    let count = |asked: Option<&str>| rows.iter().filter(|row| verdict(row).as_deref() == asked).count();
    format!("{} met, {} missed, {} not measured", count(Some("met")), count(Some("MISSED")), count(None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Target;

    fn row(name: &str, samples: &[(f64, f64)], target: Target) -> TargetRow {
        let (baseline, samples) = ("a loop".into(), samples.to_vec());
        let row =
            Row { name: name.into(), baseline, unit: "ns", target, samples, payload: 100.0, file: 0.0, device: 0.0 };
        TargetRow::new(&row, 951_782_399)
    }

    #[test]
    fn nothing_that_was_missed_goes_away() {
        let met = row("a", &[(1.0, 1.0)], Target::AtMost(1.0));
        let missed = row("a", &[(3.0, 1.0)], Target::AtMost(1.0));
        let gone = row("gone", &[(1.0, 2.0)], Target::AtLeast(3.0));
        let rows = merge(&["a".into(), "b".into()], &[met], &[missed, gone]);
        let verdicts: Vec<(String, String)> =
            rows.iter().map(|row| (row.name.clone(), row.cells()[4].clone())).collect();
        let expected = [("a", "met"), ("b", "not measured"), ("gone", "MISSED")];
        assert_eq!(verdicts, expected.map(|(name, verdict)| (name.to_owned(), verdict.to_owned())));
        assert_eq!(totals(&rows), "1 met, 1 missed, 1 not measured");
        assert!(summary(&rows).contains("2000-02-28 23:59 UTC"));
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("targets.json");
        assert!(read(&path).expect_err("there is none").to_string().contains("make bench"));
        let rows =
            vec![row("a", &[(1.0, 1.0)], Target::AtMostMore(0.5)), TargetRow { name: "b".into(), measured: None }];
        write(&path, &rows).expect("it is written");
        assert_eq!(read(&path).expect("it is there"), rows);
    }
}
