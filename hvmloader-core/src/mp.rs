//! The MP table: processors and interrupt lines for systems without ACPI.

mod wire;

use alloc::vec::Vec;

use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::checksum::checksum;
use crate::{Error, InterruptPin, PirqRouting};

const VERSION_1_4: u8 = 4;
const HEADER_CHECKSUM: usize = 7;
const IMCR_PRESENT: u8 = 1 << 7;
const FOUR_GIB: u64 = 1 << 32;

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpProcessor {
    /// The id of its local APIC; the table holds up to 254.
    pub apic_id: u32,
    /// It boots; exactly one does.
    pub bootstrap: bool,
    /// CPUID leaf 1, EAX.
    pub signature: u32,
    /// CPUID leaf 1, EDX.
    pub features: u32,
}

/// What a bus is: six characters, filled with spaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpBusKind(pub [u8; 6]);

impl MpBusKind {
    /// PCI.
    pub const PCI: Self = Self(*b"PCI   ");
    /// ISA.
    pub const ISA: Self = Self(*b"ISA   ");
}

/// An I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpIoApic {
    /// Its id.
    pub id: u8,
    /// Its version register, bits 7:0.
    pub version: u8,
    /// Where its registers are.
    pub address: u32,
}

/// What kind of interrupt a line brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpInterruptKind(pub u8);

impl MpInterruptKind {
    /// One whose vector the APIC supplies.
    pub const VECTORED: Self = Self(0);
    /// A non-maskable interrupt.
    pub const NMI: Self = Self(1);
    /// A system management interrupt.
    pub const SMI: Self = Self(2);
    /// One whose vector the 8259 supplies.
    pub const EXTINT: Self = Self(3);
}

/// Polarity in bits 1:0, trigger mode in bits 3:2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpLine(pub u16);

impl MpLine {
    /// As the bus has it.
    pub const CONFORMS: Self = Self(0);
    /// Active high, edge-triggered.
    pub const HIGH_EDGE: Self = Self(0b01_01);
    /// Active low, level-triggered.
    pub const LOW_LEVEL: Self = Self(0b11_11);
}

/// A line from a bus to an input of an APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MpInterrupt {
    /// What it brings.
    pub kind: MpInterruptKind,
    /// How it is driven.
    pub line: MpLine,
    /// The id of its bus.
    pub bus: u8,
    /// Its number on the bus; for PCI the pin in bits 1:0 and the device in bits 6:2.
    pub irq: u8,
    /// The id of the APIC, or [`ALL`](Self::ALL).
    pub apic: u8,
    /// The input of the APIC.
    pub input: u8,
}

impl MpInterrupt {
    /// All APICs of the kind.
    pub const ALL: u8 = 0xFF;
}

/// An MP table.
///
/// # Source
/// MultiProcessor Specification 1.4 §4, "MP Configuration Table", and Appendix D.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpTable {
    /// Who made the machine.
    pub oem_id: [u8; 8],
    /// What it is.
    pub product_id: [u8; 12],
    /// Where the local APICs are.
    pub local_apic: u32,
    /// The version of the local APICs.
    pub local_apic_version: u8,
    /// There is an IMCR: at the start the 8259 is connected past the APICs.
    pub imcr: bool,
    /// The processors.
    pub processors: Vec<MpProcessor>,
    /// The buses by id, PCI buses with their own number.
    pub buses: Vec<(u8, MpBusKind)>,
    /// The I/O APICs.
    pub io_apics: Vec<MpIoApic>,
    /// Lines to I/O APICs.
    pub interrupts: Vec<MpInterrupt>,
    /// Lines to local APICs.
    pub local_interrupts: Vec<MpInterrupt>,
}

impl MpTable {
    /// The alignment of what [`build_at`](Self::build_at) returns.
    pub const ALIGNMENT: u64 = 16;

    /// The table of a PC: one PCI bus, ISA behind it, one I/O APIC.
    ///
    /// The pins of `pci_devices` come to the inputs that have their IRQ's number. IRQ 0 is at input
    /// 2 and the 8259 at input 0 and at LINT0; LINT1 is the NMI.
    #[must_use]
    pub fn pc(
        processors: Vec<MpProcessor>,
        io_apic: MpIoApic,
        routing: &PirqRouting,
        pci_devices: &[u8],
    ) -> Self {
        const PCI: u8 = 0;
        const ISA: u8 = 1;
        let apic = io_apic.id;
        let interrupt = |kind, bus, irq, input| {
            let line = MpLine::CONFORMS;
            MpInterrupt { kind, line, bus, irq, apic, input }
        };
        let mut interrupts = Vec::from([interrupt(MpInterruptKind::EXTINT, ISA, 0, 0)]);
        for irq in (0..16_u8).filter(|irq| *irq != 2 && routing.elcr() >> irq & 1 == 0) {
            let input = if irq == 0 { 2 } else { irq };
            interrupts.push(interrupt(MpInterruptKind::VECTORED, ISA, irq, input));
        }
        for device in pci_devices.iter().map(|device| device & 0x1F) {
            for pin in InterruptPin::ALL {
                if let Some(input) = routing.irq(device, pin) {
                    let irq = device << 2 | pin.index();
                    let line = MpLine::LOW_LEVEL;
                    let conforming = interrupt(MpInterruptKind::VECTORED, PCI, irq, input);
                    interrupts.push(MpInterrupt { line, ..conforming });
                }
            }
        }
        let local =
            |kind, input| MpInterrupt { apic: MpInterrupt::ALL, ..interrupt(kind, ISA, 0, input) };
        Self {
            oem_id: *b"HVKIT   ",
            product_id: *b"PC          ",
            local_apic: 0xFEE0_0000,
            local_apic_version: 0x14,
            imcr: false,
            processors,
            buses: Vec::from([(PCI, MpBusKind::PCI), (ISA, MpBusKind::ISA)]),
            io_apics: Vec::from([io_apic]),
            interrupts,
            local_interrupts: Vec::from([
                local(MpInterruptKind::EXTINT, 0),
                local(MpInterruptKind::NMI, 1),
            ]),
        }
    }

    /// Returns the floating pointer, to stand at `gpa`, and the configuration table behind it.
    ///
    /// An operating system looks for the pointer between F_0000h and F_FFFFh, in the first KiB of
    /// the extended BIOS data area, and in the last KiB of conventional memory.
    ///
    /// # Errors
    /// [`Error::TableAddress`]; and as [`build_configuration`](Self::build_configuration).
    pub fn build_at(&self, gpa: Gpa) -> Result<Vec<u8>, Error> {
        let table = self.build_configuration()?;
        let size = size_of::<wire::FloatingPointer>() as u64;
        let refused = Error::TableAddress { at: gpa, alignment: Self::ALIGNMENT };
        let end = gpa.checked_add(size + table.len() as u64).ok_or(refused)?;
        if !gpa.is_aligned(Self::ALIGNMENT) || end.as_u64() > FOUR_GIB {
            return Err(refused);
        }
        let at = gpa.checked_add(size).ok_or(refused)?.as_u64();
        let mut pointer = wire::FloatingPointer {
            signature: *b"_MP_",
            configuration: u32::try_from(at).map_err(|_| refused)?.into(),
            length_paragraphs: 1,
            revision: VERSION_1_4,
            checksum: 0,
            default_configuration: 0,
            features: if self.imcr { IMCR_PRESENT } else { 0 },
            reserved: [0; 3],
        };
        pointer.checksum = checksum(pointer.as_bytes());
        let mut bytes = pointer.as_bytes().to_vec();
        bytes.extend(table);
        Ok(bytes)
    }

    /// Returns the configuration table.
    ///
    /// # Errors
    /// [`Error::ApicId`] for one that a byte does not hold or that two processors have;
    /// [`Error::Bootstrap`] unless exactly one processor boots; [`Error::MpBus`] for buses out of
    /// order, and for an interrupt from a bus that is not listed; [`Error::MpIoApic`] for an id that
    /// is listed twice or not at all; [`Error::TableSize`].
    pub fn build_configuration(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::from([0; size_of::<wire::Header>()]);
        for processor in self.check_processors()? {
            bytes.extend_from_slice(processor.as_bytes());
        }
        if let Some(pair) = self.buses.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return Err(Error::MpBus { bus: pair[1].0 });
        }
        for &(id, MpBusKind(kind)) in &self.buses {
            bytes.extend_from_slice(wire::Bus { entry_type: 1, id, kind }.as_bytes());
        }
        for (at, io_apic) in self.io_apics.iter().enumerate() {
            let MpIoApic { id, version, address } = *io_apic;
            if id == MpInterrupt::ALL || self.io_apics[..at].iter().any(|other| other.id == id) {
                return Err(Error::MpIoApic { id });
            }
            let address = address.into();
            let entry = wire::IoApic { entry_type: 2, id, version, flags: 1, address };
            bytes.extend_from_slice(entry.as_bytes());
        }
        for interrupt in &self.interrupts {
            let id = interrupt.apic;
            if id != MpInterrupt::ALL && !self.io_apics.iter().any(|other| other.id == id) {
                return Err(Error::MpIoApic { id });
            }
            bytes.extend_from_slice(self.interrupt(3, interrupt)?.as_bytes());
        }
        for interrupt in &self.local_interrupts {
            bytes.extend_from_slice(self.interrupt(4, interrupt)?.as_bytes());
        }
        let size_bytes = bytes.len();
        let base_bytes = u16::try_from(size_bytes).map_err(|_| Error::TableSize { size_bytes })?;
        let entries = self.processors.len()
            + self.buses.len()
            + self.io_apics.len()
            + self.interrupts.len()
            + self.local_interrupts.len();
        let header = wire::Header {
            signature: *b"PCMP",
            base_bytes: base_bytes.into(),
            revision: VERSION_1_4,
            checksum: 0,
            oem_id: self.oem_id,
            product_id: self.product_id,
            oem_table: 0.into(),
            oem_table_bytes: 0.into(),
            entries: u16::try_from(entries).map_err(|_| Error::TableSize { size_bytes })?.into(),
            local_apic: self.local_apic.into(),
            extended_bytes: 0.into(),
            extended_checksum: 0,
            reserved: 0,
        };
        bytes[..size_of::<wire::Header>()].copy_from_slice(header.as_bytes());
        bytes[HEADER_CHECKSUM] = checksum(&bytes);
        Ok(bytes)
    }

    fn check_processors(&self) -> Result<Vec<wire::Processor>, Error> {
        let bootstraps = self.processors.iter().filter(|processor| processor.bootstrap).count();
        if bootstraps != 1 {
            return Err(Error::Bootstrap { count: bootstraps });
        }
        let mut taken = [false; 255];
        let entry = |processor: &MpProcessor| {
            let refused = Error::ApicId { apic_id: processor.apic_id };
            let apic_id = u8::try_from(processor.apic_id).map_err(|_| refused)?;
            let slot = taken.get_mut(usize::from(apic_id)).ok_or(refused)?;
            if core::mem::replace(slot, true) {
                return Err(refused);
            }
            Ok(wire::Processor {
                entry_type: 0,
                apic_id,
                apic_version: self.local_apic_version,
                flags: 1 | u8::from(processor.bootstrap) << 1,
                signature: processor.signature.into(),
                features: processor.features.into(),
                reserved: [0; 8],
            })
        };
        self.processors.iter().map(entry).collect()
    }

    fn interrupt(&self, entry_type: u8, from: &MpInterrupt) -> Result<wire::Interrupt, Error> {
        let MpInterrupt { kind, line, bus, irq, apic, input } = *from;
        if !self.buses.iter().any(|(id, _)| *id == bus) {
            return Err(Error::MpBus { bus });
        }
        Ok(wire::Interrupt {
            entry_type,
            kind: kind.0,
            flags: line.0.into(),
            bus,
            irq,
            apic,
            input,
        })
    }
}
