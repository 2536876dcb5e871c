//! Time and chance of a simulated world.

use std::sync::Mutex;

use super::rng::{Rng, scramble};
use crate::io::Environment;

/// A clock that only the world moves, and numbers that only its seed decides. Shared by all incarnations.
pub(crate) struct SimEnvironment {
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    monotonic_ns: u64,
    wall_ms: i64,
}

impl SimEnvironment {
    pub(crate) fn new(seed: u64) -> SimEnvironment {
        let rng = Rng::new(scramble(seed ^ 0x5eed));
        SimEnvironment { state: Mutex::new(State { rng, monotonic_ns: 1, wall_ms: 1_700_000_000_000 }) }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("nothing panics while it holds the clock"))
    }

    /// Lets time pass, for both clocks.
    pub(crate) fn advance_ns(&self, ns: u64) {
        self.with(|state| {
            state.monotonic_ns += ns;
            state.wall_ms += (ns / 1_000_000) as i64;
        });
    }

    /// Sets the wall clock, which somebody may do at any time in either direction.
    pub(crate) fn step_wall_ms(&self, by: i64) {
        self.with(|state| state.wall_ms += by);
    }
}

impl Environment for SimEnvironment {
    fn now_ms(&self) -> i64 {
        self.with(|state| state.wall_ms)
    }

    fn monotonic_ns(&self) -> u64 {
        self.with(|state| state.monotonic_ns)
    }

    fn random(&self) -> u64 {
        self.with(|state| state.rng.next().max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wall_clock_goes_back() {
        let env = SimEnvironment::new(1);
        let (wall, monotonic) = (env.now_ms(), env.monotonic_ns());
        env.advance_ns(5_000_000);
        assert_eq!((env.now_ms(), env.monotonic_ns()), (wall + 5, monotonic + 5_000_000));
        env.step_wall_ms(-1000);
        assert_eq!((env.now_ms(), env.monotonic_ns()), (wall - 995, monotonic + 5_000_000));
        assert_ne!(env.random(), env.random());
    }
}
