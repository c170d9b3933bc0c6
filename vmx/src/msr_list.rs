//! The lists of MSRs that entries and exits load and store.

use core::fmt;

use crate::Error;

/// An entry of an MSR list.
///
/// # Source
/// Intel SDM Vol. 3C, "VM-Exit Controls for MSRs", the table "Format of an MSR Entry".
#[repr(C, align(16))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MsrEntry {
    /// The number of the MSR.
    pub index: u32,
    /// Must be 0.
    pub reserved: u32,
    /// The value to load, or that was stored.
    pub value: u64,
}

const _: () = assert!(size_of::<MsrEntry>() == 16);

/// A list of MSRs with room for `N`; its address and length go into the VMCS.
#[repr(C, align(16))]
#[derive(Clone, PartialEq, Eq)]
pub struct MsrList<const N: usize> {
    entries: [MsrEntry; N],
    count: u32,
}

impl<const N: usize> MsrList<N> {
    /// Makes an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: [MsrEntry { index: 0, reserved: 0, value: 0 }; N], count: 0 }
    }

    /// Sets the value of an MSR, which is added if it is not in the list.
    ///
    /// # Errors
    /// [`Error::ListFull`] if there is no room.
    pub fn set(&mut self, index: u32, value: u64) -> Result<(), Error> {
        if let Some(entry) = self.used().iter().position(|entry| entry.index == index)
            && let Some(entry) = self.entries.get_mut(entry)
        {
            entry.value = value;
            return Ok(());
        }
        let end = usize::try_from(self.count).unwrap_or(usize::MAX);
        let slot = self.entries.get_mut(end).ok_or(Error::ListFull { limit: N })?;
        *slot = MsrEntry { index, reserved: 0, value };
        self.count += 1;
        Ok(())
    }

    /// Returns the value of an MSR, if it is in the list.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<u64> {
        self.used().iter().find(|entry| entry.index == index).map(|entry| entry.value)
    }

    /// Returns the entries. The list is at the address of the first.
    #[must_use]
    pub fn used(&self) -> &[MsrEntry] {
        let end = usize::try_from(self.count).unwrap_or(usize::MAX);
        self.entries.get(..end).unwrap_or(&self.entries)
    }

    /// Returns how many entries there are: what goes into the count field.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }
}

impl<const N: usize> Default for MsrList<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for MsrList<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.used()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_msr_is_in_a_list_once() {
        let mut list = MsrList::<2>::new();
        list.set(0xC000_0081, 1).unwrap();
        list.set(0xC000_0082, 2).unwrap();
        list.set(0xC000_0081, 3).unwrap();
        assert_eq!(list.count(), 2);
        assert_eq!(list.get(0xC000_0081), Some(3));
        assert_eq!(list.set(0xC000_0083, 4), Err(Error::ListFull { limit: 2 }));
    }

    #[test]
    fn the_processor_finds_the_entries_at_the_address_of_the_list() {
        let list = MsrList::<3>::new();
        assert_eq!((&raw const list).addr(), (&raw const list.entries).addr());
        assert_eq!((&raw const list).addr() % 16, 0);
    }
}
