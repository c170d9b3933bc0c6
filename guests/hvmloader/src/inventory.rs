//! What hvmloader was given, and what it finds.

use alloc::vec;
use alloc::vec::Vec;

use boot_plan::MemoryMap;
use guest_state::{Gpa, GpaRange, GuestMemory, MemoryKind};
use hvmloader_core::{LoadedInfo, PciDevice, XenBios, XenLeaves, scan_pci};

use crate::pc::{ConfigPorts, read_cmos};
use crate::{Error, Pc};

const ONE_MIB: Gpa = Gpa::new(1 << 20);
const FOUR_GIB: Gpa = Gpa::new(1 << 32);
/// The CMOS register with the number of CPUs less one.
const CMOS_OTHER_CPUS: u8 = 0x5F;

/// What the VMM brought.
pub(crate) struct Brought {
    /// The memory map.
    pub(crate) memory: MemoryMap,
    /// The firmware.
    pub(crate) firmware: Vec<u8>,
}

impl Brought {
    /// Reads the start info, and all of the firmware: from here on the memory where they were may
    /// be written to.
    pub(crate) fn read(pc: &impl Pc, start_info: Gpa) -> Result<Self, Error> {
        let info = LoadedInfo::read(pc.memory(), start_info)?;
        let mut memory = MemoryMap::new();
        for entry in info.memory.iter().filter(|entry| entry.size_bytes.get() > 0) {
            let kind = MemoryKind(entry.kind.get());
            memory.insert_size(Gpa::new(entry.address.get()), entry.size_bytes.get(), kind)?;
        }
        let range = info.module(b"firmware").ok_or(Error::NoFirmware)?.range;
        if !memory.ranges(MemoryKind::RAM).any(|ram| ram.contains_range(range)) {
            return Err(Error::FirmwareNotInMemory { range });
        }
        let (size_bytes, most) = (range.size_bytes(), XenBios::MOST_BYTES);
        let fits = usize::try_from(size_bytes).ok().filter(|size| *size <= most);
        let size = fits.ok_or(Error::FirmwareTooLarge { size_bytes, most })?;
        let mut firmware = vec![0; size];
        pc.memory().read(range.start(), &mut firmware)?;
        Ok(Self { memory, firmware })
    }

    /// Returns where RAM below 4 GiB ends.
    pub(crate) fn low_ram_end(&self) -> Result<Gpa, Error> {
        self.ram_at(ONE_MIB).map(GpaRange::end).ok_or(Error::NoMemory)
    }

    /// Returns RAM from 4 GiB on; empty if there is none.
    pub(crate) fn high_ram(&self) -> GpaRange {
        self.ram_at(FOUR_GIB).unwrap_or_default()
    }

    fn ram_at(&self, gpa: Gpa) -> Option<GpaRange> {
        self.memory.find(gpa).filter(|found| found.kind == MemoryKind::RAM).map(|found| found.range)
    }
}

/// What the machine says of itself.
pub(crate) struct Found {
    /// Xen's leaves of CPUID, if this is Xen.
    pub(crate) xen: Option<XenLeaves>,
    /// How many CPUs there are.
    pub(crate) cpus: u32,
    /// The functions on PCI bus 0.
    pub(crate) pci: Vec<PciDevice>,
    /// The width of physical addresses.
    pub(crate) physical_bits: u32,
}

impl Found {
    pub(crate) fn ask<P: Pc>(pc: &mut P) -> Self {
        let xen = XenLeaves::find(|leaf| {
            let found = pc.cpuid(leaf);
            [found.eax, found.ebx, found.ecx, found.edx]
        });
        // What CPUID does not say is 36, the least of the CPUs that have 64 bits.
        let has_leaf = pc.cpuid(0x8000_0000).eax >= 0x8000_0008;
        let physical_bits = if has_leaf { pc.cpuid(0x8000_0008).eax & 0xFF } else { 36 };
        let cpus = u32::from(read_cmos(pc, CMOS_OTHER_CPUS)) + 1;
        Self { xen, cpus, pci: scan_pci(&mut ConfigPorts(pc)), physical_bits }
    }
}
