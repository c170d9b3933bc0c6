//! The rules that tables are held against, each with an id.

use core::fmt;

/// Declares the rules, each with its id and what is wrong where it is broken.
macro_rules! rules {
    ($($name:ident, $id:literal, $text:literal;)*) => {
        /// A rule that tables may break.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!("`", $id, "`: ", $text, ".")] $name,)*
        }

        impl Rule {
            /// All rules.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Returns the rule's id, which stays the same from version to version.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// Returns what is wrong where the rule is broken.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

rules! {
    // "Root System Description Pointer (RSDP)".
    RsdpAbsent, "rsdp-absent", "the root pointer is in no memory that was given";
    RsdpSignature, "rsdp-signature", "the root pointer does not start with \"RSD PTR \"";
    RsdpChecksum, "rsdp-checksum", "the root pointer's first 20 bytes don't sum to zero";
    RsdpLength, "rsdp-length", "the root pointer has fewer bytes than its revision needs";
    RsdpExtendedChecksum, "rsdp-extended-checksum", "the root pointer's bytes don't sum to zero";
    RsdpRoots, "rsdp-roots", "the root pointer leads to neither an RSDT nor an XSDT";
    // "Root System Description Table (RSDT)", "Extended System Description Table (XSDT)".
    RootSignature, "root-signature", "what the root pointer leads to is not the table it should be";
    RootLength, "root-length", "the root table does not end with a whole pointer";
    RootRepeats, "root-repeats", "the root table lists a pointer twice";
    RootsDiffer, "roots-differ", "RSDT and XSDT list different kinds of tables";
    PointerDangling, "pointer-dangling", "a pointer leads to no memory that was given";
    PointerOverlap, "pointer-overlap", "a pointer leads into another table";
    // "System Description Table Header".
    TableLength, "table-length", "the length is less than a header or leads out of the memory";
    TableSignature, "table-signature", "the signature is not four capital letters or digits";
    TableChecksum, "table-checksum", "the bytes don't sum to zero";
    TableRepeated, "table-repeated", "a table is there again that a machine has once";
    TableSize, "table-size", "the length is none that the table's revision has";
    EntryLength, "entry-length", "an entry's length is none that its type has, or leaves the table";
    // "Fixed ACPI Description Table (FADT)", "Firmware ACPI Control Structure (FACS)".
    FadtMissing, "fadt-missing", "there is no FADT";
    FadtDsdt, "fadt-dsdt", "no pointer leads to a DSDT";
    FadtDsdtDiffers, "fadt-dsdt-differs", "the two pointers to the DSDT differ";
    FadtFacs, "fadt-facs", "fixed hardware needs a FACS, and no pointer leads to one";
    FadtFacsDiffers, "fadt-facs-differs", "the two pointers to the FACS differ";
    FadtBlock, "fadt-block", "a block of registers has a length that it can't have, or is missing";
    FadtBlockDiffers, "fadt-block-differs", "the two descriptions of a block of registers differ";
    FadtReduced, "fadt-reduced", "the revision is too old for reduced hardware";
    FadtReset, "fadt-reset", "there is said to be a reset register, and there is none";
    DsdtSignature, "dsdt-signature", "what the FADT leads to is not a DSDT";
    FacsSignature, "facs-signature", "what the FADT leads to is not a FACS";
    FacsLength, "facs-length", "the FACS has less than 64 bytes";
    FacsAlignment, "facs-alignment", "the FACS is not at a multiple of 64";
    // "Multiple APIC Description Table (MADT)".
    MadtNoProcessor, "madt-no-processor", "no processor is enabled";
    MadtRepeatedUid, "madt-repeated-uid", "two processors have the same UID";
    MadtRepeatedApicId, "madt-repeated-apic-id", "two processors have the same APIC id";
    MadtRepeatedIoApic, "madt-repeated-io-apic", "two I/O APICs have the same id, or the same GSI";
    MadtOverride, "madt-override", "an override is for no ISA interrupt, or for one that has another";
    MadtNmi, "madt-nmi", "an NMI is for a UID that no processor has";
    MadtNotInDsdt, "madt-not-in-dsdt", "no processor of the DSDT or an SSDT has the UID";
    DsdtNotInMadt, "dsdt-not-in-madt", "no processor of the MADT has the UID";
    // "System Resource Affinity Table (SRAT)", "System Locality Information Table (SLIT)".
    SratReserved, "srat-reserved", "the reserved field that must be 1 is not";
    SratRepeatedApicId, "srat-repeated-apic-id", "two processors have the same APIC id";
    SratNotInMadt, "srat-not-in-madt", "no processor of the MADT has the APIC id";
    MadtNotInSrat, "madt-not-in-srat", "the SRAT does not say where the processor is";
    SratMemory, "srat-memory", "a range of memory is empty, overlaps another or leaves the address space";
    SlitSize, "slit-size", "the length is not that of a square of distances";
    SlitDistance, "slit-distance", "a domain is not 10 from itself, or less than 10 from another";
    SlitDomains, "slit-domains", "the SRAT has a domain that the SLIT has not";
    // PCI Firmware Specification, "MCFG Table Description".
    McfgBuses, "mcfg-buses", "a range of buses is empty, overlaps another or leaves the address space";
    // The memory map.
    RegistersInRam, "registers-in-ram", "registers are where the memory map has RAM";
    // "ACPI Machine Language (AML) Specification".
    AmlLength, "aml-length", "a block of AML is longer than what it is in";
    AmlName, "aml-name", "a name in AML has characters that it can't have";
    AmlTruncated, "aml-truncated", "a block of AML ends within a term";
    AmlDepth, "aml-depth", "blocks of AML are nested deeper than is looked at";
    AmlRepeatedName, "aml-repeated-name", "a name is declared twice";
    AmlRepeatedUid, "aml-repeated-uid", "two processors have the same UID";
    AmlRegion, "aml-region", "an operation region is not among those that are allowed";
    AmlLoad, "aml-load", "AML loads more AML, which nothing here sees";
    // "Resource Data Types for ACPI".
    CrsDescriptor, "crs-descriptor", "a resource leaves its buffer, or there is no end tag";
    CrsRange, "crs-range", "a resource's first, last and length contradict each other";
    CrsInRam, "crs-in-ram", "a resource is where the memory map has RAM";
    CrsOverRegisters, "crs-over-registers", "a window for PCI devices covers registers that another table has";
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
