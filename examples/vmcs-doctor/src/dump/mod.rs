//! A VMCS found in a text.

mod keys;
mod words;

use std::fmt;

use vmx::{ExitReason, InstructionError, Outcome, VmcsSnapshot, field};

use crate::explain::outcome_of;
use keys::{Area, Value};
use words::Token;

/// Whose format a dump has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's log: `dump_invalid_vmcs` of `kvm_intel`.
    Kvm,
    /// Xen's console.
    Xen,
    /// Lines of `FIELD = 0xVALUE`.
    Plain,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM's",
            Self::Xen => "Xen's",
            Self::Plain => "a list of fields",
        })
    }
}

/// What the processor said when the entry failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// VMLAUNCH or VMRESUME failed with this error.
    Error(InstructionError),
    /// The entry failed with this exit reason and qualification, where that is known.
    Exit(ExitReason, Option<u64>),
}

impl Said {
    /// Tells whether this is what an entry says that comes to `outcome`.
    #[must_use]
    pub fn is(self, outcome: Outcome) -> bool {
        match self {
            Self::Error(error) => outcome_of(error) == Some(outcome),
            Self::Exit(reason, qualification) => match reason.basic().0 {
                33 => outcome.guest_qualification().is_some_and(|known| {
                    qualification.is_none_or(|qualification| qualification == known)
                }),
                34 => outcome == Outcome::MsrLoading,
                _ => false,
            },
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error(error) => error.fmt(f),
            Self::Exit(reason, Some(qualification)) => {
                let basic = reason.basic();
                write!(f, "exit reason {:#x}, {basic}, qualification {qualification:#x}", reason.0)
            }
            Self::Exit(reason, None) => {
                write!(f, "exit reason {:#x}, {}", reason.0, reason.basic())
            }
        }
    }
}

/// A VMCS that a text holds, as far as it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// Whose format it has.
    pub kind: Kind,
    /// The fields.
    pub vmcs: VmcsSnapshot,
    /// What the processor said, if the text holds that.
    pub said: Option<Said>,
    /// How many dumps the text holds; this is the last.
    pub count: usize,
}

/// There is no VMCS in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoDump {
    /// Why the text is no list of fields either.
    list: vmx::Error,
}

impl fmt::Display for NoDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no dump of KVM or Xen begins here (\"*** Guest State ***\"), and {}", self.list)
    }
}

impl std::error::Error for NoDump {}

impl Dump {
    /// Finds the last dump in a text.
    ///
    /// # Errors
    /// [`NoDump`] if there is none, and the text is no list of fields either.
    pub fn parse(text: &str) -> Result<Self, NoDump> {
        let tokens = words::tokens(text);
        let count = tokens.iter().filter(|token| **token == Token::Area(Area::Guest)).count();
        if count == 0 {
            return Self::list(text);
        }
        let mut dump = Self { kind: Kind::Kvm, vmcs: VmcsSnapshot::new(), said: None, count };
        let mut error = None;
        let mut reader = Reader::default();
        for (place, token) in tokens.iter().enumerate() {
            if *token == Token::Area(Area::Guest) {
                dump.vmcs = VmcsSnapshot::new();
            }
            error = error_number(&tokens, place).or(error);
            reader.read(token, &mut dump.vmcs);
        }
        if reader.has_columns {
            dump.kind = Kind::Xen;
        }
        let reason = dump.vmcs.get(field::EXIT_REASON).map(ExitReason);
        dump.said = match (error, reason) {
            (_, Some(reason)) if reason.is_entry_failure() => {
                Some(Said::Exit(reason, dump.vmcs.get(field::EXIT_QUALIFICATION)))
            }
            (Some(number), _) if ExitReason(number).is_entry_failure() => {
                Some(Said::Exit(ExitReason(number), None))
            }
            (Some(number), _) => Some(Said::Error(InstructionError(number))),
            (None, _) => None,
        };
        Ok(dump)
    }

    /// Reads a list of fields.
    fn list(text: &str) -> Result<Self, NoDump> {
        let vmcs = VmcsSnapshot::parse(text).map_err(|list| NoDump { list })?;
        if vmcs.fields().next().is_none() {
            return Err(NoDump { list: vmx::Error::SnapshotLine { line: 1 } });
        }
        let reason = vmcs.get(field::EXIT_REASON).map(ExitReason);
        let said = reason
            .filter(|reason| reason.is_entry_failure())
            .map(|reason| Said::Exit(reason, vmcs.get(field::EXIT_QUALIFICATION)));
        Ok(Self { kind: Kind::Plain, vmcs, said, count: 1 })
    }
}

/// Reads "hardware error 0x7" (QEMU), "VMLAUNCH error: 0x7" and "vmentry failure (reason
/// 0x80000021)" (Xen) at a place.
fn error_number(tokens: &[Token<'_>], place: usize) -> Option<u32> {
    let word = |offset: usize| match tokens.get(place + offset) {
        Some(Token::Word(word)) => Some(*word),
        _ => None,
    };
    let number = match (word(0)?, word(1)?) {
        ("hardware", "error") | ("VMLAUNCH" | "VMRESUME", "error:") => word(2)?,
        ("failure", "(reason") => word(2)?.trim_end_matches(['(', ')', ':', ',']),
        _ => return None,
    };
    u32::from_str_radix(number.strip_prefix("0x")?, 16).ok()
}

/// Goes through the words of a dump.
#[derive(Default)]
struct Reader<'a> {
    area: Option<Area>,
    /// The last word that ended in a colon: `CS:`.
    label: &'a str,
    /// The word before, if it was no value.
    before: &'a str,
    /// How many bare numbers came since the label: the columns of Xen's table of segments.
    columns: usize,
    has_columns: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self, token: &Token<'a>, vmcs: &mut VmcsSnapshot) {
        match *token {
            Token::Area(area) => {
                *self = Self { area: Some(area), has_columns: self.has_columns, ..Self::default() }
            }
            Token::Word(word) => {
                if word.ends_with(':') {
                    self.label = word;
                    self.columns = 0;
                } else if let Some(area) = self.area
                    && let Some(number) = words::hex(word)
                    && let Some(encoding) = keys::column(area, self.label, self.columns)
                {
                    vmcs.set(encoding, number);
                    self.columns += 1;
                    self.has_columns = true;
                }
                self.before = word;
            }
            Token::Pair(key, value) => {
                if let Some(area) = self.area {
                    for (encoding, value) in keys::find(area, self.label, self.before, key)
                        .into_iter()
                        .zip(Value::of(key, value))
                    {
                        vmcs.set(encoding, value);
                    }
                }
                self.before = "";
            }
        }
    }
}
