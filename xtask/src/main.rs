//! Checks and rigs of the project.
//!
//! `cargo xtask help` says what there is.

mod apt;
mod bench;
mod checks;
mod coverage;
mod cpio;
mod disks;
mod fuzz;
mod guest_tables;
mod initrd;
mod judge;
mod kernel;
mod libfuzzer;
mod nested;
mod paths;
mod planted;
mod process;
mod report;
mod repository;
mod rig;
mod rigs;
mod ticks;
mod toolbox;
mod tools;
mod variables;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use lexopt::prelude::*;

const HELP: &str = "\
Checks and rigs of the project: cargo xtask COMMAND

  test [--full] [RIG...]          run every check that this machine can run, or those named
  nested [OPTIONS] -- [ARGS]      run kvm-vmm inside a Linux with KVM inside QEMU
      --rig amd                   whose virtualization (amd)
      --timeout SECONDS           status 124 after this time (300)
      --program FILE              run this static program instead of kvm-vmm
  initrd --out FILE               write the initrd of a Linux guest that says it is there
  fuzz [OPTIONS] [TARGET...]      run the fuzz targets, all or those named
      --seconds N                 how long each (20)
      --merge                     keep in the committed corpus what reaches more of the code
      --coverage                  instead: say which lines the committed corpus covers
      --planted                   instead: plant a bug for each target, and see it found
  bench startup                   time kvm-vmm's start beside a minimal C program's
  bench tables                    time the tables of a large machine, ACPI's beside a peer's
  ticks                           count what a CPUID exit costs on bare metal, in Bochs
  toolbox [--print] [TOOL...]     bring the tools that rigs need, or list those that are there

What they make and fetch is under target/. Nothing is installed.
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == process::LEASH).is_some() {
        eprintln!("xtask: {:#}", process::become_program(arguments));
        return ExitCode::from(127);
    }
    match process::end_children_on_signals().and_then(|()| command()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Result<ExitCode> {
    let mut parser = lexopt::Parser::from_env();
    match parser.next()? {
        Some(Value(name)) if name == "test" => test(parser),
        Some(Value(name)) if name == "nested" => nested(parser),
        Some(Value(name)) if name == "initrd" => initrd(parser),
        Some(Value(name)) if name == "fuzz" => fuzz(parser),
        Some(Value(name)) if name == "bench" => bench(parser),
        Some(Value(name)) if name == "ticks" => ticks(),
        Some(Value(name)) if name == "toolbox" => toolbox(parser),
        None | Some(Long("help") | Short('h')) => help(),
        Some(Value(name)) if name == "help" => help(),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn help() -> Result<ExitCode> {
    print!("{HELP}");
    Ok(ExitCode::SUCCESS)
}

fn test(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut full = false;
    let mut names = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("full") => full = true,
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let all_is_well = report::test(&names, full)?;
    Ok(if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn nested(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut limit = Duration::from_secs(300);
    let mut program = None;
    let mut arguments: Vec<OsString> = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rig") => {
                let rig = parser.value()?;
                ensure!(rig == "amd", "there is no rig {rig:?}; there is amd");
            }
            Long("timeout") => limit = Duration::from_secs(parser.value()?.parse()?),
            Long("program") => program = Some(PathBuf::from(parser.value()?)),
            Value(first) => {
                arguments.push(first);
                arguments.extend(parser.raw_args()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    let program = match program {
        Some(program) => program,
        None => {
            eprintln!("nested-amd: building kvm-vmm as a static program");
            nested::build_vmm(&[], Stdio::inherit())?
        }
    };
    eprintln!("nested-amd: booting Linux with KVM in QEMU, which takes some seconds");
    let outcome = nested::amd(&nested::Run {
        program: &program,
        arguments: &arguments,
        limit,
        live: true,
        returns: None,
        log: &paths::target().join("nested/l1.log"),
    })?;
    if outcome.status == process::TIMED_OUT {
        eprintln!("nested-amd: stopped after {} s", limit.as_secs());
    }
    Ok(ExitCode::from(u8::try_from(outcome.status).context("not an exit status")?))
}

fn initrd(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut out = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Long("out") => out = Some(PathBuf::from(parser.value()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(out) = out else { bail!("initrd: --out FILE is missing") };
    let toolbox = toolbox::Toolbox::ensure(&initrd::TOOLS)?;
    fs::write(&out, initrd::guest(&toolbox, &[])?).with_context(|| out.display().to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn fuzz(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let (mut seconds, mut mode) = (20, None);
    let mut names = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seconds") => seconds = parser.value()?.parse()?,
            Long(chosen @ ("merge" | "coverage" | "planted")) => {
                ensure!(mode.is_none(), "fuzz: of --merge, --coverage and --planted only one");
                mode = Some(chosen.to_owned());
            }
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let all_is_well = match mode.as_deref() {
        Some("coverage") => coverage::report(&names)?,
        Some("planted") => planted::search(&names, seconds)?,
        mode => fuzz::fuzz(&names, seconds, mode.is_some())?,
    };
    Ok(if all_is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn bench(mut parser: lexopt::Parser) -> Result<ExitCode> {
    match parser.next()? {
        Some(Value(name)) if name == "startup" => bench::startup()?,
        Some(Value(name)) if name == "tables" => bench::tables()?,
        _ => bail!("bench: say which; there are startup and tables"),
    }
    Ok(ExitCode::SUCCESS)
}

fn ticks() -> Result<ExitCode> {
    toolbox::Toolbox::ensure(&[&tools::BOCHS])?;
    ticks::report(&ticks::measure()?);
    Ok(ExitCode::SUCCESS)
}

fn toolbox(mut parser: lexopt::Parser) -> Result<ExitCode> {
    let mut fetch = true;
    let mut names = Vec::new();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("print") => fetch = false,
            Value(name) => names.push(name.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    toolbox::list(&names, fetch)?;
    Ok(ExitCode::SUCCESS)
}
