//! Where a register is, as a generic address structure.

use guest_state::Gpa;

use crate::Error;
use crate::spec::GenericAddress;

/// "Generic Address Structure (GAS)": address spaces.
const SYSTEM_MEMORY: u8 = 0;
const SYSTEM_IO: u8 = 1;

/// Where a register is.
///
/// # Source
/// ACPI 6.5, "Generic Address Structure (GAS)".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Register {
    /// At an I/O port.
    Port(u16),
    /// At a guest-physical address.
    Memory(Gpa),
}

/// How a register is accessed: the codes of "Access Size".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Byte = 1,
    Word = 2,
    Dword = 3,
    Qword = 4,
}

impl Register {
    /// Describes a block of registers, after checking that there is room for so many bytes.
    pub(crate) fn block(self, size_bytes: u8, access: Access) -> Result<GenericAddress, Error> {
        let more = size_bytes.saturating_sub(1);
        let fits = match self {
            Self::Port(port) => port != 0 && port.checked_add(more.into()).is_some(),
            Self::Memory(gpa) => gpa != Gpa::ZERO && gpa.checked_add(more.into()).is_some(),
        };
        // A width of 256 bits or more has no code; none of the blocks is so wide but GPE blocks,
        // for which the length field beside it counts.
        let register_bit_width = size_bytes.checked_mul(8).unwrap_or(0);
        match self {
            Self::Port(port) if !fits => {
                Err(Error::IoPorts { port, size_bytes: size_bytes.into() })
            }
            Self::Memory(gpa) if !fits => {
                let field = "register address";
                Err(Error::Invalid { field, value: gpa.as_u64() })
            }
            Self::Port(port) => Ok(GenericAddress {
                address_space_id: SYSTEM_IO,
                register_bit_width,
                register_bit_offset: 0,
                access_size: access as u8,
                address: u64::from(port).into(),
            }),
            Self::Memory(gpa) => Ok(GenericAddress {
                address_space_id: SYSTEM_MEMORY,
                register_bit_width,
                register_bit_offset: 0,
                access_size: access as u8,
                address: gpa.as_u64().into(),
            }),
        }
    }
}
