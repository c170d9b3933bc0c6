//! A plan as text, as a picture, and as JSON: for programs what `BootPlan::report` is for people.

#[cfg(feature = "svg")]
mod labels;
#[cfg(feature = "svg")]
mod picture;
#[cfg(feature = "svg")]
mod scale;

use std::fmt;

use boot_plan::{BootPlan, Contents, Placement, Protection};
use guest_state::{GpaRange, VcpuState};
use machine::{BlkConfig, SECTOR_BYTES};
use serde_json::{Map, Value, json};

use crate::disk::Disk;
use crate::options::{DryRun, Format};

/// The PCI device that the first disk is.
const FIRST_DISK: u8 = 2;

/// Says what the guest would find at its first instruction.
///
/// `title` says what that is; a picture has it, but no disks: they are not in memory.
#[cfg_attr(not(feature = "svg"), allow(unused_variables, reason = "a picture alone has it"))]
pub(crate) fn show(plan: &BootPlan<'_>, disks: &[Disk], title: &str, what: DryRun) -> String {
    match what {
        #[cfg(feature = "svg")]
        DryRun::Picture => picture::draw(plan, title),
        DryRun::Report(Format::Text) => format!("{}{}", plan.report(), Disks(disks)),
        DryRun::Report(Format::Json) => {
            let mut plan = to_json(plan);
            if !disks.is_empty() {
                plan["disks"] = (FIRST_DISK..).zip(disks).map(disk).collect();
            }
            format!("{plan:#}\n")
        }
    }
}

/// The disks, a line each; nothing if there is none.
struct Disks<'d>(&'d [Disk]);

impl fmt::Display for Disks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_empty() {
            writeln!(f, "disks")?;
        }
        for (device, disk) in (FIRST_DISK..).zip(self.0) {
            let BlkConfig { sectors, readonly, .. } = disk.config();
            let kind = if readonly { "read-only" } else { "writable" };
            let (bytes, path) = (sectors * SECTOR_BYTES, disk.path().display());
            writeln!(f, "  00:{device:02x}.0  {bytes:#x} bytes, {kind}, {path}")?;
        }
        Ok(())
    }
}

fn disk((device, disk): (u8, &Disk)) -> Value {
    let BlkConfig { sectors, readonly, .. } = disk.config();
    json!({
        "function": format!("00:{device:02x}.0"),
        "bytes": hex((sectors * SECTOR_BYTES).into()),
        "readonly": readonly,
        "file": disk.path().to_string_lossy(),
    })
}

/// Numbers are hexadecimal strings: 64 bits and more are past what JSON readers keep.
fn to_json(plan: &BootPlan<'_>) -> Value {
    let regions = plan.memory.regions().iter().map(|region| {
        let mut value = range(region.range);
        value["kind"] = region.kind.to_string().into();
        value
    });
    json!({
        "memory_map": regions.collect::<Vec<_>>(),
        "placements": plan.placements.iter().map(placement).collect::<Vec<_>>(),
        "vcpus": plan.vcpus.iter().map(registers).collect::<Vec<_>>(),
    })
}

fn range(range: GpaRange) -> Value {
    json!({ "start": hex(range.start().as_u64().into()), "end": hex(range.end().as_u64().into()) })
}

fn placement(placement: &Placement<'_>) -> Value {
    let mut value = range(placement.range().unwrap_or_default());
    value["tag"] = placement.tag.into();
    value["protection"] = match placement.protection {
        Protection::ReadWrite => "read-write",
        Protection::ReadOnly => "read-only",
        Protection::Shadowed => "shadowed",
    }
    .into();
    value["contents"] = match placement.contents {
        Contents::Zeros(_) => "zeros",
        Contents::File { .. } => "file",
        Contents::Owned(_) | Contents::Borrowed(_) => "bytes",
    }
    .into();
    value
}

fn registers(state: &VcpuState) -> Value {
    let mut registers = Map::new();
    state.for_each_register(|name, value| {
        registers.insert(name.to_owned(), hex(value));
    });
    registers.into()
}

fn hex(value: u128) -> Value {
    format!("{value:#x}").into()
}
