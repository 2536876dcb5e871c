//! A test binary as its own child process.
//!
//! A test that needs a process to kill, to fork, or to shut into a sandbox runs its own binary again, with a *role*: a
//! test function that returns at once unless [`role`] names it.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const ROLE: &str = "THALWEG_TEST_ROLE";
const DIR: &str = "THALWEG_TEST_DIR";
const PIPE: &str = "THALWEG_TEST_PIPE";

/// What a child was started as, with its directory.
pub struct Role {
    /// The store's directory.
    pub dir: std::path::PathBuf,
    /// The end of a pipe to write to.
    pub pipe: Option<std::fs::File>,
}

/// The role of this process, if it is `name`.
pub fn role(name: &str) -> Option<Role> {
    if std::env::var(ROLE).ok()? != name {
        return None;
    }
    let dir = std::env::var_os(DIR)?.into();
    let pipe = std::env::var(PIPE).ok().and_then(|fd| fd.parse().ok()).map(|fd: i32| {
        // SAFETY: the parent left this descriptor open for us alone, and says so once.
        std::fs::File::from(unsafe { OwnedFd::from_raw_fd(fd) })
    });
    Some(Role { dir, pipe })
}

/// Runs this binary's test `name` in a process of its own, with a pipe from it if asked for.
///
/// # Panics
/// If no process or pipe can be made.
pub fn start(name: &str, dir: &Path, with_pipe: bool) -> (Child, Option<std::fs::File>) {
    let mut command = Command::new(std::env::current_exe().expect("the path of this binary"));
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    command.env(ROLE, name).env(DIR, dir).stdout(Stdio::null());
    let pipe = with_pipe.then(|| {
        let mut ends = [0; 2];
        // SAFETY: the array has room for the two descriptors. The reading end is not inherited.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "a pipe");
        // SAFETY: both descriptors were just made, and nobody else has them.
        let (read, write) = unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        // SAFETY: a plain call on an open descriptor.
        unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        command.env(PIPE, write.as_raw_fd().to_string());
        (std::fs::File::from(read), write)
    });
    let child = command.spawn().expect("a child process");
    let read = pipe.map(|(read, write)| {
        drop(write);
        read
    });
    (child, read)
}

/// Sends SIGKILL and waits for the end.
///
/// # Panics
/// If the child is not ours.
pub fn kill(child: &mut Child) {
    child.kill().expect("the child is ours");
    child.wait().expect("the child is ours");
}
