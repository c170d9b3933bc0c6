//! A plan as JSON: for programs what `BootPlan::report` is for people.

use boot_plan::{BootPlan, Contents, Placement, Protection};
use guest_state::{GpaRange, VcpuState};
use serde_json::{Map, Value, json};

use crate::options::Format;

/// Says what the guest would find at its first instruction.
pub(crate) fn show(plan: &BootPlan<'_>, format: Format) -> String {
    match format {
        Format::Text => plan.report().to_string(),
        Format::Json => format!("{:#}\n", to_json(plan)),
    }
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
