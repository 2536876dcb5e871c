//! The bytes of one simulated file: what programs see, what power loss leaves, and what lies between.

use std::sync::Arc;

use super::faults::{garble, torn};
use super::rng::Rng;

const PAGE: usize = 4096;

type Page = [u8; PAGE];

/// Content of a file. Pages that were never written are zeros and take no memory; the two images of a file share
/// the pages in which they agree.
#[derive(Clone, Default)]
pub(crate) struct Image {
    size: u64,
    pages: Vec<Option<Arc<Page>>>,
}

impl Image {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Copies from `position`; returns the bytes copied, fewer at the end.
    pub(crate) fn read(&self, position: u64, into: &mut [u8]) -> usize {
        let size = self.size.saturating_sub(position).min(into.len() as u64) as usize;
        let mut done = 0;
        while done < size {
            let at = position as usize + done;
            let part = (PAGE - at % PAGE).min(size - done);
            let target = &mut into[done..done + part];
            match self.pages.get(at / PAGE) {
                Some(Some(page)) => target.copy_from_slice(&page[at % PAGE..at % PAGE + part]),
                _ => target.fill(0),
            }
            done += part;
        }
        size
    }

    fn write(&mut self, position: u64, from: &[u8]) {
        let end = position + from.len() as u64;
        self.grow(end);
        let mut done = 0;
        while done < from.len() {
            let at = position as usize + done;
            let part = (PAGE - at % PAGE).min(from.len() - done);
            let source = &from[done..done + part];
            let slot = &mut self.pages[at / PAGE];
            if part == PAGE {
                *slot = Some(Arc::new(source.try_into().expect("a whole page was sliced")));
            } else {
                let page = slot.get_or_insert_with(|| Arc::new([0; PAGE]));
                Arc::make_mut(page)[at % PAGE..at % PAGE + part].copy_from_slice(source);
            }
            done += part;
        }
    }

    fn grow(&mut self, size: u64) {
        if size > self.size {
            self.size = size;
            self.pages.resize((size as usize).div_ceil(PAGE), None);
        }
    }

    fn set_size(&mut self, size: u64) {
        self.grow(size);
        if size < self.size {
            self.size = size;
            self.pages.truncate((size as usize).div_ceil(PAGE));
            let tail = size as usize % PAGE;
            if tail > 0
                && let Some(Some(page)) = self.pages.last_mut()
            {
                Arc::make_mut(page)[tail..].fill(0);
            }
        }
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { position, bytes } => self.write(*position, bytes),
            Change::Grow(size) => self.grow(*size),
            Change::Size(size) => self.set_size(*size),
        }
    }
}

/// Something that a program did to a file.
#[derive(Clone)]
pub(crate) enum Change {
    Write {
        position: u64,
        bytes: Vec<u8>,
    },
    /// The size became at least this.
    Grow(u64),
    Size(u64),
}

struct Pending {
    change: Change,
    /// Durable already; it waits here only because an earlier pending change touches the same bytes.
    settled: bool,
}

/// A file: everything acknowledged as durable, and the changes since, each of which a power cut keeps, loses or tears.
#[derive(Default)]
pub(crate) struct Content {
    visible: Image,
    durable: Image,
    pending: Vec<Pending>,
    /// A page that answers reads with an error until it is written again.
    bad: Option<u64>,
    /// Bytes below this have space reserved for them.
    pub(crate) allocated: u64,
}

impl Content {
    /// What programs read now.
    pub(crate) fn visible(&self) -> &Image {
        &self.visible
    }

    /// What a power cut is sure to leave, if nothing pending survives.
    #[cfg(test)]
    pub(crate) fn durable(&self) -> &Image {
        &self.durable
    }

    /// Whether a power cut could change what is read.
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// A change that is complete but volatile.
    pub(crate) fn change(&mut self, change: Change) {
        self.heal(&change);
        self.visible.apply(&change);
        self.pending.push(Pending { change, settled: false });
    }

    /// A change that is complete and durable.
    pub(crate) fn change_durably(&mut self, change: Change) {
        self.heal(&change);
        self.visible.apply(&change);
        if self.pending.is_empty() {
            self.durable.apply(&change);
        } else {
            self.pending.push(Pending { change, settled: true });
        }
    }

    /// Everything complete becomes durable.
    pub(crate) fn sync(&mut self) {
        for pending in self.pending.drain(..) {
            self.durable.apply(&pending.change);
        }
    }

    /// A sync that failed: some changes reached the medium, the others never will, and no later sync says so. Past
    /// the page cache, reads tell what is left; in it, they would go on to tell what was written.
    pub(crate) fn fail_sync(&mut self, rng: &mut Rng) {
        self.settle(rng);
        self.visible = self.durable.clone();
    }

    /// Power is cut: only what reached the medium is left.
    pub(crate) fn cut_power(&mut self, rng: &mut Rng) {
        self.settle(rng);
        self.visible = self.durable.clone();
    }

    fn settle(&mut self, rng: &mut Rng) {
        for pending in core::mem::take(&mut self.pending) {
            match pending.change {
                change if pending.settled => self.durable.apply(&change),
                Change::Write { position, mut bytes } => {
                    garble(rng, &mut bytes);
                    for part in torn(rng, bytes.len()) {
                        self.durable.write(position + part.start as u64, &bytes[part]);
                    }
                }
                change => {
                    if rng.one_in(2) {
                        self.durable.apply(&change);
                    }
                }
            }
        }
    }

    /// A page that was written becomes unreadable. Its position, or `None` if there is none.
    pub(crate) fn go_bad(&mut self, rng: &mut Rng) -> Option<u64> {
        let written: Vec<usize> = (0..self.durable.pages.len()).filter(|&i| self.durable.pages[i].is_some()).collect();
        if written.is_empty() {
            return None;
        }
        let position = (*rng.pick(&written) * PAGE) as u64;
        self.bad = Some(position);
        Some(position)
    }

    /// Whether a read meets the page that cannot be read.
    pub(crate) fn is_bad(&self, position: u64, size: usize) -> bool {
        self.bad.is_some_and(|bad| position < bad + PAGE as u64 && bad < position + size as u64)
    }

    /// A device puts a page that is written as a whole elsewhere.
    fn heal(&mut self, change: &Change) {
        if let (Some(bad), Change::Write { position, bytes }) = (self.bad, change)
            && *position <= bad
            && bad + PAGE as u64 <= position + bytes.len() as u64
        {
            self.bad = None;
        }
    }

    /// Flips up to three bits of durable bytes that are not all zero. `None`: there are none.
    pub(crate) fn rot(&mut self, rng: &mut Rng) -> Option<u64> {
        let written: Vec<usize> = (0..self.durable.pages.len()).filter(|&i| self.durable.pages[i].is_some()).collect();
        if written.is_empty() {
            return None;
        }
        let index = *rng.pick(&written);
        let page = self.durable.pages[index].as_ref().expect("written pages were chosen");
        // A page that holds little is mostly padding: prefer the bytes that say something.
        let said: Vec<usize> = (0..PAGE).filter(|&at| page[at] != 0).collect();
        let at = if said.is_empty() || rng.one_in(4) { rng.index(PAGE) } else { *rng.pick(&said) };
        let position = (index * PAGE + at) as u64;
        let mut byte = page[at];
        for _ in 0..rng.between(1, 3) {
            byte ^= 1 << rng.below(8);
        }
        if byte == page[at] {
            byte ^= 1;
        }
        if position >= self.durable.size {
            return None;
        }
        self.durable.write(position, &[byte]);
        if position < self.visible.size {
            self.visible.write(position, &[byte]);
        }
        Some(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(position: u64, byte: u8, size: usize) -> Change {
        Change::Write { position, bytes: vec![byte; size] }
    }

    fn bytes(image: &Image) -> Vec<u8> {
        let mut all = vec![0xee; image.size() as usize];
        assert_eq!(image.read(0, &mut all), all.len());
        all
    }

    #[test]
    fn images_read_back_what_was_written_and_zeros_between() {
        let mut image = Image::default();
        image.write(5000, &[7; 6000]);
        image.grow(20_000);
        let all = bytes(&image);
        assert_eq!(all.len(), 20_000);
        assert!(all[..5000].iter().all(|b| *b == 0) && all[5000..11_000].iter().all(|b| *b == 7));
        image.set_size(6000);
        image.grow(9000);
        let all = bytes(&image);
        assert!(all[5000..6000].iter().all(|b| *b == 7) && all[6000..].iter().all(|b| *b == 0));
        assert_eq!(image.read(8999, &mut [0; 10]), 1);
        assert_eq!(image.read(9000, &mut [0; 10]), 0);
    }

    #[test]
    fn durable_changes_survive_every_power_cut_and_volatile_ones_have_every_fate() {
        let mut fates = [0; 4];
        for seed in 0..300 {
            let mut content = Content::default();
            content.change_durably(write(0, 1, 8192));
            content.change(write(8192, 2, 8192));
            content.cut_power(&mut Rng::new(seed));
            let all = bytes(content.visible());
            assert!(all[..8192].iter().all(|b| *b == 1));
            let kept = all[8192..].iter().filter(|b| **b == 2).count();
            let others = all[8192..].iter().filter(|b| **b > 2).count();
            assert!(others <= 4096, "one sector at most holds what nobody wrote");
            fates[if others > 0 {
                3
            } else if kept == 0 {
                0
            } else {
                1 + usize::from(kept == 8192)
            }] += 1;
        }
        assert!(fates.iter().all(|n| *n > 20), "{fates:?}");
    }

    #[test]
    fn an_older_volatile_write_never_replaces_a_newer_durable_one() {
        for seed in 0..100 {
            let mut content = Content::default();
            content.change(write(0, 1, 4096));
            content.change_durably(write(0, 2, 4096));
            content.cut_power(&mut Rng::new(seed));
            assert!(bytes(content.visible()).iter().all(|b| *b == 2));
        }
    }

    #[test]
    fn what_a_failed_sync_dropped_no_later_sync_brings_back() {
        let mut lost = 0;
        for seed in 0..100 {
            let mut rng = Rng::new(seed);
            let mut content = Content::default();
            content.change(write(0, 1, 4096));
            content.fail_sync(&mut rng);
            let left = bytes(content.visible());
            content.sync();
            content.cut_power(&mut rng);
            assert_eq!(bytes(content.visible()), left);
            lost += usize::from(bytes(content.visible()).iter().filter(|b| **b == 1).count() < 4096);
        }
        assert!(lost > 20, "{lost}");
    }

    #[test]
    fn a_sync_makes_complete_changes_durable() {
        let mut content = Content::default();
        content.change(Change::Grow(65_536));
        content.change(write(4096, 9, 4096));
        content.sync();
        assert!(content.is_settled());
        content.cut_power(&mut Rng::new(3));
        assert_eq!(content.durable().size(), 65_536);
        assert_eq!(bytes(content.visible())[4096], 9);
    }

    #[test]
    fn rot_changes_one_durable_byte() {
        let mut content = Content::default();
        assert_eq!(content.rot(&mut Rng::new(1)), None);
        content.change_durably(write(0, 5, 4096));
        let at = content.rot(&mut Rng::new(1)).expect("there is something to rot") as usize;
        let all = bytes(content.visible());
        assert!(all[at] != 5 && all.iter().filter(|b| **b != 5).count() == 1);
    }
}
