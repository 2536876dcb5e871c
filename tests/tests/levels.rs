//! The engine's modules depend downwards only: every `crate::` path in `engine/src` is an edge of the table below, and
//! the table is in order. The kernel is reached through `io` and `runtime` alone.
//!
//! Code under `#[cfg(test)]` may use anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Level 0: what anyone may use. In order, as the table below.
const BASE: &[&str] = &["limits", "error", "ids", "checksum", "durability", "sync"];

/// The modules above, lowest first, and what each uses of those before it.
const TABLE: &[(&str, &[&str])] = &[
    // 1
    ("format", &[]),
    ("buffer", &[]),
    // 2
    ("io", &["buffer"]),
    ("events", &["io"]),
    // 3
    ("segment", &["format", "buffer", "io"]),
    ("tail", &["format", "buffer", "segment"]),
    ("manifest", &["format", "io"]),
    ("journal", &["format", "buffer", "io", "segment"]),
    ("recovery", &["format", "io", "manifest"]),
    // 4
    ("shard", &["events", "format", "buffer", "io", "segment", "tail", "manifest", "journal"]),
    // 5
    ("runtime", &["buffer", "io", "manifest", "shard"]),
    // 6
    ("metrics", &[]),
    ("gate", &[]),
    ("partition", &["events", "format", "io", "segment", "tail", "shard", "gate"]),
    ("reader", &["format", "buffer", "io", "segment", "shard", "gate", "partition"]),
    // 7
    ("producer", &["format", "io", "gate", "partition"]),
    (
        "topic",
        &["events", "format", "io", "segment", "tail", "manifest", "shard", "gate", "partition", "reader", "producer"],
    ),
    ("internal", &["format", "manifest", "partition", "reader", "producer", "topic"]),
    ("consumer", &["io", "reader", "topic", "internal"]),
    // 8
    (
        "engine",
        &[
            "format",
            "buffer",
            "io",
            "events",
            "segment",
            "tail",
            "manifest",
            "journal",
            "recovery",
            "shard",
            "runtime",
            "metrics",
            "gate",
            "partition",
            "reader",
            "topic",
            "internal",
            "consumer",
        ],
    ),
];

/// Above everything, for tests alone; they may use all, and nobody uses them.
const FOR_TESTS: &[&str] = &["sim", "fuzz"];

/// The switches for planted bugs import nothing, so every level may ask them.
const PLANTED_BUGS: &str = "sim::bugs";

/// What only the doors to the kernel may name, and who else may. Error numbers are not the kernel: anyone may name them.
const DOORS: &[&str] = &["io", "runtime"];
const KERNEL: &[(&str, &[&str])] = &[
    // `sync` sleeps and wakes by futex; it stands below `io`.
    ("libc::", &["sync"]),
    ("io_uring::", &[]),
    ("std::fs", &[]),
    ("std::os::unix::fs", &[]),
    // Calls that block for a time the caller gave. What the engine decides by time comes from its environment.
    ("Instant::now", &["sync", "producer", "reader", "consumer"]),
    ("SystemTime", &[]),
];

/// What would make the libraries notice, or change, more of their process than they were given.
const PROCESS_WIDE: &[&str] = &[
    "env::var",
    "env::set_var",
    "env::remove_var",
    "env::args",
    "getenv",
    "setenv",
    "atexit",
    "set_global_default",
    "set_logger",
    "set_hook",
    "sigaction",
    "libc::signal",
];

#[test]
fn the_libraries_leave_their_process_alone() {
    let mut wrong = Vec::new();
    for source in ["engine", "ffi"].into_iter().flat_map(sources_of) {
        // A simulation is run by tests.
        if FOR_TESTS.contains(&source.module.as_str()) {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            for word in PROCESS_WIDE.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", source.path.display(), number + 1));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "no environment, no handlers at exit or of signals, no global logger:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_table_points_down() {
    let mut below = BTreeSet::new();
    for (module, uses) in TABLE {
        for used in *uses {
            assert!(below.contains(used), "the table lets {module} use {used}, which does not stand below it");
        }
        below.insert(*module);
    }
}

#[test]
fn the_edges_are_those_of_the_table() {
    let table: BTreeMap<&str, &[&str]> = TABLE.iter().copied().collect();
    let base = |module: &str| BASE.iter().position(|m| *m == module);
    let mut unused: BTreeSet<(&str, &str)> =
        TABLE.iter().flat_map(|(module, uses)| uses.iter().map(|used| (*module, *used))).collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let module = source.module.as_str();
        if FOR_TESTS.contains(&module) {
            continue;
        }
        if base(module).is_none() && !table.contains_key(module) {
            wrong.push(format!("{}: module {module} is not in the table", source.path.display()));
        }
        for (line, used) in source.edges() {
            unused.retain(|edge| *edge != (module, used.as_str()));
            let allowed = match (base(module), base(&used)) {
                _ if FOR_TESTS.contains(&used.as_str()) => false,
                (Some(own), Some(used)) => used <= own,
                (None, Some(_)) => true,
                // What is no module is a name that the crate's root re-exports.
                (_, None) if !table.contains_key(used.as_str()) => true,
                (_, None) => used == module || table.get(module).is_some_and(|uses| uses.contains(&used.as_str())),
            };
            if !allowed {
                wrong.push(format!("{}:{line}: {module} uses {used}", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "edges outside the table in tests/tests/levels.rs:\n{}", wrong.join("\n"));
    assert!(unused.is_empty(), "the table has edges that nothing needs: {unused:?}");
}

#[test]
fn the_kernel_is_behind_io_and_runtime() {
    let mut wrong = Vec::new();
    for source in sources() {
        if DOORS.contains(&source.module.as_str()) {
            continue;
        }
        for (number, line) in source.code.lines().enumerate() {
            let line = without_error_numbers(line);
            for (word, allowed) in KERNEL {
                if line.contains(word) && !allowed.contains(&source.module.as_str()) {
                    wrong.push(format!("{}:{}: {word} in {}", source.path.display(), number + 1, source.module));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "only io and runtime may name these:\n{}", wrong.join("\n"));
}

#[test]
fn the_parser_sees_every_form_of_an_edge() {
    let code = "use crate::tail::Tail;\nuse crate::{buffer::{Block, Pool}, error, ids::Lsn as L};\n\
                fn f() { crate::io::os::open(); }\n// crate::engine\npub(in crate::topic) struct S;\n\
                #[cfg(test)]\nmod tests {\n    use crate::sim::Disk; fn g() { \"}\"; }\n}\nuse super::super::shard::Shard;\n";
    let source = Source { path: PathBuf::new(), module: "x".into(), depth: 2, code: strip(code) };
    let edges: Vec<(usize, String)> = source.edges();
    let names: Vec<&str> = edges.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["tail", "buffer", "error", "ids", "io", "shard"]);
    assert_eq!(edges[4].0, 3);
    assert_eq!(edges[5].0, 10);
}

/// A line without `libc::EIO` and its like.
fn without_error_numbers(line: &str) -> String {
    let mut parts = line.split("libc::");
    let mut kept = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let name: String = part.chars().take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).collect();
        let is_error_number = name.starts_with('E') && name.len() > 2 && !part[name.len()..].starts_with('_');
        if !is_error_number {
            kept.push_str("libc::");
        }
        kept.push_str(part);
    }
    kept
}

/// One file of the engine: its top-level module, and its code without comments, literals and test modules.
struct Source {
    path: PathBuf,
    module: String,
    /// How many `super::` lead from it to the crate's root.
    depth: usize,
    code: String,
}

impl Source {
    /// The top-level modules that the file names, with the line of each.
    fn edges(&self) -> Vec<(usize, String)> {
        let mut edges = Vec::new();
        let root = "super::".repeat(self.depth);
        for prefix in ["crate::", root.as_str()] {
            for (at, _) in self.code.match_indices(prefix) {
                let before = self.code[..at].trim_end();
                let inside_a_path = self.code[..at].ends_with("::") || before.ends_with("$") || before.ends_with("(in");
                if inside_a_path {
                    continue;
                }
                let line = self.code[..at].matches('\n').count() + 1;
                let rest = &self.code[at + prefix.len()..];
                if rest.starts_with(PLANTED_BUGS) {
                    continue;
                }
                edges.extend(first_names(rest).into_iter().map(|name| (line, name)));
            }
        }
        edges.sort_by_key(|(line, _)| *line);
        edges
    }
}

/// The first segments of a path, or of every path of a group in braces.
fn first_names(rest: &str) -> Vec<String> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![word(rest)];
    };
    let (mut depth, mut start, mut names) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && c == ',') {
            names.push(word(group[start..at].trim_start()));
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The code without comments, the insides of literals, and modules that only tests have; lines stay where they are.
fn strip(text: &str) -> String {
    let mut code = without_comments(text);
    while let Some((at, after)) = test_attribute(&code) {
        let open = code[after..].find(['{', ';']).map_or(code.len(), |i| after + i);
        let mut end = open;
        if code[open..].starts_with('{') {
            let mut depth = 0;
            for (i, c) in code[open..].char_indices() {
                depth += i32::from(c == '{') - i32::from(c == '}');
                end = open + i;
                if depth == 0 {
                    break;
                }
            }
        }
        let end = (end + 1).min(code.len());
        let lines = "\n".repeat(code[at..end].matches('\n').count());
        code.replace_range(at..end, &lines);
    }
    code
}

/// Where the first attribute begins and ends that leaves its item to tests: `cfg(test)` or `cfg(all(.., test, ..))`.
fn test_attribute(code: &str) -> Option<(usize, usize)> {
    code.match_indices("#[cfg(").find_map(|(at, _)| {
        let size = code[at..].find(")]")? + 2;
        let condition = &code[at + "#[cfg(".len()..at + size - 2];
        let only_tests = match condition.strip_prefix("all(").and_then(|all| all.strip_suffix(')')) {
            Some(all) => !all.contains("any(") && all.split(',').any(|part| part.trim() == "test"),
            None => condition == "test",
        };
        only_tests.then_some((at, at + size))
    })
}

fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |i| i + 2)
        } else if first == '"' {
            string_size(rest)
        } else if ["'{'", "'}'", "'\"'"].iter().any(|c| rest.starts_with(c)) {
            3
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        out.extend(rest[..skip].chars().filter(|c| *c == '\n'));
        rest = &rest[skip..];
    }
    out
}

/// The size of the string literal that `text` begins with.
fn string_size(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

fn sources() -> Vec<Source> {
    sources_of("engine")
}

fn sources_of(package: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    paths.sort();
    let tests = test_files(&paths);
    let mut sources = Vec::new();
    for path in paths.iter().filter(|path| !tests.iter().any(|t| path.starts_with(t))) {
        let inside = path.strip_prefix(&root).expect("collected below it").with_extension("");
        let mut parts: Vec<String> = inside.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        if parts == ["lib"] {
            continue;
        }
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        let code = strip(&fs::read_to_string(path).expect("a source file"));
        sources.push(Source { path: path.clone(), module: parts[0].clone(), depth: parts.len(), code });
    }
    assert!(sources.len() > 10, "the sources of {package} are found");
    sources
}

/// Files and directories that are modules only of the tests.
fn test_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in paths {
        let code = without_comments(&fs::read_to_string(path).expect("a source file"));
        let stem = path.file_stem().expect("a file");
        let own = path.parent().expect("a directory");
        let base = if stem == "mod" || stem == "lib" { own.to_path_buf() } else { own.join(stem) };
        let mut rest = code.as_str();
        while let Some((_, after)) = test_attribute(rest) {
            rest = &rest[after..];
            let declared = rest.trim_start().trim_start_matches("pub(crate) ").strip_prefix("mod ");
            if let Some((name, _)) = declared.and_then(|d| d.split_once(';')).filter(|(name, _)| !name.contains(' ')) {
                found.push(base.join(name));
                found.push(base.join(name).with_extension("rs"));
            }
        }
    }
    found
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}
