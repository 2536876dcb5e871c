//! The machine that something was measured on.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What a figure depends on beside the program.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    /// Bytes.
    pub(crate) memory: u64,
    /// Whether the processor says that it is a virtual one.
    pub(crate) virtual_machine: bool,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    pub(crate) mount_options: String,
    /// The block device, by the kernel's name.
    pub(crate) device: String,
    /// `write back`: it has a cache that has to be flushed.
    pub(crate) write_cache: String,
    /// Whether it can write past its cache.
    pub(crate) fua: bool,
    pub(crate) scheduler: String,
    /// Processes that wanted a core in the last minute, on average.
    pub(crate) load: f64,
    pub(crate) open_files_limit: u64,
    /// Bytes.
    pub(crate) locked_memory_limit: u64,
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// What stands behind a name and a colon, once.
fn value(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|found| found.trim() == name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn limit(which: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives through the call.
    unsafe { libc::getrlimit(which, &raw mut limit) };
    limit.rlim_cur
}

impl Machine {
    /// This one, with the device that `dir` is on.
    pub(crate) fn find(dir: &Path) -> Machine {
        let cpu = read("/proc/cpuinfo");
        let number = fs::metadata(dir).map(|meta| meta.dev()).unwrap_or(0);
        let (major, minor) = (libc::major(number), libc::minor(number));
        let (file_system, mount_options, source) = mount(&read("/proc/self/mountinfo"), &format!("{major}:{minor}"));
        let block = format!("/sys/dev/block/{major}:{minor}");
        // A partition has its queue with its disk.
        let queue = [format!("{block}/queue"), format!("{block}/../queue")];
        let queue = queue.into_iter().find(|path| Path::new(path).is_dir()).unwrap_or_default();
        let scheduler = read(format!("{queue}/scheduler"));
        let chosen = scheduler.split(['[', ']']).nth(1).unwrap_or(&scheduler).to_owned();
        let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        Machine {
            processor: value(&cpu, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: memory.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10,
            virtual_machine: value(&cpu, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            kernel: read("/proc/sys/kernel/osrelease"),
            file_system,
            mount_options,
            device: source,
            write_cache: read(format!("{queue}/write_cache")),
            fua: read(format!("{queue}/fua")) == "1",
            scheduler: chosen,
            load: read("/proc/loadavg").split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0),
            open_files_limit: limit(libc::RLIMIT_NOFILE),
            locked_memory_limit: limit(libc::RLIMIT_MEMLOCK),
        }
    }

    /// Names and what stands behind them.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let kind = if self.virtual_machine { ", virtual" } else { "" };
        let fua = if self.fua { "FUA" } else { "no FUA" };
        let locked = match self.locked_memory_limit {
            u64::MAX => "unlimited".to_owned(),
            bytes => crate::size::about(bytes),
        };
        vec![
            ("machine", format!("{} x {}{kind}, {}", self.cores, self.processor, crate::size::about(self.memory))),
            ("kernel", self.kernel.clone()),
            ("file system", format!("{} ({})", self.file_system, self.mount_options)),
            ("device", format!("{}, {}, {fua}, scheduler {}", self.device, self.write_cache, self.scheduler)),
            ("limits", format!("{} open files, {locked} locked memory", self.open_files_limit)),
            ("load before", format!("{:.2}", self.load)),
        ]
    }
}

/// Kind, options and device of the mount with that number.
fn mount(table: &str, number: &str) -> (String, String, String) {
    let line = table.lines().find(|line| line.split(' ').nth(2) == Some(number)).unwrap_or_default();
    let options = line.split(' ').nth(5).unwrap_or("unknown").to_owned();
    let mut rest = line.split_once(" - ").map_or("", |(_, rest)| rest).split(' ');
    let mut next = || rest.next().filter(|word| !word.is_empty()).unwrap_or("unknown").to_owned();
    let (kind, source) = (next(), next());
    (kind, options, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_found_by_their_number() {
        let table =
            "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n23 22 0:21 / /proc rw - proc proc rw";
        assert_eq!(mount(table, "254:0"), ("ext4".into(), "rw,relatime".into(), "/dev/vda".into()));
        assert_eq!(mount(table, "9:9"), ("unknown".into(), "unknown".into(), "unknown".into()));
    }

    #[test]
    fn this_machine_says_what_it_is() {
        let machine = Machine::find(Path::new("/proc"));
        assert_eq!(machine.file_system, "proc");
        assert!(machine.cores > 0 && machine.memory > 0 && !machine.kernel.is_empty());
        assert!(machine.lines().iter().all(|(_, value)| !value.is_empty()));
    }
}
