//! When an append counts as acknowledged.

use core::fmt;

/// What an acknowledged append survives. The weaker ones are named by what they lose.
///
/// A topic has one, and an append may ask for a weaker or a stronger one. In a [`Durable`](Durability::Durable) topic
/// an append with a weaker one is acknowledged early, and still becomes visible to readers only once it is durable.
/// In a topic of a weaker mode the high watermark follows that mode: a reader there may see a record that a crash
/// takes back.
///
/// ```
/// use thalweg::{Durability, TopicOptions};
/// let metrics = TopicOptions::default().partitions(4).durability(Durability::LoseOnKill);
/// # let _ = metrics;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Durability {
    /// Acknowledged once it is in the process's memory: the kill of the process may take it back.
    LoseOnKill = 1,
    /// Acknowledged once the device has taken the write: the loss of power may take it back, a kill does not.
    LoseOnPowerCut = 2,
    /// Acknowledged once it is on the medium: neither a kill, nor a crash of the system, nor the loss of power takes
    /// it back.
    #[default]
    Durable = 3,
}

impl Durability {
    /// The mode that a stored number stands for; `as u8` is the way there.
    pub(crate) fn from_u8(number: u8) -> Option<Durability> {
        match number {
            1 => Some(Durability::LoseOnKill),
            2 => Some(Durability::LoseOnPowerCut),
            3 => Some(Durability::Durable),
            _ => None,
        }
    }

    /// The name that commands and reports use.
    pub fn as_str(self) -> &'static str {
        match self {
            Durability::Durable => "durable",
            Durability::LoseOnPowerCut => "lose_on_power_cut",
            Durability::LoseOnKill => "lose_on_kill",
        }
    }
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_unknown_ones_are_refused() {
        for durability in [Durability::Durable, Durability::LoseOnPowerCut, Durability::LoseOnKill] {
            assert_eq!(Durability::from_u8(durability as u8), Some(durability));
        }
        assert_eq!(Durability::from_u8(0), None);
        assert!(Durability::LoseOnKill < Durability::Durable);
        assert_eq!(Durability::from_u8(4), None);
    }
}
