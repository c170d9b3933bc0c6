//! A machine in a few words, and the complete set of structures that follows from them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use guest_state::{Gpa, GpaRange};

use crate::{
    ArrayMapping, Baseboard, BootInformation, Cache, Chassis, DeviceMapping, EntryPoints, Error,
    Firmware, FirmwareCharacteristics, FirmwareCharacteristicsExtension, MemoryArray, MemoryDevice,
    OemStrings, OnboardDevice, Processor, ProcessorCharacteristics, ProcessorStatus, Ref,
    SmbiosTables, System, SystemSlot, TableBuilder, Uuid, Version,
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// Describes a virtual machine.
///
/// Everything has a default but the number of CPUs and the memory; the public fields are there to
/// be changed. [`build`](Self::build) makes firmware, system, board, chassis, processors and their
/// caches, slots, devices on board, strings, memory array, devices and mappings, and boot
/// information.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The version of the specification that the tables follow.
    pub version: Version,
    /// Which entry points they get.
    pub entry_points: EntryPoints,
    /// The firmware.
    pub firmware: Firmware,
    /// The system.
    pub system: System,
    /// The chassis.
    pub chassis: Chassis,
    /// Who made the board.
    pub board_manufacturer: String,
    /// What the board is.
    pub board_product: String,
    /// The board's version.
    pub board_version: String,
    /// The board's serial number.
    pub board_serial: String,
    /// The owner's number for the board.
    pub board_asset_tag: String,
    /// What each processor is; name, counts and caches are filled in.
    pub processor: Processor,
    /// The caches of each processor, first level first; at most three.
    pub caches: Vec<Cache>,
    /// The slots.
    pub slots: Vec<SystemSlot>,
    /// The devices on board, for version 2.6 and up.
    pub onboard_devices: Vec<OnboardDevice>,
    /// The strings of type 11, in as many structures as they need.
    pub oem_strings: Vec<String>,
    /// How much memory a device has at most: memory is split into devices of this size. At least
    /// 1 MiB, and a multiple of it.
    pub memory_device_bytes: u64,
    cpus: u32,
    sockets: u32,
    threads_per_core: u32,
    memory: Vec<GpaRange>,
}

impl Platform {
    /// Describes a machine with this many logical processors: cores of one socket, at first.
    #[must_use]
    pub fn new(cpus: u32) -> Self {
        let firmware = Firmware {
            vendor: "hvkit".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            starting_segment: 0xE800,
            release_date: "01/01/2026".into(),
            characteristics: FirmwareCharacteristics::PCI
                | FirmwareCharacteristics::SELECTABLE_BOOT,
            characteristics_extension: FirmwareCharacteristicsExtension::ACPI
                | FirmwareCharacteristicsExtension::TARGETED_CONTENT_DISTRIBUTION
                | FirmwareCharacteristicsExtension::VIRTUAL_MACHINE,
            major_release: 0,
            minor_release: 1,
            controller_major_release: 0xFF,
            controller_minor_release: 0xFF,
            rom_bytes: 64 << 10,
        };
        let system = System {
            manufacturer: "hvkit".into(),
            product: "Virtual Machine".into(),
            version: "1.0".into(),
            ..System::default()
        };
        let chassis = Chassis { manufacturer: "hvkit".into(), ..Chassis::default() };
        let processor = Processor {
            manufacturer: "hvkit".into(),
            status: ProcessorStatus::ENABLED,
            characteristics: ProcessorCharacteristics::BITS_64,
            ..Processor::default()
        };
        Self {
            version: Version::NEWEST,
            entry_points: EntryPoints::Fitting,
            firmware,
            system,
            chassis,
            board_manufacturer: "hvkit".into(),
            board_product: "Virtual Machine".into(),
            board_version: String::new(),
            board_serial: String::new(),
            board_asset_tag: String::new(),
            processor,
            caches: Vec::new(),
            slots: Vec::new(),
            onboard_devices: Vec::new(),
            oem_strings: Vec::new(),
            memory_device_bytes: 16 * GIB,
            cpus,
            sockets: 1,
            threads_per_core: 1,
            memory: Vec::new(),
        }
    }

    /// Adds a range of memory: whole KiB below 4 TiB. Ranges are in ascending order.
    #[must_use]
    pub fn memory(mut self, range: GpaRange) -> Self {
        self.memory.push(range);
        self
    }

    /// Sets over how many sockets the processors are spread, and how many threads each core has.
    #[must_use]
    pub fn topology(self, sockets: u32, threads_per_core: u32) -> Self {
        Self { sockets, threads_per_core, ..self }
    }

    /// Sets the version that the tables follow.
    #[must_use]
    pub fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Sets which entry points the tables get.
    #[must_use]
    pub fn entry_points(self, entry_points: EntryPoints) -> Self {
        Self { entry_points, ..self }
    }

    /// Sets the system's serial number, such as cloud-init reads.
    #[must_use]
    pub fn serial(mut self, serial: &str) -> Self {
        self.system.serial = serial.into();
        self
    }

    /// Sets the system's identity.
    #[must_use]
    pub fn uuid(mut self, uuid: Uuid) -> Self {
        self.system.uuid = uuid;
        self
    }

    /// Sets the chassis' asset tag.
    #[must_use]
    pub fn asset_tag(mut self, tag: &str) -> Self {
        self.chassis.asset_tag = tag.into();
        self
    }

    /// Sets the board's asset tag.
    #[must_use]
    pub fn board_asset_tag(mut self, tag: &str) -> Self {
        self.board_asset_tag = tag.into();
        self
    }

    /// Adds a string of type 11.
    #[must_use]
    pub fn oem_string(mut self, text: &str) -> Self {
        self.oem_strings.push(text.into());
        self
    }

    /// Hands a credential to systemd, as text.
    ///
    /// # Source
    /// systemd `smbios-type-11(7)`, "io.systemd.credential".
    #[must_use]
    pub fn credential(self, name: &str, value: &str) -> Self {
        self.oem_string(&format!("io.systemd.credential:{name}={value}"))
    }

    /// Hands a credential to systemd, as any bytes.
    ///
    /// # Source
    /// systemd `smbios-type-11(7)`, "io.systemd.credential.binary".
    #[must_use]
    pub fn credential_bytes(self, name: &str, value: &[u8]) -> Self {
        self.oem_string(&format!("io.systemd.credential.binary:{name}={}", base64(value)))
    }

    /// Builds the tables.
    ///
    /// # Errors
    /// As for [`populate`](Self::populate) and [`TableBuilder::finish`].
    pub fn build(&self) -> Result<SmbiosTables, Error> {
        let mut table = TableBuilder::new(self.version)?;
        self.populate(&mut table)?;
        table.finish(self.entry_points)
    }

    /// Adds all structures to a table, to which others can be added before and after.
    ///
    /// # Errors
    /// - [`Error::Topology`]: there is no processor, or they can't be spread evenly.
    /// - [`Error::CacheLevels`]: more than three caches.
    /// - [`Error::Granularity`]: the size of memory devices is zero or not whole MiB.
    /// - Those of [`TableBuilder::add`], for what was changed.
    pub fn populate(&self, table: &mut TableBuilder) -> Result<(), Error> {
        table.add(&self.firmware)?;
        table.add(&self.system)?;
        let chassis = table.add(&self.chassis)?;
        table.add(&Baseboard {
            manufacturer: self.board_manufacturer.clone(),
            product: self.board_product.clone(),
            version: self.board_version.clone(),
            serial: self.board_serial.clone(),
            asset_tag: self.board_asset_tag.clone(),
            ..Baseboard::new(chassis)
        })?;
        self.add_processors(table)?;
        for slot in &self.slots {
            table.add(slot)?;
        }
        for device in &self.onboard_devices {
            table.add(device)?;
        }
        for strings in self.oem_strings.chunks(usize::from(u8::MAX)) {
            table.add(&OemStrings { strings: strings.to_vec() })?;
        }
        self.add_memory(table)?;
        table.add(&BootInformation::default())?;
        Ok(())
    }

    fn add_processors(&self, table: &mut TableBuilder) -> Result<(), Error> {
        let (cpus, sockets, threads) = (self.cpus, self.sockets, self.threads_per_core);
        let error = Error::Topology { cpus, sockets, threads };
        let cores = cpus.checked_div(sockets).and_then(|cpus| cpus.checked_div(threads));
        let cores = cores.filter(|&cores| cores > 0).ok_or(error)?;
        if cores.checked_mul(threads).and_then(|cpus| cpus.checked_mul(sockets)) != Some(cpus) {
            return Err(error);
        }
        // 0xffff is reserved.
        let count =
            |count: u32| u16::try_from(count).ok().filter(|&count| count < 0xFFFF).ok_or(error);
        let mut processor = self.processor.clone();
        processor.core_count = count(cores)?;
        processor.core_enabled = processor.core_count;
        processor.thread_count = count(cpus / sockets)?;
        processor.thread_enabled = processor.thread_count;
        processor.characteristics.set(ProcessorCharacteristics::MULTI_CORE, cores > 1);
        processor.characteristics.set(ProcessorCharacteristics::HARDWARE_THREAD, threads > 1);
        for socket in 0..sockets {
            let mut caches: [Option<Ref<Cache>>; 3] = [None; 3];
            if self.caches.len() > caches.len() {
                return Err(Error::CacheLevels { count: self.caches.len() });
            }
            for (slot, cache) in caches.iter_mut().zip(&self.caches) {
                *slot = Some(table.add(cache)?);
            }
            [processor.l1_cache, processor.l2_cache, processor.l3_cache] = caches;
            processor.socket.clear();
            // Writing to a string never fails.
            let _ = write!(processor.socket, "CPU {socket}");
            table.add(&processor)?;
        }
        Ok(())
    }

    /// Splits the memory into devices, and maps them one behind the other.
    fn add_memory(&self, table: &mut TableBuilder) -> Result<(), Error> {
        let unit_bytes = self.memory_device_bytes;
        if unit_bytes == 0 || !unit_bytes.is_multiple_of(MIB) {
            let kind = crate::StructureType::MEMORY_DEVICE;
            return Err(Error::Granularity { kind, size_bytes: unit_bytes, unit_bytes: MIB });
        }
        let total =
            self.memory.iter().fold(0u64, |sum, range| sum.saturating_add(range.size_bytes()));
        // A device has whole MiB, even where the guest sees less of it.
        let kind = crate::StructureType::MEMORY_ARRAY;
        let too_large = Error::ValueTooLarge { kind, value: total, max: 1 << 63 };
        let installed = total.checked_next_multiple_of(MIB).ok_or(too_large)?;
        let count = installed.div_ceil(unit_bytes);
        let device_count = u16::try_from(count).map_err(|_| {
            let kind = crate::StructureType::MEMORY_DEVICE;
            Error::ValueTooLarge { kind, value: count, max: u64::from(u16::MAX) }
        })?;
        let array = table.add(&MemoryArray {
            maximum_capacity_bytes: installed,
            device_count,
            ..MemoryArray::default()
        })?;
        let mut device = MemoryDevice::new(array, 0);
        device.manufacturer = "hvkit".into();
        let mut devices = Vec::with_capacity(usize::from(device_count));
        for index in 0..device_count {
            let size_bytes = unit_bytes.min(installed - u64::from(index) * unit_bytes);
            (device.size_bytes, device.volatile_bytes) = (size_bytes, size_bytes);
            device.locator.clear();
            // Writing to a string never fails.
            let _ = write!(device.locator, "DIMM {index}");
            devices.push(table.add(&device)?);
        }
        self.map_memory(table, array, &devices)
    }

    fn map_memory(
        &self,
        table: &mut TableBuilder,
        array: Ref<MemoryArray>,
        devices: &[Ref<MemoryDevice>],
    ) -> Result<(), Error> {
        let mut devices = devices.iter();
        let mut device = devices.next();
        let mut left = self.memory_device_bytes;
        for &range in &self.memory {
            let mapping = table.add(&ArrayMapping::new(array, range, 1))?;
            let mut start = range.start();
            while let (Some(&current), Some(rest)) = (device, range.end().offset_from(start)) {
                if rest == 0 {
                    break;
                }
                let size_bytes = rest.min(left);
                if let Some(part) = GpaRange::new(start, size_bytes) {
                    table.add(&DeviceMapping::new(current, mapping, part))?;
                }
                start = start.checked_add(size_bytes).unwrap_or(Gpa::new(u64::MAX));
                left -= size_bytes;
                if left == 0 {
                    device = devices.next();
                    left = self.memory_device_bytes;
                }
            }
        }
        Ok(())
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (index, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS[(bits >> shift & 0x3F) as usize];
            text.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}
