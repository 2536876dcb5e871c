//! Who may have how much of the memory.
//!
//! One budget, four shares: a *reserve* that is never lent, with which shards always make progress; *appenders*; the
//! *cache*, which can be evicted; and *pins*, blocks lent to consumers. Appenders and readers each have a guaranteed
//! part that the other cannot take; what lies between goes to whoever asks first. A pinned block counts as a pin
//! whoever else holds it, so the sums err on the safe side.

use crate::limits::{FRAME_MAX, SECTOR};

/// Whose memory a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Share {
    /// Never lent, never pinned: journal staging, destaging, one read of the largest batch.
    Reserve = 0,
    /// Appended to, or waiting to be written.
    Appender = 1,
    /// On the device too; can be dropped.
    Cache = 2,
}

impl Share {
    pub(super) fn from_u8(code: u8) -> Share {
        match code {
            0 => Share::Reserve,
            1 => Share::Appender,
            _ => Share::Cache,
        }
    }
}

/// The sizes given at open. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Everything.
    pub total: usize,
    /// The part that is never lent.
    pub reserve: usize,
    /// What appenders can always get, however much is cached or pinned.
    pub appenders_least: usize,
    /// What readers can always get, however much has been appended.
    pub readers_least: usize,
}

/// The largest batch with the pad behind it.
const LARGEST: usize = FRAME_MAX + 2 * SECTOR as usize;

impl Budget {
    /// Divides `total`: at least a quarter, and the largest batch if there is room for two, to appenders and to readers.
    pub(crate) fn new(total: usize, reserve: usize) -> Budget {
        let lent = total.saturating_sub(reserve);
        let least = (total / 4).max(LARGEST).min(lent / 2);
        Budget { total, reserve, appenders_least: least, readers_least: least }
    }

    /// The least total that works with this reserve: one largest batch being appended while another is being read.
    pub(crate) fn least_total(reserve: usize) -> usize {
        reserve + 2 * LARGEST
    }

    /// The most that each share can have while the others need nothing. Nothing of it is idle.
    pub(crate) fn limits(&self) -> Usage {
        let readers = self.lent() - self.appenders_least;
        let appenders = self.lent() - self.readers_least;
        Usage { reserve: self.reserve, appenders, cache: readers, pins: readers, idle: 0 }
    }

    fn lent(&self) -> usize {
        self.total.saturating_sub(self.reserve)
    }
}

/// What is in use. Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub reserve: usize,
    pub appenders: usize,
    pub cache: usize,
    pub pins: usize,
    /// Kept in free lists.
    pub idle: usize,
}

impl Usage {
    pub(super) fn held(&self) -> usize {
        self.reserve + self.appenders + self.cache + self.pins
    }
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charge {
    Granted,
    /// It would fit if so many bytes of cache were dropped.
    Evict(usize),
    /// Others have to give something back first.
    Refused,
}

/// The books: pure arithmetic over a [`Budget`] and a [`Usage`].
#[derive(Debug)]
pub(super) struct Ledger {
    pub budget: Budget,
    pub usage: Usage,
}

impl Ledger {
    pub(super) fn charge(&mut self, share: Share, size: usize) -> Charge {
        let Ledger { budget, usage } = self;
        let limit = match share {
            Share::Reserve => {
                if usage.reserve + size > budget.reserve {
                    return Charge::Refused;
                }
                usage.reserve += size;
                return Charge::Granted;
            }
            Share::Appender => {
                if usage.appenders + size > budget.lent() - budget.readers_least {
                    return Charge::Refused;
                }
                budget.lent()
            }
            // Whatever readers take leaves the appenders' part reachable.
            Share::Cache => budget.lent() - budget.appenders_least.saturating_sub(usage.appenders),
        };
        match fit(limit, usage, size) {
            Charge::Granted if share == Share::Appender => usage.appenders += size,
            Charge::Granted => usage.cache += size,
            other => return other,
        }
        Charge::Granted
    }

    pub(super) fn release(&mut self, share: Share, size: usize) {
        let used = match share {
            Share::Reserve => &mut self.usage.reserve,
            Share::Appender => &mut self.usage.appenders,
            Share::Cache => &mut self.usage.cache,
        };
        *used = used.checked_sub(size).expect("what is released was charged to this share");
    }

    /// The first pin of a block.
    pub(super) fn pin(&mut self, share: Share, size: usize) -> Charge {
        let Ledger { budget, usage } = self;
        match share {
            Share::Reserve => Charge::Refused,
            Share::Appender => {
                let limit = budget.lent() - budget.appenders_least.saturating_sub(usage.appenders);
                let charge = fit(limit, usage, size);
                if charge == Charge::Granted {
                    usage.pins += size;
                }
                charge
            }
            // From what readers may drop to what they hold: the sum stays.
            Share::Cache => {
                self.release(Share::Cache, size);
                self.usage.pins += size;
                Charge::Granted
            }
        }
    }

    /// The last pin of a block goes.
    pub(super) fn unpin(&mut self, share: Share, size: usize) {
        self.usage.pins = self.usage.pins.checked_sub(size).expect("what is unpinned was pinned");
        if share == Share::Cache {
            self.usage.cache += size;
        }
    }

    /// A block that is on the device goes from appenders to the cache. A pinned one is the pins' already. What nobody is
    /// likely to read takes no more than the readers' part: what it leaves to appenders stays warm.
    pub(super) fn retire(&mut self, pinned: bool, followed: bool, size: usize) -> Charge {
        let Ledger { budget, usage } = &self;
        if !pinned && !followed && usage.cache + usage.pins + size > budget.readers_least {
            return Charge::Refused;
        }
        self.release(Share::Appender, size);
        let charge = if pinned { Charge::Granted } else { self.charge(Share::Cache, size) };
        if charge != Charge::Granted {
            self.usage.appenders += size;
        }
        charge
    }

    /// Appenders have little left, so what they filled should reach the device soon.
    pub(super) fn is_tight(&self) -> bool {
        let Ledger { budget, usage } = self;
        let most = (budget.lent() - budget.readers_least).min(budget.lent().saturating_sub(usage.pins));
        usage.appenders > most / 4 * 3
    }
}

/// Whether appenders, cache and pins together leave room for `size` below `limit`.
fn fit(limit: usize, usage: &Usage, size: usize) -> Charge {
    let used = usage.appenders + usage.cache + usage.pins;
    match (used + size).checked_sub(limit) {
        None | Some(0) => Charge::Granted,
        Some(missing) if missing <= usage.cache => Charge::Evict(missing),
        Some(_) => Charge::Refused,
    }
}
