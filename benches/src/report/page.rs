//! The page: one file, nothing from elsewhere.

use std::fmt::Write;

use super::bars::{Bar, bars};
use super::lines::{Line, over_time, percentiles};
use super::subject::{Subject, subjects};
use crate::document::Document;
use crate::measured::Measured;
use crate::peers::Profile;
use crate::plan::Workload;
use crate::size;
use crate::spread::Spread;
use crate::table::number;
use crate::targets::{HEAD, TargetRow, totals};
use crate::{compare, run};

/// A page that grows.
pub(super) struct Page {
    html: String,
}

/// Text as it stands in HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    pub(super) fn new() -> Page {
        let style = include_str!("style.css");
        let html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>Thalweg, measured</title>\n<style>\n{style}</style>\n</head>\n<body>\n<h1>Thalweg, measured</h1>\n"
        );
        Page { html }
    }

    pub(super) fn finish(self) -> String {
        self.html + "</body>\n</html>\n"
    }

    fn add(&mut self, line: &str) {
        self.html += line;
        self.html.push('\n');
    }

    /// The table of targets.
    pub(super) fn targets(&mut self, rows: &[TargetRow]) {
        self.add(&format!("<h2>Targets</h2>\n<p>{}.</p>", totals(rows)));
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.cells().to_vec()).collect();
        self.table(&HEAD, &rows);
    }

    /// All that a run or a comparison has found.
    pub(super) fn document(&mut self, document: &Document) {
        let what = if document.command == "compare" { "Beside others" } else { "By workload" };
        self.add(&format!("<h2>{what}</h2>\n<dl>"));
        for (name, value) in document.lines() {
            self.add(&format!("<dt>{name}</dt><dd>{}</dd>", escape(&value)));
        }
        for peer in &document.peers {
            let hop = peer.hop.as_ref().map(|hop| format!(", {hop}")).unwrap_or_default();
            let (name, version, durability) = (escape(&peer.name), escape(&peer.version), escape(&peer.durability));
            self.add(&format!("<dt>{name} {version}{hop}</dt><dd>{durability}</dd>"));
        }
        self.add("</dl>");
        let subjects = subjects(document);
        if document.command == "compare" {
            subjects.iter().for_each(|subject| self.compared(subject, &document.peers));
        } else {
            self.by_workload(&subjects);
        }
    }

    fn by_workload(&mut self, subjects: &[Subject<'_>]) {
        let mut begun: Option<Workload> = None;
        for subject in subjects {
            if begun == Some(subject.workload) {
                continue;
            }
            begun = Some(subject.workload);
            let mut same: Vec<&Subject<'_>> = subjects.iter().filter(|s| s.workload == subject.workload).collect();
            self.add(&format!("<h3>{}</h3>", subject.workload.as_str()));
            let rows: Vec<Vec<String>> = same.iter().map(|s| run::row(s.measured[0])).collect();
            self.table(&run::COLUMNS, &rows);
            self.figures(&same);
            let mut sizes: Vec<usize> = same.iter().map(|s| s.record_size).collect();
            sizes.sort_unstable();
            sizes.dedup();
            self.add("<div class=\"plots\">");
            for record_size in sizes {
                let of_size = same.iter().filter(|s| s.record_size == record_size);
                let lines: Vec<Line> = of_size.map(|s| latency(s.name, s.measured[0])).collect();
                self.add(&percentiles(&format!("Latency, values of {}", size::exact(record_size as u64)), &lines));
            }
            self.add("</div>\n<details><summary>Rate and memory over time</summary>\n<div class=\"plots\">");
            same.drain(..).for_each(|subject| self.over_time(subject));
            self.add("</div></details>");
        }
    }

    fn figures(&mut self, subjects: &[&Subject<'_>]) {
        let mut rows = Vec::new();
        for subject in subjects {
            for figure in &subject.measured[0].figures {
                let value = format!("{} {}", number(figure.value), figure.unit);
                rows.push(vec![subject.name.to_owned(), subject.size(), figure.name.clone(), value]);
            }
        }
        if !rows.is_empty() {
            self.table(&["case", "value", "besides", ""], &rows);
        }
    }

    fn over_time(&mut self, subject: &Subject<'_>) {
        let measured = subject.measured[0];
        let what = format!("{}, {}", subject.name, subject.size());
        // The last one was taken when all was over, maybe right after the one before.
        let pairs = measured.series.windows(2).filter(|pair| pair[1].seconds - pair[0].seconds > 0.02);
        let rate = pairs.map(|pair| {
            let records = pair[1].records.saturating_sub(pair[0].records) as f64;
            (pair[1].seconds, records / (pair[1].seconds - pair[0].seconds))
        });
        let line = |name: &str, points: Vec<(f64, f64)>| vec![Line { name: name.to_owned(), points }];
        self.add(&over_time(&format!("{what}: records/s"), &line("records/s", rate.collect())));
        let points = |of: fn(&crate::measured::Point) -> f64| -> Vec<(f64, f64)> {
            measured.series.iter().map(|point| (point.seconds, of(point))).collect()
        };
        let memory = points(|point| point.memory as f64 / f64::from(1 << 20));
        self.add(&over_time(&format!("{what}: memory, MiB"), &line("MiB", memory)));
        if measured.series.iter().any(|point| point.backlog > 0) {
            let backlog = points(|point| point.backlog as f64);
            self.add(&over_time(&format!("{what}: records not yet read"), &line("records", backlog)));
        }
    }

    fn compared(&mut self, subject: &Subject<'_>, peers: &[Profile]) {
        let (workload, name, size) = (subject.workload.as_str(), escape(subject.name), subject.size());
        self.add(&format!("<h3>{workload}, {name}, values of {size}</h3>"));
        let rows = compare::rows(&subject.measured, peers);
        let bar = |peer: &Profile| {
            let own = || subject.measured.iter().filter(|m| m.plan.peer.as_ref() == Some(&peer.name));
            let spread = Spread::of(own().map(|measured| measured.records_per_second));
            let ratio = &rows.iter().find(|row| row[0] == peer.name).map_or("", |row| row[3].as_str());
            let ours = peer.name == peers[0].name;
            let ratio = if ours { String::new() } else { format!(" (ours {ratio}x)") };
            Bar {
                name: peer.name.clone(),
                note: compare::note(peer),
                text: format!("{}/s{ratio}", super::scale::short(spread.median)),
                spread,
                class: if ours {
                    "ours"
                } else if peer.same_durability {
                    "other"
                } else {
                    "weaker"
                },
            }
        };
        self.add("<div class=\"plots\">");
        let took_part = |peer: &&Profile| rows.iter().any(|row| row[0] == peer.name);
        let drawn: Vec<Bar> = peers.iter().filter(took_part).map(bar).collect();
        self.add(&bars("Records for each second: median, lowest and highest", &drawn));
        let lines: Vec<Line> = peers.iter().filter_map(|peer| middle(subject, &peer.name)).collect();
        self.add(&percentiles(&format!("Latency {}, the round of the median rate", lines_of(subject)), &lines));
        self.add("</div>");
        self.table(&compare::COLUMNS, &rows);
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            cells.fold(String::new(), |mut row, cell| {
                let class =
                    if ["met", "MISSED"].contains(&cell) { format!(" class=\"{cell}\"") } else { String::new() };
                let _ = write!(row, "<{tag}{class}>{}</{tag}>", escape(cell));
                row
            })
        };
        self.add("<div class=\"wide\"><table>");
        self.add(&format!("<tr>{}</tr>", cells("th", &mut head.iter().copied())));
        for row in rows {
            self.add(&format!("<tr>{}</tr>", cells("td", &mut row.iter().map(String::as_str))));
        }
        self.add("</table></div>");
    }
}

fn latency(name: &str, measured: &Measured) -> Line {
    Line { name: name.to_owned(), points: measured.latency.curve.clone() }
}

/// From when to when; the same for all peers of a comparison.
fn lines_of<'a>(subject: &Subject<'a>) -> &'a str {
    subject.measured[0].latency.what.as_str()
}

/// The latency of the round that had the median rate.
fn middle(subject: &Subject<'_>, peer: &str) -> Option<Line> {
    let mut own: Vec<&&Measured> = subject.measured.iter().filter(|m| m.plan.peer.as_deref() == Some(peer)).collect();
    own.sort_by(|a, b| a.records_per_second.total_cmp(&b.records_per_second));
    let middle = own.get(own.len() / 2)?;
    (middle.latency.p50_us > 0.0).then(|| latency(peer, middle))
}
