//! Where events wait to be taken.

use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::event::{Event, EventKind};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TopicId;
use crate::io::fork::ForkGuard;
use crate::io::{Environment, EventFd};

/// The events of an engine, in the order in which they happened. Made by [`Engine::events`](crate::Engine::events).
///
/// There is one queue for each engine, and it is there from the start: what happened while opening is in it. All
/// handles take from it, from any thread; an event is delivered once, to whichever call takes it. It holds
/// [`CAPACITY`](Events::CAPACITY) events: one more takes the place of the oldest, which is counted in
/// [`dropped`](Events::dropped), so a program that takes none pays a bounded price. It outlives the engine, to tell of its
/// close.
///
/// An event loop watches [`eventfd`](Events::eventfd) and calls [`try_next`](Events::try_next) until there is none
/// left.
///
/// ```
/// # fn main() -> thalweg::Result<()> {
/// # let dir = tempfile::tempdir().expect("a directory");
/// use thalweg::{Engine, EventKind, Options};
/// let engine = Engine::open(dir.path(), Options::default())?;
/// let events = engine.events();
/// engine.close()?;
/// let mut last = None;
/// while let Some(event) = events.try_next() {
///     println!("{} {event}", event.time);
///     last = Some(event);
/// }
/// assert!(matches!(last.map(|event| event.kind), Some(EventKind::Closed { clean: true, .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    /// Events happen in the process that opened the engine. A forked child touches no lock, which a thread that it
    /// does not have may hold.
    process: ForkGuard,
    environment: Arc<dyn Environment>,
    /// Made when it is first asked for: most programs do without.
    event: OnceLock<EventFd>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Event>,
    dropped: u64,
    /// Shards know topics by number.
    names: BTreeMap<TopicId, Arc<str>>,
}

impl Events {
    /// Events that wait at most.
    pub const CAPACITY: usize = 1024;

    pub(crate) fn new(environment: Arc<dyn Environment>) -> Events {
        let (process, event, state) = (ForkGuard::new(), OnceLock::new(), Mutex::default());
        Events { shared: Arc::new(Shared { process, environment, event, state }) }
    }

    /// Takes the oldest event, if there is one. Never waits. In a forked child there are none.
    pub fn try_next(&self) -> Option<Event> {
        if self.shared.process.forked() {
            return None;
        }
        let mut state = self.shared.lock();
        let next = state.waiting.pop_front();
        if state.waiting.is_empty()
            && let Some(event) = self.shared.event.get()
        {
            event.drain();
        }
        next
    }

    /// Events that were dropped because nobody took them, since the engine was opened. 0 in a forked child.
    pub fn dropped(&self) -> u64 {
        if self.shared.process.forked() { 0 } else { self.shared.lock().dropped }
    }

    /// A descriptor that is readable exactly while events wait, for poll, epoll and their like. Do not read from it;
    /// [`try_next`](Events::try_next) makes it unreadable when it takes the last. It lives as long as the queue, and is
    /// made by the first call.
    ///
    /// # Errors
    /// [`Io`](ErrorKind::Io) if the process has no descriptor left; [`Forked`](ErrorKind::Forked) in a forked child.
    pub fn eventfd(&self) -> Result<BorrowedFd<'_>> {
        if self.shared.process.forked() {
            let message = "the engine belongs to the process that this one was forked from; open another store here";
            return Err(Error::new(ErrorKind::Forked, message));
        }
        let state = self.shared.lock();
        if self.shared.event.get().is_none() {
            let made = EventFd::new().map_err(|e| Error::os("cannot create an eventfd", &e))?;
            if !state.waiting.is_empty() {
                made.notify();
            }
            // Under the lock: nobody else has made one meanwhile.
            let _first = self.shared.event.set(made);
        }
        drop(state);
        Ok(self.shared.event.get().expect("it was just made").as_fd())
    }

    /// Something has happened.
    pub(crate) fn raise(&self, kind: EventKind) {
        let event = Event { time: self.shared.environment.now_ms(), kind };
        #[cfg(feature = "tracing")]
        crate::sync::callback(|| super::trace::trace(&event.kind));
        let mut state = self.shared.lock();
        if state.waiting.len() == Events::CAPACITY {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back(event);
        if state.waiting.len() == 1
            && let Some(event) = self.shared.event.get()
        {
            event.notify();
        }
    }

    /// What a topic is called, for those who know its number.
    pub(crate) fn name(&self, topic: TopicId, name: &Arc<str>) {
        self.shared.lock().names.insert(topic, Arc::clone(name));
    }

    /// The topic was deleted.
    pub(crate) fn forget(&self, topic: TopicId) {
        self.shared.lock().names.remove(&topic);
    }

    /// Whether a topic is there, and not deleted.
    pub(crate) fn knows(&self, topic: TopicId) -> bool {
        self.shared.lock().names.contains_key(&topic)
    }

    /// The name of a topic.
    pub(crate) fn name_of(&self, topic: TopicId) -> String {
        self.shared.lock().names.get(&topic).map_or_else(|| format!("#{}", topic.0), |name| name.to_string())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements, so a panic elsewhere while it was locked does not matter.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl core::fmt::Debug for Events {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Events")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::io::os::OsEnvironment;

    fn events() -> Events {
        Events::new(Arc::new(OsEnvironment))
    }

    fn closed(clean: bool) -> EventKind {
        EventKind::Closed { clean }
    }

    fn readable(events: &Events) -> bool {
        events.eventfd().expect("a descriptor");
        events.shared.event.get().expect("made").wait(Some(Duration::ZERO)).expect("poll")
    }

    #[test]
    fn the_descriptor_is_readable_exactly_while_events_wait() {
        let events = events();
        assert!(!readable(&events));
        for _ in 0..3 {
            events.raise(closed(true));
            assert!(readable(&events));
        }
        for left in (0..3).rev() {
            assert_eq!(events.try_next().map(|event| event.kind), Some(closed(true)));
            assert_eq!(readable(&events), left > 0);
        }
        assert_eq!(events.try_next(), None);
        assert!(!readable(&events));
    }

    #[test]
    fn what_came_before_the_descriptor_was_asked_for_makes_it_readable() {
        let events = events();
        events.raise(closed(true));
        assert!(readable(&events));
    }

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let events = events();
        events.raise(closed(false));
        events.raise(closed(false));
        for _ in 0..Events::CAPACITY {
            events.raise(closed(true));
        }
        assert_eq!(events.dropped(), 2);
        let taken: Vec<Event> = std::iter::from_fn(|| events.try_next()).collect();
        assert_eq!(taken.len(), Events::CAPACITY);
        assert!(taken.iter().all(|event| event.kind == closed(true)), "the oldest are gone");
        assert!(taken.iter().map(|event| event.time).is_sorted());
    }

    #[test]
    fn topics_have_their_names_while_they_are_there() {
        let events = events();
        events.name(TopicId(3), &Arc::from("orders"));
        assert_eq!(events.name_of(TopicId(3)), "orders");
        events.forget(TopicId(3));
        assert_eq!(events.name_of(TopicId(3)), "#3");
    }
}
