//! What the documents name is what the code has, and the other way round: words and metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use thalweg::{Engine, Metrics, Options, Record, Start, TopicOptions};

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect("it is there")
}

/// The rows of the tables of a document, or of its part under a heading, without the heads of the tables.
fn rows(document: &str, heading: Option<&str>) -> Vec<Vec<String>> {
    let part = match heading {
        None => document,
        Some(heading) => {
            let (_, rest) = document.split_once(&format!("\n## {heading}\n")).expect("the heading is there");
            rest.split("\n## ").next().expect("a part")
        }
    };
    let lines: Vec<&str> = part.lines().collect();
    let row = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let is_row =
        |at: usize| lines[at].starts_with('|') && lines.get(at + 1).is_none_or(|next| !next.starts_with("|--"));
    (0..lines.len()).filter(|at| is_row(*at) && !lines[*at].starts_with("|--")).map(|at| row(lines[at])).collect()
}

fn words(text: &str) -> BTreeSet<String> {
    let split = text.split(|c: char| !c.is_ascii_alphanumeric());
    split.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// Whether a text has a word, or words in a row, also as a part of a name and in the plural.
fn uses(text: &str, term: &str) -> bool {
    let flat = |text: &str| {
        let split = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        format!(" {} ", split.map(str::to_lowercase).collect::<Vec<_>>().join(" "))
    };
    let (text, term) = (flat(text), flat(term));
    text.contains(&term) || text.contains(&format!("{}s ", term.trim_end()))
}

#[test]
fn the_glossary_explains_what_is_used_and_nothing_else() {
    let (glossary, header) = (text("docs/GLOSSARY.md"), text("include/thalweg.h"));
    let used = format!("{header}{}{}", text("docs/ABI.md"), text("docs/METRICS.md"));
    let bold: Vec<&str> = glossary.split("**").skip(1).step_by(2).collect();
    assert!(bold.len() > 50, "{} words", bold.len());
    for term in &bold {
        assert!(uses(&used, term), "nothing uses {term:?}");
        assert_eq!(bold.iter().filter(|other| other == &term).count(), 1, "{term:?} stands there twice");
    }
    // Handles, what metrics tell apart, and the kinds of frames.
    let mut names: Vec<String> = Vec::new();
    let handle = |line: &&str| line.starts_with("typedef struct thalweg_") && line.ends_with(';');
    names.extend(header.lines().filter(handle).filter_map(|line| line.split(' ').nth(2)).map(str::to_owned));
    for field in ["uint64_t memory_", "uint64_t written_", "THALWEG_FRAME_"] {
        names.extend(
            header
                .split(field)
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next())
                .map(str::to_owned),
        );
    }
    let explained = words(&glossary);
    assert!(names.len() > 20, "{names:?}");
    for name in &names {
        let name = name.trim_start_matches("thalweg_").trim_end_matches("_limit").to_lowercase();
        // Numbers of the interface, which are no words of their own.
        if ["other", "has_term", "metadata", "journal_files"].contains(&name.as_str()) {
            continue;
        }
        for word in name.split('_') {
            let single =
                word.strip_suffix("ies").map_or(word.trim_end_matches('s').to_owned(), |stem| format!("{stem}y"));
            let known = [word.to_owned(), single, format!("{word}ding")];
            assert!(known.iter().any(|word| explained.contains(word)), "{word:?} of {name} is not explained");
        }
    }
}

/// What an engine with a bit of everything says of itself.
fn metrics() -> Metrics {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path(), Options::default().memory_budget(64 << 20)).expect("opened");
    let topic = engine.create_topic("t", TopicOptions::default()).expect("a topic");
    topic.append(&Record::new("x")).expect("appended");
    engine.positions().reset("c", &topic, None, Start::Earliest).expect("reset");
    engine.metrics()
}

/// The leaves of a value by their paths, each with all that stands there.
fn leaves<'a>(path: &str, value: &'a Value, into: &mut BTreeMap<String, Vec<&'a Value>>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            leaves(&path, value, into);
        }),
        Value::Array(items) => items.iter().for_each(|item| leaves(&format!("{path}[]"), item, into)),
        leaf => into.entry(path.to_owned()).or_default().push(leaf),
    }
}

#[test]
fn the_names_in_json_are_those_that_are_documented() {
    let mut documented = BTreeMap::new();
    for row in rows(&text("docs/METRICS.md"), Some("JSON")) {
        let before = documented.insert(row[0].trim_matches('`').to_owned(), (row[1].clone(), row[2].clone()));
        assert!(before.is_none(), "{} stands there twice", row[0]);
    }
    let mut metrics = metrics();
    for error in [None, Some("damaged".to_owned())] {
        metrics.lags_error = error;
        let json: Value = serde_json::from_str(&metrics.to_json()).expect("JSON");
        let mut found = BTreeMap::new();
        leaves("", &json, &mut found);
        let (found_names, names): (Vec<_>, Vec<_>) = (found.keys().collect(), documented.keys().collect());
        assert_eq!(found_names, names);
        for (name, values) in found {
            let (kind, unit) = &documented[&name];
            let (kind, optional) = kind.strip_suffix(" or null").map_or((&kind[..], false), |kind| (kind, true));
            for value in values {
                let fits = match kind {
                    "text" => value.is_string(),
                    "flag" => value.is_boolean(),
                    "counter" | "gauge" | "number" if ["s", "ratio"].contains(&&unit[..]) => value.is_number(),
                    "counter" | "gauge" | "number" => value.is_u64(),
                    other => panic!("{name}: {other}"),
                };
                assert!(fits || (optional && value.is_null()), "{name} is {value}, not {kind} of {unit:?}");
            }
        }
    }
}

#[test]
fn the_names_for_prometheus_are_those_that_are_documented() {
    // By name: type, labels, and the values of the label that tells kinds apart.
    type Families = BTreeMap<String, (String, BTreeSet<String>, BTreeSet<String>)>;
    let mut documented = Families::new();
    for row in rows(&text("docs/METRICS.md"), Some("Prometheus")) {
        let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let told = (row[1].clone(), code(&row[2]), code(&row[3]));
        assert!(documented.insert(row[0].trim_matches('`').to_owned(), told).is_none(), "{} twice", row[0]);
    }
    // What every kind but one has is told so.
    let (_, _, used) = documented["thalweg_memory_used_bytes"].clone();
    let limits = &mut documented.get_mut("thalweg_memory_limit_bytes").expect("it is documented").2;
    *limits = used.difference(limits).cloned().collect();

    let mut found = Families::new();
    let told = metrics().to_prometheus();
    for line in told.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let (series, _) = line.rsplit_once(' ').expect("a value");
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let ends = ["_bucket", "_sum", "_count"].map(|end| name.strip_suffix(end));
            let family = ends.into_iter().flatten().find(|name| found.contains_key(*name)).unwrap_or(name);
            let family = found.get_mut(family).expect("its type comes first");
            for label in labels.trim_end_matches('}').split_terminator(',') {
                let (label, value) = label.split_once('=').expect("a value");
                if label != "le" {
                    family.1.insert(label.to_owned());
                }
                if ["kind", "source"].contains(&label) {
                    family.2.insert(value.trim_matches('"').to_owned());
                }
            }
        }
    }
    assert_eq!(found, documented);
}
