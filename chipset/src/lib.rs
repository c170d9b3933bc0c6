#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

mod acpi_pm;
mod debug;
mod flash;
mod i8042;
mod ioapic;
mod lapic;
mod pci;
mod pic;
mod pit;
mod port92;
mod queue;
mod reset;
mod rtc;
mod time;
mod uart;

pub use acpi_pm::{AcpiPm, PmTimerWidth, SleepType};
pub use debug::{DebugExit, DebugPort, ExitStatus};
pub use flash::{CfiFlash, FlashBus, FlashEffect, FlashGeometry, FlashGeometryError};
pub use i8042::I8042;
pub use ioapic::{
    DeliveryMode, DestinationMode, InterruptMessage, IoApic, IoApicEffects, IoApicVersion,
    Messages, MsiMessage, Polarity, RedirectionEntry, TriggerMode,
};
pub use lapic::{
    ApicMode, CpuSignal, GeneralProtection, Ipi, Lint, LocalApic, LocalApicConfig, LocalApicEffect,
    Shorthand, lowest_priority,
};
pub use pci::{
    ConfigAddress, ConfigSpace, ConfigTarget, I440fx, PamAccess, PamRange, PamRanges, PciFunction,
    PciIdentity, Piix3, Piix4Pm, PirqLine, Smram,
};
pub use pic::{Pic, PicPort};
pub use pit::Pit;
pub use port92::Port92;
pub use reset::{Reset, ResetControl};
pub use rtc::Rtc;
pub use time::Nanos;
pub use uart::{ModemLines, Uart16550};
