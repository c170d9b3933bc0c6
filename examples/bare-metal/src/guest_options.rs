//! What the command line says of a guest: as options of the program, or in the words of `--vm`.

use std::ffi::OsString;
use std::path::PathBuf;

use bare_metal_image::hand_over;
use elf_boot::Protocol;
use machine::HandOver;

/// A guest.
#[derive(Clone, Debug)]
pub(crate) struct GuestOptions {
    pub(crate) kernel: Option<PathBuf>,
    pub(crate) initrd: Option<PathBuf>,
    pub(crate) cmdline: String,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) firmware: Option<PathBuf>,
    pub(crate) via_hvmloader: Option<HandOver>,
    pub(crate) memory_bytes: u64,
}

impl Default for GuestOptions {
    fn default() -> Self {
        Self {
            kernel: None,
            initrd: None,
            cmdline: String::new(),
            protocol: None,
            firmware: None,
            via_hvmloader: None,
            memory_bytes: 256 << 20,
        }
    }
}

impl GuestOptions {
    /// The options that are a guest's, and have a value.
    pub(crate) const NAMES: [&str; 6] =
        ["kernel", "initrd", "firmware", "cmdline", "protocol", "memory"];

    /// Takes one of these options; an error is what is wrong with the value.
    pub(crate) fn set(&mut self, name: &str, value: OsString) -> Result<(), String> {
        match name {
            "kernel" => self.kernel = Some(value.into()),
            "initrd" => self.initrd = Some(value.into()),
            "firmware" => self.firmware = Some(value.into()),
            _ => {
                let text = value.into_string().map_err(|_| "the value is not valid UTF-8")?;
                self.set_text(name, text)?;
            }
        }
        Ok(())
    }

    fn set_text(&mut self, name: &str, text: String) -> Result<(), String> {
        match name {
            "protocol" if text == "auto" => self.protocol = None,
            "protocol" => {
                self.protocol = Some(Protocol::from_name(&text).ok_or_else(unknown_protocol)?);
            }
            "memory" => {
                let size = parse_size(&text).filter(|size| (2 << 20..=3 << 30).contains(size));
                self.memory_bytes = size.ok_or("not a size from 2M to 3G")?;
            }
            _ => self.cmdline = text,
        }
        Ok(())
    }

    /// Takes the option that may have a value.
    pub(crate) fn set_via_hvmloader(&mut self, value: Option<&str>) -> Result<(), String> {
        let named = value.map_or(Some(HandOver::default()), hand_over);
        self.via_hvmloader = Some(named.ok_or("neither xen nor fw-cfg")?);
        Ok(())
    }

    /// Reads what stands behind `--vm`: `kernel=FILE memory=64M cmdline=all the rest`.
    ///
    /// What is not said is as in `self`.
    pub(crate) fn with_words(&self, words: &str) -> Result<Self, String> {
        let mut guest = self.clone();
        let mut rest = words.trim_start();
        while !rest.is_empty() {
            if let Some(cmdline) = rest.strip_prefix("cmdline=") {
                cmdline.clone_into(&mut guest.cmdline);
                break;
            }
            let (word, behind) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            rest = behind.trim_start();
            match word.split_once('=') {
                None if word == "via-hvmloader" => guest.set_via_hvmloader(None)?,
                Some(("via-hvmloader", value)) => guest
                    .set_via_hvmloader(Some(value))
                    .map_err(|wrong| format!("{word}: {wrong}"))?,
                Some((name, value)) if Self::NAMES.contains(&name) => {
                    guest.set(name, value.into()).map_err(|wrong| format!("{word}: {wrong}"))?;
                }
                _ => {
                    let names = Self::NAMES.map(|name| format!("{name}=")).join(", ");
                    return Err(format!("{word:?} is none of {names} or via-hvmloader"));
                }
            }
        }
        guest.check()?;
        Ok(guest)
    }

    /// Refuses what makes no sense together.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.initrd.is_some() && self.kernel.is_none() {
            return Err("an initrd is a kernel's: only with a kernel");
        }
        if self.via_hvmloader.is_some() && self.firmware.is_none() {
            return Err("an hvmloader brings firmware to its place: only with firmware");
        }
        Ok(())
    }
}

fn unknown_protocol() -> String {
    let known: Vec<_> = Protocol::ALL.iter().map(|one| one.name()).collect();
    format!("not one of auto, {}", known.join(", "))
}

/// Parses a number of bytes with an optional unit.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let (number, shift) = match text.char_indices().next_back()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M' | 'm') => (&text[..at], 20),
        (at, 'G' | 'g') => (&text[..at], 30),
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_guest_end_with_its_command_line() {
        let usual = GuestOptions { memory_bytes: 32 << 20, ..GuestOptions::default() };
        let guest = usual.with_words(" kernel=a/b  protocol=pvh cmdline=x=1 memory=2  y ").unwrap();
        assert_eq!(guest.kernel, Some("a/b".into()));
        assert_eq!(guest.protocol, Some(Protocol::Pvh));
        assert_eq!(guest.cmdline, "x=1 memory=2  y ");
        assert_eq!(guest.memory_bytes, 32 << 20);
        let guest = usual.with_words("firmware=b via-hvmloader=fw-cfg memory=64M").unwrap();
        assert_eq!(guest.via_hvmloader, Some(HandOver::FwCfg));
        assert_eq!((guest.memory_bytes, guest.cmdline.as_str()), (64 << 20, ""));
        assert!(usual.with_words("").unwrap().kernel.is_none());
    }

    #[test]
    fn errors_in_words_say_what_to_do() {
        for (words, error) in [
            (
                "memry=1",
                "\"memry=1\" is none of kernel=, initrd=, firmware=, cmdline=, protocol=, memory= \
                 or via-hvmloader",
            ),
            ("memory=1T", "memory=1T: not a size from 2M to 3G"),
            ("initrd=x", "an initrd is a kernel's: only with a kernel"),
            ("via-hvmloader", "an hvmloader brings firmware to its place: only with firmware"),
            ("firmware=x via-hvmloader=y", "via-hvmloader=y: neither xen nor fw-cfg"),
        ] {
            assert_eq!(GuestOptions::default().with_words(words).unwrap_err(), error);
        }
    }
}
