//! Why the last appends of a completion queue, or the last parts of appends to a topic, failed, for whoever asks.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use thalweg::Error;

use crate::arguments;
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::status::NOT_FOUND;

/// So many are kept; older ones give way.
const KEPT: usize = 1024;

/// The last failures, by a number that never stands for a second one. 0 stands for none.
#[derive(Default)]
pub(crate) struct Reasons {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The latest last.
    kept: VecDeque<Error>,
    /// The number of the latest.
    number: u64,
}

impl Reasons {
    /// Keeps a failure; its number.
    #[cold]
    pub(crate) fn keep(&self, error: Error) -> u64 {
        let mut state = self.lock();
        if state.kept.len() == KEPT {
            state.kept.pop_front();
        }
        state.kept.push_back(error);
        state.number += 1;
        state.number
    }

    /// Tells the failure of a number as a call tells its error.
    ///
    /// # Safety
    /// NULL, or valid for reads and writes as far as its size says.
    pub(crate) unsafe fn tell(&self, number: u64, why: *mut thalweg_error) -> Answer {
        // SAFETY: as the caller says.
        let room = unsafe { arguments::filled(why)? };
        let reason = self.get(number).ok_or_else(|| Failure::new(NOT_FOUND, "no failure of this number is kept"))?;
        room.put(&thalweg_error::from(&reason.into()));
        Ok(())
    }

    /// The failure of a number, if it is still kept.
    fn get(&self, number: u64) -> Option<Error> {
        let state = self.lock();
        let newer = usize::try_from(state.number.checked_sub(number)?).ok()?;
        let at = state.kept.len().checked_sub(newer + 1)?;
        state.kept.get(at).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use thalweg::ErrorKind;

    use super::*;

    #[test]
    fn the_last_ones_are_kept_by_their_numbers() {
        let reasons = Reasons::default();
        assert!(reasons.get(0).is_none() && reasons.get(1).is_none());
        let text = |number: u64| reasons.get(number).map(|error| error.message().to_owned());
        let last = KEPT as u64 + 10;
        for number in 1..=last {
            assert_eq!(reasons.keep(Error::new(ErrorKind::Io, format!("the failure {number}"))), number);
            assert_eq!(text(number), Some(format!("the failure {number}")));
        }
        assert_eq!(text(last - KEPT as u64), None, "it has given way");
        for number in last - KEPT as u64 + 1..=last {
            assert_eq!(text(number), Some(format!("the failure {number}")));
        }
        assert!(reasons.get(0).is_none() && reasons.get(last + 1).is_none() && reasons.get(u64::MAX).is_none());
    }
}
