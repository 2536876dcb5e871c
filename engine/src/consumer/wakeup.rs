//! Ending a poll early.

use super::signal::Signal;
use crate::sync::Arc;

/// Ends a poll of a [`Consumer`](crate::Consumer) early, from another thread. Made by
/// [`Consumer::wakeup`](crate::Consumer::wakeup); it may outlive the consumer, and does nothing then.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{ConsumerOptions, Engine, Options, TopicOptions};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let mut consumer = engine.consumer(ConsumerOptions::default())?;
/// consumer.subscribe(&engine.create_topic("orders", TopicOptions::default())?)?;
/// let wakeup = consumer.wakeup();
/// let waiting = std::thread::spawn(move || consumer.poll(1 << 20, None));
/// wakeup.wake();
/// assert!(waiting.join().expect("it ends")?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Wakeup {
    signal: Arc<Signal>,
}

impl Wakeup {
    pub(super) fn new(signal: &Arc<Signal>) -> Wakeup {
        Wakeup { signal: Arc::clone(signal) }
    }

    /// The poll that waits returns, with nothing, as if its time had passed. If none waits, the next one that would does.
    /// Polls as a `Future` go on waiting.
    pub fn wake(&self) {
        self.signal.interrupt();
    }
}

impl core::fmt::Debug for Wakeup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Wakeup")
    }
}
