//! Capabilities as text: what a file holds.

use core::fmt;

use super::{AddressWidths, VmxCaps, msr};
use crate::Error;

/// The MSRs and their names, as the text form writes them.
const MSRS: [(u32, &str); 20] = [
    (msr::BASIC, "IA32_VMX_BASIC"),
    (msr::PIN_BASED, "IA32_VMX_PINBASED_CTLS"),
    (msr::PRIMARY, "IA32_VMX_PROCBASED_CTLS"),
    (msr::EXIT, "IA32_VMX_EXIT_CTLS"),
    (msr::ENTRY, "IA32_VMX_ENTRY_CTLS"),
    (msr::MISC, "IA32_VMX_MISC"),
    (msr::CR0_FIXED0, "IA32_VMX_CR0_FIXED0"),
    (msr::CR0_FIXED1, "IA32_VMX_CR0_FIXED1"),
    (msr::CR4_FIXED0, "IA32_VMX_CR4_FIXED0"),
    (msr::CR4_FIXED1, "IA32_VMX_CR4_FIXED1"),
    (msr::VMCS_ENUM, "IA32_VMX_VMCS_ENUM"),
    (msr::SECONDARY, "IA32_VMX_PROCBASED_CTLS2"),
    (msr::EPT_VPID_CAP, "IA32_VMX_EPT_VPID_CAP"),
    (msr::TRUE_PIN_BASED, "IA32_VMX_TRUE_PINBASED_CTLS"),
    (msr::TRUE_PRIMARY, "IA32_VMX_TRUE_PROCBASED_CTLS"),
    (msr::TRUE_EXIT, "IA32_VMX_TRUE_EXIT_CTLS"),
    (msr::TRUE_ENTRY, "IA32_VMX_TRUE_ENTRY_CTLS"),
    (msr::VMFUNC, "IA32_VMX_VMFUNC"),
    (msr::TERTIARY, "IA32_VMX_PROCBASED_CTLS3"),
    (msr::SECONDARY_EXIT, "IA32_VMX_EXIT_CTLS2"),
];

/// Returns the SDM's name of a VMX capability MSR.
pub(crate) fn msr_name(number: u32) -> &'static str {
    match MSRS.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => name,
        None => "a VMX capability MSR",
    }
}

impl VmxCaps {
    /// Reads the text form: one line for each MSR, its number or name and its value in hexadecimal,
    /// and the widths of addresses in decimal; `#` begins a comment.
    ///
    /// ```text
    /// IA32_VMX_BASIC = 0x00da040000000004
    /// 0x481 = 0x0000007f00000016
    /// physical-address-bits = 39
    /// linear-address-bits = 48
    /// ```
    ///
    /// # Errors
    /// [`Error::CapsLine`] for a line that is none of these, and as [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut values = [None; MSRS.len()];
        let mut widths = AddressWidths { physical: 52, linear: 48 };
        for (index, line) in text.lines().enumerate() {
            let error = Error::CapsLine { line: index + 1 };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(error)?;
            let (name, value) = (name.trim(), value.trim());
            match name {
                "physical-address-bits" => widths.physical = value.parse().map_err(|_| error)?,
                "linear-address-bits" => widths.linear = value.parse().map_err(|_| error)?,
                _ => {
                    let number = hex(name);
                    let place = MSRS
                        .iter()
                        .position(|(known, text)| number == Some((*known).into()) || name == *text);
                    let slot = place.and_then(|place| values.get_mut(place)).ok_or(error)?;
                    *slot = Some(hex(value).ok_or(error)?);
                }
            }
        }
        Self::read(widths, |number| {
            let place = MSRS.iter().position(|(known, _)| *known == number)?;
            values.get(place).copied().flatten()
        })
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// Writes the text form, which [`VmxCaps::parse`] reads.
impl fmt::Display for VmxCaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = [
            self.basic,
            self.pin_based,
            self.primary,
            self.exit,
            self.entry,
            self.misc,
            self.cr0_fixed0,
            self.cr0_fixed1,
            self.cr4_fixed0,
            self.cr4_fixed1,
            self.vmcs_enum,
            self.secondary,
            self.ept_vpid.bits(),
            self.true_pin_based,
            self.true_primary,
            self.true_exit,
            self.true_entry,
            self.vmfunc,
            self.tertiary,
            self.secondary_exit,
        ];
        for ((_, name), value) in MSRS.iter().zip(values) {
            writeln!(f, "{name} = {value:#018x}")?;
        }
        writeln!(f, "physical-address-bits = {}", self.widths.physical)?;
        writeln!(f, "linear-address-bits = {}", self.widths.linear)
    }
}
