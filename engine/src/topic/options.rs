//! What a topic is created with.

use crate::durability::Durability;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::PARTITIONS_MAX;

/// How a topic is laid out and when its appends count. A plain builder, checked by
/// [`Engine::create_topic`](crate::Engine::create_topic).
///
/// ```
/// use thalweg::{Durability, TopicOptions};
/// let options = TopicOptions::default().partitions(4).durability(Durability::LoseOnPowerCut);
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct TopicOptions {
    pub(crate) partitions: u32,
    pub(crate) durability: Option<Durability>,
}

impl Default for TopicOptions {
    fn default() -> TopicOptions {
        TopicOptions { partitions: 1, durability: None }
    }
}

impl TopicOptions {
    /// Number of partitions, 1 to 65,536; 1 by default. A partition costs no file until its first append.
    pub fn partitions(mut self, partitions: u32) -> TopicOptions {
        self.partitions = partitions;
        self
    }

    /// When appends to this topic are acknowledged and become visible. By default what the engine was opened with
    /// ([`Options::durability`](crate::Options::durability)).
    pub fn durability(mut self, durability: Durability) -> TopicOptions {
        self.durability = Some(durability);
        self
    }

    /// Refuses a name and options that [`Engine::create_topic`](crate::Engine::create_topic) would refuse in any store.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a name that is not 1 to 249 of `[A-Za-z0-9._-]`, or is `.` or
    /// `..`, and for a number of partitions outside its range.
    pub fn check(&self, name: &str) -> Result<()> {
        super::name::check(name)?;
        check_partitions(self.partitions)
    }
}

/// Refuses a number of partitions that is out of range.
pub(crate) fn check_partitions(partitions: u32) -> Result<()> {
    if (1..=PARTITIONS_MAX).contains(&partitions) {
        return Ok(());
    }
    let message = format!("option partitions is {partitions}; allowed are 1 to {PARTITIONS_MAX}");
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_at_their_limits() {
        for (partitions, fits) in [(0, false), (1, true), (65_536, true), (65_537, false)] {
            let result = TopicOptions::default().partitions(partitions).check("t");
            assert_eq!(result.is_ok(), fits, "{partitions}");
            if let Err(error) = result {
                assert!(error.message().contains(&format!("partitions is {partitions}; allowed are 1 to 65536")));
            }
        }
    }
}
