//! The host's state as this processor has it now.

use core::arch::asm;
use core::ptr;

use guest_state::Segment;

use super::registers::{rdmsr, read_cr0, read_cr3, read_cr4};
use crate::{FieldWidth, HostState};

const PAT: u32 = 0x277;
const SYSENTER_CS: u32 = 0x174;
const SYSENTER_ESP: u32 = 0x175;
const SYSENTER_EIP: u32 = 0x176;
const EFER: u32 = 0xC000_0080;
const FS_BASE: u32 = 0xC000_0100;
const GS_BASE: u32 = 0xC000_0101;

/// What SGDT and SIDT store.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct TablePointer {
    limit: u16,
    base: u64,
}

macro_rules! selector {
    ($name:literal) => {{
        let selector: u16;
        // SAFETY: reading a segment register changes nothing but the register that it goes to.
        unsafe {
            asm!(concat!("mov {0:x}, ", $name), out(reg) selector, options(nostack, nomem));
        }
        selector
    }};
}

/// Returns the host state with which an exit comes back to what this processor has now: control
/// registers, segments, descriptor tables, EFER, PAT and the SYSENTER MSRs.
///
/// TR must be loaded: an entry refuses a host without one (rule H18). The limits of GDTR and IDTR
/// become FFFFh, that of TR 67h.
///
/// # Safety
/// 1. CPL is 0, in 64-bit mode.
/// 2. The GDT is mapped where GDTR says, and TR's descriptor within its limit.
///
/// # Source
/// Intel SDM Vol. 3C, "Loading Host State".
#[must_use]
pub unsafe fn host_state() -> HostState {
    let mut gdt = TablePointer { limit: 0, base: 0 };
    let mut idt = gdt;
    let tr: u16;
    // SAFETY: SGDT and SIDT each write ten bytes, as the operands have; STR writes one register.
    unsafe {
        asm!(
            "sgdt [{gdt}]",
            "sidt [{idt}]",
            "str {tr:x}",
            gdt = in(reg) &raw mut gdt,
            idt = in(reg) &raw mut idt,
            tr = out(reg) tr,
            options(nostack),
        );
    }
    let descriptor = ptr::with_exposed_provenance::<[u64; 2]>(
        usize::try_from(gdt.base.wrapping_add(u64::from(tr & !7))).unwrap_or_default(),
    );
    let tr_base = if tr & !7 == 0 {
        0
    } else {
        // SAFETY: the caller promises that TR's descriptor, 16 bytes in 64-bit mode, is mapped.
        let [low, high] = unsafe { descriptor.read_unaligned() };
        Segment::from_descriptor(tr, low).base | high << 32
    };
    // SAFETY: the caller promises CPL 0; these MSRs exist in 64-bit mode, and PAT with VMX.
    let msr = |number| unsafe { rdmsr(number) };
    // SAFETY: the caller promises CPL 0.
    let (cr0, cr3, cr4) = (unsafe { read_cr0() }, unsafe { read_cr3() }, unsafe { read_cr4() });
    HostState {
        cr0,
        cr3,
        cr4,
        efer: msr(EFER),
        pat: msr(PAT),
        cs: selector!("cs"),
        ss: selector!("ss"),
        ds: selector!("ds"),
        es: selector!("es"),
        fs: selector!("fs"),
        gs: selector!("gs"),
        tr,
        fs_base: msr(FS_BASE),
        gs_base: msr(GS_BASE),
        tr_base,
        gdtr_base: gdt.base,
        idtr_base: idt.base,
        sysenter_cs: <u32 as FieldWidth>::from_raw(msr(SYSENTER_CS)),
        sysenter_esp: msr(SYSENTER_ESP),
        sysenter_eip: msr(SYSENTER_EIP),
    }
}
