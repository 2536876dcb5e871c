//! Which faults a world has, how often, and what damage they did.

use std::collections::BTreeSet;

use super::rng::Rng;

/// How often each fault strikes, in a million calls that it could strike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// A read fails with EIO.
    pub(crate) read_error: u32,
    /// A write fails with EIO after having moved anything between nothing and everything.
    pub(crate) write_error: u32,
    /// A sync fails with EIO; what it should have made durable may be silently gone.
    pub(crate) sync_error: u32,
    /// A call that changes or opens names fails with EIO or EMFILE.
    pub(crate) name_error: u32,
    /// A read or write moves only a part.
    pub(crate) short: u32,
    /// A read or write is interrupted before it moved anything.
    pub(crate) interrupted: u32,
    /// A read returns another place's bytes, once.
    pub(crate) misdirected_read: u32,
    /// A write lands elsewhere, and is reported as done.
    pub(crate) misdirected_write: u32,
    /// A durable write or sync is acknowledged and stays volatile.
    pub(crate) lie: u32,
    /// Chance of flipped bits in durable bytes at a crash.
    pub(crate) rot: u32,
    /// Bytes that the device holds; `None` for no bound.
    pub(crate) capacity: Option<u64>,
}

impl Faults {
    /// The rates of one world: a few kinds of fault, from rare to frequent.
    pub(crate) fn draw(rng: &mut Rng) -> Faults {
        let mut rate =
            |chance: u64, high: u64| -> u32 { if rng.one_in(chance) { rng.log_between(500, high) as u32 } else { 0 } };
        Faults {
            read_error: rate(6, 10_000),
            write_error: rate(5, 30_000),
            sync_error: rate(5, 60_000),
            name_error: rate(8, 20_000),
            short: rate(3, 300_000),
            interrupted: rate(4, 100_000),
            misdirected_read: rate(16, 10_000),
            misdirected_write: rate(20, 5_000),
            lie: rate(24, 200_000),
            rot: rate(8, 500_000),
            capacity: None,
        }
    }

    /// Whether acknowledged bytes can be lost or changed behind the engine's back.
    pub(crate) fn can_damage(&self) -> bool {
        self.misdirected_write > 0 || self.lie > 0 || self.rot > 0
    }
}

/// Which files lost or changed acknowledged bytes behind the engine's back, by the name they had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Files with bytes that differ from what was acknowledged as written.
    pub(crate) files: BTreeSet<String>,
    /// Reads that got another place's bytes.
    pub(crate) misdirected_reads: u64,
    /// Bytes that rotted, and writes that went elsewhere.
    pub(crate) rotten: u64,
    pub(crate) misdirected_writes: u64,
    /// Files of which a failed sync dropped what was complete and volatile, by the name they had.
    pub(crate) dropped: BTreeSet<String>,
    /// Calls that failed with an error that the kernel would report.
    pub(crate) errors: u64,
    /// Flushes that were acknowledged and not done.
    pub(crate) lies: u64,
}

/// One sector of a write that power fails during may hold anything afterwards.
pub(crate) fn garble(rng: &mut Rng, bytes: &mut [u8]) {
    if rng.one_in(6) && !bytes.is_empty() {
        let start = rng.index(bytes.len().div_ceil(4096)) * 4096;
        let end = (start + 4096).min(bytes.len());
        bytes[start..end].fill_with(|| rng.next() as u8);
    }
}

/// Which parts of a write of `size` bytes reach the medium when power fails during it, as ranges in ascending order.
///
/// Devices tear at 512 or 4,096 bytes, in any order; a controller that dies tears anywhere.
pub(crate) fn torn(rng: &mut Rng, size: usize) -> Vec<core::ops::Range<usize>> {
    if size == 0 {
        return Vec::new();
    }
    let whole = 0..size;
    match rng.below(8) {
        0 => Vec::new(),
        1 | 2 => vec![whole],
        3 => vec![0..rng.index(size + 1)],
        4 => vec![0..rng.index(size / 512 + 1) * 512],
        5 => {
            let start = rng.index(size / 512 + 1) * 512;
            vec![start..size]
        }
        kind => {
            let unit = if kind == 6 { 512 } else { 4096 };
            let mut kept = Vec::new();
            let mut at = 0;
            while at < size {
                let end = (at + unit).min(size);
                if rng.one_in(2) {
                    kept.push(at..end);
                }
                at = end;
            }
            kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torn_writes_keep_ascending_parts_of_themselves() {
        let mut rng = Rng::new(1);
        let (mut none, mut all, mut odd) = (0, 0, 0);
        for _ in 0..10_000 {
            let size = rng.index(20) * 512;
            let parts = torn(&mut rng, size);
            let mut last = 0;
            for part in &parts {
                assert!(part.start >= last && part.end <= size);
                last = part.end;
            }
            let kept: usize = parts.iter().map(|p| p.len()).sum();
            none += usize::from(kept == 0 && size > 0);
            all += usize::from(kept == size && size > 0);
            odd += usize::from(!kept.is_multiple_of(512));
        }
        assert!(none > 500 && all > 500 && odd > 500, "{none} {all} {odd}");
    }

    #[test]
    fn worlds_differ_in_their_faults() {
        let drawn: Vec<Faults> = (0..200).map(|seed| Faults::draw(&mut Rng::new(seed))).collect();
        assert!(drawn.iter().any(|f| *f == Faults::default()), "some worlds only crash");
        assert!(drawn.iter().any(Faults::can_damage) && drawn.iter().any(|f| f.write_error > 0 && !f.can_damage()));
    }
}
