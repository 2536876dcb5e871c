//! `include/abi.txt` is what programs that are compiled already depend on: every call, every layout, every number. It is
//! reviewed when it changes; lines may be added to it, and before 1.0 others with the minor version.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The header without its comments, as cbindgen lays it out.
fn header() -> String {
    let header = fs::read_to_string(root().join("include/thalweg.h")).expect("the header is there");
    let mut bare = String::new();
    let mut rest = header.as_str();
    while let Some((before, comment)) = rest.split_once("/*") {
        bare += before;
        rest = comment.split_once("*/").expect("comments end").1;
    }
    bare + rest
}

/// The numbers, as the header writes them.
fn numbers(header: &str) -> BTreeMap<String, String> {
    let defined = header.lines().filter_map(|line| line.strip_prefix("#define THALWEG_")?.split_once(' '));
    defined.map(|(name, value)| (format!("THALWEG_{name}"), value.trim().to_owned())).collect()
}

/// The calls, each in one line.
fn calls(header: &str) -> BTreeMap<String, String> {
    let mut calls = BTreeMap::new();
    for piece in header.split(';') {
        let text = piece.split_whitespace().collect::<Vec<_>>().join(" ");
        let Some((head, _)) = text.split_once('(') else { continue };
        let name = head.rsplit([' ', '*']).next().unwrap_or_default();
        if name.starts_with("thalweg_") && !text.contains('{') {
            // What stands before the first call of the file is not part of it.
            let begin = text.find("thalweg_status thalweg_").or_else(|| text.find("const char *thalweg_"));
            let text = if text.contains('#') { &text[begin.unwrap_or(0)..] } else { &text[..] };
            calls.insert(name.to_owned(), text.to_owned());
        }
    }
    calls
}

/// The structs, each with its fields as the header declares them.
fn structs(header: &str) -> BTreeMap<String, Vec<String>> {
    let mut structs = BTreeMap::new();
    for piece in header.split("typedef struct ").skip(1) {
        let Some((name, body)) = piece.split_once(" {") else { continue };
        if name.contains(';') {
            continue;
        }
        let body = body.split_once('}').expect("a struct ends").0;
        let fields = body.split(';').map(|field| field.split_whitespace().collect::<Vec<_>>().join(" "));
        structs.insert(name.trim().to_owned(), fields.filter(|field| !field.is_empty()).collect());
    }
    structs
}

fn field_name(field: &str) -> &str {
    let declared = field.split('[').next().unwrap_or(field);
    declared.rsplit([' ', '*']).next().unwrap_or(declared)
}

/// What the compiler makes of the structs: `struct` or `struct field`, and its numbers.
fn layouts(structs: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, String> {
    let mut source = String::from("#include <stdio.h>\n#include \"thalweg.h\"\nint main(void) {\n");
    for (name, fields) in structs {
        let line = format!("printf(\"{name}|size %zu align %zu\\n\", sizeof({name}), _Alignof({name}));\n");
        source += &line;
        for field in fields.iter().map(|field| field_name(field)) {
            let size = format!("sizeof((({name} *)0)->{field})");
            source += &format!("printf(\"{name} {field}|at %zu size %zu\\n\", offsetof({name}, {field}), {size});\n");
        }
    }
    source += "return 0;\n}\n";
    let dir = tempfile::tempdir().expect("a directory");
    let (file, binary) = (dir.path().join("layouts.c"), dir.path().join("layouts"));
    fs::write(&file, source).expect("written");
    let mut compile = Command::new("cc");
    compile.arg("-std=c11").arg("-I").arg(root().join("include")).arg(&file).arg("-o").arg(&binary);
    assert!(compile.status().expect("there is a C compiler").success(), "the header compiles");
    let printed = Command::new(&binary).output().expect("it runs").stdout;
    let printed = String::from_utf8(printed).expect("text");
    printed.lines().filter_map(|line| line.split_once('|')).map(|(name, is)| (name.into(), is.into())).collect()
}

fn snapshot() -> String {
    let header = header();
    let structs = structs(&header);
    let layouts = layouts(&structs);
    let mut text = String::from("Numbers\n");
    for (name, value) in numbers(&header) {
        writeln!(text, "  {name} {value}").expect("a string takes it");
    }
    text += "\nStructs (machines with 64 bits)\n";
    for (name, fields) in &structs {
        writeln!(text, "  {name}: {}", layouts[name]).expect("a string takes it");
        for field in fields {
            let layout = &layouts[&format!("{name} {}", field_name(field))];
            writeln!(text, "    {field}: {layout}").expect("a string takes it");
        }
    }
    text += "\nCalls\n";
    for call in calls(&header).values() {
        writeln!(text, "  {call}").expect("a string takes it");
    }
    text
}

#[test]
fn nothing_has_changed_that_programs_depend_on() {
    let path = root().join("include/abi.txt");
    let made = snapshot();
    if std::env::var_os("THALWEG_WRITE_ABI").is_some() {
        fs::write(&path, &made).expect("the snapshot can be written");
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let gone: Vec<&str> = committed.lines().filter(|line| !made.lines().any(|made| made == *line)).collect();
    let new: Vec<&str> = made.lines().filter(|line| !committed.lines().any(|committed| committed == *line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "`make abi` writes it anew; gone: {gone:#?}, new: {new:#?}");
    assert_eq!(made, committed);
}

#[test]
fn the_snapshot_has_everything() {
    let text = fs::read_to_string(root().join("include/thalweg.h")).expect("the header is there");
    let header = header();
    assert_eq!(numbers(&header).len(), text.matches("#define THALWEG_").count() - 1, "but for the include guard");
    assert_eq!(calls(&header).len(), text.matches("\nthalweg_status thalweg_").count() + others(&header));
    assert_eq!(structs(&header).len(), text.matches("\ntypedef struct thalweg_").count() - opaque(&text));
}

/// Calls that answer something else than a status.
fn others(header: &str) -> usize {
    calls(header).values().filter(|call| !call.starts_with("thalweg_status")).count()
}

/// Structs that nobody sees into.
fn opaque(text: &str) -> usize {
    text.lines().filter(|line| line.starts_with("typedef struct thalweg_") && line.ends_with(';')).count()
}
