//! What bounds everybody: a bare io_uring loop with the best settings, over files that were written before.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::waiting::Waiting;
use super::{Entry, Peer, Way};
use crate::error::Result;
use crate::payload::Payload;
use crate::plan::{Plan, Workload};
use crate::producer::{Boxed, Producer};
use crate::{BareFiles, Buffers, Grid, Prepared, Shape, best_read, best_write};

pub(super) const ENTRY: Entry = Entry {
    name: "bare",
    durability: "RWF_DSYNC on every write; no log, no checksum, no copy, no record",
    same: true,
    reads: true,
    hop: None,
    version: || {
        Buffers::new(4096, 1, false)?;
        Ok("io_uring".to_owned())
    },
    way: Way::Open(|plan| Ok(Box::new(Bare::open(plan)?))),
};

/// Bytes of a file that is written to in bulk, and of one that single appends go to.
const BULK: u64 = 256 << 20;
const SINGLE: u64 = 4 << 20;
/// Bytes that each shape of the sweep moves.
const SWEEP: u64 = 16 << 20;
/// Blocks that are written in one go.
const BLOCKS: usize = 64;

struct Bare {
    plan: Plan,
    /// Files that have no producer yet.
    files: Mutex<Vec<BareFiles>>,
    shape: Shape,
    records: AtomicU64,
}

impl Bare {
    fn open(plan: &Plan) -> Result<Bare> {
        let reading = plan.workload == Workload::Catchup;
        let bulk = reading || plan.case.in_flight == 0;
        let size = match (reading, bulk) {
            (true, _) => (plan.backlog() * plan.record_size as u64).next_multiple_of(1 << 20),
            (_, true) => BULK,
            _ => SINGLE.max(plan.record_size as u64 * 16),
        };
        let file = |number: u32| -> Result<BareFiles> {
            let dir = plan.dir.join(number.to_string());
            std::fs::create_dir_all(&dir)?;
            Ok(BareFiles::new(&dir, 1, size, Prepared::Written)?)
        };
        let files = (0..plan.case.threads).map(file).collect::<Result<Vec<_>>>()?;
        let shape = match (reading, bulk) {
            (true, _) => best_read(&files[0], SWEEP.min(size), Grid::FULL)?.best,
            (_, true) => best_write(&plan.dir, SWEEP, Prepared::Written, Grid::FULL)?.best,
            _ => Shape::single((plan.record_size * plan.case.batch as usize).next_multiple_of(4096)),
        };
        Ok(Bare { plan: plan.clone(), files: Mutex::new(files), shape, records: AtomicU64::new(0) })
    }

    fn file(&self) -> Result<BareFiles> {
        let mut files = self.files.lock().map_err(|_| "a producer panicked")?;
        files.pop().ok_or_else(|| "a file for each thread".into())
    }
}

impl Peer for Bare {
    fn producer<'a>(&'a self, payload: &'a Payload) -> Result<Boxed<'a>> {
        if self.plan.workload == Workload::Catchup {
            // What is read was written when the file was made.
            return Ok(Box::new(Waiting(move |_| {
                self.records.fetch_add(payload.batch() as u64, Ordering::Relaxed);
                Ok(())
            })));
        }
        Ok(Box::new(Writer {
            file: self.file()?,
            buffers: None,
            shape: self.shape,
            blocks: if self.plan.case.in_flight == 0 { BLOCKS } else { 1 },
            pending: 0,
            begun: Vec::new(),
            payload,
            records: &self.records,
        }))
    }

    fn read(&self, _each: &mut dyn FnMut(&[u8])) -> Result<u64> {
        let size = self.plan.backlog() * self.plan.record_size as u64;
        self.file()?.read(&mut self.shape.buffers()?, self.shape.count(size).max(1))?;
        Ok(self.plan.backlog())
    }

    fn records(&self) -> Result<u64> {
        Ok(self.records.load(Ordering::Relaxed))
    }
}

/// Writes whole blocks, as soon as there is enough for some.
struct Writer<'a> {
    file: BareFiles,
    /// Made by the thread that writes: a ring belongs to one.
    buffers: Option<Buffers>,
    shape: Shape,
    blocks: usize,
    /// Bytes that no block has taken yet.
    pending: usize,
    begun: Vec<Instant>,
    payload: &'a Payload,
    records: &'a AtomicU64,
}

impl Writer<'_> {
    fn write(&mut self, blocks: usize, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        let buffers = match &mut self.buffers {
            Some(buffers) => buffers,
            none => none.insert(self.shape.buffers()?),
        };
        self.file.write(buffers, blocks)?;
        self.pending = self.pending.saturating_sub(blocks * self.shape.block);
        self.begun.drain(..).for_each(acknowledged);
        Ok(())
    }
}

impl Producer for Writer<'_> {
    fn append(&mut self, _batch: usize, begun: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        self.pending += self.payload.size();
        self.begun.extend(begun);
        self.records.fetch_add(self.payload.batch() as u64, Ordering::Relaxed);
        match self.blocks {
            1 => self.write(1, acknowledged),
            blocks if self.pending >= blocks * self.shape.block => self.write(blocks, acknowledged),
            _ => Ok(()),
        }
    }

    fn settle(&mut self, until: Option<Instant>, acknowledged: &mut dyn FnMut(Instant)) -> Result<()> {
        if self.pending > 0 && until.is_none() {
            self.write(self.pending.div_ceil(self.shape.block), acknowledged)?;
        }
        // A ring that is used by one thread at a time has to be made by it; the next may be another.
        if until.is_none() {
            self.buffers = None;
        }
        Ok(())
    }
}
