//! What a caller hands in, and what comes back.

use alloc::vec::Vec;

use boot_plan::{Contents, FileId, Placement};
use guest_state::{Gpa, VcpuState};

use crate::{Protocol, SetupData, Tag};

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
    /// Where ACPI's root pointer stands, for protocols that pass on its address.
    pub rsdp: Option<Gpa>,
    /// The root pointer itself, for protocols that pass on a copy of it: Multiboot2.
    pub rsdp_copy: Option<[u8; 36]>,
    /// What else the platform has to say, for protocols with tags or fields for it: Multiboot2
    /// and, as far as it has fields, Multiboot.
    pub tags: &'a [Tag<'a>],
    /// Entries for the list `setup_data`, for Linux.
    pub setup_data: &'a [SetupData<'a>],
}

impl<'a> Boot<'a> {
    /// Starts `kernel` with nothing else.
    #[must_use]
    pub const fn new(kernel: Image<'a>) -> Self {
        Self {
            kernel,
            initrd: None,
            modules: &[],
            command_line: &[],
            rsdp: None,
            rsdp_copy: None,
            tags: &[],
            setup_data: &[],
        }
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

    /// The same with a copy of ACPI's root pointer, revision 2.
    #[must_use]
    pub const fn rsdp_copy(self, rsdp: [u8; 36]) -> Self {
        Self { rsdp_copy: Some(rsdp), ..self }
    }

    /// The same with tags of the platform's.
    #[must_use]
    pub const fn tags(self, tags: &'a [Tag<'a>]) -> Self {
        Self { tags, ..self }
    }

    /// The same with entries for `setup_data`.
    #[must_use]
    pub const fn setup_data(self, setup_data: &'a [SetupData<'a>]) -> Self {
        Self { setup_data, ..self }
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
