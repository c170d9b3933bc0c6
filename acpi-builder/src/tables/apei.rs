//! The tables of records of hardware errors: ERST and BERT.

use alloc::vec::Vec;

use guest_state::{Gpa, GpaRange};
use zerocopy::IntoBytes;

use crate::check::dword;
use crate::register::{Access, Register};
use crate::spec::errors as spec;
use crate::{Error, Signature, Table};

/// "Error Record Serialization Actions".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ErstAction(pub u8);

impl ErstAction {
    /// `BEGIN_WRITE_OPERATION`.
    pub const BEGIN_WRITE: Self = Self(0x0);
    /// `BEGIN_READ_OPERATION`.
    pub const BEGIN_READ: Self = Self(0x1);
    /// `BEGIN_CLEAR_OPERATION`.
    pub const BEGIN_CLEAR: Self = Self(0x2);
    /// `END_OPERATION`.
    pub const END: Self = Self(0x3);
    /// `SET_RECORD_OFFSET`.
    pub const SET_RECORD_OFFSET: Self = Self(0x4);
    /// `EXECUTE_OPERATION`.
    pub const EXECUTE: Self = Self(0x5);
    /// `CHECK_BUSY_STATUS`.
    pub const CHECK_BUSY: Self = Self(0x6);
    /// `GET_COMMAND_STATUS`.
    pub const GET_COMMAND_STATUS: Self = Self(0x7);
    /// `GET_RECORD_IDENTIFIER`.
    pub const GET_RECORD_ID: Self = Self(0x8);
    /// `SET_RECORD_IDENTIFIER`.
    pub const SET_RECORD_ID: Self = Self(0x9);
    /// `GET_RECORD_COUNT`.
    pub const GET_RECORD_COUNT: Self = Self(0xA);
    /// `BEGIN_DUMMY_WRITE_OPERATION`.
    pub const BEGIN_DUMMY_WRITE: Self = Self(0xB);
    /// `GET_ERROR_LOG_ADDRESS_RANGE`.
    pub const GET_LOG_RANGE: Self = Self(0xD);
    /// `GET_ERROR_LOG_ADDRESS_RANGE_LENGTH`.
    pub const GET_LOG_LENGTH: Self = Self(0xE);
    /// `GET_ERROR_LOG_ADDRESS_RANGE_ATTRIBUTES`.
    pub const GET_LOG_ATTRIBUTES: Self = Self(0xF);
    /// `GET_EXECUTE_OPERATION_TIMINGS`.
    pub const GET_TIMINGS: Self = Self(0x10);
}

/// "Serialization Instructions".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct ErstInstruction(pub u8);

impl ErstInstruction {
    /// `READ_REGISTER`.
    pub const READ_REGISTER: Self = Self(0x0);
    /// `READ_REGISTER_VALUE`: compares.
    pub const READ_REGISTER_VALUE: Self = Self(0x1);
    /// `WRITE_REGISTER`: writes what the action has as its argument.
    pub const WRITE_REGISTER: Self = Self(0x2);
    /// `WRITE_REGISTER_VALUE`.
    pub const WRITE_REGISTER_VALUE: Self = Self(0x3);
    /// `NOOP`.
    pub const NOOP: Self = Self(0x4);
}

/// How wide a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegisterWidth {
    /// 8 bits.
    Bits8,
    /// 16 bits.
    Bits16,
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

impl RegisterWidth {
    const fn access(self) -> (u8, Access) {
        match self {
            Self::Bits8 => (1, Access::Byte),
            Self::Bits16 => (2, Access::Word),
            Self::Bits32 => (4, Access::Dword),
            Self::Bits64 => (8, Access::Qword),
        }
    }
}

/// One step of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErstStep {
    /// The action, whose steps stand together.
    pub action: ErstAction,
    /// What is done.
    pub instruction: ErstInstruction,
    /// To which register.
    pub register: Register,
    /// How wide that is.
    pub width: RegisterWidth,
    /// What is written or compared.
    pub value: u64,
    /// Which bits count.
    pub mask: u64,
}

/// Describes the error record serialization table: how a guest keeps records across a reset.
///
/// # Source
/// ACPI 6.5, "Error Serialization".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erst {
    /// The steps of all actions.
    pub steps: Vec<ErstStep>,
}

impl Table for Erst {
    const SIGNATURE: Signature = Signature::ERST;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        let prefix = spec::ErstPrefix {
            // The table's header counts.
            serialization_header_size: 48.into(),
            reserved: 0.into(),
            instruction_entry_count: dword("number of steps", self.steps.len())?.into(),
        };
        body.extend_from_slice(prefix.as_bytes());
        for step in &self.steps {
            let (size_bytes, access) = step.width.access();
            let entry = spec::ErstInstructionEntry {
                action: step.action.0,
                instruction: step.instruction.0,
                flags: 0,
                reserved: 0,
                register_region: step.register.block(size_bytes, access)?,
                value: step.value.into(),
                mask: step.mask.into(),
            };
            body.extend_from_slice(entry.as_bytes());
        }
        Ok(())
    }
}

/// Describes the boot error record table: where an error of the time before the guest stands.
///
/// # Source
/// ACPI 6.5, "Boot Error Source".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bert {
    /// The memory that has it, at least a header of 20 bytes.
    pub region: GpaRange,
}

impl Table for Bert {
    const SIGNATURE: Signature = Signature::BERT;
    const REVISION: u8 = 1;

    fn append_body(&self, body: &mut Vec<u8>) -> Result<(), Error> {
        const LEAST: u64 = 20;
        let (field, value) = ("length of the boot error region", self.region.size_bytes());
        if value < LEAST || self.region.start() == Gpa::ZERO {
            return Err(Error::Invalid { field, value });
        }
        let max = u32::MAX.into();
        let length = u32::try_from(value).map_err(|_| Error::OutOfRange { field, value, max })?;
        let table = spec::BertBody {
            region_length: length.into(),
            region: self.region.start().as_u64().into(),
        };
        body.extend_from_slice(table.as_bytes());
        Ok(())
    }
}
