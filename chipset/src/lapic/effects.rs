//! What a local APIC asks of the machine and of its CPU.

use super::Ipi;

/// What an access to a local APIC's register asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "interrupts are lost, or never end, if this is not carried out"]
pub enum LocalApicEffect {
    /// An interrupt is sent to other processors.
    Ipi(Ipi),
    /// The level-triggered interrupt of this vector has ended:
    /// [`IoApic::eoi`](crate::IoApic::eoi) of all I/O APICs.
    EndOfInterrupt(u8),
}

/// What reaches a CPU past its local APIC's priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the CPU does not learn of it otherwise"]
pub enum CpuSignal {
    /// A non-maskable interrupt.
    Nmi,
    /// A system management interrupt.
    Smi,
    /// INIT: the CPU's state and [`LocalApic::init`](super::LocalApic::init).
    Init,
    /// Start-up at the page of this number, for a CPU that waits for it.
    Startup(u8),
    /// An interrupt whose vector the 8259s have.
    ExtInt,
}
