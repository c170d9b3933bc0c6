//! Rules on the instruction that enters, and on where it is executed.

use super::view::{Stop, Verdict, View};
use super::{EntryInstruction, Fault, Need, Outcome, rule_table};

rule_table! {
    BASIC: Basic, "Basic VM-Entry Checks", Outcome::FailInvalid;

    1 "the processor is in protected mode, neither virtual-8086 nor compatibility mode"
        => Outcome::InvalidOpcode,
    |v| context(v.context.is_protected, true, "the processor's mode");

    2 "the current privilege level is 0" => Outcome::GeneralProtection,
    |v| context(v.context.cpl, 0, "the current privilege level");

    3 "there is a current VMCS",
    |v| context(v.context.has_current_vmcs, true, "whether there is a current VMCS");

    4 "the current VMCS is not a shadow VMCS",
    |v| context(v.context.is_shadow_vmcs, false, "whether the current VMCS is a shadow VMCS");

    5 "no events are blocked by MOV SS" => Outcome::BlockedByMovSs,
    |v| context(v.context.blocked_by_mov_ss, false, "whether MOV SS came just before");

    6 "VMLAUNCH finds the VMCS clear" => Outcome::NotClear,
    |v| launch_state(v, EntryInstruction::Launch, false);

    7 "VMRESUME finds the VMCS launched" => Outcome::NotLaunched,
    |v| launch_state(v, EntryInstruction::Resume, true);
}

/// Demands something of the surroundings.
fn context<T: PartialEq + Into<u64>>(found: Option<T>, wanted: T, words: &'static str) -> Verdict {
    match found {
        None => Err(Stop::Lacks(Need::Context(words))),
        Some(found) if found == wanted => Ok(()),
        Some(found) => Err(Stop::Broken(Fault {
            field: None,
            value: found.into(),
            bits: 0,
            other: None,
            entry: None,
        })),
    }
}

fn launch_state(v: &View<'_>, instruction: EntryInstruction, launched: bool) -> Verdict {
    if v.known(v.context.instruction, "whether VMLAUNCH or VMRESUME enters")? != instruction {
        return Ok(());
    }
    context(v.context.is_launched, launched, "whether the VMCS is launched")
}
