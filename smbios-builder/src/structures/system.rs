//! Firmware, system, board and chassis, and what belongs to the whole.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Computed, describe};
use crate::encoder::Field;
use crate::spec::{
    Type0FirmwareInformation, Type1SystemInformation, Type2Baseboard, Type3Chassis,
    Type11OemStrings, Type13Language, Type45FirmwareInventory,
};
use crate::{
    BoardFeatures, BoardType, BootStatus, ChassisState, ChassisType, ComponentCharacteristics,
    Encoder, Error, FirmwareCharacteristics, FirmwareCharacteristicsExtension, FirmwareIdFormat,
    FirmwareState, FirmwareVersionFormat, Handle, LanguageFlags, Ref, SecurityStatus,
    StringPropertyId, Structure, Uuid, Version, WakeUp,
};

describe! {
    /// The platform's firmware, type 0.
    ///
    /// # Source
    /// DSP0134 3.7, "Platform Firmware Information (Type 0)".
    #[derive(Default)]
    Firmware: Type0FirmwareInformation, FIRMWARE, since (2, 0) {
        /// Who made it.
        vendor: String,
        /// Its version.
        version: String,
        /// The segment where its code starts in memory; 0 for UEFI.
        starting_segment: u16,
        /// Its date as `mm/dd/yyyy`.
        release_date: String,
        /// What it can do.
        characteristics: FirmwareCharacteristics,
        /// What else it can do.
        characteristics_extension: FirmwareCharacteristicsExtension,
        /// Its major release; 255 if it has none.
        major_release: u8,
        /// Its minor release; 255 if it has none.
        minor_release: u8,
        /// The embedded controller's major release; 255 if there is none.
        controller_major_release: u8,
        /// The embedded controller's minor release; 255 if there is none.
        controller_minor_release: u8,
    }
    + {
        /// The size of its ROM in bytes: a multiple of 64 KiB, or of 1 MiB from 16 MiB up.
        rom_bytes: u64,
    }

    /// The system, type 1.
    ///
    /// # Source
    /// DSP0134 3.7, "System Information (Type 1)".
    #[derive(Default)]
    System: Type1SystemInformation, SYSTEM, since (2, 0) {
        /// Who made it.
        manufacturer: String,
        /// What it is.
        product: String,
        /// Its version.
        version: String,
        /// Its serial number.
        serial: String,
        /// What woke it.
        wake_up: WakeUp,
        /// Which configuration it was sold in.
        sku: String,
        /// What family it belongs to.
        family: String,
    }
    + {
        /// Its identity.
        uuid: Uuid,
    }

    /// A board, type 2.
    ///
    /// # Source
    /// DSP0134 3.7, "Baseboard (or Module) Information (Type 2)".
    Baseboard: Type2Baseboard, BASEBOARD, since (2, 0) {
        /// Who made it.
        manufacturer: String,
        /// What it is.
        product: String,
        /// Its version.
        version: String,
        /// Its serial number.
        serial: String,
        /// Its owner's number for it.
        asset_tag: String,
        /// What it can do.
        features: BoardFeatures,
        /// Where in the chassis it is.
        location: String,
        /// The chassis that it is in.
        chassis: Ref<Chassis>,
        /// What it is.
        board_type: BoardType,
    }
    + {
        /// What is on it.
        contained: Vec<Handle>,
    }

    /// A chassis, type 3.
    ///
    /// # Source
    /// DSP0134 3.7, "System Enclosure or Chassis (Type 3)".
    #[derive(Default)]
    Chassis: Type3Chassis, CHASSIS, since (2, 0) {
        /// Who made it.
        manufacturer: String,
        /// What it is.
        chassis_type: ChassisType,
        /// Its version.
        version: String,
        /// Its serial number.
        serial: String,
        /// Its owner's number for it.
        asset_tag: String,
        /// Its state when last booted.
        boot_up_state: ChassisState,
        /// The state of its power supply.
        power_supply_state: ChassisState,
        /// Its thermal state.
        thermal_state: ChassisState,
        /// How it is locked.
        security_status: SecurityStatus,
        /// The maker's own.
        oem_defined: u32,
        /// Its height in units of 1.75 inches; 0 if unknown.
        height_units: u8,
        /// How many power cords it has; 0 if unknown.
        power_cords: u8,
    }
    + {
        /// Which configuration it was sold in.
        sku: String,
    }

    /// Strings of the maker's own, type 11.
    ///
    /// # Source
    /// DSP0134 3.7, "OEM Strings (Type 11)".
    #[derive(Default)]
    OemStrings: Type11OemStrings, OEM_STRINGS, since (2, 0) {}
    + {
        /// The strings: at most 255, none empty.
        strings: Vec<String>,
    }

    /// The languages of the firmware, type 13.
    ///
    /// # Source
    /// DSP0134 3.7, "BIOS Language Information (Type 13)".
    #[derive(Default)]
    Language: Type13Language, LANGUAGE, since (2, 0) {
        /// How they are named.
        flags: LanguageFlags,
    }
    + {
        /// The languages to choose from: none empty.
        installable: Vec<String>,
        /// Which of them is chosen, from zero.
        current: u8,
    }

    /// How the last boot went, type 32.
    ///
    /// # Source
    /// DSP0134 3.7, "System Boot Information (Type 32)".
    #[derive(Default)]
    BootInformation: Type32BootInformation, BOOT_INFORMATION, since (2, 3) {
        /// How it went.
        status: BootStatus,
    }

    /// A component of firmware, type 45.
    ///
    /// # Source
    /// DSP0134 3.7, "Firmware Inventory Information (Type 45)".
    #[derive(Default)]
    FirmwareInventory: Type45FirmwareInventory, FIRMWARE_INVENTORY, since (3, 5) {
        /// What it is.
        component: String,
        /// Its version.
        version: String,
        /// How the version is written.
        version_format: FirmwareVersionFormat,
        /// Its id.
        id: String,
        /// How the id is written.
        id_format: FirmwareIdFormat,
        /// Its date, as `2026-01-31T00:00:00Z`.
        release_date: String,
        /// Who made it.
        manufacturer: String,
        /// The lowest version that it can be set back to.
        lowest_version: String,
        /// How long its image is; all bits set if unknown.
        image_bytes: u64,
        /// How it can be changed.
        characteristics: ComponentCharacteristics,
        /// What state it is in.
        state: FirmwareState,
    }
    + {
        /// The structures of what it runs on.
        components: Vec<Handle>,
    }

    /// A property of another structure, type 46.
    ///
    /// # Source
    /// DSP0134 3.7, "String Property (Type 46)".
    StringProperty: Type46StringProperty, STRING_PROPERTY, since (3, 5) {
        /// What the string says.
        property: StringPropertyId,
        /// The string.
        value: String,
        /// The structure that has the property.
        parent: Handle,
    }
}

impl Computed<Type0FirmwareInformation> for Firmware {
    fn complete(
        &self,
        layout: &mut Type0FirmwareInformation,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        const KIB_64: u64 = 64 << 10;
        const MIB: u64 = 1 << 20;
        const MAX: u64 = 0x3FFF * MIB;
        let (kind, value) = (encoder.kind, self.rom_bytes);
        let unit_bytes = if value < 16 * MIB { KIB_64 } else { MIB };
        if !value.is_multiple_of(unit_bytes) {
            return Err(Error::Granularity { kind, size_bytes: value, unit_bytes });
        }
        if unit_bytes == MIB {
            encoder.needs(Version::new(3, 1), value)?;
            layout.rom_size = 0xFF;
            let too_large = Error::ValueTooLarge { kind, value, max: MAX };
            let mib = u16::try_from(value / MIB).ok().filter(|&mib| mib <= 0x3FFF);
            layout.extended_rom_size = mib.ok_or(too_large)?.into();
        } else {
            // Counted from one, so that no ROM can't be told from one of 64 KiB.
            let blocks = (value / KIB_64).saturating_sub(1);
            layout.rom_size = u8::try_from(blocks).unwrap_or(u8::MAX);
        }
        Ok(())
    }

    fn restore(&mut self, layout: &Type0FirmwareInformation, _: &Structure<'_>) {
        let extended = u64::from(layout.extended_rom_size.get());
        self.rom_bytes = match layout.rom_size {
            0xFF if extended >> 14 == 0 && extended != 0 => extended << 20,
            0xFF if extended >> 14 == 1 => (extended & 0x3FFF) << 30,
            blocks => (u64::from(blocks) + 1) << 16,
        };
    }
}

impl Computed<Type1SystemInformation> for System {
    fn complete(
        &self,
        layout: &mut Type1SystemInformation,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.uuid = self.uuid.swapped(encoder.version());
        Ok(())
    }

    fn restore(&mut self, layout: &Type1SystemInformation, _: &Structure<'_>) {
        // A structure doesn't tell its version; all that are now made are newer than 2.5.
        self.uuid = Uuid(Uuid(layout.uuid).swapped(Version::NEWEST));
    }
}

impl Baseboard {
    /// Describes a motherboard of which nothing is known but its chassis.
    #[must_use]
    pub fn new(chassis: Ref<Chassis>) -> Self {
        Self {
            manufacturer: String::new(),
            product: String::new(),
            version: String::new(),
            serial: String::new(),
            asset_tag: String::new(),
            features: BoardFeatures::HOSTING,
            location: String::new(),
            chassis,
            board_type: BoardType::MOTHERBOARD,
            contained: Vec::new(),
        }
    }
}

impl Computed<Type2Baseboard> for Baseboard {
    fn complete(
        &self,
        layout: &mut Type2Baseboard,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.contained_count = encoder.count(self.contained.len(), 120)?;
        Ok(())
    }

    fn append_tail(&self, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        append_handles(&self.contained, encoder)
    }

    fn restore(&mut self, layout: &Type2Baseboard, structure: &Structure<'_>) {
        self.contained = handles(structure, size_of::<Type2Baseboard>(), layout.contained_count);
    }
}

impl Computed<Type3Chassis> for Chassis {
    fn append_tail(&self, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        if encoder.version() >= Version::new(2, 7) {
            let sku = encoder.string(&self.sku)?;
            encoder.append(&[sku]);
        }
        Ok(())
    }

    fn restore(&mut self, layout: &Type3Chassis, structure: &Structure<'_>) {
        let elements = usize::from(layout.element_count) * usize::from(layout.element_length);
        let sku = structure.byte(size_of::<Type3Chassis>() + elements);
        self.sku = Field::get(sku, structure);
    }
}

impl Computed<Type11OemStrings> for OemStrings {
    fn complete(
        &self,
        layout: &mut Type11OemStrings,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.count = encoder.string_list(&self.strings)?;
        Ok(())
    }

    fn restore(&mut self, layout: &Type11OemStrings, structure: &Structure<'_>) {
        self.strings = (1..=layout.count).map(|index| Field::get(index, structure)).collect();
    }
}

impl Computed<Type13Language> for Language {
    fn complete(
        &self,
        layout: &mut Type13Language,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.installable_count = encoder.string_list(&self.installable)?;
        let (kind, count) = (encoder.kind, layout.installable_count);
        let (value, max) = (u64::from(self.current), u64::from(count.saturating_sub(1)));
        if value > max {
            return Err(Error::ValueTooLarge { kind, value, max });
        }
        layout.current = if count == 0 { 0 } else { self.current + 1 };
        Ok(())
    }

    fn restore(&mut self, layout: &Type13Language, structure: &Structure<'_>) {
        let count = layout.installable_count;
        self.installable = (1..=count).map(|index| Field::get(index, structure)).collect();
        self.current = layout.current.saturating_sub(1);
    }
}

impl Computed<Type45FirmwareInventory> for FirmwareInventory {
    fn complete(
        &self,
        layout: &mut Type45FirmwareInventory,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.component_count = encoder.count(self.components.len(), 115)?;
        Ok(())
    }

    fn append_tail(&self, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        append_handles(&self.components, encoder)
    }

    fn restore(&mut self, layout: &Type45FirmwareInventory, structure: &Structure<'_>) {
        let start = size_of::<Type45FirmwareInventory>();
        self.components = handles(structure, start, layout.component_count);
    }
}

fn append_handles(list: &[Handle], encoder: &mut Encoder<'_>) -> Result<(), Error> {
    for &handle in list {
        let handle = encoder.any_reference(handle)?;
        encoder.append(&handle.get().to_le_bytes());
    }
    Ok(())
}

/// Reads as many of `count` handles as the structure has.
fn handles(structure: &Structure<'_>, start: usize, count: u8) -> Vec<Handle> {
    let list = structure.formatted().get(start..).unwrap_or_default();
    let (handles, _) = list.as_chunks::<2>();
    let handles = handles.iter().take(usize::from(count));
    handles.map(|bytes| Handle(u16::from_le_bytes(*bytes))).collect()
}
