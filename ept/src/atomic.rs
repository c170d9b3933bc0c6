//! The atomics that entries are made of.
//!
//! In this crate's own unit tests each operation first lets simulated CPUs run: see `beside_cpus`.

#[cfg(not(test))]
pub(crate) use core::sync::atomic::AtomicU64;

#[cfg(test)]
pub(crate) use interleaved::AtomicU64;

#[cfg(test)]
mod interleaved {
    use core::sync::atomic::{self, Ordering};

    use crate::beside_cpus::let_cpus_run;

    /// An atomic whose operations may each come late.
    #[derive(Debug)]
    pub struct AtomicU64(pub(crate) atomic::AtomicU64);

    impl AtomicU64 {
        pub const fn new(value: u64) -> Self {
            Self(atomic::AtomicU64::new(value))
        }

        pub(crate) fn load(&self, ordering: Ordering) -> u64 {
            let_cpus_run(&self.0);
            self.0.load(ordering)
        }

        pub(crate) fn store(&self, value: u64, ordering: Ordering) {
            let_cpus_run(&self.0);
            self.0.store(value, ordering);
        }

        pub(crate) fn swap(&self, value: u64, ordering: Ordering) -> u64 {
            let_cpus_run(&self.0);
            self.0.swap(value, ordering)
        }

        pub(crate) fn fetch_or(&self, value: u64, ordering: Ordering) -> u64 {
            let_cpus_run(&self.0);
            self.0.fetch_or(value, ordering)
        }

        pub(crate) fn fetch_and(&self, value: u64, ordering: Ordering) -> u64 {
            let_cpus_run(&self.0);
            self.0.fetch_and(value, ordering)
        }

        pub(crate) fn compare_exchange_weak(
            &self,
            old: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            let_cpus_run(&self.0);
            self.0.compare_exchange_weak(old, new, success, failure)
        }
    }
}
