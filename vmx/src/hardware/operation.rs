//! VMX operation: switched on, with one current VMCS, and off again.

use core::arch::x86_64::__cpuid;
use core::fmt;
use core::marker::PhantomData;

use guest_state::{AccessRights, Hpa, PageSize, cr4};

use super::instructions::{
    read_existing, update_existing, vmclear, vmptrld, vmread, vmwrite, vmxoff, vmxon,
    write_existing,
};
use super::registers::{rdmsr, read_cr0, read_cr4, write_cr0, write_cr4, wrmsr};
use crate::caps::msr;
use crate::skip::{advance, complete, needs_completion};
use crate::{
    AddressWidths, EntryContext, EntryControls, EntryInstruction, Error, FieldAccess,
    FieldEncoding, FieldWidth, ReadWrite, RevisionId, VmFail, VmcsAccess, VmcsField, VmxCaps,
    field,
};

/// CPUID leaf 1, ECX: the processor has VMX.
const CPUID_VMX: u32 = 1 << 5;
/// `IA32_FEATURE_CONTROL`: the MSR can't be written any more.
const LOCKED: u64 = 1 << 0;
/// `IA32_FEATURE_CONTROL`: VMXON is allowed outside SMX operation.
const VMXON_OUTSIDE_SMX: u64 = 1 << 2;

/// Reads the capabilities of this processor.
///
/// # Errors
/// [`Error::NoVmx`] if it has no VMX.
///
/// # Safety
/// CPL is 0.
pub unsafe fn capabilities() -> Result<VmxCaps, Error> {
    if __cpuid(1).ecx & CPUID_VMX == 0 {
        return Err(Error::NoVmx);
    }
    let has_widths = __cpuid(0x8000_0000).eax >= 0x8000_0008;
    let widths = match has_widths {
        true => AddressWidths::from_cpuid(__cpuid(0x8000_0008).eax),
        false => AddressWidths { physical: 36, linear: 48 },
    };
    // SAFETY:
    // 1. The caller promises CPL 0.
    // 2. CPUID says that there is VMX, so the first eleven MSRs exist; `VmxCaps::read` asks for
    //    any other only where those say that it exists.
    VmxCaps::read(widths, |number| Some(unsafe { rdmsr(number) }))
}

/// Makes VMXON possible on this processor: `IA32_FEATURE_CONTROL`, CR0 and CR4.
///
/// A feature-control MSR that nobody has locked yet is locked with VMXON allowed, as firmware
/// should have done; it is a register of each logical processor.
///
/// # Errors
/// [`Error::NoVmx`] without VMX, [`Error::LockedOff`] if the firmware locked it off.
///
/// # Safety
/// CPL is 0, and no code of this processor depends on a bit of CR0 or CR4 that VMX operation
/// forbids (with paging on there is none on any known processor).
///
/// # Source
/// Intel SDM Vol. 3C, "Enabling and Entering VMX Operation" and "Restrictions on VMX Operation".
pub unsafe fn enable(caps: &VmxCaps) -> Result<(), Error> {
    if __cpuid(1).ecx & CPUID_VMX == 0 {
        return Err(Error::NoVmx);
    }
    // SAFETY: the caller promises CPL 0; a processor with VMX has the MSR.
    let mut feature_control = unsafe { rdmsr(msr::FEATURE_CONTROL) };
    if feature_control & LOCKED == 0 {
        feature_control |= LOCKED | VMXON_OUTSIDE_SMX;
        // SAFETY: the MSR is not locked and takes both bits; nothing depends on their being 0.
        unsafe { wrmsr(msr::FEATURE_CONTROL, feature_control) };
    }
    if feature_control & VMXON_OUTSIDE_SMX == 0 {
        return Err(Error::LockedOff { feature_control });
    }
    // SAFETY: the caller promises CPL 0.
    let (old_cr0, old_cr4) = (unsafe { read_cr0() }, unsafe { read_cr4() });
    // SAFETY: the value has the fixed bits as the processor wants them; the caller promises that
    // nothing depends on the others.
    unsafe { write_cr0(caps.fixed_cr0(old_cr0)) };
    // SAFETY: as for CR0; VMXE is a bit that CR4 has, since there is VMX.
    unsafe { write_cr4(caps.fixed_cr4(old_cr4 | cr4::VMXE)) };
    Ok(())
}

/// A page for a VMXON region or a VMCS: 4 KiB, aligned, beginning with the revision identifier.
#[repr(C, align(4096))]
pub struct VmxPage {
    revision: RevisionId,
    abort: u32,
    data: [u8; 4088],
}

const _: () = assert!(size_of::<VmxPage>() == 4096);

impl VmxPage {
    /// Makes a page for a processor of these capabilities.
    #[must_use]
    pub const fn new(caps: &VmxCaps) -> Self {
        Self { revision: caps.revision_id(), abort: 0, data: [0; 4088] }
    }

    /// Returns the VMX-abort indicator: not zero if the last exit could not load the host.
    #[must_use]
    pub const fn abort_indicator(&self) -> u32 {
        self.abort
    }
}

impl fmt::Debug for VmxPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision, abort, data: _ } = self;
        f.debug_struct("VmxPage").field("revision", revision).field("abort", abort).finish()
    }
}

/// Checks an address that is to hold a VMX structure.
fn checked(region: Hpa, caps: &VmxCaps) -> Result<Hpa, Error> {
    let address = region.as_u64();
    let bits = if caps.has_32bit_addresses() { 0xFFFF_FFFF } else { caps.widths.physical_mask() };
    let aligned = region.page_offset(PageSize::Size4K) == 0;
    if aligned && address & !bits == 0 { Ok(region) } else { Err(Error::BadAddress { address }) }
}

fn failed(instruction: &'static str) -> impl Fn(VmFail) -> Error {
    move |failure| Error::Instruction { instruction, failure }
}

/// VMX operation of this processor, from VMXON to VMXOFF.
///
/// Holding one proves that this processor is in VMX root operation. Dropping it executes VMXOFF.
/// It can't be sent to another processor.
#[derive(Debug)]
#[must_use = "dropping it leaves VMX operation at once"]
pub struct VmxOperation {
    caps: VmxCaps,
    this_processor: PhantomData<*mut ()>,
}

impl VmxOperation {
    /// Executes VMXON with the region at `region`, which holds a [`VmxPage`].
    ///
    /// # Errors
    /// [`Error::BadAddress`], or [`Error::Instruction`] if VMXON fails.
    ///
    /// # Safety
    /// 1. CPL is 0 and [`enable`] was called on this processor; CR0 and CR4 were not changed since.
    /// 2. `caps` are this processor's.
    /// 3. `region` is the physical address of a [`VmxPage`] that nothing else uses as long as the
    ///    value lives.
    /// 4. The value stays on this processor: no scheduler moves the code that holds it.
    pub unsafe fn enter(region: Hpa, caps: &VmxCaps) -> Result<Self, Error> {
        let region = checked(region, caps)?;
        // SAFETY: by 1 and 3 of the caller's promises VMXON can't fault and owns its region.
        unsafe { vmxon(region) }.map_err(failed("VMXON"))?;
        Ok(Self { caps: *caps, this_processor: PhantomData })
    }

    /// Returns the capabilities of this processor.
    #[must_use]
    pub const fn caps(&self) -> &VmxCaps {
        &self.caps
    }

    /// Makes the region at `region` a clear VMCS, ready to be loaded.
    ///
    /// # Errors
    /// [`Error::BadAddress`], or [`Error::Instruction`] if VMCLEAR fails.
    ///
    /// # Safety
    /// `region` is the physical address of a [`VmxPage`] of this processor's revision that nothing
    /// else uses as long as the value lives, and that is no other [`Vmcs`].
    pub unsafe fn create(&mut self, region: Hpa) -> Result<Vmcs, Error> {
        let region = checked(region, &self.caps)?;
        // SAFETY: `self` proves root operation; the caller promises that the region is free.
        unsafe { vmclear(region) }.map_err(failed("VMCLEAR"))?;
        Ok(Vmcs { region, launched: false, host_rsp: 0 })
    }

    /// Makes `vmcs` the current VMCS for as long as the result lives.
    ///
    /// A [`Vmcs`] that was loaded on another processor must be [cleared](Self::clear) there first.
    ///
    /// # Errors
    /// [`Error::Instruction`] if VMPTRLD fails.
    #[inline]
    pub fn load<'a>(&'a mut self, vmcs: &'a mut Vmcs) -> Result<CurrentVmcs<'a>, Error> {
        // SAFETY: `self` proves root operation; whoever made `vmcs` promised that its region is a
        // VMCS that nothing else uses.
        unsafe { vmptrld(vmcs.region) }.map_err(failed("VMPTRLD"))?;
        Ok(CurrentVmcs { vmcs, operation: self })
    }

    /// Writes `vmcs` back to memory and marks it as not launched, so that it can move to another
    /// processor or be freed.
    ///
    /// # Errors
    /// [`Error::Instruction`] if VMCLEAR fails.
    pub fn clear(&mut self, vmcs: &mut Vmcs) -> Result<(), Error> {
        // SAFETY: as for `load`.
        unsafe { vmclear(vmcs.region) }.map_err(failed("VMCLEAR"))?;
        vmcs.launched = false;
        Ok(())
    }
}

impl Drop for VmxOperation {
    fn drop(&mut self) {
        // A failure means the dual-monitor treatment of SMIs, which leaves VMX on; a drop can't say
        // so, and the next VMXON will.
        // SAFETY: `self` proves root operation. VMXOFF writes no VMCS back, which harms nobody:
        // a region that still holds one can't be used before VMCLEAR.
        let _ = unsafe { vmxoff() };
    }
}

/// A VMCS region of its own, with its launch state.
#[derive(Debug)]
pub struct Vmcs {
    region: Hpa,
    launched: bool,
    /// HOST_RSP as the run stub last wrote it; 0 for never.
    pub(super) host_rsp: u64,
}

impl Vmcs {
    /// Returns the physical address of the region.
    #[must_use]
    pub const fn region(&self) -> Hpa {
        self.region
    }
}

/// The current VMCS of this processor.
///
/// Holding one proves that VMPTRLD made it so, and that nothing replaced it since.
#[derive(Debug)]
pub struct CurrentVmcs<'a> {
    pub(super) vmcs: &'a mut Vmcs,
    operation: &'a mut VmxOperation,
}

impl CurrentVmcs<'_> {
    /// Lends it.
    pub(super) const fn reborrow(&mut self) -> CurrentVmcs<'_> {
        CurrentVmcs { vmcs: &mut *self.vmcs, operation: &mut *self.operation }
    }

    /// Returns the capabilities of this processor.
    #[must_use]
    pub const fn caps(&self) -> &VmxCaps {
        &self.operation.caps
    }

    /// Returns the physical address of the region.
    #[must_use]
    pub const fn region(&self) -> Hpa {
        self.vmcs.region
    }

    /// Tells whether the VMCS was launched, so that the next entry is a VMRESUME.
    #[must_use]
    pub const fn is_launched(&self) -> bool {
        self.vmcs.launched
    }

    /// Returns what is known of each entry with this VMCS besides its fields: for
    /// [`check_live`](crate::check_live) behind an entry that failed.
    #[must_use]
    pub const fn entry_context(&self) -> EntryContext<'static> {
        let launched = self.vmcs.launched;
        EntryContext {
            is_protected: Some(true),
            cpl: Some(0),
            has_current_vmcs: Some(true),
            is_shadow_vmcs: Some(false),
            blocked_by_mov_ss: Some(false),
            instruction: Some(if launched {
                EntryInstruction::Resume
            } else {
                EntryInstruction::Launch
            }),
            is_launched: Some(launched),
            host_lma: Some(true),
            current_vmcs: Some(self.vmcs.region.as_u64()),
            ..EntryContext::OUTSIDE_SMM
        }
    }

    /// Sets the launch state, as the run stub does.
    pub(super) fn set_launched(&mut self) {
        self.vmcs.launched = true;
    }

    /// Reads a field that every processor has, without a test for failure: for paths on which each
    /// instruction counts.
    ///
    /// A field that the processor does not have gives its encoding; ask
    /// [`VmxCaps::has_field`] about any that the SDM marks as optional.
    #[must_use]
    #[inline]
    pub fn get<W: FieldWidth, A: FieldAccess>(&self, field: VmcsField<W, A>) -> W::Value {
        // SAFETY: `self` proves root operation and a current VMCS.
        W::from_raw(unsafe { read_existing(field.encoding()) })
    }

    /// Writes a field that every processor has, without a test for failure, as [`get`](Self::get)
    /// reads it.
    #[inline]
    pub fn set<W: FieldWidth>(&mut self, field: VmcsField<W, ReadWrite>, value: W::Value) {
        // SAFETY: as for `write_raw`.
        unsafe { write_existing(field.encoding(), value.into()) }
    }

    /// Lets the guest go on behind the instruction that exited, as
    /// [`skip_instruction`](crate::skip_instruction) does, at the least cost.
    ///
    /// Only for exits whose reason [is an instruction](crate::BasicReason::is_instruction).
    #[inline]
    pub fn skip_instruction(&mut self) {
        if !self.advance_rip() {
            self.complete_instruction();
        }
    }

    /// The first half of [`skip_instruction`](Self::skip_instruction): moves RIP behind the
    /// instruction that exited. Tells whether that was all; otherwise
    /// [`complete_instruction`](Self::complete_instruction) does the rest.
    #[must_use]
    #[inline]
    pub fn advance_rip(&mut self) -> bool {
        // SAFETY: `self` proves root operation and a current VMCS.
        let length = unsafe { read_existing(field::EXIT_INSTRUCTION_LENGTH.encoding()) };
        let is_64bit = |vmcs: &Self| {
            AccessRights(vmcs.get(field::GUEST_CS_ACCESS_RIGHTS)).is_64bit()
                && vmcs.get(field::ENTRY_CONTROLS) & EntryControls::IA32E_MODE_GUEST.bits() != 0
        };
        // SAFETY: as for `write_raw`.
        unsafe {
            update_existing(field::GUEST_RIP.encoding(), |rip| {
                advance(rip, length, || is_64bit(self))
            });
        }
        let blocking = self.get(field::GUEST_INTERRUPTIBILITY_STATE);
        let flags = self.get(field::GUEST_RFLAGS);
        !needs_completion(blocking, flags)
    }

    /// The second half: ends blocking by STI and MOV SS, clears RF, and with TF makes a single-step
    /// trap pending. Where there is nothing to do it does nothing.
    pub fn complete_instruction(&mut self) {
        // Fields that always exist can't fail.
        let _ = complete(self);
    }
}

impl VmcsAccess for CurrentVmcs<'_> {
    #[inline]
    fn read_raw(&self, encoding: FieldEncoding) -> Result<u64, VmFail> {
        // SAFETY: `self` proves root operation.
        unsafe { vmread(encoding) }
    }

    /// Writes the field. What the next entry does with it is the promise of whoever
    /// [runs](CurrentVmcs::run) the guest.
    #[inline]
    fn write_raw(&mut self, encoding: FieldEncoding, value: u64) -> Result<(), VmFail> {
        // SAFETY:
        // 1. `self` proves root operation.
        // 2. A write alone changes nothing but the VMCS; `run` is unsafe, and its caller answers
        //    for every field.
        unsafe { vmwrite(encoding, value) }
    }
}
