//! The host's state: what an exit loads.

use crate::access::VmcsAccess;
use crate::{InstructionError, VmFail, field};

/// What an exit loads, but for RSP and RIP, which the run stub sets.
///
/// # Source
/// Intel SDM Vol. 3C, "Host-State Area".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register or selector of its name")]
pub struct HostState {
    pub cr0: u64,
    pub cr3: u64,
    pub cr4: u64,
    pub efer: u64,
    pub pat: u64,
    pub cs: u16,
    pub ss: u16,
    pub ds: u16,
    pub es: u16,
    pub fs: u16,
    pub gs: u16,
    pub tr: u16,
    pub fs_base: u64,
    pub gs_base: u64,
    pub tr_base: u64,
    pub gdtr_base: u64,
    pub idtr_base: u64,
    pub sysenter_cs: u32,
    pub sysenter_esp: u64,
    pub sysenter_eip: u64,
}

impl HostState {
    /// Writes the host state. The requested privilege level and the table indicator of selectors
    /// are dropped, as the SDM demands.
    ///
    /// The limits of GDTR and IDTR are FFFFh after each exit, that of TR is 67h.
    ///
    /// # Errors
    /// As [`VmcsAccess::write`]; the fields of EFER and PAT are left out where they do not exist.
    pub fn write(&self, vmcs: &mut impl VmcsAccess) -> Result<(), VmFail> {
        for (selector, value) in [
            (field::HOST_CS_SELECTOR, self.cs),
            (field::HOST_SS_SELECTOR, self.ss),
            (field::HOST_DS_SELECTOR, self.ds),
            (field::HOST_ES_SELECTOR, self.es),
            (field::HOST_FS_SELECTOR, self.fs),
            (field::HOST_GS_SELECTOR, self.gs),
            (field::HOST_TR_SELECTOR, self.tr),
        ] {
            vmcs.write(selector, value & !7)?;
        }
        for (register, value) in [
            (field::HOST_CR0, self.cr0),
            (field::HOST_CR3, self.cr3),
            (field::HOST_CR4, self.cr4),
            (field::HOST_FS_BASE, self.fs_base),
            (field::HOST_GS_BASE, self.gs_base),
            (field::HOST_TR_BASE, self.tr_base),
            (field::HOST_GDTR_BASE, self.gdtr_base),
            (field::HOST_IDTR_BASE, self.idtr_base),
            (field::HOST_SYSENTER_ESP, self.sysenter_esp),
            (field::HOST_SYSENTER_EIP, self.sysenter_eip),
        ] {
            vmcs.write(register, value)?;
        }
        vmcs.write(field::HOST_SYSENTER_CS, self.sysenter_cs)?;
        for (optional, value) in [(field::HOST_EFER, self.efer), (field::HOST_PAT, self.pat)] {
            match vmcs.write(optional, value) {
                Ok(()) | Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }
}
