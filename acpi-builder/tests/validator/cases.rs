//! For each rule, one way to break it.

use acpi_builder::Rule;

use crate::image::Image;

/// A rule, the table that breaks it, and how; that returns where in the table.
pub(crate) struct Case {
    pub(crate) rule: Rule,
    pub(crate) table: &'static [u8; 4],
    pub(crate) broken: fn(&mut Image) -> usize,
}

const fn case(rule: Rule, table: &'static [u8; 4], broken: fn(&mut Image) -> usize) -> Case {
    Case { rule, table, broken }
}

pub(crate) const CASES: &[Case] = &[
    case(Rule::RsdpAbsent, b"RSD ", |image| {
        image.rsdp_gpa = 0x1000;
        0
    }),
    case(Rule::RsdpSignature, b"RSD ", |image| image.patch_rsdp(0, b"X")),
    case(Rule::RsdpChecksum, b"RSD ", |image| {
        image.rsdp[8] ^= 1;
        image.rsdp[32] = image.rsdp[32].wrapping_add(if image.rsdp[8] & 1 == 0 { 1 } else { 255 });
        8
    }),
    case(Rule::RsdpLength, b"RSD ", |image| image.patch_rsdp(20, &[35])),
    case(Rule::RsdpExtendedChecksum, b"RSD ", |image| {
        image.rsdp[33] = 1;
        32
    }),
    case(Rule::RsdpRoots, b"RSD ", |image| {
        image.patch_rsdp(24, &[0; 8]);
        image.patch_rsdp(16, &[0; 4])
    }),
    case(Rule::RootSignature, b"RSD ", |image| {
        image.patch(b"XSDT", 0, b"OEM7");
        24
    }),
    case(Rule::RootLength, b"XSDT", |image| {
        let length = image.tables[image.offset(b"XSDT") + 4];
        image.patch(b"XSDT", 4, &[length - 4])
    }),
    case(Rule::RootRepeats, b"XSDT", |image| {
        let facp = image.gpa(b"FACP");
        image.patch(b"XSDT", 44, &facp.to_le_bytes())
    }),
    case(Rule::RootsDiffer, b"RSD ", |image| {
        let length = image.tables[image.offset(b"RSDT") + 4];
        image.patch(b"RSDT", 4, &[length - 4]);
        24
    }),
    case(Rule::PointerDangling, b"XSDT", |image| {
        image.patch(b"XSDT", 44, &0xFFFF_0000_u64.to_le_bytes())
    }),
    case(Rule::PointerOverlap, b"XSDT", |image| {
        let inner = image.gpa(b"OEM1") + 36;
        let slot = 36 + 8 * 3;
        image.patch(b"XSDT", slot, &inner.to_le_bytes());
        image.patch(b"XSDT", slot + 8, &inner.to_le_bytes());
        let outer = image.gpa(b"OEM1");
        image.patch(b"XSDT", slot, &outer.to_le_bytes()) + 8
    }),
    case(Rule::TableLength, b"OEM1", |image| image.patch(b"OEM1", 4, &[35])),
    case(Rule::TableSignature, b"oEM1", |image| image.patch(b"OEM1", 0, b"o")),
    case(Rule::TableChecksum, b"OEM1", |image| {
        image.spoil(b"OEM1", 40, &[0x25]);
        9
    }),
    case(Rule::TableRepeated, b"WAET", |image| image.patch(b"OEM1", 0, b"WAET")),
    case(Rule::TableSize, b"HPET", |image| image.patch(b"HPET", 4, &[55])),
    case(Rule::EntryLength, b"APIC", |image| image.patch(b"APIC", 45, &[7]) - 1),
    case(Rule::EntryLength, b"APIC", |image| {
        // The last one, an NMI of 6 bytes, out of the table; then an I/O APIC with two more.
        image.patch(b"APIC", 76 + 24 + 20 + 1, &[7]) - 1
    }),
    case(Rule::EntryLength, b"APIC", |image| image.patch(b"APIC", 76 + 1, &[24]) - 1),
    case(Rule::FadtMissing, b"RSD ", |image| {
        image.patch(b"FACP", 0, b"OEM9");
        0
    }),
    case(Rule::FadtDsdt, b"FACP", |image| {
        image.patch(b"FACP", 140, &[0; 8]);
        image.patch(b"FACP", 40, &[0; 4])
    }),
    case(Rule::FadtDsdtDiffers, b"FACP", |image| {
        let dsdt = image.gpa(b"DSDT") as u32;
        image.patch(b"FACP", 40, &(dsdt + 16).to_le_bytes());
        140
    }),
    case(Rule::FadtFacs, b"FACP", |image| image.patch(b"FACP", 36, &[0; 4])),
    case(Rule::FadtFacsDiffers, b"FACP", |image| {
        let facs = image.gpa(b"FACS") + 64;
        image.patch(b"FACP", 132, &facs.to_le_bytes())
    }),
    case(Rule::FadtBlock, b"FACP", |image| image.patch(b"FACP", 88, &[2])),
    case(Rule::FadtBlock, b"FACP", |image| {
        image.patch(b"FACP", 172, &[0; 12]);
        image.patch(b"FACP", 64, &[0; 4])
    }),
    case(Rule::FadtBlockDiffers, b"FACP", |image| image.patch(b"FACP", 208 + 1, &[24]) - 1),
    case(Rule::FadtBlockDiffers, b"FACP", |image| image.patch(b"FACP", 148 + 4, &[4]) - 4),
    case(Rule::FadtReduced, b"FACP", |image| {
        image.patch(b"FACP", 8, &[4]);
        image.patch(b"FACP", 114, &[1 << 4]) - 2
    }),
    case(Rule::FadtReset, b"FACP", |image| image.patch(b"FACP", 120, &[0; 8]) - 4),
    case(Rule::DsdtSignature, b"FACP", |image| {
        image.patch(b"DSDT", 0, b"OEMD");
        140
    }),
    case(Rule::FacsSignature, b"FACP", |image| {
        image.spoil(b"FACS", 0, b"X");
        36
    }),
    case(Rule::FacsLength, b"FACS", |image| {
        image.spoil(b"FACS", 4, &[63]);
        4
    }),
    case(Rule::FacsAlignment, b"FACP", |image| {
        image.more.push((0xD_0010, [&b"FACS\x40\0\0\0"[..], &[0; 56]].concat()));
        image.patch(b"FACP", 36, &0xD_0010_u32.to_le_bytes())
    }),
    case(Rule::MadtNoProcessor, b"APIC", |image| {
        for index in 0..4 {
            image.patch(b"APIC", 44 + 8 * index + 4, &[0]);
        }
        44
    }),
    case(Rule::MadtRepeatedUid, b"APIC", |image| image.patch(b"APIC", 52 + 2, &[0]) - 2),
    case(Rule::MadtRepeatedApicId, b"APIC", |image| image.patch(b"APIC", 52 + 3, &[0]) - 3),
    case(Rule::MadtRepeatedIoApic, b"APIC", |image| image.patch(b"APIC", 76 + 12 + 2, &[0]) - 2),
    case(Rule::MadtRepeatedIoApic, b"APIC", |image| image.patch(b"APIC", 76 + 12 + 8, &[0]) - 8),
    case(Rule::MadtOverride, b"APIC", |image| image.patch(b"APIC", 76 + 34 + 3, &[0]) - 3),
    case(Rule::MadtOverride, b"APIC", |image| image.patch(b"APIC", 76 + 24 + 3, &[16]) - 3),
    case(Rule::MadtNmi, b"APIC", |image| image.patch(b"APIC", 76 + 24 + 20 + 2, &[9]) - 2),
    case(Rule::MadtNotInDsdt, b"APIC", |image| {
        let uid = image.find(b"DSDT", b"_UID\x0A\x02") + 5;
        image.patch(b"DSDT", uid, &[0x63]);
        44 + 8 * 2
    }),
    case(Rule::DsdtNotInMadt, b"DSDT", |image| {
        let uid = image.find(b"DSDT", b"_UID\x0A\x02") + 5;
        image.patch(b"DSDT", uid, &[0x63]);
        image.find(b"DSDT", b"C002") - 3
    }),
    case(Rule::SratReserved, b"SRAT", |image| image.patch(b"SRAT", 36, &[2])),
    case(Rule::SratRepeatedApicId, b"SRAT", |image| image.patch(b"SRAT", 64 + 3, &[0]) - 3),
    case(Rule::SratNotInMadt, b"SRAT", |image| image.patch(b"SRAT", 64 + 3, &[77]) - 3),
    case(Rule::MadtNotInSrat, b"APIC", |image| {
        image.patch(b"SRAT", 64 + 3, &[77]);
        52
    }),
    case(Rule::SratMemory, b"SRAT", |image| image.patch(b"SRAT", 112 + 16, &[0; 8]) - 16),
    case(Rule::SratMemory, b"SRAT", |image| {
        // From 1 MiB on down to where the first range is.
        image.patch(b"SRAT", 112 + 40 + 8, &0x9_F000_u64.to_le_bytes()) - 8
    }),
    case(Rule::SratMemory, b"SRAT", |image| image.patch(b"SRAT", 112 + 80 + 16, &[0xFF; 8]) - 16),
    case(Rule::SlitDistance, b"SLIT", |image| image.patch(b"SLIT", 45, &[9])),
    case(Rule::SlitSize, b"SLIT", |image| image.patch(b"SLIT", 36, &[3])),
    case(Rule::SlitDistance, b"SLIT", |image| image.patch(b"SLIT", 44, &[11])),
    case(Rule::SlitDomains, b"SRAT", |image| image.patch(b"SRAT", 64 + 2, &[2]) - 2),
    case(Rule::McfgBuses, b"MCFG", |image| image.patch(b"MCFG", 44 + 10, &[0xFF]) - 10),
    case(Rule::McfgBuses, b"MCFG", |image| {
        // The second region: the segment of the first, and some of its buses.
        image.patch(b"MCFG", 60 + 8, &[0, 0]) - 8
    }),
    case(Rule::McfgBuses, b"MCFG", |image| {
        image.patch(b"MCFG", 60, &0xFFFF_FFFF_FFF0_0000_u64.to_le_bytes())
    }),
    case(Rule::RegistersInRam, b"APIC", |image| {
        image.patch(b"APIC", 76 + 4, &[0, 0, 0x20, 0]);
        76
    }),
    case(Rule::RegistersInRam, b"HPET", |image| {
        image.patch(b"HPET", 44, &0x10_0000_u64.to_le_bytes())
    }),
    case(Rule::AmlLength, b"SSDT", |image| {
        let length = image.find(b"SSDT", b"DEVA") - 1;
        image.patch(b"SSDT", length, &[0x7F, 0x3F])
    }),
    case(Rule::AmlName, b"SSDT", |image| image.patch(b"SSDT", 37, b"a")),
    case(Rule::AmlTruncated, b"SSDT", |image| {
        let length = image.find(b"SSDT", b"METH") - 1;
        image.patch(b"SSDT", length, &[4]) + 4
    }),
    case(Rule::AmlDepth, b"SSDT", |image| {
        // Device (D000) { Device (D000) { ...
        let mut aml = vec![];
        for _ in 0..70 {
            let length = u16::try_from(aml.len() + 6).unwrap();
            let [low, high] = [0x40 | length.to_le_bytes()[0] & 0xF, (length >> 4) as u8];
            aml = [&[0x5B, 0x82, low, high][..], b"D000", &aml].concat();
        }
        *image = Image::new(&aml);
        // The path of the 65th has too many segments.
        36 + 64 * 8 + 4
    }),
    case(Rule::AmlDepth, b"SSDT", |image| {
        // Scope (\\) { Scope (\\) { ...
        let mut aml = vec![];
        for _ in 0..66 {
            let length = u16::try_from(aml.len() + 4).unwrap();
            let [low, high] = [0x40 | length.to_le_bytes()[0] & 0xF, (length >> 4) as u8];
            aml = [&[0x10, low, high, b'\\', 0][..], &aml].concat();
        }
        *image = Image::new(&aml);
        36 + 65 * 5
    }),
    case(Rule::AmlRepeatedName, b"SSDT", |image| {
        let name = image.find(b"SSDT", b"FLDA");
        image.patch(b"SSDT", name, b"AAAA")
    }),
    case(Rule::AmlRepeatedUid, b"DSDT", |image| {
        let uid = image.find(b"DSDT", b"_UID\x0A\x02") + 5;
        image.patch(b"DSDT", uid, &[3]);
        image.find(b"DSDT", b"C003") - 3
    }),
    case(Rule::AmlRegion, b"SSDT", |image| {
        let region = image.find(b"SSDT", b"\x5B\x80REGM");
        // A page further on.
        image.patch(b"SSDT", region + 6 + 3, &[0x10]);
        region
    }),
    case(Rule::AmlRegion, b"SSDT", |image| {
        // Past the end of what is allowed.
        let region = image.find(b"SSDT", b"\x5B\x80REGA");
        image.patch(b"SSDT", region + 11, &[0x0D]);
        region
    }),
    case(Rule::AmlRegion, b"SSDT", |image| {
        // The length is a variable: Local0.
        let region = image.find(b"SSDT", b"\x5B\x80REGM");
        image.patch(b"SSDT", region + 12, &[0x60, 0xA3]);
        region
    }),
    case(Rule::AmlLoad, b"SSDT", |image| {
        // LoadTable ("", ...
        let noop = image.find(b"SSDT", &[0xA3; 8]);
        image.patch(b"SSDT", noop, b"\x5B\x1F\x0D")
    }),
    case(Rule::AmlLoad, b"SSDT", |image| {
        let noop = image.find(b"SSDT", &[0xA3; 8]);
        image.patch(b"SSDT", noop, b"\x5B\x20AAAA\x60")
    }),
    case(Rule::CrsDescriptor, b"SSDT", |image| {
        let resource = image.find(b"SSDT", &[0x86, 9, 0]);
        image.patch(b"SSDT", resource + 1, &[0xFF]) - 1
    }),
    case(Rule::CrsRange, b"SSDT", |image| {
        let resource = image.find(b"SSDT", &[0x86, 9, 0]);
        image.patch(b"SSDT", resource + 8, &[0xFF; 4]) - 8
    }),
    case(Rule::CrsDescriptor, b"SSDT", |image| {
        // No end tag.
        let resource = image.find(b"SSDT", &[0x86, 9, 0]);
        image.patch(b"SSDT", resource + 12, &[0]) + 2
    }),
    case(Rule::CrsRange, b"DSDT", |image| {
        let window = image.find(b"DSDT", &[0x87, 0x17, 0, 0]);
        image.patch(b"DSDT", window + 22, &[1]) - 22
    }),
    case(Rule::CrsInRam, b"SSDT", |image| {
        let resource = image.find(b"SSDT", &[0x86, 9, 0]);
        image.patch(b"SSDT", resource + 4, &0x10_0000_u32.to_le_bytes()) - 4
    }),
    case(Rule::CrsOverRegisters, b"DSDT", |image| {
        // DWordMemory: the last address and the length, so that the I/O APICs are within.
        let window = image.find(b"DSDT", &[0x87, 0x17, 0, 0]);
        image.patch(b"DSDT", window + 14, &0xFECF_FFFF_u32.to_le_bytes());
        image.patch(b"DSDT", window + 22, &0x1ED0_0000_u32.to_le_bytes()) - 22
    }),
];
