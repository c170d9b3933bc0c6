//! Finding and checking SMBIOS structures, written from the specification alone.

use crate::Machine;
use crate::acpi::sum;

/// The longest table that is looked at.
const MOST_TABLE_BYTES: u32 = 1 << 20;
const SYSTEM: u8 = 1;
const END_OF_TABLE: u8 = 127;

/// An entry point and what it leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryPoint<'m> {
    pub(crate) address: u64,
    pub(crate) anchor: &'static str,
    pub(crate) version: (u8, u8),
    pub(crate) checksum_is_right: bool,
    /// Where the structures are.
    pub(crate) table_address: u64,
    /// The structures; `None` where there is no memory.
    pub(crate) table: Option<&'m [u8]>,
}

impl<'m> EntryPoint<'m> {
    /// Finds a 64-bit entry point, or else one of 32 bits, as a BIOS leaves them.
    ///
    /// # Source
    /// DSP0134, "Accessing SMBIOS information", "SMBIOS 2.1 (32-bit) Entry Point" and "SMBIOS 3.0
    /// (64-bit) Entry Point".
    pub(crate) fn find(machine: &'m impl Machine) -> Option<Self> {
        let places = || (0xF_0000..0x10_0000).step_by(16);
        let begins = |at: &u64, anchor: &str| {
            machine.memory(*at, anchor.len()).is_some_and(|bytes| bytes == anchor.as_bytes())
        };
        if let Some(address) = places().find(|at| begins(at, "_SM3_")) {
            let bytes = machine.memory(address, 24)?;
            let at = u64::from_le_bytes(bytes[16..].first_chunk().copied()?);
            let most = u32::from_le_bytes(bytes[12..].first_chunk().copied()?);
            return Some(Self {
                address,
                anchor: "_SM3_",
                version: (bytes[7], bytes[8]),
                checksum_is_right: bytes[6] == 24 && sum(bytes) == 0,
                table_address: at,
                table: table(machine, at, most),
            });
        }
        let address = places().find(|at| begins(at, "_SM_"))?;
        let bytes = machine.memory(address, 31)?;
        let at = u32::from_le_bytes(bytes[24..].first_chunk().copied()?);
        let size_bytes = u16::from_le_bytes(bytes[22..].first_chunk().copied()?);
        let (whole, intermediate) = (sum(bytes) == 0, sum(&bytes[16..]) == 0);
        Some(Self {
            address,
            anchor: "_SM_",
            version: (bytes[6], bytes[7]),
            checksum_is_right: bytes[5] == 31 && whole && intermediate,
            table_address: at.into(),
            table: table(machine, at.into(), size_bytes.into()),
        })
    }

    /// The size of the entry point itself.
    pub(crate) fn size_bytes(&self) -> usize {
        if self.anchor == "_SM3_" { 24 } else { 31 }
    }

    /// Returns the structures up to the end of the table.
    pub(crate) fn structures(&self) -> impl Iterator<Item = Structure<'m>> + use<'m> {
        let mut rest = self.table.unwrap_or(&[]);
        core::iter::from_fn(move || {
            let structure = Structure::first(rest)?;
            let is_end = structure.kind() == END_OF_TABLE;
            rest = if is_end { &[] } else { &rest[structure.size_bytes()..] };
            Some(structure)
        })
    }

    /// Returns manufacturer and product of the system.
    pub(crate) fn system(&self) -> Option<(&'m str, &'m str)> {
        let system = self.structures().find(|structure| structure.kind() == SYSTEM)?;
        Some((system.string(4)?, system.string(5)?))
    }

    /// Tells whether the table has its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.structures().last().is_some_and(|last| last.kind() == END_OF_TABLE)
    }
}

fn table<M: Machine>(machine: &M, address: u64, size_bytes: u32) -> Option<&[u8]> {
    machine.memory(address, size_bytes.min(MOST_TABLE_BYTES) as usize)
}

/// One structure: its formatted part, then strings up to two zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Structure<'m> {
    formatted: &'m [u8],
    strings: &'m [u8],
}

impl<'m> Structure<'m> {
    fn first(bytes: &'m [u8]) -> Option<Self> {
        let length = usize::from(*bytes.get(1)?);
        let (formatted, rest) = bytes.split_at_checked(length).filter(|_| length >= 4)?;
        let end = rest.windows(2).position(|pair| pair == [0, 0])?;
        Some(Self { formatted, strings: &rest[..end + 1] })
    }

    fn kind(&self) -> u8 {
        self.formatted[0]
    }

    /// All of it, with both zeros.
    fn size_bytes(&self) -> usize {
        self.formatted.len() + self.strings.len() + 1
    }

    /// Returns the string whose number is at this offset.
    fn string(&self, offset: usize) -> Option<&'m str> {
        let number = usize::from(*self.formatted.get(offset)?).checked_sub(1)?;
        let bytes = self.strings.split(|byte| *byte == 0).nth(number)?;
        core::str::from_utf8(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_end_with_the_table() {
        let table =
            b"\x01\x06\x00\x00\x01\x02who\0what\0\0\x7f\x04\x01\x00\0\0\x01\x04\x02\x00\0\0";
        let mut entry = EntryPoint {
            address: 0,
            anchor: "_SM3_",
            version: (3, 7),
            checksum_is_right: true,
            table_address: 0,
            table: Some(table),
        };
        assert_eq!(entry.structures().count(), 2);
        assert_eq!(entry.system(), Some(("who", "what")));
        assert!(entry.is_whole());
        for size_bytes in 0..table.len() - 6 {
            entry.table = Some(&table[..size_bytes]);
            assert!(!entry.is_whole(), "{size_bytes}");
        }
    }
}
