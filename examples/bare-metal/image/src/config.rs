//! The hypervisor's command line.

use elf_boot::Protocol;
use machine::HandOver;
use vmx::{FIELDS, FieldEncoding, FieldGroup};

/// What the command line asks for: words, and behind `--` the guest's own command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config<'a> {
    /// `memory=BYTES`: the guest's RAM.
    pub memory_bytes: u64,
    /// `protocol=NAME`: how to start the kernel.
    pub protocol: Option<Protocol>,
    /// `hand-over=xen` or `fw-cfg`: from whom the firmware has its tables if an hvmloader starts it.
    pub hand_over: HandOver,
    /// `on-reset=exit`: a reset by the guest ends the run.
    pub exit_on_reset: bool,
    /// `stats`: say at the end what the run took.
    pub stats: bool,
    /// `set=FIELD=VALUE`: what to write to the VMCS before the first entry.
    pub set: Option<FieldValue>,
    /// Everything behind `--`.
    pub guest_command_line: &'a str,
}

/// Reads the name of a way to hand over.
#[must_use]
pub fn hand_over(name: &str) -> Option<HandOver> {
    match name {
        "xen" => Some(HandOver::Xen),
        "fw-cfg" => Some(HandOver::FwCfg),
        _ => None,
    }
}

/// A value for a field of the guest-state area: the host stays as it is, whatever the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldValue {
    /// The field.
    pub field: FieldEncoding,
    /// The value.
    pub value: u64,
}

impl FieldValue {
    /// Reads `GUEST_RFLAGS=0x2`: the name of a constant in `vmx::field`, and a number.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (name, number) = text.split_once('=')?;
        let info = FIELDS.iter().find(|info| info.constant == name)?;
        let value = match number.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => number.parse(),
        };
        let field = info.encoding;
        let is_guests = field.group() == FieldGroup::GuestState;
        value.ok().filter(|_| is_guests).map(|value| Self { field, value })
    }
}

/// What is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError<'a> {
    /// A word that means nothing.
    #[error("option {word:?} is not known")]
    Unknown {
        /// The word.
        word: &'a str,
    },
    /// A value that makes no sense.
    #[error("option {word:?}: the value makes no sense")]
    Value {
        /// The word.
        word: &'a str,
    },
}

impl<'a> Config<'a> {
    /// Reads a command line.
    ///
    /// # Errors
    /// The first word that is not understood.
    pub fn parse(line: &'a str) -> Result<Self, ConfigError<'a>> {
        let (options, guest_command_line) = match line.split_once("-- ") {
            Some((options, rest)) => (options, rest),
            None => (line.strip_suffix("--").unwrap_or(line), ""),
        };
        let mut config = Self {
            memory_bytes: 256 << 20,
            protocol: None,
            hand_over: HandOver::default(),
            exit_on_reset: false,
            stats: false,
            set: None,
            guest_command_line,
        };
        for word in options.split_ascii_whitespace() {
            let wrong = ConfigError::Value { word };
            match word.split_once('=') {
                Some(("memory", bytes)) => {
                    config.memory_bytes = bytes.parse().map_err(|_| wrong)?;
                }
                Some(("protocol", name)) => {
                    config.protocol = Some(Protocol::from_name(name).ok_or(wrong)?);
                }
                Some(("hand-over", name)) => config.hand_over = hand_over(name).ok_or(wrong)?,
                Some(("set", text)) => config.set = Some(FieldValue::parse(text).ok_or(wrong)?),
                Some(("on-reset", "exit")) => config.exit_on_reset = true,
                Some(("on-reset", "reboot")) => {}
                None if word == "stats" => config.stats = true,
                _ => return Err(ConfigError::Unknown { word }),
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_hypervisors_and_the_rest_is_the_guests() {
        let config =
            Config::parse("memory=134217728 protocol=pvh stats -- console=ttyS0 -- x").unwrap();
        assert_eq!(config.memory_bytes, 128 << 20);
        assert_eq!(config.protocol, Some(Protocol::Pvh));
        assert!(config.stats && !config.exit_on_reset);
        assert_eq!(config.guest_command_line, "console=ttyS0 -- x");
        assert_eq!(Config::parse("stats --").unwrap().guest_command_line, "");
    }

    #[test]
    fn only_fields_of_the_guest_are_set() {
        let config = Config::parse("set=GUEST_RFLAGS=0x12").unwrap();
        let field = FieldEncoding::new(0x6820);
        assert_eq!(config.set, Some(FieldValue { field, value: 0x12 }));
        for text in ["HOST_RIP=0", "PIN_BASED_CONTROLS=0", "GUEST_RFLAGS", "GUEST_RFLAGS=x", "X=1"]
        {
            assert_eq!(FieldValue::parse(text), None, "{text}");
        }
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        let word = "memoy=1";
        assert_eq!(Config::parse(word), Err(ConfigError::Unknown { word }));
        let word = "memory=1M";
        assert_eq!(Config::parse(word), Err(ConfigError::Value { word }));
    }
}
