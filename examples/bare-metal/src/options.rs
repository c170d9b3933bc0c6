//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bare_metal_image::{FieldValue, hand_over};
use elf_boot::Protocol;
use lexopt::{Arg, Parser, ValueExt};
use machine::HandOver;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Runs a guest on the bare-metal hypervisor, in Bochs. Without options: the tour guest, which says
what it found and powers off.

Usage: bare-metal [OPTIONS]

What runs:
  --kernel FILE         a kernel to start at its own entry point (ELF with a PVH note, vmlinux,
                        bzImage); default: the tour guest
  --initrd FILE         an initial RAM disk for it
  --cmdline TEXT        its command line
  --protocol NAME       how to start it: auto, pvh, multiboot2, multiboot, linux64, linux32;
                        default: auto
  --firmware FILE       firmware to start at the reset vector instead: a BIOS, which finds the tour
                        guest on a floppy, or OVMF, which starts the kernel that is given as an EFI
                        application, or else its shell
  --via-hvmloader[=xen|fw-cfg]
                        an hvmloader in the guest puts the firmware in place, and jumps to it; the
                        firmware takes its tables from there, as on Xen, or from the configuration
                        device; default: xen; with --firmware

What it runs on:
  --memory SIZE         the guest's RAM, with K, M or G; default: 256M
  --on-reset reboot|exit
                        what a reset by the guest does; default: reboot
  --cpu-model NAME      Bochs' model of the processor, or a part of its name; default: tigerlake
  --cpus N              the host's processors; default: 1
  --boot rom|grub       how the hypervisor is started: from a ROM made for it, or by GRUB from an
                        ISO on a BIOS; default: rom
  --iso FILE            write that ISO, for a real machine, and run nothing
  --lock-vmx-off        start as firmware leaves a processor on which VMX is switched off
  --host-memory SIZE    the host's RAM; default: what the guest needs, and 256M

What is seen:
  --console stdio|null|FILE
                        the guest's serial console; default: stdio
  --debugcon stderr|null|FILE
                        what the guest writes to the debug ports 402h and E9h; default: null, with
                        --firmware stderr
  --stats               at the end, print what the run took to stderr
  --set FIELD=VALUE     write a field of the guest's state in the VMCS before the first entry, such
                        as GUEST_RFLAGS=0: if it breaks a rule, the rule is named
  --timeout SECONDS     end everything after this time
  --max-ticks N         end everything after so many ticks of Bochs, which are instructions
  --trace FROM,COUNT    print COUNT instructions that the processor executes from tick FROM on, the
                        hypervisor's and the guest's, and end
  -h, --help            print this
  -V, --version         print the version

Exit status: 0 the guest powered off; (v << 1) | 1 it wrote v to port F4h; 64 usage; 65 bad image;
66 file missing; 69 no Bochs, or a processor without what the hypervisor needs; 70 the guest
crashed; 80 it reset under --on-reset exit; 124 time or ticks are up; 128 + n ended by signal n.
";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) kernel: Option<PathBuf>,
    pub(crate) initrd: Option<PathBuf>,
    pub(crate) cmdline: String,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) firmware: Option<PathBuf>,
    pub(crate) via_hvmloader: Option<HandOver>,
    pub(crate) memory_bytes: u64,
    pub(crate) exit_on_reset: bool,
    pub(crate) cpu_model: String,
    pub(crate) cpus: u32,
    pub(crate) boot: Start,
    pub(crate) iso: Option<PathBuf>,
    pub(crate) lock_vmx_off: bool,
    pub(crate) host_memory_bytes: Option<u64>,
    pub(crate) console: Output,
    pub(crate) debugcon: Option<Output>,
    pub(crate) stats: bool,
    /// As [`FieldValue::parse`] reads it.
    pub(crate) set: Option<String>,
    pub(crate) timeout: Option<Duration>,
    /// Bochs, where it is not the one that is found.
    pub(crate) bochs: Option<PathBuf>,
    pub(crate) max_ticks: Option<u64>,
    /// First tick and number of instructions.
    pub(crate) trace: Option<(u64, u64)>,
}

/// Where something is printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// To standard output or standard error, whichever it is for.
    Standard,
    /// Nowhere.
    Null,
    /// To this file.
    File(PathBuf),
}

/// How the hypervisor is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// From a ROM made for it.
    Rom,
    /// By GRUB, from an ISO.
    Grub,
}

/// What the command line comes to.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    /// Run a guest.
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
            via_hvmloader: None,
            memory_bytes: 256 << 20,
            exit_on_reset: false,
            cpu_model: "tigerlake".to_owned(),
            cpus: 1,
            boot: Start::Rom,
            iso: None,
            lock_vmx_off: false,
            host_memory_bytes: None,
            console: Output::Standard,
            debugcon: None,
            stats: false,
            set: None,
            timeout: None,
            bochs: None,
            max_ticks: None,
            trace: None,
        }
    }
}

/// Parses the arguments behind the program's name; an error is one line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, String> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        let name = match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Parsed::Print(HELP.to_owned())),
            Arg::Short('V') | Arg::Long("version") => {
                return Ok(Parsed::Print(format!("bare-metal {}\n", env!("CARGO_PKG_VERSION"))));
            }
            Arg::Long("stats") => {
                options.stats = true;
                continue;
            }
            Arg::Long("lock-vmx-off") => {
                options.lock_vmx_off = true;
                continue;
            }
            Arg::Long("via-hvmloader") => {
                options.via_hvmloader = Some(via_hvmloader(parser.optional_value())?);
                continue;
            }
            Arg::Long(name) => name.to_owned(),
            other => return Err(other.unexpected().to_string()),
        };
        if !KNOWN.contains(&name.as_str()) {
            return Err(format!("unknown option --{name}; see --help"));
        }
        let value = parser.value().map_err(|_| format!("--{name} needs a value; see --help"))?;
        option(&mut options, &name, value)?;
    }
    if options.initrd.is_some() && options.kernel.is_none() {
        return Err("--initrd is a kernel's: only with --kernel".to_owned());
    }
    if options.via_hvmloader.is_some() && options.firmware.is_none() {
        return Err("--via-hvmloader brings firmware to its place: only with --firmware".to_owned());
    }
    if options.lock_vmx_off && options.boot == Start::Grub {
        return Err("--lock-vmx-off is done by the ROM: not with --boot grub".to_owned());
    }
    Ok(Parsed::Run(Box::new(options)))
}

/// The options that have a value.
const KNOWN: [&str; 18] = [
    "trace",
    "set",
    "boot",
    "iso",
    "kernel",
    "initrd",
    "cmdline",
    "protocol",
    "firmware",
    "memory",
    "on-reset",
    "cpu-model",
    "cpus",
    "host-memory",
    "console",
    "debugcon",
    "timeout",
    "max-ticks",
];

fn option(options: &mut Options, name: &str, value: OsString) -> Result<(), String> {
    if let "kernel" | "initrd" | "firmware" | "iso" = name {
        let file = Some(PathBuf::from(value));
        match name {
            "kernel" => options.kernel = file,
            "initrd" => options.initrd = file,
            "iso" => options.iso = file,
            _ => options.firmware = file,
        }
        return Ok(());
    }
    let text = value.string().map_err(|_| format!("--{name}: the value is not valid UTF-8"))?;
    let wrong = |what: &str| format!("--{name} {text}: {what}");
    match name {
        "cmdline" => options.cmdline = text,
        "trace" => {
            let parts = text.split_once(',');
            let parts =
                parts.and_then(|(from, count)| Some((from.parse().ok()?, count.parse().ok()?)));
            options.trace = Some(parts.ok_or_else(|| wrong("not two numbers with a comma"))?);
        }
        "set" => {
            if FieldValue::parse(&text).is_none() {
                return Err(wrong("not a guest-state field as vmx names it, and its value"));
            }
            options.set = Some(text);
        }
        "boot" => {
            options.boot = match text.as_str() {
                "rom" => Start::Rom,
                "grub" => Start::Grub,
                _ => return Err(wrong("neither rom nor grub")),
            };
        }
        "protocol" => {
            options.protocol = match text.as_str() {
                "auto" => None,
                name => Some(Protocol::from_name(name).ok_or_else(|| wrong(&unknown_protocol()))?),
            };
        }
        "memory" => {
            let size = parse_size(&text).filter(|size| (2 << 20..=3 << 30).contains(size));
            options.memory_bytes = size.ok_or_else(|| wrong("not a size from 2M to 3G"))?;
        }
        "host-memory" => {
            let size = parse_size(&text).filter(|size| (32 << 20..=2 << 30).contains(size));
            options.host_memory_bytes =
                Some(size.ok_or_else(|| wrong("not a size from 32M to 2G"))?);
        }
        "on-reset" => {
            options.exit_on_reset = match text.as_str() {
                "reboot" => false,
                "exit" => true,
                _ => return Err(wrong("neither reboot nor exit")),
            };
        }
        "cpu-model" => {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            if text.is_empty() || !text.chars().all(is_name) {
                return Err(wrong("not a name"));
            }
            options.cpu_model = text;
        }
        "cpus" => {
            let count = text.parse().ok().filter(|count| (1..=8).contains(count));
            options.cpus = count.ok_or_else(|| wrong("not a number from 1 to 8"))?;
        }
        "console" => options.console = output(&text, "stdio"),
        "debugcon" => options.debugcon = Some(output(&text, "stderr")),
        "timeout" => {
            let limit = text.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
            let limit = limit.filter(|limit| !limit.is_zero());
            options.timeout =
                Some(limit.ok_or_else(|| wrong("not a number of seconds above zero"))?);
        }
        _ => {
            let ticks = text.parse().ok().filter(|ticks| *ticks > 0);
            options.max_ticks = Some(ticks.ok_or_else(|| wrong("not a number above zero"))?);
        }
    }
    Ok(())
}

fn via_hvmloader(value: Option<OsString>) -> Result<HandOver, String> {
    let Some(value) = value else { return Ok(HandOver::default()) };
    let name = value.to_string_lossy();
    hand_over(&name).ok_or_else(|| format!("--via-hvmloader={name}: neither xen nor fw-cfg"))
}

fn output(text: &str, standard: &str) -> Output {
    match text {
        "null" => Output::Null,
        text if text == standard => Output::Standard,
        text => Output::File(text.into()),
    }
}

fn unknown_protocol() -> String {
    let known: Vec<_> = Protocol::ALL.iter().map(|one| one.name()).collect();
    format!("not one of auto, {}", known.join(", "))
}

/// Parses a number of bytes with an optional unit.
fn parse_size(text: &str) -> Option<u64> {
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
    fn every_option_of_the_help_is_known() {
        let names = HELP.split_whitespace().filter_map(|word| word.strip_prefix("--"));
        for name in names.map(|name| name.trim_end_matches([',', ';', '.', ':'])) {
            let name = name.split(['[', '=']).next().unwrap();
            let error = parse([format!("--{name}").into(), "?".into()]).err().unwrap_or_default();
            assert!(!error.contains("unknown option"), "{name}: {error}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        for (arguments, error) in [
            (&["--kernel"][..], "--kernel needs a value; see --help"),
            (
                &["--via-hvmloader"],
                "--via-hvmloader brings firmware to its place: only with --firmware",
            ),
            (&["--via-hvmloader=x"], "--via-hvmloader=x: neither xen nor fw-cfg"),
            (&["--bios", "x"], "unknown option --bios; see --help"),
            (&["--cpus", "0"], "--cpus 0: not a number from 1 to 8"),
            (&["--cpu-model", "a b"], "--cpu-model a b: not a name"),
            (&["--memory", "1T"], "--memory 1T: not a size from 2M to 3G"),
            (
                &["--set", "HOST_RIP=0"],
                "--set HOST_RIP=0: not a guest-state field as vmx names it, and its value",
            ),
            (
                &["--protocol", "efi"],
                "--protocol efi: not one of auto, pvh, multiboot2, multiboot, linux64, linux32",
            ),
        ] {
            assert_eq!(parse(arguments.iter().map(OsString::from)).unwrap_err(), error);
        }
    }
}
