//! The multiple APIC description table: processors, I/O APICs and how ISA interrupts reach them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use guest_state::Gpa;
use zerocopy::IntoBytes;

use crate::processors::{Processor, ProcessorState, Processors};
use crate::spec::madt as spec;
use crate::{Error, Sdt, Signature, Table};

/// "MADT flags": the machine also has the two 8259 interrupt controllers of a PC.
const PCAT_COMPAT: u32 = 1 << 0;

/// "Local APIC flags".
const ENABLED: u32 = 1 << 0;
const ONLINE_CAPABLE: u32 = 1 << 1;

/// The UID in the NMI structures that means all processors.
const ALL_PROCESSORS_APIC: u32 = 0xFF;
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

/// The NMI of one processor's local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessorNmi {
    /// The processor's UID.
    pub uid: u32,
    /// The input that the NMI is connected to.
    pub input: LocalInput,
    /// Its polarity and trigger mode.
    pub flags: IntiFlags,
}

/// An I/O APIC's input that is an NMI, which the guest is not to use for a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NmiSource {
    /// The global system interrupt.
    pub gsi: u32,
    /// Its polarity and trigger mode.
    pub flags: IntiFlags,
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
    /// The same where it needs 64 bits; it then counts in place of the other.
    pub local_apic_address_override: Option<Gpa>,
    /// Whether there are also two 8259 interrupt controllers, which the guest then masks.
    pub dual_8259: bool,
    /// The I/O APICs.
    pub io_apics: Vec<IoApic>,
    /// The ISA interrupts that need saying.
    pub overrides: Vec<InterruptSourceOverride>,
    /// The I/O APICs' inputs that are NMIs.
    pub nmi_sources: Vec<NmiSource>,
    /// The input of every local APIC that the NMI is connected to.
    pub nmi: Option<LocalInput>,
    /// The same for single processors, where it is not one input for all.
    pub processor_nmis: Vec<ProcessorNmi>,
    /// The page by which a guest wakes processors that a firmware without INIT and SIPI has parked.
    pub wakeup_mailbox: Option<Gpa>,
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
            local_apic_address_override: None,
            dual_8259: true,
            io_apics: [IoApic::PC].into(),
            overrides: [
                InterruptSourceOverride { isa_irq: 0, gsi: 2, flags: IntiFlags::CONFORMING },
                InterruptSourceOverride { isa_irq: 9, gsi: 9, flags: IntiFlags::LEVEL_HIGH },
            ]
            .into(),
            nmi_sources: Vec::new(),
            nmi: Some(LocalInput::Lint1),
            processor_nmis: Vec::new(),
            wakeup_mailbox: None,
        }
    }

    /// Builds the table.
    ///
    /// # Errors
    /// - [`Error::DuplicateIoApic`]: two I/O APICs have the same id.
    /// - [`Error::IsaIrq`], [`Error::DuplicateOverride`]: an override is for no ISA interrupt, or
    ///   for one that has another override.
    /// - [`Error::Invalid`]: the mailbox is no page, or an NMI is for a UID that no processor has.
    pub fn build(&self) -> Result<Sdt, Error> {
        Table::build(self)
    }

    fn check(&self) -> Result<(), Error> {
        let mut ids_seen = [false; 256];
        for io_apic in &self.io_apics {
            if core::mem::replace(&mut ids_seen[usize::from(io_apic.id)], true) {
                return Err(Error::DuplicateIoApic { id: io_apic.id });
            }
        }
        if let Some(mailbox) = self.wakeup_mailbox.filter(|mailbox| !mailbox.is_aligned(4096)) {
            let field = "address of the wakeup mailbox";
            return Err(Error::Invalid { field, value: mailbox.as_u64() });
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
    fn push_nmi(&self, body: &mut Vec<u8>, input: LocalInput) -> Result<(), Error> {
        let processors = self.processors.as_slice();
        let uid = ALL_PROCESSORS_X2APIC;
        let nmi = ProcessorNmi { uid, input, flags: IntiFlags::CONFORMING };
        if processors.iter().any(|processor| processor.needs_x2apic()) {
            push_x2apic_nmi(body, nmi);
            return Ok(());
        }
        push_local_apic_nmi(body, ProcessorNmi { uid: ALL_PROCESSORS_APIC, ..nmi })
    }

    fn push_processor_nmis(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        if self.processor_nmis.is_empty() {
            return Ok(());
        }
        let of_uid = |processor: &Processor| (processor.uid, *processor);
        let processors: BTreeMap<_, _> = self.processors.as_slice().iter().map(of_uid).collect();
        for &nmi in &self.processor_nmis {
            let Some(processor) = processors.get(&nmi.uid) else {
                return Err(Error::Invalid { field: "UID of an NMI", value: nmi.uid.into() });
            };
            if processor.needs_x2apic() {
                push_x2apic_nmi(body, nmi);
            } else {
                push_local_apic_nmi(body, nmi)?;
            }
        }
        Ok(())
    }
}

impl Table for Madt<'_> {
    const SIGNATURE: Signature = Signature::APIC;
    const REVISION: u8 = 6;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        self.check()?;
        let prefix = spec::MadtPrefix {
            local_interrupt_controller_address: self.local_apic_address.into(),
            flags: (if self.dual_8259 { PCAT_COMPAT } else { 0 }).into(),
        };
        body.extend_from_slice(prefix.as_bytes());
        for &processor in self.processors.as_slice() {
            push_processor(body, processor)?;
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
        for source in &self.nmi_sources {
            let entry = spec::MadtNmiSource {
                entry_type: 3,
                length: 8,
                flags: source.flags.0.into(),
                global_system_interrupt: source.gsi.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        if let Some(input) = self.nmi {
            self.push_nmi(body, input)?;
        }
        self.push_processor_nmis(body)?;
        if let Some(address) = self.local_apic_address_override {
            let entry = spec::MadtAddressOverride {
                entry_type: 5,
                length: 12,
                reserved: 0.into(),
                local_apic_address: address.as_u64().into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        if let Some(mailbox) = self.wakeup_mailbox {
            let entry = spec::MadtMultiprocessorWakeup {
                entry_type: 16,
                length: 16,
                mailbox_version: 0.into(),
                reserved: 0.into(),
                mailbox_address: mailbox.as_u64().into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        Ok(())
    }
}

fn lint(input: LocalInput) -> u8 {
    match input {
        LocalInput::Lint0 => 0,
        LocalInput::Lint1 => 1,
    }
}

fn push_local_apic_nmi(body: &mut Vec<u8>, nmi: ProcessorNmi) -> Result<(), Error> {
    let field = "UID of an NMI";
    let out_of_range = Error::OutOfRange { field, value: nmi.uid.into(), max: 0xFF };
    let entry = spec::MadtLocalApicNmi {
        entry_type: 4,
        length: 6,
        acpi_processor_uid: u8::try_from(nmi.uid).map_err(|_| out_of_range)?,
        flags: nmi.flags.0.into(),
        local_apic_lint: lint(nmi.input),
    };
    body.extend_from_slice(entry.as_bytes());
    Ok(())
}

fn push_x2apic_nmi(body: &mut Vec<u8>, nmi: ProcessorNmi) {
    let entry = spec::MadtLocalX2ApicNmi {
        entry_type: 10,
        length: 12,
        flags: nmi.flags.0.into(),
        acpi_processor_uid: nmi.uid.into(),
        local_x2apic_lint: lint(nmi.input),
        reserved: [0; 3],
    };
    body.extend_from_slice(entry.as_bytes());
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
