//! The run: criterion, the settings, and the table that grows.

use std::cell::RefCell;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use criterion::{Criterion, SamplingMode};

use crate::targets::{self, TargetRow};
use crate::{Row, Target, Times};

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rows whose name contains one of these; all if there is none.
    pub names: Vec<String>,
    /// Rounds of each row, 10 at least.
    pub rounds: usize,
    /// Time for each row, if that allows more than one iteration a round.
    pub seconds: u64,
    /// Backlog of the memory rows. GiB.
    pub backlog: u64,
    /// Data of the reopen rows. GiB.
    pub reopen: u64,
}

impl Settings {
    /// From the arguments of the command line; an error names what is not understood.
    ///
    /// # Errors
    /// A message for the user.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Settings, String> {
        let mut settings = Settings { names: Vec::new(), rounds: 10, seconds: 2, backlog: 3, reopen: 4 };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut number = |least: u64| {
                let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
                value.filter(|value| *value >= least).ok_or(format!("{argument} takes a number, {least} at least"))
            };
            match argument.as_str() {
                // What cargo adds.
                "--bench" | "--test" => {}
                "--rounds" => settings.rounds = number(10)? as usize,
                "--seconds" => settings.seconds = number(1)?,
                "--backlog" => settings.backlog = number(1)?,
                "--reopen" => settings.reopen = number(1)?,
                name if !name.starts_with('-') => settings.names.push(argument),
                _ => {
                    return Err(format!(
                        "{argument} is unknown; there are --rounds, --seconds, --backlog, --reopen, names"
                    ));
                }
            }
        }
        Ok(settings)
    }
}

/// One comparison: what a round of each side costs, in any unit, for the same work.
pub struct Pair<'a> {
    /// Of the row.
    pub name: &'a str,
    /// What ours is set against.
    pub baseline: String,
    /// Of the two figures.
    pub unit: &'static str,
    /// What the ratio has to be.
    pub target: Target,
    /// Payload of one record. Bytes.
    pub payload: usize,
}

/// The run.
pub struct Bench {
    /// What was asked for.
    pub settings: Settings,
    criterion: Criterion<Times>,
    rows: Vec<Row>,
    /// All rows that there are, also those that are not asked for.
    names: RefCell<Vec<String>>,
}

impl Bench {
    /// A run without rows yet.
    pub fn new(settings: Settings) -> Bench {
        let criterion = Criterion::default()
            .with_measurement(Times)
            .without_plots()
            .sample_size(settings.rounds)
            .warm_up_time(Duration::from_millis(1))
            .measurement_time(Duration::from_secs(settings.seconds));
        Bench { settings, criterion, rows: Vec::new(), names: RefCell::default() }
    }

    /// Whether any of these rows is asked for.
    pub fn wants(&self, names: &[&str]) -> bool {
        names.iter().for_each(|name| self.knows(name));
        let asked = &self.settings.names;
        asked.is_empty() || names.iter().any(|name| asked.iter().any(|part| name.contains(part.as_str())))
    }

    /// There is a row of this name, whether it is asked for or not.
    pub fn knows(&self, name: &str) {
        let mut names = self.names.borrow_mut();
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }

    /// Measures a row: in each iteration `baseline` and then `ours`, which answer what they cost. `stored` is asked at
    /// the end for file and device bytes per record.
    pub fn pair(
        &mut self,
        pair: Pair<'_>,
        mut baseline: impl FnMut() -> f64,
        mut ours: impl FnMut() -> f64,
        stored: impl FnOnce() -> (f64, f64),
    ) {
        let Pair { name, baseline: against, unit, target, payload } = pair;
        if !self.wants(&[name]) {
            return;
        }
        let samples = RefCell::new(Vec::new());
        let mut group = self.criterion.benchmark_group("targets");
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|iterations| {
                let mut sum = 0.0;
                for _ in 0..iterations {
                    let (base, own) = (baseline(), ours());
                    samples.borrow_mut().push((own, base));
                    // Criterion takes no difference, which may be negative.
                    sum += match target {
                        Target::AtMostMore(_) => own / base,
                        _ => target.ratio(own, base),
                    };
                }
                sum
            });
        });
        group.finish();
        let mut samples = samples.into_inner();
        // The first one warmed caches and files.
        samples.remove(0);
        let (file, device) = stored();
        self.add(Row {
            name: name.into(),
            baseline: against,
            unit,
            target,
            samples,
            payload: payload as f64,
            file,
            device,
        });
    }

    /// Takes a row that was measured otherwise.
    pub fn add(&mut self, row: Row) {
        println!("{row}\n");
        self.rows.push(row);
    }

    /// Prints the whole table, and keeps it beside what other runs have measured; how many targets are missed.
    pub fn finish(self) -> usize {
        println!("\n{}", Row::head());
        self.rows.iter().for_each(|row| println!("{row}"));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let measured: Vec<TargetRow> = self.rows.iter().map(|row| TargetRow::new(row, now)).collect();
        let path = targets::path();
        let before = targets::read(&path).unwrap_or_default();
        let all = targets::merge(&self.names.into_inner(), &measured, &before);
        if let Err(error) = targets::write(&path, &all) {
            eprintln!("the table is not kept: {error}");
        }
        self.rows.iter().filter(|row| row.verdict() == "MISSED").count()
    }
}
