//! Why the readers disagree, and who is right.
//!
//! Sources: System V gABI, "ELF Header", "Program Header", "Note Section"; Xen `public/elfnote.h`;
//! Linux `Documentation/arch/x86/boot.rst`.

/// Between whom about what, by a part of the title; the name; the reason.
pub(crate) const ALL: &[(&str, &str, &str)] = &[
    // Agreement.
    ("", "both accept", "and say the same of all that is compared"),
    ("", "both refuse", "for whatever reason"),
    // Ours: what a loader has to refuse.
    (
        "loader, ELF",
        "they load: ElfClass",
        "ours, gABI: EI_CLASS is 1 or 2; theirs looks at e_phentsize alone",
    ),
    (
        "ELF",
        "they load: ElfMachine",
        "ours, gABI: e_machine tells whose code it is; theirs does not look",
    ),
    ("ELF", "they load: ElfType", "ours, gABI: only ET_EXEC and ET_DYN have a process image"),
    (
        "ELF",
        "they load: Interpreter",
        "ours, gABI: PT_INTERP wants a system that brings the interpreter",
    ),
    ("ELF", "they load: NoSegments", "ours: theirs loads nothing, and says that it did"),
    (
        "ELF",
        "they load: SegmentPastEnd",
        "ours: goblin does not add addresses, linux-loader has less memory",
    ),
    ("ELF", "they load: SegmentSizes", "ours, gABI: p_filesz may not be larger than p_memsz"),
    ("ELF", "they load: SegmentsOverlap", "ours: theirs writes one segment over the other"),
    ("ELF", "they load: TooManyProgramHeaders", "either: 256 is our own bound"),
    (
        "goblin, ELF",
        "they load: ProgramHeaderSize",
        "ours, gABI: e_phentsize is the size; goblin takes the class'",
    ),
    (
        "goblin, ELF",
        "they load: Truncated",
        "ours: goblin does not hold segments against the file's end",
    ),
    // What a loader has not to refuse.
    (
        "loader, ELF",
        "they refuse: Invalid PVH note header",
        "ours: a short PHYS32_ENTRY ends their whole load, which needs no note",
    ),
    (
        "loader, ELF",
        "they refuse: Invalid program header offset",
        "ours, gABI: the table may lie anywhere, in the header too",
    ),
    ("loader, ELF", "they refuse: Invalid program header size", "ours: they read no ELF32"),
    (
        "loader, ELF",
        "they refuse: Overflow occurred during an arithmetic operation",
        "ours: broken notes end their whole load",
    ),
    (
        "loader, ELF",
        "they refuse: Unable to read note header",
        "ours: broken notes end their whole load",
    ),
    (
        "loader, ELF",
        "they refuse: above their memory",
        "either: they load at once, into 64 GiB; we plan for a map later",
    ),
    (
        "goblin, ELF",
        "they refuse what need not be read",
        "ours: symbols, strings, dynamic section and relocations are no loader's",
    ),
    // What is read.
    (
        "loader, ELF",
        "end",
        "ours: they skip a segment without bytes in the file, which is all .bss",
    ),
    (
        "loader, ELF",
        "pvh, they find none",
        "ours: in sections too, in any segment and not the last alone, past what a linker left between notes",
    ),
    (
        "goblin, ELF",
        "pvh, they find none",
        "ours: goblin's notes end at a name that is not UTF-8, or by the alignment of a segment",
    ),
    (
        "loader, ELF",
        "pvh, they find: BrokenNotes",
        "ours: they read a descriptor past its segment's end",
    ),
    (
        "goblin, ELF",
        "pvh, they find: BrokenNotes",
        "ours: goblin's descriptor ends in the segment by another padding",
    ),
    (
        "ELF",
        "pvh, they find: EntryOutside",
        "ours: the entry is no byte of the file; theirs does not look",
    ),
    (
        "goblin, ELF",
        "pvh, they find: NoPvhNote",
        "ours: section headers of a wrong size are none, and a name's last byte counts",
    ),
    ("loader, ELF", "pvh, they find: PvhEntryAbove4G", "ours: they cut a number of 8 bytes to 4"),
    (
        "loader, ELF",
        "pvh, they find: PvhNoteSize",
        "ours, Xen: a number of 4 or 8 bytes; they take the first 4 of any",
    ),
    (
        "ELF",
        "pvh, they find: RelocAlignment",
        "either: we refuse an alignment that is no power of two, of which elfnote.h says nothing; theirs does not know the note",
    ),
    (
        "ELF",
        "pvh, they find: RelocNoteSize",
        "ours, Xen: PHYS32_RELOC has at most three words; theirs does not know the note",
    ),
    (
        "ELF",
        "pvh, they find: Truncated",
        "ours: the segment passes the file's end, and theirs reads it until there",
    ),
    (
        "loader, ELF",
        "pvh: other entry",
        "ours: of two notes they take one that has no number as descriptor",
    ),
    (
        "goblin, ELF",
        "notes: other ones",
        "ours: no note has an empty name; section headers of a wrong size are none",
    ),
    (
        "goblin, ELF",
        "notes: they break off",
        "ours: Xen pads to 4 in a segment of any alignment, and a name may be any bytes",
    ),
    (
        "goblin, ELF",
        "notes: they see no fault",
        "ours: notes or section headers pass the end of segment or file",
    ),
    // bzImage.
    ("bzImage", "field before its version: cmdline_size", "ours: 255 before 2.06"),
    ("bzImage", "field before its version: init_size", "ours: before 2.10 none says so"),
    ("bzImage", "field before its version: initrd_addr_max", "ours: 37FFFFFFh before 2.03"),
    ("bzImage", "field before its version: kernel_alignment", "ours: none before 2.05"),
    ("bzImage", "field before its version: pref_address", "ours: before 2.10 it is 1 MiB"),
    ("bzImage", "field before its version: relocatable_kernel", "ours: none before 2.05"),
    ("bzImage", "field before its version: xloadflags", "ours: none before 2.12"),
    ("bzImage", "field: pref_address", "ours: only an address that is not zero is preferred"),
    (
        "bzImage",
        "kernel: they load all that the file has",
        "ours: the kernel is syssize long; a signature follows",
    ),
    (
        "bzImage",
        "place",
        "ours: pref_address is where it runs; code32_start is for the setup code to jump to",
    ),
    ("bzImage", "they load: BootFlag", "ours: 55AAh has to be there; they do not look"),
    ("bzImage", "they load: EntryAbove4G", "ours: the 32-bit entry cannot be at that pref_address"),
    ("bzImage", "they load: InitSize", "ours: a kernel takes at least its own length"),
    (
        "bzImage",
        "they load: KernelAlignment",
        "either: we refuse what is no power of two, of which boot.rst says nothing",
    ),
    ("bzImage", "they load: KernelTooShort", "ours: there is no byte at the entry"),
    ("bzImage", "they load: PreferredAddress", "ours: it passes the end of the address space"),
    (
        "bzImage",
        "they load: SetupHeaderShort",
        "ours: the header is as long as the byte at 201h says; code follows",
    ),
    ("bzImage", "they load: Truncated", "ours: syssize passes the file's end"),
];

/// Returns the reason for a name in a comparison of this title.
pub(crate) fn of(title: &str, name: &str) -> Option<&'static str> {
    ALL.iter().find(|(part, one, _)| title.contains(part) && *one == name).map(|one| one.2)
}
