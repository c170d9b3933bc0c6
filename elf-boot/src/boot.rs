//! What a caller hands in, and what comes back.

use alloc::vec::Vec;
use core::fmt;

use boot_plan::{Contents, FileId, Placement};
use guest_state::{Gpa, VcpuState};

/// A file's bytes, and where they come from, so that a backend can map rather than copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// The whole file.
    pub bytes: &'a [u8],
    /// Which file it is, if a backend may map it.
    pub file: Option<FileId>,
}

impl<'a> Image<'a> {
    /// Takes bytes that stand in the caller's memory.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, file: None }
    }

    /// Takes the bytes of a file that a backend may map: placements will name it.
    #[must_use]
    pub const fn of_file(file: FileId, bytes: &'a [u8]) -> Self {
        Self { bytes, file: Some(file) }
    }

    /// Returns the part of the file that begins at `offset` as contents of a placement.
    pub(crate) const fn contents(&self, offset: u64, bytes: &'a [u8]) -> Contents<'a> {
        match self.file {
            Some(file) => Contents::File { file, offset, bytes },
            None => Contents::Borrowed(bytes),
        }
    }
}

/// A file that a kernel gets besides its initrd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module<'a> {
    /// The file.
    pub image: Image<'a>,
    /// What the kernel is told of it, without a zero byte.
    pub command_line: &'a [u8],
}

/// All that a kernel is started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot<'a> {
    /// The kernel.
    pub kernel: Image<'a>,
    /// The initial RAM disk: the first module, where the protocol has modules.
    pub initrd: Option<Image<'a>>,
    /// More modules, for protocols that have modules.
    pub modules: &'a [Module<'a>],
    /// The command line, without a zero byte.
    pub command_line: &'a [u8],
    /// Where ACPI's root pointer stands, for protocols that pass it on.
    pub rsdp: Option<Gpa>,
}

impl<'a> Boot<'a> {
    /// Starts `kernel` with nothing else.
    #[must_use]
    pub const fn new(kernel: Image<'a>) -> Self {
        Self { kernel, initrd: None, modules: &[], command_line: &[], rsdp: None }
    }

    /// The same with an initial RAM disk.
    #[must_use]
    pub const fn initrd(self, initrd: Image<'a>) -> Self {
        Self { initrd: Some(initrd), ..self }
    }

    /// The same with modules, which follow the initrd.
    #[must_use]
    pub const fn modules(self, modules: &'a [Module<'a>]) -> Self {
        Self { modules, ..self }
    }

    /// The same with a command line.
    #[must_use]
    pub const fn command_line(self, command_line: &'a [u8]) -> Self {
        Self { command_line, ..self }
    }

    /// The same with ACPI's root pointer at `rsdp`.
    #[must_use]
    pub const fn rsdp(self, rsdp: Gpa) -> Self {
        Self { rsdp: Some(rsdp), ..self }
    }
}

/// A way to start a kernel. Their order is from the best on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Xen's PVH: 32-bit entry from a note, start info.
    Pvh,
    /// The 64-bit entry of the Linux/x86 boot protocol: zero page.
    Linux64,
}

impl Protocol {
    /// Every protocol, best first.
    pub const ALL: &'static [Self] = &[Self::Pvh, Self::Linux64];

    /// Returns the name, such as `pvh`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pvh => "pvh",
            Self::Linux64 => "linux64",
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

/// How a kernel starts: part of a [`boot_plan::BootPlan`].
#[derive(Clone, Debug, PartialEq)]
pub struct Start<'a> {
    /// By which protocol.
    pub protocol: Protocol,
    /// What to place, claimed in the layout.
    pub placements: Vec<Placement<'a>>,
    /// The registers of the CPU that boots.
    pub vcpu: VcpuState,
}
