//! Planning a start.

use alloc::vec::Vec;
use boot_plan::{Layout, MemoryMap};

use crate::draft::Draft;
use crate::identify::way;
use crate::kernel::Kernel;
use crate::{Boot, Error, Protocol, Refusal, Start, linux, multiboot, pvh};

/// Plans the start by `protocol`, or by the best one if it is `None`: chooses addresses in `layout`
/// and returns what to place and the registers of the CPU that boots.
///
/// `memory` is the map that the guest is told; `layout` may have claims already, which stay
/// untouched. On an error `layout` is as it was.
///
/// # Errors
/// Those that [`identify`](crate::identify) gives as reasons, for the protocol asked for. Where
/// none was asked for, what is wrong with the format, or [`Error::NoWay`] with all reasons.
/// [`Error::Layout`] where kernel,
/// initrd or anything else does not fit the guest's memory. Errors about initrd and command line.
pub fn plan_boot<'a>(
    boot: &Boot<'a>,
    protocol: Option<Protocol>,
    memory: &MemoryMap,
    layout: &mut Layout,
) -> Result<Start<'a>, Error> {
    let kernel = Kernel::parse(boot.kernel.bytes);
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => best(&kernel)?,
    };
    let mut draft = Draft::new(*boot, layout.clone())?;
    let vcpu = match protocol {
        Protocol::Pvh => pvh::plan(&kernel, memory, &mut draft)?,
        Protocol::Multiboot2 => {
            multiboot::plan(&kernel, multiboot::Version::Two, memory, &mut draft)?
        }
        Protocol::Multiboot => {
            multiboot::plan(&kernel, multiboot::Version::One, memory, &mut draft)?
        }
        Protocol::Linux64 => linux::plan(&kernel, linux::Entry::Bits64, memory, &mut draft)?,
        Protocol::Linux32 => linux::plan(&kernel, linux::Entry::Bits32, memory, &mut draft)?,
    };
    let placements;
    (*layout, placements) = draft.finish();
    Ok(Start { protocol, placements, vcpu })
}

fn best(kernel: &Kernel<'_>) -> Result<Protocol, Error> {
    let mut refused = Vec::new();
    for &protocol in Protocol::ALL {
        match way(kernel, protocol) {
            Ok(_) => return Ok(protocol),
            Err(reason) => refused.push(Refusal { protocol, reason }),
        }
    }
    // Of what is no kernel at all, there is only one thing to say.
    kernel.parsed().map(|_| ()).and(Err(Error::NoWay(refused)))
}
