//! The lab's way into a guest, its memory, and the processor's VMCS as it is.

use core::arch::{asm, global_asm};
use core::ptr;

use bare_metal_image::lab::{Case, Entering, Lab, Observed, Pages};
use guest_state::Hpa;
use vmx::hardware::{vmclear, vmptrld, vmread, vmwrite};
use vmx::{
    FieldEncoding, FieldGroup, InstructionError, MsrEntry, Outcome, VmFail, VmcsAccess, VmxCaps,
    field,
};

global_asm!(include_str!("lab_entry.s"));

// SAFETY: `lab_entry.s` defines both with these types. The second is code, of which only the address
// is used.
unsafe extern "sysv64" {
    fn lab_enter(how: u64) -> u64;
    static lab_exit: u8;
}

/// Where an exit goes on.
pub(crate) fn exit_address() -> u64 {
    &raw const lab_exit as u64
}

/// How many pages [`pages`] takes.
pub(crate) const PAGES: usize = 10;

/// Names the pages from `first` on.
pub(crate) fn pages(first: u64) -> Pages {
    let page = |number: u64| first + number * 0x1000;
    Pages {
        zero: page(0),
        scratch: page(1),
        virtual_apic: page(2),
        apic_access: page(3),
        entry_list: page(4),
        exit_list: page(5),
        link: page(6),
        pdptes: page(7),
        vmcs: page(8),
    }
}

/// The current VMCS, as far as the capabilities say that it has fields: Bochs logs each access to
/// another.
pub(crate) struct Live {
    caps: VmxCaps,
}

impl Live {
    /// Tells whether the processor has the field.
    pub(crate) fn has(&self, encoding: FieldEncoding) -> bool {
        // SAFETY: as for `read_raw`.
        unsafe { vmread(encoding) }.is_ok()
    }
}

impl VmcsAccess for Live {
    fn read_raw(&self, encoding: FieldEncoding) -> Result<u64, VmFail> {
        if !self.caps.has_field(encoding) {
            return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        }
        // SAFETY: a `Live` is made in VMX root operation, which ends with the image; CPL is 0.
        unsafe { vmread(encoding) }
    }

    fn write_raw(&mut self, encoding: FieldEncoding, value: u64) -> Result<(), VmFail> {
        // SAFETY: as for reading. Only `Bench::enter` enters, and its cases are safe to enter.
        unsafe { vmwrite(encoding, value) }
    }
}

/// The one VMCS of the lab, and the memory around it.
pub(crate) struct Bench {
    pages: Pages,
    /// A VMCS that is marked as a shadow.
    shadow: u64,
    live: Live,
}

impl Bench {
    /// Prepares the memory.
    ///
    /// # Safety
    /// The processor is in VMX root operation for good, and `pages` came from [`pages`] with
    /// [`PAGES`] pages of zeros that are mapped one to one and nobody else's.
    pub(crate) unsafe fn new(pages: Pages, caps: &VmxCaps) -> Self {
        let shadow = pages.vmcs + 0x1000;
        let revision = caps.revision_id().0;
        let bench = Self { pages, shadow, live: Live { caps: *caps } };
        bench.put(pages.vmcs, &u64::from(revision).to_le_bytes());
        let shadow_revision = u64::from(revision | 1 << 31);
        bench.put(shadow, &shadow_revision.to_le_bytes());
        bench
    }

    /// Returns the fields of the current VMCS.
    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Puts a case in place: the VMCS, clear or launched as it is to be entered, and the memory
    /// around it.
    ///
    /// # Errors
    /// What an instruction gives.
    ///
    /// # Safety
    /// `lab` was made with these pages.
    pub(crate) unsafe fn prepare(&mut self, lab: &Lab, case: &Case) -> Result<(), VmFail> {
        self.clear_and_load(self.pages.vmcs)?;
        if matches!(case.entering, Entering::Resume | Entering::LaunchAgain) {
            self.fill(&lab.base(0))?;
            // SAFETY: CPL is 0 in root operation, and a state to start from is safe to enter.
            let status = unsafe { lab_enter(0) };
            if status != 0 {
                return Err(VmFail::Invalid);
            }
        }
        self.fill(case)?;
        if case.entering == Entering::ShadowVmcs {
            self.clear_and_load(self.shadow)?;
        }
        Ok(())
    }

    fn fill(&mut self, case: &Case) -> Result<(), VmFail> {
        for (encoding, value) in case.vmcs.fields() {
            if encoding.group() != FieldGroup::ExitInformation {
                self.live.write_raw(encoding, value)?;
            }
        }
        // The processor may have written to some of these.
        let entries = [MsrEntry { index: TSC_AUX, reserved: 0, value: 0 }; 4].map(bytes_of);
        self.put(self.pages.scratch, entries.as_flattened());
        self.put(self.pages.exit_list, entries.as_flattened());
        self.put(self.pages.virtual_apic, &[0; 4096]);
        self.put(self.pages.virtual_apic + 0x80, &[case.virtual_tpr]);
        self.put(self.pages.link, &case.link_revision.to_le_bytes());
        self.put(self.pages.pdptes, case.pdptes.map(u64::to_le_bytes).as_flattened());
        self.put(self.pages.entry_list, case.entry_list.map(bytes_of).as_flattened());
        Ok(())
    }

    /// Enters, and says what the processor did.
    ///
    /// # Safety
    /// `case` is one that [`Lab::case`] made for these pages, and [`prepare`](Self::prepare) put it
    /// in place: what the processor follows is the lab's own, as far as the checker is right.
    pub(crate) unsafe fn enter(&mut self, case: &Case) -> Result<Observed, VmFail> {
        if case.entering == Entering::WithoutVmcs {
            // SAFETY: root operation; the region is the lab's. It leaves no VMCS current.
            unsafe { vmclear(Hpa::new(self.pages.vmcs)) }?;
        }
        let how = match case.entering {
            Entering::Resume | Entering::ResumeFirst => 1,
            Entering::BehindMovSs => 2,
            _ => 0,
        };
        // SAFETY: CPL is 0 in root operation, and the caller answers for the case.
        let status = unsafe { lab_enter(how) };
        self.reset_cet();
        let read = |encoding| self.live.read_raw(encoding);
        Ok(match status {
            0 => exited(
                self.live.read(field::EXIT_REASON)?,
                read(field::EXIT_QUALIFICATION.encoding())?,
            ),
            1 => Observed::Outcome(Outcome::FailInvalid),
            _ => failed(self.live.read(field::INSTRUCTION_ERROR)?),
        })
    }

    /// Takes the guest's control-flow enforcement back, which an exit need not.
    fn reset_cet(&self) {
        if self.live.caps.has_field(field::GUEST_S_CET.encoding()) {
            // SAFETY: CPL is 0, and a processor that loads CET state has IA32_S_CET; with 0 nothing
            // is enforced.
            unsafe {
                asm!("wrmsr", in("ecx") S_CET, in("eax") 0, in("edx") 0, options(nostack, nomem));
            }
        }
    }

    fn clear_and_load(&mut self, region: u64) -> Result<(), VmFail> {
        // SAFETY: root operation; the region is a page of the lab's with this processor's revision.
        unsafe { vmclear(Hpa::new(region)) }?;
        // SAFETY: as above.
        unsafe { vmptrld(Hpa::new(region)) }
    }

    /// Writes to one of the lab's pages.
    fn put(&self, address: u64, bytes: &[u8]) {
        // SAFETY: every caller gives an address within one of the pages that `new` was promised, and
        // no more bytes than it has; no reference into it exists.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
    }
}

const TSC_AUX: u32 = 0xC000_0103;
const S_CET: u32 = 0x6A2;

fn bytes_of(entry: MsrEntry) -> [u8; 16] {
    let MsrEntry { index, reserved, value } = entry;
    let word = u128::from(value) << 64 | u128::from(reserved) << 32 | u128::from(index);
    word.to_le_bytes()
}

fn exited(reason: u32, qualification: u64) -> Observed {
    const FAILED: u32 = 1 << 31;
    let outcome = match (reason & 0xFFFF, qualification) {
        _ if reason & FAILED == 0 => Outcome::Success,
        (33, 0) => Outcome::GuestState,
        (33, 2) => Outcome::GuestPdptes,
        (33, 3) => Outcome::GuestNmiInjection,
        (33, 4) => Outcome::GuestLinkPointer,
        _ => return Observed::Exit(reason & 0xFFFF, qualification),
    };
    Observed::Outcome(outcome)
}

fn failed(number: u32) -> Observed {
    let known = Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.instruction_error().is_some_and(|error| error.0 == number));
    known.map_or(Observed::Error(number), Observed::Outcome)
}
