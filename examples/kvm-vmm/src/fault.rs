//! Faults in ACPI tables that a guest's command line asks for, so that tests see what becomes of
//! them: one for each kind of rule that a validator has.

use boot_plan::{Contents, Placement};
use guest_state::Gpa;
use machine::Machine;

/// The word on the command line, before the name of a fault.
const WORD: &str = "kvm-vmm.fault=";

/// Where a table's header has its length, and its checksum.
const LENGTH: usize = 4;
const CHECKSUM: usize = 9;
const HEADER_BYTES: usize = 36;
/// Where more tables go: in the page of the others, behind them.
const MORE_OFFSET: u64 = 0xC00;

/// The faults, by name. What a table has is where the specification says; all but the faults in
/// checksums have checksums that are right.
const FAULTS: &[(&str, fn(&mut Acpi) -> Option<()>)] = &[
    ("rsdp-checksum", |acpi| {
        *acpi.rsdp.get_mut(8)? ^= 1;
        Some(())
    }),
    ("root-signature", |acpi| acpi.patch(b"XSDT", 0, b"XSDX")),
    // The second pointer, to where no memory is.
    ("pointer-dangling", |acpi| acpi.patch(b"XSDT", 44, &0xE000_0000_u64.to_le_bytes())),
    ("pointer-overlap", |acpi| {
        let inner = table(b"OEM2", &[0; 8]);
        let outer = table(b"OEM1", &inner);
        acpi.add(&outer, &[0, HEADER_BYTES as u64])
    }),
    ("table-signature", |acpi| acpi.patch(b"APIC", 0, b"a")),
    // One byte less than this revision has.
    ("table-size", |acpi| {
        let length = acpi.table(b"FACP")?.len() - 1;
        acpi.patch(b"FACP", LENGTH, &u32::try_from(length).ok()?.to_le_bytes())
    }),
    ("table-checksum", |acpi| {
        *acpi.table(b"DSDT")?.get_mut(CHECKSUM)? ^= 0xFF;
        Some(())
    }),
    ("entry-length", |acpi| acpi.patch(b"APIC", 45, &[7])),
    ("fadt-dsdt-differs", |acpi| {
        let narrow = acpi.table(b"FACP")?.get(40..)?.first_chunk().copied()?;
        let other = u32::from_le_bytes(narrow).checked_add(16)?;
        acpi.patch(b"FACP", 40, &other.to_le_bytes())
    }),
    ("facs-signature", |acpi| {
        acpi.table(b"FACS")?.first_chunk_mut::<4>()?.copy_from_slice(b"FACX");
        Some(())
    }),
    // The second processor, with the id of the first; then with a UID that AML has not.
    ("madt-repeated-apic-id", |acpi| acpi.patch(b"APIC", 52 + 3, &[0])),
    ("madt-not-in-dsdt", |acpi| acpi.patch(b"APIC", 52 + 2, &[0x63])),
    // A processor that the MADT has not.
    ("srat-not-in-madt", |acpi| {
        let processor = [&[0, 16, 0, 77, 1, 0, 0, 0][..], &[0; 8]].concat();
        acpi.add(&table(b"SRAT", &[&[1, 0, 0, 0][..], &[0; 8], &processor].concat()), &[0])
    }),
    ("aml-length", |acpi| {
        let device = acpi.find(b"PCI0")?;
        acpi.patch(b"DSDT", device - 2, &[0x4F, 0xFF])
    }),
    ("aml-repeated-name", |acpi| {
        let name = acpi.find(b"COM1")?;
        acpi.patch(b"DSDT", name, b"RTC_")
    }),
    // The clock gives way to a region of all memory, and a buffer that takes the rest of its bytes.
    ("aml-region", |acpi| {
        let device = acpi.find(b"RTC_")? - 3;
        let size = usize::from(*acpi.table(b"DSDT")?.get(device + 2)?) + 2;
        let region = b"\x5B\x80ALL_\0\x0C\0\0\0\0\x0C\xFF\xFF\xFF\xFF";
        let left = u8::try_from(size.checked_sub(region.len() + 5)?).ok()?;
        let mut aml = [&region[..], b"\x08FIL_", &[0x11, left - 1, 0x0A, left - 4]].concat();
        aml.resize(size, 0);
        acpi.patch(b"DSDT", device, &aml)
    }),
    // The window for PCI devices: a length that is none of it; then all of it in RAM.
    ("crs-range", |acpi| {
        let window = acpi.find(&0xC000_0000_u32.to_le_bytes())?;
        acpi.patch(b"DSDT", window + 12, &[1])
    }),
    ("crs-in-ram", |acpi| {
        let window = acpi.find(&0xC000_0000_u32.to_le_bytes())?;
        acpi.patch(b"DSDT", window, &0x0010_0000_u32.to_le_bytes())?;
        acpi.patch(b"DSDT", window + 4, &0x001F_FFFF_u32.to_le_bytes())?;
        acpi.patch(b"DSDT", window + 12, &0x0010_0000_u32.to_le_bytes())
    }),
];

/// Puts in the fault that the command line names.
///
/// # Panics
/// If it names none that there is, or one that these tables can't have: a test that asks for it
/// would see a good machine.
pub(crate) fn inject<'m>(mut machine: Machine<'m>, command_line: &str) -> Machine<'m> {
    let mut words = command_line.split_ascii_whitespace();
    let Some(name) = words.find_map(|word| word.strip_prefix(WORD)) else { return machine };
    let broken = FAULTS.iter().find(|(fault, _)| *fault == name).and_then(|(_, fault)| {
        let mut acpi = Acpi::new(&machine.plan.placements)?;
        fault(&mut acpi)?;
        acpi.write(&mut machine.plan.placements)
    });
    assert!(broken.is_some(), "there is no fault {name}");
    machine
}

/// The tables that a guest finds.
struct Acpi {
    rsdp: Vec<u8>,
    base: u64,
    tables: Vec<u8>,
    more: Vec<u8>,
}

impl Acpi {
    fn new(placements: &[Placement<'_>]) -> Option<Self> {
        let find = |tag| placements.iter().find(|placement| placement.tag == tag);
        let (rsdp, tables) = (find("acpi root pointer")?, find("acpi tables")?);
        Some(Self {
            rsdp: rsdp.contents.bytes()?.to_vec(),
            base: tables.gpa.as_u64(),
            tables: tables.contents.bytes()?.to_vec(),
            more: Vec::new(),
        })
    }

    fn write(self, placements: &mut Vec<Placement<'_>>) -> Option<()> {
        let more = Gpa::new(self.base + MORE_OFFSET);
        for (tag, bytes) in [("acpi root pointer", self.rsdp), ("acpi tables", self.tables)] {
            let mut found = placements.iter_mut();
            found.find(|placement| placement.tag == tag)?.contents = Contents::Owned(bytes);
        }
        if !self.more.is_empty() {
            placements.push(Placement::bytes("more acpi tables", more, self.more));
        }
        Some(())
    }

    fn offset(&self, name: &[u8; 4]) -> Option<usize> {
        self.tables.windows(4).position(|bytes| bytes == name)
    }

    fn table(&mut self, name: &[u8; 4]) -> Option<&mut [u8]> {
        let start = self.offset(name)?;
        let length = self.tables.get(start + LENGTH..)?.first_chunk().copied()?;
        self.tables.get_mut(start..start + usize::try_from(u32::from_le_bytes(length)).ok()?)
    }

    /// Where in the DSDT these bytes are, for the first time.
    fn find(&mut self, pattern: &[u8]) -> Option<usize> {
        self.table(b"DSDT")?.windows(pattern.len()).position(|bytes| bytes == pattern)
    }

    /// Writes into a table and makes its checksum right.
    fn patch(&mut self, name: &[u8; 4], offset: usize, bytes: &[u8]) -> Option<()> {
        let start = self.offset(name)?;
        let whole = self.tables.get_mut(start..)?;
        whole.get_mut(offset..offset + bytes.len())?.copy_from_slice(bytes);
        let length = u32::from_le_bytes(whole.get(LENGTH..)?.first_chunk().copied()?);
        seal(whole.get_mut(..usize::try_from(length).ok()?)?, CHECKSUM);
        Some(())
    }

    /// Adds tables, at these places among the bytes, in an XSDT that lists them too.
    fn add(&mut self, bytes: &[u8], offsets: &[u64]) -> Option<()> {
        let mut root = self.table(b"XSDT")?.to_vec();
        let start = self.base + MORE_OFFSET;
        let size = (root.len() + 8 * offsets.len()) as u64;
        for offset in offsets {
            root.extend_from_slice(&(start + size + offset).to_le_bytes());
        }
        root.get_mut(LENGTH..LENGTH + 4)?.copy_from_slice(&u32::try_from(size).ok()?.to_le_bytes());
        seal(&mut root, CHECKSUM);
        self.more = [&root, bytes].concat();
        self.rsdp.get_mut(24..32)?.copy_from_slice(&start.to_le_bytes());
        seal(&mut self.rsdp, 32);
        Some(())
    }
}

/// Makes the bytes sum to zero.
fn seal(bytes: &mut [u8], checksum: usize) {
    let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    if let Some(byte) = bytes.get_mut(checksum) {
        *byte = byte.wrapping_sub(sum);
    }
}

/// A table with a header that nothing is wrong with.
fn table(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or_default().to_le_bytes();
    let ids = b"HVKIT HVKIT VM";
    let mut bytes = [&name[..], &length, &[3, 0], ids, &[1, 0, 0, 0], b"HVKT", &[1, 0, 0, 0], body]
        .concat();
    seal(&mut bytes, CHECKSUM);
    bytes
}
