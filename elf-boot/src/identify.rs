//! Every way to start an image.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};

use crate::kernel::Kernel;
use crate::{Error, Protocol, linux, pvh};

/// What can be done with an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identified {
    /// Every way to start it, best first.
    pub ways: Vec<Way>,
    /// Every other way, and why it won't do.
    pub refused: Vec<Refusal>,
}

/// A way to start an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Way {
    /// By which protocol.
    pub protocol: Protocol,
    /// The address of the first instruction.
    pub entry: Gpa,
    /// The memory that the kernel takes, lowest first. An image that can be relocated may be
    /// placed elsewhere; then the entry moves with it.
    pub ranges: Vec<GpaRange>,
}

/// A protocol by which an image can't be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The protocol.
    pub protocol: Protocol,
    /// Why not.
    pub reason: Error,
}

/// Tells every way to start this image, best first, and for each other way the reason why not.
///
/// Only headers and notes are read. That a way is listed means that the image is sound; whether it
/// fits a guest's memory is for [`plan_boot`](crate::plan_boot) to tell.
#[must_use]
pub fn identify(bytes: &[u8]) -> Identified {
    let kernel = Kernel::parse(bytes);
    let mut identified = Identified::default();
    for &protocol in Protocol::ALL {
        match kernel.as_ref().map_err(Clone::clone).and_then(|kernel| way(kernel, protocol)) {
            Ok(way) => identified.ways.push(way),
            Err(reason) => identified.refused.push(Refusal { protocol, reason }),
        }
    }
    identified
}

/// Returns how `kernel` starts by `protocol`.
pub(crate) fn way(kernel: &Kernel<'_>, protocol: Protocol) -> Result<Way, Error> {
    match protocol {
        Protocol::Pvh => pvh::way(kernel),
        Protocol::Linux64 => linux::way(kernel),
    }
}
