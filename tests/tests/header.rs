//! `include/thalweg.h` is what cbindgen makes of the sources of `thalweg-ffi`, and its comments are for readers of C.

use std::fs;
use std::path::{Path, PathBuf};

/// The order in which the header tells things.
const SOURCES: &[&str] = &[
    "status",
    "error",
    "version",
    "text",
    "engine",
    "damage",
    "info",
    "topic",
    "record",
    "repair",
    "append",
    "completion",
    "batch",
    "start",
    "reader",
    "consumer",
    "position",
    "key_values",
    "metrics",
    "event",
    "verify",
    "frame",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn generate() -> String {
    let root = root();
    let preamble = fs::read_to_string(root.join("ffi/preamble.h")).expect("the preamble is there");
    let mut config = cbindgen::Config {
        language: cbindgen::Language::C,
        header: Some(preamble.trim_end().to_owned()),
        include_guard: Some("THALWEG_H".to_owned()),
        no_includes: true,
        sys_includes: vec!["stddef.h".to_owned(), "stdint.h".to_owned()],
        cpp_compat: true,
        usize_is_size_t: true,
        style: cbindgen::Style::Both,
        documentation_style: cbindgen::DocumentationStyle::Doxy,
        line_length: 120,
        ..cbindgen::Config::default()
    };
    config.function.args = cbindgen::Layout::Auto;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root.join("ffi/src").join(format!("{source}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().expect("the sources can be read").write(&mut made);
    String::from_utf8(made).expect("a header is text")
}

#[test]
fn the_header_is_what_the_sources_say() {
    let path = root().join("include/thalweg.h");
    let made = generate();
    if std::env::var_os("THALWEG_WRITE_HEADER").is_some() {
        fs::write(&path, &made).expect("the header can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(committed.lines()).position(|(made, committed)| made != committed);
    assert!(made == committed, "include/thalweg.h is old, first at line {differs:?}; `make header` makes it anew");
}

#[test]
fn every_source_with_something_for_c_is_in_the_header() {
    for entry in fs::read_dir(root().join("ffi/src")).expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        let text = fs::read_to_string(&path).expect("a source is text");
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let tells = text.contains("#[unsafe(no_mangle)]") || text.contains("pub const THALWEG_");
        assert!(!tells || SOURCES.contains(&name.as_str()), "{name}.rs is not in the list");
    }
}

#[test]
fn comments_are_for_readers_of_c() {
    let header = generate();
    let comments = header.lines().filter(|line| line.trim_start().starts_with('*'));
    for line in comments {
        for rust in ["`[", "::", "Option<", "Result<", "&mut", "&[", "Some(", "None", "Vec<", "# Safety", "unsafe"] {
            assert!(!line.contains(rust), "{rust} in {line}");
        }
    }
    assert!(!header.contains(" bool ") && !header.contains("enum"), "integers only");
}

/// Each call with its comment.
fn calls(header: &str) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for piece in header.split("/**").skip(1) {
        let Some((comment, rest)) = piece.split_once("*/") else { continue };
        let declaration = rest.split(';').next().unwrap_or_default();
        if let Some(name) = declaration.split('(').next().and_then(|head| head.split([' ', '*']).next_back())
            && declaration.contains('(')
            && name.starts_with("thalweg_")
        {
            let comment = comment.replace("\n *", " ").split_whitespace().collect::<Vec<_>>().join(" ");
            calls.push((name.to_owned(), comment));
        }
    }
    calls
}

#[test]
fn every_call_says_whether_it_blocks_on_which_threads_since_when_and_what_it_answers() {
    let header = generate();
    let calls = calls(&header);
    assert!(calls.len() > 70, "{} calls", calls.len());
    for (name, comment) in calls {
        assert!(comment.contains("Does not block") || comment.contains("Blocks"), "{name}: whether it blocks");
        assert!(comment.contains("Any thread") || comment.contains("One thread at a time"), "{name}: threads");
        assert!(comment.contains("Since 0."), "{name}: since when");
        let fails = header.contains(&format!("\nthalweg_status {name}("));
        assert_eq!(fails, comment.contains("Errors:"), "{name}: errors");
    }
}
