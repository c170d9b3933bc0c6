//! Planning a start.

use alloc::vec::Vec;
use boot_plan::{Layout, MemoryMap};

use crate::draft::Draft;
use crate::identify::way;
use crate::kernel::Kernel;
use crate::{Boot, Error, Protocol, Refusal, Start, linux, pvh};

/// Plans the start by `protocol`, or by the best one if it is `None`: chooses addresses in `layout`
/// and returns what to place and the registers of the CPU that boots.
///
/// `memory` is the map that the guest is told; `layout` may have claims already, which stay
/// untouched. On an error `layout` is as it was.
///
/// # Errors
/// Those that [`identify`](crate::identify) gives as reasons, for the protocol asked for;
/// [`Error::NoWay`] with all of them where none was asked for. [`Error::Layout`] where kernel,
/// initrd or anything else does not fit the guest's memory. Errors about initrd and command line.
pub fn plan_boot<'a>(
    boot: &Boot<'a>,
    protocol: Option<Protocol>,
    memory: &MemoryMap,
    layout: &mut Layout,
) -> Result<Start<'a>, Error> {
    let kernel = Kernel::parse(boot.kernel.bytes)?;
    let protocol = match protocol {
        Some(protocol) => protocol,
        None => best(&kernel)?,
    };
    let mut draft = Draft::new(*boot, layout.clone())?;
    let vcpu = match protocol {
        Protocol::Pvh => pvh::plan(&kernel, memory, &mut draft)?,
        Protocol::Linux64 => linux::plan(&kernel, memory, &mut draft)?,
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
    Err(Error::NoWay(refused))
}
