//! Memory: arrays, devices, and where they are mapped.

use alloc::string::String;

use guest_state::{Gpa, GpaRange};
use zerocopy::little_endian::{U32, U64};

use super::{Computed, describe};
use crate::spec::{Type16MemoryArray, Type17MemoryDevice, Type19ArrayMapping, Type20DeviceMapping};
use crate::{
    ArrayErrorCorrection, ArrayLocation, ArrayUse, Encoder, Error, FormFactor, Handle,
    MemoryDeviceType, MemoryTechnology, MemoryTypeDetail, OperatingModes, Ref, Structure, Version,
};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// The version with fields for more than the first ones can hold.
const EXTENDED: Version = Version::new(2, 7);

describe! {
    /// A group of memory devices, type 16.
    ///
    /// # Source
    /// DSP0134 3.7, "Physical Memory Array (Type 16)".
    #[derive(Default)]
    MemoryArray: Type16MemoryArray, MEMORY_ARRAY, since (2, 1) {
        /// Where it is.
        location: ArrayLocation,
        /// What it is for.
        array_use: ArrayUse,
        /// How it detects errors.
        error_correction: ArrayErrorCorrection,
        /// How many devices it has room for.
        device_count: u16,
    }
    + {
        /// How much memory it can have, in bytes: a multiple of 1 KiB.
        maximum_capacity_bytes: u64,
    }

    /// A memory device, such as a DIMM, type 17.
    ///
    /// # Source
    /// DSP0134 3.7, "Memory Device (Type 17)".
    MemoryDevice: Type17MemoryDevice, MEMORY_DEVICE, since (2, 1) {
        /// The array that it is in.
        array: Ref<MemoryArray>,
        /// Its width with check bits; 0xffff if unknown.
        total_width_bits: u16,
        /// Its width; 0xffff if unknown.
        data_width_bits: u16,
        /// What it looks like.
        form_factor: FormFactor,
        /// Which set of equal devices it is of; 0 if of none.
        device_set: u8,
        /// Its place, as the board names it.
        locator: String,
        /// Its bank, as the board names it.
        bank_locator: String,
        /// What kind of memory it is.
        memory_type: MemoryDeviceType,
        /// How it works.
        type_detail: MemoryTypeDetail,
        /// Who made it.
        manufacturer: String,
        /// Its serial number.
        serial: String,
        /// Its owner's number for it.
        asset_tag: String,
        /// Its part number.
        part_number: String,
        /// Its rank in the lower four bits; 0 if unknown.
        attributes: u8,
        /// Its least voltage in mV; 0 if unknown.
        minimum_voltage_mv: u16,
        /// Its highest voltage in mV; 0 if unknown.
        maximum_voltage_mv: u16,
        /// Its voltage in mV; 0 if unknown.
        configured_voltage_mv: u16,
        /// What it is made of.
        technology: MemoryTechnology,
        /// How it can be operated.
        operating_modes: OperatingModes,
        /// The version of its firmware.
        firmware_version: String,
        /// The module's maker, as its SPD has it; 0 if unknown.
        module_manufacturer_id: u16,
        /// The module's product, as its SPD has it; 0 if unknown.
        module_product_id: u16,
        /// The controller's maker, as its SPD has it; 0 if unknown.
        controller_manufacturer_id: u16,
        /// The controller's product, as its SPD has it; 0 if unknown.
        controller_product_id: u16,
        /// How much of it is non-volatile; all bits set if unknown.
        non_volatile_bytes: u64,
        /// How much of it is volatile; all bits set if unknown.
        volatile_bytes: u64,
        /// How much of it is a cache; all bits set if unknown.
        cache_bytes: u64,
        /// How much of it is logical; all bits set if unknown.
        logical_bytes: u64,
        /// The maker of its first PMIC; 0 if unknown.
        pmic0_manufacturer_id: u16,
        /// Its first PMIC: bit 15 if installed, the type above, the revision in the lower byte.
        pmic0_revision: u16,
        /// The maker of its registering clock driver; 0 if unknown.
        rcd_manufacturer_id: u16,
        /// Its registering clock driver: bit 15 if installed, type and revision as above.
        rcd_revision: u16,
    }
    + {
        /// Its size in bytes, 0 if the place is empty: a multiple of 1 KiB below 32 MiB, of 1 MiB
        /// from there.
        size_bytes: u64,
        /// Its highest speed in MT/s; 0 if unknown.
        speed_mts: u32,
        /// Its speed in MT/s; 0 if unknown.
        configured_speed_mts: u32,
    }

    /// Where an array's memory is mapped, type 19.
    ///
    /// # Source
    /// DSP0134 3.7, "Memory Array Mapped Address (Type 19)".
    ArrayMapping: Type19ArrayMapping, ARRAY_MAPPING, since (2, 1) {
        /// The array.
        array: Ref<MemoryArray>,
        /// How many devices make one row.
        partition_width: u8,
    }
    + {
        /// Where it is mapped: whole KiB, unless the address is from 4 TiB up.
        range: GpaRange,
    }

    /// Where a device's memory is mapped, type 20.
    ///
    /// # Source
    /// DSP0134 3.7, "Memory Device Mapped Address (Type 20)".
    DeviceMapping: Type20DeviceMapping, DEVICE_MAPPING, since (2, 1) {
        /// The device.
        device: Ref<MemoryDevice>,
        /// The mapping of its array that this is part of.
        array_mapping: Ref<ArrayMapping>,
        /// Its position in a row; 0xff if unknown.
        row_position: u8,
        /// Its position in an interleave; 0 if none, 0xff if unknown.
        interleave_position: u8,
        /// How many rows at once are accessed in an interleave; 0 if none, 0xff if unknown.
        interleave_depth: u8,
    }
    + {
        /// Where it is mapped: whole KiB, unless the address is from 4 TiB up.
        range: GpaRange,
    }
}

impl Computed<Type16MemoryArray> for MemoryArray {
    fn complete(
        &self,
        layout: &mut Type16MemoryArray,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.error_information = Handle::NOT_PROVIDED.0.into();
        let size_bytes = self.maximum_capacity_bytes;
        let kib = size_bytes / KIB;
        match u32::try_from(kib).ok().filter(|&kib| kib < 1 << 31) {
            Some(kib) => {
                granularity(encoder, size_bytes, KIB)?;
                layout.maximum_capacity = kib.into();
            }
            None => {
                encoder.needs(EXTENDED, size_bytes)?;
                layout.maximum_capacity = (1 << 31).into();
                layout.extended_maximum_capacity = size_bytes.into();
            }
        }
        Ok(())
    }

    fn restore(&mut self, layout: &Type16MemoryArray, _: &Structure<'_>) {
        self.maximum_capacity_bytes = match layout.maximum_capacity.get() {
            0x8000_0000 => layout.extended_maximum_capacity.get(),
            kib => u64::from(kib) * KIB,
        };
    }
}

impl MemoryDevice {
    /// Describes a DIMM of virtual memory.
    #[must_use]
    pub fn new(array: Ref<MemoryArray>, size_bytes: u64) -> Self {
        Self {
            array,
            total_width_bits: 0xFFFF,
            data_width_bits: 0xFFFF,
            form_factor: FormFactor::DIMM,
            device_set: 0,
            locator: String::new(),
            bank_locator: String::new(),
            memory_type: MemoryDeviceType::RAM,
            type_detail: MemoryTypeDetail::OTHER,
            manufacturer: String::new(),
            serial: String::new(),
            asset_tag: String::new(),
            part_number: String::new(),
            attributes: 0,
            minimum_voltage_mv: 0,
            maximum_voltage_mv: 0,
            configured_voltage_mv: 0,
            technology: MemoryTechnology::DRAM,
            operating_modes: OperatingModes::VOLATILE,
            firmware_version: String::new(),
            module_manufacturer_id: 0,
            module_product_id: 0,
            controller_manufacturer_id: 0,
            controller_product_id: 0,
            non_volatile_bytes: 0,
            volatile_bytes: size_bytes,
            cache_bytes: 0,
            logical_bytes: 0,
            pmic0_manufacturer_id: 0,
            pmic0_revision: 0,
            rcd_manufacturer_id: 0,
            rcd_revision: 0,
            size_bytes,
            speed_mts: 0,
            configured_speed_mts: 0,
        }
    }
}

impl Computed<Type17MemoryDevice> for MemoryDevice {
    fn complete(
        &self,
        layout: &mut Type17MemoryDevice,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        /// In the field of one word: the size is in the extended one.
        const SEE_EXTENDED: u16 = 0x7FFF;
        let (kind, size_bytes) = (encoder.kind, self.size_bytes);
        layout.error_information = Handle::NOT_PROVIDED.0.into();
        let mib = size_bytes / MIB;
        if mib < 32 && !size_bytes.is_multiple_of(MIB) {
            granularity(encoder, size_bytes, KIB)?;
            let kib = u16::try_from(size_bytes / KIB).unwrap_or(SEE_EXTENDED);
            layout.size = (1 << 15 | kib).into();
        } else {
            granularity(encoder, size_bytes, MIB)?;
            layout.size = match u16::try_from(mib).ok().filter(|&mib| mib < SEE_EXTENDED) {
                Some(mib) => mib.into(),
                None => {
                    encoder.needs(EXTENDED, size_bytes)?;
                    let max = 0x7FFF_FFFF * MIB;
                    let mib = u32::try_from(mib).ok().filter(|mib| mib >> 31 == 0);
                    let too_large = Error::ValueTooLarge { kind, value: size_bytes, max };
                    layout.extended_size = mib.ok_or(too_large)?.into();
                    SEE_EXTENDED.into()
                }
            };
        }
        let speeds = [
            (self.speed_mts, &mut layout.speed, &mut layout.extended_speed),
            (
                self.configured_speed_mts,
                &mut layout.configured_speed,
                &mut layout.extended_configured_speed,
            ),
        ];
        for (mts, word, extended) in speeds {
            match u16::try_from(mts).ok().filter(|&mts| mts != u16::MAX) {
                Some(mts) => *word = mts.into(),
                None => {
                    let value = u64::from(mts);
                    encoder.needs(Version::new(3, 3), value)?;
                    if mts >> 31 != 0 {
                        return Err(Error::ValueTooLarge { kind, value, max: 0x7FFF_FFFF });
                    }
                    *word = u16::MAX.into();
                    *extended = mts.into();
                }
            }
        }
        Ok(())
    }

    fn restore(&mut self, layout: &Type17MemoryDevice, _: &Structure<'_>) {
        self.size_bytes = match layout.size.get() {
            0x7FFF => u64::from(layout.extended_size.get() & 0x7FFF_FFFF) * MIB,
            kib if kib >> 15 == 1 => u64::from(kib & 0x7FFF) * KIB,
            mib => u64::from(mib) * MIB,
        };
        let speed = |word: u16, extended: U32| match word {
            u16::MAX => extended.get(),
            mts => mts.into(),
        };
        self.speed_mts = speed(layout.speed.get(), layout.extended_speed);
        self.configured_speed_mts =
            speed(layout.configured_speed.get(), layout.extended_configured_speed);
    }
}

impl ArrayMapping {
    /// Maps an array's memory.
    #[must_use]
    pub const fn new(array: Ref<MemoryArray>, range: GpaRange, partition_width: u8) -> Self {
        Self { array, partition_width, range }
    }
}

impl DeviceMapping {
    /// Maps a device's memory, not interleaved.
    #[must_use]
    pub const fn new(
        device: Ref<MemoryDevice>,
        array_mapping: Ref<ArrayMapping>,
        range: GpaRange,
    ) -> Self {
        Self {
            device,
            array_mapping,
            row_position: 1,
            interleave_position: 0,
            interleave_depth: 0,
            range,
        }
    }
}

impl Computed<Type19ArrayMapping> for ArrayMapping {
    fn complete(
        &self,
        layout: &mut Type19ArrayMapping,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        let fields = mapped(self.range, encoder)?;
        (layout.start, layout.end, layout.extended_start, layout.extended_end) = fields;
        Ok(())
    }

    fn restore(&mut self, layout: &Type19ArrayMapping, _: &Structure<'_>) {
        let fields = (layout.start, layout.end, layout.extended_start, layout.extended_end);
        self.range = unmapped(fields);
    }
}

impl Computed<Type20DeviceMapping> for DeviceMapping {
    fn complete(
        &self,
        layout: &mut Type20DeviceMapping,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        let fields = mapped(self.range, encoder)?;
        (layout.start, layout.end, layout.extended_start, layout.extended_end) = fields;
        Ok(())
    }

    fn restore(&mut self, layout: &Type20DeviceMapping, _: &Structure<'_>) {
        let fields = (layout.start, layout.end, layout.extended_start, layout.extended_end);
        self.range = unmapped(fields);
    }
}

fn granularity(encoder: &Encoder<'_>, size_bytes: u64, unit_bytes: u64) -> Result<(), Error> {
    if size_bytes.is_multiple_of(unit_bytes) {
        return Ok(());
    }
    Err(Error::Granularity { kind: encoder.kind, size_bytes, unit_bytes })
}

/// Start and end in KiB, then in bytes; both ends belong to the range.
type MappedFields = (U32, U32, U64, U64);

fn mapped(range: GpaRange, encoder: &Encoder<'_>) -> Result<MappedFields, Error> {
    let (kind, start) = (encoder.kind, range.start());
    let last = range.last().ok_or(Error::EmptyRange { kind, start })?.as_u64();
    // All bits set sends the reader to the extended fields, so the last KiB below 4 TiB is theirs.
    match u32::try_from(last / KIB).ok().filter(|&kib| kib != u32::MAX) {
        Some(last_kib) => {
            granularity(encoder, start.as_u64(), KIB)?;
            granularity(encoder, range.size_bytes(), KIB)?;
            let start_kib = u32::try_from(start.as_u64() / KIB).unwrap_or(u32::MAX);
            Ok((start_kib.into(), last_kib.into(), 0.into(), 0.into()))
        }
        None => {
            encoder.needs(EXTENDED, last)?;
            let see_extended = U32::new(u32::MAX);
            Ok((see_extended, see_extended, start.as_u64().into(), last.into()))
        }
    }
}

/// A range that is none reads as empty.
fn unmapped((start, end, extended_start, extended_end): MappedFields) -> GpaRange {
    let (first, last) = if start.get() == u32::MAX {
        (extended_start.get(), extended_end.get())
    } else {
        (u64::from(start.get()) * KIB, u64::from(end.get()) * KIB + (KIB - 1))
    };
    let end = last.checked_add(1).map(Gpa::new);
    end.and_then(|end| GpaRange::from_bounds(Gpa::new(first), end)).unwrap_or_default()
}
