//! The command line.

mod debugging;
mod firmware;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use boot_plan::MemoryMap;
use elf_boot::Protocol;
use lexopt::{Arg, Parser, ValueExt};
use machine::HandOver;

pub(crate) use debugging::{Debugging, GdbAddress, TraceTo};
pub(crate) use firmware::Firmware;

use crate::disk::DiskOption;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Runs a guest on KVM. Without options: the tour guest, which says what it found and powers off.

Usage: kvm-vmm [OPTIONS]

What runs:
  --kernel FILE         a kernel to start at its own entry point (ELF with a PVH note or a Multiboot
                        header, vmlinux, bzImage); default: the tour guest
  --initrd FILE         an initial RAM disk for it
  --cmdline TEXT        its command line
  --protocol NAME       how to start it: auto, pvh, multiboot2, multiboot, linux64, linux32;
                        default: auto, the first of these that will do
  --firmware FILE|seabios|ovmf
                        firmware to start at the reset vector instead: a BIOS, which finds the tour
                        guest on a floppy, or OVMF, which starts the kernel that is given as an EFI
                        application, or else its shell
  --firmware-vars FILE  where OVMF keeps its variables; made if it is not there and a template is;
                        default: nowhere, they last until the guest ends
  --via-hvmloader[=xen|fw-cfg]
                        an hvmloader in the guest puts the firmware in place, and jumps to it; the
                        firmware takes its tables from there, as on Xen, or from the configuration
                        device; default: xen; with --firmware

What it runs on:
  --memory SIZE         RAM, with K, M, G or T; default: 256M
  --cpus N              virtual CPUs; default: 1
  --disk FILE[,readonly]
                        a disk with this file's contents, up to 16 times: virtio-blk; a BIOS boots
                        from the first one, and has no floppy then; not with --via-hvmloader
  --on-reset reboot|exit
                        what a reset by the guest does; default: reboot

What is seen:
  --console stdio|null|FILE
                        the guest's serial console; default: stdio
  --debugcon stderr|null|FILE
                        what the guest writes to the debug ports 402h and E9h; default: null, with
                        --firmware stderr
  --dry-run[=text|json|svg]
                        print what the guest would find at its first instruction, and end
  --stats[=text|json]   at the end, print what the run took to stderr
  --trace-exits FILE    write a line for each time that a CPU leaves the guest; - is stderr
  --gdb ADDRESS:PORT|:PORT|unix:PATH
                        wait for gdb at the guest's first instruction; :PORT is this machine's alone
  --timeout SECONDS     end the guest after this time
  -h, --help            print this
  -V, --version         print the version

Exit status: 0 the guest powered off; (v << 1) | 1 it wrote v to port F4h; 64 usage; 65 bad image;
66 file missing; 69 /dev/kvm or the host can't be used; 70 the guest crashed; 80 it reset under --on-reset exit;
124 timeout; 128 + n ended by signal n. Ctrl-C ends the guest and restores the terminal.
";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// `--kernel`.
    pub kernel: Option<PathBuf>,
    /// `--initrd`.
    pub initrd: Option<PathBuf>,
    /// `--cmdline`.
    pub cmdline: String,
    /// `--protocol`.
    pub protocol: Option<Protocol>,
    /// `--firmware`.
    pub firmware: Option<Firmware>,
    /// `--firmware-vars`.
    pub firmware_vars: Option<PathBuf>,
    /// `--via-hvmloader`.
    pub via_hvmloader: Option<HandOver>,
    /// `--memory`, in bytes.
    pub memory_bytes: u64,
    /// `--cpus`.
    pub cpus: u32,
    /// `--disk`, each time.
    pub disks: Vec<DiskOption>,
    /// `--on-reset`.
    pub on_reset: OnReset,
    /// `--console`.
    pub console: Console,
    /// `--debugcon`.
    pub debugcon: Option<Debugcon>,
    /// `--dry-run`.
    pub dry_run: Option<DryRun>,
    /// `--stats`.
    pub stats: Option<Format>,
    /// `--timeout`.
    pub timeout: Option<Duration>,
    /// What those ask for who watch the guest.
    pub debugging: Debugging,
}

/// What a reset does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnReset {
    /// Start the guest again.
    Reboot,
    /// End.
    Exit,
}

/// Where the console is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Console {
    /// Standard input and output.
    Stdio,
    /// Nowhere.
    Null,
    /// Output goes to this file.
    File(PathBuf),
}

/// Where debug output goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Debugcon {
    /// To standard error.
    Stderr,
    /// Nowhere.
    Null,
    /// To this file.
    File(PathBuf),
}

/// In which form something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// What a dry run prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DryRun {
    /// All that there is.
    Report(Format),
    /// Where things are, as SVG.
    #[cfg(feature = "svg")]
    Picture,
}

/// What the command line comes to.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    /// Run, or plan, a guest.
    Run(Box<Options>),
    /// Print this on standard output.
    Print(String),
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kernel: None,
            initrd: None,
            cmdline: String::new(),
            protocol: None,
            firmware: None,
            firmware_vars: None,
            via_hvmloader: None,
            memory_bytes: 256 << 20,
            cpus: 1,
            disks: Vec::new(),
            on_reset: OnReset::Reboot,
            console: Console::Stdio,
            debugcon: None,
            dry_run: None,
            stats: None,
            timeout: None,
            debugging: Debugging::default(),
        }
    }
}

/// Parses the arguments behind the program's name.
///
/// # Errors
/// What is wrong with them, in one line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, String> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let Arg::Long(name) = argument else {
            match argument {
                Arg::Short('h') => return Ok(Parsed::Print(HELP.to_owned())),
                Arg::Short('V') => return Ok(Parsed::Print(version())),
                other => return Err(other.unexpected().to_string()),
            }
        };
        let name = name.to_owned();
        match name.as_str() {
            "help" => return Ok(Parsed::Print(HELP.to_owned())),
            "version" => return Ok(Parsed::Print(version())),
            "dry-run" => options.dry_run = Some(dry_run(parser.optional_value())?),
            "via-hvmloader" => options.via_hvmloader = Some(hand_over(parser.optional_value())?),
            "stats" => options.stats = Some(format(&name, parser.optional_value())?),
            _ => {
                let mut value =
                    || parser.value().map_err(|_| format!("--{name} needs a value; see --help"));
                option(&mut options, &name, &mut value)?;
            }
        }
    }
    check(&options)?;
    Ok(Parsed::Run(Box::new(options)))
}

fn option(
    options: &mut Options,
    name: &str,
    value: &mut dyn FnMut() -> Result<OsString, String>,
) -> Result<(), String> {
    let text = |value: OsString| {
        value.string().map_err(|_| format!("--{name}: the value is not valid UTF-8"))
    };
    match name {
        "kernel" => options.kernel = Some(value()?.into()),
        "initrd" => options.initrd = Some(value()?.into()),
        "cmdline" => options.cmdline = text(value()?)?,
        "protocol" => {
            let name = text(value()?)?;
            options.protocol = match name.as_str() {
                "auto" => None,
                name => Some(Protocol::from_name(name).ok_or_else(|| {
                    let known: Vec<_> = Protocol::ALL.iter().map(|one| one.name()).collect();
                    format!("--protocol {name}: not one of auto, {}", known.join(", "))
                })?),
            };
        }
        "firmware" => options.firmware = Some(Firmware::parse(value()?)),
        "firmware-vars" => options.firmware_vars = Some(value()?.into()),
        "memory" => {
            let size = text(value()?)?;
            options.memory_bytes = parse_size(&size).ok_or_else(|| {
                format!("--memory {size}: not a size; write bytes, or a number with K, M, G or T")
            })?;
        }
        "cpus" => {
            let count = text(value()?)?;
            options.cpus = match count.parse() {
                Ok(count @ 1..=255) => count,
                _ => return Err(format!("--cpus {count}: not a number from 1 to 255")),
            };
        }
        "disk" => options.disks.push(DiskOption::parse(value()?)?),
        "on-reset" => {
            let what = text(value()?)?;
            options.on_reset = match what.as_str() {
                "reboot" => OnReset::Reboot,
                "exit" => OnReset::Exit,
                _ => return Err(format!("--on-reset {what}: neither reboot nor exit")),
            };
        }
        "console" => {
            let value = value()?;
            options.console = match value.to_str() {
                Some("stdio") => Console::Stdio,
                Some("null") => Console::Null,
                _ => Console::File(value.into()),
            };
        }
        "debugcon" => {
            let value = value()?;
            options.debugcon = Some(match value.to_str() {
                Some("stderr") => Debugcon::Stderr,
                Some("null") => Debugcon::Null,
                _ => Debugcon::File(value.into()),
            });
        }
        "timeout" => {
            let seconds = text(value()?)?;
            let limit = seconds.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
            options.timeout = Some(limit.filter(|limit| !limit.is_zero()).ok_or_else(|| {
                format!("--timeout {seconds}: not a number of seconds above zero")
            })?);
        }
        _ if options.debugging.take(name, value)? => {}
        _ => return Err(format!("unknown option --{name}; see --help")),
    }
    Ok(())
}

/// Refuses what makes no sense, alone or together.
fn check(options: &Options) -> Result<(), String> {
    let (least, most) = (MemoryMap::PC_LEAST_BYTES, MemoryMap::PC_MOST_BYTES);
    if !(least..=most).contains(&options.memory_bytes) {
        let (bytes, least, most) = (options.memory_bytes, least >> 20, most >> 30);
        return Err(format!("--memory: {bytes} bytes; a guest has from {least}M to {most}G"));
    }
    if options.initrd.is_some() && options.kernel.is_none() {
        return Err("--initrd is a kernel's: only with --kernel".to_owned());
    }
    if !options.disks.is_empty() && options.via_hvmloader.is_some() {
        return Err("--disk: not with --via-hvmloader, whose tables know of none".to_owned());
    }
    firmware::check(options)
}

fn hand_over(value: Option<OsString>) -> Result<HandOver, String> {
    match value.as_deref().map(|value| value.to_string_lossy()).as_deref() {
        None => Ok(HandOver::default()),
        Some("xen") => Ok(HandOver::Xen),
        Some("fw-cfg") => Ok(HandOver::FwCfg),
        Some(other) => Err(format!("--via-hvmloader={other}: neither xen nor fw-cfg")),
    }
}

fn dry_run(value: Option<OsString>) -> Result<DryRun, String> {
    match value {
        #[cfg(feature = "svg")]
        Some(value) if value == "svg" => Ok(DryRun::Picture),
        #[cfg(not(feature = "svg"))]
        Some(value) if value == "svg" => {
            Err("--dry-run=svg: built without it; add --features kvm-vmm/svg".to_owned())
        }
        value => format("dry-run", value)
            .map(DryRun::Report)
            .map_err(|error| error.replace("neither text nor json", "not text, json or svg")),
    }
}

fn format(name: &str, value: Option<OsString>) -> Result<Format, String> {
    match value.as_deref().map(|value| value.to_string_lossy()).as_deref() {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some(other) => Err(format!("--{name}={other}: neither text nor json")),
    }
}

/// Parses a number of bytes with an optional unit.
fn parse_size(text: &str) -> Option<u64> {
    let (number, shift) = match text.char_indices().next_back()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M' | 'm') => (&text[..at], 20),
        (at, 'G' | 'g') => (&text[..at], 30),
        (at, 'T' | 't') => (&text[..at], 40),
        _ => (text, 0),
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn version() -> String {
    format!("kvm-vmm {}\n", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(arguments: &[&str]) -> Result<Options, String> {
        match parse(arguments.iter().map(OsString::from))? {
            Parsed::Run(options) => Ok(*options),
            Parsed::Print(text) => Err(text),
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("128M"), Some(128 << 20));
        assert_eq!(parse_size("1t"), Some(1 << 40));
        assert_eq!(parse_size("4096"), Some(4096));
        for wrong in ["", "M", "-1", "1X", "1.5G", "99999999999999999999", "16777216T"] {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn every_option_of_the_help_is_known() {
        let names = HELP.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        for name in names.map(|name| name.trim_end_matches([',', ';', '.'])) {
            let name = name.split(['[', '=']).next().unwrap();
            let error = run(&[&format!("--{name}"), "?"]).err().unwrap_or_default();
            assert!(!error.contains("unknown option"), "{name}: {error}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        for (arguments, error) in [
            (&["--kernel"][..], "--kernel needs a value; see --help"),
            (&["--bios", "x"], "unknown option --bios; see --help"),
            (&["--cpus", "0"], "--cpus 0: not a number from 1 to 255"),
            (&["--dry-run=xml"], "--dry-run=xml: not text, json or svg"),
            (&["--timeout", "-1"], "--timeout -1: not a number of seconds above zero"),
            (&["--timeout", "NaN"], "--timeout NaN: not a number of seconds above zero"),
            (
                &["--firmware", "seabios", "--kernel", "x"],
                "--kernel: a BIOS starts no kernel; OVMF does",
            ),
            (
                &["--firmware", "ovmf", "--protocol", "pvh"],
                "--protocol starts a kernel directly: not with --firmware",
            ),
            (
                &["--firmware", "ovmf", "--via-hvmloader"],
                "--via-hvmloader starts a BIOS: not with --firmware ovmf",
            ),
            (&["--initrd", "x"], "--initrd is a kernel's: only with --kernel"),
            (
                &["--via-hvmloader"],
                "--via-hvmloader brings firmware to its place: only with --firmware",
            ),
            (
                &["--firmware-vars", "x"],
                "--firmware-vars is OVMF's: only with --firmware ovmf, or its file",
            ),
            (
                &["--firmware", "seabios", "--firmware-vars", "x"],
                "--firmware-vars is OVMF's: only with --firmware ovmf, or its file",
            ),
            (
                &["--via-hvmloader=bios", "--firmware", "seabios"],
                "--via-hvmloader=bios: neither xen nor fw-cfg",
            ),
            (
                &["--protocol", "efi"],
                "--protocol efi: not one of auto, pvh, multiboot2, multiboot, linux64, linux32",
            ),
        ] {
            assert_eq!(run(arguments).unwrap_err(), error);
        }
    }
}
