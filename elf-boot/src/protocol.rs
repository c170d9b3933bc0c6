//! The ways to start a kernel.

use core::fmt;

/// A way to start a kernel. Their order is from the best on: what an image says of itself, by a
/// note or a header for loaders, comes before what its format allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Xen's PVH: 32-bit entry from a note, start info.
    Pvh,
    /// Multiboot2: 32-bit entry, boot information of tags.
    Multiboot2,
    /// Multiboot, version 0.6.96: 32-bit entry, boot information of one structure.
    Multiboot,
    /// The 64-bit entry of the Linux/x86 boot protocol: zero page.
    Linux64,
    /// The 32-bit entry of the Linux/x86 boot protocol: zero page.
    Linux32,
}

impl Protocol {
    /// Every protocol, best first.
    pub const ALL: &'static [Self] =
        &[Self::Pvh, Self::Multiboot2, Self::Multiboot, Self::Linux64, Self::Linux32];

    /// Returns the name, such as `pvh`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pvh => "pvh",
            Self::Multiboot2 => "multiboot2",
            Self::Multiboot => "multiboot",
            Self::Linux64 => "linux64",
            Self::Linux32 => "linux32",
        }
    }

    /// Finds a protocol by its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|protocol| protocol.name() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
