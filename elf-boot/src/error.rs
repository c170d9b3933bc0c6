//! Why an image can't be started.
//!
//! One enumeration of everything, and so one long file.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use crate::shown::Reasons;
use crate::{Compression, FirstBytes, Refusal};

/// Why an image, or one way to start it, was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file has no bytes.
    #[error("image is empty")]
    Empty,
    /// The file is nothing that is known here.
    #[error("not an ELF or bzImage: first bytes {first}")]
    UnknownFormat {
        /// How it begins.
        first: FirstBytes,
    },
    /// The whole file is compressed.
    #[error("compressed by {by}: decompress it first")]
    Compressed {
        /// How.
        by: Compression,
    },
    /// The file ends too early.
    #[error("truncated: {what} at {end:#x} but the file has {size_bytes:#x} bytes")]
    Truncated {
        /// What ends ("program headers end").
        what: &'static str,
        /// Where it ends.
        end: u64,
        /// How long the file is.
        size_bytes: u64,
    },
    /// No protocol can start this image.
    #[error("no way to start this image: {}", Reasons(.0))]
    NoWay(
        /// Each protocol with its reason.
        Vec<Refusal>,
    ),

    /// The class of an ELF is neither 32-bit nor 64-bit.
    #[error("ELF class {class}: neither 32-bit (1) nor 64-bit (2)")]
    ElfClass {
        /// `EI_CLASS`.
        class: u8,
    },
    /// An ELF is not little-endian.
    #[error("ELF byte order {data}: not little-endian (1)")]
    ElfByteOrder {
        /// `EI_DATA`.
        data: u8,
    },
    /// An ELF is for another machine.
    #[error("ELF{bits} for machine {machine}: not x86 ({expected})")]
    ElfMachine {
        /// 32 or 64, by the class.
        bits: u8,
        /// `e_machine`.
        machine: u16,
        /// What it has to be in this class.
        expected: u16,
    },
    /// An ELF is no executable.
    #[error("ELF type {kind}: neither an executable (2) nor a shared object (3)")]
    ElfType {
        /// `e_type`.
        kind: u16,
    },
    /// Program headers have a size that is not that of their class.
    #[error("ELF program headers of {size_bytes:#x} bytes each: {expected:#x} expected")]
    ProgramHeaderSize {
        /// `e_phentsize`.
        size_bytes: u16,
        /// What it has to be.
        expected: u16,
    },
    /// There are more program headers than any kernel has.
    #[error("{count} program headers: at most {most} are read")]
    TooManyProgramHeaders {
        /// `e_phnum`.
        count: u16,
        /// The bound.
        most: u16,
    },
    /// An ELF is a program for an operating system.
    #[error("a program that needs an interpreter (PT_INTERP), not a kernel")]
    Interpreter,
    /// An ELF has nothing to load.
    #[error("ELF without loadable segments")]
    NoSegments,
    /// A segment has more bytes in the file than in memory.
    #[error("segment {index}: {file_bytes:#x} bytes in the file, {memory_bytes:#x} in memory")]
    SegmentSizes {
        /// Which program header.
        index: usize,
        /// `p_filesz`.
        file_bytes: u64,
        /// `p_memsz`.
        memory_bytes: u64,
    },
    /// A segment passes the end of the address space.
    #[error(
        "segment {index}: {memory_bytes:#x} bytes at {address:#x} pass the end of the address space"
    )]
    SegmentPastEnd {
        /// Which program header.
        index: usize,
        /// `p_paddr`.
        address: u64,
        /// `p_memsz`.
        memory_bytes: u64,
    },
    /// Two segments overlap in memory.
    #[error("segments overlap: {range} and {other}")]
    SegmentsOverlap {
        /// The lower one.
        range: GpaRange,
        /// The one that begins in it.
        other: GpaRange,
    },
    /// The entry point is in no segment's bytes.
    #[error("entry {entry:#x} is in no segment of the file")]
    EntryOutside {
        /// The physical address.
        entry: u64,
    },
    /// The protocol needs an ELF.
    #[error("not an ELF")]
    NotElf,
    /// The protocol needs an ELF, which a bzImage has inside.
    #[error("the ELF inside is compressed by {by}: unpack it, and start that")]
    Packed {
        /// How it is compressed.
        by: Compression,
    },
    /// This build of the crate can't unpack what is compressed so.
    #[error("can't unpack {by} here")]
    CantUnpack {
        /// How it is compressed.
        by: Compression,
    },
    /// What is compressed is too long.
    #[error("{size_bytes:#x} bytes unpacked, or more: at most {most_bytes:#x} are wanted")]
    UnpackedTooLarge {
        /// How long it is, or at least how long.
        size_bytes: u64,
        /// The bound.
        most_bytes: u64,
    },
    /// What is compressed is damaged.
    #[error("broken {by} data")]
    BrokenPacking {
        /// How it is compressed.
        by: Compression,
    },
    /// What is compressed has another length than it says.
    #[error("{size_bytes:#x} bytes unpacked: {declared:#x} were to come")]
    UnpackedSize {
        /// How long it is.
        size_bytes: u64,
        /// How long it says it is.
        declared: u64,
    },
    /// The protocol needs an ELF of 64 bits.
    #[error("a 32-bit ELF: it has no 64-bit entry")]
    NotElf64,
    /// The protocol needs an ELF of 32 bits.
    #[error("a 64-bit ELF: its entry is not one for 32 bits")]
    NotElf32,
    /// An entry of 32 bits does not fit them.
    #[error("entry {entry} is not below 4 GiB")]
    EntryAbove4G {
        /// The entry.
        entry: Gpa,
    },
    /// The protocol can't place a segment so high.
    #[error("segment {range} is not below 4 GiB")]
    SegmentAbove4G {
        /// Where it would be.
        range: GpaRange,
    },
    /// There are more sections than are passed on.
    #[error("{count} sections: at most {most} are passed on")]
    TooManySections {
        /// `e_shnum`.
        count: u16,
        /// The bound.
        most: u16,
    },

    /// No note has a PVH entry.
    #[error("no Xen note PHYS32_ENTRY (for Linux: build with CONFIG_PVH=y)")]
    NoPvhNote,
    /// The descriptor of a PHYS32_ENTRY note is neither 4 nor 8 bytes long.
    #[error("Xen note PHYS32_ENTRY with a descriptor of {size_bytes} bytes: 4 or 8 expected")]
    PvhNoteSize {
        /// How long it is.
        size_bytes: usize,
    },
    /// A PVH entry does not fit 32 bits.
    #[error("PVH entry {entry:#x} is not below 4 GiB")]
    PvhEntryAbove4G {
        /// The entry.
        entry: u64,
    },
    /// No PVH entry was found, and the notes can't be read to their end.
    #[error("no Xen note PHYS32_ENTRY found; notes are broken at file offset {offset:#x}")]
    BrokenNotes {
        /// Where the first broken note begins.
        offset: u64,
    },
    /// There are more notes than any kernel has.
    #[error("no Xen note PHYS32_ENTRY among the first {most} notes")]
    TooManyNotes {
        /// The bound.
        most: usize,
    },

    /// The descriptor of a PHYS32_RELOC note is not 0, 4, 8 or 12 bytes long.
    #[error(
        "Xen note PHYS32_RELOC with a descriptor of {size_bytes} bytes: 0, 4, 8 or 12 expected"
    )]
    RelocNoteSize {
        /// How long it is.
        size_bytes: usize,
    },
    /// An image that may be moved names no alignment.
    #[error("alignment {alignment:#x} of a relocatable image is not a power of two")]
    RelocAlignment {
        /// What it names.
        alignment: u64,
    },

    /// No Multiboot header of the version asked for.
    #[error("no header in the first {searched_bytes:#x} bytes")]
    NoMultibootHeader {
        /// Where one would have to be.
        searched_bytes: u64,
    },
    /// Words that look like a Multiboot header do not come to zero.
    #[error("header at {offset:#x} with a wrong checksum")]
    MultibootChecksum {
        /// Where it stands.
        offset: u64,
    },
    /// A Multiboot header ends too early, or a tag in it is too long or too short.
    #[error("header at {offset:#x} is cut short")]
    MultibootHeaderCut {
        /// Where it begins.
        offset: u64,
    },
    /// A Multiboot header sets a flag that is not known and has to be.
    #[error("flags {flags:#x}: of bits 0 to 15 only 0, 1 and 2 are known")]
    MultibootFlags {
        /// All flags.
        flags: u32,
    },
    /// A Multiboot header is for another machine.
    #[error("header for architecture {architecture}: not i386 (0)")]
    MultibootArchitecture {
        /// Its number.
        architecture: u32,
    },
    /// A Multiboot header wants what is not known, and does not do without.
    #[error("tag or information of type {kind} is not known and not optional")]
    MultibootTag {
        /// The type.
        kind: u32,
    },
    /// The addresses in a Multiboot header contradict each other or the file.
    #[error(
        "addresses contradict: header {header:#x}, load {load:#x}, its end {load_end:#x}, \
         bss end {bss_end:#x}"
    )]
    MultibootAddresses {
        /// `header_addr`.
        header: u32,
        /// `load_addr`.
        load: u32,
        /// `load_end_addr`.
        load_end: u32,
        /// `bss_end_addr`.
        bss_end: u32,
    },
    /// A Multiboot header says what to load, and not where to enter it.
    #[error("addresses without an entry address")]
    NoEntryAddress,
    /// A kernel has to be told of a screen, and there is none to tell of.
    #[error("needs a screen, and none is there")]
    NoScreen,

    /// A setup header is not marked as bootable.
    #[error("boot flag {flag:#x} at offset 0x1fe: 0xaa55 expected")]
    BootFlag {
        /// What stands there.
        flag: u16,
    },
    /// A bzImage is too old.
    #[error("boot protocol {}.{:02}: needs {}.{:02}", version >> 8, version & 0xFF, least >> 8, least & 0xFF)]
    BootProtocolVersion {
        /// Its version: major and minor byte.
        version: u16,
        /// The version that brought what is needed.
        least: u16,
    },
    /// A setup header ends before the fields that its version has.
    #[error("setup header ends at {end:#x}, before the fields of its version at {needed_end:#x}")]
    SetupHeaderShort {
        /// The file offset of its end.
        end: u64,
        /// The file offset that it has to reach.
        needed_end: u64,
    },
    /// A kernel belongs below 1 MiB: a zImage.
    #[error("a zImage, not a bzImage: LOADED_HIGH not set")]
    NotLoadedHigh,
    /// A bzImage has no 64-bit entry.
    #[error("XLF_KERNEL_64 not set: a 32-bit kernel, or one without a 64-bit entry")]
    No64BitEntry,
    /// A bzImage ends before its entry.
    #[error("kernel of {kernel_bytes:#x} bytes ends before its entry at {entry:#x}")]
    KernelTooShort {
        /// How many bytes the file has of the kernel proper.
        kernel_bytes: u64,
        /// Where the entry would be in it.
        entry: u64,
    },
    /// A bzImage says that it takes less memory than it has bytes.
    #[error("init_size {init_bytes:#x} is less than the kernel's {kernel_bytes:#x} bytes")]
    InitSize {
        /// How much memory it says it takes.
        init_bytes: u64,
        /// How many bytes the file has of the kernel proper.
        kernel_bytes: u64,
    },
    /// A bzImage that can be relocated names no alignment.
    #[error("kernel_alignment {alignment:#x} is not a power of two")]
    KernelAlignment {
        /// What it names.
        alignment: u32,
    },
    /// A bzImage wants to be where the address space ends.
    #[error("{init_bytes:#x} bytes at pref_address {address:#x} pass the end of the address space")]
    PreferredAddress {
        /// Where it wants to be.
        address: u64,
        /// How much memory it takes.
        init_bytes: u64,
    },
    /// A kernel lies higher than its first page tables can reach.
    #[error("kernel ends at {end}: page tables at the start reach 0x8000000000")]
    KernelTooHigh {
        /// Where it ends.
        end: Gpa,
    },

    /// A kernel does not know this type of setup data.
    #[error("setup data of type {kind:#x}: the kernel knows none above {most:#x}")]
    SetupDataType {
        /// The type.
        kind: u32,
        /// The highest that it knows.
        most: u32,
    },
    /// The initrd has no bytes.
    #[error("initrd is empty")]
    EmptyInitrd,
    /// A module has no bytes.
    #[error("module {index} is empty")]
    EmptyModule {
        /// Which one, from 0.
        index: usize,
    },
    /// The protocol has no modules.
    #[error("{count} modules, and the protocol passes on none")]
    Modules {
        /// How many there are.
        count: usize,
    },
    /// The command line holds a zero byte, which would end it.
    #[error("zero byte at offset {at:#x} of the command line")]
    CommandLineZero {
        /// Where.
        at: usize,
    },
    /// The command line is longer than the kernel takes.
    #[error("command line of {size_bytes:#x} bytes: the kernel takes {most:#x}")]
    CommandLineTooLong {
        /// Its length.
        size_bytes: usize,
        /// What the kernel takes, without the final zero.
        most: u32,
    },
    /// A count or size does not fit the protocol's field.
    #[error("{what}: {value:#x} does not fit the protocol's field of {bits} bits")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its value.
        value: u64,
        /// How wide the field is.
        bits: u32,
    },
    /// An address could not be had.
    #[error(transparent)]
    Layout(#[from] boot_plan::Error),
}
