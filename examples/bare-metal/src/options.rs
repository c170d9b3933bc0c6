//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use bare_metal_image::{FieldValue, MOST_GUESTS};
use lexopt::{Arg, Parser, ValueExt};

use crate::guest_options::{GuestOptions, parse_size};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Runs guests on the bare-metal hypervisor, in Bochs. Without options: the tour guest, which says
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
  --vm \"WORDS\"          once for each of several guests, instead of these: the options as words,
                        such as \"kernel=FILE memory=64M cmdline=console=ttyS0 quiet\", where the
                        command line is all the rest; each has a processor of its own, and each
                        line of its console begins with its number

What it runs on:
  --memory SIZE         the guest's RAM, with K, M or G; default: 256M
  --on-reset reboot|exit
                        what a reset by the guest does; default: reboot
  --cpu-model NAME      Bochs' model of the processor, or a part of its name; default: tigerlake
  --cpus N              the host's processors; default: one for each guest
  --boot rom|grub       how the hypervisor is started: from a ROM made for it, or by GRUB from an
                        ISO on a BIOS; default: rom
  --iso FILE            write that ISO, for a real machine, and run nothing
  --lock-vmx-off        start as firmware leaves a processor on which VMX is switched off
  --host-memory SIZE    the host's RAM; default: what the guest needs, and 256M

What is seen:
  --console stdio|null|FILE
                        the guest's serial console; default: stdio; of several guests FILE.1, FILE.2
                        and so on
  --debugcon stderr|null|FILE
                        what the guest writes to the debug ports 402h and E9h; default: null, with
                        firmware stderr
  --stats               at the end, print what the run took to stderr
  --set FIELD=VALUE     write a field of the guest's state in the VMCS before the first entry, such
                        as GUEST_RFLAGS=0: if it breaks a rule, the rule is named
  --timeout SECONDS     end everything after this time
  --max-ticks N         end everything after so many ticks of Bochs, which are instructions
  --trace FROM,COUNT    print COUNT instructions that the processor executes from tick FROM on, the
                        hypervisor's and the guest's, and end
  -h, --help            print this
  -V, --version         print the version

Exit status, of several guests that of the first whose is not 0: 0 the guest powered off; (v << 1) | 1 it wrote v to port F4h; 64 usage; 65 bad image;
66 file missing; 69 no Bochs, or a processor without what the hypervisor needs; 70 the guest
crashed; 80 it reset under --on-reset exit; 124 time or ticks are up; 128 + n ended by signal n.
";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// One at least.
    pub(crate) guests: Vec<GuestOptions>,
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
            guests: vec![GuestOptions::default()],
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
    // The one guest without `--vm`, and what is said of it.
    let mut guest = GuestOptions::default();
    let mut said = None;
    let mut vms = Vec::new();
    let mut cpus = None;
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
                let value = parser.optional_value();
                let value = value.as_deref().map(|value| value.to_string_lossy());
                let value = value.as_deref();
                guest.set_via_hvmloader(value).map_err(|wrong| {
                    format!("--via-hvmloader={}: {wrong}", value.unwrap_or_default())
                })?;
                said = Some("via-hvmloader".to_owned());
                continue;
            }
            Arg::Long(name) => name.to_owned(),
            other => return Err(other.unexpected().to_string()),
        };
        let is_guests = GuestOptions::NAMES.contains(&name.as_str());
        if !is_guests && !KNOWN.contains(&name.as_str()) {
            return Err(format!("unknown option --{name}; see --help"));
        }
        let value = parser.value().map_err(|_| format!("--{name} needs a value; see --help"))?;
        if is_guests {
            let shown = value.to_string_lossy().into_owned();
            guest.set(&name, value).map_err(|wrong| format!("--{name} {shown}: {wrong}"))?;
            // The size is a good default for several.
            said = if name == "memory" { said } else { Some(name) };
        } else if name == "vm" {
            let words = value.string().map_err(|_| "--vm: the value is not valid UTF-8")?;
            vms.push(words);
        } else {
            option(&mut options, &mut cpus, &name, value)?;
        }
    }
    guest.check()?;
    if let (Some(name), false) = (said, vms.is_empty()) {
        return Err(format!("--{name} is for a single guest: beside --vm, say it in its words"));
    }
    if vms.len() > usize::from(MOST_GUESTS) {
        return Err(format!("--vm: {} guests; at most {MOST_GUESTS}", vms.len()));
    }
    let several = vms
        .iter()
        .map(|words| guest.with_words(words).map_err(|wrong| format!("--vm {words:?}: {wrong}")));
    options.guests = several.collect::<Result<_, _>>()?;
    if options.guests.is_empty() {
        options.guests.push(guest);
    }
    let count = u32::try_from(options.guests.len()).unwrap_or(u32::MAX);
    options.cpus = cpus.unwrap_or(count);
    if options.cpus < count {
        return Err(format!("--cpus {}: {count} guests need a processor each", options.cpus));
    }
    if options.lock_vmx_off && options.boot == Start::Grub {
        return Err("--lock-vmx-off is done by the ROM: not with --boot grub".to_owned());
    }
    Ok(Parsed::Run(Box::new(options)))
}

/// The options of the whole run that have a value.
const KNOWN: [&str; 13] = [
    "vm",
    "trace",
    "set",
    "boot",
    "iso",
    "on-reset",
    "cpu-model",
    "cpus",
    "host-memory",
    "console",
    "debugcon",
    "timeout",
    "max-ticks",
];

fn option(
    options: &mut Options,
    cpus: &mut Option<u32>,
    name: &str,
    value: OsString,
) -> Result<(), String> {
    if name == "iso" {
        options.iso = Some(PathBuf::from(value));
        return Ok(());
    }
    let text = value.string().map_err(|_| format!("--{name}: the value is not valid UTF-8"))?;
    let wrong = |what: &str| format!("--{name} {text}: {what}");
    match name {
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
            *cpus = Some(count.ok_or_else(|| wrong("not a number from 1 to 8"))?);
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

fn output(text: &str, standard: &str) -> Output {
    match text {
        "null" => Output::Null,
        text if text == standard => Output::Standard,
        text => Output::File(text.into()),
    }
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
    fn several_guests_have_a_processor_each_and_one_default_size() {
        let arguments = ["--vm", "memory=8M", "--memory", "32M", "--vm", "cmdline=a b"];
        let Ok(Parsed::Run(options)) = parse(arguments.iter().map(OsString::from)) else {
            panic!("refused");
        };
        let guests = options.guests.iter().map(|guest| (guest.memory_bytes >> 20, &*guest.cmdline));
        assert_eq!(guests.collect::<Vec<_>>(), [(8, ""), (32, "a b")]);
        assert_eq!(options.cpus, 2);
    }

    #[test]
    fn errors_say_what_to_do() {
        for (arguments, error) in [
            (&["--kernel"][..], "--kernel needs a value; see --help"),
            (&["--via-hvmloader"], "an hvmloader brings firmware to its place: only with firmware"),
            (&["--initrd", "x"], "an initrd is a kernel's: only with a kernel"),
            (
                &["--vm", "", "--kernel", "x"],
                "--kernel is for a single guest: beside --vm, say it in its words",
            ),
            (&["--vm", "", "--vm", "", "--cpus", "1"], "--cpus 1: 2 guests need a processor each"),
            (
                &["--vm", "initrd=x"],
                "--vm \"initrd=x\": an initrd is a kernel's: only with a kernel",
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
