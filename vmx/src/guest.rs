//! The guest's registers, into the VMCS and back.
//!
//! What VMX operation demands of CR0 and CR4 (NE and VMXE at least), and what a VM entry can't load
//! (CD and NW), is kept from the guest: the guest/host masks own these bits, and the read shadows
//! show it the values that it wrote.

use guest_state::{
    AccessError, AccessRights, Activity, DescriptorTable, Gpa, GuestMemory, Segment, VcpuState,
    cr0, cr4, efer,
};

use crate::access::VmcsAccess;
use crate::nonregister::{activity_number, activity_of};
use crate::{
    EntryControls, InstructionError, Natural, PrimaryControls, ReadWrite, SecondaryControls,
    VmFail, VmcsField, VmxCaps, field,
};

/// The four fields of a segment register.
pub(crate) struct SegmentFields {
    pub(crate) selector: VmcsField<u16, ReadWrite>,
    pub(crate) base: VmcsField<Natural, ReadWrite>,
    pub(crate) limit: VmcsField<u32, ReadWrite>,
    pub(crate) access: VmcsField<u32, ReadWrite>,
}

macro_rules! segment_fields {
    ($($name:ident: $selector:ident $base:ident $limit:ident $access:ident;)+) => {
        $(
            pub(crate) const $name: SegmentFields = SegmentFields {
                selector: field::$selector,
                base: field::$base,
                limit: field::$limit,
                access: field::$access,
            };
        )+
    };
}

segment_fields! {
    ES: GUEST_ES_SELECTOR GUEST_ES_BASE GUEST_ES_LIMIT GUEST_ES_ACCESS_RIGHTS;
    CS: GUEST_CS_SELECTOR GUEST_CS_BASE GUEST_CS_LIMIT GUEST_CS_ACCESS_RIGHTS;
    SS: GUEST_SS_SELECTOR GUEST_SS_BASE GUEST_SS_LIMIT GUEST_SS_ACCESS_RIGHTS;
    DS: GUEST_DS_SELECTOR GUEST_DS_BASE GUEST_DS_LIMIT GUEST_DS_ACCESS_RIGHTS;
    FS: GUEST_FS_SELECTOR GUEST_FS_BASE GUEST_FS_LIMIT GUEST_FS_ACCESS_RIGHTS;
    GS: GUEST_GS_SELECTOR GUEST_GS_BASE GUEST_GS_LIMIT GUEST_GS_ACCESS_RIGHTS;
    LDTR: GUEST_LDTR_SELECTOR GUEST_LDTR_BASE GUEST_LDTR_LIMIT GUEST_LDTR_ACCESS_RIGHTS;
    TR: GUEST_TR_SELECTOR GUEST_TR_BASE GUEST_TR_LIMIT GUEST_TR_ACCESS_RIGHTS;
}

/// Writes `state` as the guest's state, so that the next entry starts it there.
///
/// Nothing is blocked and nothing pending afterwards, and there is no link pointer. The controls
/// must be [written](crate::Controls::write) before: whether the guest is unrestricted is read from
/// them, and the IA-32e-mode-guest control is set to EFER.LMA. With PAE paging the PDPTEs come on
/// top, by [`write_pdptes`]. Registers that the VMCS does not hold are those of
/// `hardware::GuestContext`, or the hypervisor's to switch.
///
/// # Errors
/// As [`VmcsAccess::write`]; fields that need a feature which the processor lacks are left out.
pub fn write_guest_state(
    vmcs: &mut impl VmcsAccess,
    caps: &VmxCaps,
    state: &VcpuState,
) -> Result<(), VmFail> {
    let unrestricted = is_unrestricted(vmcs)?;
    vmcs.write(field::CR0_GUEST_HOST_MASK, host_owned_cr0(caps, unrestricted))?;
    vmcs.write(field::CR4_GUEST_HOST_MASK, host_owned_cr4(caps))?;
    write_guest_efer(vmcs, state.efer)?;
    write_cr0_fields(vmcs, caps, state.cr0, unrestricted)?;
    write_guest_cr4(vmcs, caps, state.cr4)?;
    vmcs.write(field::GUEST_CR3, state.cr3)?;

    for (fields, segment) in [
        (ES, state.es),
        (CS, state.cs),
        (SS, state.ss),
        (DS, state.ds),
        (FS, state.fs),
        (GS, state.gs),
        (LDTR, state.ldtr),
        (TR, state.tr),
    ] {
        write_segment(vmcs, &fields, segment)?;
    }
    vmcs.write(field::GUEST_GDTR_BASE, state.gdtr.base)?;
    vmcs.write(field::GUEST_GDTR_LIMIT, state.gdtr.limit.into())?;
    vmcs.write(field::GUEST_IDTR_BASE, state.idtr.base)?;
    vmcs.write(field::GUEST_IDTR_LIMIT, state.idtr.limit.into())?;

    vmcs.write(field::GUEST_RIP, state.rip)?;
    vmcs.write(field::GUEST_RSP, state.general.rsp)?;
    vmcs.write(field::GUEST_RFLAGS, state.rflags)?;
    vmcs.write(field::GUEST_DR7, state.debug.dr7)?;
    vmcs.write(field::GUEST_DEBUGCTL, state.msrs.debugctl)?;
    let [b0, b1, b2, b3, ..] = state.msrs.sysenter_cs.to_le_bytes();
    vmcs.write(field::GUEST_SYSENTER_CS, u32::from_le_bytes([b0, b1, b2, b3]))?;
    vmcs.write(field::GUEST_SYSENTER_ESP, state.msrs.sysenter_esp)?;
    vmcs.write(field::GUEST_SYSENTER_EIP, state.msrs.sysenter_eip)?;
    for (optional, value) in [
        (field::GUEST_PAT, state.msrs.pat),
        (field::GUEST_PKRS, state.msrs.pkrs),
        (field::GUEST_SPEC_CTRL, state.msrs.spec_ctrl),
    ] {
        if_it_exists(vmcs.write(optional, value))?;
    }
    for (optional, value) in [
        (field::GUEST_S_CET, state.msrs.s_cet),
        (field::GUEST_SSP, state.ssp),
        (field::GUEST_INTERRUPT_SSP_TABLE, state.msrs.interrupt_ssp_table),
    ] {
        if_it_exists(vmcs.write(optional, value))?;
    }

    vmcs.write(field::GUEST_ACTIVITY_STATE, activity_number(state.activity))?;
    vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, 0)?;
    vmcs.write(field::GUEST_PENDING_DEBUG_EXCEPTIONS, 0)?;
    vmcs.write(field::VMCS_LINK_POINTER, u64::MAX)?;
    vmcs.write(field::ENTRY_INTERRUPTION_INFO, 0)
}

/// Reads the guest's state into `state`, CR0 and CR4 as the guest sees them.
///
/// Registers that the VMCS does not hold are left as they are; so is what needs a feature that the
/// processor lacks.
///
/// # Errors
/// As [`VmcsAccess::read`].
pub fn read_guest_state(vmcs: &impl VmcsAccess, state: &mut VcpuState) -> Result<(), VmFail> {
    state.cr0 = read_guest_cr0(vmcs)?;
    state.cr4 = read_guest_cr4(vmcs)?;
    state.cr3 = vmcs.read(field::GUEST_CR3)?;
    state.es = read_segment(vmcs, &ES)?;
    state.cs = read_segment(vmcs, &CS)?;
    state.ss = read_segment(vmcs, &SS)?;
    state.ds = read_segment(vmcs, &DS)?;
    state.fs = read_segment(vmcs, &FS)?;
    state.gs = read_segment(vmcs, &GS)?;
    state.ldtr = read_segment(vmcs, &LDTR)?;
    state.tr = read_segment(vmcs, &TR)?;
    state.gdtr = read_table(vmcs, field::GUEST_GDTR_BASE, field::GUEST_GDTR_LIMIT)?;
    state.idtr = read_table(vmcs, field::GUEST_IDTR_BASE, field::GUEST_IDTR_LIMIT)?;
    state.rip = vmcs.read(field::GUEST_RIP)?;
    state.general.rsp = vmcs.read(field::GUEST_RSP)?;
    state.rflags = vmcs.read(field::GUEST_RFLAGS)?;
    state.debug.dr7 = vmcs.read(field::GUEST_DR7)?;
    state.msrs.debugctl = vmcs.read(field::GUEST_DEBUGCTL)?;
    state.msrs.sysenter_cs = vmcs.read(field::GUEST_SYSENTER_CS)?.into();
    state.msrs.sysenter_esp = vmcs.read(field::GUEST_SYSENTER_ESP)?;
    state.msrs.sysenter_eip = vmcs.read(field::GUEST_SYSENTER_EIP)?;
    for (register, optional) in [
        (&mut state.efer, field::GUEST_EFER),
        (&mut state.msrs.pat, field::GUEST_PAT),
        (&mut state.msrs.pkrs, field::GUEST_PKRS),
        (&mut state.msrs.spec_ctrl, field::GUEST_SPEC_CTRL),
    ] {
        if let Ok(value) = vmcs.read(optional) {
            *register = value;
        }
    }
    for (register, optional) in [
        (&mut state.msrs.s_cet, field::GUEST_S_CET),
        (&mut state.ssp, field::GUEST_SSP),
        (&mut state.msrs.interrupt_ssp_table, field::GUEST_INTERRUPT_SSP_TABLE),
    ] {
        if let Ok(value) = vmcs.read(optional) {
            *register = value;
        }
    }
    let activity = activity_of(vmcs.read(field::GUEST_ACTIVITY_STATE)?);
    state.activity = activity.unwrap_or(Activity::Active);
    Ok(())
}

/// Returns the bits of CR0 that the guest may not change behind the hypervisor's back: those that
/// VMX operation fixes, but for PE and PG of an unrestricted guest, and CD and NW.
fn host_owned_cr0(caps: &VmxCaps, unrestricted: bool) -> u64 {
    fixed0(caps, unrestricted) | cr0::CD | cr0::NW
}

/// Returns the bits of CR4 that the guest may not change behind the hypervisor's back.
fn host_owned_cr4(caps: &VmxCaps) -> u64 {
    caps.cr4_fixed0 | cr4::VMXE
}

/// Returns the bits of CR0 that must be 1 in the guest.
fn fixed0(caps: &VmxCaps, unrestricted: bool) -> u64 {
    match unrestricted {
        true => caps.cr0_fixed0 & !(cr0::PE | cr0::PG),
        false => caps.cr0_fixed0,
    }
}

/// Returns CR0 as the guest sees it.
///
/// # Errors
/// As [`VmcsAccess::read`].
pub fn read_guest_cr0(vmcs: &impl VmcsAccess) -> Result<u64, VmFail> {
    let mask = vmcs.read(field::CR0_GUEST_HOST_MASK)?;
    let shadow = vmcs.read(field::CR0_READ_SHADOW)?;
    Ok(vmcs.read(field::GUEST_CR0)? & !mask | shadow & mask)
}

/// Returns CR4 as the guest sees it.
///
/// # Errors
/// As [`VmcsAccess::read`].
pub fn read_guest_cr4(vmcs: &impl VmcsAccess) -> Result<u64, VmFail> {
    let mask = vmcs.read(field::CR4_GUEST_HOST_MASK)?;
    let shadow = vmcs.read(field::CR4_READ_SHADOW)?;
    Ok(vmcs.read(field::GUEST_CR4)? & !mask | shadow & mask)
}

/// Sets CR0 to what the guest wrote, on a MOV to CR0 or LMSW that exited.
///
/// Setting PG with EFER.LME makes the guest long mode, clearing it ends that: EFER.LMA and the
/// IA-32e-mode-guest control follow. With [PAE paging](uses_pae_paging) the PDPTEs must be loaded
/// anew, by [`write_pdptes`]. Whether the value would fault is the caller's to find out.
///
/// # Errors
/// As [`VmcsAccess::read`] and [`VmcsAccess::write`].
pub fn write_guest_cr0(
    vmcs: &mut impl VmcsAccess,
    caps: &VmxCaps,
    value: u64,
) -> Result<(), VmFail> {
    let unrestricted = is_unrestricted(vmcs)?;
    if let Ok(old) = vmcs.read(field::GUEST_EFER) {
        let is_long = value & cr0::PG != 0 && old & efer::LME != 0;
        write_guest_efer(vmcs, if is_long { old | efer::LMA } else { old & !efer::LMA })?;
    }
    write_cr0_fields(vmcs, caps, value, unrestricted)
}

fn write_cr0_fields(
    vmcs: &mut impl VmcsAccess,
    caps: &VmxCaps,
    value: u64,
    unrestricted: bool,
) -> Result<(), VmFail> {
    let real = (value & !(cr0::CD | cr0::NW) | fixed0(caps, unrestricted)) & caps.cr0_fixed1;
    vmcs.write(field::GUEST_CR0, real)?;
    vmcs.write(field::CR0_READ_SHADOW, value)
}

/// Sets CR4 to what the guest wrote. Whether the value would fault is the caller's to find out: a bit
/// that the processor lacks is left out.
///
/// # Errors
/// As [`VmcsAccess::write`].
pub fn write_guest_cr4(
    vmcs: &mut impl VmcsAccess,
    caps: &VmxCaps,
    value: u64,
) -> Result<(), VmFail> {
    vmcs.write(field::GUEST_CR4, caps.fixed_cr4(value | cr4::VMXE))?;
    vmcs.write(field::CR4_READ_SHADOW, value)
}

/// Sets EFER; the IA-32e-mode-guest control follows its LMA.
///
/// # Errors
/// As [`VmcsAccess::read`] and [`VmcsAccess::write`].
pub fn write_guest_efer(vmcs: &mut impl VmcsAccess, value: u64) -> Result<(), VmFail> {
    let mut entry = EntryControls::from_bits_retain(vmcs.read(field::ENTRY_CONTROLS)?);
    entry.set(EntryControls::IA32E_MODE_GUEST, value & efer::LMA != 0);
    vmcs.write(field::ENTRY_CONTROLS, entry.bits())?;
    if_it_exists(vmcs.write(field::GUEST_EFER, value))
}

/// Tells whether a CPU in `state` uses PAE paging, so that its PDPTEs count.
#[must_use]
pub const fn uses_pae_paging(state: &VcpuState) -> bool {
    state.cr0 & cr0::PG != 0 && state.cr4 & cr4::PAE != 0 && state.efer & efer::LMA == 0
}

/// Reads the four PDPTEs that loading CR3 with `cr3` loads under PAE paging.
///
/// # Errors
/// [`AccessError`] if the table is not in the guest's memory.
///
/// # Source
/// Intel SDM Vol. 3A, "PDPTE Registers".
pub fn read_pdptes(memory: &impl GuestMemory, cr3: u64) -> Result<[u64; 4], AccessError> {
    let mut bytes = [0; 32];
    memory.read(Gpa::new(cr3 & 0xFFFF_FFE0), &mut bytes)?;
    let (entries, _) = bytes.as_chunks::<8>();
    let mut pdptes = [0; 4];
    for (pdpte, entry) in pdptes.iter_mut().zip(entries) {
        *pdpte = u64::from_le_bytes(*entry);
    }
    Ok(pdptes)
}

/// Writes the PDPTEs of a guest that uses PAE paging.
///
/// Under EPT an entry takes them from here, never from memory. An emulated write to CR3 (or to the
/// bits of CR0, CR4 and EFER that turn PAE paging on) must load them anew.
///
/// # Errors
/// As [`VmcsAccess::write`].
pub fn write_pdptes(vmcs: &mut impl VmcsAccess, pdptes: [u64; 4]) -> Result<(), VmFail> {
    let fields =
        [field::GUEST_PDPTE0, field::GUEST_PDPTE1, field::GUEST_PDPTE2, field::GUEST_PDPTE3];
    fields.into_iter().zip(pdptes).try_for_each(|(field, value)| vmcs.write(field, value))
}

/// Tells whether the controls make the guest unrestricted.
fn is_unrestricted(vmcs: &impl VmcsAccess) -> Result<bool, VmFail> {
    let primary = PrimaryControls::from_bits_retain(vmcs.read(field::PRIMARY_CONTROLS)?);
    if !primary.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS) {
        return Ok(false);
    }
    let secondary = SecondaryControls::from_bits_retain(vmcs.read(field::SECONDARY_CONTROLS)?);
    Ok(secondary.contains(SecondaryControls::UNRESTRICTED_GUEST))
}

/// A segment that is not present is unusable: none can be loaded that is not.
fn write_segment(
    vmcs: &mut impl VmcsAccess,
    fields: &SegmentFields,
    segment: Segment,
) -> Result<(), VmFail> {
    let Segment { selector, base, limit, access } = segment;
    let access = if access.is_present() { access } else { AccessRights(access.0 | 1 << 16) };
    vmcs.write(fields.selector, selector)?;
    vmcs.write(fields.base, base)?;
    vmcs.write(fields.limit, limit)?;
    vmcs.write(fields.access, access.0 & 0x1_F0FF)
}

fn read_segment(vmcs: &impl VmcsAccess, fields: &SegmentFields) -> Result<Segment, VmFail> {
    Ok(Segment {
        selector: vmcs.read(fields.selector)?,
        base: vmcs.read(fields.base)?,
        limit: vmcs.read(fields.limit)?,
        access: AccessRights(vmcs.read(fields.access)?),
    })
}

fn read_table(
    vmcs: &impl VmcsAccess,
    base: VmcsField<Natural, ReadWrite>,
    limit: VmcsField<u32, ReadWrite>,
) -> Result<DescriptorTable, VmFail> {
    let [low, high, ..] = vmcs.read(limit)?.to_le_bytes();
    Ok(DescriptorTable { base: vmcs.read(base)?, limit: u16::from_le_bytes([low, high]) })
}

/// Takes a field that the processor does not have for written.
fn if_it_exists(result: Result<(), VmFail>) -> Result<(), VmFail> {
    match result {
        Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD)) => Ok(()),
        other => other,
    }
}
