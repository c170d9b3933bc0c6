//! What a pass is: the guest's user space printed the nonce of this run, then the guest powered
//! off, and its kernel had nothing to complain about.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use crate::process::TIMED_OUT;

/// The option on the guest's command line that gives it the nonce.
pub(crate) const NONCE_OPTION: &str = "hvkit.nonce=";

/// What a kernel prints about a platform that is not as it should be, or about itself; and the tour
/// about tables.
pub(crate) const FORBIDDEN: [&str; 18] = [
    "ACPI Error",
    "ACPI Warning",
    "ACPI Exception",
    "ACPI BIOS Error",
    "ACPI BIOS Warning",
    "ACPI BIOS Exception",
    "[Firmware ",
    "DMI not present",
    "no RSDP",
    "no XSDT or RSDT",
    "  no table at ",
    "  no DSDT at ",
    "  no FACS at ",
    "no entry point",
    " WRONG",
    "BUG:",
    "WARNING:",
    "Call Trace",
];

/// What the guest's user space puts before such a line; a quiet console does not show it.
pub(crate) const FORBIDDEN_MARK: &str = "hvkit: forbidden: ";

/// A nonce, new for each run.
pub(crate) fn new_nonce() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Whether user space prints the nonce in this line: it ends in `nonce` and the nonce, two words.
/// A kernel that prints its command line prints the nonce too, but not so.
fn tells_nonce(line: &str, nonce: &str) -> bool {
    let mut words = line.split_whitespace().rev();
    words.next() == Some(nonce) && words.next() == Some("nonce")
}

/// Why a run did not pass.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// This exit status is not that of a guest that powered off.
    Status(i32),
    /// The guest's user space printed the nonce so often, and not as often as it was started.
    Nonces(usize),
    /// The first line with a forbidden pattern in it.
    Forbidden(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(TIMED_OUT) => write!(f, "no end before the time limit"),
            Self::Status(status) => write!(f, "exit status {status}"),
            Self::Nonces(0) => write!(f, "no nonce from the guest's user space"),
            Self::Nonces(count) => write!(f, "nonces from the guest's user space: {count}"),
            Self::Forbidden(line) => write!(f, "forbidden line: {line}"),
        }
    }
}

/// What keeps a run with this exit status and this console output from being a pass, of a guest that
/// had to be started so many times.
pub(crate) fn judge(status: i32, console: &[u8], nonce: &str, starts: usize) -> Vec<Fault> {
    let console = String::from_utf8_lossy(console);
    let mut lines = console.lines().map(|line| line.trim_end_matches('\r'));
    let mut faults = Vec::new();
    if status != 0 {
        faults.push(Fault::Status(status));
    }
    let told = lines.clone().filter(|line| tells_nonce(line, nonce)).count();
    if told != starts {
        faults.push(Fault::Nonces(told));
    }
    if let Some(line) = lines.find(|line| FORBIDDEN.iter().any(|pattern| line.contains(pattern))) {
        faults.push(Fault::Forbidden(line.to_owned()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[    0.000000] Command line: hvkit.nonce=42\r\n\
                        hvkit: cpus 1\r\nhvkit: nonce 42\r\n";

    #[test]
    fn a_nonce_from_user_space_and_power_off_pass() {
        assert_eq!(judge(0, GOOD.as_bytes(), "42", 1), []);
    }

    #[test]
    fn the_kernels_echo_of_the_command_line_is_not_the_nonce() {
        let echo = GOOD.replace("hvkit: nonce 42", "nonce\r\nhvkit.nonce=42\r\nanswer 42");
        assert_eq!(judge(0, echo.as_bytes(), "42", 1), [Fault::Nonces(0)]);
        assert_eq!(judge(0, GOOD.as_bytes(), "4", 1), [Fault::Nonces(0)], "nonce of another run");
    }

    #[test]
    fn a_guest_that_was_not_started_again_fails() {
        assert_eq!(judge(0, GOOD.as_bytes(), "42", 2), [Fault::Nonces(1)]);
        assert_eq!(judge(0, GOOD.repeat(2).as_bytes(), "42", 2), []);
    }

    #[test]
    fn every_status_but_zero_fails() {
        for status in [1, 70, 80, TIMED_OUT] {
            assert_eq!(judge(status, GOOD.as_bytes(), "42", 1), [Fault::Status(status)]);
        }
    }

    #[test]
    fn each_forbidden_pattern_fails_wherever_it_stands() {
        for line in [
            "ACPI BIOS Error (bug): Could not resolve symbol",
            "ACPI BIOS Warning (bug): Incorrect checksum in table [DSDT]",
            "ACPI Exception: AE_NOT_FOUND",
            "ACPI Error: Aborting method",
            "ACPI Warning: SystemIO range conflicts",
            "[Firmware Bug]: TSC doesn't count with P0 frequency!",
            "DMI not present or invalid.",
            "smbios        _SM3_ at 0xf0040, version 3.7, checksum WRONG",
            "smbios        no entry point",
            "  no XSDT or RSDT",
            "  no table at 0xe0000000",
            "  no DSDT at 0x0",
            "  no FACS at 0xffff000",
            "BUG: unable to handle page fault",
            "WARNING: CPU: 0 PID: 1 at kernel/x.c",
            "Call Trace:",
        ] {
            let line = format!("[    1.0] {line}");
            let console = format!("{line}\r\n{GOOD}");
            assert_eq!(judge(0, console.as_bytes(), "42", 1), [Fault::Forbidden(line)]);
        }
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(new_nonce(), new_nonce());
    }
}
