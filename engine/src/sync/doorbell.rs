//! How a sleeper is woken, without a call into the kernel while it is awake.

use super::{AtomicBool, Guard, Ordering, order};

/// What makes the noise. A ring while nobody sleeps is heard by whoever sleeps next.
pub(crate) trait Bell: Send + Sync {
    fn ring(&self);
}

/// A bell and a note that somebody sleeps beside it.
///
/// No wake-up is lost: the sleeper exchanges the note, then looks at all its inputs again before it sleeps; a waker
/// gives its input, then exchanges the note. Of two exchanges one comes second: either the waker sees the note, or the
/// sleeper sees the input.
pub(crate) struct Doorbell<B> {
    asleep: AtomicBool,
    bell: B,
}

impl<B: Bell> Doorbell<B> {
    pub(crate) fn new(bell: B) -> Doorbell<B> {
        Doorbell { asleep: AtomicBool::new(false), bell }
    }

    /// Puts up the note. The caller then looks at all its inputs, and sleeps only if there is none.
    pub(crate) fn lie_down(&self) {
        self.asleep.swap(true, order(Guard::DoorbellOrders, Ordering::AcqRel));
    }

    /// Takes the note down, by an exchange as well: a store would hide what a waker gave that found no note, because
    /// another had rung already. A ring that is under way wakes the next sleep once for nothing.
    pub(crate) fn get_up(&self) {
        self.asleep.swap(false, order(Guard::DoorbellOrders, Ordering::AcqRel));
    }

    /// Rings if somebody sleeps. The caller has given its input before.
    pub(crate) fn wake(&self) {
        // One ring is enough for any number of wakers.
        if self.asleep.swap(false, order(Guard::DoorbellOrders, Ordering::AcqRel)) {
            self.bell.ring();
        }
    }

    pub(crate) fn bell(&self) -> &B {
        &self.bell
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::thread;

    use super::*;
    use crate::sync::model::{model, needs};
    use crate::sync::{Arc, Futex, held};

    /// As an eventfd does, it keeps a ring until somebody hears it.
    struct Chime(Futex);

    impl Bell for Chime {
        fn ring(&self) {
            self.0.word.swap(1, Ordering::AcqRel);
            self.0.wake_one();
        }
    }

    impl Chime {
        fn sleep(&self) {
            while self.0.word.swap(0, Ordering::AcqRel) == 0 {
                self.0.wait(0, None);
            }
        }
    }

    /// One input from each of two wakers; the sleeper takes both and never sleeps for ever, which loom would notice.
    fn sleep_and_wake() {
        let house = Arc::new((Doorbell::new(Chime(Futex::new(0))), [AtomicBool::new(false), AtomicBool::new(false)]));
        let wakers: Vec<_> = (0..2)
            .map(|input| {
                let house = Arc::clone(&house);
                thread::spawn(move || {
                    // Relaxed: only the doorbell orders it.
                    house.1[input].store(true, Ordering::Relaxed);
                    house.0.wake();
                })
            })
            .collect();
        let look = || house.1.iter().filter(|input| input.load(Ordering::Relaxed)).count();
        let mut taken = 0;
        while taken < 2 {
            // Without the guard, as a sleeper that trusts its look from before the note was up.
            let early = look();
            house.0.lie_down();
            let found = if held(Guard::SleeperLooksAgain) { look() } else { early };
            if found == taken {
                house.0.bell().sleep();
            }
            house.0.get_up();
            taken = found;
        }
        for waker in wakers {
            waker.join().expect("no thread panics");
        }
    }

    #[test]
    fn loom_the_doorbell_loses_no_wake_up() {
        model(3, sleep_and_wake);
    }

    needs!(loom_the_doorbell_needs_its_ordering: sleep_and_wake without DoorbellOrders, 3);
    needs!(loom_the_sleeper_must_look_again: sleep_and_wake without SleeperLooksAgain, 3);
}
