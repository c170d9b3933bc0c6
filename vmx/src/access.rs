//! Reading and writing a VMCS, whichever it is.

use crate::encoding::{FieldAccess, FieldWidth, ReadWrite};
use crate::{FieldEncoding, VmFail, VmcsField};

/// A VMCS: the processor's current one, or one in memory.
///
/// Everything of this crate that reads or writes fields does it through this, so that it runs on
/// hardware and in a test alike.
pub trait VmcsAccess {
    /// Reads the field of this encoding.
    ///
    /// # Errors
    /// What VMREAD gives: [`InstructionError::UNSUPPORTED_FIELD`](crate::InstructionError) for a
    /// field that does not exist.
    fn read_raw(&self, encoding: FieldEncoding) -> Result<u64, VmFail>;

    /// Writes the field of this encoding.
    ///
    /// # Errors
    /// What VMWRITE gives: as for reading, and
    /// [`InstructionError::READ_ONLY_FIELD`](crate::InstructionError) for a field that only the
    /// processor writes.
    fn write_raw(&mut self, encoding: FieldEncoding, value: u64) -> Result<(), VmFail>;

    /// Reads `field`.
    ///
    /// # Errors
    /// As [`read_raw`](Self::read_raw).
    #[inline]
    fn read<W: FieldWidth, A: FieldAccess>(
        &self,
        field: VmcsField<W, A>,
    ) -> Result<W::Value, VmFail> {
        self.read_raw(field.encoding()).map(W::from_raw)
    }

    /// Writes `field`.
    ///
    /// # Errors
    /// As [`write_raw`](Self::write_raw).
    #[inline]
    fn write<W: FieldWidth>(
        &mut self,
        field: VmcsField<W, ReadWrite>,
        value: W::Value,
    ) -> Result<(), VmFail> {
        self.write_raw(field.encoding(), value.into())
    }
}
