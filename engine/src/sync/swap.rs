//! A shared value that is replaced whole and read without a lock.

use core::ops::Deref;

use super::Arc;

/// An `Arc` that readers load in a few nanoseconds and writers replace.
pub(crate) struct Swap<T> {
    #[cfg(not(loom))]
    inner: arc_swap::ArcSwap<T>,
    #[cfg(loom)]
    inner: loom::sync::Mutex<Arc<T>>,
}

impl<T> Swap<T> {
    pub(crate) fn new(value: T) -> Swap<T> {
        #[cfg(not(loom))]
        let inner = arc_swap::ArcSwap::from_pointee(value);
        #[cfg(loom)]
        let inner = loom::sync::Mutex::new(Arc::new(value));
        Swap { inner }
    }

    /// The value as it is now. To hold on to it for long, [`Swap::load_full`].
    #[inline]
    pub(crate) fn load(&self) -> Loaded<T> {
        #[cfg(not(loom))]
        return Loaded { inner: self.inner.load() };
        #[cfg(loom)]
        return Loaded { inner: self.load_full() };
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        #[cfg(not(loom))]
        return self.inner.load_full();
        #[cfg(loom)]
        return Arc::clone(&self.inner.lock().expect("nothing panics in this section"));
    }

    pub(crate) fn store(&self, value: T) {
        let value = Arc::new(value);
        #[cfg(not(loom))]
        self.inner.store(value);
        #[cfg(loom)]
        let _old = core::mem::replace(&mut *self.inner.lock().expect("nothing panics in this section"), value);
    }

    /// Replaces the value by a function of itself; `f` runs again when another writer came between.
    pub(crate) fn update(&self, mut f: impl FnMut(&T) -> T) {
        #[cfg(not(loom))]
        self.inner.rcu(|old| f(old));
        #[cfg(loom)]
        {
            let mut value = self.inner.lock().expect("nothing panics in this section");
            let new = Arc::new(f(&value));
            let _old = core::mem::replace(&mut *value, new);
        }
    }
}

impl<T> core::fmt::Debug for Swap<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Swap")
    }
}

/// What [`Swap::load`] found.
pub(crate) struct Loaded<T> {
    #[cfg(not(loom))]
    inner: arc_swap::Guard<Arc<T>>,
    #[cfg(loom)]
    inner: Arc<T>,
}

impl<T> Deref for Loaded<T> {
    type Target = Arc<T>;

    #[inline]
    fn deref(&self) -> &Arc<T> {
        &self.inner
    }
}
