//! The registers, in the forms of xAPIC and x2APIC.

use super::base::ApicMode;
use super::destination::x2apic_logical_id;
use super::errors::{ErrorStatus, GeneralProtection, check_reserved};
use super::icr::{InterruptCommand, Shorthand};
use super::lvt::LocalInterrupt;
use super::timer::Timer;
use super::{LocalApic, LocalApicEffect};
use crate::{DeliveryMode, Nanos};

/// A register, by its number: bits 11:4 of its offset in the page, or its MSR less 800h.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Register {
    Id,
    Version,
    TaskPriority,
    ArbitrationPriority,
    ProcessorPriority,
    Eoi,
    RemoteRead,
    LogicalDestination,
    DestinationFormat,
    Spurious,
    /// One of the eight registers of a set.
    InService(u8),
    TriggerMode(u8),
    Requested(u8),
    ErrorStatus,
    CommandLow,
    CommandHigh,
    Local(LocalInterrupt),
    InitialCount,
    CurrentCount,
    Divide,
    SelfIpi,
}

impl Register {
    const fn decode(number: u8) -> Option<Self> {
        Some(match number {
            0x02 => Self::Id,
            0x03 => Self::Version,
            0x08 => Self::TaskPriority,
            0x09 => Self::ArbitrationPriority,
            0x0A => Self::ProcessorPriority,
            0x0B => Self::Eoi,
            0x0C => Self::RemoteRead,
            0x0D => Self::LogicalDestination,
            0x0E => Self::DestinationFormat,
            0x0F => Self::Spurious,
            0x10..=0x17 => Self::InService(number - 0x10),
            0x18..=0x1F => Self::TriggerMode(number - 0x18),
            0x20..=0x27 => Self::Requested(number - 0x20),
            0x28 => Self::ErrorStatus,
            0x30 => Self::CommandLow,
            0x31 => Self::CommandHigh,
            0x32 => Self::Local(LocalInterrupt::Timer),
            0x33 => Self::Local(LocalInterrupt::Thermal),
            0x34 => Self::Local(LocalInterrupt::Performance),
            0x35 => Self::Local(LocalInterrupt::Lint0),
            0x36 => Self::Local(LocalInterrupt::Lint1),
            0x37 => Self::Local(LocalInterrupt::Error),
            0x38 => Self::InitialCount,
            0x39 => Self::CurrentCount,
            0x3E => Self::Divide,
            0x3F => Self::SelfIpi,
            _ => return None,
        })
    }

    /// The register of an offset in the page.
    fn of_page(offset: u16) -> Option<Self> {
        let number = u8::try_from(offset >> 4).ok()?;
        Self::decode(number).filter(|register| *register != Self::SelfIpi)
    }

    /// The register of an MSR.
    fn of_msr(index: u32) -> Result<Self, GeneralProtection> {
        index
            .checked_sub(LocalApic::FIRST_MSR)
            .and_then(|number| u8::try_from(number).ok())
            .and_then(Self::decode)
            .filter(|register| !register.is_of_page_alone())
            .ok_or(GeneralProtection::NoRegister { index })
    }

    const fn is_of_page_alone(self) -> bool {
        matches!(
            self,
            Self::ArbitrationPriority
                | Self::RemoteRead
                | Self::DestinationFormat
                | Self::CommandHigh
        )
    }
}

impl LocalApic {
    /// The first of the MSRs that are registers in x2APIC mode.
    pub const FIRST_MSR: u32 = 0x800;
    /// The last of them.
    pub const LAST_MSR: u32 = 0x8FF;

    const VERSION: u32 = 0x14;
    const LAST_LVT: u32 = 5;
    const VERSION_CAN_SUPPRESS_EOI: u32 = 1 << 24;
    /// Vector, software enable, and focus checking, which is kept and means nothing.
    const SPURIOUS_WRITABLE: u32 = 0x3FF;

    /// Reads a register of the page, given as its offset from [`page`](Self::page).
    ///
    /// Registers are 32 bits wide, at multiples of 16; what lies between reads as zero. Out of
    /// xAPIC mode there is no page: all ones.
    #[must_use]
    pub fn read(&mut self, offset: u16, now: Nanos) -> u32 {
        self.advance(now);
        match Register::of_page(offset) {
            _ if self.mode() != ApicMode::XApic => u32::MAX,
            _ if !offset.is_multiple_of(16) => 0,
            Some(register) => self.read_register(register, now),
            None => {
                self.record_error(ErrorStatus::ILLEGAL_REGISTER);
                0
            }
        }
    }

    /// Writes a register of the page, given as its offset from [`page`](Self::page).
    pub fn write(&mut self, offset: u16, value: u32, now: Nanos) -> Option<LocalApicEffect> {
        self.advance(now);
        match Register::of_page(offset) {
            _ if self.mode() != ApicMode::XApic || !offset.is_multiple_of(16) => None,
            Some(Register::CommandLow) => {
                self.command.set_low(value);
                self.send()
            }
            Some(register) => self.write_register(register, value, now),
            None => {
                self.record_error(ErrorStatus::ILLEGAL_REGISTER);
                None
            }
        }
    }

    /// Reads one of the MSRs [`FIRST_MSR`](Self::FIRST_MSR) to [`LAST_MSR`](Self::LAST_MSR).
    ///
    /// # Errors
    /// [`GeneralProtection::NoRegister`] out of x2APIC mode and where no register is,
    /// [`GeneralProtection::WriteOnly`] for EOI and SELF IPI.
    pub fn read_msr(&mut self, index: u32, now: Nanos) -> Result<u64, GeneralProtection> {
        self.advance(now);
        match self.msr(index)? {
            Register::Eoi | Register::SelfIpi => Err(GeneralProtection::WriteOnly { index }),
            Register::CommandLow => Ok(self.command.bits()),
            register => Ok(u64::from(self.read_register(register, now))),
        }
    }

    /// Writes one of the MSRs [`FIRST_MSR`](Self::FIRST_MSR) to [`LAST_MSR`](Self::LAST_MSR).
    ///
    /// # Errors
    /// [`GeneralProtection::NoRegister`] out of x2APIC mode and where no register is,
    /// [`GeneralProtection::ReadOnly`], and [`GeneralProtection::ReservedBits`]. The write changed
    /// nothing.
    pub fn write_msr(
        &mut self,
        index: u32,
        value: u64,
        now: Nanos,
    ) -> Result<Option<LocalApicEffect>, GeneralProtection> {
        self.advance(now);
        let register = self.msr(index)?;
        let allowed = match register {
            Register::TaskPriority | Register::SelfIpi => 0xFF,
            Register::Eoi | Register::ErrorStatus => 0,
            Register::Spurious => u64::from(self.spurious_writable()),
            Register::CommandLow => InterruptCommand::X2APIC_DEFINED,
            Register::Local(which) => u64::from(which.defined()),
            Register::InitialCount => u64::from(u32::MAX),
            Register::Divide => u64::from(Timer::DIVIDE_WRITABLE),
            _ => return Err(GeneralProtection::ReadOnly { index }),
        };
        check_reserved(value, allowed)?;
        if register == Register::CommandLow {
            self.command.set(value);
            return Ok(self.send());
        }
        // Nothing else allows more than 32 bits.
        let value = u32::try_from(value).unwrap_or(u32::MAX);
        Ok(self.write_register(register, value, now))
    }

    /// Reads `IA32_APIC_BASE`.
    #[must_use]
    pub const fn base(&self) -> u64 {
        self.base.bits()
    }

    /// Writes `IA32_APIC_BASE`. Being disabled resets all other registers.
    ///
    /// # Errors
    /// [`GeneralProtection::ReservedBits`], and [`GeneralProtection::ModeChange`] from disabled to
    /// x2APIC, from x2APIC to xAPIC, and to x2APIC without being enabled.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "x2APIC State Transitions".
    pub fn write_base(&mut self, value: u64, now: Nanos) -> Result<(), GeneralProtection> {
        self.advance(now);
        let LocalApic { config, base, .. } = self;
        let new = base.written(value, config.physical_bits, config.has_x2apic)?;
        if self.mode() != new.mode() {
            match new.mode() {
                ApicMode::Disabled => self.init(),
                // The upper half is not an xAPIC's destination any more.
                ApicMode::X2Apic => self.command.set_high(0),
                ApicMode::XApic => {}
            }
        }
        self.base = new;
        Ok(())
    }

    /// Reads `IA32_TSC_DEADLINE`: zero if it has passed, or if the timer is in another mode.
    #[must_use]
    pub fn tsc_deadline(&mut self, now: Nanos) -> u64 {
        self.advance(now);
        self.timer.tsc_deadline()
    }

    /// Writes `IA32_TSC_DEADLINE`, at `now`, when the guest's TSC is `tsc`.
    pub fn write_tsc_deadline(&mut self, value: u64, tsc: u64, now: Nanos) {
        self.advance(now);
        self.timer.write_tsc_deadline(value, tsc, now);
        self.advance(now);
    }

    /// Learns that the guest has set its TSC, which is `tsc` at `now`.
    pub fn set_tsc(&mut self, tsc: u64, now: Nanos) {
        self.advance(now);
        self.timer.set_tsc(tsc, now);
        self.advance(now);
    }

    fn msr(&self, index: u32) -> Result<Register, GeneralProtection> {
        if self.mode() != ApicMode::X2Apic {
            return Err(GeneralProtection::NoRegister { index });
        }
        Register::of_msr(index)
    }

    const fn spurious_writable(&self) -> u32 {
        Self::SPURIOUS_WRITABLE | if self.config.can_suppress_eoi { Self::SUPPRESS_EOI } else { 0 }
    }

    fn read_register(&self, register: Register, now: Nanos) -> u32 {
        let is_x2apic = self.mode() == ApicMode::X2Apic;
        match register {
            Register::Id if is_x2apic => self.config.id,
            Register::Id => u32::from(self.xapic_id()) << 24,
            Register::Version => {
                let suppress = self.config.can_suppress_eoi;
                let suppress = if suppress { Self::VERSION_CAN_SUPPRESS_EOI } else { 0 };
                suppress | Self::LAST_LVT << 16 | Self::VERSION
            }
            Register::TaskPriority => u32::from(self.task_priority),
            Register::ArbitrationPriority => u32::from(self.arbitration_priority()),
            Register::ProcessorPriority => u32::from(self.processor_priority()),
            Register::LogicalDestination if is_x2apic => x2apic_logical_id(self.config.id),
            Register::LogicalDestination => self.logical_destination,
            Register::DestinationFormat => self.destination_format,
            Register::Spurious => self.spurious,
            Register::InService(index) => self.in_service.register(index),
            Register::TriggerMode(index) => self.trigger_mode.register(index),
            Register::Requested(index) => self.requested.register(index),
            Register::ErrorStatus => self.errors.read(),
            Register::CommandLow => self.command.halves().0,
            Register::CommandHigh => self.command.halves().1,
            Register::Local(which) => self.entry(which).bits(),
            Register::InitialCount => self.timer.initial(),
            Register::CurrentCount => self.timer.current(now),
            Register::Divide => self.timer.divide(),
            Register::Eoi | Register::RemoteRead | Register::SelfIpi => 0,
        }
    }

    /// Writes a register other than the lower half of the command; those that can't be written stay.
    fn write_register(
        &mut self,
        register: Register,
        value: u32,
        now: Nanos,
    ) -> Option<LocalApicEffect> {
        let [low, ..] = value.to_le_bytes();
        match register {
            Register::TaskPriority => self.task_priority = low,
            Register::Eoi => return self.eoi(),
            Register::LogicalDestination => self.logical_destination = value & 0xFF00_0000,
            Register::DestinationFormat => self.destination_format = value | 0x0FFF_FFFF,
            Register::Spurious => {
                self.spurious = value & self.spurious_writable();
                if !self.is_enabled() {
                    self.lvt.iter_mut().for_each(super::LvtEntry::mask);
                }
            }
            Register::ErrorStatus => self.errors.write(),
            Register::CommandHigh => self.command.set_high(value),
            Register::Local(which) => self.write_local(which, value, now),
            Register::InitialCount => {
                self.timer.write_initial(value, now);
                self.advance(now);
            }
            Register::Divide => self.timer.write_divide(value, now),
            Register::SelfIpi => {
                let ipi = 1 << 18 | u64::from(low);
                return self.send_command(InterruptCommand::of(ipi));
            }
            _ => {}
        }
        None
    }

    fn write_local(&mut self, which: LocalInterrupt, value: u32, now: Nanos) {
        let is_enabled = self.is_enabled();
        let entry = &mut self.lvt[which.index()];
        entry.write(which, value);
        if !is_enabled {
            entry.mask();
        }
        let mode = entry.timer_mode();
        match which {
            LocalInterrupt::Timer => self.timer.set_mode(mode, now),
            LocalInterrupt::Lint0 => self.service_lint0(),
            _ => {}
        }
    }

    fn send(&mut self) -> Option<LocalApicEffect> {
        self.send_command(self.command)
    }

    fn send_command(&mut self, command: InterruptCommand) -> Option<LocalApicEffect> {
        let ipi = command.ipi(self.mode() == ApicMode::X2Apic)?;
        let message = ipi.message;
        let has_vector =
            matches!(message.delivery_mode, DeliveryMode::FIXED | DeliveryMode::LOWEST_PRIORITY);
        if has_vector && message.vector < Self::FIRST_VECTOR {
            self.record_error(ErrorStatus::SEND_ILLEGAL_VECTOR);
            return None;
        }
        if has_vector && ipi.shorthand == Shorthand::SelfOnly {
            self.request(message.vector, message.trigger_mode);
            return None;
        }
        Some(LocalApicEffect::Ipi(ipi))
    }

    fn arbitration_priority(&self) -> u8 {
        let class = |vector: Option<u8>| vector.unwrap_or(0) & 0xF0;
        let (requested, in_service) =
            (class(self.requested.highest()), class(self.in_service.highest()));
        let task = self.task_priority & 0xF0;
        if task >= requested && task > in_service {
            self.task_priority
        } else {
            task.max(requested).max(in_service)
        }
    }
}
