//! `include/thalweg.h` is what cbindgen makes of the sources of `thalweg-ffi`, and its comments are for readers of C.

use std::fs;
use std::path::{Path, PathBuf};

/// The order in which the header tells things.
const SOURCES: &[&str] = &[
    "status",
    "error",
    "version",
    "limits",
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

/// A call of the header.
struct Call {
    name: String,
    comment: String,
    /// What stands before the name.
    answer: String,
    /// Each with its type.
    arguments: Vec<(String, String)>,
}

fn calls(header: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    for piece in header.split("/**").skip(1) {
        let Some((comment, rest)) = piece.split_once("*/") else { continue };
        let declaration = rest.split(';').next().unwrap_or_default();
        let Some((head, tail)) = declaration.split_once('(') else { continue };
        let (answer, name) = head.trim().split_at(head.trim().rfind([' ', '*']).map_or(0, |at| at + 1));
        if !name.starts_with("thalweg_") {
            continue;
        }
        let arguments = tail.trim_end_matches(')').split(',').map(str::trim).filter(|argument| *argument != "void");
        let split = |argument: &str| {
            let (kind, name) = argument.split_at(argument.rfind([' ', '*']).map_or(0, |at| at + 1));
            (kind.trim().to_owned(), name.to_owned())
        };
        calls.push(Call {
            name: name.to_owned(),
            comment: one_line(comment),
            answer: answer.trim().to_owned(),
            arguments: arguments.map(split).collect(),
        });
    }
    calls
}

fn one_line(comment: &str) -> String {
    comment.replace("\n *", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_call_says_whether_it_blocks_on_which_threads_since_when_and_what_it_answers() {
    let calls = calls(&generate());
    assert!(calls.len() > 70, "{} calls", calls.len());
    for Call { name, comment, answer, .. } in calls {
        assert!(comment.contains("Does not block") || comment.contains("Blocks"), "{name}: whether it blocks");
        assert!(comment.contains("Any thread") || comment.contains("One thread at a time"), "{name}: threads");
        assert!(comment.contains("Since 0."), "{name}: since when");
        assert_eq!(answer == "thalweg_status", comment.contains("Errors:"), "{name}: errors");
    }
}

/// What a call says, with what the calls say that it refers to.
fn said<'a>(calls: &'a [Call], name: &str, seen: &mut Vec<&'a str>) -> String {
    let call = calls.iter().find(|call| call.name == name).unwrap_or_else(|| panic!("{name} is no call"));
    if seen.contains(&call.name.as_str()) {
        return String::new();
    }
    seen.push(&call.name);
    let mut said = call.comment.clone();
    for before in ["As ", "as ", "as for ", "those of "] {
        for (_, rest) in call
            .comment
            .match_indices(&format!("{before}thalweg_"))
            .map(|(at, found)| (at, &call.comment[at + found.len()..]))
        {
            let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            said += " ";
            said += &self::said(calls, &format!("thalweg_{}", &rest[..end]), seen);
        }
    }
    said
}

fn says(text: &str, word: &str) -> bool {
    text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).any(|said| said == word)
}

#[test]
fn every_call_says_what_its_arguments_are_and_who_owns_what_it_gives() {
    let calls = calls(&generate());
    let mut missing = Vec::new();
    for call in &calls {
        let said = said(&calls, &call.name, &mut Vec::new());
        for (nth, (kind, argument)) in call.arguments.iter().enumerate() {
            let own = nth == 0 && (kind.ends_with("*") || kind == "thalweg_status");
            // How large something is belongs to it.
            let of = argument.strip_suffix("_size").unwrap_or(argument);
            if !own && argument != "error" && !says(&said, argument) && !says(&said, of) {
                missing.push(format!("{}: {argument}", call.name));
            }
            if let Some(made) = kind.strip_suffix("**") {
                let made = made.trim_start_matches("struct ").trim();
                let told =
                    ["close", "release"].iter().any(|end| said.contains(&format!("yours to {end} with {made}_{end}")));
                assert!(told, "{}: who closes {argument}", call.name);
            }
        }
        if call.answer.ends_with('*') {
            assert!(call.comment.contains("Static"), "{}: who owns what it answers", call.name);
        }
        if call.name.ends_with("_close") || call.name.ends_with("_release") {
            assert!(call.comment.contains("NULL is allowed"), "{}: whether NULL is allowed", call.name);
        }
    }
    assert!(missing.is_empty(), "nothing is said of {missing:#?}");
}

#[test]
fn every_struct_with_a_size_has_an_init_and_no_other() {
    let header = generate();
    let calls = calls(&header);
    let abi = fs::read_to_string(root().join("docs/ABI.md")).expect("it is there");
    let told = abi.split("Structs without a size never change").nth(1).and_then(|rest| rest.split("\n## ").next());
    let told = told.expect("docs/ABI.md says which structs have no size");
    let mut sized = Vec::new();
    for piece in header.split("\ntypedef struct thalweg_").skip(1) {
        let Some((name, body)) = piece.split_once(" {\n") else { continue };
        let first = body.lines().find(|line| line.ends_with(';')).unwrap_or_default();
        if first.trim() == "uint32_t size;" {
            sized.push(format!("thalweg_{name}_init"));
        } else {
            assert!(told.contains(&format!("`thalweg_{name}`")), "docs/ABI.md does not say why {name} has no init");
        }
    }
    let mut inits: Vec<_> = calls.iter().map(|call| call.name.clone()).filter(|name| name.ends_with("_init")).collect();
    sized.sort();
    inits.sort();
    assert_eq!(inits, sized);
    assert_eq!(sized.len(), 10);
}

#[test]
fn every_handle_says_how_it_is_closed() {
    let header = generate();
    let calls = calls(&header);
    let mut handles = 0;
    for (at, _) in header.match_indices("\ntypedef struct thalweg_") {
        let line = header[at + 1..].lines().next().unwrap_or_default();
        let Some(name) = line.strip_suffix(';').and_then(|line| line.split(' ').nth(2)) else { continue };
        let comment = one_line(header[..at].rsplit("/**").next().unwrap_or_default());
        let end = calls.iter().find(|call| [format!("{name}_close"), format!("{name}_release")].contains(&call.name));
        let end = &end.unwrap_or_else(|| panic!("nothing closes {name}")).name;
        assert!(comment.contains(&format!("it with {end}.")), "{name}: {comment}");
        handles += 1;
    }
    assert_eq!(handles, 8);
}
