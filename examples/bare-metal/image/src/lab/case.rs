//! A case: a state, what surrounds it, and how it is entered.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vmx::{
    EntryContext, EntryInstruction, Error, FieldAccess, FieldEncoding, FieldWidth, HostState,
    MsrEntry, ReadWrite, VmFail, VmcsField, VmcsSnapshot, VmxCaps, field,
};

use super::base;
use super::feature;
use super::mutate;
use super::random::Random;
use super::safety;

/// How many states there are to start from.
pub const BASES: usize = base::ALL.len();
/// How many entries the MSR lists of the lab have room for.
const LIST: usize = 4;
/// After so many unsafe changes a case goes without.
const MOST_TRIES: u32 = 50;

/// The lab's own pages, by their physical addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pages {
    /// Zeros: EPT tables, page tables and bitmaps of which no entry is present.
    pub zero: u64,
    /// What the processor may write to: logs, lists to store to, a descriptor.
    pub scratch: u64,
    /// The virtual-APIC page.
    pub virtual_apic: u64,
    /// The APIC-access page.
    pub apic_access: u64,
    /// The entry's MSR-load list.
    pub entry_list: u64,
    /// The exit's MSR-load list.
    pub exit_list: u64,
    /// What the VMCS link pointer can point to.
    pub link: u64,
    /// The table at CR3 of a guest with PAE paging and without EPT.
    pub pdptes: u64,
    /// The VMCS.
    pub vmcs: u64,
}

/// What a lab works with.
#[derive(Clone, Copy, Debug)]
pub struct Processor {
    /// The capabilities.
    pub caps: VmxCaps,
    /// Whether it has SGX.
    pub has_sgx: bool,
    /// Whether it has RTM.
    pub has_rtm: bool,
    /// Whether bus locks can raise #DB.
    pub has_bus_lock_detect: bool,
    /// What an exit comes back to.
    pub host: HostState,
    /// Where an exit goes on.
    pub host_rip: u64,
    /// The lab's own memory.
    pub pages: Pages,
}

/// Why a lab can't be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The processor lacks a control that the states need.
    #[error("a control that the lab needs")]
    Controls(#[from] Error),
    /// A field that the states need does not exist.
    #[error("a field that the lab needs")]
    Field(#[from] VmFail),
}

/// A source of cases.
#[derive(Clone, Debug)]
pub struct Lab {
    pub(super) processor: Processor,
    bases: [VmcsSnapshot; BASES],
}

/// How a VMCS is entered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Entering {
    /// VMLAUNCH of a clear VMCS.
    #[default]
    Launch,
    /// VMRESUME of a launched VMCS.
    Resume,
    /// VMLAUNCH of a launched VMCS.
    LaunchAgain,
    /// VMRESUME of a clear VMCS.
    ResumeFirst,
    /// VMLAUNCH directly behind MOV SS.
    BehindMovSs,
    /// VMLAUNCH without a current VMCS.
    WithoutVmcs,
    /// VMLAUNCH with a shadow VMCS.
    ShadowVmcs,
}

/// A state to enter.
#[derive(Clone, Debug)]
pub struct Case {
    /// The number of the state that it was made from.
    pub base: usize,
    /// All fields.
    pub vmcs: VmcsSnapshot,
    /// How it is entered.
    pub entering: Entering,
    /// Byte 80h of the virtual-APIC page.
    pub virtual_tpr: u8,
    /// The first four bytes of what the link pointer can point to.
    pub link_revision: u32,
    /// The PDPTEs in memory.
    pub pdptes: [u64; 4],
    /// The entry's MSR-load list, as far as it is used.
    pub entry_list: [MsrEntry; LIST],
}

impl Lab {
    /// Makes a lab for a processor.
    ///
    /// # Errors
    /// [`LabError`] if the processor lacks something that the states need.
    pub fn new(processor: Processor) -> Result<Self, LabError> {
        let mut bases = [VmcsSnapshot::new(); BASES];
        for (vmcs, base) in bases.iter_mut().zip(base::ALL) {
            *vmcs = base.vmcs(&processor)?;
        }
        Ok(Self { processor, bases })
    }

    /// Returns what the lab works with.
    #[must_use]
    pub const fn processor(&self) -> &Processor {
        &self.processor
    }

    /// Returns the name of a state to start from.
    #[must_use]
    pub fn base_name(number: usize) -> &'static str {
        base::ALL.get(number).map_or("?", |base| base.name)
    }

    /// Returns a state to start from, with nothing changed.
    #[must_use]
    pub fn base(&self, number: usize) -> Case {
        Case {
            base: number,
            vmcs: self.bases.get(number).copied().unwrap_or_default(),
            entering: Entering::Launch,
            virtual_tpr: 0,
            link_revision: self.processor.caps.revision_id().0,
            pdptes: [0; 4],
            entry_list: [MsrEntry { index: TSC_AUX, reserved: 0, value: 0 }; LIST],
        }
    }

    /// Makes case `number` of `seed`. The first cases of a seed are the states to start from.
    ///
    /// What could harm the lab if the processor entered is left out, and something else changed
    /// instead: see `safety.rs`.
    #[must_use]
    pub fn case(&self, seed: u64, number: u32) -> Case {
        let position = usize::try_from(number).unwrap_or(usize::MAX);
        if position < BASES {
            return self.base(position);
        }
        let mut random = Random::new(seed, number);
        let base = usize::try_from(random.below(BASES as u64)).unwrap_or(0);
        for _ in 0..MOST_TRIES {
            let mut case = self.base(base);
            for _ in 0..random.below(3) {
                feature::add(self, &mut case, &mut random);
            }
            mutate::change(self, &mut case, &mut random);
            if safety::is_safe(self, &case) {
                return case;
            }
        }
        self.base(base)
    }

    /// Returns what is known of the entry besides the fields.
    #[must_use]
    pub fn context<'a>(&self, case: &'a Case) -> EntryContext<'a> {
        let Processor { pages, has_sgx, has_rtm, has_bus_lock_detect, .. } = self.processor;
        let is_launched = matches!(case.entering, Entering::Resume | Entering::LaunchAgain);
        let resumes = matches!(case.entering, Entering::Resume | Entering::ResumeFirst);
        let vmcs = &case.vmcs;
        let list = vmcs.get(field::ENTRY_MSR_LOAD_COUNT).and_then(|count| {
            let count = usize::try_from(count).ok()?;
            let is_ours = vmcs.get(field::ENTRY_MSR_LOAD_ADDRESS) == Some(pages.entry_list);
            case.entry_list.get(..count).filter(|_| is_ours)
        });
        let points_to = |field, page| vmcs.get(field) == Some(page);
        let cr3 = vmcs.get(field::GUEST_CR3).unwrap_or(0);
        EntryContext {
            is_protected: Some(true),
            cpl: Some(0),
            has_current_vmcs: Some(case.entering != Entering::WithoutVmcs),
            is_shadow_vmcs: Some(case.entering == Entering::ShadowVmcs),
            blocked_by_mov_ss: Some(case.entering == Entering::BehindMovSs),
            instruction: Some(match resumes {
                true => EntryInstruction::Resume,
                false => EntryInstruction::Launch,
            }),
            is_launched: Some(is_launched),
            host_lma: Some(true),
            virtual_tpr: points_to(field::VIRTUAL_APIC_ADDRESS, pages.virtual_apic)
                .then_some(case.virtual_tpr),
            current_vmcs: Some(pages.vmcs),
            link_revision: points_to(field::VMCS_LINK_POINTER, pages.link)
                .then_some(case.link_revision),
            pdptes: match cr3 & 0xFFFF_FFE0 {
                table if table == pages.pdptes => Some(case.pdptes),
                table if table == pages.zero => Some([0; 4]),
                _ => None,
            },
            entry_msrs: list,
            has_sgx: Some(has_sgx),
            has_rtm: Some(has_rtm),
            has_bus_lock_detect: Some(has_bus_lock_detect),
            ..EntryContext::OUTSIDE_SMM
        }
    }

    /// Returns the fields in which a case differs from the state that it was made from.
    pub fn changes<'a>(
        &'a self,
        case: &'a Case,
    ) -> impl Iterator<Item = (FieldEncoding, u64)> + 'a {
        let base = self.bases.get(case.base).unwrap_or(&case.vmcs);
        case.vmcs.fields().filter(|(encoding, value)| base.raw(*encoding) != Some(*value))
    }
    /// Returns what a case changes besides fields, in words.
    #[must_use]
    pub fn around(&self, case: &Case) -> Vec<String> {
        let base = self.base(case.base);
        let mut words = Vec::new();
        if case.entering != base.entering {
            words.push(format!("{:?}", case.entering));
        }
        if case.virtual_tpr != base.virtual_tpr {
            words.push(format!("virtual-tpr:{:#x}", case.virtual_tpr));
        }
        if case.link_revision != base.link_revision {
            words.push(format!("linked-revision:{:#x}", case.link_revision));
        }
        if case.pdptes != base.pdptes {
            words.push(format!("pdptes:{:x?}", case.pdptes).replace(' ', ""));
        }
        let count = case.get(field::ENTRY_MSR_LOAD_COUNT);
        let used = usize::try_from(count).unwrap_or(usize::MAX);
        for MsrEntry { index, reserved, value } in case.entry_list.iter().take(used) {
            words.push(format!("msr:{index:#x}:{reserved}:{value:#x}"));
        }
        words
    }
}

/// An MSR that takes any 32 bits, and that nothing of the lab uses.
pub(super) const TSC_AUX: u32 = 0xC000_0103;

impl Case {
    pub(super) fn get<W: FieldWidth, A: FieldAccess>(&self, field: VmcsField<W, A>) -> u64 {
        self.vmcs.get(field).map_or(0, Into::into)
    }

    /// Sets a field, if the processor has it.
    pub(super) fn set<W: FieldWidth>(&mut self, field: VmcsField<W, ReadWrite>, value: u64) {
        self.set_raw(field.encoding(), value);
    }

    /// Sets bits of a field.
    pub(super) fn on<W: FieldWidth>(&mut self, field: VmcsField<W, ReadWrite>, bits: u64) {
        self.set(field, self.get(field) | bits);
    }

    pub(super) fn set_raw(&mut self, encoding: FieldEncoding, value: u64) {
        if self.vmcs.raw(encoding).is_some() {
            self.vmcs.set(encoding, value);
        }
    }
}
