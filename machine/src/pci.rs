//! The PCI bus: configuration mechanism 1 and the functions behind it.

use chipset::{ConfigAddress, I440fx, PamRanges, PciFunction, Piix3, Piix4Pm};

use crate::ports;

const HOST_BRIDGE: PciFunction = PciFunction::new(0, 0, 0);
const ISA_BRIDGE: PciFunction = PciFunction::new(0, 1, 0);
const POWER_MANAGEMENT: PciFunction = PciFunction::new(0, 1, 3);

/// Bus 0 and what is on it.
#[derive(Clone, Debug)]
pub(crate) struct PciBus {
    pub(crate) address: ConfigAddress,
    pub(crate) host_bridge: I440fx,
    pub(crate) isa_bridge: Piix3,
    /// For firmware that asks where the power management is, and sets it up elsewhere unless it finds
    /// it set up.
    power_management: Option<Piix4Pm>,
}

impl PciBus {
    pub(crate) const fn new() -> Self {
        Self {
            address: ConfigAddress::new(),
            host_bridge: I440fx::new(),
            isa_bridge: Piix3::new(),
            power_management: None,
        }
    }

    /// Adds the function that says where the power management is.
    pub(crate) const fn add_power_management(&mut self) {
        self.power_management = Some(Piix4Pm::placed(ports::PM_BASE));
    }

    pub(crate) const fn reset(&mut self) {
        self.address.reset();
        self.host_bridge.reset();
        self.isa_bridge.reset();
        if self.power_management.is_some() {
            self.add_power_management();
        }
    }

    /// Reads the byte at CFCh + `offset`.
    pub(crate) fn read_data(&self, offset: u8) -> u8 {
        let Some(target) = self.address.target(offset) else { return 0xFF };
        match target.function {
            HOST_BRIDGE => self.host_bridge.read(target.register),
            ISA_BRIDGE => self.isa_bridge.read(target.register),
            POWER_MANAGEMENT => self
                .power_management
                .as_ref()
                .map_or(0xFF, |function| function.read(target.register)),
            _ => 0xFF,
        }
    }

    /// Writes the byte at CFCh + `offset`; returns which ranges of the PAM changed.
    pub(crate) fn write_data(&mut self, offset: u8, value: u8) -> Option<PamRanges> {
        let target = self.address.target(offset)?;
        match target.function {
            HOST_BRIDGE => return Some(self.host_bridge.write(target.register, value)),
            ISA_BRIDGE => {
                // No device has an interrupt pin yet, so a changed route moves no line.
                let _ = self.isa_bridge.write(target.register, value);
            }
            // It stays where the tables say that it is.
            POWER_MANAGEMENT if !Piix4Pm::places(target.register) => {
                if let Some(function) = &mut self.power_management {
                    function.write(target.register, value);
                }
            }
            _ => {}
        }
        None
    }
}
