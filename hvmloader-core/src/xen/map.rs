//! The memory map as hvmloader makes it.

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, MemoryKind};

use crate::Error;

const VGA: Gpa = Gpa::new(0xA_0000);
const OPTION_ROMS: Gpa = Gpa::new(0xC_0000);
const ONE_MIB: Gpa = Gpa::new(1 << 20);
const FOUR_GIB: Gpa = Gpa::new(1 << 32);
/// Three pages hold Intel graphics' OpRegion.
const OP_REGION_BYTES: u64 = 0x3000;

/// What hvmloader's memory map is made from.
///
/// ```text
///           0 .. A_0000        RAM
///      A_0000 .. bios          not listed: VGA memory, option ROMs
///        bios .. 10_0000       reserved
///     10_0000 .. low_ram_end   RAM
///   FC00_0000 .. acpi_end      NVS: tables, which AML touches and which kexec must keep
///    acpi_end .. 4 GiB         reserved, but for an OpRegion, which is NVS
///       4 GiB .. high_ram_end  RAM
/// ```
///
/// # Source
/// Xen `tools/firmware/hvmloader/e820.c`, read for facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XenMap {
    /// Where the BIOS begins; it ends at 1 MiB.
    pub bios: Gpa,
    /// Where RAM below the hole ends.
    pub low_ram_end: Gpa,
    /// Where what hvmloader allocated from FC00_0000h on ends.
    pub acpi_end: Gpa,
    /// The OpRegion of Intel graphics that are passed through.
    pub op_region: Option<Gpa>,
    /// Where RAM above 4 GiB ends; 4 GiB or less if there is none.
    pub high_ram_end: Gpa,
}

impl XenMap {
    /// Where hvmloader allocates what stays after it: tables and the like.
    pub const RESERVED_START: Gpa = Gpa::new(0xFC00_0000);

    /// Returns the map.
    ///
    /// # Errors
    /// [`Error::XenMap`] with the first range that does not fit the picture above.
    pub fn build(&self) -> Result<MemoryMap, Error> {
        let reserved_start = Self::RESERVED_START;
        let op_region = match self.op_region {
            Some(at) => {
                let refused = Error::XenMap { start: at, end: at };
                let end = at.checked_add(OP_REGION_BYTES).ok_or(refused)?;
                if at < self.acpi_end || end > FOUR_GIB {
                    return Err(Error::XenMap { start: at, end });
                }
                Some((at, end))
            }
            None => None,
        };
        for (start, end, least, most) in [
            (self.bios, ONE_MIB, OPTION_ROMS, ONE_MIB),
            (ONE_MIB, self.low_ram_end, ONE_MIB, reserved_start),
            (reserved_start, self.acpi_end, reserved_start, FOUR_GIB),
        ] {
            if start < least || end > most || start > end {
                return Err(Error::XenMap { start, end });
            }
        }
        let (op_start, op_end) = op_region.unwrap_or((FOUR_GIB, FOUR_GIB));
        let mut map = MemoryMap::new();
        for (start, end, kind) in [
            (Gpa::ZERO, VGA, MemoryKind::RAM),
            (self.bios, ONE_MIB, MemoryKind::RESERVED),
            (ONE_MIB, self.low_ram_end, MemoryKind::RAM),
            (reserved_start, self.acpi_end, MemoryKind::NVS),
            (self.acpi_end, op_start, MemoryKind::RESERVED),
            (op_start, op_end, MemoryKind::NVS),
            (op_end, FOUR_GIB, MemoryKind::RESERVED),
            (FOUR_GIB, self.high_ram_end.max(FOUR_GIB), MemoryKind::RAM),
        ] {
            let range = GpaRange::from_bounds(start, end).unwrap_or_default();
            if !range.is_empty() {
                // None can overlap, by what was checked.
                map.insert(range, kind).map_err(|_| Error::XenMap { start, end })?;
            }
        }
        Ok(map)
    }
}
