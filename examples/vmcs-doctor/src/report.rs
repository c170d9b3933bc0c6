//! What the doctor says.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vmx::{EntryCheck, EntryContext, Fault, Finding, Need, Outcome, OutcomeSet, Rule, VmxCaps};

use crate::dump::{Dump, Kind, Said};
use crate::explain::section_words;
use crate::words::describe;

/// A report, and how many rules it names as broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The text.
    pub text: String,
    /// How many rules are broken.
    pub broken: usize,
}

/// What the rules say of a dump.
#[derive(Default)]
struct Findings {
    broken: Vec<(&'static Rule, Fault)>,
    holding: usize,
    /// How many rules could not be checked but can't have led to what the processor said.
    settled: usize,
    /// Rules by what they need.
    needs: BTreeMap<String, Vec<&'static Rule>>,
    /// Rules by why they can't be decided.
    undecided: BTreeMap<&'static str, Vec<&'static Rule>>,
    outcomes: OutcomeSet,
}

/// Examines a dump, on a processor of these capabilities where they are known.
#[must_use]
pub fn report(dump: &Dump, caps: Option<&VmxCaps>) -> Report {
    let check = EntryCheck::new(&dump.vmcs, caps, EntryContext::OUTSIDE_SMM);
    let mut findings = Findings { outcomes: check.outcomes(), ..Findings::default() };
    for (rule, finding) in check.findings() {
        match finding {
            Finding::Holds => findings.holding += 1,
            Finding::Broken(fault) => findings.broken.push((rule, fault)),
            // It cannot fail.
            _ if rule.outcome == Outcome::Success => {}
            _ if dump.said.is_some_and(|said| !said.is(rule.outcome)) => findings.settled += 1,
            Finding::NotCheckable(need) => {
                findings.needs.entry(need_words(need)).or_default().push(rule);
            }
            Finding::NotDecidable(why) => findings.undecided.entry(why).or_default().push(rule),
        }
    }
    let mut text = String::new();
    write_head(&mut text, dump);
    write_broken(&mut text, &findings, dump.said);
    write_state(&mut text, dump);
    write_unknown(&mut text, &findings);
    Report { text, broken: findings.broken.len() }
}

fn need_words(need: Need) -> String {
    match need {
        Need::Capabilities => "the processor's capabilities (--caps)".to_owned(),
        Need::Field(_) => need.to_string(),
        Need::Context(_) => "what no dump says".to_owned(),
    }
}

fn write_head(text: &mut String, dump: &Dump) {
    let fields = dump.vmcs.fields().count();
    let _ = match dump.kind {
        Kind::Plain => writeln!(text, "The VMCS is {}: {fields} fields.", dump.kind),
        Kind::Kvm | Kind::Xen if dump.count > 1 => {
            writeln!(
                text,
                "The dump is {}: {fields} fields, the last of {}.",
                dump.kind, dump.count
            )
        }
        Kind::Kvm | Kind::Xen => writeln!(text, "The dump is {}: {fields} fields.", dump.kind),
    };
    if let Some(said) = dump.said {
        let _ = writeln!(text, "The processor said: {said}.");
    }
}

fn write_broken(text: &mut String, findings: &Findings, said: Option<Said>) {
    let stopped_at = |rule: &Rule| said.is_none_or(|said| said.is(rule.outcome));
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        findings.broken.iter().partition(|(rule, _)| stopped_at(rule));
    if here.is_empty() {
        let which = if elsewhere.is_empty() { "" } else { " and explains what the processor said" };
        let holding = findings.holding;
        let _ = writeln!(text, "\nNo rule that could be checked is broken{which}; {holding} hold.");
        write_candidates(text, findings, said);
    } else {
        let _ = writeln!(text, "\nBroken:");
        here.into_iter().for_each(|broken| write_fault(text, broken));
        let outcomes: Vec<_> = Outcome::ALL
            .into_iter()
            .filter(|outcome| said.is_none() && findings.outcomes.contains(*outcome))
            .filter(|outcome| findings.broken.iter().any(|(rule, _)| rule.outcome == *outcome))
            .map(|outcome| outcome.to_string())
            .collect();
        if !outcomes.is_empty() {
            let _ = writeln!(text, "\nAn entry with this VMCS: {}.", outcomes.join(", or "));
        }
    }
    if !elsewhere.is_empty() {
        let _ = writeln!(
            text,
            "\nBroken as well, though the processor did not stop at it. A processor that got past \
             these has other\ncapabilities than those given, or does not enforce the rule:"
        );
        elsewhere.into_iter().for_each(|broken| write_fault(text, broken));
    }
}

fn write_fault(text: &mut String, (rule, fault): &(&'static Rule, Fault)) {
    let _ = writeln!(text, "  {:<4}{fault}", rule.id.to_string());
    let _ = writeln!(text, "      wanted: {}", rule.wanted);
    let _ = writeln!(text, "      Intel SDM Vol. 3C, \"{}\"", rule.title);
}

/// Names the rules that could explain what the processor said.
fn write_candidates(text: &mut String, findings: &Findings, said: Option<Said>) {
    /// So many are told in words.
    const FEW: usize = 8;
    let Some(said) = said else {
        return;
    };
    let unknown = findings.needs.values().chain(findings.undecided.values()).flatten();
    let mut candidates: Vec<_> = unknown.filter(|rule| said.is(rule.outcome)).collect();
    candidates.sort_by_key(|rule| rule.id);
    if candidates.is_empty() {
        let _ = writeln!(text, "No rule that is left over explains what the processor said.");
        return;
    }
    let _ = writeln!(text, "What the processor said can come from one of these:");
    if candidates.len() <= FEW {
        for rule in candidates {
            let _ = writeln!(text, "  {:<4}{}", rule.id.to_string(), rule.wanted);
        }
        return;
    }
    let mut by_section = BTreeMap::<_, Vec<String>>::new();
    for rule in candidates {
        by_section.entry(rule.id.section).or_default().push(rule.id.to_string());
    }
    for (section, ids) in by_section {
        let _ = writeln!(text, "  {}: {}", section_words(section), ids.join(" "));
    }
}

fn write_state(text: &mut String, dump: &Dump) {
    let sentences = describe(&dump.vmcs);
    if !sentences.is_empty() {
        let _ = writeln!(text, "\n{}", sentences.join(" "));
    }
}

fn write_unknown(text: &mut String, findings: &Findings) {
    write_groups(text, "Not checked, for lack of", findings.needs.iter());
    write_groups(text, "Not decided, since", findings.undecided.iter());
    if findings.settled > 0 {
        let _ = writeln!(
            text,
            "\n{} more rules could not be checked, but what the processor said comes from none of them.",
            findings.settled
        );
    }
}

fn write_groups<'a, K: AsRef<str> + 'a>(
    text: &mut String,
    heading: &str,
    groups: impl Iterator<Item = (&'a K, &'a Vec<&'static Rule>)>,
) {
    let mut groups: Vec<_> = groups.collect();
    if groups.is_empty() {
        return;
    }
    groups.sort_by_key(|(_, rules)| std::cmp::Reverse(rules.len()));
    let _ = writeln!(text, "\n{heading}");
    for (what, rules) in groups {
        let ids: Vec<_> = rules.iter().map(|rule| rule.id.to_string()).collect();
        let _ = writeln!(text, "  {}: {}", what.as_ref(), ids.join(" "));
    }
}
