//! A server beside this process, which goes with it.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::Result;

/// How long a server may take to begin, with all that it has to read before, and to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a free port of the loopback interface.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
}

impl Server {
    /// Starts it, with the port that it is to listen on.
    pub(super) fn start(command: impl FnOnce(u16) -> Command) -> Result<Server> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = command(port);
        // What it logs is its own; standard output belongs to the measurement.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // SAFETY: a plain system call between fork and exec.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().map_err(|error| format!("{name}: {error}"))?;
        Ok(Server { child, port })
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Tries until the server answers as it should.
    pub(super) fn wait<T>(&mut self, mut ready: impl FnMut(u16) -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            match ready(self.port) {
                Ok(answer) => return Ok(answer),
                Err(error) if begun.elapsed() > PATIENCE => return Err(error),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server ended with {status}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(super) fn connect(port: u16) -> Result<TcpStream> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Waits until there is something to read; false when there was nothing until then. `None`: without end.
pub(super) fn is_ready(stream: &TcpStream, until: Option<Instant>) -> Result<bool> {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    let time =
        left.map(|left| libc::timespec { tv_sec: left.as_secs() as libc::time_t, tv_nsec: left.subsec_nanos().into() });
    let time = time.as_ref().map_or(std::ptr::null(), |time| &raw const *time);
    let mut poll = libc::pollfd { fd: stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the entry and the time live through the call.
    match unsafe { libc::ppoll(&raw mut poll, 1, time, std::ptr::null()) } {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SAFETY: a plain system call; the process is a child that was not waited for.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
