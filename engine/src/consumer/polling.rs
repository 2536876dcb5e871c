//! A poll as a future.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::consumer::Consumer;
use super::poll::Polled;
use crate::error::Result;

/// What [`Consumer::poll_async`] answers: records, as soon as there are some. It needs no particular executor.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// # use thalweg::{ConsumerOptions, Engine, Options, Record, TopicOptions};
/// # let engine = Engine::open(dir.path(), Options::default())?;
/// # let topic = engine.create_topic("orders", TopicOptions::default())?;
/// # topic.append(&Record::new("paid"))?;
/// async fn count(mut consumer: thalweg::Consumer) -> thalweg::Result<usize> {
///     let polled = consumer.poll_async(1 << 20).await?;
///     Ok(polled.iter().map(|polled| polled.batch.len()).sum())
/// }
/// # use std::task::{Context, Poll, Waker};
/// # let mut consumer = engine.consumer(ConsumerOptions::default())?;
/// # consumer.subscribe(&topic)?;
/// # let mut counted = Box::pin(count(consumer));
/// # match counted.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
/// #     Poll::Ready(count) => assert_eq!(count?, 1),
/// #     Poll::Pending => unreachable!("the record is in memory"),
/// # }
/// # Ok(())
/// # }
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct Polling<'a> {
    consumer: &'a mut Consumer,
    max_bytes: usize,
}

impl<'a> Polling<'a> {
    pub(super) fn new(consumer: &'a mut Consumer, max_bytes: usize) -> Polling<'a> {
        Polling { consumer, max_bytes }
    }
}

impl Future for Polling<'_> {
    type Output = Result<Vec<Polled>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<Vec<Polled>>> {
        loop {
            let max_bytes = self.max_bytes;
            let polled = self.consumer.take(max_bytes, usize::MAX)?;
            if !polled.is_empty() {
                return Poll::Ready(Ok(polled));
            }
            if self.consumer.signal.watch(context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.consumer.signal.unwatch();
    }
}

impl core::fmt::Debug for Polling<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Polling({:?})", self.consumer)
    }
}
