//! Code of the host program that runs on whichever thread has news for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the host. A panic of it ends here: the thread is the engine's, or another caller's.
pub(crate) fn callback(code: impl FnOnce()) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(code)) else { return };
    // What was thrown is the host's as well, and may throw again when it is dropped.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct ThrowsWhenDropped;

    impl Drop for ThrowsWhenDropped {
        fn drop(&mut self) {
            panic!("thrown again");
        }
    }

    #[test]
    fn what_is_thrown_ends_here_even_if_it_throws() {
        let mut reached = false;
        callback(|| std::panic::panic_any(ThrowsWhenDropped));
        callback(|| reached = true);
        assert!(reached);
    }
}
