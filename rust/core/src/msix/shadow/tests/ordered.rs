//! Loom's atomics, with an exchange for each store.
//!
//! Where one thread stores and another exchanges, loom does not know which was the last, and lets a
//! load answer either. A store that is an exchange has its place among the others.

use super::super::Ordering;
use loom::sync::atomic;

macro_rules! ordered {
    ($name:ident, $value:ty) => {
        #[derive(Debug)]
        pub(in super::super) struct $name(atomic::$name);

        impl $name {
            pub(in super::super) fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(in super::super) fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            pub(in super::super) fn store(&self, value: $value, order: Ordering) {
                self.0.swap(value, order);
            }
        }
    };
}

ordered!(AtomicU32, u32);
ordered!(AtomicU64, u64);

impl AtomicU32 {
    pub(in super::super) fn swap(&self, value: u32, order: Ordering) -> u32 {
        self.0.swap(value, order)
    }
}

impl AtomicU64 {
    pub(in super::super) fn compare_exchange(
        &self,
        old: u64,
        new: u64,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u64, u64> {
        self.0.compare_exchange(old, new, success, failure)
    }
}
