//! The program, from its arguments to its exit status.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use bare_metal_image::Channel;

use crate::bochs::{self, Ended, Folder};
use crate::bundle::Files;
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
    let debugcon = match (&options.debugcon, &options.firmware) {
        (Some(debugcon), _) => debugcon,
        (None, Some(_)) => &Output::Standard,
        (None, None) => &Output::Null,
    };
    let mut console = open(&options.console, Box::new(io::stdout()))?;
    let mut debugcon = open(debugcon, Box::new(io::stderr()))?;
    let mut at_line_start = true;
    let ended = bochs::run(&hypervisor, &files, options, |channel, bytes| {
        // Whoever closed an output does not want the rest.
        let _ = match channel {
            Channel::Console => console.write_all(bytes).and_then(|()| console.flush()),
            Channel::Debug => debugcon.write_all(bytes),
            Channel::Message | Channel::Status => messages(bytes, &mut at_line_start),
        };
    })?;
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

fn open(output: &Output, standard: Box<dyn Write>) -> Result<Box<dyn Write>, Failure> {
    Ok(match output {
        Output::Standard => standard,
        Output::Null => Box::new(io::sink()),
        Output::File(path) => match File::create(path) {
            Ok(file) => Box::new(file),
            Err(error) => return Err(Failure::File { path: path.clone(), error }),
        },
    })
}
