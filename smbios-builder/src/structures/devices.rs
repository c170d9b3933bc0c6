//! Slots, connectors, devices on board, power and management.

use alloc::string::String;
use alloc::vec::Vec;

use zerocopy::{FromBytes, IntoBytes};

use super::{Computed, describe};
use crate::spec::{
    PeerGroupLayout, SlotTailLayout, Type9SystemSlot, Type39PowerSupply, Type41OnboardDevice,
};
use crate::{
    BatteryChemistry, BoardDeviceType, ConnectorType, Describe, Encoder, Error, Handle,
    IpmiInterface, IpmiModifier, PortType, PowerSupplyCharacteristics, SlotCharacteristics1,
    SlotCharacteristics2, SlotHeight, SlotLength, SlotType, SlotUsage, SlotWidth, Structure,
    StructureType, TpmCharacteristics, Version,
};

describe! {
    /// A connector, type 8.
    ///
    /// # Source
    /// DSP0134 3.7, "Port Connector Information (Type 8)".
    #[derive(Default)]
    PortConnector: Type8PortConnector, PORT_CONNECTOR, since (2, 0) {
        /// Its name inside.
        internal_designator: String,
        /// What it looks like inside.
        internal_connector: ConnectorType,
        /// Its name outside.
        external_designator: String,
        /// What it looks like outside.
        external_connector: ConnectorType,
        /// What it is for.
        port_type: PortType,
    }

    /// A slot, type 9.
    ///
    /// # Source
    /// DSP0134 3.7, "System Slots (Type 9)".
    #[derive(Default)]
    SystemSlot: Type9SystemSlot, SYSTEM_SLOT, since (2, 0) {
        /// Its name.
        designation: String,
        /// What it takes.
        slot_type: SlotType,
        /// How wide its bus is.
        bus_width: SlotWidth,
        /// Whether it is taken.
        usage: SlotUsage,
        /// How long a card may be.
        slot_length: SlotLength,
        /// Its number, as the slot's type has numbers.
        id: u16,
        /// What it offers.
        characteristics_1: SlotCharacteristics1,
        /// What else it offers.
        characteristics_2: SlotCharacteristics2,
        /// Its PCI segment; 0xffff if it has none.
        segment: u16,
        /// Its bus; 0xff if it has none.
        bus: u8,
        /// Its device number in bits 7 to 3, its function below; 0xff if it has none.
        device_function: u8,
        /// How many lanes are connected; 0 if unknown.
        base_bus_width: u8,
    }
    + {
        /// The devices in it, if it is bifurcated.
        peers: Vec<SlotPeer>,
        /// For PCI Express its generation; 0 otherwise.
        information: u8,
        /// How wide it is.
        physical_width: SlotWidth,
        /// The distance to the next in 1/100 mm; 0 if unknown.
        pitch: u16,
        /// How high a card may be.
        height: SlotHeight,
    }

    /// A battery, type 22.
    ///
    /// # Source
    /// DSP0134 3.7, "Portable Battery (Type 22)".
    #[derive(Default)]
    Battery: Type22Battery, BATTERY, since (2, 1) {
        /// Where it is.
        location: String,
        /// Who made it.
        manufacturer: String,
        /// When it was made; empty if `sbds_manufacture_date` says it.
        manufacture_date: String,
        /// Its serial number; empty if `sbds_serial` says it.
        serial: String,
        /// Its name.
        device_name: String,
        /// What it is made of.
        chemistry: BatteryChemistry,
        /// Its capacity in mWh, to be multiplied; 0 if unknown.
        design_capacity: u16,
        /// Its voltage in mV; 0 if unknown.
        design_voltage_mv: u16,
        /// The version of the Smart Battery Data Specification.
        sbds_version: String,
        /// The largest error of its data in percent; 0xff if unknown.
        maximum_error_percent: u8,
        /// Its serial number as a Smart Battery.
        sbds_serial: u16,
        /// When it was made: year since 1980 in bits 15 to 9, month in 8 to 5, day below.
        sbds_manufacture_date: u16,
        /// What it is made of, where `chemistry` is unknown.
        sbds_chemistry: String,
        /// What to multiply the capacity by.
        capacity_multiplier: u8,
        /// The maker's own.
        oem_specific: u32,
    }

    /// A management controller, type 38.
    ///
    /// # Source
    /// DSP0134 3.7, "IPMI Device Information (Type 38)".
    #[derive(Default)]
    Ipmi: Type38Ipmi, IPMI, since (2, 3) {
        /// How it is reached.
        interface: IpmiInterface,
        /// The version of IPMI, a digit in each half.
        revision_bcd: u8,
        /// Its address on the I2C bus, shifted left by one.
        i2c_address: u8,
        /// The address of its storage; 0xff if it has none.
        nv_storage_address: u8,
        /// Its base address; bit 0 set for I/O ports.
        base_address: u64,
        /// How its registers are spaced, and how it interrupts.
        modifier: IpmiModifier,
        /// Its interrupt; 0 if it has none.
        interrupt: u8,
    }

    /// A power supply, type 39. It refers to no probe and no cooling device.
    ///
    /// # Source
    /// DSP0134 3.7, "System Power Supply (Type 39)".
    #[derive(Default)]
    PowerSupply: Type39PowerSupply, POWER_SUPPLY, since (2, 3) {
        /// Which group of redundant supplies it is of; 0 if of none.
        power_unit_group: u8,
        /// Where it is.
        location: String,
        /// Its name.
        device_name: String,
        /// Who made it.
        manufacturer: String,
        /// Its serial number.
        serial: String,
        /// Its owner's number for it.
        asset_tag: String,
        /// Its part number.
        part_number: String,
        /// Its revision.
        revision: String,
        /// How much it can supply, in W; 0x8000 if unknown.
        maximum_capacity_watts: u16,
        /// What it is and does.
        characteristics: PowerSupplyCharacteristics,
    }
    + {}

    /// A device on board, type 41.
    ///
    /// # Source
    /// DSP0134 3.7, "Onboard Devices Extended Information (Type 41)".
    #[derive(Default)]
    OnboardDevice: Type41OnboardDevice, ONBOARD_DEVICE, since (2, 6) {
        /// Its name.
        designation: String,
        /// Which one of its kind it is, from one.
        instance: u8,
        /// Its PCI segment; 0xffff if it has none.
        segment: u16,
        /// Its bus; 0xff if it has none.
        bus: u8,
        /// Its device number in bits 7 to 3, its function below; 0xff if it has none.
        device_function: u8,
    }
    + {
        /// What it is.
        device_type: BoardDeviceType,
        /// Whether it is enabled.
        enabled: bool,
    }

    /// A TPM, type 43.
    ///
    /// # Source
    /// DSP0134 3.7, "TPM Device (Type 43)".
    #[derive(Default)]
    Tpm: Type43Tpm, TPM, since (3, 1) {
        /// Its vendor's id: four characters, those that are missing zero.
        vendor: [u8; 4],
        /// Which major version of the specification it follows.
        major_spec_version: u8,
        /// Which minor version of the specification it follows.
        minor_spec_version: u8,
        /// The upper half of its firmware's version.
        firmware_version_1: u32,
        /// The lower half of its firmware's version.
        firmware_version_2: u32,
        /// What it is.
        description: String,
        /// What it can do.
        characteristics: TpmCharacteristics,
        /// The maker's own.
        oem_defined: u32,
    }
}

/// One of the devices in a bifurcated slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SlotPeer {
    /// Its PCI segment.
    pub segment: u16,
    /// Its bus.
    pub bus: u8,
    /// Its device number in bits 7 to 3, its function below.
    pub device_function: u8,
    /// How many lanes it has.
    pub bus_width: u8,
}

/// Version 3.2 brought the peer groups, 3.4 what follows them, and 3.5 the last byte.
const SLOT_PEERS: Version = Version::new(3, 2);
const SLOT_TAIL: Version = Version::new(3, 4);
const SLOT_HEIGHT: Version = Version::new(3, 5);

impl Computed<Type9SystemSlot> for SystemSlot {
    fn complete(
        &self,
        layout: &mut Type9SystemSlot,
        encoder: &mut Encoder<'_>,
    ) -> Result<(), Error> {
        layout.peer_count = encoder.count(self.peers.len(), 46)?;
        if layout.peer_count > 0 {
            encoder.needs(SLOT_PEERS, u64::from(layout.peer_count))?;
        }
        Ok(())
    }

    fn append_tail(&self, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        for peer in &self.peers {
            let layout = PeerGroupLayout {
                segment: peer.segment.into(),
                bus: peer.bus,
                device_function: peer.device_function,
                bus_width: peer.bus_width,
            };
            encoder.append(layout.as_bytes());
        }
        let tail = SlotTailLayout {
            information: self.information,
            physical_width: self.physical_width.0,
            pitch: self.pitch.into(),
            height: self.height.0,
        };
        let length = match encoder.version() {
            version if version >= SLOT_HEIGHT => 5,
            version if version >= SLOT_TAIL => 4,
            _ => 0,
        };
        encoder.append(&tail.as_bytes()[..length]);
        Ok(())
    }

    fn restore(&mut self, layout: &Type9SystemSlot, structure: &Structure<'_>) {
        let rest = structure.formatted().get(size_of::<Type9SystemSlot>()..).unwrap_or_default();
        let peers = usize::from(layout.peer_count) * size_of::<PeerGroupLayout>();
        let (peers, tail) = rest.split_at(peers.min(rest.len()));
        let peers = peers.chunks_exact(size_of::<PeerGroupLayout>());
        let peers = peers.filter_map(|bytes| PeerGroupLayout::read_from_bytes(bytes).ok());
        let peers = peers.map(|layout| SlotPeer {
            segment: layout.segment.get(),
            bus: layout.bus,
            device_function: layout.device_function,
            bus_width: layout.bus_width,
        });
        self.peers = peers.collect();
        let byte = |index: usize| tail.get(index).copied().unwrap_or_default();
        self.information = byte(0);
        self.physical_width = SlotWidth(byte(1));
        self.pitch = u16::from_le_bytes([byte(2), byte(3)]);
        self.height = SlotHeight(byte(4));
    }
}

impl Computed<Type39PowerSupply> for PowerSupply {
    fn complete(&self, layout: &mut Type39PowerSupply, _: &mut Encoder<'_>) -> Result<(), Error> {
        let none = Handle::NONE.0;
        layout.voltage_probe = none.into();
        layout.cooling_device = none.into();
        layout.current_probe = none.into();
        Ok(())
    }
}

/// The bit beside a device's type that says whether the device is enabled.
const ENABLED: u8 = 1 << 7;

fn device_byte(device: BoardDeviceType, enabled: bool) -> u8 {
    device.0 & !ENABLED | if enabled { ENABLED } else { 0 }
}

impl Computed<Type41OnboardDevice> for OnboardDevice {
    fn complete(&self, layout: &mut Type41OnboardDevice, _: &mut Encoder<'_>) -> Result<(), Error> {
        layout.device_type = device_byte(self.device_type, self.enabled);
        Ok(())
    }

    fn restore(&mut self, layout: &Type41OnboardDevice, _: &Structure<'_>) {
        self.device_type = BoardDeviceType(layout.device_type & !ENABLED);
        self.enabled = layout.device_type & ENABLED != 0;
    }
}

/// The devices on board as they were told before version 2.6, type 10.
///
/// # Source
/// DSP0134 3.7, "On Board Devices Information (Type 10, Obsolete)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnBoardDevices {
    /// The devices.
    pub devices: Vec<OnBoardDevice>,
}

/// One device of [`OnBoardDevices`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnBoardDevice {
    /// What it is.
    pub device_type: BoardDeviceType,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Its name.
    pub description: String,
}

impl Describe for OnBoardDevices {
    const TYPE: StructureType = StructureType::ON_BOARD_DEVICES;
    const SINCE: Version = Version::new(2, 0);

    fn encode(&self, encoder: &mut Encoder<'_>) -> Result<(), Error> {
        encoder.count(self.devices.len(), 125)?;
        for device in &self.devices {
            let description = encoder.string(&device.description)?;
            encoder.append(&[device_byte(device.device_type, device.enabled), description]);
        }
        Ok(())
    }

    fn decode(structure: &Structure<'_>) -> Result<Self, Error> {
        structure.expect(Self::TYPE)?;
        let (devices, _) = structure.body().as_chunks::<2>();
        let devices = devices.iter().map(|&[kind, description]| OnBoardDevice {
            device_type: BoardDeviceType(kind & !ENABLED),
            enabled: kind & ENABLED != 0,
            description: crate::encoder::Field::get(description, structure),
        });
        Ok(Self { devices: devices.collect() })
    }
}
