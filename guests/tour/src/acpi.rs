//! Finding and checking ACPI tables, written from the specification alone: what the tour says of
//! a table is no echo of the code that built it.

use crate::Machine;

/// The longest table that is looked at.
const MOST_TABLE_BYTES: u32 = 1 << 20;
const HEADER_BYTES: usize = 36;

/// A table that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'m> {
    pub(crate) address: u64,
    /// All of it, header included.
    pub(crate) bytes: &'m [u8],
}

impl<'m> Table<'m> {
    pub(crate) fn signature(&self) -> &'m str {
        text(&self.bytes[..4])
    }

    pub(crate) fn revision(&self) -> u8 {
        self.bytes[8]
    }

    pub(crate) fn oem(&self) -> &'m str {
        text(&self.bytes[10..16])
    }

    pub(crate) fn checksum_is_right(&self) -> bool {
        sum(self.bytes) == 0
    }

    fn u8_at(&self, offset: usize) -> Option<u8> {
        self.bytes.get(offset).copied()
    }

    fn u16_at(&self, offset: usize) -> Option<u16> {
        Some(u16::from_le_bytes(self.bytes.get(offset..)?.first_chunk().copied()?))
    }

    fn u32_at(&self, offset: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.bytes.get(offset..)?.first_chunk().copied()?))
    }

    fn u64_at(&self, offset: usize) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes.get(offset..)?.first_chunk().copied()?))
    }
}

/// The root pointer and what it leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Root<'m> {
    pub(crate) address: u64,
    pub(crate) revision: u8,
    pub(crate) checksum_is_right: bool,
    /// XSDT if there is one, else RSDT.
    pub(crate) table: Option<Table<'m>>,
    entry_bytes: usize,
}

impl<'m> Root<'m> {
    /// Reads the RSDP at `hint`, or finds it as a BIOS leaves it.
    ///
    /// # Source
    /// ACPI 6.5 §5.2.5.1, "Finding the RSDP on IA-PC Systems", and §5.2.5.3.
    pub(crate) fn find(machine: &'m impl Machine, hint: Option<u64>) -> Option<Self> {
        let ebda = machine
            .memory(0x40E, 2)
            .map_or(0, |bytes| u64::from(u16::from_le_bytes([bytes[0], bytes[1]])) << 4);
        let in_ebda = (ebda..ebda.checked_add(0x400)?).step_by(16);
        let in_bios = (0xE_0000..0x10_0000).step_by(16);
        let is_rsdp = |at: &u64| {
            machine
                .memory(*at, 20)
                .is_some_and(|bytes| bytes.starts_with(b"RSD PTR ") && sum(bytes) == 0)
        };
        let address = match hint {
            Some(address) => address,
            None => in_ebda.chain(in_bios).find(is_rsdp)?,
        };
        let first = machine.memory(address, 20)?;
        if !first.starts_with(b"RSD PTR ") {
            return None;
        }
        let revision = first[15];
        let whole = machine.memory(address, if revision >= 2 { 36 } else { 20 })?;
        let checksum_is_right = sum(first) == 0 && sum(whole) == 0;
        let rsdp = Table { address, bytes: whole };
        let xsdt = if revision >= 2 { rsdp.u64_at(24)? } else { 0 };
        let (at, entry_bytes) =
            if xsdt != 0 { (xsdt, 8) } else { (u64::from(rsdp.u32_at(16)?), 4) };
        let table = table_at(machine, at);
        Some(Self { address, revision, checksum_is_right, table, entry_bytes })
    }

    /// Returns the addresses of the tables that the root lists.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = u64> + use<'m> {
        let entries =
            self.table.map_or(&[][..], |table| table.bytes.get(HEADER_BYTES..).unwrap_or(&[]));
        entries.chunks_exact(self.entry_bytes).map(|entry| {
            entry.iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte))
        })
    }

    /// Returns the listed table of this signature.
    pub(crate) fn table(&self, machine: &'m impl Machine, signature: &str) -> Option<Table<'m>> {
        self.addresses()
            .filter_map(|at| table_at(machine, at))
            .find(|table| table.signature() == signature)
    }
}

/// Reads the table at `address`; `None` where there is none or its length is nonsense.
pub(crate) fn table_at<M: Machine>(machine: &M, address: u64) -> Option<Table<'_>> {
    let header = machine.memory(address, HEADER_BYTES)?;
    let length = Table { address, bytes: header }.u32_at(4)?;
    if length > MOST_TABLE_BYTES || (length as usize) < HEADER_BYTES {
        // The FACS has a shorter header, but is at least this long too.
        return None;
    }
    Some(Table { address, bytes: machine.memory(address, length as usize)? })
}

/// What the FADT says of tables and power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fadt {
    pub(crate) facs: u64,
    pub(crate) dsdt: u64,
    /// The port of PM1a control; 0 if there is none.
    pub(crate) pm1a_control: u16,
    /// The port of the PM timer; 0 if there is none.
    pub(crate) pm_timer: u16,
}

impl Fadt {
    /// # Source
    /// ACPI 6.5 §5.2.9, "Fixed ACPI Description Table (FADT)".
    pub(crate) fn read(table: &Table<'_>) -> Option<Self> {
        let extended = |offset| table.u64_at(offset).unwrap_or(0);
        let either = |wide: u64, narrow: u32| if wide != 0 { wide } else { narrow.into() };
        Some(Self {
            facs: either(extended(132), table.u32_at(36)?),
            dsdt: either(extended(140), table.u32_at(40)?),
            pm1a_control: table.u16_at(64)?,
            pm_timer: table.u16_at(76)?,
        })
    }
}

/// Returns the first value of the package `\_S5`: the SLP_TYP that powers off.
///
/// # Source
/// ACPI 6.5 §7.4.2.6, "\_S5 (System S5 State)"; §20.2.5.4, the encoding of packages and integers.
pub(crate) fn sleep_type_s5(dsdt: &Table<'_>) -> Option<u8> {
    let name = dsdt.bytes.windows(4).position(|window| window == b"_S5_")?;
    let mut at = name + 4;
    if dsdt.u8_at(at)? != 0x12 {
        return None;
    }
    // PkgLength: the top two bits of its first byte tell how many more follow.
    at += 1;
    at += 1 + usize::from(dsdt.u8_at(at)? >> 6);
    let _elements = dsdt.u8_at(at)?;
    at += 1;
    match dsdt.u8_at(at)? {
        0x00 => Some(0),
        0x01 => Some(1),
        0x0A => dsdt.u8_at(at + 1),
        _ => None,
    }
}

/// Calls `visit` with the APIC id and whether it is enabled of every CPU in the MADT.
///
/// # Source
/// ACPI 6.5 §5.2.12, "Multiple APIC Description Table (MADT)".
pub(crate) fn for_each_cpu(madt: &Table<'_>, mut visit: impl FnMut(u32, bool)) {
    let mut rest = madt.bytes.get(44..).unwrap_or(&[]);
    while let [kind, length, ..] = *rest {
        let Some((entry, behind)) = rest.split_at_checked(length.into()) else { return };
        let word = |at: usize| entry.get(at..).and_then(|bytes| bytes.first_chunk()).copied();
        match kind {
            0 if entry.len() >= 8 => {
                visit(entry[3].into(), entry[4] & 1 != 0);
            }
            9 => {
                if let (Some(id), Some(flags)) = (word(4), word(8)) {
                    visit(u32::from_le_bytes(id), u32::from_le_bytes(flags) & 1 != 0);
                }
            }
            _ => {}
        }
        if length < 2 {
            return;
        }
        rest = behind;
    }
}

pub(crate) fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap_or("????")
}
