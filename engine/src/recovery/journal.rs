//! Step 2: which journal writes count.

use core::fmt;
use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::format::file::FileError;
use crate::format::journal::{
    JOURNAL_DATA_START, JOURNAL_HEADER_SIZE, JournalHeader, RangeEntry, WatermarkEntry, Write, WriteError,
    claimed_generation, parse, parse_any,
};
use crate::ids::{Generation, Lsn};
use crate::io::{Disk, File, OpenMode, read_full};
use crate::limits::{JOURNAL_WRITE_MAX, SECTOR};
use crate::manifest::{FIRST_LSN, Kept, Manifest, Scratch, names};
use crate::recovery::bytes::{NoView, Plain, Window};
use crate::recovery::table::{Row, Rows};
use crate::sim::bugs::{self, Bug};

/// A journal file that is scanned.
pub(super) struct JournalFile {
    /// Names the file.
    pub name: u32,
    pub set: u64,
    pub shard: u32,
    pub generation: Generation,
    /// Its place in the order in which the shard used its files.
    order: u32,
    pub first_lsn: Lsn,
    /// The number after the last write that counts.
    pub end_lsn: Lsn,
    pub file: Arc<dyn File>,
    size: u64,
    /// A write of it failed: it is not used again.
    pub failed: bool,
    /// The manifest says that it stays.
    pub kept: bool,
}

/// Takes what the scan finds.
pub(super) trait Sink {
    /// A range of a write that counts, its bytes at `at` of journal file `file`.
    fn range(&mut self, entry: &RangeEntry, file: usize, at: u64) -> Result<()>;
    /// A range that was durable and cannot be used.
    fn lost(&mut self, entry: &RangeEntry) -> Result<()>;
    fn watermark(&mut self, entry: &WatermarkEntry, file: usize) -> Result<()>;
}

/// A journal in which writes that were durable cannot be read, or may have been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DamagedJournal {
    /// The first write that is missing of a shard's.
    Unreadable { shard: u32, lsn: Lsn },
    /// A file that is gone, or cut short.
    GivenUp { name: u32 },
}

impl fmt::Display for DamagedJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DamagedJournal::Unreadable { shard, lsn } => write!(f, "shard {shard}: write {} cannot be read", lsn.0),
            DamagedJournal::GivenUp { name } => {
                write!(f, "{} is missing or cut short, and what it held is given up", names::journal(*name))
            }
        }
    }
}

/// What the scan of all journals gives, apart from ranges and watermarks.
pub(super) struct Journals {
    pub files: Vec<JournalFile>,
    pub damaged: Vec<DamagedJournal>,
}

impl Journals {
    /// Finds the journal's files: those of the current set, and those that are kept.
    /// `allowed`: one that is missing is given up, and told of.
    pub(super) fn find(
        disk: &dyn Disk,
        image: &Manifest,
        allowed: bool,
        window: &mut Window,
        rows: &mut Rows,
    ) -> Result<Journals> {
        let (mut files, mut damaged) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for name in disk.list(names::JOURNAL).map_err(|e| Error::os("listing the journal's files", &e))? {
            let Some(number) = names::parse_journal(&name) else { continue };
            names.insert(number);
            let kept = image.kept.iter().find(|((_, kept), _)| *kept == number);
            let path = names::journal(number);
            let failed = |e: std::io::Error| Error::os(format_args!("reading {path}"), &e);
            let file = disk.open(&path, OpenMode::Read).map_err(failed)?;
            let size = file.size().map_err(failed)? / SECTOR * SECTOR;
            if image.journal_files.get(&number).is_some_and(|recorded| size < *recorded) {
                give_up(number, "cut short", allowed, &mut damaged)?;
            }
            if let Some(((set, _), kept)) = kept {
                files.push(JournalFile::of_kept(number, *set, kept, file, size));
                continue;
            }
            let known = match read_header(&*file, &path, image)? {
                Header::Of(header) if header.store == image.store && header.set == image.set => Some(header),
                Header::Of(_) => {
                    rows.hit(Row::JournalFileOfAnotherSet);
                    None
                }
                found => {
                    let header = header_of_writes(&file, number, size, image, window)?;
                    rows.hit(match (&header, found) {
                        (Some(_), _) => Row::JournalFileHeaderMadeUp,
                        (None, Header::Zero) => Row::JournalFileUnused,
                        (None, _) => Row::JournalFileUnreadable,
                    });
                    header
                }
            };
            files.extend(known.map(|header| JournalFile::of_set(number, &header, file, size)));
        }
        check_copies(&files)?;
        for number in image.journal_files.keys() {
            if !names.contains(number) {
                give_up(*number, "missing", allowed, &mut damaged)?;
            }
        }
        files.sort_by_key(|f| (f.kept, f.shard, f.order, f.name));
        for ((set, number), kept) in &image.kept {
            if !files.iter().any(|f| f.kept && (f.set, f.name) == (*set, *number)) {
                rows.hit(Row::JournalKeptFileDamaged);
                damaged.push(DamagedJournal::Unreadable { shard: kept.shard, lsn: kept.first_lsn });
            }
        }
        Ok(Journals { files, damaged })
    }

    /// Numbers of a shard's writes that are read from files kept apart: the chain goes on without them.
    fn kept_apart(&self, set: u64, shard: u32) -> Vec<Range<Lsn>> {
        let kept = self.files.iter().filter(|f| f.kept && f.set == set && f.shard == shard);
        kept.map(|f| f.first_lsn..f.end_lsn).collect()
    }

    /// Scans everything that was found.
    pub(super) fn scan(
        &mut self,
        image: &Manifest,
        shards: u32,
        window: &mut Window,
        sink: &mut dyn Sink,
        rows: &mut Rows,
    ) -> Result<()> {
        let mut by_shard: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (i, file) in self.files.iter().enumerate().filter(|(_, f)| !f.kept) {
            if file.shard < shards || !bugs::active(Bug::ForgetOtherShards) {
                by_shard.entry(file.shard).or_default().push(i);
            }
        }
        for (shard, chain) in by_shard {
            let from = image.checkpoints.get(&shard).copied().unwrap_or(FIRST_LSN);
            let apart = self.kept_apart(image.set, shard);
            let mut scan = Scan::new(&mut self.files, &chain, apart, window, sink, rows);
            if let Some(lsn) = scan.run(from)? {
                self.damaged.push(DamagedJournal::Unreadable { shard, lsn });
            }
        }
        for at in 0..self.files.len() {
            if self.files[at].kept {
                let end = self.files[at].end_lsn;
                let chain = [at];
                let mut scan = Scan::new(&mut self.files, &chain, Vec::new(), window, sink, rows);
                if let Some(lsn) = scan.run_kept(at, end)? {
                    rows.hit(Row::JournalKeptFileDamaged);
                    self.damaged.push(DamagedJournal::Unreadable { shard: self.files[at].shard, lsn });
                }
            }
        }
        Ok(())
    }
}

impl JournalFile {
    fn of_kept(name: u32, set: u64, kept: &Kept, file: Arc<dyn File>, size: u64) -> JournalFile {
        JournalFile {
            name,
            set,
            shard: kept.shard,
            generation: kept.generation,
            order: 0,
            first_lsn: kept.first_lsn,
            end_lsn: kept.end_lsn,
            file,
            size,
            failed: false,
            kept: true,
        }
    }

    /// What is kept counts as durable. A process that was killed may have left writes that are not yet.
    pub(super) fn make_durable(&self) -> Result<()> {
        let path = names::journal(self.name);
        self.file.sync().map_err(|e| Error::os(format_args!("making {path} durable, which is to be kept"), &e))
    }

    fn of_set(name: u32, header: &JournalHeader, file: Arc<dyn File>, size: u64) -> JournalFile {
        JournalFile {
            name,
            set: header.set,
            shard: header.shard,
            generation: header.generation,
            order: header.number,
            first_lsn: header.first_lsn,
            end_lsn: header.first_lsn,
            file,
            size,
            failed: false,
            kept: false,
        }
    }
}

enum Header {
    Of(JournalHeader),
    Zero,
    Unreadable,
}

/// The header stands in two sectors. A first write that was torn may have left one of an earlier use beside the new one;
/// what is of the current set counts.
fn read_header(file: &dyn File, path: &str, image: &Manifest) -> Result<Header> {
    let mut found = Header::Zero;
    let mut refused = None;
    for copy in 0..JOURNAL_DATA_START / SECTOR {
        match read_header_sector(file, path, copy * SECTOR) {
            Ok(Header::Of(header)) if header.store == image.store && header.set == image.set => {
                return Ok(Header::Of(header));
            }
            Ok(Header::Of(header)) => found = Header::Of(header),
            Ok(Header::Unreadable) if matches!(found, Header::Zero) => found = Header::Unreadable,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Io => refused = Some(error),
            Err(error) => return Err(error),
        }
    }
    // A header that the device refuses could name a journal whose writes were acknowledged. That is not decided here
    // in silence.
    refused.map_or(Ok(found), Err)
}

fn read_header_sector(file: &dyn File, path: &str, position: u64) -> Result<Header> {
    let mut sector = Scratch::zeroed(JOURNAL_HEADER_SIZE)?;
    let whole = read_full(file, position, sector.bytes_mut());
    if !whole.map_err(|e| Error::os(format_args!("reading the header of {path}"), &e))? {
        return Ok(Header::Unreadable);
    }
    match JournalHeader::parse(sector.bytes()) {
        Ok(header) => Ok(Header::Of(header)),
        Err(FileError::Unsupported(what)) => Err(Error::new(ErrorKind::Unsupported, what).context(path)),
        Err(FileError::Damaged(_)) if sector.bytes().iter().all(|b| *b == 0) => Ok(Header::Zero),
        Err(FileError::Damaged(_)) => Ok(Header::Unreadable),
    }
}

/// The header as the writes of a file say, where it cannot be read, or reads as if there had never been one: the one of
/// the file's last use. Nothing says so if its first writes are gone as well.
fn header_of_writes(
    file: &Arc<dyn File>,
    name: u32,
    size: u64,
    image: &Manifest,
    window: &mut Window,
) -> Result<Option<JournalHeader>> {
    window.reset();
    let limit = size.min(JOURNAL_DATA_START + 2 * JOURNAL_WRITE_MAX as u64);
    let mut source = Plain::new(Arc::clone(file), size);
    let mut last: Option<JournalHeader> = None;
    for position in (JOURNAL_DATA_START..limit).step_by(SECTOR as usize) {
        let failed = |error| unreadable(error, name);
        let bytes = window.view(&mut source, position, SECTOR as usize).map_err(failed)?;
        let generation = claimed_generation(bytes).unwrap_or(Generation(0));
        let bytes = view(window, &mut source, generation, position).map_err(failed)?;
        if let Ok(write) | Err(WriteError::BadPayload(write)) = parse_any(bytes, generation, position)
            && (write.file.store, write.file.set) == (image.store, image.set)
        {
            last = last.into_iter().chain([write.file]).max_by_key(|header| header.number);
        }
    }
    Ok(last)
}

/// A file of the journal is not there, or not all of it.
fn give_up(name: u32, what: &str, allowed: bool, damaged: &mut Vec<DamagedJournal>) -> Result<()> {
    if allowed {
        damaged.push(DamagedJournal::GivenUp { name });
        return Ok(());
    }
    let why = format!(
        "{} is {what}, and may have held acknowledged records; put it back as it was and open again, or open with the \
         option give_up_journal (thalweg --give-up-journal) to go on without",
        names::journal(name)
    );
    Err(Error::new(ErrorKind::Corrupt, why))
}

/// Two files of one use: one of them has taken the place of another, which may have held acknowledged records.
fn check_copies(files: &[JournalFile]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for file in files.iter().filter(|file| !file.kept) {
        if let Some(other) = seen.insert(file.generation.0, file.name) {
            let (path, other) = (names::journal(file.name), names::journal(other));
            let why = format!(
                "{path} and {other} are copies of one file, and one of them may have held other acknowledged records; put \
                 it back as it was"
            );
            return Err(Error::new(ErrorKind::Corrupt, why));
        }
    }
    Ok(())
}

/// The scan of one shard's journal.
struct Scan<'a> {
    files: &'a mut Vec<JournalFile>,
    /// The shard's files in the order of their use.
    chain: &'a [usize],
    /// Numbers of writes that left the chain with a file that is kept.
    apart: Vec<Range<Lsn>>,
    window: &'a mut Window,
    sink: &'a mut dyn Sink,
    rows: &'a mut Rows,
    /// The first number that was durable and cannot be accepted.
    damaged: Option<Lsn>,
    /// The valid tables behind the first stop, by number and place; `None` before it.
    behind: Option<Vec<Behind>>,
}

/// A place in the journal: a file of the chain, and a byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    link: usize,
    position: u64,
}

/// A write whose table is valid.
#[derive(Clone, Copy)]
struct Behind {
    lsn: Lsn,
    place: Place,
    durable: Lsn,
    /// Its payload is valid too.
    whole: bool,
}

impl<'a> Scan<'a> {
    fn new(
        files: &'a mut Vec<JournalFile>,
        chain: &'a [usize],
        apart: Vec<Range<Lsn>>,
        window: &'a mut Window,
        sink: &'a mut dyn Sink,
        rows: &'a mut Rows,
    ) -> Scan<'a> {
        Scan { files, chain, apart, window, sink, rows, damaged: None, behind: None }
    }

    /// Accepts writes from number `from` on, each with exactly the next number. One that cannot be accepted and was
    /// durable is passed over: it costs the partitions that it names, and no others. Answers the first such number.
    fn run(&mut self, from: Lsn) -> Result<Option<Lsn>> {
        self.window.reset();
        let from = self.past_kept(from);
        let mut next = match self.first_link(from) {
            Some(link) => Some((Place { link, position: JOURNAL_DATA_START }, self.files[self.chain[link]].first_lsn)),
            // Every file begins later, so `from` itself is missing; what they hold says whether it was ever durable.
            None => self.pass_over(Place { link: 0, position: JOURNAL_DATA_START }, from, None)?,
        };
        while let Some((mut place, mut lsn)) = next {
            lsn = self.past_kept(lsn);
            if let Some(link) = self.continuation(place.link, lsn) {
                self.leave(place, link);
                place = Place { link, position: JOURNAL_DATA_START };
            }
            next = match self.accept(place, lsn, from)? {
                Some(size) => {
                    self.files[self.chain[place.link]].end_lsn = lsn.next();
                    Some((Place { position: place.position + size, ..place }, lsn.next()))
                }
                None if lsn < from => {
                    self.rows.hit(Row::JournalUnneededWriteUnreadable);
                    match self.find(place, from)? {
                        Some(found) => Some((found, from)),
                        None => self.pass_over(place, from, None)?,
                    }
                }
                None => self.pass_over(place, lsn, None)?,
            };
        }
        Ok(self.damaged)
    }

    /// A kept file: all its writes were durable when it was recorded.
    fn run_kept(&mut self, at: usize, end: Lsn) -> Result<Option<Lsn>> {
        self.rows.hit(Row::JournalKeptFileRead);
        self.window.reset();
        let last = Lsn(end.0.saturating_sub(1));
        let mut next = Some((Place { link: 0, position: JOURNAL_DATA_START }, self.files[at].first_lsn));
        while let Some((place, lsn)) = next.filter(|(_, lsn)| *lsn < end) {
            next = match self.accept(place, lsn, lsn)? {
                Some(size) => Some((Place { position: place.position + size, ..place }, lsn.next())),
                None => self.pass_over(place, lsn, Some(last))?,
            };
        }
        Ok(self.damaged)
    }

    /// The first number from `lsn` on that the chain itself must hold.
    fn past_kept(&self, mut lsn: Lsn) -> Lsn {
        while let Some(apart) = self.apart.iter().find(|apart| apart.contains(&lsn)) {
            lsn = apart.end;
        }
        lsn
    }

    /// The file to begin in: the last that begins at or below `from`.
    fn first_link(&self, from: Lsn) -> Option<usize> {
        self.chain.iter().rposition(|at| self.files[*at].first_lsn <= from)
    }

    /// The file that goes on with `lsn`: the last one after this that begins with exactly that number.
    fn continuation(&self, link: usize, lsn: Lsn) -> Option<usize> {
        let after = link + 1;
        self.chain[after..].iter().rposition(|at| self.files[*at].first_lsn == lsn).map(|at| at + after)
    }

    fn leave(&mut self, place: Place, next: usize) {
        let left = &mut self.files[self.chain[place.link]];
        // A file is left for the next when the largest write no longer fits, or when a write of it failed.
        left.failed = left.size.saturating_sub(place.position) >= (JOURNAL_WRITE_MAX as u64).min(left.size / 2);
        let failed = left.failed;
        self.rows.hit(if failed { Row::JournalFailedFileLeft } else { Row::JournalContinued });
        for skipped in place.link + 1..next {
            self.files[self.chain[skipped]].failed = true;
        }
        self.window.reset();
    }

    /// Takes the write `lsn` at a place, if it is whole. Its size, or that there is none.
    fn accept(&mut self, place: Place, lsn: Lsn, from: Lsn) -> Result<Option<u64>> {
        let at = self.chain[place.link];
        let file = &self.files[at];
        if place.position >= file.size {
            self.rows.hit(Row::JournalStoppedAtFileEnd);
            return Ok(None);
        }
        let mut source = Plain::new(Arc::clone(&file.file), file.size);
        let name = file.name;
        let bytes = view(self.window, &mut source, file.generation, place.position).map_err(|e| unreadable(e, name))?;
        let write = match parse(bytes, file.generation, lsn, place.position) {
            Ok(write) => write,
            Err(error) => {
                self.rows.hit(stopped(&error));
                return Ok(None);
            }
        };
        if lsn < from {
            self.rows.hit(Row::JournalWriteBelowCheckpoint);
            return Ok(Some(write.size as u64));
        }
        self.rows.hit(Row::JournalWriteAccepted);
        for range in write.ranges() {
            let payload = write.payload(&range);
            let offset = payload.as_ptr().addr() - bytes.as_ptr().addr();
            self.sink.range(&range, at, place.position + offset as u64)?;
            if self.damaged.is_some() {
                // A range goes into the journal when everything before it is durable. What one that was passed over
                // held before this is missed.
                let RangeEntry { partition, generation, position, size, end_offset: offset, .. } = range;
                let position = position.saturating_add(u64::from(size));
                self.sink.watermark(&WatermarkEntry { partition, generation, position, offset }, at)?;
            }
        }
        for watermark in write.watermarks() {
            self.sink.watermark(&watermark, at)?;
        }
        Ok(Some(write.size as u64))
    }

    /// Looks for write `lsn` behind one that cannot be read and is not needed.
    fn find(&mut self, from: Place, lsn: Lsn) -> Result<Option<Place>> {
        self.look_behind(from)?;
        Ok(self.behind(lsn).iter().find(|there| there.lsn == lsn && there.whole).map(|there| there.place))
    }

    /// The write `lsn` cannot be accepted. If it was durable, because later ones say so or because up to `known` all
    /// were, its ranges are lost, and the scan goes on with the next. Otherwise the journal ends here.
    fn pass_over(&mut self, place: Place, lsn: Lsn, known: Option<Lsn>) -> Result<Option<(Place, Lsn)>> {
        self.look_behind(place)?;
        let behind = self.behind(lsn).to_vec();
        let later = &behind[behind.partition_point(|there| there.lsn == lsn)..];
        if later.iter().map(|there| there.durable).max().max(known).is_none_or(|durable| durable < lsn) {
            self.rows.hit(Row::JournalTorn);
            for there in &behind {
                if there.lsn > lsn {
                    self.rows.hit(Row::JournalEvidenceOnly);
                }
                self.testify(there.place, false)?;
            }
            return Ok(None);
        }
        self.rows.hit(Row::JournalDamaged);
        self.damaged.get_or_insert(lsn);
        for there in &behind[..behind.len() - later.len()] {
            self.testify(there.place, true)?;
        }
        // Of two with one number, the first has failed and was made again in the next file.
        let next = later.iter().take_while(|there| there.lsn == later[0].lsn).last();
        if let Some(next) = next.filter(|next| next.place.link != place.link) {
            self.leave(place, next.place.link);
        }
        Ok(next.map(|next| (next.place, next.lsn)))
    }

    /// Passes on what the write at a place testifies: its watermarks, and its ranges if they are lost.
    fn testify(&mut self, place: Place, lost: bool) -> Result<()> {
        let at = self.chain[place.link];
        let file = &self.files[at];
        self.window.reset();
        let mut source = Plain::new(Arc::clone(&file.file), file.size);
        let name = file.name;
        let bytes = view(self.window, &mut source, file.generation, place.position).map_err(|e| unreadable(e, name))?;
        if let Ok(write) | Err(WriteError::BadPayload(write)) = parse_any(bytes, file.generation, place.position) {
            for range in write.ranges().filter(|_| lost) {
                self.sink.lost(&range)?;
            }
            for watermark in write.watermarks() {
                self.sink.watermark(&watermark, at)?;
            }
        }
        self.window.reset();
        Ok(())
    }

    /// The valid tables behind the first stop, from number `lsn` on.
    fn behind(&self, lsn: Lsn) -> &[Behind] {
        let behind = self.behind.as_deref().unwrap_or_default();
        &behind[behind.partition_point(|there| there.lsn < lsn)..]
    }

    /// Reads every sector from the first stop to the end of the shard's last file, once. Sectors that the device refuses
    /// are passed over: nothing that was accepted lies there.
    fn look_behind(&mut self, from: Place) -> Result<()> {
        if self.behind.is_some() {
            return Ok(());
        }
        let mut behind = Vec::new();
        for link in from.link..self.chain.len() {
            self.window.reset();
            let file = &self.files[self.chain[link]];
            let mut source = Plain::new(Arc::clone(&file.file), file.size);
            let mut position = if link == from.link { from.position } else { JOURNAL_DATA_START };
            while position < file.size {
                let mut step = SECTOR;
                match view(self.window, &mut source, file.generation, position) {
                    Ok(bytes) => {
                        let (write, whole) = match parse_any(bytes, file.generation, position) {
                            Ok(write) => (Some(write), true),
                            Err(WriteError::BadPayload(write)) => (Some(write), false),
                            Err(_) => (None, false),
                        };
                        if let Some(Write { lsn, durable_lsn: durable, size, .. }) = write {
                            behind.push(Behind { lsn, place: Place { link, position }, durable, whole });
                            // Behind a payload that is none, anything may stand.
                            step = if whole { SECTOR.max(size as u64) } else { SECTOR };
                        }
                    }
                    Err(NoView::Unreadable(_)) => {}
                    Err(NoView::NoMemory(error)) => return Err(error),
                }
                position += step;
            }
        }
        self.window.reset();
        behind.sort_by_key(|there| (there.lsn, there.place));
        self.behind = Some(behind);
        Ok(())
    }
}

/// The bytes at a place, as many as a write there has if there is one.
fn view<'a>(
    window: &'a mut Window,
    source: &mut Plain,
    generation: Generation,
    position: u64,
) -> core::result::Result<&'a [u8], NoView> {
    let mut size = SECTOR as usize;
    loop {
        let bytes = window.view(source, position, size)?;
        match parse_any(bytes, generation, position) {
            Err(WriteError::Incomplete { needed }) if needed > size && bytes.len() >= size => size = needed,
            _ => return window.view(source, position, size),
        }
    }
}

fn stopped(error: &WriteError<'_>) -> Row {
    match error {
        WriteError::BadPayload(_) => Row::JournalStoppedBadPayload,
        WriteError::BadLsn(_) => Row::JournalStoppedOtherNumber,
        WriteError::Incomplete { .. } | WriteError::BadTable => Row::JournalStoppedNoTable,
    }
}

/// A journal that the device refuses may hold acknowledged bytes of any partition. Opening again may work; going on
/// without it would lose them in silence.
fn unreadable(error: NoView, name: u32) -> Error {
    match error {
        NoView::Unreadable(error) => Error::os(format_args!("reading {}", names::journal(name)), &error),
        NoView::NoMemory(error) => error,
    }
}
