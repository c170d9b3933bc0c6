//! Tables that servers have, as the disassembler reads them.

use crate::common::servers;
use crate::data::reads;

#[test]
fn hmat() {
    reads(
        &servers::hmat(),
        &[
            ("Structure Type", "0000"),
            ("Processor Proximity Domain Valid", "1"),
            ("Attached Initiator Proximity Domain", "00000001"),
            ("Memory Proximity Domain", "00000000"),
            ("Processor Proximity Domain Valid", "0"),
            ("Memory Proximity Domain", "00000003"),
            ("Structure Type", "0001"),
            ("Length", "00000040"),
            ("Memory Hierarchy", "1"),
            ("Data Type", "04"),
            ("Initiator Proximity Domains #", "00000002"),
            ("Target Proximity Domains #", "00000003"),
            ("Entry Base Unit", "00000000000003E8"),
            ("Initiator Proximity Domain List", "00000000"),
            ("Initiator Proximity Domain List", "00000001"),
            ("Target Proximity Domain List", "00000000"),
            ("Target Proximity Domain List", "00000001"),
            ("Target Proximity Domain List", "00000003"),
            ("Entry", "0010"),
            ("Entry", "0020"),
            ("Entry", "FFFF"),
            ("Entry", "0030"),
            ("Entry", "0040"),
            ("Entry", "0050"),
            ("Structure Type", "0002"),
            ("Memory Proximity Domain", "00000003"),
            ("Memory Side Cache Size", "0000000040000000"),
            ("Total Cache Levels", "3"),
            ("Cache Level", "2"),
            ("Cache Associativity", "1"),
            ("Write Policy", "2"),
            ("Cache Line Size", "0040"),
            ("SMBIOS Handle #", "0002"),
            ("SMBIOS Handle", "1100"),
            ("SMBIOS Handle", "1101"),
        ],
    );
}

#[test]
fn pptt() {
    reads(
        &servers::pptt(),
        &[
            ("Subtable Type", "01"),
            ("Cache ID valid", "1"),
            ("Next Level of Cache", "00000000"),
            ("Size", "00100000"),
            ("Number of Sets", "00000800"),
            ("Associativity", "08"),
            ("Allocation Type", "2"),
            ("Cache Type", "2"),
            ("Write Policy", "0"),
            ("Line Size", "0040"),
            ("Cache ID", "00000001"),
            ("Next Level of Cache", "00000024"),
            ("Size", "00008000"),
            ("Cache Type", "0"),
            ("Next Level of Cache", "00000024"),
            ("Cache Type", "1"),
            ("Subtable Type", "00"),
            ("Physical package", "1"),
            ("ACPI Processor ID valid", "0"),
            ("Parent", "00000000"),
            ("Private Resource Number", "00000001"),
            ("Private Resource", "00000024"),
            ("Physical package", "0"),
            ("ACPI Processor ID valid", "1"),
            ("Processor is a thread", "0"),
            ("Node is a leaf", "1"),
            ("Parent", "00000078"),
            ("ACPI Processor ID", "00000000"),
            ("Private Resource", "00000040"),
            ("Private Resource", "0000005C"),
            ("Node is a leaf", "0"),
            ("Parent", "00000078"),
            ("Processor is a thread", "1"),
            ("Node is a leaf", "1"),
            ("Parent", "000000AC"),
            ("ACPI Processor ID", "00000001"),
            ("ACPI Processor ID", "00000002"),
        ],
    );
}

#[test]
fn dmar() {
    reads(
        &servers::dmar(),
        &[
            ("Host Address Width", "26"),
            ("Flags", "05"),
            ("Subtable Type", "0000"),
            ("Flags", "00"),
            ("Register Base Address", "00000000FED90000"),
            ("Device Scope Type", "01"),
            ("PCI Bus Number", "00"),
            ("PCI Path", "02,01"),
            ("Subtable Type", "0000"),
            ("Flags", "01"),
            ("Register Base Address", "00000000FED91000"),
            ("Device Scope Type", "03"),
            ("Enumeration ID", "01"),
            ("PCI Bus Number", "FF"),
            ("PCI Path", "00,00"),
            ("Device Scope Type", "04"),
            ("PCI Bus Number", "FE"),
            ("PCI Path", "1F,07"),
            ("Subtable Type", "0001"),
            ("Base Address", "000000007C000000"),
            ("End Address (limit)", "000000007C1FFFFF"),
            ("PCI Path", "14,00"),
            ("Subtable Type", "0002"),
            ("Flags", "00"),
            ("Device Scope Type", "02"),
            ("PCI Path", "1C,04"),
            ("Subtable Type", "0003"),
            ("Base Address", "00000000FED90000"),
            ("Proximity Domain", "00000001"),
        ],
    );
}

#[test]
fn ivrs() {
    let devices = [
        ("Subtable Type", "03"),
        ("Device ID", "0008"),
        ("Subtable Type", "04"),
        ("Device ID", "00FF"),
        ("Subtable Type", "02"),
        ("Device ID", "0103"),
        ("Subtable Type", "48"),
        ("Handle", "01"),
        ("Source Used Device ID", "00A0"),
        ("Variety", "01"),
        ("Subtable Type", "48"),
        ("Handle", "00"),
        ("Source Used Device ID", "00A1"),
        ("Variety", "02"),
    ];
    let head = [
        ("Virtualization Info", "00202801"),
        ("Subtable Type", "10"),
        ("Iotlb Support", "1"),
        ("Coherent", "1"),
        ("PPR Support", "0"),
        ("Length", "0034"),
        ("DeviceId", "0010"),
        ("Capability Offset", "0040"),
        ("Base Address", "00000000FED80000"),
        ("PCI Segment Group", "0000"),
        ("Feature Reporting", "00000030"),
    ];
    let extended = [
        ("Subtable Type", "11"),
        ("Length", "0044"),
        ("DeviceId", "0010"),
        ("Attributes", "00000000"),
        ("EFR Image", "000294FDD31DD8F7"),
    ];
    let memory = [
        ("Subtable Type", "21"),
        ("Unity", "1"),
        ("Readable", "1"),
        ("Writeable", "1"),
        ("Exclusion Range", "0"),
        ("DeviceId", "0020"),
        ("Start Address", "000000007D000000"),
        ("Memory Length", "0000000000001000"),
    ];
    let expected = [&head[..], &devices, &extended, &devices, &memory].concat();
    reads(&servers::ivrs(), &expected);
}

#[test]
fn viot() {
    reads(
        &servers::viot(),
        &[
            ("Node count", "0004"),
            ("Node offset", "0030"),
            ("Type", "03"),
            ("PCI Segment", "0001"),
            ("PCI BDF number", "001A"),
            ("Type", "04"),
            ("Base address", "00000000FEB01000"),
            ("Type", "01"),
            ("Endpoint start", "00010000"),
            ("PCI Segment start", "0001"),
            ("PCI Segment end", "0002"),
            ("PCI BDF start", "0020"),
            ("PCI BDF end", "FFFF"),
            ("Output node", "0030"),
            ("Type", "02"),
            ("Endpoint", "00000007"),
            ("Base address", "00000000FEB02000"),
            ("Output node", "0040"),
        ],
    );
}

#[test]
fn nfit() {
    reads(
        &servers::nfit(),
        &[
            ("Subtable Type", "0000"),
            ("Length", "0040"),
            ("Range Index", "0001"),
            ("Proximity Domain Valid", "1"),
            ("Proximity Domain", "00000001"),
            ("Region Type GUID", "66F0D379-B4F3-4074-AC43-0D3318B78CDB"),
            ("Address Range Base", "0000000200000000"),
            ("Address Range Length", "0000000010000000"),
            ("Memory Map Attribute", "0000000000008008"),
            ("Subtable Type", "0001"),
            ("Device Handle", "00000012"),
            ("Physical Id", "1102"),
            ("Range Index", "0001"),
            ("Control Region Index", "0002"),
            ("Region Size", "0000000008000000"),
            ("Region Offset", "0000000008000000"),
            ("Address Region Base", "0000000000001000"),
            ("Interleave Ways", "0001"),
            ("Subtable Type", "0004"),
            ("Length", "0050"),
            ("Region Index", "0002"),
            ("Vendor Id", "8086"),
            ("Device Id", "0001"),
            ("Revision Id", "0003"),
            ("Serial Number", "00123456"),
            ("Code", "0301"),
            ("Window Count", "0000"),
            ("Subtable Type", "0006"),
            ("Device Handle", "00000012"),
            ("Hint Count", "0002"),
            ("Hint Address", "00000000FEB03000"),
            ("Hint Address", "00000000FEB03040"),
            ("Subtable Type", "0007"),
            ("Highest Capability", "02"),
            ("Cache Flush to NVDIMM", "1"),
            ("Memory Flush to NVDIMM", "0"),
        ],
    );
}

#[test]
fn cedt() {
    reads(
        &servers::cedt(),
        &[
            ("Subtable Type", "00"),
            ("Associated host bridge", "0000000C"),
            ("Specification version", "00000001"),
            ("Register base", "00000000FE010000"),
            ("Register length", "0000000000010000"),
            ("Associated host bridge", "0000000D"),
            ("Specification version", "00000000"),
            ("Register base", "00000000FE002000"),
            ("Register length", "0000000000002000"),
            ("Subtable Type", "01"),
            ("Length", "002C"),
            ("Window base address", "0000001000000000"),
            ("Window size", "0000000040000000"),
            ("Interleave Members", "01"),
            ("Granularity", "00000002"),
            ("Restrictions", "0006"),
            ("QtgId", "0005"),
            ("First Target", "0000000D"),
            ("Next Target", "0000000C"),
        ],
    );
}

#[test]
fn erst() {
    reads(
        &servers::erst(),
        &[
            ("Serialization Header Length", "00000030"),
            ("Instruction Entry Count", "00000002"),
            ("Action", "02"),
            ("Instruction", "03"),
            ("Space ID", "00"),
            ("Bit Width", "20"),
            ("Encoded Access Width", "03"),
            ("Address", "00000000FEB04000"),
            ("Value", "0000000000000002"),
            ("Mask", "00000000000000FF"),
            ("Action", "0E"),
            ("Instruction", "00"),
            ("Bit Width", "40"),
            ("Encoded Access Width", "04"),
            ("Address", "00000000FEB04008"),
            ("Mask", "FFFFFFFFFFFFFFFF"),
        ],
    );
}

#[test]
fn hest() {
    reads(
        &servers::hest(),
        &[
            ("Error Source Count", "00000009"),
            ("Subtable Type", "0000"),
            ("Source Id", "0000"),
            ("Firmware First", "0"),
            ("GHES Assist", "1"),
            ("Enabled", "01"),
            ("Records To Preallocate", "00000001"),
            ("Max Sections Per Record", "00000001"),
            ("Global Capability Data", "0000000000001000"),
            ("Global Control Data", "000000000000007F"),
            ("Num Hardware Banks", "02"),
            ("Bank Number", "00"),
            ("Clear Status On Init", "00"),
            ("Status Format", "01"),
            ("Control Register", "00000400"),
            ("Control Data", "FFFFFFFFFFFFFFFF"),
            ("Status Register", "00000401"),
            ("Address Register", "00000402"),
            ("Misc Register", "00000403"),
            ("Bank Number", "01"),
            ("Control Register", "00000404"),
            ("Subtable Type", "0001"),
            ("Source Id", "0001"),
            ("Notify Type", "00"),
            ("PollInterval", "000001F4"),
            ("Num Hardware Banks", "01"),
            ("Bank Number", "09"),
            ("Clear Status On Init", "01"),
            ("Control Data", "0000000000000003"),
            ("Subtable Type", "0002"),
            ("Source Id", "0002"),
            ("Max Raw Data Length", "00000200"),
            ("Subtable Type", "0006"),
            ("Firmware First", "1"),
            ("Bus", "00000120"),
            ("Device", "001C"),
            ("Function", "0003"),
            ("DeviceControl", "000F"),
            ("Uncorrectable Mask", "00100000"),
            ("Uncorrectable Severity", "00062030"),
            ("Correctable Mask", "00002000"),
            ("Advanced Capabilities", "000000A0"),
            ("Root Error Command", "00000007"),
            ("Subtable Type", "0007"),
            ("Subtable Type", "0008"),
            ("Bus", "00000121"),
            ("2nd Uncorrectable Mask", "000017A8"),
            ("2nd Uncorrectable Severity", "00001340"),
            ("2nd Advanced Capabilities", "0000001F"),
            ("Subtable Type", "0009"),
            ("Source Id", "0004"),
            ("Related Source Id", "FFFF"),
            ("Enabled", "01"),
            ("Address", "000000007FE40000"),
            ("Notify Type", "00"),
            ("Notify Length", "1C"),
            ("PollInterval", "000003E8"),
            ("Error Status Block Length", "00001000"),
            ("Subtable Type", "000A"),
            ("Source Id", "0005"),
            ("Notify Type", "07"),
            ("Error Status Block Length", "00001000"),
            ("Address", "000000007FE40010"),
            ("Read Ack Preserve", "FFFFFFFFFFFFFFFE"),
            ("Read Ack Write", "0000000000000001"),
            ("Subtable Type", "000B"),
            ("Source Id", "0009"),
            ("Notify Type", "05"),
            ("Bank Number", "09"),
        ],
    );
}

#[test]
fn bert() {
    reads(
        &servers::bert(),
        &[
            ("Boot Error Region Length", "00004000"),
            ("Boot Error Region Address", "000000007FE50000"),
        ],
    );
}
