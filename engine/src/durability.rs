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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Durability {
    /// Survives the kill of the process, a crash of the system, and loss of power.
    #[default]
    Durable = 0,
    /// Acknowledged when the device has taken the write. Survives the kill of the process; loss of power may take it
    /// back.
    LoseOnPowerCut = 1,
    /// Acknowledged when it is in memory. The kill of the process may take it back.
    LoseOnKill = 2,
}

impl Durability {
    /// The number that stands for it on disk.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The durability that a number on disk stands for.
    pub(crate) fn from_code(code: u8) -> Option<Durability> {
        match code {
            0 => Some(Durability::Durable),
            1 => Some(Durability::LoseOnPowerCut),
            2 => Some(Durability::LoseOnKill),
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
            assert_eq!(Durability::from_code(durability.code()), Some(durability));
        }
        assert_eq!(Durability::from_code(3), None);
    }
}
