//! An open file of the simulated disk: transfers that are short, interrupted, misdirected, torn, or fail.

use std::io;

use super::disk::{Call, SimDisk, Target, Visit, off, os};
use super::faults::torn;
use super::image::Change;
use crate::io::{File, OpenMode};

/// The unit of direct transfers; short ones are whole numbers of it.
const UNIT: usize = 512;

pub(crate) struct SimFile {
    disk: SimDisk,
    inode: u64,
    mode: OpenMode,
}

impl SimFile {
    pub(crate) fn new(disk: SimDisk, inode: u64, mode: OpenMode) -> SimFile {
        SimFile { disk, inode, mode }
    }

    /// Direct I/O takes whole units only.
    fn check_alignment(&self, position: u64, address: *const u8, size: usize) -> io::Result<()> {
        let aligned = position.is_multiple_of(UNIT as u64) && (address as usize | size).is_multiple_of(UNIT);
        if self.mode == OpenMode::Read || aligned { Ok(()) } else { Err(os(libc::EINVAL)) }
    }

    fn change(visit: &mut Visit<'_>, inode: u64, change: Change, durable: bool) {
        let content = visit.state.content(inode);
        if durable { content.change_durably(change) } else { content.change(change) }
    }

    /// Writes what of `from` a write leaves that does not complete.
    fn write_torn(&self, visit: &mut Visit<'_>, position: u64, from: &[u8]) {
        for part in torn(&mut visit.state.rng, from.len()) {
            let change = Change::Write { position: position + part.start as u64, bytes: from[part].to_vec() };
            Self::change(visit, self.inode, change, false);
        }
    }

    fn write(&self, visit: &mut Visit<'_>, position: u64, from: &[u8], durable: bool) -> io::Result<usize> {
        self.check_alignment(position, from.as_ptr(), from.len())?;
        if self.mode == OpenMode::Read {
            return Err(os(libc::EBADF));
        }
        if from.is_empty() {
            return Ok(0);
        }
        visit.state.allocate(self.inode, position + from.len() as u64)?;
        if visit.state.landing || visit.last {
            self.write_torn(visit, position, from);
            return Err(off());
        }
        let state = &mut *visit.state;
        let faults = state.faults;
        if state.rng.per_million(faults.interrupted) {
            return Err(os(libc::EINTR));
        }
        if state.rng.per_million(faults.write_error) {
            state.damage.errors += 1;
            self.write_torn(visit, position, from);
            return Err(os(libc::EIO));
        }
        let units = from.len() / UNIT;
        let size = if units > 1 && state.rng.per_million(faults.short) {
            state.rng.between(1, units as u64 - 1) as usize * UNIT
        } else {
            from.len()
        };
        let durable = durable && !state.lies();
        if state.rng.per_million(faults.misdirected_write) {
            state.misdirect(self.inode, position, &from[..size], durable);
        } else {
            Self::change(visit, self.inode, Change::Write { position, bytes: from[..size].to_vec() }, durable);
        }
        Ok(size)
    }

    fn read(&self, visit: &mut Visit<'_>, position: u64, into: &mut [u8]) -> io::Result<usize> {
        self.check_alignment(position, into.as_ptr(), into.len())?;
        if visit.last {
            return Err(off());
        }
        let state = &mut *visit.state;
        let faults = state.faults;
        if state.rng.per_million(faults.interrupted) {
            return Err(os(libc::EINTR));
        }
        if state.rng.per_million(faults.read_error) {
            state.damage.errors += 1;
            return Err(os(libc::EIO));
        }
        if state.content(self.inode).is_bad(position, into.len()) {
            state.damage.errors += 1;
            return Err(os(libc::EIO));
        }
        let units = into.len() / UNIT;
        let size = if units > 1 && state.rng.per_million(faults.short) {
            state.rng.between(1, units as u64 - 1) as usize * UNIT
        } else {
            into.len()
        };
        let mut from = position;
        if state.rng.per_million(faults.misdirected_read) {
            state.damage.misdirected_reads += 1;
            let sectors = state.content(self.inode).visible().size() / UNIT as u64;
            from = state.rng.below(sectors + 1) * UNIT as u64;
            state.note(|| format!("== misdirected read at {from} instead of {position}"), from);
        }
        Ok(state.content(self.inode).visible().read(from, &mut into[..size]))
    }

    /// A call that only changes or asks what is known about the file.
    fn simple(&self, call: Call, at: u64, work: impl FnOnce(&mut Visit<'_>) -> io::Result<u64>) -> io::Result<u64> {
        let mut visit = self.disk.visit()?;
        let result = if visit.state.landing { Err(off()) } else { work(&mut visit) };
        let result = if visit.last { Err(off()) } else { result };
        let outcome = result.as_ref().copied().map_err(|e| e.raw_os_error().unwrap_or(0));
        visit.state.record(call, Target::File(self.inode), at, &[], outcome);
        result
    }
}

fn outcome(result: &io::Result<usize>) -> Result<u64, i32> {
    result.as_ref().map(|n| *n as u64).map_err(|e| e.raw_os_error().unwrap_or(0))
}

impl File for SimFile {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut visit = self.disk.visit()?;
        let result = self.read(&mut visit, position, into);
        let got = &into[..*result.as_ref().unwrap_or(&0)];
        visit.state.record(Call::Read, Target::File(self.inode), position, got, outcome(&result));
        result
    }

    fn write_at(&self, position: u64, from: &[u8], durable: bool) -> io::Result<usize> {
        let mut visit = self.disk.visit()?;
        let result = self.write(&mut visit, position, from, durable);
        let call = if durable { Call::WriteDurably } else { Call::Write };
        visit.state.record(call, Target::File(self.inode), position, from, outcome(&result));
        result
    }

    fn sync(&self) -> io::Result<()> {
        self.simple(Call::Sync, 0, |visit| {
            let state = &mut *visit.state;
            if visit.last {
                return Err(off());
            }
            let rate = state.faults.sync_error;
            if state.rng.per_million(rate) {
                state.damage.errors += 1;
                let path = state.path_of(self.inode);
                state.damage.dropped.insert(path);
                let mut rng = state.rng.clone();
                state.content(self.inode).fail_sync(&mut rng);
                state.rng = rng;
                return Err(os(libc::EIO));
            }
            if !state.lies() {
                state.content(self.inode).sync();
            }
            Ok(0)
        })?;
        Ok(())
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        self.simple(Call::Reserve, size, |visit| {
            visit.state.allocate(self.inode, size)?;
            Self::change(visit, self.inode, Change::Grow(size), false);
            Ok(0)
        })?;
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.simple(Call::SetSize, size, |visit| {
            let allocated = size.next_multiple_of(4096);
            Self::change(visit, self.inode, Change::Size(size), false);
            let content = visit.state.content(self.inode);
            content.allocated = content.allocated.min(allocated);
            Ok(0)
        })?;
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        self.simple(Call::Size, 0, |visit| Ok(visit.state.content(self.inode).visible().size()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::disk::{Crash, Device};
    use super::super::faults::Faults;
    use super::*;
    use crate::io::{Disk, read_full, read_up_to, write_full};
    use std::sync::Arc;

    /// Memory as direct I/O wants it.
    #[repr(C, align(4096))]
    struct Aligned([u8; 16384]);

    fn aligned(byte: u8) -> Box<Aligned> {
        Box::new(Aligned([byte; 16384]))
    }

    fn read_all(disk: &dyn Disk, path: &str) -> Vec<u8> {
        let file = disk.open(path, OpenMode::Read).expect("the file exists");
        let mut all = vec![0; file.size().expect("the machine is on") as usize];
        assert!(read_full(&*file, 0, &mut all).expect("no fault is set"));
        all
    }

    #[test]
    fn durable_writes_in_synced_directories_survive() {
        for seed in 0..50 {
            let device = Device::new(seed);
            let disk = device.attach();
            disk.create_dir("d").expect("the name is free");
            let file = disk.open("d/a", OpenMode::CreateNew).expect("the name is free");
            file.reserve(65_536).expect("there is space");
            file.sync().expect("no fault is set");
            disk.sync_dir("d").expect("no fault is set");
            disk.sync_dir("").expect("no fault is set");
            assert_eq!(file.write_at(4096, &aligned(7).0, true).expect("no fault is set"), 16_384);
            device.turn_off();
            assert!(file.write_at(4096, &aligned(8).0, true).is_err(), "the machine is off");
            device.settle(Crash::PowerCut);
            let disk = device.attach();
            let all = read_all(&*disk, "d/a");
            assert_eq!(all.len(), 65_536);
            assert!(all[4096..20_480].iter().all(|b| *b == 7) && all[20_480..].iter().all(|b| *b == 0));
            assert!(file.size().is_err(), "the old incarnation stays dead");
        }
    }

    #[test]
    fn unaligned_transfers_are_refused() {
        let disk = Device::new(1).attach();
        let file = disk.open("a", OpenMode::CreateNew).expect("the name is free");
        let memory = aligned(1);
        for (position, range) in [(1, 0..512), (0, 1..513), (0, 0..100)] {
            let error = file.write_at(position, &memory.0[range], true).expect_err("it is unaligned");
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }

    /// A loss of power may leave a file that ends within a sector.
    #[test]
    fn a_file_that_ends_within_a_sector_is_read_to_its_end() {
        let disk = Device::new(1).attach();
        let file = disk.open("a", OpenMode::CreateNew).expect("the name is free");
        write_full(&*file, 0, &aligned(7).0[..8192], true).expect("no fault is set");
        file.set_size(5000).expect("no fault is set");
        let mut into = aligned(0);
        assert_eq!(read_up_to(&*file, 0, &mut into.0[..8192]).expect("its end is no error"), 5000);
        assert!(into.0[..5000].iter().all(|byte| *byte == 7) && into.0[5000] == 0);
        assert!(!read_full(&*file, 0, &mut into.0[..8192]).expect("its end is no error"));
    }

    #[test]
    fn the_machine_goes_off_at_the_chosen_call_and_writes_under_way_may_land() {
        let (mut nothing, mut landed) = (0, 0);
        for seed in 0..200 {
            let device = Device::new(seed);
            let disk = device.attach();
            let file = disk.open("a", OpenMode::CreateNew).expect("the name is free");
            disk.sync_dir("").expect("no fault is set");
            device.crash_after(Some(1));
            file.write_at(0, &aligned(1).0, true).expect("this call comes before the crash");
            assert!(file.write_at(0, &aligned(2).0, true).is_err());
            assert!(!device.is_on());
            device.land(|| assert!(file.write_at(16_384, &aligned(3).0, true).is_err()));
            device.settle(if seed % 2 == 0 { Crash::PowerCut } else { Crash::Kill });
            let all = read_all(&*device.attach(), "a");
            let (first, second) = all.split_at(16_384);
            // A loss of power may leave anything where it met a write.
            if seed % 2 == 1 {
                assert!(first.iter().all(|b| *b == 1 || *b == 2) && second.iter().all(|b| *b == 3 || *b == 0));
            }
            let any = all.contains(&3);
            if any { landed += 1 } else { nothing += 1 }
        }
        assert!(nothing > 20 && landed > 20, "{nothing} {landed}");
    }

    #[test]
    fn short_and_interrupted_transfers_are_resumed_by_the_helpers() {
        let device = Device::new(5);
        let disk = device.attach();
        device.set_faults(Faults { short: 500_000, interrupted: 300_000, ..Faults::default() });
        let file = disk.open("a", OpenMode::CreateNew).expect("the name is free");
        for _ in 0..50 {
            write_full(&*file, 0, &aligned(9).0, true).expect("short writes are resumed");
            let mut into = aligned(0);
            assert!(read_full(&*file, 0, &mut into.0).expect("short reads are resumed"));
            assert!(into.0.iter().all(|b| *b == 9));
        }
    }

    #[test]
    fn a_full_device_refuses_growth_and_takes_it_again_when_there_is_space() {
        let device = Device::new(5);
        let disk = device.attach();
        device.set_faults(Faults { capacity: Some(65_536), ..Faults::default() });
        let a = disk.open("a", OpenMode::CreateNew).expect("there is space");
        a.reserve(65_536).expect("there is space");
        let full = |e: io::Error| matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
        assert!(disk.open("b", OpenMode::CreateNew).is_err_and(full));
        assert!(a.write_at(65_536, &aligned(1).0, true).is_err_and(full));
        a.write_at(0, &aligned(1).0, true).expect("its space was reserved");
        disk.remove("a").expect("removing needs no space");
        disk.open("b", OpenMode::CreateNew).expect("space came back");
    }

    #[test]
    fn equal_seeds_leave_equal_traces() {
        let run = |seed| {
            let device = Device::new(seed);
            let disk = device.attach();
            device.set_faults(Faults { short: 300_000, write_error: 100_000, ..Faults::default() });
            let file = disk.open("a", OpenMode::CreateNew).expect("the name is free");
            for i in 0..20 {
                drop(file.write_at(i * 512, &aligned(i as u8).0, i % 3 == 0));
            }
            device.turn_off();
            device.settle(Crash::PowerCut);
            (device.trace(), Arc::strong_count(&disk))
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }
}
