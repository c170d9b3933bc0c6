//! A VMCS as text: what a hypervisor prints and a file holds.

use core::fmt;

use crate::{Error, FIELDS, FieldEncoding, VmcsSnapshot};

/// Writes the text form, which [`VmcsSnapshot::parse`] reads: one line for each field that is
/// there, with the name of its constant in [`field`](crate::field).
impl fmt::Display for VmcsSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (encoding, value) in self.fields() {
            let digits = 2 + encoding.width().hex_digits();
            match encoding.info() {
                Some(info) => writeln!(f, "{} = {value:#0digits$x}", info.constant)?,
                None => writeln!(f, "{encoding:?} = {value:#0digits$x}")?,
            }
        }
        Ok(())
    }
}

impl VmcsSnapshot {
    /// Reads the text form: one line for each field, its constant's name, its name in the SDM or
    /// its encoding, and its value in hexadecimal; `#` begins a comment.
    ///
    /// ```text
    /// GUEST_RIP = 0x000000000000fff0
    /// Guest SS access rights = 0xc091
    /// 0x4826 = 0x0
    /// ```
    ///
    /// # Errors
    /// [`Error::SnapshotLine`] for a line that is none of these.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut snapshot = Self::new();
        for (index, line) in text.lines().enumerate() {
            let error = Error::SnapshotLine { line: index + 1 };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (name, value) = line.split_once('=').ok_or(error)?;
            let encoding = encoding_of(name.trim()).ok_or(error)?;
            let value = hex(value.trim()).ok_or(error)?;
            if value & !encoding.width().mask() != 0 || !snapshot.set(encoding, value) {
                return Err(error);
            }
        }
        Ok(snapshot)
    }
}

fn encoding_of(name: &str) -> Option<FieldEncoding> {
    let known = FIELDS.iter().find(|field| field.constant == name || field.name == name);
    match known {
        Some(field) => Some(field.encoding),
        None => hex(name).and_then(|number| u32::try_from(number).ok()).map(FieldEncoding::new),
    }
}

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use crate::{VmxCaps, field};

    #[test]
    fn the_text_form_survives_a_round_trip() {
        let mut vmcs = VmcsSnapshot::zeroed(VmxCaps::model("tigerlake").unwrap());
        for (place, field) in FIELDS.iter().enumerate() {
            if vmcs.raw(field.encoding).is_some() {
                vmcs.set(field.encoding, 0x0123_4567_89AB_CDEF << (place % 8));
            }
        }
        assert_eq!(VmcsSnapshot::parse(&alloc::format!("{vmcs}")), Ok(vmcs));
    }

    #[test]
    fn a_field_has_three_names() {
        let text = "GUEST_RIP = 0xfff0 # where it starts\n\nGuest RSP = 0x10\n0x4826 = 0x1";
        let vmcs = VmcsSnapshot::parse(text).unwrap();
        assert_eq!(vmcs.get(field::GUEST_RIP), Some(0xFFF0));
        assert_eq!(vmcs.get(field::GUEST_RSP), Some(0x10));
        assert_eq!(vmcs.get(field::GUEST_ACTIVITY_STATE), Some(1));
        assert_eq!(vmcs.fields().count(), 3);
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        for line in
            ["GUEST_RIP", "GUEST_RIP = 12", "NOBODY = 0x1", "0x7ffe = 0x1", "VPID = 0x10000"]
        {
            let text = alloc::format!("GUEST_RSP = 0x1\n{line}\n");
            assert_eq!(VmcsSnapshot::parse(&text), Err(Error::SnapshotLine { line: 2 }), "{line}");
        }
    }
}
