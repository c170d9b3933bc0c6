//! The program, from its arguments to its exit status.

use std::io::{self, Write};
use std::process::ExitCode;

use bare_metal_image::Channel;

use crate::bochs::{self, Ended, Folder};
use crate::bundle::Files;
use crate::consoles::Outputs;
use crate::failure::Failure;
use crate::options::{Options, Output, Parsed, parse};
use crate::{image, iso};

/// Runs the program with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let status = match parse(std::env::args_os().skip(1)) {
        Ok(Parsed::Print(text)) => {
            // Whoever closed it has seen enough.
            let _ = io::stdout().write_all(text.as_bytes());
            Ok(0)
        }
        Ok(Parsed::Run(options)) => run(&options),
        Err(message) => Err(Failure::Usage(message)),
    };
    ExitCode::from(status.unwrap_or_else(|failure| {
        complain(&failure.to_string());
        failure.status()
    }))
}

fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "bare-metal: {message}");
}

fn run(options: &Options) -> Result<u8, Failure> {
    let hypervisor = image::build("hypervisor")?;
    let files = Files::read(options)?;
    if let Some(iso) = &options.iso {
        let scratch = Folder::new()?;
        iso::write(&hypervisor, &files, &scratch.0, iso)?;
        return Ok(0);
    }
    let has_firmware = options.guests.iter().any(|guest| guest.firmware.is_some());
    let debugcon = match &options.debugcon {
        Some(debugcon) => debugcon,
        None if has_firmware => &Output::Standard,
        None => &Output::Null,
    };
    let count = options.guests.len();
    let mut consoles = Outputs::open(&options.console, count, io::stdout)?;
    let mut debugcons = Outputs::open(debugcon, count, io::stderr)?;
    let mut at_line_start = true;
    let ended = bochs::run(&hypervisor, &files, options, |channel, bytes| match channel {
        Channel::Console(guest) => consoles.write(guest, bytes),
        Channel::Debug(guest) => debugcons.write(guest, bytes),
        Channel::Message | Channel::Status => {
            // Whoever closed it does not want the rest.
            let _ = messages(bytes, &mut at_line_start);
        }
    });
    consoles.finish();
    debugcons.finish();
    let ended = ended?;
    Ok(match ended {
        Ended::Status(status) => status,
        Ended::Timeout => {
            complain("time is up");
            124
        }
        Ended::Signal(number) => {
            complain(&format!("ended by signal {number}"));
            128_u8.wrapping_add(number)
        }
    })
}

/// Prints what the hypervisor says, each line marked as its own.
fn messages(bytes: &[u8], at_line_start: &mut bool) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if *at_line_start {
            stderr.write_all(b"hypervisor: ")?;
        }
        stderr.write_all(line)?;
        *at_line_start = line.ends_with(b"\n");
    }
    Ok(())
}
