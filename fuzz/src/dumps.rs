//! Texts that may hold a VMCS, from bytes: whatever the log says, the doctor has a report or a reason.

use vmcs_doctor::{Dump, report};
use vmx::{VmcsSnapshot, VmxCaps};

/// Reads a text as the doctor does, and reports on what it holds.
///
/// # Panics
/// If the parser or the report is wrong.
pub fn dumps(data: &[u8]) {
    let (choice, text) = data.split_first().map_or((0, data), |(first, rest)| (*first, rest));
    let text = String::from_utf8_lossy(text);
    let dump = match Dump::parse(&text) {
        Ok(dump) => dump,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(dump.count > 0);
    // What was read is read again from our own format.
    if dump.vmcs.fields().next().is_some() {
        assert_eq!(VmcsSnapshot::parse(&dump.vmcs.to_string()).as_ref(), Ok(&dump.vmcs));
    }
    let model = VmxCaps::MODELS.get(usize::from(choice)).map(|(_, caps)| caps);
    let report = report(&dump, model);
    // A rule that is broken is named with its title, one line each at least.
    assert!(report.text.lines().count() > report.broken);
}
