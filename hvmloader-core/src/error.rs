//! What can be wrong with an image, or with what a plan is asked for.

use guest_state::{AccessError, Gpa, GpaRange};

use crate::needs::{FirmwareKind, Needs};
use crate::pci::{PciFunction, PciPart};

/// Why an image, a description or a plan was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The size is zero or not a multiple of 64 KiB.
    #[error("a BIOS image is a multiple of 64 KiB long, this one has {size_bytes:#x} bytes")]
    Size {
        /// The size of the image.
        size_bytes: usize,
    },
    /// The image would reach down into other devices' addresses.
    #[error("a BIOS image has at most {most:#x} bytes, this one has {size_bytes:#x}")]
    TooLarge {
        /// The size of the image.
        size_bytes: usize,
        /// What fits.
        most: usize,
    },
    /// Two entries describe one PCI function.
    #[error("PCI function {function} is described twice")]
    PciFunctionTwice {
        /// Which.
        function: PciFunction,
    },
    /// A BAR has a number that the function's header does not have, or that another BAR takes.
    #[error("PCI function {function} can't have {part} there")]
    BarIndex {
        /// Whose.
        function: PciFunction,
        /// Which.
        part: PciPart,
    },
    /// A BAR's size is no power of two, or none that its kind can have.
    #[error("{part} of PCI function {function} can't have {size_bytes:#x} bytes")]
    BarSize {
        /// Whose.
        function: PciFunction,
        /// Which.
        part: PciPart,
        /// The size.
        size_bytes: u64,
    },
    /// The bus behind a bridge is not above the bridge's own, belongs to another bridge too, or is
    /// numbered among the buses of another.
    #[error("PCI bridge {bridge} can't have bus {secondary:#x} behind it")]
    BridgeBus {
        /// The bridge.
        bridge: PciFunction,
        /// The bus behind it.
        secondary: u8,
    },
    /// A function wants I/O ports, and a bridge above it forwards none.
    #[error("PCI bridge {bridge} has no I/O window, which {part} of {function} needs")]
    NoIoWindow {
        /// The bridge.
        bridge: PciFunction,
        /// Whose.
        function: PciFunction,
        /// What.
        part: PciPart,
    },
    /// A BAR or a bridge's window finds no room.
    #[error(
        "no room for {part} of PCI function {function}: {size_bytes:#x} bytes on a boundary of \
         {alignment:#x}"
    )]
    PciNoRoom {
        /// Whose.
        function: PciFunction,
        /// What.
        part: PciPart,
        /// How many bytes or ports.
        size_bytes: u64,
        /// On what boundary.
        alignment: u64,
    },
    /// The hole for devices is empty, or reaches from below 1 MiB or beyond 4 GiB.
    #[error("a hole for devices can't be {hole}, or begin at {lowest:#x}")]
    Hole {
        /// The hole.
        hole: GpaRange,
        /// How far down it may grow.
        lowest: u64,
    },
    /// The width of a physical address is none that a CPU with MTRRs and 64 bits has, or memory
    /// lies beyond it.
    #[error("physical addresses of {bits} bits don't reach {end:#x}")]
    PhysicalBits {
        /// The width, MAXPHYADDR.
        bits: u32,
        /// The end of what has to be reached.
        end: u64,
    },
    /// What one register or page decides would have to be cached and uncached.
    #[error("{range} can't be uncacheable: memory, or half a page, is in the way")]
    MtrrConflict {
        /// The range that was to be uncacheable.
        range: GpaRange,
    },
    /// There are too few variable-range MTRRs.
    #[error("needs {needed} variable-range MTRRs, the CPU has {have}")]
    MtrrsExhausted {
        /// How many it takes.
        needed: usize,
        /// How many there are.
        have: usize,
    },
    /// A PCI link can't have this IRQ.
    #[error("IRQ {irq} can't be a PCI device's")]
    PciIrq {
        /// The IRQ.
        irq: u8,
    },
    /// A table is longer than its length field can tell.
    #[error("a table of {size_bytes:#x} bytes is longer than it can say")]
    TableSize {
        /// How long it would be.
        size_bytes: usize,
    },
    /// A table can't stand there.
    #[error("a table can't stand at {at}: below 4 GiB, on a boundary of {alignment:#x}")]
    TableAddress {
        /// Where it was to stand.
        at: Gpa,
        /// What its address must be a multiple of.
        alignment: u64,
    },
    /// APIC ids can't be made from these counts.
    #[error("no APIC id for CPU {index}: {cores} cores of {threads} threads")]
    Topology {
        /// Threads of a core.
        threads: u32,
        /// Cores of a package.
        cores: u32,
        /// The CPU.
        index: u32,
    },
    /// An APIC id is too large for an MP table, or two processors have it.
    #[error("APIC id {apic_id:#x} can't be in an MP table, or not twice")]
    ApicId {
        /// The id.
        apic_id: u32,
    },
    /// Not exactly one processor boots.
    #[error("{count} processors boot, not one")]
    Bootstrap {
        /// How many do.
        count: usize,
    },
    /// A bus of an MP table is out of order, or is not there.
    #[error("bus {bus:#x} is out of order, or is not there")]
    MpBus {
        /// Its id.
        bus: u8,
    },
    /// An I/O APIC of an MP table is there twice, or is not there.
    #[error("I/O APIC {id:#x} is there twice, or is not there")]
    MpIoApic {
        /// Its id.
        id: u8,
    },
    /// OVMF's images have sizes that flash does not have.
    #[error(
        "flash takes multiples of 4 KiB, 8 MiB in all: {code_bytes:#x} bytes of code and \
         {variables_bytes:#x} of variables won't do"
    )]
    FlashSize {
        /// The size of the code, or of the whole image.
        code_bytes: usize,
        /// The size of the variables.
        variables_bytes: usize,
    },
    /// A machine lacks what its firmware needs.
    #[error("{kind:?} needs what the machine lacks: {missing}")]
    Lacking {
        /// The firmware.
        kind: FirmwareKind,
        /// What is missing.
        missing: Needs,
    },
    /// A range does not fit into hvmloader's memory map.
    #[error("{start} to {end} does not fit into hvmloader's memory map")]
    XenMap {
        /// Where it begins.
        start: Gpa,
        /// Where it ends.
        end: Gpa,
    },
    /// Tables or memory map can't be told in Xen's info.
    #[error("{tables} tables and {regions} memory ranges don't fit into Xen's info")]
    XenInfo {
        /// How many tables.
        tables: usize,
        /// How many ranges.
        regions: usize,
    },
    /// There is no start info.
    #[error("{magic:#010x} is not the magic number of a start info")]
    StartInfoMagic {
        /// What stands there.
        magic: u32,
    },
    /// A list of a start info is too long.
    #[error("a start info with {count} entries in a list, at most {most} are read")]
    StartInfoCount {
        /// How long it says it is.
        count: u32,
        /// What is read.
        most: u32,
    },
    /// A module of a start info passes the end of the address space.
    #[error("a module of {size_bytes:#x} bytes at {start} passes the end of the address space")]
    StartInfoRange {
        /// Where it begins.
        start: Gpa,
        /// How long it is.
        size_bytes: u64,
    },
    /// A command line has no end.
    #[error("no zero byte ends the command line at {start}")]
    StartInfoText {
        /// Where it begins.
        start: Gpa,
    },
    /// There is no room for a generation id.
    #[error("no page for the generation id")]
    GenerationId,
    /// Guest memory could not be read.
    #[error("guest memory can't be read")]
    Memory(#[from] AccessError),
}
