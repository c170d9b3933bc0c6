//! PCI resources: what functions want, and where it goes.

mod config;
mod plan;
mod room;
mod shadow;
mod tree;

use alloc::vec::Vec;
use core::fmt;

use guest_state::{Gpa, GpaRange};

pub use config::{PciConfig, scan_pci};
pub use plan::{PciAssignment, PciPlace, PciPlan, plan_pci};
pub use shadow::open_shadow;

/// A PCI function by bus, device and function number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PciFunction(u16);

impl PciFunction {
    /// A function; device and function number are cut to their five and three bits.
    #[must_use]
    pub const fn new(bus: u8, device: u8, function: u8) -> Self {
        Self(u16::from_be_bytes([bus, (device & 0x1F) << 3 | function & 7]))
    }

    /// Returns what port CF8h takes for the four bytes at `register` of this function.
    ///
    /// # Source
    /// PCI Local Bus Specification 3.0 §3.2.2.3.2.
    #[must_use]
    pub const fn config_address(self, register: u8) -> u32 {
        1 << 31 | (self.0 as u32) << 8 | (register & 0xFC) as u32
    }

    /// The bus number.
    #[must_use]
    pub const fn bus(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// The device number, 0 to 31.
    #[must_use]
    pub const fn device(self) -> u8 {
        self.0.to_be_bytes()[1] >> 3
    }

    /// The function number, 0 to 7.
    #[must_use]
    pub const fn function(self) -> u8 {
        self.0.to_be_bytes()[1] & 7
    }
}

impl fmt::Display for PciFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus(), self.device(), self.function())
    }
}

impl fmt::Debug for PciFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a base address register decodes.
///
/// # Source
/// PCI Local Bus Specification 3.0 §6.2.5, "Base Addresses".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BarKind {
    /// I/O ports.
    Io,
    /// Memory below 4 GiB.
    Memory32 {
        /// Reads have no side effects, so a bridge may read ahead.
        prefetchable: bool,
    },
    /// Memory anywhere; takes the next register too.
    Memory64 {
        /// Reads have no side effects, so a bridge may read ahead.
        prefetchable: bool,
    },
}

/// One base address register, or the one of the option ROM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Its number, 0 to 5; a bridge has 0 and 1.
    pub index: u8,
    /// What it decodes.
    pub kind: BarKind,
    /// How much: a power of two.
    pub size_bytes: u64,
}

/// The prefetchable window of a bridge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrefetchableWindow {
    /// It has none.
    #[default]
    None,
    /// Below 4 GiB.
    Bits32,
    /// Anywhere.
    Bits64,
}

/// A PCI-to-PCI bridge: what is behind it, and what it can forward. It always has a window for
/// memory below 4 GiB.
///
/// # Source
/// PCI-to-PCI Bridge Architecture Specification 1.2 §3.2.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciBridge {
    /// The bus behind it, above the one that it is on.
    pub secondary: u8,
    /// It has a window for I/O ports.
    pub io: bool,
    /// Its prefetchable window.
    pub prefetchable: PrefetchableWindow,
}

/// A PCI function and what it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciDevice {
    /// Where it is.
    pub function: PciFunction,
    /// Its base address registers.
    pub bars: Vec<Bar>,
    /// The size of its option ROM, or 0.
    pub rom_bytes: u64,
    /// It is a bridge.
    pub bridge: Option<PciBridge>,
}

impl PciDevice {
    /// A function that wants nothing yet.
    #[must_use]
    pub const fn new(function: PciFunction) -> Self {
        Self { function, bars: Vec::new(), rom_bytes: 0, bridge: None }
    }

    /// The same with one more BAR.
    #[must_use]
    pub fn with_bar(mut self, index: u8, kind: BarKind, size_bytes: u64) -> Self {
        self.bars.push(Bar { index, kind, size_bytes });
        self
    }
}

/// The hole for devices below 4 GiB, and how far it may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmioHole {
    /// Where it begins if that will do.
    pub start: Gpa,
    /// Where it ends, at most 4 GiB.
    pub end: Gpa,
    /// The lowest place where it may begin.
    pub lowest: Gpa,
}

impl MmioHole {
    /// That of Xen's hvmloader: from F000_0000h, and from 8000_0000h if need be, up to FC00_0000h.
    pub const XEN: Self = Self {
        start: Gpa::new(0xF000_0000),
        end: Gpa::new(0xFC00_0000),
        lowest: Gpa::new(0x8000_0000),
    };
}

/// All that a PCI plan is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PciResources {
    /// The functions; a bus that is behind no bridge of these is a root bus.
    pub devices: Vec<PciDevice>,
    /// Addresses where no BAR may go: other devices, memory that a device uses.
    pub reserved: Vec<GpaRange>,
    /// The hole below 4 GiB.
    pub hole: MmioHole,
    /// The first I/O port to give out; the last one is FFFFh.
    pub first_port: u16,
    /// RAM of the guest, wherever it lies.
    pub ram_bytes: u64,
    /// RAM may move above 4 GiB where the hole has to grow.
    pub may_relocate_ram: bool,
    /// The width of physical addresses, MAXPHYADDR: 36 to 52.
    pub physical_bits: u32,
    /// 64-bit BARs of at least so many bytes go above 4 GiB even where there is room below.
    pub high_from_bytes: u64,
}

impl PciResources {
    /// With hvmloader's choices: its hole, ports from C000h, RAM moves, 64-bit BARs of more than
    /// 1 GiB are high.
    #[must_use]
    pub const fn xen(devices: Vec<PciDevice>, ram_bytes: u64, physical_bits: u32) -> Self {
        Self {
            devices,
            reserved: Vec::new(),
            hole: MmioHole::XEN,
            first_port: 0xC000,
            ram_bytes,
            may_relocate_ram: true,
            physical_bits,
            high_from_bytes: 2 << 30,
        }
    }
}

/// A window of a bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BridgeWindow {
    /// I/O ports, in units of 4 KiB.
    Io,
    /// Memory below 4 GiB, in units of 1 MiB.
    Memory,
    /// Prefetchable memory, in units of 1 MiB.
    Prefetchable,
}

/// What of a function gets addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PciPart {
    /// A base address register.
    Bar(u8),
    /// The option ROM.
    Rom,
    /// A window of a bridge.
    Window(BridgeWindow),
}

impl fmt::Display for PciPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bar(index) => write!(f, "BAR {index}"),
            Self::Rom => f.write_str("the option ROM"),
            Self::Window(BridgeWindow::Io) => f.write_str("the I/O window"),
            Self::Window(BridgeWindow::Memory) => f.write_str("the memory window"),
            Self::Window(BridgeWindow::Prefetchable) => f.write_str("the prefetchable window"),
        }
    }
}
