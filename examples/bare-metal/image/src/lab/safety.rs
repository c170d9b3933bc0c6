//! What the lab can enter without harm to itself.
//!
//! An exit loads the host's state, and the processor writes where a VMCS says: where the checker
//! says that the entry gets as far as that, these fields must be the lab's own. A guest that could
//! wait for ever is not entered either. Where the checker is wrong, a run ends without its last
//! word, which is a failure too.

use vmx::{
    EntryCheck, ExitControls, FieldEncoding, FieldGroup, Outcome, PinBasedControls,
    PrimaryControls, RuleId, SecondaryControls, Section, VmcsField, VmcsSnapshot, VmxCaps, field,
};

use super::case::{Case, Lab, Pages};

/// Rules on controls and on the host which Bochs does not enforce, or not with an error.
const LOOSE: [(Section, u8); 5] = [
    (Section::Execution, 20),
    (Section::Entry, 6),
    (Section::Entry, 7),
    (Section::Entry, 14),
    (Section::Host, 3),
];

/// Tells whether the lab goes on after this entry, if the checker is right.
pub(super) fn is_safe(lab: &Lab, case: &Case) -> bool {
    let caps = &lab.processor.caps;
    let check = EntryCheck::new(&case.vmcs, Some(caps), lab.context(case));
    let fails_early = check.broken().any(|(rule, _)| {
        rule.outcome < Outcome::GuestState && !LOOSE.contains(&(rule.id.section, rule.id.number))
    });
    if tracks_the_host(&case.vmcs, caps) {
        return false;
    }
    fails_early
        || (lab.changes(case).all(|change| is_harmless_to_the_host(lab, case, change))
            && uses_own_memory(&case.vmcs, &lab.processor.pages)
            && (comes_back(&case.vmcs) || check.broken().any(|(rule, _)| is_on_activity(rule.id))))
}

/// Tells whether an exit could switch control-flow enforcement on for this code, which is not made for
/// it: CR4.CET alone does not. Bochs gets as far as that where a rule is broken (H3).
fn tracks_the_host(vmcs: &VmcsSnapshot, caps: &VmxCaps) -> bool {
    let is_on = vmcs.get(field::HOST_CR4).unwrap_or(0) & caps.cr4_fixed1 & CR4_CET != 0;
    let exit = vmcs.get(field::EXIT_CONTROLS).unwrap_or(0);
    let tracks = match exit & ExitControls::LOAD_CET_STATE.bits() {
        // What the guest had stays.
        0 => vmcs.get(field::GUEST_S_CET),
        _ => vmcs.get(field::HOST_S_CET),
    };
    is_on && tracks.unwrap_or(0) != 0
}

const CR4_CET: u64 = 1 << 23;
const CR0_WP: u64 = 1 << 16;

/// Tells of a changed field whether the lab runs on, whatever a legal value of it does.
fn is_harmless_to_the_host(
    lab: &Lab,
    case: &Case,
    (encoding, value): (FieldEncoding, u64),
) -> bool {
    let bits = lab.base(case.base).vmcs.raw(encoding).unwrap_or(0) ^ value;
    if encoding == field::HOST_CR4.encoding() {
        return bits == CR4_CET;
    }
    if encoding == field::HOST_CR0.encoding() {
        return bits == CR0_WP;
    }
    let harmless = [
        field::HOST_SYSENTER_CS.encoding(),
        field::HOST_SYSENTER_ESP.encoding(),
        field::HOST_SYSENTER_EIP.encoding(),
        field::HOST_FS_BASE.encoding(),
        field::HOST_GS_BASE.encoding(),
        field::HOST_PAT.encoding(),
        field::HOST_PKRS.encoding(),
        field::HOST_PERF_GLOBAL_CTRL.encoding(),
        // See `tracks_the_host`.
        field::HOST_S_CET.encoding(),
        field::HOST_SSP.encoding(),
        field::HOST_INTERRUPT_SSP_TABLE.encoding(),
    ];
    encoding.group() != FieldGroup::HostState || harmless.contains(&encoding)
}

/// Tells whether everything that the processor follows or writes to is the lab's.
fn uses_own_memory(vmcs: &VmcsSnapshot, pages: &Pages) -> bool {
    let get = |encoding: FieldEncoding| vmcs.raw(encoding).unwrap_or(0);
    let primary = |control: PrimaryControls| {
        get(field::PRIMARY_CONTROLS.encoding()) & u64::from(control.bits()) != 0
    };
    let secondary = |control: SecondaryControls| {
        primary(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS)
            && get(field::SECONDARY_CONTROLS.encoding()) & u64::from(control.bits()) != 0
    };
    let posts = get(field::PIN_BASED_CONTROLS.encoding())
        & u64::from(PinBasedControls::PROCESS_POSTED_INTERRUPTS.bits())
        != 0;
    let ept = secondary(SecondaryControls::ENABLE_EPT);
    let own = [pages.zero, pages.scratch, pages.virtual_apic, pages.link, pages.pdptes];
    let is_own = |address: u64| own.contains(&(address & !0xFFF));
    let list = |address: VmcsField<u64, _>, count: VmcsField<u32, _>, page: u64, most: u64| {
        let count = get(count.encoding());
        count == 0 || (count <= most && get(address.encoding()) == page)
    };
    let used = [
        (primary(PrimaryControls::USE_TPR_SHADOW), field::VIRTUAL_APIC_ADDRESS.encoding()),
        (posts, field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS.encoding()),
        (secondary(SecondaryControls::ENABLE_PML), field::PML_ADDRESS.encoding()),
        (secondary(SecondaryControls::EPT_VIOLATION_VE), field::VE_INFORMATION_ADDRESS.encoding()),
        (ept, field::EPT_POINTER.encoding()),
        (!ept, field::GUEST_CR3.encoding()),
        (get(field::VMCS_LINK_POINTER.encoding()) != u64::MAX, field::VMCS_LINK_POINTER.encoding()),
    ];
    // Bochs takes each use of the APIC-access page for the guest's, its own included.
    let apic_access = secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES);
    (!apic_access || get(field::APIC_ACCESS_ADDRESS.encoding()) == pages.apic_access)
        && used.into_iter().all(|(is_used, address)| !is_used || is_own(get(address)))
        && list(field::EXIT_MSR_STORE_ADDRESS, field::EXIT_MSR_STORE_COUNT, pages.scratch, 4)
        && list(field::EXIT_MSR_LOAD_ADDRESS, field::EXIT_MSR_LOAD_COUNT, pages.exit_list, 4)
        && list(field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT, pages.entry_list, 4)
}

/// Rules on the activity state itself, which refuse it whatever else holds.
fn is_on_activity(rule: RuleId) -> bool {
    rule.section == Section::NonRegister && matches!(rule.number, 1 | 3 | 5 | 6)
}

/// Tells whether the guest exits: an active one does as it fetches its first instruction, which no
/// table maps; one in HLT does as the preemption timer, which begins at 0, runs out. Nothing ends
/// the wait for a SIPI, and Bochs ends itself in shutdown.
fn comes_back(vmcs: &VmcsSnapshot) -> bool {
    let timer = PinBasedControls::ACTIVATE_PREEMPTION_TIMER.bits();
    let has_timer = vmcs.get(field::PIN_BASED_CONTROLS).unwrap_or(0) & timer != 0
        && vmcs.get(field::PREEMPTION_TIMER_VALUE) == Some(0);
    match vmcs.get(field::GUEST_ACTIVITY_STATE) {
        Some(0) => true,
        Some(1) => has_timer,
        _ => false,
    }
}
