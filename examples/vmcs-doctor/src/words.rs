//! The state that an entry would establish, in words.

use vmx::{
    EntryControls, EventKind, ExitControls, FieldAccess, FieldWidth, Interruptibility,
    InterruptionInfo, PrimaryControls, SecondaryControls, VmcsField, VmcsSnapshot, field,
};

const CR0_PE: u64 = 1;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const RFLAGS_IF: u64 = 1 << 9;
const RFLAGS_VM: u64 = 1 << 17;
const CS_L: u32 = 1 << 13;
const CS_D: u32 = 1 << 14;

/// Describes the state, a sentence for each thing that the fields tell.
pub(crate) fn describe(vmcs: &VmcsSnapshot) -> Vec<String> {
    [guest(vmcs), blocking(vmcs), event(vmcs), controls(vmcs), host(vmcs)]
        .into_iter()
        .flatten()
        .collect()
}

fn guest(vmcs: &VmcsSnapshot) -> Option<String> {
    let mode = mode(vmcs)?;
    let mut text = format!("The guest is in {mode}");
    if let (Some(selector), Some(rip)) =
        (vmcs.get(field::GUEST_CS_SELECTOR), vmcs.get(field::GUEST_RIP))
    {
        text += &format!(" at {selector:04x}:{rip:x}");
    }
    if let Some(access) = vmcs.get(field::GUEST_SS_ACCESS_RIGHTS) {
        text += &format!(", privilege level {}", access >> 5 & 3);
    }
    if let Some(flags) = vmcs.get(field::GUEST_RFLAGS) {
        text += if flags & RFLAGS_IF != 0 { ", interrupts on" } else { ", interrupts off" };
    }
    Some(text + ".")
}

fn mode(vmcs: &VmcsSnapshot) -> Option<&'static str> {
    let cr0 = vmcs.get(field::GUEST_CR0)?;
    let cs = vmcs.get(field::GUEST_CS_ACCESS_RIGHTS).unwrap_or_default();
    let long = bit(vmcs, field::ENTRY_CONTROLS, EntryControls::IA32E_MODE_GUEST.bits())?;
    let pae = bit(vmcs, field::GUEST_CR4, CR4_PAE).unwrap_or(false);
    let v8086 = bit(vmcs, field::GUEST_RFLAGS, RFLAGS_VM).unwrap_or(false);
    Some(match () {
        () if long && cs & CS_L != 0 => "64-bit mode",
        () if long => "compatibility mode",
        () if cr0 & CR0_PE == 0 => "real mode",
        () if v8086 => "virtual-8086 mode",
        () if cr0 & CR0_PG == 0 && cs & CS_D == 0 => "16-bit protected mode without paging",
        () if cr0 & CR0_PG == 0 => "32-bit protected mode without paging",
        () if pae => "protected mode with PAE paging",
        () => "protected mode with 32-bit paging",
    })
}

fn blocking(vmcs: &VmcsSnapshot) -> Option<String> {
    let activity = match vmcs.get(field::GUEST_ACTIVITY_STATE)? {
        0 => None,
        1 => Some("in HLT".to_owned()),
        2 => Some("in shutdown".to_owned()),
        3 => Some("waiting for a SIPI".to_owned()),
        other => Some(format!("in activity state {other}, which does not exist")),
    };
    let blocking = vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE).unwrap_or_default();
    let blocked = [
        (Interruptibility::BLOCKING_BY_STI, "by STI"),
        (Interruptibility::BLOCKING_BY_MOV_SS, "by MOV SS"),
        (Interruptibility::BLOCKING_BY_SMI, "by SMI"),
        (Interruptibility::BLOCKING_BY_NMI, "by NMI"),
    ]
    .into_iter()
    .filter(|(bit, _)| blocking & bit.bits() != 0)
    .map(|(_, words)| words)
    .collect::<Vec<_>>()
    .join(" and ");
    match (activity, blocked.is_empty()) {
        (None, true) => None,
        (Some(activity), true) => Some(format!("It is {activity}.")),
        (None, false) => Some(format!("There is blocking {blocked}.")),
        (Some(activity), false) => Some(format!("It is {activity}, with blocking {blocked}.")),
    }
}

fn event(vmcs: &VmcsSnapshot) -> Option<String> {
    let event = InterruptionInfo(vmcs.get(field::ENTRY_INTERRUPTION_INFO)?);
    if !event.is_valid() {
        return Some("Nothing is injected.".to_owned());
    }
    let vector = event.vector();
    let what = match event.kind() {
        EventKind::ExternalInterrupt => format!("external interrupt {vector:#x}"),
        EventKind::Nmi => "an NMI".to_owned(),
        EventKind::HardwareException => format!("exception {vector}"),
        EventKind::SoftwareInterrupt => format!("INT {vector:#x}"),
        EventKind::PrivilegedSoftwareException => "INT1".to_owned(),
        EventKind::SoftwareException => format!("software exception {vector}"),
        EventKind::Reserved | EventKind::Other => {
            format!("an event of kind {}, vector {vector}", event.0 >> 8 & 7)
        }
    };
    let error_code = match (event.has_error_code(), vmcs.get(field::ENTRY_EXCEPTION_ERROR_CODE)) {
        (true, Some(code)) => format!(" with error code {code:#x}"),
        _ => String::new(),
    };
    Some(format!("Injected is {what}{error_code}."))
}

fn controls(vmcs: &VmcsSnapshot) -> Option<String> {
    let primary = PrimaryControls::from_bits_retain(vmcs.get(field::PRIMARY_CONTROLS)?);
    let secondary = match primary.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS) {
        true => SecondaryControls::from_bits_retain(vmcs.get(field::SECONDARY_CONTROLS)?),
        false => SecondaryControls::empty(),
    };
    let says = |control| if secondary.contains(control) { "with" } else { "without" };
    Some(format!(
        "It runs {} EPT, {} unrestricted guest, {} VPID.",
        says(SecondaryControls::ENABLE_EPT),
        says(SecondaryControls::UNRESTRICTED_GUEST),
        says(SecondaryControls::ENABLE_VPID),
    ))
}

fn host(vmcs: &VmcsSnapshot) -> Option<String> {
    let is_64bit = bit(vmcs, field::EXIT_CONTROLS, ExitControls::HOST_ADDRESS_SPACE_SIZE.bits())?;
    Some(format!("The host is {}-bit.", if is_64bit { 64 } else { 32 }))
}

fn bit<W: FieldWidth<Value = T>, A: FieldAccess, T>(
    vmcs: &VmcsSnapshot,
    field: VmcsField<W, A>,
    mask: T,
) -> Option<bool>
where
    T: Copy + Into<u64>,
{
    Some(vmcs.get(field)?.into() & mask.into() != 0)
}
