//! The Linux/x86 boot protocol, entered in 64-bit mode or in 32-bit protected mode.

mod bzimage;
mod describe;
mod setup_data;
mod setup_header;
mod vmlinux;
mod zero_page;

use boot_plan::MemoryMap;
use guest_state::{Gpa, VcpuState};

pub(crate) use bzimage::BzImage;
pub use describe::LinuxImage;
use setup_header::SetupHeader;

use crate::draft::Draft;
use crate::kernel::{Kernel, Parsed};
use crate::{Error, Protocol, Way, gdt, long_mode};

/// By which of its entries a kernel starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Bits64,
    Bits32,
}

impl Entry {
    const fn protocol(self) -> Protocol {
        match self {
            Self::Bits64 => Protocol::Linux64,
            Self::Bits32 => Protocol::Linux32,
        }
    }

    /// Returns where the entry is in the kernel proper of a bzImage.
    const fn offset(self) -> u64 {
        match self {
            Self::Bits64 => 0x200,
            Self::Bits32 => 0,
        }
    }
}

/// A kernel that has its place, as far as the rest of the start needs to know it.
struct Placed {
    /// The first instruction.
    entry: Gpa,
    /// The first address behind the kernel.
    end: Gpa,
    /// The header that goes into the zero page.
    header: SetupHeader,
    /// The highest type of setup data that the kernel knows, if it says so.
    setup_type_max: Option<u32>,
}

/// Tells how an image starts by this entry.
pub(crate) fn way(kernel: &Kernel<'_>, entry: Entry) -> Result<Way, Error> {
    match kernel.parsed()? {
        Parsed::BzImage(image) => bzimage::way(image, entry),
        Parsed::Elf(elf) => vmlinux::way(elf, entry),
    }
}

/// Plans the start: kernel, initrd, command line, zero page, GDT, and for 64 bits page tables.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol", "32-bit Boot Protocol".
pub(crate) fn plan<'a>(
    kernel: &Kernel<'a>,
    by: Entry,
    memory: &MemoryMap,
    draft: &mut Draft<'a>,
) -> Result<VcpuState, Error> {
    let placed = match kernel.parsed()? {
        Parsed::BzImage(image) => bzimage::place(image, by, draft)?,
        Parsed::Elf(elf) => vmlinux::place(elf, by, draft)?,
    };
    let (entry, end) = (placed.entry, placed.end);
    let zero_page = zero_page::place(placed, by, memory, draft)?;
    let mut vcpu = match by {
        Entry::Bits64 => long_mode::enter(entry, end, draft)?,
        Entry::Bits32 => {
            let eip = u32::try_from(entry.as_u64()).map_err(|_| Error::EntryAbove4G { entry })?;
            gdt::with_gdt(VcpuState::flat32(eip), draft)?
        }
    };
    vcpu.general.rsi = zero_page.as_u64();
    Ok(vcpu)
}
