//! The multiple APIC description table: processors, I/O APICs and how ISA interrupts reach them.

use alloc::vec::Vec;
use core::fmt;

use zerocopy::IntoBytes;

use crate::processors::{Processor, ProcessorState, Processors};
use crate::{Error, Sdt, Signature, spec};

const REVISION: u8 = 6;

/// "MADT flags": the machine also has the two 8259 interrupt controllers of a PC.
const PCAT_COMPAT: u32 = 1 << 0;

/// "Local APIC flags".
const ENABLED: u32 = 1 << 0;
const ONLINE_CAPABLE: u32 = 1 << 1;

/// The UID in the NMI structures that means all processors.
const ALL_PROCESSORS_APIC: u8 = 0xFF;
const ALL_PROCESSORS_X2APIC: u32 = 0xFFFF_FFFF;

/// Polarity (bits 1:0) and trigger mode (bits 3:2) of an interrupt line.
///
/// # Source
/// ACPI 6.5, "MPS INTI flags".
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct IntiFlags(pub u16);

impl IntiFlags {
    /// As the bus has it: for ISA edge-triggered and active high.
    pub const CONFORMING: Self = Self(0);
    /// Edge-triggered, active high.
    pub const EDGE_HIGH: Self = Self(0b0101);
    /// Edge-triggered, active low.
    pub const EDGE_LOW: Self = Self(0b0111);
    /// Level-triggered, active high.
    pub const LEVEL_HIGH: Self = Self(0b1101);
    /// Level-triggered, active low.
    pub const LEVEL_LOW: Self = Self(0b1111);
}

impl fmt::Debug for IntiFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IntiFlags({:#06b})", self.0)
    }
}

/// One I/O APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IoApic {
    /// The id that its ID register holds.
    pub id: u8,
    /// The guest-physical address of its registers, below 4 GiB.
    pub address: u32,
    /// The global system interrupt of its first input.
    pub gsi_base: u32,
}

impl IoApic {
    /// The only I/O APIC of a PC: id 0 at 0xfec0_0000, inputs from 0.
    pub const PC: Self = Self { id: 0, address: 0xFEC0_0000, gsi_base: 0 };
}

/// An ISA interrupt that arrives elsewhere, or otherwise, than on the I/O APIC input of its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterruptSourceOverride {
    /// The ISA interrupt, 0 to 15.
    pub isa_irq: u8,
    /// The global system interrupt that it arrives as.
    pub gsi: u32,
    /// Its polarity and trigger mode.
    pub flags: IntiFlags,
}

/// One of a local APIC's two interrupt inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalInput {
    /// LINT0.
    Lint0,
    /// LINT1, where a PC has its NMI.
    Lint1,
}

/// Describes the multiple APIC description table.
///
/// Each processor gets the structure that its APIC id asks for: local APIC below 255, local x2APIC
/// from there on.
///
/// # Source
/// ACPI 6.5, "Multiple APIC Description Table (MADT)".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Madt<'a> {
    /// The processors, in the order in which the guest should start them.
    pub processors: &'a Processors,
    /// The guest-physical address of each processor's local APIC.
    pub local_apic_address: u32,
    /// Whether there are also two 8259 interrupt controllers, which the guest then masks.
    pub dual_8259: bool,
    /// The I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// The ISA interrupts that need saying.
    pub overrides: Vec<InterruptSourceOverride>,
    /// The input of every local APIC that the NMI is connected to.
    pub nmi: Option<LocalInput>,
}

impl<'a> Madt<'a> {
    /// Describes a PC's interrupt wiring: local APICs at 0xfee0_0000, [`IoApic::PC`], two 8259s,
    /// the timer's ISA interrupt 0 on input 2, the SCI on 9 level-triggered and active high, the
    /// NMI on LINT1.
    #[must_use]
    pub fn pc(processors: &'a Processors) -> Self {
        Self {
            processors,
            local_apic_address: 0xFEE0_0000,
            dual_8259: true,
            io_apics: [IoApic::PC].into(),
            overrides: [
                InterruptSourceOverride { isa_irq: 0, gsi: 2, flags: IntiFlags::CONFORMING },
                InterruptSourceOverride { isa_irq: 9, gsi: 9, flags: IntiFlags::LEVEL_HIGH },
            ]
            .into(),
            nmi: Some(LocalInput::Lint1),
        }
    }

    /// Builds the table.
    ///
    /// # Errors
    /// - [`Error::DuplicateIoApic`]: two I/O APICs have the same id.
    /// - [`Error::IsaIrq`], [`Error::DuplicateOverride`]: an override is for no ISA interrupt, or
    ///   for one that has another override.
    pub fn build(&self) -> Result<Sdt, Error> {
        self.check()?;
        let mut body = Vec::new();
        let prefix = spec::MadtPrefix {
            local_interrupt_controller_address: self.local_apic_address.into(),
            flags: (if self.dual_8259 { PCAT_COMPAT } else { 0 }).into(),
        };
        body.extend_from_slice(prefix.as_bytes());
        for &processor in self.processors.as_slice() {
            push_processor(&mut body, processor)?;
        }
        for io_apic in &self.io_apics {
            let entry = spec::MadtIoApic {
                entry_type: 1,
                length: 12,
                io_apic_id: io_apic.id,
                reserved: 0,
                io_apic_address: io_apic.address.into(),
                global_system_interrupt_base: io_apic.gsi_base.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        for source in &self.overrides {
            let entry = spec::MadtInterruptSourceOverride {
                entry_type: 2,
                length: 10,
                bus: 0,
                source: source.isa_irq,
                global_system_interrupt: source.gsi.into(),
                flags: source.flags.0.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        if let Some(input) = self.nmi {
            self.push_nmi(&mut body, input);
        }
        Ok(Sdt::new(Signature::APIC, REVISION, body))
    }

    fn check(&self) -> Result<(), Error> {
        let mut ids_seen = [false; 256];
        for io_apic in &self.io_apics {
            if core::mem::replace(&mut ids_seen[usize::from(io_apic.id)], true) {
                return Err(Error::DuplicateIoApic { id: io_apic.id });
            }
        }
        let mut irqs_seen = [false; 16];
        for source in &self.overrides {
            let irq = source.isa_irq;
            let seen = irqs_seen.get_mut(usize::from(irq)).ok_or(Error::IsaIrq { irq })?;
            if core::mem::replace(seen, true) {
                return Err(Error::DuplicateOverride { irq });
            }
        }
        Ok(())
    }

    /// Connects the NMI for all processors at once.
    ///
    /// "Local x2APIC NMI Structure": as soon as one processor has an APIC id of 255 or more, the
    /// x2APIC structure speaks for all of them, otherwise the local APIC structure does.
    fn push_nmi(&self, body: &mut Vec<u8>, input: LocalInput) {
        let lint = match input {
            LocalInput::Lint0 => 0,
            LocalInput::Lint1 => 1,
        };
        let processors = self.processors.as_slice();
        if processors.iter().any(|processor| processor.needs_x2apic()) {
            let entry = spec::MadtLocalX2ApicNmi {
                entry_type: 10,
                length: 12,
                flags: IntiFlags::CONFORMING.0.into(),
                acpi_processor_uid: ALL_PROCESSORS_X2APIC.into(),
                local_x2apic_lint: lint,
                reserved: [0; 3],
            };
            body.extend_from_slice(entry.as_bytes());
        } else {
            let entry = spec::MadtLocalApicNmi {
                entry_type: 4,
                length: 6,
                acpi_processor_uid: ALL_PROCESSORS_APIC,
                flags: IntiFlags::CONFORMING.0.into(),
                local_apic_lint: lint,
            };
            body.extend_from_slice(entry.as_bytes());
        }
    }
}

fn push_processor(body: &mut Vec<u8>, processor: Processor) -> Result<(), Error> {
    let Processor { uid, apic_id, .. } = processor;
    let flags = match processor.state {
        ProcessorState::Enabled => ENABLED,
        ProcessorState::OnlineCapable => ONLINE_CAPABLE,
    };
    if processor.needs_x2apic() {
        let entry = spec::MadtLocalX2Apic {
            entry_type: 9,
            length: 16,
            reserved: 0.into(),
            x2apic_id: apic_id.into(),
            flags: flags.into(),
            acpi_processor_uid: uid.into(),
        };
        body.extend_from_slice(entry.as_bytes());
    } else {
        let one_byte =
            |number| u8::try_from(number).map_err(|_| Error::LocalApicUid { uid, apic_id });
        let entry = spec::MadtLocalApic {
            entry_type: 0,
            length: 8,
            acpi_processor_uid: one_byte(uid)?,
            apic_id: one_byte(apic_id)?,
            flags: flags.into(),
        };
        body.extend_from_slice(entry.as_bytes());
    }
    Ok(())
}
