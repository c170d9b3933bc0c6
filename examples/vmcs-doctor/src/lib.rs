#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod dump;
mod explain;
mod options;
mod report;
mod words;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use vmx::VmxCaps;

pub use dump::{Dump, Kind, NoDump, Said};
pub use explain::explain;
pub use report::{Report, report};

use options::{HELP, Options, Request, Source};

/// Exit status: no rule is broken.
const HEALTHY: u8 = 0;
/// Exit status: a rule is broken.
const BROKEN: u8 = 1;
/// Exit status: the command line is wrong.
const USAGE: u8 = 64;
/// Exit status: there is no VMCS in what was read.
const BAD_DATA: u8 = 65;
/// Exit status: a file can't be read.
const NO_FILE: u8 = 66;

/// Why it ends without a report, with the exit status.
struct Failure {
    status: u8,
    message: String,
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match run() {
        Ok((text, status)) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::from(status),
            // Whoever reads the output has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(status),
            Err(error) => {
                eprintln!("vmcs-doctor: {error}");
                ExitCode::from(NO_FILE)
            }
        },
        Err(Failure { status, message }) => {
            eprintln!("vmcs-doctor: {message}");
            ExitCode::from(status)
        }
    }
}

fn run() -> Result<(String, u8), Failure> {
    let usage = |message| Failure { status: USAGE, message };
    let Options { request, caps } = match options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => options,
        Ok(None) => return Ok((HELP.to_owned(), HEALTHY)),
        Err(error) => return Err(usage(format!("{error}; try --help"))),
    };
    let caps = caps.map(|name| capabilities(&name)).transpose()?;
    let source = match request {
        Request::Explain(text) => {
            let unknown = || usage(format!("nothing is known of \"{text}\"; try --help"));
            return Ok((explain(&text).ok_or_else(unknown)?, HEALTHY));
        }
        Request::Models => {
            let names = VmxCaps::MODELS.iter().fold(String::new(), |mut names, (name, _)| {
                let _ = writeln!(names, "{name}");
                names
            });
            return Ok((names, HEALTHY));
        }
        Request::Check(source) => source,
    };
    let text = read(&source)?;
    let dump = Dump::parse(&text).map_err(|error| {
        let message = format!("{}: {error}", source.name());
        Failure { status: BAD_DATA, message }
    })?;
    let report = report(&dump, caps.as_ref());
    let status = if report.broken == 0 { HEALTHY } else { BROKEN };
    Ok((report.text, status))
}

/// Reads all of a source as text; bytes that are no UTF-8 become question marks, as logs have some.
fn read(source: &Source) -> Result<String, Failure> {
    let bytes = match source {
        Source::Stdin => {
            let mut bytes = Vec::new();
            io::stdin().read_to_end(&mut bytes).map(|_| bytes)
        }
        Source::File(path) => fs::read(path),
    };
    match bytes {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            let message = format!("{}: {error}", source.name());
            Err(Failure { status: NO_FILE, message })
        }
    }
}

/// Finds capabilities by the name of a model, or reads them from a file.
fn capabilities(name: &str) -> Result<VmxCaps, Failure> {
    if let Some(caps) = VmxCaps::model(name) {
        return Ok(*caps);
    }
    let text = fs::read_to_string(Path::new(name)).map_err(|error| Failure {
        status: NO_FILE,
        message: format!("{name} is neither a known model (--models) nor a file: {error}"),
    })?;
    VmxCaps::parse(&text)
        .map_err(|error| Failure { status: BAD_DATA, message: format!("{name}: {error}") })
}
