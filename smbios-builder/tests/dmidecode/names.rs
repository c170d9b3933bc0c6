//! The names of values.

use smbios_builder::*;

use crate::tool::{dmidecode, print};

/// Builds one structure for each value from 0 to 255 and returns what dmidecode calls it, beside
/// our name.
fn names<S: Describe>(
    file: &str,
    label: &str,
    mut make: impl FnMut(&mut TableBuilder, u8) -> S,
    name: impl Fn(u8) -> Option<&'static str>,
) {
    let values: Vec<u8> = (0..=255).filter(|&value| name(value).is_some()).collect();
    assert!(values.len() > 3, "{file}");
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    for &value in &values {
        let structure = make(&mut table, value);
        table.add(&structure).unwrap();
    }
    let dump = table.finish(EntryPoints::Bits64).unwrap().dump().unwrap();
    let text = dmidecode(file, &dump);
    let title = format!("DMI type {},", S::TYPE.0);
    let parts = text.split("\n\n").filter(|part| part.contains(&title));
    let found = parts.map(|part| {
        let line = part.lines().find_map(|line| line.trim().strip_prefix(label));
        line.unwrap_or_else(|| panic!("no {label}: {part}")).to_owned()
    });
    let ours: Vec<_> = values.iter().map(|&value| name(value).unwrap().to_owned()).collect();
    assert_eq!(found.collect::<Vec<_>>(), ours, "{label}");
}

/// Holds all values of a field of one byte against dmidecode: it has a name for those that have one
/// of ours, and the same, and none for all others.
fn all_names<S: Describe>(
    file: &str,
    label: &str,
    values: std::ops::RangeInclusive<u8>,
    make: impl Fn(u8) -> S,
    name: impl Fn(u8) -> Option<&'static str>,
) {
    let mut table = TableBuilder::new(Version::NEWEST).unwrap();
    for value in values.clone() {
        table.add(&make(value)).unwrap();
    }
    let dump = table.finish(EntryPoints::Bits64).unwrap().dump().unwrap();
    let text = print(file, &dump);
    let title = format!("DMI type {},", S::TYPE.0);
    let parts = text.split("\n\n").filter(|part| part.contains(&title));
    let found = parts.map(|part| {
        let line = part.lines().find_map(|line| line.trim().strip_prefix(label));
        // dmidecode 3.6 writes "FLexbus".
        line.unwrap_or_else(|| panic!("no {label}: {part}")).replace("FLexbus", "Flexbus")
    });
    let ours = values.map(|value| name(value).unwrap_or("<OUT OF SPEC>").to_owned());
    assert_eq!(found.collect::<Vec<_>>(), ours.collect::<Vec<_>>(), "{label}");
}

#[test]
fn long_lists_have_all_names_that_dmidecode_has_and_no_others() {
    // FEh and FFh stand for a number elsewhere.
    all_names(
        "all-families.bin",
        "Family: ",
        0..=0xFD,
        |value| Processor { family: ProcessorFamily(value.into()), ..Default::default() },
        |value| ProcessorFamily(value.into()).name(),
    );
    all_names(
        "all-upgrades.bin",
        "Upgrade: ",
        0..=0xFF,
        |value| Processor { upgrade: ProcessorUpgrade(value), ..Default::default() },
        |value| ProcessorUpgrade(value).name(),
    );
    all_names(
        "all-slots.bin",
        "Type: ",
        0..=0xFF,
        |value| SystemSlot { slot_type: SlotType(value), ..Default::default() },
        |value| SlotType(value).name(),
    );
    all_names(
        "all-connectors.bin",
        "External Connector Type: ",
        0..=0xFF,
        |value| PortConnector { external_connector: ConnectorType(value), ..Default::default() },
        |value| ConnectorType(value).name(),
    );
    all_names(
        "all-ports.bin",
        "Port Type: ",
        0..=0xFF,
        |value| PortConnector { port_type: PortType(value), ..Default::default() },
        |value| PortType(value).name(),
    );
    all_names(
        "all-onboard.bin",
        "Type: ",
        0..=0x7F,
        |value| OnboardDevice { device_type: BoardDeviceType(value), ..Default::default() },
        |value| BoardDeviceType(value).name(),
    );
}

#[test]
fn values_have_the_names_that_dmidecode_gives_them() {
    names(
        "names-chassis.bin",
        "Type: ",
        |_, value| Chassis { chassis_type: ChassisType(value), ..Default::default() },
        |value| ChassisType(value).name(),
    );
    names(
        "names-state.bin",
        "Thermal State: ",
        |_, value| Chassis { thermal_state: ChassisState(value), ..Default::default() },
        |value| ChassisState(value).name(),
    );
    names(
        "names-security.bin",
        "Security Status: ",
        |_, value| Chassis { security_status: SecurityStatus(value), ..Default::default() },
        |value| SecurityStatus(value).name(),
    );
    names(
        "names-wake-up.bin",
        "Wake-up Type: ",
        |_, value| System { wake_up: WakeUp(value), ..Default::default() },
        |value| WakeUp(value).name(),
    );
    names(
        "names-board.bin",
        "Type: ",
        |table, value| {
            let chassis = table.add(&Chassis::default()).unwrap();
            Baseboard { board_type: BoardType(value), ..Baseboard::new(chassis) }
        },
        |value| BoardType(value).name(),
    );
    names(
        "names-associativity.bin",
        "Associativity: ",
        |_, value| Cache { associativity: Associativity(value), ..Cache::new(1, 1 << 20) },
        |value| Associativity(value).name(),
    );
    names(
        "names-cache-errors.bin",
        "Error Correction Type: ",
        |_, value| Cache {
            error_correction: CacheErrorCorrection(value),
            ..Cache::new(1, 1 << 20)
        },
        |value| CacheErrorCorrection(value).name(),
    );
    names(
        "names-cache.bin",
        "System Type: ",
        |_, value| Cache { cache_type: CacheType(value), ..Cache::new(1, 1 << 20) },
        |value| CacheType(value).name(),
    );
    names(
        "names-usage.bin",
        "Current Usage: ",
        |_, value| SystemSlot { usage: SlotUsage(value), ..Default::default() },
        |value| SlotUsage(value).name(),
    );
    names(
        "names-length.bin",
        "Length: ",
        |_, value| SystemSlot { slot_length: SlotLength(value), ..Default::default() },
        |value| SlotLength(value).name(),
    );
    names(
        "names-location.bin",
        "Location: ",
        |_, value| MemoryArray { location: ArrayLocation(value), ..Default::default() },
        |value| ArrayLocation(value).name(),
    );
    names(
        "names-use.bin",
        "Use: ",
        |_, value| MemoryArray { array_use: ArrayUse(value), ..Default::default() },
        |value| ArrayUse(value).name(),
    );
    names(
        "names-errors.bin",
        "Error Correction Type: ",
        |_, value| MemoryArray {
            error_correction: ArrayErrorCorrection(value),
            ..Default::default()
        },
        |value| ArrayErrorCorrection(value).name(),
    );
    let device = |table: &mut TableBuilder| {
        let array = table.add(&MemoryArray::default()).unwrap();
        MemoryDevice::new(array, 1 << 30)
    };
    names(
        "names-form.bin",
        "Form Factor: ",
        |table, value| MemoryDevice { form_factor: FormFactor(value), ..device(table) },
        |value| FormFactor(value).name(),
    );
    names(
        "names-memory.bin",
        "Type: ",
        |table, value| MemoryDevice { memory_type: MemoryDeviceType(value), ..device(table) },
        |value| MemoryDeviceType(value).name(),
    );
    names(
        "names-technology.bin",
        "Memory Technology: ",
        |table, value| MemoryDevice { technology: MemoryTechnology(value), ..device(table) },
        |value| MemoryTechnology(value).name(),
    );
    names(
        "names-chemistry.bin",
        "Chemistry: ",
        |_, value| Battery { chemistry: BatteryChemistry(value), ..Default::default() },
        // An unknown one sends the reader to the string beside it.
        |value| BatteryChemistry(value).name().filter(|_| value != 2),
    );
    names(
        "names-boot.bin",
        "Status: ",
        |_, value| BootInformation { status: BootStatus(value) },
        |value| BootStatus(value).name(),
    );
    names(
        "names-ipmi.bin",
        "Interface Type: ",
        |_, value| Ipmi { interface: IpmiInterface(value), ..Default::default() },
        |value| IpmiInterface(value).name(),
    );
    names(
        "names-component.bin",
        "State: ",
        |_, value| FirmwareInventory { state: FirmwareState(value), ..Default::default() },
        |value| FirmwareState(value).name(),
    );
}
