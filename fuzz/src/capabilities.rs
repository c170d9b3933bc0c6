//! Files of capabilities, from bytes: what is accepted is written and read again, and answers every
//! question.

use vmx::{
    ControlWishes, Controls, EntryControls, ExitControls, FIELDS, PrimaryControls,
    SecondaryControls, VmcsSnapshot, VmxCaps, Wish, check,
};

/// Reads a text as a file of capabilities, and uses them.
///
/// # Panics
/// If the parser is wrong.
pub fn capabilities(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let caps = match VmxCaps::parse(&text) {
        Ok(caps) => caps,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(VmxCaps::parse(&caps.to_string()).as_ref(), Ok(&caps));
    let wishes = ControlWishes {
        primary: Wish::required(PrimaryControls::HLT_EXITING),
        secondary: Wish::default().wanted(SecondaryControls::all()),
        exit: Wish::required(ExitControls::HOST_ADDRESS_SPACE_SIZE),
        entry: Wish::default().wanted(EntryControls::all()),
        ..ControlWishes::default()
    };
    let mut vmcs = VmcsSnapshot::zeroed(&caps);
    if let Ok(controls) = Controls::solve(&wishes, &caps) {
        assert!(controls.primary.contains(PrimaryControls::HLT_EXITING));
        assert!(caps.allows(PrimaryControls::HLT_EXITING), "required, and not allowed");
        assert!(controls.write(&mut vmcs).is_ok());
    }
    assert!(FIELDS.iter().any(|info| caps.has_field(info.encoding)));
    let _ = caps.widths.physical_mask();
    assert!(check(&vmcs, &caps).outcomes().iter().next().is_some());
}
