//! An append that was refused for want of room, and is told when there may be some.

use super::queue::Place;
use crate::error::{Error, ErrorKind};
use crate::sync::{Mutex, Notify};

/// Tells in a completion queue that another try may succeed.
pub(crate) struct Vacancy {
    /// Taken by whoever uses it first.
    place: Mutex<Option<Place>>,
}

impl Vacancy {
    pub(crate) fn new(place: Place) -> Vacancy {
        Vacancy { place: Mutex::new(Some(place)) }
    }

    /// The place in the queue, of an append that succeeded after all. `None`: it was used to tell.
    pub(crate) fn take(&self) -> Option<Place> {
        self.place.lock().take()
    }
}

impl Notify for Vacancy {
    fn notify(&self, _token: u64) {
        if let Some(place) = self.take() {
            let message = "nothing was appended, for want of room; another try may succeed now";
            place.complete(Err(Error::new(ErrorKind::WouldBlock, message)));
        }
    }
}
