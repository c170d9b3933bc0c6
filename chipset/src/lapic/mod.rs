//! The local APIC.

mod base;
mod destination;
mod effects;
mod errors;
mod icr;
mod lvt;
mod registers;
mod timer;
mod vectors;

pub use base::ApicMode;
pub use destination::lowest_priority;
pub use effects::{CpuSignal, LocalApicEffect};
pub use errors::GeneralProtection;
pub use icr::{Ipi, Shorthand};

use crate::time::Frequency;
use crate::{DeliveryMode, InterruptMessage, Nanos, TriggerMode};
use base::ApicBase;
use errors::ErrorStatus;
use icr::InterruptCommand;
use lvt::{LocalInterrupt, LvtEntry};
use timer::Timer;
use vectors::VectorSet;

/// What a local APIC is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalApicConfig {
    /// The x2APIC ID; its lower eight bits are the xAPIC ID.
    pub id: u32,
    /// Whether this is the CPU that boots.
    pub is_bsp: bool,
    /// The frequency of the timer's clock, before its divider; CPUID leaf 15h may say it to guests.
    pub timer_hertz: u64,
    /// The frequency of the TSC that the guest reads.
    pub tsc_hertz: u64,
    /// MAXPHYADDR, from CPUID leaf 8000_0008h.
    pub physical_bits: u32,
    /// Whether x2APIC mode can be switched on, as CPUID leaf 1, ECX bit 21 must say too.
    pub has_x2apic: bool,
    /// Whether the guest may suppress the EOI broadcast; its I/O APIC must then have an EOI
    /// register ([`IoApicVersion::V20`](crate::IoApicVersion::V20)).
    pub can_suppress_eoi: bool,
}

/// A pin for local interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lint {
    /// LINT0, by custom the 8259s' output.
    Lint0,
    /// LINT1, by custom NMI.
    Lint1,
}

/// The local APIC of one CPU.
///
/// | registers | access | by |
/// |---|---|---|
/// | the page at [`page`](Self::page) | [`read`](Self::read), [`write`](Self::write) | xAPIC mode |
/// | MSRs 800h to 8FFh | [`read_msr`](Self::read_msr), [`write_msr`](Self::write_msr) | x2APIC mode |
/// | `IA32_APIC_BASE`, 1Bh | [`base`](Self::base), [`write_base`](Self::write_base) | any mode |
/// | `IA32_TSC_DEADLINE`, 6E0h | [`tsc_deadline`](Self::tsc_deadline), [`write_tsc_deadline`](Self::write_tsc_deadline) | any mode |
/// | CR8 | [`cr8`](Self::cr8), [`write_cr8`](Self::write_cr8) | any mode |
///
/// It is version 14h with six local vector table entries and no CMCI. The ID can't be written.
/// Reserved registers of the page read as zero, and the guest finds its mistake in the error status
/// register.
///
/// While the guest has interrupts enabled, the machine takes
/// [`pending_vector`](Self::pending_vector), interrupts the CPU and tells
/// [`accept`](Self::accept) so; where there is none, it asks
/// [`external_interrupt`](Self::external_interrupt) and then the 8259s for the vector.
///
/// A periodic timer interrupts at most every 100 µs, whatever its count: what it missed is one
/// interrupt, while the current count runs as programmed. One-shot and deadline timers need an access
/// of the guest for each interrupt, and have no such limit.
///
/// # Examples
/// ```
/// # use chipset::{LocalApic, LocalApicConfig, LocalApicEffect, Nanos};
/// # let config = LocalApicConfig {
/// #     id: 0, is_bsp: true, timer_hertz: 1_000_000_000, tsc_hertz: 2_000_000_000,
/// #     physical_bits: 46, has_x2apic: true, can_suppress_eoi: false,
/// # };
/// let mut apic = LocalApic::new(config);
/// let now = Nanos::ZERO;
/// let _ = apic.write(0x0F0, 0x1FF, now); // software enable, spurious vector FFh
/// let _ = apic.write(0x3E0, 0b1011, now); // divide by one
/// let _ = apic.write(0x320, 0x31, now); // one-shot, vector 31h
/// let _ = apic.write(0x380, 5_000, now); // 5 µs of a 1 GHz clock
///
/// let deadline = apic.deadline().unwrap();
/// assert_eq!(deadline, Nanos::from_micros(5));
/// apic.advance(deadline);
/// assert_eq!(apic.pending_vector(), Some(0x31));
/// apic.accept(0x31);
/// assert_eq!(apic.write(0x0B0, 0, deadline), None); // EOI of an edge
/// ```
///
/// # Source
/// Intel SDM Vol. 3A, "Advanced Programmable Interrupt Controller (APIC)".
#[derive(Clone, Debug)]
pub struct LocalApic {
    config: LocalApicConfig,
    base: ApicBase,
    task_priority: u8,
    /// The logical destination register of xAPIC mode.
    logical_destination: u32,
    destination_format: u32,
    spurious: u32,
    in_service: VectorSet,
    trigger_mode: VectorSet,
    requested: VectorSet,
    errors: ErrorStatus,
    command: InterruptCommand,
    lvt: [LvtEntry; LocalInterrupt::COUNT],
    timer: Timer,
    /// The levels of LINT0 and LINT1.
    pins: [bool; 2],
}

impl LocalApic {
    const SPURIOUS_RESET: u32 = 0xFF;
    const SOFTWARE_ENABLE: u32 = 1 << 8;
    const SUPPRESS_EOI: u32 = 1 << 12;
    /// Vectors below are the CPU's exceptions.
    const FIRST_VECTOR: u8 = 16;

    /// A local APIC at power-on: in xAPIC mode at `FEE0_0000h`, disabled by software.
    #[must_use]
    pub const fn new(config: LocalApicConfig) -> Self {
        let clock = Frequency::from_hertz(config.timer_hertz);
        let tsc = Frequency::from_hertz(config.tsc_hertz);
        Self {
            config,
            base: ApicBase::reset(config.is_bsp),
            task_priority: 0,
            logical_destination: 0,
            destination_format: u32::MAX,
            spurious: Self::SPURIOUS_RESET,
            in_service: VectorSet::new(),
            trigger_mode: VectorSet::new(),
            requested: VectorSet::new(),
            errors: ErrorStatus::new(),
            command: InterruptCommand::new(),
            lvt: [LvtEntry::RESET; LocalInterrupt::COUNT],
            timer: Timer::new(clock, tsc),
            pins: [false; 2],
        }
    }

    /// Returns to the state at power-on. The levels of the pins stay as they are.
    pub const fn reset(&mut self) {
        self.init();
        self.base = ApicBase::reset(self.config.is_bsp);
    }

    /// Takes INIT: a reset that keeps `IA32_APIC_BASE`, and with it the mode.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Local APIC State After It Receives an INIT Reset (Wait-for-SIPI State)".
    pub const fn init(&mut self) {
        let mut new = Self::new(self.config);
        new.base = self.base;
        new.pins = self.pins;
        new.timer = self.timer.reset();
        *self = new;
    }

    /// Puts it where firmware leaves that of the CPU that boots, for a guest that is started without
    /// firmware: enabled, LINT0 for the 8259s and LINT1 for NMI.
    ///
    /// # Source
    /// MultiProcessor Specification 1.4 §3.6.2.2, "Virtual Wire Mode".
    pub fn set_virtual_wire(&mut self) {
        self.spurious = Self::SPURIOUS_RESET | Self::SOFTWARE_ENABLE;
        for (interrupt, mode) in [
            (LocalInterrupt::Lint0, DeliveryMode::EXT_INT),
            (LocalInterrupt::Lint1, DeliveryMode::NMI),
        ] {
            self.lvt[interrupt.index()].write(interrupt, u32::from(mode.bits()) << 8);
        }
    }

    /// What it was made with.
    #[must_use]
    pub const fn config(&self) -> &LocalApicConfig {
        &self.config
    }

    /// The mode that `IA32_APIC_BASE` says.
    #[must_use]
    pub const fn mode(&self) -> ApicMode {
        self.base.mode()
    }

    /// The physical address of the registers' page, in xAPIC mode; else they are in no memory.
    #[must_use]
    pub const fn page(&self) -> Option<u64> {
        match self.mode() {
            ApicMode::XApic => Some(self.base.page()),
            ApicMode::Disabled | ApicMode::X2Apic => None,
        }
    }

    /// Whether the guest enabled it, by `IA32_APIC_BASE` and by the spurious-interrupt vector
    /// register. Otherwise it takes no interrupt that has a vector; those it has stay pending.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.mode() != ApicMode::Disabled && self.spurious & Self::SOFTWARE_ENABLE != 0
    }

    /// The vector to interrupt the CPU with: the highest requested, if above the processor priority.
    #[must_use]
    pub fn pending_vector(&self) -> Option<u8> {
        let above = |vector: &u8| vector >> 4 > self.processor_priority() >> 4;
        if self.mode() == ApicMode::Disabled {
            None
        } else {
            self.requested.highest().filter(above)
        }
    }

    /// Learns that the CPU took the interrupt of [`pending_vector`](Self::pending_vector), which is
    /// in service from now on. A vector that is not requested changes nothing.
    pub const fn accept(&mut self, vector: u8) {
        if self.requested.contains(vector) {
            self.requested.set(vector, false);
            self.in_service.set(vector, true);
        }
    }

    /// Ends the interrupt in service with the highest vector, as a write to the EOI register does.
    pub fn eoi(&mut self) -> Option<LocalApicEffect> {
        let vector = self.in_service.highest()?;
        self.in_service.set(vector, false);
        let lint0 = &mut self.lvt[LocalInterrupt::Lint0.index()];
        if lint0.vector() == vector {
            lint0.set_remote_irr(false);
            self.service_lint0();
        }
        let suppressed = self.spurious & Self::SUPPRESS_EOI != 0;
        (self.trigger_mode.contains(vector) && !suppressed)
            .then_some(LocalApicEffect::EndOfInterrupt(vector))
    }

    /// Takes an interrupt from an I/O APIC, a device or a processor, whoever it is for
    /// ([`matches`](Self::matches)). What has a vector becomes pending, the rest is the CPU's.
    ///
    /// An APIC that `IA32_APIC_BASE` disables takes nothing.
    pub fn deliver(&mut self, message: InterruptMessage) -> Option<CpuSignal> {
        match message.delivery_mode {
            _ if self.mode() == ApicMode::Disabled => None,
            DeliveryMode::FIXED | DeliveryMode::LOWEST_PRIORITY => {
                self.request(message.vector, message.trigger_mode);
                None
            }
            DeliveryMode::SMI => Some(CpuSignal::Smi),
            DeliveryMode::NMI => Some(CpuSignal::Nmi),
            DeliveryMode::INIT => Some(CpuSignal::Init),
            DeliveryMode::STARTUP => Some(CpuSignal::Startup(message.vector)),
            DeliveryMode::EXT_INT => Some(CpuSignal::ExtInt),
            _ => None,
        }
    }

    /// Sets the level of a pin, active or not.
    ///
    /// On an APIC that `IA32_APIC_BASE` disables, LINT0 is INTR and LINT1 is NMI.
    pub fn set_lint(&mut self, pin: Lint, active: bool) -> Option<CpuSignal> {
        let (index, interrupt) = match pin {
            Lint::Lint0 => (0, LocalInterrupt::Lint0),
            Lint::Lint1 => (1, LocalInterrupt::Lint1),
        };
        let rose = active && !self.pins[index];
        self.pins[index] = active;
        if self.mode() == ApicMode::Disabled {
            return (rose && pin == Lint::Lint1).then_some(CpuSignal::Nmi);
        }
        // LINT1 knows no levels.
        if pin == Lint::Lint0 && self.lvt[interrupt.index()].is_fixed_level() {
            self.service_lint0();
            return None;
        }
        if rose { self.interrupt_locally(interrupt) } else { None }
    }

    /// Whether a pin in ExtINT mode asks the CPU to take an interrupt, whose vector the 8259s have:
    /// the virtual wire. On an APIC that `IA32_APIC_BASE` disables, LINT0 is that pin.
    #[must_use]
    pub fn external_interrupt(&self) -> bool {
        if self.mode() == ApicMode::Disabled {
            return self.pins[0];
        }
        let entries = [LocalInterrupt::Lint0, LocalInterrupt::Lint1].map(|pin| self.entry(pin));
        entries.iter().zip(self.pins).any(|(entry, active)| {
            active && !entry.is_masked() && entry.delivery_mode() == DeliveryMode::EXT_INT
        })
    }

    /// Makes the interrupt of the thermal sensor.
    pub fn thermal_interrupt(&mut self) -> Option<CpuSignal> {
        self.interrupt_locally(LocalInterrupt::Thermal)
    }

    /// Makes the interrupt of a performance counter's overflow, which masks itself.
    pub fn performance_interrupt(&mut self) -> Option<CpuSignal> {
        let signal = self.interrupt_locally(LocalInterrupt::Performance);
        self.lvt[LocalInterrupt::Performance.index()].mask();
        signal
    }

    /// The next moment at which the timer interrupts.
    #[must_use]
    pub fn deadline(&self) -> Option<Nanos> {
        if self.entry(LocalInterrupt::Timer).is_masked() { None } else { self.timer.deadline() }
    }

    /// Brings the timer up to `now`.
    pub fn advance(&mut self, now: Nanos) {
        if self.timer.advance(now) {
            // It is always an interrupt with a vector.
            let _ = self.interrupt_locally(LocalInterrupt::Timer);
        }
    }

    /// The processor priority: interrupts of its class and below wait.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Task and Processor Priorities".
    #[must_use]
    pub fn processor_priority(&self) -> u8 {
        let in_service = self.in_service.highest().unwrap_or(0) & 0xF0;
        if self.task_priority & 0xF0 >= in_service { self.task_priority } else { in_service }
    }

    /// CR8: the class of the task priority.
    #[must_use]
    pub const fn cr8(&self) -> u64 {
        (self.task_priority >> 4) as u64
    }

    /// Writes CR8.
    ///
    /// # Errors
    /// [`GeneralProtection::ReservedBits`] if more than four bits are set.
    pub const fn write_cr8(&mut self, value: u64) -> Result<(), GeneralProtection> {
        if let Err(refusal) = errors::check_reserved(value, 0xF) {
            return Err(refusal);
        }
        self.task_priority = value.to_le_bytes()[0] << 4;
        Ok(())
    }

    const fn entry(&self, which: LocalInterrupt) -> LvtEntry {
        self.lvt[which.index()]
    }

    fn interrupt_locally(&mut self, which: LocalInterrupt) -> Option<CpuSignal> {
        let entry = self.entry(which);
        match entry.delivery_mode() {
            _ if entry.is_masked() || self.mode() == ApicMode::Disabled => None,
            DeliveryMode::FIXED => {
                self.request(entry.vector(), TriggerMode::Edge);
                None
            }
            DeliveryMode::SMI => Some(CpuSignal::Smi),
            DeliveryMode::NMI => Some(CpuSignal::Nmi),
            DeliveryMode::INIT => Some(CpuSignal::Init),
            // ExtINT is a level, which `external_interrupt` tells.
            _ => None,
        }
    }

    /// Requests the interrupt of LINT0, where it is a level that is active and not yet requested.
    fn service_lint0(&mut self) {
        let entry = &mut self.lvt[LocalInterrupt::Lint0.index()];
        if self.pins[0] && entry.is_fixed_level() && !entry.is_masked() && !entry.remote_irr() {
            entry.set_remote_irr(true);
            let vector = entry.vector();
            self.request(vector, TriggerMode::Level);
        }
    }

    fn request(&mut self, vector: u8, trigger_mode: TriggerMode) {
        if !self.is_enabled() {
            return;
        }
        if vector < Self::FIRST_VECTOR {
            self.record_error(ErrorStatus::RECEIVE_ILLEGAL_VECTOR);
            return;
        }
        self.requested.set(vector, true);
        self.trigger_mode.set(vector, trigger_mode == TriggerMode::Level);
    }

    fn record_error(&mut self, error: u32) {
        if self.errors.record(error) {
            let _ = self.interrupt_locally(LocalInterrupt::Error);
        }
    }
}
