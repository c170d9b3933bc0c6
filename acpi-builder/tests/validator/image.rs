//! A machine's tables in memory, to be broken.

use acpi_builder::{
    AllowedRegion, Finding, IoApic, Madt, Processors, RegionSpace, RootTables, Sdt, Signature,
    Ssdt, TableSet, Validator,
};
use guest_state::Gpa;

use crate::common::{Fields, full_pc_builder, machine, sum};

pub(crate) const BASE: u64 = 0xE_1000;
pub(crate) const RSDP: u64 = 0xF_0000;

/// Four processors and one table of each kind that is known.
pub(crate) fn sound(aml: &[u8]) -> TableSet {
    let processors = Processors::sequential(4).unwrap();
    let mut madt = Madt::pc(&processors);
    madt.io_apics.push(IoApic { id: 1, address: 0xFEC1_0000, gsi_base: 24 });
    // A table of an unknown kind, with something in it that looks like another.
    let inner = [&b"OEM2\x24\0\0\0"[..], &[0; 28]].concat();
    let mut builder = full_pc_builder(&processors)
        .with(&madt)
        .with(&Ssdt { aml: aml.to_vec() })
        .table(Sdt::new(Signature(*b"OEM1"), 1, inner))
        .roots(RootTables::Both);
    for table in machine::tables(&processors) {
        builder = builder.table(table);
    }
    builder.build().unwrap()
}

/// The bytes in memory, and where the tables are.
pub(crate) struct Image {
    pub(crate) set: TableSet,
    pub(crate) rsdp: Vec<u8>,
    pub(crate) tables: Vec<u8>,
    pub(crate) rsdp_gpa: u64,
    /// More memory.
    pub(crate) more: Vec<(u64, Vec<u8>)>,
}

impl Image {
    pub(crate) fn new(aml: &[u8]) -> Self {
        let set = sound(aml);
        let placed = set.at(Gpa::new(BASE)).unwrap();
        let (rsdp, tables) = (placed.rsdp, placed.tables);
        Self { set, rsdp, tables, rsdp_gpa: RSDP, more: vec![] }
    }

    /// Where a table is in the blob.
    pub(crate) fn offset(&self, name: &[u8; 4]) -> usize {
        let entry = self.set.entries().iter().find(|entry| entry.signature.0 == *name).unwrap();
        entry.offset as usize
    }

    /// Where it is in memory.
    pub(crate) fn gpa(&self, name: &[u8; 4]) -> u64 {
        BASE + self.offset(name) as u64
    }

    fn table(&mut self, name: &[u8; 4]) -> &mut [u8] {
        let start = self.offset(name);
        &mut self.tables[start..]
    }

    /// Where in a table these bytes are, for the first time.
    pub(crate) fn find(&mut self, name: &[u8; 4], pattern: &[u8]) -> usize {
        self.table(name).windows(pattern.len()).position(|bytes| bytes == pattern).unwrap()
    }

    /// Writes into a table and leaves its checksum.
    pub(crate) fn spoil(&mut self, name: &[u8; 4], offset: usize, bytes: &[u8]) {
        self.table(name)[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Writes into a table and makes its checksum right.
    pub(crate) fn patch(&mut self, name: &[u8; 4], offset: usize, bytes: &[u8]) -> usize {
        self.spoil(name, offset, bytes);
        let table = self.table(name);
        let length = table.u32(4) as usize;
        table[9] = 0;
        table[9] = sum(&table[..length]).wrapping_neg();
        offset
    }

    /// Writes into the root pointer and makes its checksums right.
    pub(crate) fn patch_rsdp(&mut self, offset: usize, bytes: &[u8]) -> usize {
        self.rsdp[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.rsdp[8] = 0;
        self.rsdp[8] = sum(&self.rsdp[..20]).wrapping_neg();
        self.rsdp[32] = 0;
        self.rsdp[32] = sum(&self.rsdp).wrapping_neg();
        offset
    }

    /// What is wrong, beside a memory map and a list of operation regions.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let mut validator = Validator::new()
            .memory(Gpa::new(RSDP), &self.rsdp)
            .memory(Gpa::new(BASE), &self.tables)
            .ram(machine::range(0, 0xA_0000))
            .ram(machine::range(0x10_0000, 0xAFF0_0000))
            .allow([
                AllowedRegion::new(RegionSpace::SYSTEM_IO, 0x510..=0x51B),
                AllowedRegion::new(RegionSpace::SYSTEM_MEMORY, 0xFEB0_0000..=0xFEB0_0FFF),
            ]);
        for (gpa, bytes) in &self.more {
            validator = validator.memory(Gpa::new(*gpa), bytes);
        }
        validator.validate(Gpa::new(self.rsdp_gpa))
    }
}
