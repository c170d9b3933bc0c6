//! The Linux/x86 boot protocol, entered in 64-bit mode.

mod bzimage;
mod setup_header;
mod vmlinux;
mod zero_page;

use boot_plan::MemoryMap;
use guest_state::{Gpa, VcpuState};

pub(crate) use bzimage::BzImage;
use setup_header::SetupHeader;

use crate::draft::Draft;
use crate::kernel::Kernel;
use crate::{Error, Way, long_mode};

/// A kernel that has its place, as far as the rest of the start needs to know it.
struct Placed {
    /// The first instruction.
    entry: Gpa,
    /// The first address behind the kernel.
    end: Gpa,
    /// The header that goes into the zero page.
    header: SetupHeader,
}

/// Tells how an image starts by the 64-bit entry.
pub(crate) fn way(kernel: &Kernel<'_>) -> Result<Way, Error> {
    match kernel {
        Kernel::BzImage(image) => bzimage::way(image),
        Kernel::Elf(elf) => vmlinux::way(elf),
    }
}

/// Plans the start: kernel, initrd, command line, zero page, page tables, GDT.
///
/// # Source
/// Linux `Documentation/arch/x86/boot.rst`, "64-bit Boot Protocol".
pub(crate) fn plan<'a>(
    kernel: &Kernel<'a>,
    memory: &MemoryMap,
    draft: &mut Draft<'a>,
) -> Result<VcpuState, Error> {
    let Placed { entry, end, header } = match kernel {
        Kernel::BzImage(image) => bzimage::place(image, draft)?,
        Kernel::Elf(elf) => vmlinux::place(elf, draft)?,
    };
    let zero_page = zero_page::place(header, memory, draft)?;
    let mut vcpu = long_mode::enter(entry, end, draft)?;
    vcpu.general.rsi = zero_page.as_u64();
    Ok(vcpu)
}
