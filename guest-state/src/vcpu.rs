//! The architectural state of one virtual CPU.

use crate::{AccessRights, DescriptorTable, Gpa, Mtrrs, Segment, cr0, cr4, efer};

/// The sixteen general-purpose registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register of its name")]
pub struct GeneralRegisters {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

/// The debug registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DebugRegisters {
    /// DR0 to DR3: the linear addresses of the breakpoints.
    pub address: [u64; 4],
    /// DR6: what was hit.
    pub dr6: u64,
    /// DR7: what is enabled.
    pub dr7: u64,
}

/// The x87 and SSE state, as FXSAVE knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpuState {
    /// The x87 control word.
    pub fcw: u16,
    /// The x87 status word.
    pub fsw: u16,
    /// The full x87 tag word, two bits a register (FXSAVE abridges it to one).
    pub ftw: u16,
    /// The last x87 opcode, 11 bits.
    pub fop: u16,
    /// The last x87 instruction pointer.
    pub fip: u64,
    /// The last x87 operand pointer.
    pub fdp: u64,
    /// ST0 to ST7, 80 bits each.
    pub st: [u128; 8],
    /// XMM0 to XMM15.
    pub xmm: [u128; 16],
    /// SSE control and status.
    pub mxcsr: u32,
}

impl FpuState {
    /// Returns the tag word in FXSAVE's form: one bit a register, set if it is not empty.
    #[must_use]
    pub fn abridged_tag_word(&self) -> u8 {
        (0..8).filter(|i| self.ftw >> (2 * i) & 3 != 3).fold(0, |tags, i| tags | 1 << i)
    }
}

/// Model-specific registers that hold guest state.
///
/// FS.base and GS.base are in the segments, CR8 and XCR0 beside the control registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Msrs {
    /// `IA32_APIC_BASE` (1Bh): address, enable (11), x2APIC (10), BSP (8).
    pub apic_base: u64,
    /// `IA32_TSC` (10h).
    pub tsc: u64,
    /// `IA32_TSC_DEADLINE` (6E0h).
    pub tsc_deadline: u64,
    /// `IA32_TSC_AUX` (C0000103h): what RDTSCP and RDPID return.
    pub tsc_aux: u64,
    /// `IA32_MISC_ENABLE` (1A0h). Model dependent after a reset; 0 here.
    pub misc_enable: u64,
    /// `IA32_PAT` (277h).
    pub pat: u64,
    /// The memory type range registers.
    pub mtrrs: Mtrrs,
    /// `IA32_SYSENTER_CS` (174h).
    pub sysenter_cs: u64,
    /// `IA32_SYSENTER_ESP` (175h).
    pub sysenter_esp: u64,
    /// `IA32_SYSENTER_EIP` (176h).
    pub sysenter_eip: u64,
    /// `IA32_STAR` (C0000081h).
    pub star: u64,
    /// `IA32_LSTAR` (C0000082h).
    pub lstar: u64,
    /// `IA32_CSTAR` (C0000083h).
    pub cstar: u64,
    /// `IA32_FMASK` (C0000084h).
    pub fmask: u64,
    /// `IA32_KERNEL_GS_BASE` (C0000102h).
    pub kernel_gs_base: u64,
    /// `IA32_DEBUGCTL` (1D9h).
    pub debugctl: u64,
    /// `IA32_SPEC_CTRL` (48h).
    pub spec_ctrl: u64,
    /// `IA32_XSS` (DA0h).
    pub xss: u64,
    /// `IA32_PKRS` (6E1h).
    pub pkrs: u64,
    /// `IA32_U_CET` (6A0h).
    pub u_cet: u64,
    /// `IA32_S_CET` (6A2h).
    pub s_cet: u64,
    /// `IA32_PL0_SSP` to `IA32_PL3_SSP` (6A4h to 6A7h).
    pub pl_ssp: [u64; 4],
    /// `IA32_INTERRUPT_SSP_TABLE_ADDR` (6A8h).
    pub interrupt_ssp_table: u64,
    /// SMBASE: where SMM begins. Not readable as an MSR on every CPU.
    pub smbase: u64,
}

impl Msrs {
    /// The page of the local APIC after a reset.
    pub const APIC_BASE: u64 = 0xFEE0_0000;
    /// BSP flag of `IA32_APIC_BASE`: this is the CPU that boots.
    pub const APIC_BASE_BSP: u64 = 1 << 8;
    /// Global enable of `IA32_APIC_BASE`.
    pub const APIC_BASE_ENABLE: u64 = 1 << 11;
}

/// What a CPU does when it is entered.
///
/// # Source
/// Intel SDM Vol. 3C, "Guest Non-Register State", activity state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Activity {
    /// It executes instructions.
    #[default]
    Active,
    /// It waits for an interrupt, having executed HLT.
    Halted,
    /// It met a triple fault.
    Shutdown,
    /// It is an application processor that waits for its SIPI.
    WaitForSipi,
}

/// All architectural registers of one virtual CPU, hidden segment parts included.
///
/// Nothing in it belongs to one hypervisor interface: backends turn it into VMCS fields or ioctls
/// and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "where a field is the register of its name")]
pub struct VcpuState {
    pub general: GeneralRegisters,
    pub rip: u64,
    pub rflags: u64,
    pub cs: Segment,
    pub ds: Segment,
    pub es: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub ss: Segment,
    pub ldtr: Segment,
    pub tr: Segment,
    pub gdtr: DescriptorTable,
    pub idtr: DescriptorTable,
    pub cr0: u64,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: u64,
    /// The task-priority register in its four-bit form.
    pub cr8: u64,
    pub efer: u64,
    pub xcr0: u64,
    pub pkru: u32,
    /// The current shadow-stack pointer.
    pub ssp: u64,
    pub debug: DebugRegisters,
    pub fpu: FpuState,
    pub msrs: Msrs,
    /// What the CPU does when entered.
    pub activity: Activity,
}

impl VcpuState {
    /// Returns the state after power-up or a reset, of the CPU that boots.
    ///
    /// `signature` is CPUID leaf 1, EAX: a reset leaves it in EDX. The first instruction is at
    /// physical FFFF_FFF0h: CS is F000h with base FFFF_0000h, IP is FFF0h.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "Processor State After Reset", the table "IA-32 and Intel 64 Processor
    /// States Following Power-up, Reset, or INIT".
    #[must_use]
    pub const fn reset(signature: u32) -> Self {
        let data = Segment::real_mode_data(0);
        let system = Segment { selector: 0, base: 0, limit: 0xFFFF, access: AccessRights::LDT };
        Self {
            general: GeneralRegisters { rdx: signature as u64, ..ZERO_REGISTERS },
            rip: 0xFFF0,
            rflags: 0x2,
            cs: Segment {
                selector: 0xF000,
                base: 0xFFFF_0000,
                limit: 0xFFFF,
                access: AccessRights::CODE16,
            },
            ds: data,
            es: data,
            fs: data,
            gs: data,
            ss: data,
            ldtr: system,
            tr: Segment { access: AccessRights::TSS_BUSY, ..system },
            gdtr: DescriptorTable { base: 0, limit: 0xFFFF },
            idtr: DescriptorTable { base: 0, limit: 0xFFFF },
            cr0: cr0::CD | cr0::NW | cr0::ET,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            cr8: 0,
            efer: 0,
            xcr0: 1,
            pkru: 0,
            ssp: 0,
            debug: DebugRegisters { address: [0; 4], dr6: 0xFFFF_0FF0, dr7: 0x400 },
            fpu: FpuState {
                fcw: 0x40,
                fsw: 0,
                ftw: 0x5555,
                fop: 0,
                fip: 0,
                fdp: 0,
                st: [0; 8],
                xmm: [0; 16],
                mxcsr: 0x1F80,
            },
            msrs: Msrs {
                apic_base: Msrs::APIC_BASE | Msrs::APIC_BASE_ENABLE | Msrs::APIC_BASE_BSP,
                pat: 0x0007_0406_0007_0406,
                mtrrs: Mtrrs::RESET,
                smbase: 0x3_0000,
                ..ZERO_MSRS
            },
            activity: Activity::Active,
        }
    }

    /// Returns the state after a reset of a CPU that does not boot: it waits for its SIPI.
    #[must_use]
    pub const fn reset_application_processor(signature: u32) -> Self {
        let mut state = Self::reset(signature);
        state.msrs.apic_base &= !Msrs::APIC_BASE_BSP;
        state.activity = Activity::WaitForSipi;
        state
    }

    /// Changes the state as INIT does: a reset that keeps the x87 and SSE state, the MTRRs, the
    /// PAT, XCR0, PKRU, the TSC and most other MSRs, the APIC's base and CR0.CD and CR0.NW.
    ///
    /// The CPU that boots goes on at the reset vector, any other waits for its SIPI.
    /// `signature` is as for [`reset`](Self::reset).
    ///
    /// # Source
    /// Intel SDM Vol. 3A, the table "IA-32 and Intel 64 Processor States Following Power-up,
    /// Reset, or INIT", and "Local APIC State After It Receives an INIT Reset".
    pub const fn init(&mut self, signature: u32) {
        let old = *self;
        *self = Self::reset(signature);
        self.cr0 = cr0::ET | (old.cr0 & (cr0::CD | cr0::NW));
        self.xcr0 = old.xcr0;
        self.pkru = old.pkru;
        self.fpu = old.fpu;
        self.msrs = Msrs {
            debugctl: 0,
            tsc_deadline: 0,
            u_cet: 0,
            s_cet: 0,
            pl_ssp: [0; 4],
            interrupt_ssp_table: 0,
            ..old.msrs
        };
        if old.msrs.apic_base & Msrs::APIC_BASE_BSP == 0 {
            self.activity = Activity::WaitForSipi;
        }
    }

    /// Starts a CPU that waits for its SIPI at real-mode address `vector << 12`.
    ///
    /// Returns whether it did: a CPU in any other state ignores the message.
    ///
    /// # Source
    /// Intel SDM Vol. 3A, "MP Initialization Protocol Algorithm for MP Systems".
    #[must_use = "a CPU that does not wait ignores a SIPI"]
    pub const fn sipi(&mut self, vector: u8) -> bool {
        if !matches!(self.activity, Activity::WaitForSipi) {
            return false;
        }
        self.cs = Segment::real_mode_code((vector as u16) << 8);
        self.rip = 0;
        self.activity = Activity::Active;
        true
    }

    /// Returns 32-bit protected mode without paging at `entry`, with flat segments: the start that
    /// PVH, Multiboot and Linux' 32-bit protocol ask for.
    ///
    /// CS is 10h, the data segments 18h, TR a busy 32-bit TSS with selector 20h and limit 67h at
    /// address zero. The segments' hidden parts are set; no descriptor table is in memory, so a
    /// guest must load one of its own before it loads a segment, as these protocols demand.
    #[must_use]
    pub const fn flat32(entry: u32) -> Self {
        Self {
            rip: entry as u64,
            cr0: cr0::PE | cr0::ET,
            tr: Segment { selector: 0x20, base: 0, limit: 0x67, access: AccessRights::TSS_BUSY },
            ..Self::flat(AccessRights::CODE32)
        }
    }

    /// Returns 64-bit mode at `entry` with the page tables at `page_tables`.
    ///
    /// The selectors are those of [`flat32`](Self::flat32). Paging, PAE and long mode are on;
    /// NX, SSE and all else are the guest's to enable.
    #[must_use]
    pub const fn long_mode(entry: u64, page_tables: Gpa) -> Self {
        Self {
            rip: entry,
            cr0: cr0::PG | cr0::PE | cr0::ET,
            cr3: page_tables.as_u64(),
            cr4: cr4::PAE,
            efer: efer::LME | efer::LMA,
            tr: Segment { selector: 0x20, base: 0, limit: 0x67, access: AccessRights::TSS_BUSY },
            ..Self::flat(AccessRights::CODE64)
        }
    }

    const fn flat(code: AccessRights) -> Self {
        let data = Segment::flat(0x18, AccessRights::DATA32);
        Self {
            general: ZERO_REGISTERS,
            cs: Segment::flat(0x10, code),
            ds: data,
            es: data,
            fs: data,
            gs: data,
            ss: data,
            ldtr: Segment { selector: 0, base: 0, limit: 0, access: AccessRights::UNUSABLE },
            gdtr: DescriptorTable { base: 0, limit: 0 },
            idtr: DescriptorTable { base: 0, limit: 0 },
            ..Self::reset(0)
        }
    }

    /// Tells whether the CPU executes in 64-bit mode, not in compatibility mode.
    #[must_use]
    pub const fn is_64bit(&self) -> bool {
        self.efer & efer::LMA != 0 && self.cs.access.is_64bit()
    }
}

const ZERO_REGISTERS: GeneralRegisters = GeneralRegisters {
    rax: 0,
    rbx: 0,
    rcx: 0,
    rdx: 0,
    rsi: 0,
    rdi: 0,
    rbp: 0,
    rsp: 0,
    r8: 0,
    r9: 0,
    r10: 0,
    r11: 0,
    r12: 0,
    r13: 0,
    r14: 0,
    r15: 0,
};

const ZERO_MSRS: Msrs = Msrs {
    apic_base: 0,
    tsc: 0,
    tsc_deadline: 0,
    tsc_aux: 0,
    misc_enable: 0,
    pat: 0,
    mtrrs: Mtrrs::RESET,
    sysenter_cs: 0,
    sysenter_esp: 0,
    sysenter_eip: 0,
    star: 0,
    lstar: 0,
    cstar: 0,
    fmask: 0,
    kernel_gs_base: 0,
    debugctl: 0,
    spec_ctrl: 0,
    xss: 0,
    pkrs: 0,
    u_cet: 0,
    s_cet: 0,
    pl_ssp: [0; 4],
    interrupt_ssp_table: 0,
    smbase: 0,
};
