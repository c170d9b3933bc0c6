//! Flags and fields of words: what dmidecode says of each, alone.

use smbios_builder::*;

use crate::tool::print;

/// Builds one structure for each value and holds the last line below a label against what belongs
/// there.
fn each<S: Describe, T: Copy>(
    file: &str,
    label: &str,
    values: &[(T, &str)],
    make: impl Fn(&mut TableBuilder, T) -> S,
) {
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    for (value, _) in values {
        let structure = make(&mut table, *value);
        table.add(&structure).unwrap();
    }
    let dump = table.finish(EntryPoints::Bits64).unwrap().dump().unwrap();
    let text = print(file, &dump);
    let title = format!("DMI type {},", S::TYPE.0);
    let parts = text.split("\n\n").filter(|part| part.contains(&title));
    let found = parts.map(|part| {
        let (_, rest) = part.split_once(label).unwrap_or_else(|| panic!("no {label}: {part}"));
        let mut lines = rest.lines();
        // On the label's own line, or indented twice below it.
        let own = lines.next().unwrap_or_default().trim();
        let below = lines.take_while(|line| line.starts_with("\t\t")).last();
        below.map_or(own, str::trim).to_owned()
    });
    let expected: Vec<_> = values.iter().map(|(_, text)| (*text).to_owned()).collect();
    assert_eq!(found.collect::<Vec<_>>(), expected, "{label}");
}

#[test]
fn firmware_characteristics_are_the_bits_that_dmidecode_reads() {
    use FirmwareCharacteristics as C;
    each(
        "flags-firmware.bin",
        "Characteristics:",
        &[
            (C::NOT_SUPPORTED, "BIOS characteristics not supported"),
            (C::ISA, "ISA is supported"),
            (C::MCA, "MCA is supported"),
            (C::EISA, "EISA is supported"),
            (C::PCI, "PCI is supported"),
            (C::PC_CARD, "PC Card (PCMCIA) is supported"),
            (C::PLUG_AND_PLAY, "PNP is supported"),
            (C::APM, "APM is supported"),
            (C::UPGRADEABLE, "BIOS is upgradeable"),
            (C::SHADOWING, "BIOS shadowing is allowed"),
            (C::VL_VESA, "VLB is supported"),
            (C::ESCD, "ESCD support is available"),
            (C::CD_BOOT, "Boot from CD is supported"),
            (C::SELECTABLE_BOOT, "Selectable boot is supported"),
            (C::SOCKETED_ROM, "BIOS ROM is socketed"),
            (C::PC_CARD_BOOT, "Boot from PC Card (PCMCIA) is supported"),
            (C::EDD, "EDD is supported"),
            (C::FLOPPY_NEC_9800, "Japanese floppy for NEC 9800 1.2 MB is supported (int 13h)"),
            (C::FLOPPY_TOSHIBA, "Japanese floppy for Toshiba 1.2 MB is supported (int 13h)"),
            (C::FLOPPY_360K, "5.25\"/360 kB floppy services are supported (int 13h)"),
            (C::FLOPPY_1_2M, "5.25\"/1.2 MB floppy services are supported (int 13h)"),
            (C::FLOPPY_720K, "3.5\"/720 kB floppy services are supported (int 13h)"),
            (C::FLOPPY_2_88M, "3.5\"/2.88 MB floppy services are supported (int 13h)"),
            (C::PRINT_SCREEN, "Print screen service is supported (int 5h)"),
            (C::KEYBOARD_8042, "8042 keyboard services are supported (int 9h)"),
            (C::SERIAL, "Serial services are supported (int 14h)"),
            (C::PRINTER, "Printer services are supported (int 17h)"),
            (C::CGA_MONO, "CGA/mono video services are supported (int 10h)"),
            (C::PC_98, "NEC PC-98"),
        ],
        |_, characteristics| Firmware { characteristics, ..Default::default() },
    );
    use FirmwareCharacteristicsExtension as E;
    each(
        "flags-firmware-extension.bin",
        "Characteristics:",
        &[
            (E::ACPI, "ACPI is supported"),
            (E::USB_LEGACY, "USB legacy is supported"),
            (E::AGP, "AGP is supported"),
            (E::I2O_BOOT, "I2O boot is supported"),
            (E::LS_120_BOOT, "LS-120 boot is supported"),
            (E::ATAPI_ZIP_BOOT, "ATAPI Zip drive boot is supported"),
            (E::IEEE_1394_BOOT, "IEEE 1394 boot is supported"),
            (E::SMART_BATTERY, "Smart battery is supported"),
            (E::BIOS_BOOT_SPECIFICATION, "BIOS boot specification is supported"),
            (E::NETWORK_BOOT_KEY, "Function key-initiated network boot is supported"),
            (E::TARGETED_CONTENT_DISTRIBUTION, "Targeted content distribution is supported"),
            (E::UEFI, "UEFI is supported"),
            (E::VIRTUAL_MACHINE, "System is a virtual machine"),
            (E::MANUFACTURING_MODE_SUPPORTED, "Manufacturing mode is supported"),
            (E::MANUFACTURING_MODE_ENABLED, "Manufacturing mode is enabled"),
        ],
        |_, characteristics_extension| Firmware { characteristics_extension, ..Default::default() },
    );
}

#[test]
fn processors_and_caches_are_what_dmidecode_reads() {
    use ProcessorCharacteristics as C;
    each(
        "flags-processor.bin",
        "Characteristics:",
        &[
            (C::BITS_64, "64-bit capable"),
            (C::MULTI_CORE, "Multi-Core"),
            (C::HARDWARE_THREAD, "Hardware Thread"),
            (C::EXECUTE_PROTECTION, "Execute Protection"),
            (C::ENHANCED_VIRTUALIZATION, "Enhanced Virtualization"),
            (C::POWER_CONTROL, "Power/Performance Control"),
            (C::BITS_128, "128-bit Capable"),
            (C::ARM64_SOC_ID, "Arm64 SoC ID"),
        ],
        // dmidecode 3.6 looks no further if bits 2 to 7 are zero.
        |_, flag| Processor { characteristics: flag | C::BITS_64, ..Default::default() },
    );
    use ProcessorStatus as P;
    each(
        "flags-status.bin",
        "Status:",
        &[P::EMPTY, P::UNKNOWN, P::ENABLED, P::DISABLED_BY_USER, P::DISABLED_BY_FIRMWARE, P::IDLE]
            .map(|status| (status, status.name().unwrap())),
        |_, status| Processor { status, ..Default::default() },
    );
    let modes = [CacheMode::WRITE_THROUGH, CacheMode::WRITE_BACK, CacheMode::VARIES];
    let caches = [1, 2, 8].map(|level| CacheConfiguration::internal(level, modes[0]));
    let text = |level: &str| format!("Enabled, Not Socketed, Level {level}");
    each(
        "flags-cache-level.bin",
        "Configuration:",
        &[(caches[0], &*text("1")), (caches[1], &text("2")), (caches[2], &text("8"))],
        |_, configuration| Cache { configuration, ..Default::default() },
    );
    each(
        "flags-cache-mode.bin",
        "Operational Mode:",
        &modes.map(|mode| (mode, mode.name().unwrap())),
        |_, mode| Cache {
            configuration: CacheConfiguration::internal(1, mode),
            ..Default::default()
        },
    );
}

#[test]
fn slots_and_memory_are_what_dmidecode_reads() {
    use SlotCharacteristics1 as A;
    each(
        "flags-slot-1.bin",
        "Characteristics:",
        &[
            (A::VOLTS_5, "5.0 V is provided"),
            (A::VOLTS_3_3, "3.3 V is provided"),
            (A::SHARED, "Opening is shared"),
            (A::PC_CARD_16, "PC Card-16 is supported"),
            (A::CARD_BUS, "Cardbus is supported"),
            (A::ZOOM_VIDEO, "Zoom Video is supported"),
            (A::MODEM_RING_RESUME, "Modem ring resume is supported"),
        ],
        |_, characteristics_1| SystemSlot { characteristics_1, ..Default::default() },
    );
    use SlotCharacteristics2 as B;
    each(
        "flags-slot-2.bin",
        "Characteristics:",
        &[
            (B::PME, "PME signal is supported"),
            (B::HOT_PLUG, "Hot-plug devices are supported"),
            (B::SMBUS, "SMBus signal is supported"),
            (B::BIFURCATION, "PCIe slot bifurcation is supported"),
            (B::SURPRISE_REMOVAL, "Async/surprise removal is supported"),
            (B::CXL_1_0, "Flexbus slot, CXL 1.0 capable"),
            (B::CXL_2_0, "Flexbus slot, CXL 2.0 capable"),
            (B::CXL_3_0, "Flexbus slot, CXL 3.0 capable"),
        ],
        |_, characteristics_2| SystemSlot { characteristics_2, ..Default::default() },
    );
    use MemoryTypeDetail as D;
    each(
        "flags-memory.bin",
        "Type Detail:",
        &[
            (D::OTHER, "Other"),
            (D::UNKNOWN, "Unknown"),
            (D::FAST_PAGED, "Fast-paged"),
            (D::STATIC_COLUMN, "Static Column"),
            (D::PSEUDO_STATIC, "Pseudo-static"),
            (D::RAMBUS, "RAMBus"),
            (D::SYNCHRONOUS, "Synchronous"),
            (D::CMOS, "CMOS"),
            (D::EDO, "EDO"),
            (D::WINDOW_DRAM, "Window DRAM"),
            (D::CACHE_DRAM, "Cache DRAM"),
            (D::NON_VOLATILE, "Non-Volatile"),
            (D::REGISTERED, "Registered (Buffered)"),
            (D::UNBUFFERED, "Unbuffered (Unregistered)"),
            (D::LRDIMM, "LRDIMM"),
        ],
        |table, type_detail| {
            let array = table.add(&MemoryArray::default()).unwrap();
            MemoryDevice { type_detail, ..MemoryDevice::new(array, 1 << 30) }
        },
    );
}

#[test]
fn power_supplies_are_what_dmidecode_reads() {
    let supply = |characteristics| PowerSupply { characteristics, ..Default::default() };
    let with = |range, status, kind| {
        PowerSupplyCharacteristics::new(PowerSupplyFlags::PRESENT, range, status, kind)
    };
    let (range, status, kind) =
        (InputRange::WIDE, PowerSupplyStatus::OK, PowerSupplyType::SWITCHING);
    each(
        "flags-supply-type.bin",
        "Type:",
        &(1..=8).map(PowerSupplyType).map(|kind| (kind, kind.name().unwrap())).collect::<Vec<_>>(),
        |_, kind| supply(with(range, status, kind)),
    );
    each(
        "flags-supply-range.bin",
        "Input Voltage Range Switching:",
        &(1..=6).map(InputRange).map(|range| (range, range.name().unwrap())).collect::<Vec<_>>(),
        |_, range| supply(with(range, status, kind)),
    );
    let statuses = (1..=5)
        .map(PowerSupplyStatus)
        .map(|status| (status, format!("Present, {}", status.name().unwrap())));
    let statuses: Vec<_> = statuses.collect();
    each(
        "flags-supply-status.bin",
        "Status:",
        &statuses.iter().map(|(status, text)| (*status, text.as_str())).collect::<Vec<_>>(),
        |_, status| supply(with(range, status, kind)),
    );
    use PowerSupplyFlags as F;
    each(
        "flags-supply.bin",
        "Hot Replaceable:",
        &[(F::HOT_REPLACEABLE, "Yes"), (F::PRESENT, "No")],
        |_, flags| supply(PowerSupplyCharacteristics::new(flags, range, status, kind)),
    );
}
