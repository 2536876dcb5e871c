//! Running the command on a store of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A directory with a store in it, and files beside the store.
pub(crate) struct Bench {
    dir: tempfile::TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    /// A file beside the store.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("the file is written");
        path
    }

    /// The command, on this store.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
        command.arg("--dir").arg(self.store()).args(["--memory-budget", "64MiB"]).args(args);
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"")
    }

    /// Runs the command with something on its standard input.
    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut stdin = child.stdin.take().expect("piped");
        // It may refuse its arguments without reading.
        let _ = stdin.write_all(input);
        drop(stdin);
        Ran::from(child.wait_with_output().expect("the command ends"))
    }

    /// Runs a command that may write no file larger than so many blocks of 512 bytes.
    pub(crate) fn limited(&self, blocks: u32, args: &[&str]) -> Ran {
        let limited = self.command(args);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &format!("ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        command.arg(limited.get_program()).args(limited.get_args());
        Ran::from(command.stdin(Stdio::null()).output().expect("the command ends"))
    }

    /// Runs a command that has to succeed, and returns what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        String::from_utf8(ran.out).expect("text")
    }

    /// Imports bytes from standard input.
    pub(crate) fn import(&self, topic: &str, input: &[u8]) {
        let ran = self.run_with(&["import", "-", "--topic", topic], input);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    }

    /// What `consume` writes for a topic.
    pub(crate) fn consume(&self, topic: &str) -> Vec<u8> {
        let ran = self.run(&["consume", "--topic", topic]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        ran.out
    }

    /// Runs a reporting command with `--json` and parses it.
    pub(crate) fn json(&self, args: &[&str]) -> serde_json::Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ok(&args)).expect("one JSON value")
    }

    /// The records of a topic, as `consume --format json` writes them.
    pub(crate) fn records(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let args: Vec<&str> = ["consume", "--format", "json"].iter().chain(args).copied().collect();
        self.ok(&args).lines().map(|line| serde_json::from_str(line).expect("one JSON value per line")).collect()
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        // A signal has no code; no command here may end by one.
        let code = output.status.code().expect("ends by itself");
        Ran { code, out: output.stdout, err: String::from_utf8_lossy(&output.stderr).into_owned() }
    }
}

/// Path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}
