//! What can be wrong with a description.

use guest_state::Gpa;

use crate::Signature;

/// Why tables can't be built or placed as described.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no processor.
    #[error("no processor is described")]
    NoProcessor,
    /// There are more processors than names for them.
    #[error("{count} processors are described, at most {max} can be named")]
    TooManyProcessors {
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// Two processors have the same UID.
    #[error("two processors have UID {uid:#x}")]
    DuplicateUid {
        /// The UID of both.
        uid: u32,
    },
    /// Two processors have the same APIC id.
    #[error("two processors have APIC id {apic_id:#x}")]
    DuplicateApicId {
        /// The id of both.
        apic_id: u32,
    },
    /// A UID or an APIC id has the value that means "all processors".
    #[error("a processor with UID {uid:#x} and APIC id {apic_id:#x} would mean all processors")]
    BroadcastProcessor {
        /// The processor's UID.
        uid: u32,
        /// The processor's APIC id.
        apic_id: u32,
    },
    /// An APIC id below 255 belongs into a structure that has one byte for the UID.
    #[error("UID {uid:#x} of the processor with APIC id {apic_id:#x} is above 0xfe")]
    LocalApicUid {
        /// The processor's UID.
        uid: u32,
        /// The processor's APIC id.
        apic_id: u32,
    },
    /// Two I/O APICs have the same id.
    #[error("two I/O APICs have id {id:#x}")]
    DuplicateIoApic {
        /// The id of both.
        id: u8,
    },
    /// An ISA interrupt is above 15.
    #[error("ISA interrupt {irq} is above 15")]
    IsaIrq {
        /// The interrupt.
        irq: u8,
    },
    /// Two interrupt source overrides are for the same ISA interrupt.
    #[error("ISA interrupt {irq} is overridden twice")]
    DuplicateOverride {
        /// The interrupt.
        irq: u8,
    },
    /// An I/O port block is empty, starts at port 0 or reaches past port 0xffff.
    #[error("{size_bytes} I/O ports at {port:#x} are not a block between 0x1 and 0xffff")]
    IoPorts {
        /// The first port.
        port: u16,
        /// How many there are.
        size_bytes: u16,
    },
    /// A PCI I/O window is empty or covers the configuration ports 0xcf8-0xcff.
    #[error("PCI I/O window {first:#x}-{last:#x} is empty or covers ports 0xcf8-0xcff")]
    PciIoWindow {
        /// The window's first port.
        first: u16,
        /// The window's last port.
        last: u16,
    },
    /// A PCI memory window is empty, or so large that its length can't be written.
    #[error("PCI memory window {first:#x}-{last:#x} is empty or covers the address space")]
    PciMemoryWindow {
        /// The window's first address.
        first: u64,
        /// The window's last address.
        last: u64,
    },
    /// A PCI root bus range is empty.
    #[error("PCI bus range {first:#x}-{last:#x} is empty")]
    PciBuses {
        /// The first bus.
        first: u8,
        /// The last bus.
        last: u8,
    },
    /// A PCI interrupt route is for a device above 31.
    #[error("PCI interrupt route for device {device:#x}, which is above 0x1f")]
    PciDevice {
        /// The device number.
        device: u8,
    },
    /// Two PCI interrupt routes are for the same pin of the same device.
    #[error("PCI device {device:#x} has two routes for the same pin")]
    DuplicatePciRoute {
        /// The device number.
        device: u8,
    },
    /// A serial port's number is not from 1 to 9.
    #[error("serial port number {number} is not from 1 to 9")]
    SerialPortNumber {
        /// The number.
        number: u8,
    },
    /// Two serial ports have the same number.
    #[error("two serial ports have number {number}")]
    DuplicateSerialPort {
        /// The number of both.
        number: u8,
    },
    /// A sleep type has more than three bits.
    #[error("sleep type {sleep_type:#x} has more than three bits")]
    SleepType {
        /// The value for SLP_TYP.
        sleep_type: u8,
    },
    /// A name segment is not four of `A`-`Z`, `0`-`9`, `_`, or starts with a digit.
    #[error("{0:02x?} is not an AML name segment")]
    AmlName([u8; 4]),
    /// A hardware id is not three capital letters and four hexadecimal digits.
    #[error("{0:?} is not an EISA hardware id")]
    EisaId(&'static str),
    /// An AML package has more than 255 elements, or an AML block is 256 MiB or longer.
    #[error("AML block of length {length:#x} can't be encoded")]
    AmlLength {
        /// The number of elements or bytes.
        length: usize,
    },
    /// A finished table is shorter than a header.
    #[error("table of {length:#x} bytes is shorter than its header of 0x24")]
    TableTruncated {
        /// How many bytes there are.
        length: usize,
    },
    /// A finished table's length field differs from the number of bytes.
    #[error("table {signature} declares {declared:#x} bytes and has {length:#x}")]
    TableLength {
        /// The table's signature.
        signature: Signature,
        /// What its header says.
        declared: u32,
        /// How many bytes there are.
        length: usize,
    },
    /// A finished table's bytes don't sum to zero.
    #[error("bytes of table {signature} sum to {sum:#x}, not zero")]
    TableChecksum {
        /// The table's signature.
        signature: Signature,
        /// The sum, modulo 256.
        sum: u8,
    },
    /// The DSDT given to a table set has another signature.
    #[error("table {signature} stands in the place of the DSDT")]
    NotDsdt {
        /// The table's signature.
        signature: Signature,
    },
    /// A table was added that the table set makes itself.
    #[error("table {signature} is made by the table set itself")]
    OwnTable {
        /// The table's signature.
        signature: Signature,
    },
    /// Two tables were added of a kind that may be there once.
    #[error("table {signature} was added twice")]
    DuplicateTable {
        /// The table's signature.
        signature: Signature,
    },
    /// All tables together are longer than 2 GiB.
    #[error("tables of {length:#x} bytes are longer than 2 GiB")]
    SetTooLong {
        /// How long they would be.
        length: usize,
    },
    /// Tables are to be placed at an address that is not aligned.
    #[error("tables can't be placed at {gpa}, which is not a multiple of {alignment:#x}")]
    Misaligned {
        /// The address.
        gpa: Gpa,
        /// The alignment in bytes.
        alignment: u64,
    },
    /// Tables are to be placed where a pointer's field can't hold their address.
    #[error("tables at {gpa} can't be reached by a pointer of {width_bytes} bytes")]
    Unreachable {
        /// The address.
        gpa: Gpa,
        /// The width of the pointer field.
        width_bytes: u8,
    },
    /// A field can't hold a number so large.
    #[error("{field} is {value:#x}, at most {max:#x} can be expressed")]
    OutOfRange {
        /// What the field says.
        field: &'static str,
        /// The number.
        value: u64,
        /// The largest that it can hold.
        max: u64,
    },
    /// A field can't have this value.
    #[error("{field} can't be {value:#x}")]
    Invalid {
        /// What the field says.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// A number is there twice that must be there once.
    #[error("{field} {value:#x} is there twice")]
    Duplicate {
        /// What the number is.
        field: &'static str,
        /// The number.
        value: u64,
    },
    /// A list or a text has another length than it must.
    #[error("{field} has length {length:#x}, {expected:#x} is expected")]
    Length {
        /// What it is.
        field: &'static str,
        /// How long it is.
        length: usize,
        /// How long it must be.
        expected: usize,
    },
    /// A range is empty.
    #[error("{field} at {start} is empty")]
    EmptyRange {
        /// What the range is.
        field: &'static str,
        /// Where it would be.
        start: Gpa,
    },
    /// Two ranges share an address.
    #[error("two ranges of {field} share address {gpa}")]
    Overlap {
        /// What the ranges are.
        field: &'static str,
        /// The first address that both have.
        gpa: Gpa,
    },
    /// The FADT's revision can't express the description.
    #[error("FADT of revision {revision} can't say {what}")]
    FadtRevision {
        /// The revision.
        revision: u8,
        /// What it has no field for.
        what: &'static str,
    },
    /// A table of the user's own can't be built as described.
    #[error("{0}")]
    Custom(&'static str),
}
