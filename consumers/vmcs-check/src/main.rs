//! Says which rules of a VM entry a VMCS breaks: that of a file, or one with two mistakes.

use vmx::{Outcome, VmcsSnapshot, VmxCaps, check};

const MISTAKES: &str = "GUEST_RFLAGS = 0x0\nGUEST_SS_ACCESS_RIGHTS = 0xc091";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::env::args().nth(1).map(std::fs::read_to_string).transpose()?;
    let vmcs = VmcsSnapshot::parse(text.as_deref().unwrap_or(MISTAKES))?;
    let caps = VmxCaps::model("coffee_lake_906ea").ok_or("no such model")?;
    let check = check(&vmcs, caps);
    for (rule, fault) in check.broken() {
        println!("{}: {fault}; wanted: {}", rule.id, rule.wanted);
    }
    println!("an entry may give {:?}", check.outcomes());
    assert!(text.is_some() || check.outcomes().contains(Outcome::GuestState));
    Ok(())
}
