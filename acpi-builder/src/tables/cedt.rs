//! The table of CXL host bridges and windows.

use alloc::vec::Vec;

use bitflags::bitflags;
use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::check::{disjoint, unique};
use crate::spec::memory as spec;
use crate::{Error, Signature, Table};

/// A window and its parts are multiples of this.
const WINDOW_BYTES: u64 = 256 << 20;

/// The registers of a CXL host bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CxlRegisters {
    /// Of CXL 1.1: the root complex register block of 8 KiB.
    Rcrb(Gpa),
    /// Of CXL 2.0 and later: component registers of 64 KiB.
    Component(Gpa),
}

/// A CXL host bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CxlHostBridge {
    /// The `_UID` of its device in the DSDT.
    pub uid: u32,
    /// Its registers.
    pub registers: CxlRegisters,
}

bitflags! {
    /// What may be in a window.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct CxlWindowKinds: u16 {
        /// Memory of devices of type 2.
        const TYPE_2 = 1 << 0;
        /// Memory of devices of type 3.
        const TYPE_3 = 1 << 1;
        /// Volatile memory.
        const VOLATILE = 1 << 2;
        /// Persistent memory.
        const PERSISTENT = 1 << 3;
        /// Only what was configured before.
        const FIXED = 1 << 4;
    }
}

/// Memory that host bridges share, bit by bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CxlWindow {
    /// Where it is.
    pub range: GpaRange,
    /// Which bytes in a row go to the same bridge: 256, 512 and so on up to 16384.
    pub granularity_bytes: u32,
    /// What may be in it.
    pub kinds: CxlWindowKinds,
    /// The group for quality of service.
    pub qos_group: u16,
    /// The host bridges, by UID: 1, 2, 3, 4, 6, 8, 12 or 16.
    pub targets: Vec<u32>,
}

/// Describes the CXL early discovery table.
///
/// # Source
/// Compute Express Link Specification 3.0, "CXL Early Discovery Table (CEDT)".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cedt {
    /// Host bridges.
    pub bridges: Vec<CxlHostBridge>,
    /// Windows, whose targets are bridges.
    pub windows: Vec<CxlWindow>,
}

impl CxlWindow {
    /// Returns the codes for the number of targets, and for the granularity.
    fn codes(&self) -> Result<(u8, u32), Error> {
        let count = self.targets.len();
        let value = u64::try_from(count).unwrap_or(u64::MAX);
        let ways = match count {
            1 => 0,
            2 => 1,
            4 => 2,
            8 => 3,
            16 => 4,
            3 => 8,
            6 => 9,
            12 => 10,
            _ => return Err(Error::Invalid { field: "number of targets", value }),
        };
        let bytes = self.granularity_bytes;
        if !bytes.is_power_of_two() || !(256..=16384).contains(&bytes) {
            return Err(Error::Invalid { field: "granularity", value: bytes.into() });
        }
        let (start, size) = (self.range.start(), self.range.size_bytes());
        if !start.is_aligned(WINDOW_BYTES) || !size.is_multiple_of(WINDOW_BYTES * value) {
            return Err(Error::Invalid { field: "end of a CXL window", value: size });
        }
        Ok((ways, bytes.ilog2() - 8))
    }
}

impl Table for Cedt {
    const SIGNATURE: Signature = Signature::CEDT;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        unique("UID of a CXL host bridge", self.bridges.iter().map(|bridge| bridge.uid.into()))?;
        disjoint("CXL windows", self.windows.iter().map(|window| window.range).collect())?;
        for bridge in &self.bridges {
            let (cxl_version, base, size) = match bridge.registers {
                CxlRegisters::Rcrb(base) => (0, base, 0x2000),
                CxlRegisters::Component(base) => (1, base, 0x1_0000),
            };
            crate::check::aligned("registers of a CXL host bridge", base, size)?;
            let structure = spec::CedtHostBridge {
                structure_type: 0,
                reserved_1: 0,
                length: 32.into(),
                uid: bridge.uid.into(),
                cxl_version: cxl_version.into(),
                reserved_12: 0.into(),
                base: base.as_u64().into(),
                size: size.into(),
            };
            body.extend_from_slice(structure.as_bytes());
        }
        for window in &self.windows {
            let (interleave_ways, granularity) = window.codes()?;
            let is_bridge = |uid: &u32| self.bridges.iter().any(|bridge| bridge.uid == *uid);
            if let Some(uid) = window.targets.iter().find(|uid| !is_bridge(uid)) {
                return Err(Error::Invalid { field: "target of a window", value: (*uid).into() });
            }
            let structure = spec::CedtWindow {
                structure_type: 1,
                reserved_1: 0,
                length: crate::check::word("targets", window.targets.len() * 4 + 36)?.into(),
                reserved_4: 0.into(),
                base: window.range.start().as_u64().into(),
                size: window.range.size_bytes().into(),
                interleave_ways,
                interleave_arithmetic: 0,
                reserved_26: 0.into(),
                granularity: granularity.into(),
                restrictions: window.kinds.bits().into(),
                qtg_id: window.qos_group.into(),
            };
            body.extend_from_slice(structure.as_bytes());
            window.targets.iter().for_each(|uid| body.extend_from_slice(&uid.to_le_bytes()));
        }
        Ok(())
    }
}
