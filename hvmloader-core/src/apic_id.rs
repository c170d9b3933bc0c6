//! APIC ids: which one the processor with a given index has.

use crate::Error;

/// How many threads a core has and how many cores a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuTopology {
    /// Threads of a core, at least 1.
    pub threads: u32,
    /// Cores of a package, at least 1.
    pub cores: u32,
}

impl CpuTopology {
    /// Returns the APIC id of the CPU with the index `index`, where the threads of a core and the
    /// cores of a package follow each other.
    ///
    /// Thread, core and package have a bit field each, as wide as the largest number needs: with 3
    /// cores of 2 threads, CPU 6 is the first of package 1 and has id 8.
    ///
    /// # Errors
    /// [`Error::Topology`] where a count is zero or an id would need more than 32 bits.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Hierarchical Mapping of Shared Resources" and "Hierarchical ID of
    /// Logical Processors in an MP System".
    pub const fn apic_id(self, index: u32) -> Result<u32, Error> {
        let Self { threads, cores } = self;
        let refused = Err(Error::Topology { threads, cores, index });
        if threads == 0 || cores == 0 {
            return refused;
        }
        let thread_bits = bits(threads);
        let core_bits = bits(cores);
        let (thread, core) = (index % threads, index / threads % cores);
        let package = index / threads / cores;
        // Each field fits 32 bits, but shifted they may not.
        let shift = thread_bits + core_bits;
        if shift > 32 {
            return refused;
        }
        let id = (package as u64) << shift | (core as u64) << thread_bits | thread as u64;
        if id > 0xFFFF_FFFF {
            return refused;
        }
        #[allow(clippy::cast_possible_truncation, reason = "compared above")]
        Ok(id as u32)
    }
}

/// Returns how many bits the numbers below `count`, which is not zero, need.
const fn bits(count: u32) -> u32 {
    u32::BITS - (count - 1).leading_zeros()
}
