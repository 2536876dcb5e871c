//! Small file systems in a file, mounted. Needs root.

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whether this process may mount.
pub fn permitted() -> bool {
    // SAFETY: a plain system call.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        skip("mounting needs root");
    }
    root
}

/// Says why a test proves nothing on this machine. Where everything has to run, it fails.
///
/// # Panics
/// With `CI=true`.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "cannot run here, and CI=true: {why}");
    eprintln!("skipped: {why}");
}

/// Whether the kernel has a file system; says so if not.
pub fn kernel_has(kind: &str) -> bool {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let has = known.lines().any(|line| line.split_whitespace().last() == Some(kind));
    if !has {
        skip(&format!("this kernel has no {kind}"));
    }
    has
}

/// Runs a program that has to succeed; what it prints goes nowhere.
///
/// # Panics
/// If it does not.
pub fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {}: {said}", output.status);
}

/// Runs a program until it succeeds; whether it did within some seconds.
fn patiently(program: &str, arguments: &[&str]) -> bool {
    (0..200).any(|_| {
        let status = Command::new(program).args(arguments).stderr(Stdio::null()).status();
        let done = status.is_ok_and(|status| status.success());
        if !done {
            std::thread::sleep(Duration::from_millis(25));
        }
        done
    })
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// A mounted file system; unmounted when dropped.
pub struct Mounted {
    dir: tempfile::TempDir,
    kind: String,
    options: String,
    /// A loop device of its own, where one with other blocks was asked for.
    device: Option<String>,
}

impl Mounted {
    /// Makes and mounts one of some MiB: ext4, xfs or btrfs in an image file, tmpfs, or an overlay over a directory.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(kind: &str, mib: u32) -> Mounted {
        let make: &[&str] = match kind {
            "ext4" => &["-q", "-F", "-m", "0"],
            "xfs" | "btrfs" => &["-q", "-f"],
            _ => &[],
        };
        Mounted::with(kind, mib, make, "")
    }

    /// As [`new`](Mounted::new), with arguments for mkfs and options for mount.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn with(kind: &str, mib: u32, make: &[&str], options: &str) -> Mounted {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("mnt")).expect("a mount point");
        let mounted = Mounted { dir, kind: kind.to_owned(), options: options.to_owned(), device: None };
        match kind {
            "tmpfs" => run("mount", &["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", text(&mounted.path())]),
            "overlay" => {
                for name in ["lower", "upper", "work"] {
                    std::fs::create_dir(mounted.dir.path().join(name)).expect("a directory");
                }
                let at = |name: &str| text(&mounted.dir.path().join(name)).to_owned();
                let options = format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
                run("mount", &["-t", "overlay", "-o", &options, "overlay", text(&mounted.path())]);
            }
            _ => {
                let file = std::fs::File::create(mounted.image()).expect("an image");
                file.set_len(u64::from(mib) << 20).expect("a sparse image");
                let image = mounted.image();
                run(&format!("mkfs.{kind}"), &[make, &[text(&image)]].concat());
                mounted.mount();
            }
        }
        mounted
    }

    /// Makes and mounts one on a loop device whose blocks have so many bytes.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn with_blocks(kind: &str, mib: u32, block: u32) -> Mounted {
        let dir = tempfile::tempdir().expect("a directory");
        let image = dir.path().join("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(u64::from(mib) << 20).expect("a sparse image");
        Mounted::over(dir, kind, &image, block)
    }

    /// Makes and mounts one on a loop device over a file that somebody else keeps.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn on(kind: &str, image: &Path) -> Mounted {
        Mounted::over(tempfile::tempdir().expect("a directory"), kind, image, 512)
    }

    fn over(dir: tempfile::TempDir, kind: &str, image: &Path, block: u32) -> Mounted {
        std::fs::create_dir(dir.path().join("mnt")).expect("a mount point");
        let mut mounted = Mounted { dir, kind: kind.to_owned(), options: String::new(), device: None };
        let mut set_up = Command::new("losetup");
        set_up.args(["--find", "--show", "--sector-size", &block.to_string()]).arg(image);
        let output = set_up.output().expect("losetup");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let device = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        mounted.device = Some(device.clone());
        run(&format!("mkfs.{kind}"), &["-q", &device]);
        mounted.mount();
        mounted
    }

    /// Mounts the image, again after [`unmount`](Mounted::unmount).
    ///
    /// # Panics
    /// If that fails.
    pub fn mount(&self) {
        if let Some(device) = &self.device {
            return run("mount", &["-t", &self.kind, device, text(&self.path())]);
        }
        let options = format!("loop{}{}", if self.options.is_empty() { "" } else { "," }, self.options);
        run("mount", &["-t", &self.kind, "-o", &options, text(&self.image()), text(&self.path())]);
    }

    /// Changes the options of the mount. Waits as [`unmount`](Mounted::unmount) does.
    ///
    /// # Panics
    /// If that fails.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(patiently("mount", &["-o", &options, text(&self.path())]), "{options} is refused");
    }

    /// Unmounts; waits for the kernel, which takes a ring apart in its own time and only then lets go of the files that
    /// were registered. Whether it did.
    pub fn unmount(&self) -> bool {
        patiently("umount", &[text(&self.path())])
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Where it is mounted.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// A directory in it, for a store; the engine makes it.
    pub fn store(&self) -> PathBuf {
        self.path().join("store")
    }

    /// Shuts the file system down as it is, as a loss of power would: nothing that is not on the device comes there any
    /// more, not even what its log holds in memory.
    ///
    /// # Panics
    /// If it does not know the call.
    pub fn shut_down(&self) {
        /// `XFS_IOC_GOINGDOWN`, which ext4 has as `EXT4_IOC_SHUTDOWN`: `_IOR('X', 125, u32)`.
        const SHUT_DOWN: libc::Ioctl = 0x8004_587d;
        let without_the_log: u32 = 2;
        let directory = std::fs::File::open(self.path()).expect("the mount point");
        // SAFETY: the call reads one word, which lives until it returns.
        let answer = unsafe { libc::ioctl(directory.as_raw_fd(), SHUT_DOWN, &raw const without_the_log) };
        assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Mounted {
    /// Unmounts it, and ends its loop device. Dropping does the same.
    pub fn take_down(&mut self) {
        let mounted = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        if mounted.contains(text(&self.path())) && !self.unmount() {
            eprintln!("{} is still busy, and stays mounted", self.path().display());
        }
        if let Some(device) = self.device.take() {
            // Goes by itself once nothing is mounted on it.
            let _ = Command::new("losetup").args(["--detach", &device]).status();
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.take_down();
    }
}
