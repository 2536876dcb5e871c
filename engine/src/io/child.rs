//! Tests that need a process of their own: the test binary runs itself, for one test that is otherwise ignored.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const MARK: &str = "THALWEG_TEST_CHILD";

/// Whether this process was started by [`start`]. Tests for children do nothing anywhere else.
pub(crate) fn is_child() -> bool {
    std::env::var_os(MARK).is_some()
}

fn command(test: &str, directory: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test binary has a path"));
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.current_dir(directory).env(MARK, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The names of what a process has open.
fn open_files(pid: &str) -> Vec<String> {
    let links = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process lives");
    links.flatten().filter_map(|link| Some(std::fs::read_link(link.path()).ok()?.to_str()?.to_owned())).collect()
}

/// Waits until a process has nothing open whose name contains `part`: a forked child closes what is not its own on the
/// way out of `fork`, which may be later than its parent's.
pub(crate) fn closes(pid: &str, part: &str) {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while open_files(pid).iter().any(|name| name.contains(part)) {
        assert!(std::time::Instant::now() < end, "process {pid} keeps {part:?} open: {:?}", open_files(pid));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// How many things a process has open whose names contain `part`.
pub(crate) fn count_open(pid: &str, part: &str) -> usize {
    open_files(pid).iter().filter(|name| name.contains(part)).count()
}

/// Runs the ignored test `test` (its whole path) with `directory` as its working directory, to its end.
pub(crate) fn run(test: &str, directory: &Path) {
    let output = command(test, directory).stderr(Stdio::piped()).output().expect("the test binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    println!("{out}{err}");
    assert!(output.status.success() && out.contains("1 passed"), "{test}: {:?}", output.status);
}

/// Starts it and waits until it has printed a line that begins with `sign`; the rest of that line.
pub(crate) fn start(test: &str, directory: &Path, sign: &str) -> (Child, String) {
    let mut child = command(test, directory).spawn().expect("the test binary starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for line in lines {
        // The harness prints without a line end before the test does.
        if let Some((_, rest)) = line.expect("text").split_once(sign) {
            let rest = rest.trim().to_owned();
            return (child, rest);
        }
    }
    panic!("{test} ended without {sign:?}: {:?}", child.wait());
}
