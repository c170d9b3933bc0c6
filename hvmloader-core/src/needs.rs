//! What a firmware finds its machine to have, or fails.

use core::fmt;

use crate::Error;

bitflags::bitflags! {
    /// Devices, and what else a firmware may rely on.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Needs: u32 {
        /// PCI configuration by ports CF8h and CFCh, with a host bridge that the firmware knows.
        const PCI_CONFIGURATION = 1 << 0;
        /// The low copy can be written: PAM registers put RAM in its place, or RAM is there.
        const SHADOW = 1 << 1;
        /// The clock with CMOS, ports 70h and 71h, with the registers that tell of memory.
        const CMOS = 1 << 2;
        /// The 8259 pair.
        const PIC = 1 << 3;
        /// The 8254.
        const PIT = 1 << 4;
        /// ACPI's power management timer.
        const PM_TIMER = 1 << 5;
        /// A local APIC with its timer.
        const LOCAL_APIC_TIMER = 1 << 6;
        /// An I/O APIC.
        const IO_APIC = 1 << 7;
        /// QEMU's configuration device.
        const FW_CFG = 1 << 8;
        /// Flash that can be written, for variables.
        const FLASH = 1 << 9;
        /// A keyboard controller.
        const KEYBOARD = 1 << 10;
        /// A serial port.
        const SERIAL = 1 << 11;
        /// PVH's start info, with memory map and RSDP.
        const START_INFO = 1 << 12;
        /// Xen's CPUID leaves and hypercall page.
        const XEN = 1 << 13;
    }
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bitflags::parser::to_writer(self, f)
    }
}

/// Which firmware is to run; the crate firmware-blobs tells it from an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FirmwareKind {
    /// SeaBIOS on QEMU's platform, or on one like it.
    SeaBios,
    /// SeaBIOS as Xen's hvmloader starts it.
    SeaBiosXen,
    /// qboot.
    Qboot,
    /// OVMF.
    Ovmf,
    /// OVMF as Cloud Hypervisor builds it.
    CloudHv,
}

impl FirmwareKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::SeaBios, Self::SeaBiosXen, Self::Qboot, Self::Ovmf, Self::CloudHv];

    /// Returns that without which it does not come up.
    ///
    /// # Source
    /// SeaBIOS and EDK II's `OvmfPkg`, read for facts. Where qboot's come from is not recorded, and
    /// no rig takes a device away to see a firmware fail.
    #[must_use]
    pub const fn needs(self) -> Needs {
        match self {
            Self::SeaBios => Needs::PCI_CONFIGURATION
                .union(Needs::SHADOW)
                .union(Needs::CMOS)
                .union(Needs::PIC)
                .union(Needs::PIT),
            // Its image is RAM from the start, so that it has nothing to unlock.
            Self::SeaBiosXen => Needs::PCI_CONFIGURATION
                .union(Needs::CMOS)
                .union(Needs::PIC)
                .union(Needs::PIT)
                .union(Needs::XEN),
            Self::Qboot => Needs::PCI_CONFIGURATION.union(Needs::SHADOW).union(Needs::FW_CFG),
            Self::Ovmf => Needs::PCI_CONFIGURATION
                .union(Needs::CMOS)
                .union(Needs::PM_TIMER)
                .union(Needs::LOCAL_APIC_TIMER),
            Self::CloudHv => Needs::PCI_CONFIGURATION
                .union(Needs::PM_TIMER)
                .union(Needs::LOCAL_APIC_TIMER)
                .union(Needs::START_INFO),
        }
    }

    /// Returns what it makes use of where it is there.
    #[must_use]
    pub const fn uses(self) -> Needs {
        match self {
            Self::SeaBios => Needs::FW_CFG
                .union(Needs::PM_TIMER)
                .union(Needs::KEYBOARD)
                .union(Needs::SERIAL)
                .union(Needs::IO_APIC),
            Self::SeaBiosXen => Needs::KEYBOARD.union(Needs::SERIAL).union(Needs::IO_APIC),
            Self::Qboot => Needs::SERIAL,
            Self::Ovmf => Needs::FW_CFG
                .union(Needs::FLASH)
                .union(Needs::KEYBOARD)
                .union(Needs::SERIAL)
                .union(Needs::PIC),
            Self::CloudHv => Needs::SERIAL,
        }
    }

    /// Refuses a machine that lacks something needed, before it starts.
    ///
    /// # Errors
    /// [`Error::Lacking`] with all that is missing.
    pub const fn check(self, present: Needs) -> Result<(), Error> {
        let missing = self.needs().difference(present);
        if missing.is_empty() { Ok(()) } else { Err(Error::Lacking { kind: self, missing }) }
    }
}
