//! A plan as tables that a person reads.

use core::fmt::{self, Display, Formatter};

use guest_state::{Activity, GpaRange, Segment, VcpuState, cr0, cr4, efer};

use crate::{BootPlan, Contents, Placement, Protection};

/// Prints a plan; [`BootPlan::report`] makes it.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    plan: &'a BootPlan<'a>,
}

impl<'a> Report<'a> {
    pub(crate) const fn new(plan: &'a BootPlan<'a>) -> Self {
        Self { plan }
    }
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "memory map")?;
        for region in self.plan.memory.regions() {
            let (range, kind) = (region.range, region.kind);
            writeln!(f, "  {}  {:>9}  {kind}", Range(range), Size(range.size_bytes()))?;
        }

        writeln!(f, "\nplacements")?;
        let mut placements: alloc::vec::Vec<&Placement<'_>> = self.plan.placements.iter().collect();
        placements.sort_by_key(|placement| placement.gpa);
        for placement in placements {
            let range = placement.range().unwrap_or_default();
            let protection = match placement.protection {
                Protection::ReadWrite => "rw",
                Protection::ReadOnly => "ro",
                Protection::Shadowed => "sh",
            };
            let size = Size(placement.contents.size_bytes());
            write!(f, "  {}  {size:>9}  {protection}  {}", Range(range), placement.tag)?;
            match placement.contents {
                Contents::File { offset, .. } => writeln!(f, " (file offset {offset:#x})")?,
                Contents::Zeros(_) => writeln!(f, " (zeros)")?,
                Contents::Owned(_) | Contents::Borrowed(_) => writeln!(f)?,
            }
        }

        for (index, state) in self.plan.vcpus.iter().enumerate() {
            writeln!(f, "\ncpu {index}: {}", Start(state))?;
            if state.activity == Activity::Active {
                write!(f, "{}", Registers(state))?;
            }
        }
        Ok(())
    }
}

struct Range(GpaRange);

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#014x} .. {:#014x}", self.0.start(), self.0.end())
    }
}

/// A size with the largest unit that divides it.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (count, unit) = match self.0 {
            size if size != 0 && size.trailing_zeros() >= 30 => (size >> 30, "GiB"),
            size if size != 0 && size.trailing_zeros() >= 20 => (size >> 20, "MiB"),
            size if size != 0 && size.trailing_zeros() >= 10 => (size >> 10, "KiB"),
            size => (size, "B"),
        };
        f.pad(&alloc::format!("{count} {unit}"))
    }
}

/// How and where a CPU starts, in words.
struct Start<'a>(&'a VcpuState);

impl Display for Start<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let state = self.0;
        match state.activity {
            Activity::Active => {}
            Activity::Halted => return write!(f, "halted"),
            Activity::Shutdown => return write!(f, "shut down"),
            Activity::WaitForSipi => return write!(f, "waits for its SIPI"),
        }
        let mode = match state {
            _ if state.cr0 & cr0::PE == 0 => "real mode",
            _ if state.is_64bit() => "64-bit mode",
            _ if state.cs.access.is_32bit() => "32-bit protected mode",
            _ => "16-bit protected mode",
        };
        let paging = match state {
            _ if state.cr0 & cr0::PG == 0 => "no paging",
            _ if state.efer & efer::LMA == 0 && state.cr4 & cr4::PAE == 0 => "32-bit paging",
            _ if state.efer & efer::LMA == 0 => "PAE paging",
            _ if state.cr4 & cr4::LA57 != 0 => "5-level paging",
            _ => "4-level paging",
        };
        let linear = state.cs.base.wrapping_add(state.rip);
        write!(f, "{mode}, {paging}, first instruction at {linear:#x}")
    }
}

/// The registers that a guest is started with, four to a line.
struct Registers<'a>(&'a VcpuState);

impl Display for Registers<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let s = self.0;
        let g = &s.general;
        for row in [
            [("rax", g.rax), ("rbx", g.rbx), ("rcx", g.rcx), ("rdx", g.rdx)],
            [("rsi", g.rsi), ("rdi", g.rdi), ("rbp", g.rbp), ("rsp", g.rsp)],
            [("r8", g.r8), ("r9", g.r9), ("r10", g.r10), ("r11", g.r11)],
            [("r12", g.r12), ("r13", g.r13), ("r14", g.r14), ("r15", g.r15)],
            [("rip", s.rip), ("rflags", s.rflags), ("efer", s.efer), ("cr8", s.cr8)],
            [("cr0", s.cr0), ("cr2", s.cr2), ("cr3", s.cr3), ("cr4", s.cr4)],
        ] {
            for (name, value) in row {
                write!(f, "  {name:>6} {value:016x}")?;
            }
            writeln!(f)?;
        }
        for (name, segment) in [
            ("cs", s.cs),
            ("ds", s.ds),
            ("es", s.es),
            ("fs", s.fs),
            ("gs", s.gs),
            ("ss", s.ss),
            ("ldtr", s.ldtr),
            ("tr", s.tr),
        ] {
            let Segment { selector, base, limit, access } = segment;
            write!(f, "  {name:>6} {selector:04x}  base {base:016x}  limit {limit:08x}")?;
            if access.is_unusable() {
                writeln!(f, "  unusable")?;
            } else {
                writeln!(f, "  access {:04x}", access.0)?;
            }
        }
        for (name, table) in [("gdtr", s.gdtr), ("idtr", s.idtr)] {
            writeln!(f, "  {name:>6}       base {:016x}  limit {:08x}", table.base, table.limit)?;
        }
        Ok(())
    }
}
