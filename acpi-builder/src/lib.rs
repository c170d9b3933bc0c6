#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod aml;
mod blob;
mod check;
pub mod devices;
mod dsdt;
mod error;
mod fadt;
mod hardware;
mod isa;
mod madt;
mod pci_address;
mod pci_express;
mod pci_root;
mod processors;
mod register;
mod sdt;
mod spec;
mod table;
mod table_set;
mod tables;
mod validate;

pub use blob::{Blob, Checksum, Pointer, PointerWidth};
pub use dsdt::Dsdt;
pub use error::Error;
pub use fadt::{BootArch, Fadt, FadtRevision, PmProfile};
pub use hardware::{
    FixedHardware, GpeBlock, Hardware, PmTimerWidth, ReducedHardware, ResetRegister, SmiCommand,
};
pub use isa::SerialPort;
pub use madt::{
    InterruptSourceOverride, IntiFlags, IoApic, LocalInput, Madt, NmiSource, ProcessorNmi,
};
pub use pci_address::PciAddress;
pub use pci_express::PciExpressControl;
pub use pci_root::{InterruptPin, PciRoot, PciRoute};
pub use processors::{Processor, ProcessorState, Processors};
pub use register::Register;
pub use sdt::{Sdt, Signature, TableIds};
pub use table::Table;
pub use table_set::{PlacedTables, RootTables, TableEntry, TableSet, TableSetBuilder};
pub use tables::apei::{Bert, Erst, ErstAction, ErstInstruction, ErstStep, RegisterWidth};
pub use tables::bgrt::Bgrt;
pub use tables::cedt::{Cedt, CxlHostBridge, CxlRegisters, CxlWindow, CxlWindowKinds};
pub use tables::dmar::{AtsPorts, DeviceScope, Dmar, DmarFlags, RemappingUnit, ReservedRegion};
pub use tables::hest::{
    AerSource, ErrorNotification, ErrorSource, ErrorSourceFlags, GenericErrorSource, Hest,
    NmiErrorSource, ReadAcknowledge, SecondaryErrors,
};
pub use tables::hmat::{
    Hmat, Locality, LocalityData, MemoryDomain, MemoryHierarchy, MemorySideCache,
    SideCacheAssociativity, SideCachePolicy,
};
pub use tables::hpet::Hpet;
pub use tables::ivrs::{AmdIommu, IvhdDevices, IvhdFlags, Ivrs, UnityRegion};
pub use tables::machine_check::{
    MachineCheckBank, MachineCheckFormat, MachineCheckSource, QuietMachineCheckSource,
};
pub use tables::mcfg::{EcamRegion, Mcfg};
pub use tables::nfit::{
    ControlRegion, FlushHint, Nfit, NvdimmCapabilities, PersistentRange, RangeType, RegionMapping,
};
pub use tables::pptt::{
    CacheKind, CacheRef, NodeKind, NodeRef, Pptt, ProcessorCache, ProcessorNode,
};
pub use tables::serial::{BaudRate, Dbg2, DebugPort, SerialInterface, Spcr, TerminalType};
pub use tables::slit::Slit;
pub use tables::srat::{
    DeviceHandle, GenericInitiator, MemoryAffinity, MemoryAffinityFlags, ProcessorAffinity, Srat,
};
pub use tables::ssdt::Ssdt;
pub use tables::tpm::{StartMethod, Tcpa, Tpm2};
pub use tables::uefi::UefiData;
pub use tables::viot::{Viot, ViotMmioDevice, ViotPciDevices, VirtioIommu};
pub use tables::waet::Waet;
pub use validate::{AllowedRegion, Finding, RegionSpace, Rule, Validator};
