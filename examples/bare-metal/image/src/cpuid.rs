//! The CPUID that a guest gets: the host's, without what the guest can't have.

/// What CPUID returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the register of its name")]
pub struct Cpuid {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
}

/// What of the guest's CPU decides about its CPUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestCpu {
    /// Its x2APIC id.
    pub apic_id: u32,
    /// The frequency of its TSC, in hertz.
    pub tsc_hertz: u32,
    /// Whether CR4.OSXSAVE is set.
    pub osxsave: bool,
    /// Whether it may execute INVPCID.
    pub has_invpcid: bool,
    /// Whether it may execute RDTSCP and RDPID.
    pub has_rdtscp: bool,
}

/// The highest leaf that is told at least: the one that says how fast the TSC is.
const TSC_LEAF: u32 = 0x15;
/// The highest leaf that is told at most.
const LAST_LEAF: u32 = 0x1F;
/// The components that XCR0 may enable: x87, SSE, AVX, the three of AVX-512.
const XCR0_OFFERED: u32 = 1 << 0 | 1 << 1 | 1 << 2 | 7 << 5;
const HYPERVISOR_LEAF: u32 = 0x4000_0000;

/// Says what CPUID tells the guest for `leaf` and `subleaf`, where the host's own says `host`.
///
/// # Source
/// Intel SDM Vol. 2A, "CPUID—CPU Identification".
#[must_use]
pub fn guest_cpuid(leaf: u32, subleaf: u32, host: Cpuid, cpu: &GuestCpu) -> Cpuid {
    let bit = |number: u32, is_set: bool| u32::from(is_set) << number;
    match leaf {
        0 => Cpuid { eax: host.eax.clamp(TSC_LEAF, LAST_LEAF), ..host },
        1 => Cpuid {
            // One logical processor in the package.
            ebx: (host.ebx & 0x0000_FFFF) | 1 << 16 | cpu.apic_id << 24,
            ecx: (host.ecx & !leaf1::ECX_HIDDEN)
                | leaf1::ECX_X2APIC
                | leaf1::ECX_TSC_DEADLINE
                | leaf1::ECX_HYPERVISOR
                | bit(27, cpu.osxsave),
            edx: host.edx & !leaf1::EDX_HIDDEN,
            ..host
        },
        // One core, one thread for each cache.
        4 => Cpuid { eax: host.eax & 0x0000_3FFF, ..host },
        // The APIC timer runs on in every C-state, and there is no other power management.
        6 => Cpuid { eax: 1 << 2, ..Cpuid::default() },
        7 if subleaf == 0 => Cpuid {
            eax: 0,
            ebx: (host.ebx & !leaf7::EBX_HIDDEN) & !bit(10, !cpu.has_invpcid),
            ecx: (host.ecx & !leaf7::ECX_HIDDEN) & !bit(22, !cpu.has_rdtscp),
            edx: host.edx & leaf7::EDX_SHOWN,
        },
        0xB | 0x1F => {
            let (ebx, ecx) = match subleaf {
                0 => (1, 1 << 8),
                1 => (1, 2 << 8 | 1),
                other => (0, other & 0xFF),
            };
            Cpuid { eax: 0, ebx, ecx, edx: cpu.apic_id }
        }
        // What the guest may enable, and where it is stored.
        0xD if subleaf == 0 => Cpuid { eax: host.eax & XCR0_OFFERED, edx: 0, ..host },
        // XSAVES needs an MSR and a control of its own.
        0xD if subleaf == 1 => Cpuid { eax: host.eax & !(1 << 3), ecx: 0, edx: 0, ..host },
        0xD if subleaf < 32 && XCR0_OFFERED & 1 << subleaf != 0 => host,
        2 | 3 => host,
        // Crystal clock and TSC are the same.
        TSC_LEAF => Cpuid { eax: 1, ebx: 1, ecx: cpu.tsc_hertz, edx: 0 },
        HYPERVISOR_LEAF => {
            let word = |text: &[u8; 4]| u32::from_le_bytes(*text);
            Cpuid {
                eax: HYPERVISOR_LEAF,
                ebx: word(b"hvki"),
                ecx: word(b"thvk"),
                edx: word(b"it  "),
            }
        }
        0x8000_0001 => Cpuid {
            // No SVM, and no RDTSCP where the guest may not execute it.
            ecx: host.ecx & !(1 << 2),
            edx: host.edx & !bit(27, !cpu.has_rdtscp),
            ..host
        },
        0x8000_0000 | 0x8000_0002..=0x8000_0006 | 0x8000_0008 => host,
        // The TSC runs on at the same rate.
        0x8000_0007 => Cpuid { edx: 1 << 8, ..Cpuid::default() },
        // What is not known, power management, performance counters, SGX and the like.
        _ => Cpuid::default(),
    }
}

mod leaf1 {
    /// MONITOR, DS-CPL, VMX, SMX, EST, TM2, SDBG, PDCM, DCA, OSXSAVE.
    pub(super) const ECX_HIDDEN: u32 =
        1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 15 | 1 << 18 | 1 << 27;
    pub(super) const ECX_X2APIC: u32 = 1 << 21;
    pub(super) const ECX_TSC_DEADLINE: u32 = 1 << 24;
    pub(super) const ECX_HYPERVISOR: u32 = 1 << 31;
    /// MCE, MCA, PSN, DS, ACPI, HTT, TM, PBE.
    pub(super) const EDX_HIDDEN: u32 =
        1 << 7 | 1 << 14 | 1 << 18 | 1 << 21 | 1 << 22 | 1 << 28 | 1 << 29 | 1 << 31;
}

mod leaf7 {
    /// TSC_ADJUST, SGX, HLE, RTM, PQM, MPX, PQE, PT.
    pub(super) const EBX_HIDDEN: u32 =
        1 << 1 | 1 << 2 | 1 << 4 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15 | 1 << 25;
    /// PKU, OSPKE, WAITPKG, CET_SS, TME, LA57, KL, bus lock, ENQCMD, SGX_LC, PKS.
    pub(super) const ECX_HIDDEN: u32 = 1 << 3
        | 1 << 4
        | 1 << 5
        | 1 << 7
        | 1 << 13
        | 1 << 16
        | 1 << 23
        | 1 << 24
        | 1 << 29
        | 1 << 30
        | 1 << 31;
    /// Fast short REP MOV and MD_CLEAR: what needs no MSR.
    pub(super) const EDX_SHOWN: u32 = 1 << 4 | 1 << 10;
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Cpuid = Cpuid { eax: u32::MAX, ebx: u32::MAX, ecx: u32::MAX, edx: u32::MAX };
    const CPU: GuestCpu = GuestCpu {
        apic_id: 3,
        tsc_hertz: 50_000_000,
        osxsave: false,
        has_invpcid: false,
        has_rdtscp: false,
    };

    #[test]
    fn a_guest_sees_no_vmx_and_a_hypervisor() {
        let leaf = guest_cpuid(1, 0, ALL, &CPU);
        assert_eq!(leaf.ecx & (1 << 5 | 1 << 27 | 1 << 31), 1 << 31);
        assert_eq!(leaf.ebx >> 24, 3);
        let on = GuestCpu { osxsave: true, ..CPU };
        assert_eq!(guest_cpuid(1, 0, Cpuid::default(), &on).ecx >> 27 & 1, 1);
    }

    #[test]
    fn instructions_that_the_guest_may_not_execute_are_not_offered() {
        assert_eq!(guest_cpuid(7, 0, ALL, &CPU).ebx >> 10 & 1, 0);
        assert_eq!(guest_cpuid(0x8000_0001, 0, ALL, &CPU).edx >> 27 & 1, 0);
        let all = GuestCpu { has_invpcid: true, has_rdtscp: true, ..CPU };
        assert_eq!(guest_cpuid(7, 0, ALL, &all).ebx >> 10 & 1, 1);
        assert_eq!(guest_cpuid(0x8000_0001, 0, ALL, &all).edx >> 27 & 1, 1);
    }

    #[test]
    fn the_tsc_leaf_is_within_the_leaves_that_are_told() {
        let old = Cpuid { eax: 0xB, ..Cpuid::default() };
        assert_eq!(guest_cpuid(0, 0, old, &CPU).eax, 0x15);
        assert_eq!(guest_cpuid(0x15, 0, ALL, &CPU).ecx, 50_000_000);
        assert_eq!(guest_cpuid(0, 0, ALL, &CPU).eax, 0x1F);
    }

    #[test]
    fn components_that_the_guest_may_not_enable_are_not_offered() {
        assert_eq!(guest_cpuid(0xD, 0, ALL, &CPU), Cpuid { eax: 0xE7, edx: 0, ..ALL });
        assert_eq!(guest_cpuid(0xD, 2, ALL, &CPU), ALL);
        // MPX, PKRU, AMX, and what no bit of XCR0 is for.
        for subleaf in [3, 4, 9, 17, 18, 32, 63, 64, u32::MAX] {
            assert_eq!(guest_cpuid(0xD, subleaf, ALL, &CPU), Cpuid::default(), "{subleaf}");
        }
    }

    #[test]
    fn leaves_that_nobody_knows_are_zero() {
        for leaf in [0xA, 0x12, 0x14, 0x20, 0x4000_0001, 0x8000_001F, u32::MAX] {
            assert_eq!(guest_cpuid(leaf, 0, ALL, &CPU), Cpuid::default(), "{leaf:#x}");
        }
    }
}
