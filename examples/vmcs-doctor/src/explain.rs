//! Numbers and rules, explained.

use std::fmt::Write as _;

use vmx::{ExitReason, InstructionError, Outcome, Rule, RuleId, Section, rules};

/// Explains an error number of VMLAUNCH and VMRESUME, an exit reason or a rule; `None` if the text
/// is nothing of these.
#[must_use]
pub fn explain(text: &str) -> Option<String> {
    if let Some(id) = RuleId::parse(text) {
        return rules().find(|rule| rule.id == id).map(explain_rule);
    }
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => text.parse().ok()?,
    };
    if let Some(name) = InstructionError(number).name() {
        return Some(explain_error(InstructionError(number), name));
    }
    let reason = ExitReason(number);
    reason.is_entry_failure().then(|| explain_exit(reason))
}

fn explain_rule(rule: &Rule) -> String {
    let Rule { id, wanted, title, outcome, .. } = rule;
    format!("{id}  {wanted}\nIntel SDM Vol. 3C, \"{title}\"\nAn entry that breaks it: {outcome}\n")
}

fn explain_error(error: InstructionError, name: &str) -> String {
    let mut text = format!("Error {}: {name}.\n", error.0);
    if let Some(explanation) = error.explanation() {
        let _ = writeln!(text, "{explanation}");
    }
    let sections = match error {
        InstructionError::ENTRY_CONTROLS => "E1 to E51, X1 to X7 and N1 to N16",
        InstructionError::ENTRY_HOST_STATE => "H1 to H28",
        _ => return text,
    };
    let _ =
        writeln!(text, "The rules: {sections}. The VMCS itself tells which: give a dump of it.");
    text
}

fn explain_exit(reason: ExitReason) -> String {
    let mut text = format!("Exit reason {:#x}: {reason}.\n", reason.0);
    let advice = match reason.basic().0 {
        33 => {
            "A rule on the guest's state is broken (G, S, D, R, M or P). The exit qualification is 2 \
             for the PDPTEs, 3 for\nan NMI into blocking by STI, 4 for the VMCS link pointer, else \
             0. The VMCS itself tells which: give a dump of it."
        }
        34 => {
            "An entry of the VM-entry MSR-load list can't be loaded (L1 to L7). The exit \
             qualification is its number, from 1."
        }
        41 => "A machine check came during the entry.",
        _ => "No entry fails so.",
    };
    let _ = writeln!(text, "{advice}");
    text
}

/// Returns the letter of a section's rules, in words of what it is about.
pub(crate) fn section_words(section: Section) -> &'static str {
    match section {
        Section::Basic => "the instruction",
        Section::Execution => "execution controls",
        Section::Exit => "exit controls",
        Section::Entry => "entry controls and the event to inject",
        Section::Host => "the host's state",
        Section::Guest => "the guest's control registers and MSRs",
        Section::Segments => "the guest's segments",
        Section::DescriptorTables => "the guest's descriptor tables",
        Section::Rip => "the guest's RIP, RFLAGS and SSP",
        Section::NonRegister => "the guest's non-register state",
        Section::Pdptes => "the guest's PDPTEs",
        Section::MsrLoad => "the MSR-load list",
    }
}

/// Returns which outcome an error number of the instruction is.
pub(crate) fn outcome_of(error: InstructionError) -> Option<Outcome> {
    Outcome::ALL.into_iter().find(|outcome| outcome.instruction_error() == Some(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_7_names_the_rules_to_look_at() {
        let text = explain("7").unwrap();
        assert!(text.starts_with("Error 7: VM entry with invalid control field(s).\n"), "{text}");
        assert!(text.contains("E1 to E51"));
        assert_eq!(explain("0x7"), Some(text));
    }

    #[test]
    fn exit_reasons_are_those_of_failed_entries() {
        assert!(explain("0x80000021").unwrap().contains("invalid guest state"));
        assert!(explain("2147483682").unwrap().contains("MSR-load list"));
        assert_eq!(explain("33"), None);
    }

    #[test]
    fn what_is_nothing_is_nothing() {
        for text in ["", "S", "S99", "0x", "-7", "seven", "14", "99999999999"] {
            assert_eq!(explain(text), None, "{text}");
        }
    }
}
