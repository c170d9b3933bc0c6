//! Faults in tables that a guest's command line asks for, so that tests see what becomes of
//! them: one for each kind of rule that a validator has.

use boot_plan::{Contents, Placement};
use guest_state::Gpa;
use machine::Machine;

/// The word on the command line, before the name of a fault.
const WORD: &str = "kvm-vmm.fault=";

/// What the machine's plan calls the tables.
const RSDP: &str = "acpi root pointer";
const TABLES: &str = "acpi tables";
const ENTRY_POINT: &str = "smbios 64-bit entry point";
const SMBIOS: &str = "smbios table";

/// Where a table's header has its length, and its checksum.
const LENGTH: usize = 4;
const CHECKSUM: usize = 9;
const HEADER_BYTES: usize = 36;
/// Where more tables go: in the page of the others, behind them.
const MORE_OFFSET: u64 = 0xC00;

/// Puts a fault in, or nothing where the tables can't have it.
type Fault = fn(&mut Found) -> Option<()>;

/// The faults, by name. What a table has is where the specification says; all but the faults in
/// checksums have checksums that are right.
const FAULTS: &[(&str, Fault)] = &[
    ("rsdp-checksum", |found| {
        *found.rsdp.get_mut(8)? ^= 1;
        Some(())
    }),
    ("root-signature", |found| found.patch(b"XSDT", 0, b"XSDX")),
    // The second pointer, to where no memory is.
    ("pointer-dangling", |found| found.patch(b"XSDT", 44, &0xE000_0000_u64.to_le_bytes())),
    ("pointer-overlap", |found| {
        let inner = table(b"OEM2", &[0; 8]);
        let outer = table(b"OEM1", &inner);
        found.add(&outer, &[0, HEADER_BYTES as u64])
    }),
    ("table-signature", |found| found.patch(b"APIC", 0, b"a")),
    // One byte less than this revision has.
    ("table-size", |found| {
        let length = found.table(b"FACP")?.len() - 1;
        found.patch(b"FACP", LENGTH, &u32::try_from(length).ok()?.to_le_bytes())
    }),
    ("table-checksum", |found| {
        *found.table(b"DSDT")?.get_mut(CHECKSUM)? ^= 0xFF;
        Some(())
    }),
    ("entry-length", |found| found.patch(b"APIC", 45, &[7])),
    ("fadt-dsdt-differs", |found| {
        let narrow = found.table(b"FACP")?.get(40..)?.first_chunk().copied()?;
        let other = u32::from_le_bytes(narrow).checked_add(16)?;
        found.patch(b"FACP", 40, &other.to_le_bytes())
    }),
    ("facs-signature", |found| {
        found.table(b"FACS")?.first_chunk_mut::<4>()?.copy_from_slice(b"FACX");
        Some(())
    }),
    // The second processor, with the id of the first; then with a UID that AML has not.
    ("madt-repeated-apic-id", |found| found.patch(b"APIC", 52 + 3, &[0])),
    ("madt-not-in-dsdt", |found| found.patch(b"APIC", 52 + 2, &[0x63])),
    // A processor that the MADT has not.
    ("srat-not-in-madt", |found| {
        let processor = [&[0, 16, 0, 77, 1, 0, 0, 0][..], &[0; 8]].concat();
        found.add(&table(b"SRAT", &[&[1, 0, 0, 0][..], &[0; 8], &processor].concat()), &[0])
    }),
    ("aml-length", |found| {
        let device = found.find(b"PCI0")?;
        found.patch(b"DSDT", device - 2, &[0x4F, 0xFF])
    }),
    ("aml-repeated-name", |found| {
        let name = found.find(b"COM1")?;
        found.patch(b"DSDT", name, b"RTC_")
    }),
    // The clock gives way to a region of all memory, and a buffer that takes the rest of its bytes.
    ("aml-region", |found| {
        let device = found.find(b"RTC_")? - 3;
        let size = usize::from(*found.table(b"DSDT")?.get(device + 2)?) + 2;
        let region = b"\x5B\x80ALL_\0\x0C\0\0\0\0\x0C\xFF\xFF\xFF\xFF";
        let left = u8::try_from(size.checked_sub(region.len() + 5)?).ok()?;
        let mut aml = [&region[..], b"\x08FIL_", &[0x11, left - 1, 0x0A, left - 4]].concat();
        aml.resize(size, 0);
        found.patch(b"DSDT", device, &aml)
    }),
    // The window for PCI devices: a length that is none of it; then all of it in RAM.
    ("crs-range", |found| {
        let window = found.find(&0xC000_0000_u32.to_le_bytes())?;
        found.patch(b"DSDT", window + 12, &[1])
    }),
    ("crs-in-ram", |found| {
        let window = found.find(&0xC000_0000_u32.to_le_bytes())?;
        found.patch(b"DSDT", window, &0x0010_0000_u32.to_le_bytes())?;
        found.patch(b"DSDT", window + 4, &0x001F_FFFF_u32.to_le_bytes())?;
        found.patch(b"DSDT", window + 12, &0x0010_0000_u32.to_le_bytes())
    }),
    ("smbios-checksum", |found| {
        *found.entry_point.get_mut(5)? ^= 1;
        Some(())
    }),
    // The system has the handle of the firmware.
    ("smbios-repeated-handle", |found| {
        // Behind its formatted part and its strings, which two zeros end.
        let formatted = usize::from(*found.smbios.get(1)?);
        let strings = found.smbios.get(formatted..)?;
        let system = formatted + strings.windows(2).position(|bytes| bytes == [0, 0])? + 2;
        found.smbios.get_mut(system + 2..system + 4)?.fill(0);
        Some(())
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
        let mut found = Found::new(&machine.plan.placements)?;
        fault(&mut found)?;
        found.write(&mut machine.plan.placements)
    });
    assert!(broken.is_some(), "there is no fault {name}");
    machine
}

/// The tables that a guest finds.
struct Found {
    rsdp: Vec<u8>,
    base: u64,
    tables: Vec<u8>,
    more: Vec<u8>,
    entry_point: Vec<u8>,
    smbios: Vec<u8>,
}

impl Found {
    fn new(placements: &[Placement<'_>]) -> Option<Self> {
        let find = |tag| placements.iter().find(|placement| placement.tag == tag);
        let bytes = |tag| Some(find(tag)?.contents.bytes()?.to_vec());
        Some(Self {
            rsdp: bytes(RSDP)?,
            base: find(TABLES)?.gpa.as_u64(),
            tables: bytes(TABLES)?,
            more: Vec::new(),
            entry_point: bytes(ENTRY_POINT)?,
            smbios: bytes(SMBIOS)?,
        })
    }

    fn write(self, placements: &mut Vec<Placement<'_>>) -> Option<()> {
        let more = Gpa::new(self.base + MORE_OFFSET);
        for (tag, bytes) in [
            (RSDP, self.rsdp),
            (TABLES, self.tables),
            (ENTRY_POINT, self.entry_point),
            (SMBIOS, self.smbios),
        ] {
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
    let mut bytes =
        [&name[..], &length, &[3, 0], ids, &[1, 0, 0, 0], b"HVKT", &[1, 0, 0, 0], body].concat();
    seal(&mut bytes, CHECKSUM);
    bytes
}
