//! States that enter, one for each mode of a guest.

use alloc::vec::Vec;

use vmx::{
    ControlWishes, Controls, EntryControls, ExitControls, FieldEncoding, PinBasedControls,
    PrimaryControls, SecondaryControls, VmcsSnapshot, Wish, field,
};

use super::case::{LabError, Processor};

/// A mode of the guest, and what it runs under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    pub(super) name: &'static str,
    mode: Mode,
    ept: bool,
    unrestricted: bool,
    /// The privilege level.
    cpl: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Real,
    /// 32-bit protected mode without paging.
    Flat,
    /// With 32-bit paging.
    Paged,
    Pae,
    Long,
    V8086,
}

const fn base(name: &'static str, mode: Mode, ept: bool, unrestricted: bool, cpl: u64) -> Base {
    Base { name, mode, ept, unrestricted, cpl }
}

pub(super) const ALL: [Base; 10] = [
    base("real", Mode::Real, true, true, 0),
    base("flat", Mode::Flat, true, true, 0),
    base("paged", Mode::Paged, true, false, 0),
    base("paged-user", Mode::Paged, false, false, 3),
    base("pae", Mode::Pae, true, false, 0),
    base("pae-no-ept", Mode::Pae, false, false, 0),
    base("long", Mode::Long, true, false, 0),
    base("long-unrestricted", Mode::Long, true, true, 0),
    base("long-user", Mode::Long, true, false, 3),
    base("v8086", Mode::V8086, true, false, 3),
];

/// ES, CS, SS, DS, FS, GS, LDTR, TR: their fields are two apart.
const SELECTORS: u32 = 0x0800;
const LIMITS: u32 = 0x4800;
const ACCESS: u32 = 0x4814;
const BASES: u32 = 0x6806;

impl Base {
    /// Makes the state.
    pub(super) fn vmcs(self, processor: &Processor) -> Result<VmcsSnapshot, LabError> {
        let Processor { caps, host, host_rip, pages, .. } = processor;
        let mut vmcs = VmcsSnapshot::zeroed(caps);
        self.controls(processor)?.write(&mut vmcs)?;
        host.write(&mut vmcs)?;
        let mut values: Vec<(FieldEncoding, u64)> = Vec::from([
            (field::HOST_RIP.encoding(), *host_rip),
            (field::MSR_BITMAPS.encoding(), pages.zero),
            (field::EPT_POINTER.encoding(), pages.zero | 0x1E),
            (field::EXCEPTION_BITMAP.encoding(), 0xFFFF_FFFF),
            (field::VMCS_LINK_POINTER.encoding(), u64::MAX),
            (field::GUEST_PAT.encoding(), 0x0007_0406_0007_0406),
            (field::GUEST_RFLAGS.encoding(), 0x202),
            (field::GUEST_DR7.encoding(), 0x400),
            (field::GUEST_RIP.encoding(), 0x1000),
            (field::CR4_GUEST_HOST_MASK.encoding(), caps.cr4_fixed0),
            (field::GUEST_GDTR_LIMIT.encoding(), 0xFFFF),
            (field::GUEST_IDTR_LIMIT.encoding(), 0xFFFF),
        ]);
        let is_long = self.mode == Mode::Long;
        let (protected, paged) = match self.mode {
            Mode::Real => (false, false),
            Mode::Flat => (true, false),
            _ => (true, true),
        };
        let cr0 = 0x30 | u64::from(protected) | u64::from(paged) << 31;
        let pae = matches!(self.mode, Mode::Pae | Mode::Long);
        let cr4 = caps.cr4_fixed0 | u64::from(pae) << 5;
        let efer = if is_long { 0x500 } else { 0 };
        // Without EPT PAE paging finds its table at CR3.
        let cr3 = if self.mode == Mode::Pae { pages.pdptes } else { pages.zero };
        values.extend([
            (field::GUEST_CR0.encoding(), cr0),
            (field::GUEST_CR4.encoding(), cr4),
            (field::GUEST_EFER.encoding(), efer),
            (field::GUEST_CR3.encoding(), cr3),
        ]);
        let entry: u64 = vmcs.get(field::ENTRY_CONTROLS).unwrap_or(0).into();
        let ia32e = u64::from(EntryControls::IA32E_MODE_GUEST.bits());
        values.push((field::ENTRY_CONTROLS.encoding(), entry | if is_long { ia32e } else { 0 }));
        if self.mode == Mode::V8086 {
            values.push((field::GUEST_RFLAGS.encoding(), 0x2_0202));
        }
        self.segments(&mut values);
        for (encoding, value) in values {
            // What the processor does not have stays away.
            if caps.has_field(encoding) {
                vmcs.set(encoding, value);
            }
        }
        Ok(vmcs)
    }

    fn segments(self, values: &mut Vec<(FieldEncoding, u64)>) {
        let user = self.cpl << 5;
        let (code, data) = match self.mode {
            Mode::Real => (0x9B, 0x93),
            Mode::V8086 => (0xF3, 0xF3),
            Mode::Long => (0xA09B | user, 0xC093 | user),
            _ => (0xC09B | user, 0xC093 | user),
        };
        let flat = !matches!(self.mode, Mode::Real | Mode::V8086);
        let limit = if flat { 0xFFFF_FFFF } else { 0xFFFF };
        for segment in 0..6_u32 {
            let is_code = segment == 1;
            let selector = match self.mode {
                Mode::Real | Mode::V8086 => 0x100,
                _ if is_code => 0x08 | self.cpl,
                _ => 0x10 | self.cpl,
            };
            let at = |first: u32| FieldEncoding::new(first + 2 * segment);
            values.extend([
                (at(SELECTORS), selector),
                (at(LIMITS), limit),
                (at(ACCESS), if is_code { code } else { data }),
                (at(BASES), if flat { 0 } else { selector << 4 }),
            ]);
        }
        for (segment, access) in [(6_u32, 0x82), (7, 0x8B)] {
            let at = |first: u32| FieldEncoding::new(first + 2 * segment);
            values.extend([
                (at(SELECTORS), 0x20),
                (at(LIMITS), 0xFFFF),
                (at(ACCESS), access),
                (at(BASES), 0x2000),
            ]);
        }
    }

    fn controls(self, processor: &Processor) -> Result<Controls, LabError> {
        let mut secondary = SecondaryControls::empty();
        secondary.set(SecondaryControls::ENABLE_EPT, self.ept);
        secondary.set(SecondaryControls::UNRESTRICTED_GUEST, self.unrestricted);
        let wishes = ControlWishes {
            pin_based: Wish::required(
                PinBasedControls::EXTERNAL_INTERRUPT_EXITING
                    | PinBasedControls::NMI_EXITING
                    | PinBasedControls::VIRTUAL_NMIS
                    | PinBasedControls::ACTIVATE_PREEMPTION_TIMER,
            ),
            primary: Wish::required(
                PrimaryControls::HLT_EXITING | PrimaryControls::USE_MSR_BITMAPS,
            )
            .forbidden(PrimaryControls::CR3_LOAD_EXITING | PrimaryControls::CR3_STORE_EXITING),
            secondary: Wish::required(secondary),
            exit: Wish::required(
                ExitControls::HOST_ADDRESS_SPACE_SIZE
                    | ExitControls::LOAD_EFER
                    | ExitControls::LOAD_PAT
                    | ExitControls::ACKNOWLEDGE_INTERRUPT,
            ),
            entry: Wish::required(
                EntryControls::LOAD_EFER
                    | EntryControls::LOAD_PAT
                    | EntryControls::LOAD_DEBUG_CONTROLS,
            ),
            ..ControlWishes::default()
        };
        Ok(Controls::solve(&wishes, &processor.caps)?)
    }
}
