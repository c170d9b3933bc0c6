//! A state that breaks no rule, to be changed.

use guest_state::{Gpa, VcpuState};
use vmx::{
    AddressWidths, ControlWishes, Controls, EntryCheck, EntryContext, EntryControls,
    EntryInstruction, EptVpidCaps, ExitControls, FieldAccess, FieldWidth, Finding, HostState,
    MsrMasks, RuleId, SecondaryControls, VmcsField, VmcsSnapshot, VmxCaps, Wish, field, rules,
    write_guest_state,
};

/// A processor that has everything, but for what would make a rule of no use.
pub(crate) const CAPS: VmxCaps = VmxCaps {
    // TRUE MSRs and nested exceptions, but error codes are not free.
    basic: 0x0498_1000_1234_5678,
    pin_based: 0x0000_00ff_0000_0016,
    primary: 0xffff_fffe_0401_e172,
    exit: 0xffff_ffff_0003_6dff,
    entry: 0xffff_ffff_0000_11ff,
    // All activity states, four CR3 targets; no injection of length 0.
    misc: 0x0004_01e0,
    cr0_fixed0: 0x8000_0021,
    cr0_fixed1: 0xffff_ffff,
    cr4_fixed0: 0x2000,
    cr4_fixed1: 0x1_01f7_2fff,
    vmcs_enum: 0x50,
    secondary: 0xffff_ffff_0000_0000,
    ept_vpid: EptVpidCaps::all(),
    true_pin_based: 0x0000_00ff_0000_0016,
    true_primary: 0xffff_fffe_0400_6172,
    true_exit: 0xffff_ffff_0003_6dfb,
    true_entry: 0xffff_ffff_0000_11fb,
    vmfunc: 1,
    tertiary: 0x1ff,
    secondary_exit: 0xf,
    widths: AddressWidths { physical: 40, linear: 48 },
};

/// The first address beyond the physical ones.
pub(crate) const BEYOND: u64 = 1 << 40;
/// An address that is not canonical.
pub(crate) const NOT_CANONICAL: u64 = 1 << 47;

/// A VMCS, a processor and what surrounds them.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) vmcs: VmcsSnapshot,
    pub(crate) caps: VmxCaps,
    pub(crate) context: EntryContext<'static>,
}

/// What shows that a rule does something.
pub(crate) struct Witness {
    pub(crate) rule: &'static str,
    /// Makes a state in which the rule applies and all rules hold.
    pub(crate) holds: fn(&mut Case),
    /// Breaks the rule, starting from there.
    pub(crate) breaks: fn(&mut Case),
}

/// The rules that no state breaks for certain: each says why.
pub(crate) const NEVER_BROKEN: [&str; 4] = ["M13", "P3", "L4", "L7"];

impl Witness {
    /// Tells whether it shows what it should of its rule.
    pub(crate) fn is_shown(&self) -> bool {
        let Some(rule) = RuleId::parse(self.rule) else { return false };
        let mut case = Case::new();
        (self.holds)(&mut case);
        let holds = case.finding(rule) == Finding::Holds;
        (self.breaks)(&mut case);
        holds && matches!(case.finding(rule), Finding::Broken(_))
    }
}

/// Makes witnesses: the rule, what makes it hold, what breaks it.
macro_rules! witnesses {
    ($($rule:ident: $holds:expr => $breaks:expr;)+) => {
        pub(crate) const ALL: &[crate::case::Witness] = &[$(
            crate::case::Witness { rule: stringify!($rule), holds: $holds, breaks: $breaks },
        )+];
    };
}
pub(crate) use witnesses;

impl Case {
    /// A 64-bit guest under EPT, about to be entered by a 64-bit host.
    pub(crate) fn new() -> Self {
        let caps = CAPS;
        let mut vmcs = VmcsSnapshot::zeroed(&caps);
        let wishes = ControlWishes {
            secondary: Wish::required(SecondaryControls::ENABLE_EPT),
            exit: Wish::required(
                ExitControls::HOST_ADDRESS_SPACE_SIZE
                    | ExitControls::LOAD_EFER
                    | ExitControls::LOAD_PAT,
            ),
            entry: Wish::required(
                EntryControls::LOAD_EFER
                    | EntryControls::LOAD_PAT
                    | EntryControls::LOAD_DEBUG_CONTROLS,
            ),
            ..ControlWishes::default()
        };
        Controls::solve(&wishes, &caps).unwrap().write(&mut vmcs).unwrap();
        let host = HostState {
            cr0: 0x8005_0033,
            cr3: 0x1000,
            cr4: 0x2020,
            efer: 0xD01,
            pat: 0x0007_0406_0007_0406,
            cs: 0x10,
            ss: 0x18,
            tr: 0x40,
            fs_base: 0xFFFF_8000_0000_0000,
            gs_base: 0xFFFF_8000_0000_1000,
            tr_base: 0xFFFF_8000_0000_2000,
            gdtr_base: 0xFFFF_8000_0000_3000,
            idtr_base: 0xFFFF_8000_0000_4000,
            ..HostState::default()
        };
        host.write(&mut vmcs).unwrap();
        let mut state = VcpuState::long_mode(0x10_0000, Gpa::new(0x9000));
        state.rflags = 0x202;
        write_guest_state(&mut vmcs, &caps, &state).unwrap();
        let mut case = Self {
            vmcs,
            caps,
            context: EntryContext {
                is_protected: Some(true),
                cpl: Some(0),
                has_current_vmcs: Some(true),
                is_shadow_vmcs: Some(false),
                blocked_by_mov_ss: Some(false),
                instruction: Some(EntryInstruction::Launch),
                is_launched: Some(false),
                in_smm: Some(false),
                host_lma: Some(true),
                virtual_tpr: Some(0x50),
                current_vmcs: Some(0x7000),
                vmxon_pointer: Some(0x6000),
                link_revision: Some(0x1234_5678),
                pdptes: Some([0; 4]),
                entry_msrs: Some(&[]),
                has_sgx: Some(true),
                has_rtm: Some(true),
                has_bus_lock_detect: Some(true),
                masks: MsrMasks {
                    perf_global_ctrl: Some(0x7_0000_00FF),
                    debugctl: Some(0xFFC7),
                    rtit_ctl: Some(0xF),
                    lbr_ctl: Some(0xF),
                    spec_ctrl: Some(0x7),
                },
            },
        };
        case.set(field::EPT_POINTER, 0x20_005E);
        case
    }

    pub(crate) fn check(&self) -> EntryCheck<'_> {
        EntryCheck::new(&self.vmcs, Some(&self.caps), self.context)
    }

    pub(crate) fn finding(&self, id: RuleId) -> Finding {
        self.check().check(rules().find(|rule| rule.id == id).unwrap())
    }

    pub(crate) fn get<W: FieldWidth, A: FieldAccess>(&self, field: VmcsField<W, A>) -> u64 {
        self.vmcs.get(field).unwrap().into()
    }

    pub(crate) fn set<W: FieldWidth, A: FieldAccess>(
        &mut self,
        field: VmcsField<W, A>,
        value: u64,
    ) {
        assert!(self.vmcs.set(field.encoding(), value));
    }

    /// Sets bits of a field.
    pub(crate) fn on<W: FieldWidth, A: FieldAccess>(&mut self, field: VmcsField<W, A>, bits: u64) {
        self.set(field, self.get(field) | bits);
    }

    /// Clears bits of a field.
    pub(crate) fn off<W: FieldWidth, A: FieldAccess>(&mut self, field: VmcsField<W, A>, bits: u64) {
        self.set(field, self.get(field) & !bits);
    }

    pub(crate) fn pin(&mut self, bit: u32) {
        self.on(field::PIN_BASED_CONTROLS, 1 << bit);
    }

    pub(crate) fn primary(&mut self, bit: u32) {
        self.on(field::PRIMARY_CONTROLS, 1 << bit);
    }

    pub(crate) fn secondary(&mut self, bit: u32) {
        self.primary(31);
        self.on(field::SECONDARY_CONTROLS, 1 << bit);
    }

    pub(crate) fn tertiary(&mut self, bit: u32) {
        self.primary(17);
        self.on(field::TERTIARY_CONTROLS, 1 << bit);
    }

    pub(crate) fn exit(&mut self, bit: u32) {
        self.on(field::EXIT_CONTROLS, 1 << bit);
    }

    pub(crate) fn secondary_exit(&mut self, bit: u32) {
        self.exit(31);
        self.on(field::SECONDARY_EXIT_CONTROLS, 1 << bit);
    }

    pub(crate) fn entry(&mut self, bit: u32) {
        self.on(field::ENTRY_CONTROLS, 1 << bit);
    }

    /// The event to inject: its kind, vector, and bits besides.
    pub(crate) fn inject(&mut self, kind: u64, vector: u64, bits: u64) {
        self.set(field::ENTRY_INTERRUPTION_INFO, 1 << 31 | kind << 8 | vector | bits);
    }

    /// Makes the guest 32-bit: protected mode with 32-bit paging, segments flat.
    pub(crate) fn guest32(&mut self) {
        self.off(field::ENTRY_CONTROLS, 1 << 9);
        self.off(field::GUEST_EFER, 0x500);
        self.off(field::GUEST_CR4, 0x20);
        self.set(field::GUEST_CS_ACCESS_RIGHTS, 0xC09B);
    }

    /// Makes the guest unrestricted and puts it into real mode.
    pub(crate) fn real_mode(&mut self) {
        self.secondary(7);
        self.guest32();
        self.off(field::GUEST_CR0, 0x8000_0001);
    }

    /// Puts the guest into virtual-8086 mode.
    pub(crate) fn v8086(&mut self) {
        self.guest32();
        self.on(field::GUEST_RFLAGS, 1 << 17);
        for (selector, base, limit, access) in [
            (
                field::GUEST_CS_SELECTOR,
                field::GUEST_CS_BASE,
                field::GUEST_CS_LIMIT,
                field::GUEST_CS_ACCESS_RIGHTS,
            ),
            (
                field::GUEST_SS_SELECTOR,
                field::GUEST_SS_BASE,
                field::GUEST_SS_LIMIT,
                field::GUEST_SS_ACCESS_RIGHTS,
            ),
            (
                field::GUEST_DS_SELECTOR,
                field::GUEST_DS_BASE,
                field::GUEST_DS_LIMIT,
                field::GUEST_DS_ACCESS_RIGHTS,
            ),
            (
                field::GUEST_ES_SELECTOR,
                field::GUEST_ES_BASE,
                field::GUEST_ES_LIMIT,
                field::GUEST_ES_ACCESS_RIGHTS,
            ),
            (
                field::GUEST_FS_SELECTOR,
                field::GUEST_FS_BASE,
                field::GUEST_FS_LIMIT,
                field::GUEST_FS_ACCESS_RIGHTS,
            ),
            (
                field::GUEST_GS_SELECTOR,
                field::GUEST_GS_BASE,
                field::GUEST_GS_LIMIT,
                field::GUEST_GS_ACCESS_RIGHTS,
            ),
        ] {
            self.set(selector, 0x1233);
            self.set(base, 0x1_2330);
            self.set(limit, 0xFFFF);
            self.set(access, 0xF3);
        }
    }

    /// Makes the host 32-bit.
    pub(crate) fn host32(&mut self) {
        self.guest32();
        self.context.host_lma = Some(false);
        self.off(field::EXIT_CONTROLS, 1 << 9);
        self.off(field::HOST_EFER, 0x500);
    }

    /// Gives the guest PAE paging.
    pub(crate) fn pae(&mut self) {
        self.guest32();
        self.on(field::GUEST_CR4, 0x20);
    }
}
