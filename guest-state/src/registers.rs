//! Every register by name: for reports, comparisons and dumps.

use crate::{Activity, FIXED_MTRRS, Segment, VcpuState};

impl VcpuState {
    /// Calls `visit` with the name and value of every register, in a fixed order.
    ///
    /// Hidden segment parts are registers of their own (`cs.base`). Names are lower-case and stay
    /// as they are from version to version; later versions may add some.
    pub fn for_each_register(&self, mut visit: impl FnMut(&'static str, u128)) {
        let g = &self.general;
        for (name, value) in [
            ("rax", g.rax),
            ("rbx", g.rbx),
            ("rcx", g.rcx),
            ("rdx", g.rdx),
            ("rsi", g.rsi),
            ("rdi", g.rdi),
            ("rbp", g.rbp),
            ("rsp", g.rsp),
            ("r8", g.r8),
            ("r9", g.r9),
            ("r10", g.r10),
            ("r11", g.r11),
            ("r12", g.r12),
            ("r13", g.r13),
            ("r14", g.r14),
            ("r15", g.r15),
            ("rip", self.rip),
            ("rflags", self.rflags),
        ] {
            visit(name, value.into());
        }
        for (names, segment) in self.segments() {
            let Segment { selector, base, limit, access } = segment;
            let values = [selector.into(), base.into(), limit.into(), access.0.into()];
            names.into_iter().zip(values).for_each(|(name, value)| visit(name, value));
        }
        let m = &self.msrs;
        for (name, value) in [
            ("gdtr.base", self.gdtr.base),
            ("gdtr.limit", self.gdtr.limit.into()),
            ("idtr.base", self.idtr.base),
            ("idtr.limit", self.idtr.limit.into()),
            ("cr0", self.cr0),
            ("cr2", self.cr2),
            ("cr3", self.cr3),
            ("cr4", self.cr4),
            ("cr8", self.cr8),
            ("efer", self.efer),
            ("xcr0", self.xcr0),
            ("pkru", self.pkru.into()),
            ("ssp", self.ssp),
            ("dr0", self.debug.address[0]),
            ("dr1", self.debug.address[1]),
            ("dr2", self.debug.address[2]),
            ("dr3", self.debug.address[3]),
            ("dr6", self.debug.dr6),
            ("dr7", self.debug.dr7),
            ("apic_base", m.apic_base),
            ("tsc", m.tsc),
            ("tsc_deadline", m.tsc_deadline),
            ("tsc_aux", m.tsc_aux),
            ("misc_enable", m.misc_enable),
            ("pat", m.pat),
            ("sysenter_cs", m.sysenter_cs),
            ("sysenter_esp", m.sysenter_esp),
            ("sysenter_eip", m.sysenter_eip),
            ("star", m.star),
            ("lstar", m.lstar),
            ("cstar", m.cstar),
            ("fmask", m.fmask),
            ("kernel_gs_base", m.kernel_gs_base),
            ("debugctl", m.debugctl),
            ("spec_ctrl", m.spec_ctrl),
            ("xss", m.xss),
            ("pkrs", m.pkrs),
            ("u_cet", m.u_cet),
            ("s_cet", m.s_cet),
            ("pl0_ssp", m.pl_ssp[0]),
            ("pl1_ssp", m.pl_ssp[1]),
            ("pl2_ssp", m.pl_ssp[2]),
            ("pl3_ssp", m.pl_ssp[3]),
            ("interrupt_ssp_table", m.interrupt_ssp_table),
            ("smbase", m.smbase),
            ("mtrr_def_type", m.mtrrs.default_type),
            ("fcw", self.fpu.fcw.into()),
            ("fsw", self.fpu.fsw.into()),
            ("ftw", self.fpu.ftw.into()),
            ("fop", self.fpu.fop.into()),
            ("fip", self.fpu.fip),
            ("fdp", self.fpu.fdp),
            ("mxcsr", self.fpu.mxcsr.into()),
        ] {
            visit(name, value.into());
        }
        for ((name, ..), types) in FIXED_MTRRS.iter().zip(m.mtrrs.fixed) {
            visit(name, types.into());
        }
        for ((base, mask), range) in VARIABLE_MTRRS.into_iter().zip(m.mtrrs.variable) {
            visit(base, range.base.into());
            visit(mask, range.mask.into());
        }
        ST.into_iter().zip(self.fpu.st).for_each(|(name, value)| visit(name, value));
        XMM.into_iter().zip(self.fpu.xmm).for_each(|(name, value)| visit(name, value));
        let activity = match self.activity {
            Activity::Active => 0,
            Activity::Halted => 1,
            Activity::Shutdown => 2,
            Activity::WaitForSipi => 3,
        };
        visit("activity", activity);
    }

    /// Calls `visit` with the name, our value and the other's value of every register that differs.
    pub fn for_each_difference(
        &self,
        other: &Self,
        mut visit: impl FnMut(&'static str, u128, u128),
    ) {
        const MOST: usize = 192;
        let mut others = [0; MOST];
        let mut count = 0;
        other.for_each_register(|_, value| {
            if let Some(slot) = others.get_mut(count) {
                *slot = value;
            }
            count += 1;
        });
        debug_assert!(count <= MOST, "{count} registers");
        let mut values = others.into_iter();
        self.for_each_register(|name, ours| {
            if let Some(theirs) = values.next().filter(|theirs| *theirs != ours) {
                visit(name, ours, theirs);
            }
        });
    }

    /// Returns the eight segment registers, each with the names of its four parts.
    fn segments(&self) -> [([&'static str; 4], Segment); 8] {
        [
            (["cs.selector", "cs.base", "cs.limit", "cs.access"], self.cs),
            (["ds.selector", "ds.base", "ds.limit", "ds.access"], self.ds),
            (["es.selector", "es.base", "es.limit", "es.access"], self.es),
            (["fs.selector", "fs.base", "fs.limit", "fs.access"], self.fs),
            (["gs.selector", "gs.base", "gs.limit", "gs.access"], self.gs),
            (["ss.selector", "ss.base", "ss.limit", "ss.access"], self.ss),
            (["ldtr.selector", "ldtr.base", "ldtr.limit", "ldtr.access"], self.ldtr),
            (["tr.selector", "tr.base", "tr.limit", "tr.access"], self.tr),
        ]
    }
}

const VARIABLE_MTRRS: [(&str, &str); 8] = [
    ("mtrr_physbase0", "mtrr_physmask0"),
    ("mtrr_physbase1", "mtrr_physmask1"),
    ("mtrr_physbase2", "mtrr_physmask2"),
    ("mtrr_physbase3", "mtrr_physmask3"),
    ("mtrr_physbase4", "mtrr_physmask4"),
    ("mtrr_physbase5", "mtrr_physmask5"),
    ("mtrr_physbase6", "mtrr_physmask6"),
    ("mtrr_physbase7", "mtrr_physmask7"),
];
const ST: [&str; 8] = ["st0", "st1", "st2", "st3", "st4", "st5", "st6", "st7"];
const XMM: [&str; 16] = [
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
    "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
];
