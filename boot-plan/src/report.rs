//! A plan as tables that a person reads.

use core::fmt::{self, Display, Formatter};

use guest_state::{Activity, GpaRange};

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
            writeln!(f, "\ncpu {index}: {}", state.in_words())?;
            if state.activity == Activity::Active {
                write!(f, "{}", state.table())?;
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
